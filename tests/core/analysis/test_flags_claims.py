"""negligible-difference, small-margin, multiple-comparisons, few-examples: what may not be concluded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    clean_answers,
    clean_experiment,
    drawn_answers,
    importing,
    make_experiment,
    published,
)
from core.analysis.found_warnings import codes, judged_groups, only_warning, the_warning
from messages import tells

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.records.experiment import Experiment
from bakeoff.statistics.power import mde_examples
from bakeoff.text.numbers import p_equals, p_value


def group_of(made: Experiment) -> ComparisonGroup:
    (judged,) = judged_groups(made)
    return judged.group


def worse_by(examples: int, *, seeds: int = 8) -> dict[str, np.ndarray]:
    """The row has so many examples fewer right than the baseline, the same ones at every seed."""
    base = clean_answers(seeds=seeds)
    row = base.copy()
    always = np.flatnonzero((base == LABELS).all(axis=0))[:examples]
    row[:, always] = 1 - row[:, always]
    return {BASELINE: base, ROW: row}


def test_a_sure_difference_inside_the_margin_is_no_reason_to_choose() -> None:
    warning = the_warning(clean_experiment(worse_by(12), margin=8.0), "negligible-difference")
    assert warning.rows == [ROW]
    assert "3.00 points" in warning.what
    assert "margin of 8.00 points" in warning.what
    assert "negligible-difference" not in codes(clean_experiment(worse_by(12), margin=1.0))


def on_examples(n: int, **facts: Any) -> Experiment:
    """An experiment scored on n examples."""
    labels = np.arange(n) % 3 // 2
    answers = {name: drawn_answers(labels, seeds=8, accuracy=0.8, seed=seed) for seed, name in enumerate((BASELINE, ROW))}
    return make_experiment(answers, labels, under_test=["trainer"], **facts)


@pytest.mark.parametrize(("n", "margin"), [(71, 1 / 71), (99, 1 / 99), (101, 0.01), (400, 0.01)])
def test_the_default_margin_is_a_point_or_one_example_where_that_is_more(n: int, margin: float) -> None:
    group = group_of(on_examples(n, margin={}))
    assert group.margin == pytest.approx(margin, rel=1e-12)
    assert group.margin_note == ("the default: what one example is worth" if n < 100 else "the default")
    assert "small-margin" not in codes(on_examples(n, margin={}))


def test_a_written_margin_below_one_example_is_a_caution() -> None:
    warning = the_warning(on_examples(71, margin=1.4), "small-margin")
    assert (warning.severity, warning.rows) == ("caution", [ROW])
    assert "1.41 points" in warning.what_to_do
    group = group_of(on_examples(71, margin=1.4))
    assert (group.margin, group.margin_note) == (pytest.approx(0.014), "less than one example is worth")
    for n, enough in ((71, 100 / 71), (71, 1.5), (72, 1.4)):
        assert "small-margin" not in codes(on_examples(n, margin=enough))


def test_a_difference_that_is_not_significant_is_no_equality() -> None:
    made = clean_experiment({BASELINE: clean_answers(seed=1), ROW: clean_answers(seed=3)}, margin=0.5)
    (pair,) = group_of(made).to_baseline
    assert pair.finding == "inconclusive"
    assert pair.detectable is not None
    assert abs(pair.difference) < pair.margin
    warning = only_warning(made, "inconclusive")
    assert "not shown to" in warning.what
    assert pair.detectable_range is not None
    for value in (pair.detectable, *pair.detectable_range):
        assert f"{100 * value:.2f}" in warning.what
    assert "spec.yaml --resolve 0.5`" in warning.what_to_do


def test_a_p_that_does_not_hold_among_many_is_told_with_both_values() -> None:
    rows = {BASELINE: clean_answers(seed=0), ROW: worse_rows(7)} | {f"row-{n}": clean_answers(seed=n) for n in range(1, 8)}
    made = clean_experiment(rows)
    pair = next(pair for pair in group_of(made).to_baseline if pair.first == ROW)
    assert pair.p is not None
    assert pair.p_adjusted is not None
    assert pair.p < 0.05 <= pair.p_adjusted
    warning = the_warning(made, "multiple-comparisons")
    assert ROW in warning.rows
    assert f"({p_equals(pair.p)}, adjusted {p_value(pair.p_adjusted)})" in warning.what
    assert "8 comparisons" in warning.what
    assert "multiple-comparisons" not in codes(clean_experiment({BASELINE: rows[BASELINE], ROW: rows[ROW]}))


def worse_rows(examples: int) -> np.ndarray:
    base = clean_answers(seed=0)
    always = np.flatnonzero((base == LABELS).all(axis=0))[:examples]
    base[:, always] = 1 - base[:, always]
    return base


def test_a_gain_of_single_runs_below_the_resolution_of_the_split_is_said() -> None:
    made = clean_experiment(worse_by(6, seeds=1))
    warning = the_warning(made, "few-examples")
    discordance = 6 / 400
    assert warning.rows == [ROW]
    assert "1.50 points away" in warning.what
    assert f"{100 * mde_examples(discordance, 400):.2f} points" in warning.what
    assert "right on 1.5" in warning.what


def test_examples_that_no_number_of_seeds_makes_up_for_are_said() -> None:
    """Twelve examples for the one, twenty for the other, at every seed alike: more seeds would show the same."""
    base = clean_answers()
    row = base.copy()
    easy, hard = (np.flatnonzero(right.all(axis=0)) for right in (base == LABELS, base != LABELS))
    row[:, easy[:20]] = 1 - row[:, easy[:20]]
    row[:, hard[:12]] = 1 - row[:, hard[:12]]
    made = clean_experiment({BASELINE: base, ROW: row})
    (pair,) = group_of(made).to_baseline
    assert pair.detectable_with_all_seeds is not None
    warning = only_warning(made, "few-examples")
    assert "2.00 points away" in warning.what
    assert tells(warning.what, "", "seeds without end ", f"only {100 * pair.detectable_with_all_seeds:.2f} points")


def test_what_more_seeds_would_tell_is_not_blamed_on_the_examples() -> None:
    wild = np.concatenate(
        [clean_answers(accuracy=accuracy, seeds=1, seed=n) for n, accuracy in enumerate((0.97, 0.8, 0.97, 0.82))]
    )
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.85, seeds=4, seed=9), ROW: wild})
    (pair,) = group_of(made).to_baseline
    assert pair.finding == "inconclusive"
    assert abs(pair.difference) > pair.margin
    assert "few-examples" not in codes(made)


def test_a_difference_that_the_test_confirms_is_not_called_too_small() -> None:
    assert codes(clean_experiment(worse_by(60))) == []


def test_published_figures_of_one_source_that_differ_too_little_are_not_ranked() -> None:
    course = (published("trainer", source="course", accuracy=0.8578), published("loop", source="course", accuracy=0.8431))
    warning = the_warning(importing(clean_experiment(), *course), "few-examples")
    assert warning.rows == ["trainer", "loop"]
    assert "1.47 points apart" in warning.what
    assert f"{100 * mde_examples(0.08, 400):.2f} points" in warning.what
    assert "negligible-difference" not in codes(importing(clean_experiment(), *course))


def test_published_figures_inside_the_margin_are_told_by_the_margin() -> None:
    close = (published("a", source="course", accuracy=0.8578), published("b", source="course", accuracy=0.8531))
    found = codes(importing(clean_experiment(), *close))
    assert "negligible-difference" in found
    assert "few-examples" not in found


def test_published_figures_of_two_sources_make_no_claim_together() -> None:
    rows = (published("a", source="one", accuracy=0.8578), published("b", source="two", accuracy=0.8431))
    assert codes(importing(clean_experiment(), *rows)) == ["published-figures"]


def test_published_figures_far_apart_are_only_copied() -> None:
    rows = (published("a", source="one", accuracy=0.8578), published("b", source="one", accuracy=0.7031))
    assert codes(importing(clean_experiment(), *rows)) == ["published-figures"]
