"""THE MAIN LINE: one run in its own process. Read `fine_tune` from top to bottom.

`bakeoff worker REQUEST.json FOLDER` performs one run and leaves its record in FOLDER: the door for schedulers. `python -m
bakeoff.worker` does the same, but Python then imports from the working directory before any of this is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.dev_split import selection_split
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, PluginError
from bakeoff.files import Tree
from bakeoff.machine import hardware
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.memory_energy import forget_peak_memory, memory_peaks
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.streams import write_line
from bakeoff.records.provenance import (
    facts_of_data,
    facts_of_environment,
    facts_of_model,
)
from bakeoff.records.record_files import UNFINISHED
from bakeoff.records.schema import PREDICTIONS_FILE, STEPS_FILE, Failure, Record
from bakeoff.records.training_state import TENSORS
from bakeoff.training.assembly import Assembly, Findings, assemble, check_available, components
from bakeoff.training.best_epoch import BestState
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.clock import Clock
from bakeoff.training.data import weights_sha256
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.evaluation import largest_of, predict, repeat_first_batch, require_finite, require_same_logits, score
from bakeoff.training.job import Callbacks, Job
from bakeoff.training.kept_model import Trained, add_model, trained_model
from bakeoff.training.observer import Observer
from bakeoff.training.record_writer import (
    bare_record,
    clear,
    compose,
    describe_weights,
    end_copy,
    environment_of,
    failure_of,
    write_predictions,
    write_record,
    write_steps,
    write_traceback,
)
from bakeoff.training.request import Request, read_request
from bakeoff.training.shared_run import Report, print_notes, share


def fine_tune(
    request: Request,
    parts: Mapping[str, Configured],
    folder: Path,
    clock: Clock,
    found: Findings,
    observer: Observer,
    report: Report,
    world: World,
) -> Trained | None:
    """One run, from the request to the files in its folder; fills `found` on the way. The trained model where it is to be kept.

    Where several processes share the run, each comes through here, and rank 0 writes the files.
    """
    clock.synchronize = lambda: hardware.synchronize(found.device)

    def begin(phase: str) -> None:
        clock.enter(phase)
        report(phase, 0, 0, None)

    run = assemble(request, parts, found=found, begin=begin, world=world)
    info, splits, network, trainer = run.task.info, run.task.splits, run.network, run.trainer

    def evaluate(split: str) -> Any:
        found.evaluated += len(run.encoded[split])
        with trainer.fast_inference(network):
            return predict(run.prepared, network, run.encoded[split], run.device, world)

    best = best_state(run, evaluate)
    found.job = job = run.job(
        Job,
        observer=observer,
        callbacks=Callbacks(
            first_step=lambda: begin("train"),
            loss=lambda steps, loss: report("train", steps, job.total_steps, loss),
            epoch=look_between(best, begin) if best is not None else None,
        ),
        checkpoints=checkpoints_of(request, found, lambda line: report("build", 0, 0, None, line)),
    )
    take_up(job, clock, best)
    begin("warm-up")
    with observer, job.watched():
        trainer.fit(job, run.options)
    job.check()
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
        found.evaluation_difference = repeat_first_batch(run.prepared, network, run.encoded, logits, run.device, world)
    if found.evaluation_difference is not None and type(trainer).fast_inference is not Trainer.fast_inference:
        plain = repeat_first_batch(run.prepared, network, run.encoded, logits, run.device, world)
        require_same_logits(plain, found.largest_logit, job.trainer)
    require_finite(logits)
    silent = run.data.silent
    found.scores = {name: score(info, logits[name], splits[name]["label"], silent.get(name, ())) for name in info.scored_splits}

    begin("save")
    found.memory = total_memory(world, run.device)
    found.weights = describe_weights(run)
    if world.rank == 0:
        write_steps(folder / STEPS_FILE, job)
        write_predictions(folder / PREDICTIONS_FILE, logits, splits, run.encoded, info.slice_columns, info.kind)
    if request.keep == "none" or world.rank > 0:
        return None
    split = info.predicted_splits[0]
    return trained_model(network, run.prepared, info, splits[split], run.encoded[split], logits[split], run.device)


def perform(request: Request, folder: Path, report: Report = print_notes) -> Record:
    """One run and its record, whether it ends well or not; everything it leaves is in `folder`."""
    if request.requested.processes > 1:
        return share(request, folder, report, attempt, before_forking=import_all)
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
        trained = fine_tune(request, import_all(request), folder, clock, found, observer, report_alone, world)
    except BaseException as error:  # a run that raises, `sys.exit` too, is a record with its reason, and the experiment goes on
        if is_interrupt(error):
            raise
        end_copy(process)
        failure = failure_left(error, request, folder, clock.phase)
        if not isinstance(error, BakeoffError):
            write_traceback(folder)
    end_copy(process)
    try:
        record = compose(request, started, clock, observer, found, failure, folder)
        if trained is not None:
            record = record.model_copy(update={"kept": UNFINISHED})
        write_record(folder, record)
    except Exception as error:  # a plugin's numbers may be anything: a record must be left all the same
        second = failure_left(error, request, folder, clock.phase)
        if not isinstance(error, BakeoffError):
            second = second.model_copy(update={"message": f"no record could be made of it: {second.message}"})
        record = bare_record(request, started, failure or second)
        write_record(folder, record)
    if trained is not None and record.status == "ok":
        record = add_model(record, trained, folder, clock)
        write_record(folder, record)
    return record


def failure_left(error: BaseException, request: Request, folder: Path, phase: str) -> Failure:
    """The failure that an exception is recorded as; what the run has left in its folder is removed. Raises MachineError."""
    raise_machine_error(error, places_of(request, folder))
    clear(folder)
    return failure_of(error, phase)


def places_of(request: Request, folder: Path) -> list[Path]:
    """The folders into which a run, or a library for it, writes."""
    return [folder, *filter(None, [request.checkpoints]), request.cache]


# --- the details of a run, in its order ----------------------------------------------------------------------------------


def import_all(request: Request) -> dict[str, Configured]:
    """The run's components by kind; makes the heavy imports, where no fork server has, so that their errors are seen here."""
    parts = components(request, load_registry())
    if "bakeoff.machine.preload" not in sys.modules:  # then nobody has looked yet whether all is there
        for kind in ("task", "model"):
            check_available(parts[kind], request.places)
    import bakeoff.machine.preload  # noqa: F401

    return parts


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


