"""The table of the price of a verdict: runs, seconds and verdicts as records and `bakeoff time` have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.verdict_cost import ARMS, Price, price_of, render
from builders import BASELINE, ROW, clean_answers, clean_experiment

from bakeoff.analysis.comparison import compare
from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import read_document

FOLDER = Path(__file__).parents[2] / "results" / "verdict-cost"


def test_a_price_is_runs_times_the_seconds_of_one() -> None:
    answers = {BASELINE: clean_answers(accuracy=0.9, seeds=5, seed=1), ROW: clean_answers(accuracy=0.5, seeds=8, seed=2)}
    (group,) = compare(clean_experiment(answers)).groups
    found = price_of(group, {BASELINE: 10.0, ROW: 3.0})
    assert (found.runs, found.seconds) == ({BASELINE: 5, ROW: 8}, 5 * 10.0 + 8 * 3.0)
    assert (found.verdicts, found.decided, found.futile) == ({ROW: "worse"}, 1, 0)


def test_the_table_says_how_many_times_cheaper_looks_are() -> None:
    looks = Price({"full": 3}, 100.0, {"lora": "futile"})
    usual = replace(looks, seconds=640.0, verdicts={"lora": "inconclusive"})
    text = render({"as-usual": usual, "torch-loop": usual, "looks": looks})
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    assert [float(row[8]) for row in rows] == [6.4, 6.4, 1.0]
    assert [[int(cell) for cell in row[4:7]] for row in rows] == [[0, 0, 1], [0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("arm", ARMS)
def test_the_timed_ways_are_those_that_are_run(arm: str) -> None:
    """But for the name, seed and looks: what a run of it takes is then what was measured."""
    plans = [resolve(read_document(FOLDER / name / "spec.yaml"), load_registry()) for name in (arm, "costs")]
    run, timed = ({one.name: one for one in plan.strategies} for plan in plans)
    prefix, _ = ARMS[arm]
    assert run.keys() == {name.removeprefix(f"{prefix}-") for name in timed if name.startswith(f"{prefix}-")}
    for name, one in run.items():
        other = timed[f"{prefix}-{name}"]
        assert one.recipe == other.recipe
        for mine, its in ((one.trainer, other.trainer), (one.method, other.method)):
            assert (mine.name, mine.options) == (its.name, its.options)
