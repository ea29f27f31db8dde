"""THE MAIN LINE: one run in its own process. Read `fine_tune` from top to bottom.

`bakeoff worker REQUEST.json FOLDER` performs one run and leaves its record in FOLDER: the door for schedulers. `python -m
bakeoff.worker` does the same, but Python then imports from the working directory before any of this is read.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bakeoff.contracts.configured import Configured, notes_of
from bakeoff.contracts.dev_split import selection_split
from bakeoff.contracts.method import Adaptation
from bakeoff.contracts.model import Built, Encoding, Prepared
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.contracts.task import Paths, Row, Task, TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, PluginError
from bakeoff.files import Tree
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.faults import machine_error, writing
from bakeoff.machine.memory_energy import forget_peak_memory, memory_peaks
from bakeoff.machine.streams import write_line
from bakeoff.records.kept import UNFINISHED
from bakeoff.records.provenance import (
    distributions_of,
    environment,
    facts_of_data,
    facts_of_environment,
    facts_of_model,
    processes_of,
)
from bakeoff.records.record_files import dump
from bakeoff.records.schema import PREDICTIONS_FILE, STEPS_FILE, Failure, Record, Requested
from bakeoff.records.training_state import TENSORS
from bakeoff.text.words import shown_path
from bakeoff.training import sources
from bakeoff.training.best_epoch import BestState
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.clock import Clock
from bakeoff.training.data import Columns, check_rows, columns_of, named_by_data, split_fingerprint, weights_sha256
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.encoding import encode
from bakeoff.training.evaluation import largest_of, predict, repeat_first_batch, require_finite, require_same_logits, score
from bakeoff.training.failures import message_of, reason_of
from bakeoff.training.job import Job
from bakeoff.training.kept_model import Trained, add_model, trained_model
from bakeoff.training.observer import Observer
from bakeoff.training.preparation import make_ready, training_rows
from bakeoff.training.record_writer import (
    Findings,
    bare_record,
    clear,
    compose,
    describe_data,
    describe_weights,
    end_copy,
    write_predictions,
    write_record,
    write_steps,
    write_traceback,
)
from bakeoff.training.request import Request, read_request
from bakeoff.training.shared_run import Report, print_notes, share


def fine_tune(
    request: Request, folder: Path, clock: Clock, found: Findings, observer: Observer, report: Report, world: World
) -> Trained | None:
    """One run, from the request to the files in its folder; fills `found` on the way. The trained model where it is to be kept.

    Where several processes share the run, each comes through here, and rank 0 writes the files.
    """
    asked = request.requested
    recipe = Recipe.model_validate(asked.recipe)
    parts = components(asked, load_registry(), request.places)
    task, model, trainer = (parts[kind].registered.component for kind in ("task", "model", "trainer"))
    options = {kind: part.options for kind, part in parts.items()}
    found.made_from = sources.of_code(parts)
    owns = trainer.owned(recipe, options["trainer"])
    found.owns = sorted(owns)
    found.notes = notes_of(trainer, recipe, options["trainer"])
    hardware.set_threads(max(1, request.threads // world.size))
    found.device = device = hardware.pick_device(request.device)
    hardware.require_precision(recipe.precision, device.type)
    found.energy.watch(device, devices=world.size)
    clock.synchronize = lambda: hardware.synchronize(device)

    def begin(phase: str) -> None:
        clock.enter(phase)
        report(phase, 0, 0, None)

    begin("load")
    files = sources.watched_task(parts["task"], request.places)
    info, splits = load_task(task, options["task"], request.places)
    found.made_from = sources.and_task(found.made_from, info, files)
    found.data = describe_data(task, info, splits)
    train = training_rows(splits["train"], recipe, seed=(asked.seed, asked.replicate))

    begin("encode")
    files = sources.watched_model(parts["model"], request.cache)
    prepared = model.prepare(info, options["model"], Encoding(recipe.max_length, recipe.padding))
    rows = {"train": train} | {name: splits[name] for name in info.predicted_splits}
    prints = {name: found.data.splits[name].fingerprint for name in rows}
    if recipe.train_examples is not None:
        prints["train"] = split_fingerprint(train, info, task.source_versions())
    encoded = {name: encode_split(prepared, info, rows[name], prints[name], request.cache) for name in rows}

    begin("build")
    built, adaptation, head, pretrained = build(parts, info, asked, recipe)
    found.made_from = sources.and_model(found.made_from, prepared, pretrained, files)
    sources.require_same(request, found.data, found.made_from)
    network = adaptation.model.to(device)
    initial = weights_sha256(network.state_dict().items())
    trainer.check_model(network, recipe)

    def evaluate(split: str) -> Any:
        found.evaluated += len(encoded[split])
        with trainer.fast_inference(network):
            return predict(prepared, network, encoded[split], device, world)

    best = best_state(asked, info, network, splits, evaluate)

    found.job = job = Job(
        model=network,
        recipe=recipe,
        device=device,
        prepared=prepared,
        encoded=encoded["train"],
        labels=info.kind.targets(train["label"], info.n_outputs),
        mean_loss=info.kind.mean_loss,
        groups=adaptation.groups,
        seed=(asked.seed, asked.replicate),
        observer=observer,
        world=world,
        owns=owns,
        trainer=f"trainer '{trainer.name}' ({parts['trainer'].registered.origin})",
        on_first_step=lambda: begin("train"),
        on_look=lambda step, loss: report("train", step, job.total_steps, loss),
        on_epoch=look_between(best, begin) if best is not None else None,
        checkpoints=checkpoints_of(request, device, found, lambda line: report("build", 0, 0, None, line)),
    )
    take_up(job, clock, best)
    begin("warm-up")
    with observer, job.watched():
        trainer.fit(job, options["trainer"])
    job.check()
    if "order" not in owns:
        job.check_order()
    if world.size > 1:
        begin("save")  # neither training nor evaluation
        require_equal_weights(world, network, job.trainer)

    begin("evaluate")
    if best is not None:
        best.look()
        found.selection = best.restore()
    logits = {name: evaluate(name) for name in info.predicted_splits}
    found.largest_logit = largest_of(logits)
    with trainer.fast_inference(network):
        found.evaluation_difference = repeat_first_batch(prepared, network, encoded, logits, device, world)
    if found.evaluation_difference is not None and type(trainer).fast_inference is not Trainer.fast_inference:
        plain = repeat_first_batch(prepared, network, encoded, logits, device, world)
        require_same_logits(plain, found.largest_logit, job.trainer)
    require_finite(logits)
    silent = found.data.silent
    found.scores = {name: score(info, logits[name], splits[name]["label"], silent.get(name, ())) for name in info.scored_splits}

    begin("save")
    found.memory = total_memory(world, device)
    found.weights = describe_weights(network, built, (head, initial), adaptation.lineage)
    if world.rank == 0:
        write_steps(folder / STEPS_FILE, job)
        write_predictions(folder / PREDICTIONS_FILE, logits, splits, encoded, info.slice_columns, info.kind)
    if request.keep == "none" or world.rank > 0:
        return None
    split = info.predicted_splits[0]
    return trained_model(network, prepared, info, splits[split], encoded[split], logits[split], device)


def perform(request: Request, folder: Path, report: Report = print_notes) -> Record:
    """One run and its record, whether it ends well or not; everything it leaves is in `folder`."""
    if processes_of(request.requested) > 1:
        return share(request, folder, report, attempt, make_ready=import_all)
    return attempt(request, folder, report, ALONE, Clock())


def attempt(request: Request, folder: Path, report: Report, world: World, clock: Clock) -> Record:
    """What this process does for the run: all of it, where it is alone. Raises MachineError, of which nothing is recorded."""
    started, process = datetime.now(UTC).isoformat(timespec="seconds"), os.getpid()
    observer, found = Observer(), Findings()

    def report_alone(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        end_copy(process)
        report(phase, step, total, loss, note)

    forget_peak_memory()
    failure = trained = None
    try:
        import_all(request)
        trained = fine_tune(request, folder, clock, found, observer, report_alone, world)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a run that raises, `sys.exit` too, is a record with its reason, and the experiment goes on
        end_copy(process)
        if (fault := machine_error(error, places_of(request, folder))) is not None:
            raise fault from error
        failure = Failure(reason=reason_of(error), message=message_of(error), phase=clock.phase)
        if not isinstance(error, BakeoffError):
            write_traceback(folder)
        clear(Tree(folder), folder)
    end_copy(process)
    try:
        record = compose(request, started, clock, observer, found, failure, folder)
        if trained is not None:
            record = record.model_copy(update={"kept": UNFINISHED})
        content = dump(record)
    except Exception as error:  # a plugin's numbers may be anything: a record must be left all the same
        if (fault := machine_error(error, places_of(request, folder))) is not None:
            raise fault from error
        why = message_of(error) if isinstance(error, BakeoffError) else f"no record could be made of it: {message_of(error)}"
        record = bare_record(request, started, failure or Failure(reason="error", message=why, phase=clock.phase))
        clear(Tree(folder), folder)
        content = dump(record)
    with writing(folder, size=len(content)):
        write_record(folder, content)
    if trained is not None and record.status == "ok":
        record = add_model(record, trained, folder, clock)
        with writing(folder, size=len(content)):
            write_record(folder, dump(record))
    return record


def places_of(request: Request, folder: Path) -> list[Path]:
    """The folders into which a run, or a library for it, writes."""
    return [folder, *filter(None, [request.checkpoints]), request.cache]


# --- the details of a run, in its order ----------------------------------------------------------------------------------


def import_all(request: Request) -> None:
    """The heavy imports, where no fork server has made them; an error of theirs is seen here."""
    if "bakeoff.machine.preload" not in sys.modules:  # then nobody has looked yet whether all is there
        check_available(request)
    import bakeoff.machine.preload  # noqa: F401


def check_available(request: Request) -> None:
    """Whether data and weights can be had, asked before their libraries are imported: it may set HF_HUB_OFFLINE."""
    parts = components(request.requested, load_registry(), request.places)
    task, model = parts["task"], parts["model"]
    task.registered.component.check_available(task.options, request.places)
    model.registered.component.check_available(model.options)


def components(asked: Requested, registry: Registry, places: Paths) -> dict[str, Configured]:
    """The run's components by kind, their options validated again and their paths resolved."""
    found = {}
    for kind in ("task", "model", "method", "trainer"):
        wanted = getattr(asked, kind)
        registered = registry.get(kind, wanted.name)
        component = Configured(registered, registered.component.Options.model_validate(wanted.options))
        found[kind] = replace(component, options=component.options_at(places))
    return found


