"""Rounds of turns: ratios under load, memory that is too small for all, whole trainings, processes that fail, budgets; with
processes that only say what they would take, and a clock of their own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakeoff.analysis.timings import baseline_of, paired, run_time
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.records.schema import Environment, Timed, Timing
from bakeoff.records.store import Store
from bakeoff.runner import rounds as module
from bakeoff.runner.rounds import LATE, LEAST_ROUNDS, Contender, Rounds, TimedGroup, TimingGoal
from bakeoff.runner.settings import Settings
from bakeoff.runner.turn_worker import SilenceError, TurnError
from bakeoff.training.turns import Ready, Taken, Turn

GIB = 2**30
MACHINE = Environment(
    software={}, hardware="a machine", threads=2, device="cpu", processor="p", memory_bytes=GIB, system="s", jobs=1
)


@dataclass
class Strategy:
    """What its process would take, in seconds of an idle machine."""

    step: float = 0.1
    batch: float = 0.05
    steps: int = 100
    whole: bool = False
    memory: int = GIB
    prepares: float = 1.0
    fails_at: int | None = None
    """The turn at which its process ends; 0 while it prepares."""
    silent: bool = False
    """Whether it prepares for ever."""


@dataclass
class Machine:
    """A machine with a clock, on which somebody else works too."""

    strategies: dict[str, Strategy]
    load: Callable[[float, random.Random], float] = lambda now, draw: 1.0
    """How many times as long all takes at this time."""
    now: float = 0.0
    draw: random.Random = field(default_factory=lambda: random.Random(3))  # noqa: S311 - a simulation
    alive: set[str] = field(default_factory=set)
    together: list[set[str]] = field(default_factory=list)
    """Whose processes were there at the same time, whenever one was started."""
    turns: list[tuple[str, Turn]] = field(default_factory=list)

    def work(self, seconds: float) -> float:
        taken = seconds * self.load(self.now, self.draw)
        self.now += taken
        return taken


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[tuple[int, float, str]] = []

    def prepare(self, title: str, name: str, number: int, total: int) -> None: ...

    def turn(self, title: str, *, rounds: int, widest: float, name: str, seconds_left: float) -> None:
        self.states.append((rounds, widest, name))

    def note(self, line: str) -> None:
        self.lines.append(line)


def measured(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, budget: float = 600.0, within: float = 0.02
) -> tuple[Timing, Rounds]:
    """The first strategy is the baseline."""

    class Process:
        def __init__(self, request: str, folder: Path, *, polled: Callable[[], None]) -> None:
            self.name, self.folder, self.taken = request, folder, 0
            self.spent = self.longest = 0.0
            self.memory = self.device_memory = 0
            self.device_free = None
            self.fixed_seconds = {"load": 1.0, "warm-up": 0.5}
            machine.alive.add(self.name)
            machine.together.append(set(machine.alive))

        @property
        def strategy(self) -> Strategy:
            return machine.strategies[self.name]

        def fail(self) -> None:
            if self.taken == self.strategy.fails_at:
                raise TurnError("its process ended: exit code 7")

        def ready(self, *, within: float) -> Ready:
            machine.now += within + 1 if self.strategy.silent else self.strategy.prepares
            self.fail()
            if self.strategy.silent:
                raise SilenceError("it gave no answer")
            whole = self.strategy.whole
            return Ready(environment=MACHINE, sources=[], whole=whole, steps=1 if whole else self.strategy.steps, batches=10)

        def take(self, turn: Turn, *, within: float) -> Taken:
            self.taken += 1
            self.fail()
            began = machine.now
            machine.turns.append((self.name, turn))
            number = min(turn.steps, 1) if self.strategy.whole else turn.steps
            step = machine.work(number * self.strategy.step) / number if number else None
            batch = machine.work(turn.batches * self.strategy.batch) / turn.batches if turn.batches else None
            self.memory = self.strategy.memory
            self.spent, self.longest = self.spent + machine.now - began, max(self.longest, machine.now - began)
            return Taken(step_seconds=step, batch_seconds=batch, memory=self.memory, device_memory=0, device_free=None)

        def finish(self, *, within: float) -> None: ...

        def end(self) -> None:
            machine.alive.discard(self.name)

    monkeypatch.setattr(module, "TurnWorker", Process)
    monkeypatch.setattr(module, "request_of", lambda run, settings, **more: run)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: machine.now))
    contenders = [Contender((name,), name, f"{number:032x}") for number, name in enumerate(machine.strategies)]  # type: ignore[arg-type]
    group = TimedGroup("task", "model", contenders[0].names[0], tuple(contenders), "task · model")
    store = Store(tmp_path)
    store.tree.make(store.records)
    goal, notes = TimingGoal(within=within, budget=budget), Notes()
    made = Rounds(group, store, Settings(paths=Paths(None, tmp_path)), goal, notes, keep="none", polled=lambda: None)
    try:
        return made.measure(until=machine.now + budget), made
    finally:
        assert machine.alive == set(), "every process was ended"
        assert list(store.records.glob(".tmp-*")) == [], "and its folder removed"


def of(timing: Timing, name: str) -> Timed:
    return next(one for one in timing.timed if name in one.strategies)


def ratio(timing: Timing, name: str, what: Any = "train") -> float:
    found = paired(what, of(timing, name), baseline_of(timing))
    assert found is not None
    return found.ratio


def test_a_machine_that_slows_and_has_bursts_changes_no_ratio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It becomes slower and slower, swings by 60 % every 40 s, and every twentieth turn takes ten times as long."""

    def load(now: float, draw: random.Random) -> float:
        drift, swing = 1 + now / 60, 1 + 0.6 * math.sin(now / 40 * 2 * math.pi)
        return drift * swing * (10 if draw.random() < 0.05 else 1) * draw.lognormvariate(0, 0.02)

    machine = Machine({"slow": Strategy(), "fast": Strategy(step=0.05, batch=0.04)}, load)
    timing, _ = measured(machine, monkeypatch, tmp_path, budget=3000.0, within=0.03)
    assert ratio(timing, "fast") == pytest.approx(0.5, rel=0.05)
    assert ratio(timing, "fast", "evaluate") == pytest.approx(0.8, rel=0.05)
    orders = [name for name, _ in machine.turns[2:]]
    firsts = orders[::2]
    assert 0.2 < firsts.count("slow") / len(firsts) < 0.8, "nobody always goes first"


