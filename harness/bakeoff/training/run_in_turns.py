"""Performs a run in turns, for `bakeoff time`: the run's process trains and evaluates as always, but stops at the beginning of
a step and waits until the command gives it a turn.

A turn is a few steps and a few evaluation batches, which are timed here; for a trainer that owns its steps, and for a short
run, it is a whole training. A run that comes to its end begins anew. No record is written.
"""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.fields import Part
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.task import Row
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, PluginError, RunError
from bakeoff.files import Tree
from bakeoff.machine import hardware
from bakeoff.machine.faults import machine_error
from bakeoff.machine.memory_energy import forget_peak_memory, memory_peaks
from bakeoff.machine.worker_process import Message
from bakeoff.records.provenance import as_plain, facts_of_data, facts_of_model
from bakeoff.records.schema import MODEL_FOLDER, PREDICTIONS_FILE, STEPS_FILE
from bakeoff.training.assembly import Assembly, Findings, assemble
from bakeoff.training.clock import Clock
from bakeoff.training.distributed import ALONE, World, launch
from bakeoff.training.evaluation import batches_of, predict, predict_batch
from bakeoff.training.job import Callbacks, Job
from bakeoff.training.kept_model import keep, trained_model
from bakeoff.training.record_writer import describe_weights, environment_of, message_of, write_predictions, write_steps
from bakeoff.training.request import Request
from bakeoff.training.turns import FAILED, FAULT, Ended, Ready, Taken, Turn
from bakeoff.training.worker import import_all, places_of

FIRST_STEPS: Final = 2
"""Steps at the beginning of a run that are never timed: they allocate, compile and record."""


LEAST_STEPS: Final = FIRST_STEPS + 2
"""A run with fewer steps is timed whole: between its first ones and its end, none is left to be timed."""


class _Stop(BaseException):
    """Leaves the trainer in the middle of a run. No Exception, so that no trainer takes it for an error of its own."""


class _Longer(Job):
    """A job that calls `pause` before each step, and that neither counts operations nor observes the scale of the loss."""

    def __init__(self, *given: Any, pause: Callable[[int], None], **more: Any) -> None:
        super().__init__(*given, **more)
        self.pause = pause
        self.counter.steps = self.loss_watch.steps = frozenset()

    def begin_step(self, step: int) -> None:
        if step == self.begun:  # else it is refused
            self.pause(step)
        super().begin_step(step)


Orders = Callable[[], Turn]
"""Waits for the next turn that the command asks for, and returns it."""