def checkpoints_of(request: Request, found: Findings, note: Callable[[str], None]) -> Checkpoints | None:
    """Where the run's checkpoints are, if it has any: those that were made from the same data and model, here."""
    if request.checkpoints is None or request.checkpoint_every is None:
        return None
    here = environment_of(request, found.device)
    made_by = {
        **facts_of_data(found.data, found.made_from),
        **facts_of_model(found.made_from),
        **facts_of_environment(here),
    }
    return Checkpoints(request.checkpoints, request.checkpoint_every, made_by=made_by, note=note)


def take_up(job: Job, clock: Clock, best: BestState | None) -> None:
    """What a checkpoint keeps of clock and best state: put back, if there is one, and from now on kept."""
    if (saved := job.checkpointing.saved) is not None:
        clock.add(saved.facts["others"]["seconds"])
        if best is not None:
            try:
                best.take_up(saved.tensors, saved.facts["others"]["best"])
            except ValueError as error:
                raise saved.damaged(f"{TENSORS}: {error}") from None

    def state() -> tuple[dict[str, Any], dict[str, Any]]:
        clock.enter(clock.phase)
        tensors, facts = best.state() if best is not None else ({}, {})
        return tensors, {"seconds": dict(clock.seconds), "best": facts}

    job.checkpointing.beside = state


def best_state(run: Assembly, predict_split: Callable[[str], Any]) -> BestState | None:
    """The keeper of the best state, where the experiment selects one."""
    if run.request.requested.select != "best-on-dev":
        return None
    info = run.task.info
    split = selection_split(info.scored_splits)
    labels = run.task.splits[split]["label"]

    def evaluate() -> tuple[Any, float]:
        logits = predict_split(split)
        others = [metric.name for metric in info.metrics if metric is not primary]
        return info.kind.answers(logits), score(info, logits, labels, others)[info.primary_metric]

    primary = next(metric for metric in info.metrics if metric.name == info.primary_metric)
    return BestState(run.network, evaluate, split=split, metric=primary, labels=np.asarray(labels))


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
    Tree(folder).make_empty(folder)
    hardware.prepare_environment(request.threads)
    record = perform(request, folder)
    if failure := record.failure:
        write_line(sys.stderr, f"{failure.reason}: {failure.message}")
    elif record.kept and record.kept.reason:
        write_line(sys.stderr, f"model not kept: {record.kept.reason}")
    return 1 if failure else 0
