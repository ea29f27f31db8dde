"""A run performed in turns, in this process: which steps and batches a turn is made of, and that none is counted twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.fields import Part
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.planning.resolver import resolve
from bakeoff.runner.settings import Settings, request_of
from bakeoff.spec.document import read_document
from bakeoff.training import run_in_turns as module
from bakeoff.training.assembly import components
from bakeoff.training.clock import Clock
from bakeoff.training.evaluation import EVALUATION_BATCH
from bakeoff.training.run_in_turns import Evaluations, RunInTurns
from bakeoff.training.turns import Ended, Ready, Taken, Turn

SPEC = """
name: turns
tasks: [{{name: toy, size: {size}}}]
models: [tiny-bert]
seeds: 1
select: {select}
recipe: {{{recipe}}}
strategies: {{it: {{trainer: {trainer}, method: {method}}}}}
"""


class Heard(list[Part]):
    """What a process would send."""

    def of(self, kind: type[Part]) -> list[Any]:
        return [part for part in self if isinstance(part, kind)]


def taken(
    folder: Path,
    turns: Sequence[Turn],
    *,
    size: int = 56,
    length: str = "batch_size: 8, epochs: 1",
    trainer: str = "torch-loop",
    method: str = "full",
    select: str = "last-epoch",
) -> tuple[RunInTurns, Heard]:
    """A run that has taken these turns, and then the last."""
    recipe = ", ".join(filter(None, ["max_length: 32", length]))
    (folder / "spec.yaml").write_text(
        SPEC.format(size=size, recipe=recipe, trainer=trainer, method=method, select=select), encoding="utf-8"
    )
    plan = resolve(read_document(folder / "spec.yaml"), load_registry())
    settings = Settings(paths=Paths(None, folder / "cache", folder), threads=1, device="cpu")
    request, heard = request_of(plan.runs[0], settings), Heard()

    def orders() -> Iterator[Turn]:
        yield from turns
        yield Turn(end=True)

    (folder / "files").mkdir()
    parts = components(request, load_registry())
    run = RunInTurns(request, parts, folder / "files", next_turn=orders().__next__, send=heard.append, clock=Clock())
    run.perform()
    return run, heard


class Stopwatch:
    """Counts steps instead of seconds: a turn's seconds are the steps that the model took while they were timed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = self.assembled = 0
        end_step, assemble = module._Longer.end_step, RunInTurns.assemble

        def ended(job: Any, step: int, loss: Any) -> Any:
            self.steps += 1
            return end_step(job, step, loss)

        def assembled(run: RunInTurns) -> Any:
            self.assembled += 1
            return assemble(run)

        monkeypatch.setattr(module._Longer, "end_step", ended)
        monkeypatch.setattr(RunInTurns, "assemble", assembled)
        monkeypatch.setattr(RunInTurns, "now", lambda run: float(self.steps))