class RunInTurns:
    """One run that is performed in turns, or one rank's part of it."""

    def __init__(
        self,
        request: Request,
        parts: Mapping[str, Configured],
        folder: Path,
        *,
        next_turn: Orders,
        send: Callable[[Part], None],
        clock: Clock,
        world: World = ALONE,
    ) -> None:
        """next_turn: waits for the command and gives the same turns to all ranks. send: sends an answer to the command. folder:
        for what a run would save."""
        self.request, self.parts, self.folder, self.world, self.clock = request, parts, folder, world, clock
        self.next_turn, self.send = next_turn, send
        self.run: Assembly
        self.job: _Longer
        self.fixed: dict[str, float] = {}
        """Phase -> seconds that a run takes there once, however many steps and batches it has."""
        self.entering: list[float] = []
        """For each turn, the seconds that entering the trainer's `fast_inference` took, without those of the first batch."""
        self.first_steps: tuple[float, int] | None = None
        """Seconds of the steps before the first turn's timed ones, and their number."""
        self.turn: Turn | None = None
        """The turn that is being taken."""
        self.starts = self.ends = 0
        """The steps at whose beginning the timing of this turn starts and ends."""
        self.since = 0.0
        """When the part that is timed now began."""
        self.unfit: Turn | None = None
        """A turn that did not fit into the rest of the run; it is taken first when the run has begun anew."""
        self.announced = False

    def perform(self) -> None:
        """Assembles the run and takes the turns that the command asks for, until one says that there are no more (`Turn.end`).
        Then measures saving, and sends the seconds of all that a run does once."""
        self.assemble()  # fills caches, which all runs but the first of an experiment find filled
        self.fixed["import"] = self.clock.seconds["import"]
        self.fixed |= self.assemble()
        if self.timed_whole:
            self.perform_whole()
        else:
            self.perform_by_steps()
        self.fixed["evaluate"] = statistics.median(self.entering or [0.0]) * (self.evaluations.total_splits + 1)
        self.fixed["save"] = self.save()
        self.send(Ended(fixed_seconds={phase: max(0.0, seconds) for phase, seconds in self.fixed.items()}))

    # --- by steps --------------------------------------------------------------------------------------------------------

    def perform_by_steps(self) -> None:
        while True:
            try:
                self.fit()
                raise self.untimely_end()
            except _Stop:
                if self.unfit is None:
                    return
            self.assemble()

    def untimely_end(self) -> BakeoffError:
        if self.job.diverged_at is not None:
            return RunError("diverged", f"the loss was not finite at step {self.job.diverged_at + 1} of {self.job.total_steps}")
        taken = f"{len(self.job.losses)} of {self.job.total_steps} steps"
        return PluginError(f"{self.run.title} ended after {taken}: take all, or go on until `end_step` returns Signal.STOP")

    def pause(self, step: int) -> None:
        """Called before each step of a run that is timed by steps: starts and ends the timing of a turn, and waits for the next
        turn where one has ended."""
        if step == 0:
            self.clock.enter("train")
            self.fixed.setdefault("warm-up", self.clock.seconds["warm-up"])
            self.announce()
        if self.turn is not None and step == self.starts:
            now = self.now()
            if self.first_steps is None:
                self.first_steps = now - self.since, step
            self.since = now
        if self.turn is not None and step < self.ends:
            return
        if self.turn is not None:
            seconds = (self.now() - self.since) / self.turn.steps
            if self.first_steps is not None and self.first_steps[1]:
                took, number = self.first_steps
                self.fixed["warm-up"] += max(0.0, took - number * seconds)
                self.first_steps = 0.0, 0
            turn, self.turn = self.turn, None
            self.answer(turn, seconds)
        self.turn = self.begin_turn(step)

    def begin_turn(self, step: int) -> Turn:
        """Waits for the next turn with steps, to begin at this step, and returns it; turns that only evaluate are answered
        here. Raises _Stop if there are no more turns, or if the rest of the run is too short for the turn."""
        while True:
            turn, self.unfit = self.unfit or self.next_turn(), None
            if turn.end:
                raise _Stop
            if turn.steps:
                break
            self.answer(turn, None)
        self.starts = step + (1 if step else FIRST_STEPS)
        room = self.job.total_steps - 1 - self.starts  # a turn ends where another step begins
        if turn.steps > room:
            if step:
                self.unfit = turn
                raise _Stop
            turn = turn.model_copy(update={"steps": room})
        self.ends, self.since = self.starts + turn.steps, self.now()
        return turn

    # --- whole -----------------------------------------------------------------------------------------------------------

    def perform_whole(self) -> None:
        """Takes turns of which each is a training from its beginning to its end."""
        self.fixed["warm-up"] = 0.0  # all of the trainer's own time is in the turns
        self.announce()
        fresh = True
        while not (turn := self.next_turn()).end:
            seconds = None
            if turn.steps:
                if not fresh:
                    self.assemble()
                fresh, began = False, self.now()
                self.fit()
                seconds = self.now() - began
            self.answer(turn, seconds)

    # --- what both do ----------------------------------------------------------------------------------------------------

    def assemble(self) -> dict[str, float]:
        """Assembles the run anew. Returns phase (`load`, `encode`, `build`) -> seconds that it took."""
        before = dict(self.clock.seconds)
        if hasattr(self, "run"):
            del self.run, self.job
        found = Findings()
        self.run = run = assemble(self.request, self.parts, found=found, begin=self.clock.enter, world=self.world)
        self.clock.synchronize = lambda: hardware.synchronize(run.device)
        self.clock.enter("build")
        self.found, self.evaluations = found, Evaluations(run)
        self.job = run.job(
            _Longer, pause=self.before_step, observer=found.observer, callbacks=Callbacks(evaluate=self.no_evaluation)
        )
        total = self.job.total_steps
        self.timed_whole = "steps" in run.owns or total < LEAST_STEPS
        return {phase: self.clock.seconds[phase] - before[phase] for phase in ("load", "encode", "build")}

    def before_step(self, step: int) -> None:
        if not self.timed_whole:
            self.pause(step)

    @property
    def no_evaluation(self) -> Callable[[], bool] | None:
        """The function that the job calls where the run would evaluate while training, if it would. It does nothing, since a
        run's evaluations are timed apart."""
        return (lambda: False) if self.request.requested.select == "best-on-dev" else None

    def fit(self) -> None:
        self.clock.enter("warm-up")
        with self.found.observer, self.job.watched():
            self.run.trainer.fit(self.job, self.run.options)
        self.job.require_nothing_swallowed()

    def now(self) -> float:
        hardware.synchronize(self.run.device)
        return time.perf_counter()

    def announce(self) -> None:
        if self.announced:
            return
        self.announced = True
        facts = {**facts_of_data(self.found.data, self.found.made_from), **facts_of_model(self.found.made_from)}
        self.send(
            Ready(
                environment=environment_of(self.request, self.run.device, self.found.distributions),
                sources=as_plain(facts),
                whole=self.timed_whole,
                steps=1 if self.timed_whole else self.job.total_steps,
                batches=self.evaluations.total,
            )
        )

    def answer(self, turn: Turn, step_seconds: float | None) -> None:
        """Ends a turn: evaluates the batches that it asks for, and sends what steps and batches took."""
        batch_seconds = self.evaluate(turn) if turn.batches else None
        memory, on_device = zip(*self.world.gather(memory_peaks(self.run.device)), strict=True)
        self.send(
            Taken(
                step_seconds=step_seconds,
                batch_seconds=batch_seconds,
                memory=sum(memory),
                device_memory=sum(on_device),
                device_free=free_on(self.run.device),
            )
        )

    def evaluate(self, turn: Turn) -> float:
        """Evaluates the batches that the turn asks for, after one that is not timed. Returns the mean seconds of a batch."""
        import torch

        run, network = self.run, self.run.network
        batches = self.evaluations.chosen(turn.batches, turn.place)
        modes = [(module, module.training) for module in network.modules()]
        began = self.now()
        with run.fast_inference(), torch.no_grad():
            network.eval()
            predict_batch(run.prepared, network, batches[0], run.device)
            since = self.now()
            for examples in batches[self.world.rank :: self.world.size]:
                predict_batch(run.prepared, network, examples, run.device)
            self.world.gather(None)
            seconds = (self.now() - since) / len(batches)
        for module, training in modes:
            module.training = training
        self.entering.append(max(0.0, since - began - seconds))
        return seconds

    def save(self) -> float:
        """Writes what a run would write, with logits of 0. Returns the seconds that it took."""
        run, info, began = self.run, self.run.task.info, self.now()
        describe_weights(run)
        if self.world.rank > 0:
            return 0.0
        logits = {split: np.zeros((len(run.encoded[split]), info.n_outputs), np.float32) for split in info.predicted_splits}
        if not self.timed_whole:
            write_steps(self.folder / STEPS_FILE, self.job)
        write_predictions(self.folder / PREDICTIONS_FILE, logits, run.task.splits, run.encoded, info.slice_columns, info.kind)
        seconds = self.now() - began
        if self.request.keep == "none":
            return seconds
        trained = trained_model(run, logits)
        encoded = run.prepared.encode(trained.texts)
        right = predict(run.prepared, run.network, encoded, run.device)
        began = self.now()
        keep(type(trained)(**{**vars(trained), "logits": right}), self.folder / MODEL_FOLDER)
        return seconds + time.perf_counter() - began