def load_task(task: Task, options: Any, places: Paths) -> tuple[TaskInfo, dict[str, Columns]]:
    """What the task is, and its checked splits."""
    info = task.info(options)
    task.check_available(options, places)
    loaded = task.load(options, places)
    if "train" in loaded:
        info = named_by_data(info, loaded["train"])
    splits = {name: columns_of(split, info, labelled=name in info.labelled_splits) for name, split in loaded.items()}
    check_rows(splits, info, task.name)
    return info, splits


def encode_split(prepared: Prepared, info: TaskInfo, split: Columns, fingerprint: str, cache: Path) -> Sequence[Row]:
    """The rows of a split encoded, or taken from the cache."""
    return encode(prepared, {name: split[name] for name in info.text_columns}, cache=cache, fingerprint=fingerprint)


class Assembled(NamedTuple):
    """A model that is ready to be trained."""

    built: Built
    adaptation: Adaptation
    head_sha256: str
    """Of what was fresh before the method."""
    pretrained: str
    """Of what came from the checkpoint."""


def build(parts: Mapping[str, Configured], info: TaskInfo, asked: Requested, recipe: Recipe) -> Assembled:
    """The model with a fresh head from the run's `init` stream, made ready by method and recipe."""
    model, method = parts["model"], parts["method"]
    random_streams.restart_random(random_streams.stream_seed(asked.seed, asked.replicate, "init"))
    built = model.registered.component.build(info, model.options)
    state = built.model.state_dict()
    head = weights_sha256((name, state[name]) for name in built.newly_initialised if name in state)
    pretrained = sources.pretrained_digest(state, built.newly_initialised)
    return Assembled(built, make_ready(method.registered.component, built, method.options, recipe), head, pretrained)


