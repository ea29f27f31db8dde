"""What `bakeoff time` prints of a measurement, and of its progress."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from builders import make_record, make_timed, make_timing
from messages import tells

from bakeoff.cli.progress import PlainTimingProgress, state_of
from bakeoff.cli.time import lines_of, uncertain
from bakeoff.records.schema import Record, Timing, Titles
from bakeoff.runner.rounds import TimingGoal

GOAL = TimingGoal()


def records() -> list[Record]:
    trainers = {"trainer-api": "hf-trainer", "loop": "torch-loop", "probe": "linear-probe"}
    return [make_record(name, trainer=trainer) for name, trainer in trainers.items()]


def cells(timing: Timing, name: str) -> Sequence[str]:
    line = next(line for line in lines_of(timing, GOAL, Titles()) if line.startswith(f"{name} "))
    return [cell for cell in line.split("  ") if cell.strip()]


def test_steps_batches_ratios_and_the_whole_run_are_printed() -> None:
    timing = make_timing(records(), {"trainer-api": 0.4, "loop": 0.2}, noise=0.0)
    _, step, ratio, batch, batch_ratio, run, turns = map(str.strip, cells(timing, "loop"))
    assert ratio == batch_ratio == "× 0.50 [0.50, 0.50]"
    assert step.endswith(" ms")
    assert batch.endswith((" s", " ms"))
    assert run.endswith(("min", " s"))
    assert turns == "20"
    assert cells(timing, "trainer-api")[2].strip() == "–", "the baseline has no ratio to itself"


def test_names_that_share_turns_have_a_line_each_and_whole_trainings_are_named() -> None:
    timing = make_timing(records(), {"trainer-api": 0.4, "loop": 0.2})
    base, loop = timing.timed
    probe = make_timed(records(), "probe", [30.0] * 20, whole=True, steps=1)
    timing = timing.model_copy(update={"timed": [base, loop.model_copy(update={"strategies": ["loop", "again"]}), probe]})
    lines = lines_of(timing, GOAL, Titles())
    assert sum(line.startswith(("loop ", "again ")) for line in lines) == 2
    assert any(line.startswith("timed whole, ") and line.endswith(": probe") for line in lines)


def test_what_is_less_certain_than_asked_for_is_named() -> None:
    timing = make_timing(records(), {"trainer-api": 0.4, "loop": 0.2}, noise=0.3)
    assert uncertain(timing, GOAL) == ["loop"]
    assert any(tells(line, "less certain ", "± 2 %: loop") for line in lines_of(timing, GOAL, Titles()))
    few = make_timing(records(), {"trainer-api": 0.4, "loop": 0.2}, rounds=3)
    assert uncertain(few, GOAL) == ["loop"], "three rounds give no interval"
    assert uncertain(make_timing(records(), {"trainer-api": 0.4, "loop": 0.2}, noise=0.01), GOAL) == []


def test_progress_says_how_far_it_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    assert state_of(3, math.inf, "lora") == "3 rounds"
    assert state_of(12, 0.034, "lora").split(", ") == ["12 rounds", "least certain: lora", "± 3.4 %"]
    assert state_of(12, 0.0, "").split(", ") == ["12 rounds", "all ratios certain enough"]
    progress = PlainTimingProgress()
    progress.prepare("task · model", "lora", 2, 7)
    progress.turn("task · model", rounds=1, widest=math.inf, name="lora", seconds_left=30.0)
    progress.EVERY_SECONDS = 0.0
    progress.turn("task · model", rounds=12, widest=0.034, name="lora", seconds_left=30.0)
    assert capsys.readouterr().err.splitlines() == [
        "task · model: preparing lora (2 of 7)",
        "task · model: 12 rounds, least certain: lora, ± 3.4 %; at most 30 s left",
    ]