class Evaluations:
    """The evaluation batches of a run, and how often it evaluates each."""

    def __init__(self, run: Assembly) -> None:
        info = run.task.info
        times = dict.fromkeys(info.predicted_splits, 1)
        if run.request.requested.select == "best-on-dev":
            dev = selection_split(info.scored_splits)
            times[dev] = times.get(dev, 0) + run.job(Job).schedule.evaluations
        self.encoded = run.encoded
        self.batches = [(split, rows) for split in times for rows in batches_of(run.encoded[split])]
        self.weights = np.cumsum([times[split] for split, _ in self.batches])
        self.total_splits = sum(times.values())
        repeats = 1 + (type(run.trainer).fast_inference is not Trainer.fast_inference)
        self.total = int(self.weights[-1]) + repeats
        """How many evaluation batches a run predicts in all. One is predicted again, to see whether predicting is reproducible,
        and once more if the trainer has a `fast_inference` of its own."""

    def chosen(self, count: int, place: float) -> list[Sequence[Row]]:
        """The examples of `count` of the batches, evenly spaced, where a batch has the more room the more often a run evaluates
        it. place: see `Turn.place`."""
        at = (place + np.arange(count)) / count * self.weights[-1]
        numbers = np.minimum(np.searchsorted(self.weights, at, side="right"), len(self.batches) - 1)
        picked = [self.batches[number] for number in numbers]
        return [[self.encoded[split][row] for row in rows] for split, rows in picked]


