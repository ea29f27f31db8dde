"""Seeds that are skewed near the end of the range: no verdict by the means alone, and a caution that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import BASELINE, ROW, clean_experiment, right_by_pattern
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison

N = 2000
LABELS = np.arange(N) % 3 % 2


def answers(*errors: int, where: int = 0) -> np.ndarray:
    """A run for each number of errors; which rows are wrong differs from run to run."""
    wrong = np.zeros((len(errors), N), dtype=bool)
    for run, number in enumerate(errors):
        wrong[run, (where + 37 * run + 13 * np.arange(number)) % N] = True
    return right_by_pattern(LABELS, ~wrong)


STEADY = answers(20, 22, 18, 21, 19, where=5)
SKEWED = answers(0, 14, 1, 5, 0)
BETTER = answers(4, 5, 3, 4, 5)


def found(row: Any, **keywords: Any) -> Comparison:
    """With a margin of two examples, so that nothing is equivalent."""
    rows = {BASELINE: STEADY, ROW: row}
    methods = {BASELINE: {"method": "full"}, ROW: {"method": "lora"}}
    return compare(
        clean_experiment(rows, labels=LABELS, records=methods, under_test=["method"], margin={"points": 0.1}, **keywords)
    )


def names(comparison: Comparison) -> set[str]:
    return {warning.name for warning in comparison.warnings}


def test_a_difference_of_skewed_seeds_has_no_verdict_and_says_why() -> None:
    comparison = found(SKEWED)
    (pair,) = comparison.groups[0].to_baseline
    assert (pair.verdict, pair.skewed) == ("inconclusive", [ROW])
    assert pair.low is not None
    assert pair.low > 0
    assert pair.p is not None
    assert pair.p > 0.05
    assert tells(pair.sentence, "", "inconclusive", f"the seeds of {ROW}", "30 %")
    assert tells(pair.advice, "a new experiment", "10 seeds")
    (warning,) = [warning for warning in comparison.warnings if warning.name == "skewed-seeds"]
    assert (warning.severity, warning.rows) == ("caution", [ROW])
    assert tells(warning.what, "", f"{ROW} against {BASELINE}")


def test_steady_seeds_near_the_end_keep_their_verdict() -> None:
    comparison = found(BETTER)
    (pair,) = comparison.groups[0].to_baseline
    assert (pair.verdict, pair.skewed) == ("better", [])
    assert "skewed-seeds" not in names(comparison)


def test_where_both_tests_show_it_the_verdict_stands_with_the_caution() -> None:
    comparison = found(answers(1, 7, 3, 6, 2))
    (pair,) = comparison.groups[0].to_baseline
    assert (pair.verdict, pair.skewed) == ("better", [ROW])
    assert "skewed-seeds" in names(comparison)


def test_two_seeds_are_an_anecdote_already() -> None:
    rows = {BASELINE: STEADY[:2], ROW: SKEWED[:2]}
    (pair,) = compare(clean_experiment(rows, labels=LABELS)).groups[0].to_baseline
    assert pair.skewed == []


@pytest.mark.parametrize("looks", [[3, 5]])
def test_looks_use_the_same_p(looks: list[int]) -> None:
    (pair,) = found(SKEWED, looks=looks).groups[0].to_baseline
    assert pair.verdict == "inconclusive"
    assert pair.skewed == [ROW]
