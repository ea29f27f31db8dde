"""Times the strategies of one comparison group in rounds: in each round every strategy takes a turn, a few steps and
evaluation batches, in random order. Read `Rounds.measure`."""

from __future__ import annotations

import math
import os
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import psutil

from bakeoff.analysis.timings import What, paired
from bakeoff.errors import BakeoffError
from bakeoff.planning.runs import Run
from bakeoff.records.schema import MOST_ROUNDS, Timed, Timing
from bakeoff.records.store import Store
from bakeoff.runner.scheduler import MEMORY_FACTOR
from bakeoff.runner.settings import Settings, request_of
from bakeoff.runner.turn_worker import SilenceError, TurnError, TurnWorker
from bakeoff.statistics.median_ratio import median_ratio
from bakeoff.text.numbers import gibibytes, rounded
from bakeoff.text.values import utc_now
from bakeoff.training.run_in_turns import FIRST_STEPS
from bakeoff.training.turns import Ready, Taken, Turn

CLAIM: Final = "costs"
"""The name under which a command claims the timing of an experiment, as it claims runs: two commands at once would slow each
other."""
TURN_SECONDS: Final = 0.5
"""About how long the steps of a turn take; its evaluation batches take half of that. Far longer than to switch between
processes, far shorter than other programs usually load the machine."""
FEWEST: Final = 3
MOST: Final = 100
"""The fewest and the most steps, or evaluation batches, of a turn."""
WARM_UP: Final = Turn(steps=FEWEST, batches=1)
"""Each process's first turn: its times are not counted, but decide how many steps and batches the later turns have."""
LEAST_ROUNDS: Final = 8
"""With fewer rounds than this an interval counts as infinitely wide: a narrow one is not believed yet."""
LOOK_EVERY: Final = 4
"""The intervals are examined every so many rounds: examined in each round, they would be found narrow too soon, and would hold
the true ratio less often than 95 %."""
FAIR_SHARE: Final = 2.0
"""A strategy whose turns are whole trainings skips rounds while its turns have taken more than this many times the mean time
of the other strategies."""
CUDA_BYTES: Final = 2**30
"""Bytes of a CUDA device's memory that a process takes besides its tensors."""
PATIENCE: Final = 20.0
"""A process is given up when its turn takes over a minute plus the larger of two times: this many times its longest turn
before, and what is left of the budget."""


LATE: Final = "its process was not ready when the budget was spent; give a larger --budget"


class TimingProgress(Protocol):
    """An object that is told how the measurement goes on, to show it to the user."""

    def prepare(self, title: str, name: str, number: int, total: int) -> None:
        """The process of strategy `name` is started, the `number`th of the `total` processes of the comparison group
        `title`."""

    def turn(self, title: str, *, rounds: int, widest: float, name: str, seconds_left: float) -> None:
        """A round of the comparison group `title` has ended, the `rounds`th. widest: half the width of the widest 95 %
        interval of a ratio, relative to the ratio (0.02 is 2 %), infinite at first; name: the strategy whose ratio that is."""

    def note(self, line: str) -> None:
        """Shows a sentence to the user."""


@dataclass(frozen=True, kw_only=True)
class TimingGoal:
    """When the measurement may end: when all ratios are certain enough, or the time is spent."""

    within: float = 0.02
    """Each ratio of a strategy's time to the baseline's is certain enough if its 95 % interval reaches at most this far to
    either side, relative to the ratio: 0.02 is 2 %."""
    budget: float = 600.0
    """Seconds that the whole command may take, preparations included."""


@dataclass(frozen=True)
class Contender:
    """The strategies of a comparison group whose runs do the same work (equal `timed_digest`), so that one of them is timed
    for all."""

    names: tuple[str, ...]
    run: Run
    """The run that is timed: one of the first of these strategies, at the first seed."""
    digest: str
    """Their `timed_digest`: the hash of what a run's time depends on."""