def require_equal_weights(world: World, network: Any, trainer: str) -> None:
    """Collective. Raises PluginError where the ranks have trained apart."""
    first, *others = world.gather(weights_sha256(network.state_dict().items()))
    for rank, theirs in enumerate(others, start=1):
        if theirs != first:
            raise PluginError(f"{trainer} left other weights on rank {rank} than on rank 0")


def total_memory(world: World, device: Any) -> tuple[int, int]:
    """Collective. The peaks of all ranks so far, summed: bytes of memory, and of the device's."""
    memory, on_device = zip(*world.gather(memory_peaks(device)), strict=True)
    return sum(memory), sum(on_device)


def checkpoints_of(request: Request, device: Any, found: Findings, note: Callable[[str], None]) -> Checkpoints | None:
    """Where the run's checkpoints are, if it has any: those that were made from the same data and model, here."""
    if request.checkpoints is None or request.checkpoint_every is None:
        return None
    here = environment(
        distributions_of(request.requested),
        threads=request.threads,
        device=device.type,
        accelerator=hardware.accelerator_name(device),
    )
    made_by = {
        **facts_of_data(found.data, found.made_from),
        **facts_of_model(found.made_from),
        **facts_of_environment(here),
    }
    return Checkpoints(request.checkpoints, request.checkpoint_every, made_by=made_by, note=note)


