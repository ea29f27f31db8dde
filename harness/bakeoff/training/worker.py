"""The main line of a run, in a process of its own. Read `fine_tune` from top to bottom; for a run whose trainer owns its model,
read `own_run.train_and_answer`.

`bakeoff worker REQUEST.json FOLDER` performs one run and leaves its record in FOLDER; schedulers call it. `python -m
bakeoff.worker` does the same, except that Python then imports modules from the working directory first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.own_model import OwnModelTrainer
from bakeoff.contracts.registry import load_registry
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
from bakeoff.text.values import utc_now
from bakeoff.training.assembly import Findings, assemble, components
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.clock import Clock
from bakeoff.training.data import weights_sha256
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.evaluation import (
    BestState,
    best_state,
    largest_of,
    predict,
    repeat_evaluation,
    require_finite,
    score,
)
from bakeoff.training.job import Callbacks, Job
from bakeoff.training.kept_model import Trained, add_model, trained_model
from bakeoff.training.own_run import train_and_answer
from bakeoff.training.record_writer import (
    bare_record,
    compose,
    describe_weights,
    environment_of,
    failure_of,
    write_predictions,
    write_record,
    write_steps,
    write_traceback,
)
from bakeoff.training.request import Request, read_request
from bakeoff.training.run_folder import clear
from bakeoff.training.shared_run import Report, print_notes, share


def fine_tune(
    request: Request, parts: Mapping[str, Configured], folder: Path, clock: Clock, found: Findings, report: Report, world: World
) -> Trained | None:
    """Performs a run and writes its files into `folder`. Returns the trained model if it is to be kept.

    parts: the run's components by kind. clock: attributes the time to phases. found: receives what becomes known of the run,
    for its record. report: receives the progress. Where several processes share the run, each calls this, and rank 0 writes
    the files.
    """
    clock.synchronize = lambda: hardware.synchronize(found.device)

    def begin(phase: str) -> None:
        clock.enter(phase)
        report(phase, 0, 0, None)

    run = assemble(request, parts, found=found, begin=begin, world=world)
    info, splits, network, trainer = run.task.info, run.task.splits, run.network, run.trainer

    def evaluate(split: str) -> Any:
        found.evaluated += len(run.encoded[split])
        with run.fast_inference():
            return predict(run.prepared, network, run.encoded[split], run.device, world)

    best = best_state(run, evaluate)
    found.job = job = run.job(
        Job,
        observer=found.observer,
        callbacks=Callbacks(
            first_step=lambda: begin("train"),
            loss=lambda steps, loss: report("train", steps, job.total_steps, loss),
            evaluate=while_training(best, begin),
        ),
        checkpoints=checkpoints_of(request, found, lambda line: report("build", 0, 0, None, line)),
    )
    connect_checkpoints(job, clock, best)
    begin("warm-up")
    with found.observer, job.watched():
        trainer.fit(job, run.options)
    job.check()
    job.check_order()
    if world.size > 1:
        begin("save")  # neither training nor evaluation
        require_equal_weights(world, network, job.trainer)

    begin("evaluate")
    if best is not None:
        if job.stopped_at is None:  # else it was evaluated when it stopped
            best.evaluate()
        found.selection = best.restore()
    logits = {name: evaluate(name) for name in info.predicted_splits}
    found.largest_logit = largest_of(logits)
    found.evaluation_difference = repeat_evaluation(run, logits, found.largest_logit)
    require_finite(logits)
    silent = run.data.silent
    found.scores = {name: score(info, logits[name], splits[name]["label"], silent.get(name, ())) for name in info.scored_splits}

    begin("save")
    found.memory = total_memory(world, run.device)
    found.weights = describe_weights(run)
    if world.rank == 0:
        write_steps(folder / STEPS_FILE, job)
        write_predictions(folder / PREDICTIONS_FILE, logits, splits, run.encoded, info.slice_columns, info.kind)
    return None if request.keep == "none" or world.rank > 0 else trained_model(run, logits)


def run_main_line(
    request: Request, parts: Mapping[str, Configured], folder: Path, clock: Clock, found: Findings, report: Report, world: World
) -> Trained | None:
    """Calls the main line of the run: `fine_tune`, or `train_and_answer` where the trainer owns its model."""
    if isinstance(parts["trainer"].registered.component, OwnModelTrainer):
        train_and_answer(request, parts, folder, clock, found, report)
        return None
    return fine_tune(request, parts, folder, clock, found, report, world)


def perform(request: Request, folder: Path, report: Report = print_notes) -> Record:
    """Performs a run and returns its record, whether it succeeded or failed. All its files are in `folder`."""
    if request.requested.processes > 1:
        return share(request, folder, report, attempt, before_forking=import_all)
    return attempt(request, folder, report, ALONE, Clock())


def attempt(request: Request, folder: Path, report: Report, world: World, clock: Clock) -> Record:
    """Performs this process's part of a run and returns its record, written into `folder`. Raises MachineError for a fault of
    the machine (a full disk, say), which is not recorded."""
    started, process = utc_now(), os.getpid()
    found = Findings()

    def report_alone(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        end_copy(process)
        report(phase, step, total, loss, note)

    forget_peak_memory()
    failure = trained = None
    try:
        trained = run_main_line(request, import_all(request), folder, clock, found, report_alone, world)
    except BaseException as error:  # also `sys.exit`: the run is recorded as failed, and the experiment continues
        if is_interrupt(error):
            raise
        end_copy(process)
        failure = failure_left(error, request, folder, clock.phase)
        if not isinstance(error, BakeoffError):
            write_traceback(folder)
    end_copy(process)
    try:
        record = compose(request, started, clock, found, failure, folder)
        if trained is not None:
            record = record.model_copy(update={"kept": UNFINISHED})
        write_record(folder, record)
    except Exception as error:  # a plugin's numbers may be anything, and the run needs a record all the same
        second = failure_left(error, request, folder, clock.phase)
        if not isinstance(error, BakeoffError):
            second = second.model_copy(update={"message": f"its record could not be written: {second.message}"})
        record = bare_record(request, started, failure or second)
        write_record(folder, record)
    if trained is not None and record.status == "ok":
        record = add_model(record, trained, folder, clock)
        write_record(folder, record)
    return record


def failure_left(error: BaseException, request: Request, folder: Path, phase: str) -> Failure:
    """The failure to record for an exception; also empties the run's folder. phase: the one in which it was raised. Raises
    MachineError for a fault of the machine."""
    raise_machine_error(error, places_of(request, folder))
    clear(folder)
    return failure_of(error, phase)


def end_copy(process: int) -> None:
    """Ends this process if it is a copy of the run's process, made by a plugin's `os.fork`."""
    if os.getpid() != process:
        os._exit(1)


def places_of(request: Request, folder: Path) -> list[Path]:
    """The folders to which the run, and the libraries it uses, write."""
    return [folder, *filter(None, [request.checkpoints]), request.cache]


# --- the details of a run, in its order ----------------------------------------------------------------------------------


def import_all(request: Request) -> dict[str, Configured]:
    """The run's components by kind. Also imports torch and the like, unless a fork server has: an error of that fails the
    run."""
    parts = components(request, load_registry())
    if "bakeoff.machine.preload" not in sys.modules:  # then nothing has checked yet what is available
        for kind in ("task", "model"):
            if kind in parts:
                parts[kind].check_available(request.places)
    import bakeoff.machine.preload  # noqa: F401

    return parts


def require_equal_weights(world: World, network: Any, trainer: str) -> None:
    """Raises PluginError where the ranks' weights differ. Every rank must call it. trainer: its name in messages."""
    first, *others = world.gather(weights_sha256(network.state_dict().items()))
    for rank, theirs in enumerate(others, start=1):
        if theirs != first:
            raise PluginError(
                f"{trainer} left different weights on rank {rank} than on rank 0: add the gradients of all processes "
                "before each optimizer's step"
            )