def test_all_take_the_same_steps_and_batches_in_a_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({"a": Strategy(), "b": Strategy(step=0.3), "c": Strategy(step=0.01)})
    measured(machine, monkeypatch, tmp_path)
    later = machine.turns[3:]
    for start in range(0, len(later) - 2, 3):
        assert len({turn for _, turn in later[start : start + 3]}) == 1
    assert len({turn.place for _, turn in later}) == len(later) / 3, "other batches in each round"


def test_it_stops_when_all_is_certain_and_no_sooner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    timing, made = measured(Machine({"a": Strategy(), "b": Strategy()}), monkeypatch, tmp_path)
    assert made.rounds == LEAST_ROUNDS
    assert ratio(timing, "b") == 1.0
    assert timing.seconds < 60


def test_a_strategy_that_is_certain_leaves_the_turns_to_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({"a": Strategy(), "steady": Strategy(), "noisy": Strategy()})
    work = Machine.work

    def noisy(self: Machine, seconds: float) -> float:
        return work(self, seconds * (self.draw.lognormvariate(0, 0.3) if self.turns[-1][0] == "noisy" else 1))

    monkeypatch.setattr(Machine, "work", noisy)
    timing, made = measured(machine, monkeypatch, tmp_path, budget=60.0)
    assert len(of(timing, "steady").step_seconds) == LEAST_ROUNDS
    assert len(of(timing, "noisy").step_seconds) == made.rounds > 2 * LEAST_ROUNDS
    assert len(of(timing, "a").step_seconds) == made.rounds


def test_a_budget_ends_it_and_says_how_certain_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({"a": Strategy(), "b": Strategy()}, lambda now, draw: draw.lognormvariate(0, 0.5))
    timing, made = measured(machine, monkeypatch, tmp_path, budget=30.0)
    assert machine.now == pytest.approx(30.0, abs=5.0)
    found = paired("train", of(timing, "b"), baseline_of(timing))
    assert found is not None
    assert found.half_width > 0.05
    assert made.progress.states[-1][2] == "b"  # type: ignore[attr-defined]


