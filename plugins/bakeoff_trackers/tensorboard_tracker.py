"""The tracker `tensorboard`: event files in folders EXPERIMENT/STRATEGY/RUN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, ClassVar, Final

from pydantic import Field

from bakeoff.plugin import SUMMARY, Options, TrackedExperiment, TrackedRun, Tracker, Tree
from bakeoff_trackers.run_folders import folder_name, found_in, place_of, root_of, write_mark

EVENTS: Final = "events.out.tfevents.bakeoff"
"""One file for each run, always of the same name, so that a run that was repeated replaces it. TensorBoard takes any name with
`tfevents`."""
VERSION: Final = "brain.Event:2"
"""The version of the format, which the first event tells."""


class TensorBoardOptions(Options):
    """Options of `tensorboard`."""

    folder: str | None = Field(None, description="Folder of the event files (default: `tracked/tensorboard` in DIR).")


class TensorBoard(Tracker):
    """Writes curves, scores, hyper-parameters for the HParams tab, and the summary as text; needs no network."""

    name = "tensorboard"
    summary = "TensorBoard: event files in a folder."
    version = "1"
    Options = TensorBoardOptions
    needs: ClassVar[Mapping[str, str]] = {"tensorboard": "tensorboard"}

    def check(self, experiment: TrackedExperiment, options: TensorBoardOptions) -> None:
        root_of(options.folder, experiment, self.name)

    def written(self, experiment: TrackedExperiment, options: TensorBoardOptions) -> Mapping[str, str]:
        root, own = place_of(options.folder, experiment, self.name), folder_name(experiment.name)
        return {key: found.digest for key, found in found_in(root, f"{own}/*/*", experiment)}

    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: TensorBoardOptions) -> None:
        tree = Tree(root_of(options.folder, experiment, self.name))
        place = tree.root / folder_name(experiment.name) / folder_name(run.strategy) / run_folder(run)
        tree.make(place)
        for name in tree.names(place):
            if name.startswith(".tmp-"):  # of an export that was killed; TensorBoard would read it too
                tree.remove(place / name)
        for name, content in run.files.items():
            tree.write(place / folder_name(name), content.encode(), synced=False)
        with tree.writing(place / EVENTS, synced=False) as stream:
            write_events(stream, run)
        write_mark(tree, place, run, experiment)

    def shown(self, experiment: TrackedExperiment, options: TensorBoardOptions) -> str:
        return f"tensorboard --logdir {place_of(options.folder, experiment, self.name)}"


def run_folder(run: TrackedRun) -> str:
    """The name of a run's folder within its strategy's: seed and id, `0-r1-0123456789abcdef`. The summary's is `all-runs`,
    which no run's can be."""
    return "all-runs" if run.key == SUMMARY else f"{run.tags.get('seed', 'run')}-{folder_name(run.key)}"


def write_events(stream: BinaryIO, run: TrackedRun) -> None:
    """Writes a run as TensorBoard's records of events."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = RecordWriter(stream)
    records.write(Event(wall_time=run.begun, file_version=VERSION).SerializeToString())
    for time, step, summary in summaries_of(run):
        records.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())


def summaries_of(run: TrackedRun) -> Iterator[tuple[float, int, Any]]:
    """(time in seconds since 1970, step, summary) of all that is known of a run, in the order in which TensorBoard shows it
    best: settings, curves, scores at the last step."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
    from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, create_summary_metadata

    yield run.begun, 0, summary_v2.hparams_pb(dict(run.settings), trial_id=run.key, start_time_secs=run.begun)
    last = 0
    for name, series in run.series.items():
        for step, value, time in zip(series.steps, series.values, series.times, strict=True):
            yield time, step, Summary(value=[Summary.Value(tag=name, simple_value=value)])
        last = max(last, *series.steps) if len(series.steps) else last
    for name, score in run.scores.items():
        yield run.ended, last, Summary(value=[Summary.Value(tag=name, simple_value=score)])
    tags = "\n".join(f"- {name}: {value}" for name, value in run.tags.items())
    for name, text in {"about": "\n\n".join(filter(None, (run.failure, tags))), SUMMARY: run.text}.items():
        if text:
            yield run.ended, last, text_summary(name, text)
    status = api_pb2.STATUS_FAILURE if run.failure else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=run.ended)
    metadata = create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    yield run.ended, last, Summary(value=[Summary.Value(tag=SESSION_END_INFO_TAG, metadata=metadata)])


def text_summary(name: str, text: str) -> Any:
    """A text for TensorBoard's tab of that name, which shows Markdown."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    tensor.tensor_shape.SetInParent()  # of a single text
    return Summary(value=[Summary.Value(tag=name, metadata=create_summary_metadata(name, ""), tensor=tensor)])