def take_up(job: Job, clock: Clock, best: BestState | None) -> None:
    """What a checkpoint keeps of clock and best state: put back, if there is one, and from now on kept."""
    if job.saved is not None:
        clock.add(job.saved.facts["others"]["seconds"])
        if best is not None:
            try:
                best.take_up(job.saved.tensors, job.saved.facts["others"]["best"])
            except ValueError as error:
                raise job.saved.damaged(f"{TENSORS}: {error}") from None

    def state() -> tuple[dict[str, Any], dict[str, Any]]:
        clock.enter(clock.phase)
        tensors, facts = best.state() if best is not None else ({}, {})
        return tensors, {"seconds": dict(clock.seconds), "best": facts}

    job.state_of_others = state


def best_state(
    asked: Requested,
    info: TaskInfo,
    network: Any,
    splits: Mapping[str, Columns],
    predict_split: Callable[[str], Any],
) -> BestState | None:
    """The keeper of the best state, where the experiment selects one."""
    if asked.select != "best-on-dev":
        return None
    split = selection_split(info.scored_splits)
    labels = splits[split]["label"]

    def evaluate() -> tuple[Any, float]:
        logits = predict_split(split)
        others = [metric.name for metric in info.metrics if metric is not primary]
        return info.kind.answers(logits), score(info, logits, labels, others)[info.primary_metric]

    primary = next(metric for metric in info.metrics if metric.name == info.primary_metric)
    return BestState(network, evaluate, split=split, metric=primary, labels=np.asarray(labels))


def look_between(best: BestState, begin: Callable[[str], None]) -> Callable[[], None]:
    """A look while training; its time is the evaluation's."""

    def look() -> None:
        begin("evaluate")
        best.look()
        begin("train")

    return look


def perform_requested(path: Path, folder: Path) -> int:
    """The run that the file at `path` asks for, its record in `folder`: 0 for a run that ended well, 1 for a recorded failure.

    Raises BakeoffError where the file is no request, or the folder is not empty or can't be made.
    """
    request = read_request(path)
    try:
        Tree(folder).make(folder)
        if any(folder.iterdir()):
            raise FileExistsError(errno.EEXIST, "holds something already; a run needs an empty folder", str(folder))
    except OSError as error:
        raise BakeoffError(f"{shown_path(error.filename)}: {error.strerror}") from None
    hardware.prepare_environment(request.threads)
    record = perform(request, folder)
    if record.failure:
        write_line(sys.stderr, f"{record.failure.reason}: {record.failure.message}")
    if record.kept and record.kept.reason:
        write_line(sys.stderr, f"model not kept: {record.kept.reason}")
    return 1 if record.failure else 0