def test_with_no_time_left_there_is_one_round_and_no_interval(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = Strategy(prepares=100.0)
    timing, made = measured(Machine({"a": slow, "b": slow}), monkeypatch, tmp_path, budget=30.0)
    assert made.rounds == 1
    taken = run_time(timing, of(timing, "b"))
    assert taken is not None
    assert (taken.train.low, taken.train.high) == (None, None)


def test_who_is_not_ready_when_the_budget_is_spent_is_left_out_and_told_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The third of four is too late, and the fourth is not even started; two are always timed."""
    machine = Machine({name: Strategy(prepares=25.0) for name in "abcd"} | {"c": Strategy(prepares=25.0, silent=True)})
    timing, made = measured(machine, monkeypatch, tmp_path, budget=60.0)
    assert made.failed == dict.fromkeys("cd", LATE)
    assert [one.strategies for one in timing.timed] == [["a"], ["b"]]
    assert machine.together[-1] == {"a", "b", "c"}


def test_what_does_not_fit_into_memory_together_is_timed_in_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["base", "b", "c", "d", "e"]
    machine = Machine({name: Strategy(step=0.1 * (number + 1)) for number, name in enumerate(names)})
    monkeypatch.setattr(module, "free_memory", lambda: (3 - len(machine.alive)) * 1.3 * GIB)
    timing, made = measured(machine, monkeypatch, tmp_path)
    assert machine.together == [{"base"}, {"base", "b"}, {"base", "b", "c"}, {"base", "d"}, {"base", "d", "e"}]
    assert [ratio(timing, name) for name in names] == pytest.approx([1, 2, 3, 4, 5])
    assert paired("train", of(timing, "b"), of(timing, "d")) is None, "they share no round"
    assert len(of(timing, "base").step_seconds) == made.rounds == 2 * LEAST_ROUNDS
    assert "0.0 GiB of memory are free" in made.progress.lines[0]  # type: ignore[attr-defined]
    assert timing.timed[0].strategies == ["base"]


def test_two_are_timed_together_however_little_memory_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({name: Strategy() for name in "abc"})
    monkeypatch.setattr(module, "free_memory", lambda: 0)
    measured(machine, monkeypatch, tmp_path)
    assert machine.together == [{"a"}, {"a", "b"}, {"a", "c"}]


def test_whole_trainings_do_not_take_the_others_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A step of the baseline takes 0.1 s, 100 a run; the other's training 30 s."""

    def load(now: float, draw: random.Random) -> float:
        return draw.lognormvariate(0, 0.1)

    machine = Machine({"loop": Strategy(), "same": Strategy(), "whole": Strategy(step=30.0, whole=True)}, load)
    timing, made = measured(machine, monkeypatch, tmp_path, budget=900.0)
    whole = of(timing, "whole")
    taken = [seconds for seconds in whole.step_seconds if seconds is not None]
    assert len(taken) < made.rounds / 3
    assert ratio(timing, "whole") == pytest.approx(3.0, rel=0.15)
    assert whole.whole
    assert machine.now < 960


def test_a_process_that_fails_is_left_out_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({"a": Strategy(), "b": Strategy(fails_at=0), "c": Strategy(fails_at=5), "d": Strategy(step=0.2)})
    timing, made = measured(machine, monkeypatch, tmp_path)
    assert made.failed == dict.fromkeys("bc", "its process ended: exit code 7")
    assert [one.strategies for one in timing.timed] == [["a"], ["d"]]
    assert ratio(timing, "d") == pytest.approx(2.0)


@pytest.mark.parametrize("turn", [0, 1, 4])
def test_without_its_baseline_nothing_is_timed(turn: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine({"a": Strategy(fails_at=turn), "b": Strategy()})
    with pytest.raises(BakeoffError, match="a, the baseline, can't be timed: its process ended: exit code 7"):
        measured(machine, monkeypatch, tmp_path)


def test_one_strategy_alone_has_its_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    timing, made = measured(Machine({"a": Strategy()}), monkeypatch, tmp_path)
    taken = run_time(timing, of(timing, "a"))
    assert taken is not None
    assert taken.train.seconds == pytest.approx(100 * 0.1 + 0.5)
    assert taken.total.seconds == pytest.approx(100 * 0.1 + 10 * 0.05 + 1.5)
    assert made.rounds == LEAST_ROUNDS
