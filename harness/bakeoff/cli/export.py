"""The command `bakeoff export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from bakeoff.cli.every_eval_ever import NAME as EEE
from bakeoff.cli.every_eval_ever import EeeOptions, export_eee
from bakeoff.cli.formats import ExportOutput
from bakeoff.cli.inputs import indexed_store
from bakeoff.cli.options import WithFurtherOptions, folder_argument, json_option
from bakeoff.cli.output import MOST_NAMED, print_json, print_note, print_result
from bakeoff.cli.report import HTML_FILE, files_of
from bakeoff.cli.table import read
from bakeoff.contracts.from_words import component_from_words, options_from_words
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.tracker import TrackedRun
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.report.exporting import Exported, Exporter
from bakeoff.report.tracked import tracked_summary
from bakeoff.text.numbers import count


@click.command(cls=WithFurtherOptions, chosen_by="--to")
@folder_argument
@click.option(
    "--to",
    metavar="TRACKER",
    required=True,
    help="Tracker that gets the runs: tensorboard, mlflow, wandb; `bakeoff plugins --kind tracker` lists all. Or eee: files "
    "for Every Eval Ever.",
)
@json_option
@click.pass_obj
def export(given: dict[str, list[str]], *, folder: Path, to: str, as_json: bool) -> int:
    """Write the recorded runs of the experiment in DIR to a tracker: TensorBoard, MLflow, Weights & Biases, or a plugin's.
    Without DIR, of the only experiment in this folder.

    Further options are those of the tracker: --folder DIR, --uri URI. Each run becomes one run there, with its curves, scores,
    settings and tags, and a summary has the leaderboard, the verdicts and the page. What the tracker has already is not written
    again; an export that was stopped continues.

    With --to eee, instead write the results as files in the schema of Every Eval Ever, a collection of evaluation results: a
    file for each strategy. Its options: --organization NAME, who trained and evaluated; --folder DIR.

    Exit code 0: the tracker has all recorded runs, 1: a damaged record was left out, or there are no results, 2: an error.
    """
    if to == EEE:
        return export_eee(folder, options_from_words(EeeOptions, EEE, given), as_json=as_json)
    tracker, options = component_from_words(load_registry(), "tracker", to, given)
    exporter = Exporter(indexed_store(folder), tracker, options)
    done = Exported()
    exporter.export(done)
    exporter.summarise(done, summary_of(exporter.store))
    print_note(*notes(done))
    if as_json:
        print_json(output_of(exporter, done).model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_result(in_words(exporter, done))
    return 1 if done.damaged else 0


def summary_of(store: Store) -> Callable[[Mapping[str, Record], str], TrackedRun]:
    """A function that makes the summary of an experiment, for `Exporter.summarise`."""

    def summary(records: Mapping[str, Record], digest: str) -> TrackedRun:
        reading = read([store])
        return tracked_summary(reading.comparison, records, digest, files_of(reading)[HTML_FILE])

    return summary


def notes(done: Exported) -> list[str]:
    """What was not written, a line each."""
    lines = [f"damaged and left out: {sentence}" for sentence in done.damaged[:MOST_NAMED]]
    if (more := len(done.damaged) - len(lines)) > 0:
        lines.append(f"... and {more} more; `bakeoff verify` lists all")
    if done.held:
        lines.append(f"{count(done.held, 'run')} left to another command that is writing them")
    return lines


def in_words(exporter: Exporter, done: Exported) -> str:
    """What was written, and where it can be seen, in one line."""
    parts = [count(len(done.written), "run")] if done.written else []
    parts += ["the summary"] if done.summary else []
    parts = parts or ["nothing new"]
    before = f", {done.already:,} there already" if done.already else ""
    return f"exported to {exporter.tracker.name}: {' and '.join(parts)}{before}; see {exporter.shown()}"


def output_of(exporter: Exporter, done: Exported) -> ExportOutput:
    """What `bakeoff export --json` prints."""
    return ExportOutput(
        ok=not done.damaged,
        experiment=exporter.experiment.name,
        tracker=exporter.tracker.name,
        written=done.written,
        already=done.already,
        held=done.held,
        summary=done.summary,
        damaged=done.damaged,
        shown=exporter.shown(),
    )