@dataclass(frozen=True)
class TimedGroup:
    """A comparison group that is timed; the contender of its baseline comes first."""

    task: str
    model: str
    baseline: str
    contenders: tuple[Contender, ...]
    title: str = ""
    """What messages call the group: the titles of its task and model."""


def free_memory() -> int:
    """Bytes of main memory that new processes can take."""
    return int(psutil.virtual_memory().available)


@dataclass
class Active:
    """A contender whose process is ready and warmed up."""

    contender: Contender
    worker: TurnWorker
    ready: Ready
    warm: Taken
    """What its first turn took, which does not count."""
    step_seconds: list[float | None] = field(default_factory=list)
    batch_seconds: list[float | None] = field(default_factory=list)
    """Seconds of a step and of an evaluation batch, by round; None where it took no turn, and shorter if it took none in the
    last rounds."""
    unfinished: set[What] = field(default_factory=set)
    """For which of training steps and evaluation batches its ratio to the baseline was not certain enough when last
    examined."""
    last: float = 0.0
    """Seconds of its last turn, evaluation included; 0 before its first turn that counts."""

    @property
    def name(self) -> str:
        return self.contender.names[0]

    @property
    def steps(self) -> int:
        return self.ready.steps

    @property
    def batches(self) -> int:
        return self.ready.batches

    def note(self, number: int, taken: Taken) -> None:
        """Appends what its turn in round `number` (from 0) took, after a None for each round since its last turn."""
        for seconds, found in ((self.step_seconds, taken.step_seconds), (self.batch_seconds, taken.batch_seconds)):
            seconds += [None] * (number - len(seconds))
            seconds.append(found)

    def uncertainty(self, what: What, baseline: Active) -> float:
        """Half the width, on the log scale, of the 95 % interval of its ratio to the baseline; for the baseline itself, of its
        median seconds. Infinite before `LEAST_ROUNDS` rounds."""
        if self is not baseline:
            found = paired(what, self, baseline)
        else:
            rounds = self.step_seconds if what == "train" else self.batch_seconds
            found = median_ratio([seconds for seconds in rounds if seconds is not None])
        return math.inf if found is None or found.rounds < LEAST_ROUNDS else found.half_width

    def timed(self) -> Timed:
        return Timed(
            strategies=list(self.contender.names),
            digest=self.contender.digest,
            sources=self.ready.sources,
            whole=self.ready.whole,
            steps=self.ready.steps,
            step_seconds=self.step_seconds,
            batches=self.ready.batches,
            batch_seconds=self.batch_seconds,
            fixed_seconds=self.worker.fixed_seconds,
            peak_memory_bytes=self.worker.memory,
        )


