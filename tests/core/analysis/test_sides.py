"""Sides of comparisons that do not depend on the seed: one run, which stands beside every seed of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders.experiments import make_experiment
from builders.runs import drawn_answers
from scipy import stats

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.row_scores import SEED_FREE
from bakeoff.statistics.twoway import two_way

LABELS = (np.arange(600) % 3 > 0).astype(np.int64)
FULL = drawn_answers(LABELS, seeds=5, accuracy=0.9, seed=1)
TFIDF = drawn_answers(LABELS, seeds=1, accuracy=0.8, seed=2)
KNN = drawn_answers(LABELS, seeds=1, accuracy=0.79, seed=3)


def group_of(answers: dict[str, Any], *, free: list[str], **declared: Any) -> ComparisonGroup:
    records = {name: {"method": name} for name in answers}
    made = make_experiment(answers, LABELS, records=records, seed_free=free, under_test=["method"], **declared)
    return compare(made).groups[0]


@pytest.fixture(scope="module")
def group() -> ComparisonGroup:
    return group_of({"full": FULL, "tfidf": TFIDF, "knn": KNN}, free=["tfidf", "knn"])


def test_its_run_is_compared_with_every_seed_of_another(group: ComparisonGroup) -> None:
    pair = next(pair for pair in group.to_baseline if pair.first == "tfidf")
    right = np.asarray([run == LABELS for run in (*TFIDF, *FULL)], dtype=float)
    expected = two_way(right[0] - right[1:])
    assert pair.difference == pytest.approx(expected.difference)
    df = len(FULL) - 1.0
    half = (pair.high - pair.low) / 2 if pair.low is not None and pair.high is not None else 0.0
    assert half == pytest.approx(expected.se * stats.t.ppf(0.975, df))
    assert (pair.seeds, pair.seed_free, pair.verdict) == ((5, 5), ["tfidf"], "worse")
    assert pair.checks.randomisation_smallest_p == 2 / 2**5


def test_two_of_them_are_compared_over_examples_alone() -> None:
    pair = group_of({"tfidf": TFIDF, "knn": KNN, "full": FULL}, free=["tfidf", "knn"]).to_baseline[0]
    assert (pair.first, pair.method, pair.seeds, pair.over_examples_alone) == ("knn", "examples only", (1, 1), True)
    assert pair.low is not None
    assert pair.high is not None
    assert pair.low < pair.difference < pair.high
    assert pair.checks.mcnemar_p is not None
    assert pair.p == pytest.approx(pair.checks.mcnemar_p, abs=0.15)


def test_its_row_is_one_run_ranked_and_without_warnings_about_seeds(group: ComparisonGroup) -> None:
    row = next(row for row in group.rows if row.strategy == "tfidf")
    score = group.score(row)
    assert score is not None
    assert (row.seed_free, score.seeds, score.sd) == (True, [0], None)
    assert score.method == SEED_FREE
    assert row.rank is not None
    assert not {"few-seeds", "identical-runs", "missing-runs"} & set(row.warnings)


def test_without_the_declaration_one_run_is_an_anecdote() -> None:
    group = group_of({"full": FULL, "tfidf": TFIDF}, free=[])
    assert "few-seeds" in next(row for row in group.rows if row.strategy == "tfidf").warnings
    assert group.to_baseline[0].verdict == "inconclusive"


def test_seeds_of_the_other_side_still_have_to_be_three() -> None:
    group = group_of({"full": FULL[:2], "tfidf": TFIDF}, free=["tfidf"])
    assert (group.to_baseline[0].verdict, group.to_baseline[0].seeds) == ("inconclusive", (2, 2))


def test_equal_predictions_at_every_seed_are_identical() -> None:
    group = group_of({"full": np.repeat(TFIDF, 3, axis=0), "tfidf": TFIDF}, free=["tfidf"])
    assert group.to_baseline[0].verdict == "identical"


def test_looks_ask_for_no_more_seeds_of_it() -> None:
    group = group_of({"full": FULL, "tfidf": TFIDF}, free=["tfidf"], looks=[3, 5])
    assert group.looks is not None
    assert group.looks.taken
    assert next(row for row in group.rows if row.strategy == "tfidf").missing == []
    assert group.to_baseline[0].verdict == "worse"