def test_a_turn_times_its_steps_and_a_run_that_ends_begins_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seven steps a run: after two that are not timed a turn of three fits, a second one does not."""
    watch = Stopwatch(monkeypatch)
    _, heard = taken(tmp_path, [Turn(steps=3), Turn(steps=1), Turn(steps=3), Turn(steps=3), Turn(steps=4)])
    (ready,) = heard.of(Ready)
    assert (ready.whole, ready.steps) == (False, 7)
    assert [turn.step_seconds for turn in heard.of(Taken)] == [1.0] * 5
    assert watch.steps == 5 + 3 + 5 + 5 + 6, "each needed a run of its own"
    assert watch.assembled == 2 + 4, "twice to begin with, for the caches"
    assert isinstance(heard[-1], Ended)


def test_within_a_run_one_step_stands_before_the_timed_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watch = Stopwatch(monkeypatch)
    _, heard = taken(tmp_path, [Turn(steps=3)] * 4, size=200)
    assert [turn.step_seconds for turn in heard.of(Taken)] == [1.0] * 4
    assert watch.steps == 2 + 3 + 3 * 4
    assert watch.assembled == 2


def test_what_the_first_steps_take_beyond_the_others_counts_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watch = Stopwatch(monkeypatch)
    begin = module._Longer.begin_step

    def slow(job: Any, step: int) -> None:
        begin(job, step)
        watch.steps += 10 if step == 0 else 0

    monkeypatch.setattr(module._Longer, "begin_step", slow)
    _, heard = taken(tmp_path, [Turn(steps=3)] * 3, size=200)
    assert heard[-1].fixed_seconds["warm-up"] == pytest.approx(10, abs=1)  # type: ignore[attr-defined]
    assert {"import", "load", "encode", "build", "warm-up", "evaluate", "save"} == heard[-1].fixed_seconds.keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("trainer", "method", "length"), [("linear-probe", "head-only", ""), ("torch-loop", "full", "max_steps: 3")]
)
def test_a_training_without_steps_enough_is_timed_whole(
    trainer: str, method: str, length: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained: list[int] = []
    fit = RunInTurns.fit
    monkeypatch.setattr(RunInTurns, "fit", lambda run: (trained.append(len(trained)), fit(run))[1])
    turns = [Turn(batches=1), Turn(steps=3, batches=1), Turn(steps=3)]
    _, heard = taken(tmp_path, turns, trainer=trainer, method=method, length=length)
    (ready,) = heard.of(Ready)
    assert (ready.whole, ready.steps) == (True, 1)
    assert len(trained) == 2
    assert [turn.step_seconds is None for turn in heard.of(Taken)] == [True, False, False]
    assert [turn.batch_seconds is None for turn in heard.of(Taken)] == [False, False, True]


def test_evaluation_leaves_the_training_as_it_was(tmp_path: Path) -> None:
    """The losses of a run that was evaluated before each turn are those of one that was not, to the bit."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, _ = taken(tmp_path / "a", [Turn(steps=3)] * 2, size=100)
    evaluated, _ = taken(tmp_path / "b", [Turn(batches=2), Turn(steps=3, batches=2, place=0.3)] * 2, size=100)
    assert plain.job.step_losses() == evaluated.job.step_losses()
    assert len(plain.job.losses) == 9


@pytest.mark.parametrize("trainer", ["torch-loop", "hf-trainer", "fast-loop", "right"])
def test_each_trainer_stops_in_the_middle_of_a_run_and_begins_anew(trainer: str, tmp_path: Path) -> None:
    _, heard = taken(tmp_path, [Turn(steps=3, batches=1)] * 3, trainer=trainer)
    assert all(turn.step_seconds > 0 and turn.batch_seconds > 0 for turn in heard.of(Taken))
    assert len(heard.of(Taken)) == 3


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ("one-short", "ended after 6 of 7 steps"),
        ("swallows", "swallowed an exception"),
        ("diverges", "the loss was not finite at step"),
    ],
)
def test_a_trainer_that_breaks_its_contract_is_not_timed(
    trainer: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bakeoff.training.job.POLL_SECONDS", 0.0)
    monkeypatch.setattr(RunInTurns, "begin_turn", endless(RunInTurns.begin_turn))
    with pytest.raises(BakeoffError, match=message):
        taken(tmp_path, [], trainer=trainer)


def endless(begin_turn: Any) -> Any:
    """A turn without an end: the trainer goes on to its own."""

    def begin(run: RunInTurns, step: int) -> Turn:
        run.starts, run.ends = step + 1, 10**9
        return Turn(steps=1)

    return begin


def test_batches_are_taken_from_all_evaluations_as_often_as_a_run_evaluates(tmp_path: Path) -> None:
    """Dev has 20 examples, a batch, and is evaluated after each of three epochs and at the end; test has 30, a batch."""
    run, heard = taken(tmp_path, [], length="batch_size: 8, epochs: 3", select="best-on-dev")
    (ready,) = heard.of(Ready)
    assert ready.batches == 3 + 1 + 1 + 1, "dev three times to choose and once to report, test, and the first batch again"
    sizes = {place: [len(batch) for batch in run.evaluations.chosen(5, place)] for place in (0.0, 0.5, 0.99)}
    assert sizes == {place: [20, 20, 20, 20, 30] for place in sizes}
    assert EVALUATION_BATCH == 32
    assert isinstance(run.evaluations, Evaluations)