class Rounds:
    """The measurement of one comparison group."""

    def __init__(
        self,
        group: TimedGroup,
        store: Store,
        settings: Settings,
        goal: TimingGoal,
        progress: TimingProgress,
        *,
        keep: Literal["none", "final"],
        polled: Callable[[], None],
    ) -> None:
        """keep: whether runs save their model (`final`), which takes time too. polled: called about twice a second while a
        process is waited for."""
        self.group, self.store, self.settings, self.goal, self.progress = group, store, settings, goal, progress
        self.keep, self.polled = keep, polled
        self.failed: dict[str, str] = {}
        """Strategy -> why it can't be timed."""
        self.done: list[Active] = []
        self.rounds = self.started = 0
        self.lengths: tuple[int, int] | None = None
        """Steps and batches of a turn, the same for all strategies and rounds; None before the first round."""
        self.random = random.Random(0)  # noqa: S311 - an order of turns, no secret

    def measure(self, *, until: float) -> Timing:
        """Times all contenders until `until` (seconds of `time.monotonic()`): all in the same rounds if their processes fit
        into memory together, else in several sets, each together with the baseline. Raises BakeoffError if the baseline
        fails."""
        began, moment, load = time.monotonic(), utc_now(), os.getloadavg()[0]
        first, *others = self.group.contenders
        waiting, members = deque(others), list[Active]()
        baseline = self.start(first, until)
        if baseline is None:
            raise self.without_baseline()
        try:
            while True:
                while waiting and self.has_room(baseline, members):
                    contender = waiting.popleft()
                    if members and time.monotonic() > until:
                        self.note_failure(contender, LATE)
                    elif (one := self.start(contender, until)) is not None:
                        members.append(one)
                share = (until - time.monotonic()) * len(members) / max(1, len(members) + len(waiting))
                self.take_turns(baseline, members, until=time.monotonic() + share if waiting else until)
                while members:
                    self.finish(members[0])
                    self.let_go(members.pop(0))
                if not waiting:
                    break
            if not self.finish(baseline):
                raise self.without_baseline()
        finally:
            for one in (*members, baseline):
                self.let_go(one)
        *rest, last = self.done
        return Timing(
            task=self.group.task,
            model=self.group.model,
            baseline=self.group.baseline,
            measured=moment,
            seconds=rounded(time.monotonic() - began, 4),
            load=rounded(load, 3),
            environment=baseline.ready.environment,
            timed=[one.timed() for one in (last, *rest)],
        )

    def without_baseline(self) -> BakeoffError:
        why = self.failed[self.group.baseline]
        return BakeoffError(f"{self.group.title}: {self.group.baseline}, the baseline, can't be timed: {why}")

    # --- turns -----------------------------------------------------------------------------------------------------------

    def take_turns(self, baseline: Active, members: list[Active], *, until: float) -> None:
        """Makes rounds until each member's ratios to the baseline are certain enough, or until the time `until`; at least one
        round. Members that fail are removed from `members`."""
        steps, batches = self.lengths = self.lengths or lengths_of((baseline, *members))
        first = self.rounds
        while self.rounds < MOST_ROUNDS:
            if (self.rounds - first) % LOOK_EVERY == 0:
                self.look(baseline, members)
            needed = set().union(*(one.unfinished for one in members or [baseline]))
            taking = [one for one in members if one.unfinished and not self.sits_out(one, (baseline, *members), until)]
            expected = sum(one.last for one in (baseline, *taking))
            if not needed or (self.rounds > first and time.monotonic() + expected > until):
                return
            place, turns = self.random.random(), [baseline, *taking]
            self.random.shuffle(turns)
            for one in turns:
                what = needed if one is baseline else one.unfinished
                turn = Turn(steps=steps * ("train" in what), batches=batches * ("evaluate" in what), place=place)
                if not self.take_turn(one, turn, until):
                    if one is baseline:
                        raise self.without_baseline()
                    members.remove(one)
                    self.let_go(one)
            self.rounds += 1
            self.report(baseline, members, until)

    def take_turn(self, one: Active, turn: Turn, until: float) -> bool:
        """Lets `one` take a turn. Returns False if that fails; the failure is noted."""
        within = 60 + max(PATIENCE * one.worker.longest, until - time.monotonic())
        spent = one.worker.spent
        try:
            one.note(self.rounds, one.worker.take(turn, within=within))
        except TurnError as error:
            self.note_failure(one.contender, str(error))
            return False
        one.last = one.worker.spent - spent
        return True

    def look(self, baseline: Active, members: list[Active]) -> None:
        """Examines the intervals: sets `unfinished` of each member to the parts whose ratio needs more turns."""
        for one in members or [baseline]:
            parts: set[What] = {"train", "evaluate"} if min(one.batches, baseline.batches) else {"train"}
            one.unfinished = {what for what in parts if one.uncertainty(what, baseline) > math.log1p(self.goal.within)}

    def sits_out(self, one: Active, everyone: Iterable[Active], until: float) -> bool:
        """Whether a strategy whose turns are whole trainings skips this round: the others have had much less time, or there is
        no time left for another training."""
        if not one.ready.whole or not one.last:
            return False
        others = [other.worker.spent for other in everyone if other is not one]
        return one.worker.spent > FAIR_SHARE * statistics.fmean(others) or one.last > until - time.monotonic()

    def report(self, baseline: Active, members: list[Active], until: float) -> None:
        open_ones = [(one.uncertainty(what, baseline), one.name) for one in members or [baseline] for what in one.unfinished]
        widest, name = max(open_ones, default=(0.0, ""))
        left = max(0.0, until - time.monotonic())
        self.progress.turn(self.group.title, rounds=self.rounds, widest=math.expm1(widest), name=name, seconds_left=left)

    # --- processes -------------------------------------------------------------------------------------------------------

    def start(self, contender: Contender, until: float) -> Active | None:
        """Starts the contender's process and lets it warm up; returns None if that fails, which is noted."""
        self.started += 1
        self.progress.prepare(self.group.title, contender.names[0], self.started, len(self.group.contenders))
        folder, worker = self.store.begin(CLAIM), None
        patience = 60 + max(0.0, until - time.monotonic())
        try:
            worker = TurnWorker(request_of(contender.run, self.settings, keep=self.keep), folder, polled=self.polled)
            ready = worker.ready(within=patience)
            warm = worker.take(WARM_UP.model_copy(update={"steps": 0}) if ready.whole else WARM_UP, within=patience)
            return Active(contender, worker, ready, warm)
        except BaseException as error:  # whatever it is, no process and no folder may stay
            if worker is not None:
                worker.end()
            self.store.drop(folder)
            if not isinstance(error, TurnError):
                raise
            self.note_failure(contender, LATE if isinstance(error, SilenceError) and time.monotonic() > until else str(error))
            return None

    def has_room(self, baseline: Active, members: list[Active]) -> bool:
        """Whether another process fits into memory beside those that are ready. The baseline and one more are always allowed:
        with fewer there is no ratio."""
        if not members:
            return True
        workers = [one.worker for one in (baseline, *members)]
        needed, free = MEMORY_FACTOR * max(worker.memory for worker in workers), free_memory()
        if (on_device := workers[-1].device_free) is not None:
            wanted = MEMORY_FACTOR * max(worker.device_memory for worker in workers) + CUDA_BYTES
            if wanted > on_device:
                needed, free = wanted, on_device
        if free >= needed:
            return True
        self.progress.note(
            f"{self.group.title}: {gibibytes(free)} of memory are free, and a strategy takes up to {gibibytes(needed)}: "
            f"{', '.join(one.name for one in members)} are timed first, then the others, each time beside {baseline.name}"
        )
        return False

    def finish(self, one: Active) -> bool:
        """Lets its process save what a run saves and end, and adds it to `done`. Returns False if that fails; the failure is
        noted."""
        try:
            one.worker.finish(within=60 + PATIENCE * one.worker.longest)
        except TurnError as error:
            self.note_failure(one.contender, str(error))
            return False
        self.done.append(one)
        return True

    def let_go(self, one: Active) -> None:
        one.worker.end()
        self.store.drop(one.worker.folder)

    def note_failure(self, contender: Contender, reason: str) -> None:
        for name in contender.names:
            self.failed[name] = reason
        self.progress.note(f"{self.group.title}: {contender.names[0]} is not timed: {reason}")


def lengths_of(everyone: Iterable[Active]) -> tuple[int, int]:
    """How many steps and evaluation batches a turn has, so that they take about `TURN_SECONDS` and half of that, by the times
    of the warm-up turns."""
    stepped = [one for one in everyone if not one.ready.whole]
    steps = [one.warm.step_seconds for one in stepped if one.warm.step_seconds]
    batches = [one.warm.batch_seconds for one in everyone if one.warm.batch_seconds]
    room = min((one.steps - 1 - FIRST_STEPS for one in stepped), default=1)
    return min(_number(TURN_SECONDS, steps), room), _number(TURN_SECONDS / 2, batches)


def _number(seconds: float, each: list[float]) -> int:
    return min(MOST, max(FEWEST, int(seconds / statistics.median(each) + 0.5))) if each else FEWEST
