"""What may be said of two rows, from answers made to be told apart, equal, or neither."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    SEEDS,
    altered,
    clean_answers,
    clean_experiment,
    declaring,
    drawn_answers,
    make_experiment,
    right_by_pattern,
)
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.results import Pair
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.statistics.shrinkage import shrunk_upwards
from bakeoff.statistics.twoway import run_table, two_way_unpaired


def verdict(made: Experiment) -> Pair:
    """Of the one row against the baseline."""
    (group,) = compare(made).groups
    (pair,) = group.to_baseline
    return pair


def duel(first: object, second: object, **keywords: object) -> Pair:
    return verdict(make_experiment({"base": second, "row": first}, LABELS, under_test=["trainer"], **keywords))  # type: ignore[arg-type]


def test_rows_with_equal_predictions_are_identical_before_any_statistic() -> None:
    pair = duel(clean_answers(), clean_answers())
    assert (pair.verdict, pair.p, pair.p_adjusted, pair.comparisons) == ("identical", None, None, 0)
    assert pair.sentence == "row and base are identical: every prediction is equal, at all 8 seeds."


def test_one_other_prediction_ends_identity() -> None:
    other = clean_answers().copy()
    other[3, 7] = 1 - other[3, 7]
    assert duel(other, clean_answers()).verdict != "identical"


def test_equal_scores_of_unequal_predictions_are_not_identical() -> None:
    right = np.ones((4, len(LABELS)), dtype=bool)
    one, other = right.copy(), right.copy()
    one[:, :40], other[:, 40:80] = False, False
    pair = duel(right_by_pattern(LABELS, one), right_by_pattern(LABELS, other))
    assert pair.difference == 0
    assert pair.verdict == "inconclusive"
    assert "mean accuracy" in pair.sentence


@pytest.mark.parametrize(("mine", "theirs", "expected"), [(0.9, 0.75, "better"), (0.75, 0.9, "worse")])
def test_a_clear_difference_is_better_or_worse_by_the_primary_estimate(mine: float, theirs: float, expected: str) -> None:
    first, second = clean_answers(accuracy=mine, seed=1), clean_answers(accuracy=theirs, seed=2)
    pair = duel(first, second)
    estimate = two_way_unpaired((first == LABELS).astype(float), (second == LABELS).astype(float))
    assert pair.verdict == expected
    assert (pair.low, pair.high) == pytest.approx(estimate.interval())
    assert pair.p == pair.p_adjusted == pytest.approx(estimate.p)
    assert f"row is {expected} than base: " in pair.sentence


def test_a_small_difference_inside_the_margin_is_equivalent_even_if_significant() -> None:
    right = np.ones((8, len(LABELS)), dtype=bool)
    right[:, :40] = False
    less = right.copy()
    less[:, 40:43] = False  # three examples of 400 at every seed: 0.75 points
    pair = duel(right_by_pattern(LABELS, less), right_by_pattern(LABELS, right), margin=3.0)
    assert pair.verdict == "equivalent"
    assert pair.difference == pytest.approx(-0.0075)
    assert duel(right_by_pattern(LABELS, less), right_by_pattern(LABELS, right), margin=0.5).verdict == "inconclusive"


def test_what_a_design_cannot_see_is_inconclusive_and_says_what_it_would_take() -> None:
    pair = duel(clean_answers(accuracy=0.81, seeds=3, seed=1), clean_answers(accuracy=0.80, seeds=3, seed=2))
    assert pair.verdict == "inconclusive"
    assert pair.detectable is not None
    assert pair.detectable > pair.margin
    assert "of five experiments" in pair.sentence
    assert "no difference" not in pair.sentence
    assert "examples" in pair.advice
    assert "seeds" in pair.advice


def test_more_seeds_are_advised_where_seeds_are_what_lacks() -> None:
    generator = np.random.default_rng(5)
    shifts = generator.normal(0.85, 0.04, size=(2, 4))  # runs differ by much, examples by nothing but how often they are right
    sides = [
        right_by_pattern(LABELS, np.stack([generator.permutation(len(LABELS)) < share * len(LABELS) for share in shares]))
        for shares in shifts
    ]
    pair = duel(*sides, margin=5.0)
    assert pair.verdict == "inconclusive"
    assert pair.budget is not None
    assert pair.budget.largest == "seeds"
    assert "difference of 5.00" in pair.advice


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_an_anecdote_whatever_they_show(seeds: int) -> None:
    pair = duel(clean_answers(accuracy=0.95, seeds=seeds, seed=1), clean_answers(accuracy=0.6, seeds=seeds, seed=2))
    assert pair.verdict == "inconclusive"
    assert tells(pair.sentence, "", f"from {seeds} seed{'s' if seeds > 1 else ''}, ", "anecdote.")
    assert "at least 3 seeds" in pair.advice
    assert (pair.checks.mcnemar_p is not None) == (seeds == 1)
    assert (pair.low is None) == (seeds == 1)


def test_an_undeclared_difference_keeps_a_pair_out_of_better() -> None:
    made = altered(clean_experiment(), "observed", clipped_at=None, gradient_norm_max=9.0)
    made = altered(made, "requested", recipe={**made.records[0].requested.recipe, "max_grad_norm": None})
    made = altered(made, "requested", row=BASELINE, recipe={**made.records[0].requested.recipe, "max_grad_norm": 1.0})
    pair = verdict(declaring(made, under_test=["trainer"]))
    assert (pair.finding, pair.verdict) == ("better", "confounded")
    assert "manual-loop against trainer-api" in pair.sentence
    declared = verdict(declaring(made, under_test=["trainer", "recipe.max_grad_norm"]))
    assert declared.verdict == "better"
    assert [fact.subject for fact in declared.studied] == ["gradient clipping"]
    assert verdict(declaring(made, under_test=["recipe"])).verdict == "better"


def test_seeds_that_are_not_the_same_are_compared_unpaired() -> None:
    seeds = {"base": range(8), "row": range(100, 108)}
    pair = duel(clean_answers(accuracy=0.9, seed=1), clean_answers(accuracy=0.75, seed=2), seeds=seeds)
    assert not pair.paired
    assert (pair.verdict, pair.checks.seed_correlation) == ("better", None)
    assert pair.checks.randomisation_p == pair.checks.randomisation_smallest_p == 2 / comb(16, 8)
    assert pair.why_not_paired == "not the same seeds"


def test_the_order_of_records_does_not_matter() -> None:
    made = clean_experiment()
    shuffled = made.records[::-1]
    again = verdict(replace(made, records=shuffled))
    assert again == verdict(made)


def test_checks_stand_beside_the_verdict() -> None:
    pair = verdict(clean_experiment())
    checks = pair.checks
    assert checks.randomisation_p == checks.randomisation_smallest_p == 2 / 2**SEEDS
    assert checks.bootstrap_low is not None
    assert checks.bootstrap_high is not None
    assert 0 < checks.bootstrap_low < pair.difference < checks.bootstrap_high
    assert checks.bootstrap_p is not None
    assert checks.bootstrap_p < 0.05
    assert checks.seeds_t_p is not None
    assert checks.seeds_t_p < 0.05


def test_many_comparisons_are_adjusted_together() -> None:
    rows = {"base": clean_answers(accuracy=0.8, seed=0)}
    rows |= {f"row-{number}": clean_answers(accuracy=0.8, seed=number) for number in range(1, 5)}
    (group,) = compare(make_experiment(rows, LABELS, under_test=["trainer"])).groups
    assert [pair.comparisons for pair in group.to_baseline] == [4] * 4
    assert [pair.comparisons for pair in group.all_pairs] == [10] * 10
    for pair in [*group.to_baseline, *group.all_pairs]:
        assert pair.p is not None
        assert pair.p_adjusted is not None
        assert pair.p <= pair.p_adjusted
        assert pair.wide_low is not None
        assert pair.low is not None
        assert pair.wide_low < pair.low


def family(rows: dict[str, np.ndarray], **keywords: object) -> ComparisonGroup:
    (group,) = compare(make_experiment(rows, LABELS, under_test=["trainer"], **keywords)).groups  # type: ignore[arg-type]
    return group


def test_rows_with_identical_predictions_count_once_in_the_family() -> None:
    rows = {"base": clean_answers(accuracy=0.8, seed=0)}
    rows |= {f"row-{number}": clean_answers(accuracy=0.83, seed=number) for number in range(1, 4)}
    alone, twins = family(rows), family({**rows, "twin": rows["row-1"]})
    assert [pair.comparisons for pair in twins.to_baseline] == [3] * 4
    by_name = twins.pairs
    assert by_name["twin"].p_adjusted == by_name["row-1"].p_adjusted
    for name, pair in alone.pairs.items():
        found = by_name[name]
        assert (found.p, found.p_adjusted, found.equivalence_p) == (pair.p, pair.p_adjusted, pair.equivalence_p)
    assert {pair.comparisons for pair in twins.all_pairs} == {6}
    assert [pair.verdict for pair in twins.all_pairs].count("identical") == 1


@pytest.mark.parametrize(("seeds", "rows", "shrunk"), [(3, 4, True), (4, 4, True), (5, 4, False), (3, 3, False)])
def test_small_variances_are_lifted_at_three_and_four_seeds_of_four_rows(seeds: int, rows: int, shrunk: bool) -> None:
    wobbles = [0.1, 0.1, 0.05, 0.0][-rows:]
    answers = {
        f"row-{n}": drawn_answers(LABELS, seeds=seeds, accuracy=0.8, wobble=wobble, seed=n) for n, wobble in enumerate(wobbles)
    }
    values = {name: (given == LABELS).astype(float) for name, given in answers.items()}
    tables = [run_table(one) for one in values.values()]
    lifted = shrunk_upwards([one.s2 for one in tables], [seeds] * rows) if shrunk else [one.variance for one in tables]
    assert shrunk == any(new.value > table.s2 for new, table in zip(lifted, tables, strict=True))
    expected = dict(zip(values, lifted, strict=True))
    for pair in family(answers).all_pairs:
        pairs = pair.first, pair.second
        estimate = two_way_unpaired(*(values[name] for name in pairs), variances=tuple(expected[name] for name in pairs))
        assert (pair.low, pair.high, pair.p) == pytest.approx((*estimate.interval(), estimate.p))


def test_identical_rows_are_one_when_variances_are_shrunk() -> None:
    wobbles = enumerate([0.1, 0.05, 0.0])
    answers = {f"row-{n}": drawn_answers(LABELS, seeds=3, accuracy=0.8, wobble=wobble, seed=n) for n, wobble in wobbles}
    alone, twins = family(answers), family({**answers, "twin": answers["row-1"]})
    assert [pair.p for pair in twins.to_baseline][:2] == [pair.p for pair in alone.to_baseline]


def test_equivalence_counts_two_examples_more_that_differ() -> None:
    """All answers are right on both sides but one that differs each seed: without them a margin of one point is met."""
    labels = LABELS[:71]
    right = np.ones((5, 71), dtype=bool)
    less = right.copy()
    less[np.arange(5), np.arange(5)] = False
    sides = [right_by_pattern(labels, one) for one in (less, right)]
    pair = verdict(make_experiment({"base": sides[1], "row": sides[0]}, labels, under_test=["trainer"], margin={"points": 2.5}))
    values = [np.hstack([one.astype(float), np.tile(more, (5, 1))]) for one, more in ((less, [1, 0]), (right, [0, 1]))]
    assert pair.equivalence_p == pytest.approx(two_way_unpaired(*values).equivalence_p(0.025))
    assert pair.equivalence_p > 0.05
    assert two_way_unpaired(less.astype(float), right.astype(float)).equivalence_p(0.025) < 0.05
    assert pair.verdict == "inconclusive"


def test_a_verdict_of_three_seeds_that_are_alike_by_luck_says_so() -> None:
    base = clean_answers(accuracy=0.8, seeds=3, seed=1)
    right = np.tile(np.arange(len(LABELS)) >= 40, (3, 1))
    right[[0, 1, 2], [100, 101, 102]] = False  # three runs with the same score that err on other examples
    pair = duel(right_by_pattern(LABELS, right), base)
    assert pair.verdict == "better"
    assert pair.note.startswith("By luck: at 3 seeds row scored closer together than chance")
    assert pair.sentence.endswith(pair.note)
    four = np.vstack([right, right[:1]])
    assert duel(right_by_pattern(LABELS, four), clean_answers(accuracy=0.8, seeds=4, seed=1)).note == ""


def test_a_metric_that_is_no_ratio_is_judged_by_the_bootstrap() -> None:
    from bakeoff.contracts.metrics import MatthewsCorrelation

    made = make_experiment(
        {"base": clean_answers(accuracy=0.75, seed=2), "row": clean_answers(accuracy=0.9, seed=1)},
        LABELS,
        under_test=["trainer"],
    )
    metric = MatthewsCorrelation()
    records = []
    for record in made.records:
        assert record.data is not None
        facts = record.data.metrics[0].model_copy(update={"name": metric.name})
        data = record.data.model_copy(
            update={"metrics": [facts], "primary_metric": metric.name, "majority_baseline": {"test": {"mcc": 0.0}}}
        )
        found = made.predictions(record.id)["test"]
        scores = {"test": {"mcc": metric.score(found.logits.argmax(axis=1), found.labels)}}
        records.append(record.model_copy(update={"data": data, "scores": scores}))
    tasks = {task: {metric.name: metric} for task in made.metrics}
    pair = verdict(replace(made, records=tuple(records), metrics=tasks))
    assert (pair.method, pair.verdict) == ("two-way by resampling", "better")
    assert pair.low is not None
    assert pair.low > 0


def test_a_baseline_without_a_record_leaves_nothing_to_compare_with() -> None:
    made = clean_experiment()
    rest = tuple(record for record in made.records if record.requested.strategy != BASELINE)
    (group,) = compare(replace(made, records=rest)).groups
    assert group.to_baseline == []
    assert group.answer == f"{BASELINE}, the baseline, has no run that succeeded: {ROW} can be compared with nothing."


def test_rows_beside_a_failed_baseline_are_still_ranked() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers(), "third": clean_answers(accuracy=0.7, seed=3)}
    (group,) = compare(clean_experiment(rows, failing={BASELINE: range(SEEDS)})).groups
    assert f"{ROW} and third can be compared with nothing" in group.answer
    assert {row.strategy: row.rank for row in group.rows} == {BASELINE: None, ROW: (1, 1), "third": (2, 2)}


def test_a_baseline_of_another_group_is_said_to_be_alone() -> None:
    (group,) = compare(altered(clean_experiment(), "environment", hardware="another")).groups
    assert group.answer == (
        f"No row can be compared with {BASELINE}: the other rows were made under other conditions, or their predictions "
        "are not recorded."
    )


def test_hardness_shared_by_examples_makes_the_interval_of_a_difference_narrow() -> None:
    """What pairing is for: the same examples on both sides."""
    easy = [drawn_answers(LABELS, seeds=8, accuracy=0.8, seed=seed) for seed in (1, 2)]
    pair = duel(*easy)
    (group,) = compare(make_experiment({"base": easy[1], "row": easy[0]}, LABELS)).groups
    own = group.rows[0].scores["test"]["accuracy"]
    assert pair.low is not None
    assert pair.high is not None
    assert own.low is not None
    assert own.high is not None
    assert pair.high - pair.low < own.high - own.low


def test_a_seed_that_failed_half_way_is_no_other_recipe() -> None:
    clean = clean_experiment(failing={ROW: [3]})
    seen = next(record.observed for record in clean.records if record.observed)
    cut_short = seen.model_copy(update={"optimizer_steps": 3, "learning_rate_last": seen.learning_rate_peak})
    pair = verdict(altered(clean, "", seeds=[3], observed=cut_short))
    assert (pair.verdict, pair.confounders, pair.seeds) == ("better", [], (7, 8))


def test_a_failed_seed_on_another_machine_keeps_its_row_in_the_ranking() -> None:
    elsewhere = altered(clean_experiment(failing={ROW: [3]}), "environment", seeds=[3], hardware="another")
    (group,) = compare(elsewhere).groups
    assert [row.ranking for row in group.rows] == [0, 0]


def test_a_row_without_predictions_of_a_second_split_is_compared_on_the_reported_one() -> None:
    made = clean_experiment({BASELINE: clean_answers(), ROW: clean_answers()})
    mine = {record.id for record in made.records if record.requested.strategy == ROW}

    def read(run_id: str) -> dict[str, Predictions]:
        found = made.predictions(run_id)["test"]
        return {"test": found} if run_id in mine else {"test": found, "dev": found}

    pair = verdict(replace(made, predictions=read))
    assert pair.verdict == "equivalent"
    assert "the same mean accuracy" in pair.sentence


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_example_is_shown_and_never_judged(seeds: int) -> None:
    right, wrong = np.ones((seeds, 1), dtype=np.int64), np.zeros((seeds, 1), dtype=np.int64)
    pair = verdict(make_experiment({"base": right, "row": wrong}, [1], under_test=["trainer"]))
    assert (pair.verdict, pair.method, pair.difference) == ("inconclusive", "none", -1.0)