def total_memory(world: World, device: Any) -> tuple[int, int]:
    """Peak memory so far, summed over the ranks: (bytes of main memory, bytes of device memory). Every rank must call it."""
    memory, on_device = zip(*world.gather(memory_peaks(device)), strict=True)
    return sum(memory), sum(on_device)


def checkpoints_of(request: Request, found: Findings, note: Callable[[str], None]) -> Checkpoints | None:
    """The run's checkpoints; None if it makes none. Only those of the same data, model, hardware and software are used. note:
    called with a sentence for each that is not used."""
    if request.checkpoints is None or request.checkpoint_every is None:
        return None
    sources = {**facts_of_data(found.data, found.made_from), **facts_of_model(found.made_from)}
    made_by = {**sources, **facts_of_environment(environment_of(request, found.device, found.distributions))}
    return Checkpoints(request.checkpoints, request.checkpoint_every, made_by=made_by, note=note)


def connect_checkpoints(job: Job, clock: Clock, best: BestState | None) -> None:
    """Restores clock and best state from the run's checkpoint, if there is one, and adds them to the checkpoints to come."""
    if (saved := job.checkpointing.saved) is not None:
        clock.add(saved.facts["others"]["seconds"])
        if best is not None:
            try:
                best.continue_from(saved.tensors, saved.facts["others"]["best"])
            except ValueError as error:
                raise saved.damaged(f"{TENSORS}: {error}") from None

    def state() -> tuple[dict[str, Any], dict[str, Any]]:
        clock.enter(clock.phase)
        tensors, facts = best.state() if best is not None else ({}, {})
        return tensors, {"seconds": dict(clock.seconds), "best": facts}

    job.checkpointing.beside = state


def while_training(best: BestState | None, begin: Callable[[str], None]) -> Callable[[], bool] | None:
    """A function for the job to call where the best state is looked for: it evaluates, outside the training time. None if
    `best` is, since such a run evaluates only at its end."""
    if best is None:
        return None

    def evaluate() -> bool:
        begin("evaluate")
        best.evaluate()
        begin("train")
        return best.stops

    return evaluate


def perform_requested(path: Path, folder: Path) -> int:
    """Performs the run that the file at `path` describes, and leaves its record in `folder`. Returns 0 if it succeeded, else 1.

    Raises BakeoffError if the file is not a request, or the folder is not empty or can't be created.
    """
    request = read_request(path)
    Tree(folder).make_empty(folder)
    hardware.prepare_environment(request.threads)
    record = perform(request, folder)
    if failure := record.failure:
        write_line(sys.stderr, f"{failure.reason}: {failure.message}")
    elif record.why_not_kept:
        write_line(sys.stderr, f"model not kept: {record.why_not_kept}")
    return 1 if failure else 0