def free_on(device: Any) -> int | None:
    """Bytes of a CUDA device's memory that nobody uses; None for another device."""
    if device.type != "cuda":
        return None
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def perform_in_turns(send: Callable[[Message], None], request: str, folder: str, orders: Connection) -> None:
    """Performs a run in turns; the other side is `runner.turn_worker`.

    send: sends a `Ready`, `Taken` or `Ended`, each under its name in lower case, or why the run failed. request: a `Request` as
    JSON. folder: for what the run would save. orders: receives each `Turn` as JSON.
    """
    asked, place = Request.model_validate_json(request), Path(folder)
    clock = Clock()

    def attempt(world: World) -> bool:
        def next_turn() -> Turn:
            content = _received(orders) if world.rank == 0 else None
            return Turn.model_validate_json(world.gather(content)[0])

        def send_part(part: Part) -> None:
            if world.rank == 0:
                send({type(part).__name__.lower(): part.model_dump(mode="json")})

        own = place / f"rank-{world.rank}"
        Tree(place).make_fresh(own)
        forget_peak_memory()
        try:
            parts = import_all(asked)
            run = RunInTurns(asked, parts, own, next_turn=next_turn, send=send_part, clock=clock, world=world)
            run.perform()
        except Exception as error:  # of any component: the others are timed all the same
            fault = machine_error(error, places_of(asked, place))
            if fault is None and not isinstance(error, BakeoffError):
                traceback.print_exc()
            send({FAULT: str(fault)} if fault else {FAILED: f"{message_of(error)} (phase {clock.phase})"})
            return False
        return True

    processes = asked.requested.processes
    if processes == 1:
        attempt(ALONE)
        return
    import_all(asked)
    device = hardware.pick_device(asked.device).type
    hardware.require_processes(processes, device)
    if device == "cuda":
        hardware.show_all_devices()
    launch(attempt, processes, device=device, threads=asked.threads, logs=place / "logs")


def _received(orders: Connection) -> bytes:
    try:
        return orders.recv_bytes()
    except EOFError:  # the command is gone, or done with this process
        raise SystemExit(0) from None
