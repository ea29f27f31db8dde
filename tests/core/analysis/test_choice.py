"""Which strategy is recommended: of made results of each shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import LABELS, altered, clean_experiment, declaring, drawn_answers, right_by_pattern, scored_by
from messages import tells
from scipy import optimize

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.prepared_group import prepare
from bakeoff.analysis.recommendation import Recommendation
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.contracts.metrics import MeanAbsoluteError
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Change, EarlierDeclaration
from bakeoff.statistics.power import chances, seeds_needed
from bakeoff.statistics.twoway import TwoWay

FULL, LORA, BITFIT, HEAD = "full", "lora", "bitfit", "head-only"
FLOPS = {FULL: 4e13, LORA: 1e13, BITFIT: 0.8e13, HEAD: 0.5e13}


def answers(accuracy: float, own: int, *, seeds: int = 5, spread: float = 0.0) -> np.ndarray:
    """(seeds, 400): a strategy's own answers; its seeds differ by `spread` in accuracy."""
    rows = [
        drawn_answers(LABELS, seeds=1, accuracy=accuracy + spread * (-1.0) ** seed, wobble=0.05, seed=10 * own + seed)[0]
        for seed in range(seeds)
    ]
    return np.stack(rows)


def experiment(
    given: Mapping[str, Any],
    *,
    margin: float = 4.0,
    flops: Mapping[str, float] = FLOPS,
    task: str = "glue/mrpc",
    **keywords: Any,
) -> Experiment:
    """A strategy's method is its name; operations are counted, and nothing else of its cost is comparable."""
    rows = {
        name: value if isinstance(value, np.ndarray) else answers(value, number)
        for number, (name, value) in enumerate(given.items())
    }
    methods = {name: {"method": name, "task": task} for name in rows}
    made = clean_experiment(rows, records=methods, under_test=["method"], margin={"points": margin}, **keywords)
    made = replace(made, controls=())
    for name in rows:
        if name in flops:
            made = altered(made, "cost", row=name, flops=flops[name])
    return made


def of(made: Experiment) -> Recommendation:
    (found,) = compare(made).recommendations
    return found


def answer(given: Mapping[str, Any], **keywords: Any) -> Recommendation:
    return of(experiment(given, **keywords))


NOISY = {FULL: answers(0.8, 1, seeds=3, spread=0.05), LORA: answers(0.79, 2, seeds=3, spread=0.05)}
CLEAR = {FULL: 0.9, LORA: 0.895, HEAD: 0.6}


def test_the_cheapest_that_is_as_good_as_the_best_is_taken() -> None:
    found = answer({**CLEAR, BITFIT: 0.898})
    assert (found.take, found.reason, found.best) == (BITFIT, "cheaper and as good", FULL)
    assert (found.measure, found.times_cheaper, found.as_good) == ("flops", pytest.approx(5.0), [LORA])
    assert [one.strategy for one in found.ruled_out] == [HEAD]
    assert found.ruled_out[0].worse_by == pytest.approx(0.3, abs=0.02)
    assert tells(found.sentence, f"Take {BITFIT} (88.15): ", f"{FULL}, ", "4.00 points", "5.0 times")
    assert tells(found.rest, "As good", f"{LORA}.", f"{HEAD} (worse by ")


def test_the_best_is_taken_where_it_is_the_cheapest() -> None:
    found = answer({HEAD: 0.9, FULL: 0.8})
    assert (found.take, found.reason, found.times_cheaper, found.unsettled) == (HEAD, "best", None, [])
    near = answer({HEAD: NOISY[FULL], FULL: NOISY[LORA]}, margin=1.0)
    assert (near.take, near.open, near.dearer) == (HEAD, [], [FULL])


def test_the_best_is_taken_where_all_that_is_cheaper_is_ruled_out() -> None:
    found = answer({FULL: 0.9, HEAD: 0.6})
    assert (found.take, found.open, [one.strategy for one in found.ruled_out]) == (FULL, [], [HEAD])


def test_three_noisy_seeds_never_recommend_the_cheapest() -> None:
    found = answer(NOISY, margin=2.0)
    assert (found.take, found.reason, found.open, found.as_good) == (FULL, "best", [LORA], [])


def test_what_would_tell_is_a_new_experiment_by_the_numbers_of_plan_resolve() -> None:
    made = experiment(NOISY, margin=2.0)
    found = of(made)
    (layout,) = layouts(made)
    prepared = prepare(made, layout, describe(made, layout))
    assert prepared is not None
    estimate = prepared.measures.compare(LORA, FULL).estimate
    assert isinstance(estimate, TwoWay)
    seeds = seeds_needed(estimate.budget, 0.02, examples=400).number
    assert seeds is not None
    assert seeds > 3
    tell = found.would_tell
    assert tell is not None
    assert (tell.strategies, tell.seeds, tell.runs, tell.look) == ([FULL, LORA], seeds, 2 * seeds, None)
    assert tell.seconds == pytest.approx(2 * seeds * (690 + 18))
    expected = chances(estimate.budget, seeds, 0.02, examples=400)
    assert (tell.chance_of_worse, tell.chance_of_as_good) == (expected.better, expected.equivalent)
    assert tell.chance_of_worse == pytest.approx(0.8, abs=0.03)
    assert tells(found.rest, f"Open: {LORA} against {FULL};", f"{FULL} and {LORA}", f"{seeds} fresh seeds", "80 %")


def test_where_no_number_of_seeds_would_tell_it_says_so() -> None:
    truth = np.arange(60) % 3 > 0
    one, other = (right_by_pattern(truth, np.tile(np.arange(60) % 12 != rest, (3, 1))) for rest in (0, 1))
    for number, rows in enumerate((one, other)):
        rows[:, 20 + number] = 1 - rows[:, 20 + number]
        rows[0, 40 + number] = 1 - rows[0, 40 + number]
    made = experiment({FULL: one, LORA: other}, margin=2.0, labels=truth.astype(np.int64))
    found = of(made)
    assert found.open == [LORA]
    assert found.would_tell is not None
    (one,) = found.would_tell.hopeless
    assert (one.strategy, one.why, one.examples, found.would_tell.strategies, found.would_tell.runs) == (
        LORA,
        "too few",
        60,
        [],
        0,
    )


LEVELS = {FULL: 0.9, LORA: 0.885, BITFIT: 0.7, HEAD: 0.6}


def of_four_and_a_half_comparisons() -> float:
    """The margin, in points, by which lora is shown as good as full over three comparisons and not over six."""
    made = experiment(LEVELS)
    (layout,) = layouts(made)
    prepared = prepare(made, layout, describe(made, layout))
    assert prepared is not None
    found = prepared.measures.compare(LORA, FULL).cautious
    assert found is not None
    return 100 * float(optimize.brentq(lambda margin: found.p_above(-margin) - 0.05 / 4.5, 0, 0.5))


def test_the_level_is_that_of_all_pairs_unless_the_best_is_the_baseline() -> None:
    margin = of_four_and_a_half_comparisons()
    taken = {name: answer(LEVELS, baseline=name, margin=margin).take for name in (FULL, HEAD)}
    assert taken == {FULL: LORA, HEAD: FULL}


def test_a_baseline_that_was_named_afterwards_has_no_level_of_its_own() -> None:
    made = experiment(LEVELS, margin=of_four_and_a_half_comparisons())
    assert (of(made).take, of(declaring(made, history=[_changed("baseline")])).take) == (LORA, FULL)


def test_of_runs_that_collapsed_both_ways_of_counting_must_say_so() -> None:
    fell = answers(0.89, 2, seeds=6)
    fell[0] = 1  # one constant answer, right on two thirds
    found = answer({FULL: answers(0.9, 1, seeds=6), LORA: fell}, margin=5.0)
    assert (found.take, found.open) == (FULL, [LORA])
    wide = answer({FULL: answers(0.9, 1, seeds=6), LORA: fell}, margin=30.0)
    assert wide.take == LORA
    assert any("1 of 6" in one for one in wide.cautions)
    best = answer({FULL: fell, LORA: answers(0.88, 1, seeds=6)}, margin=8.0)
    assert (best.best, best.take) == (FULL, LORA), "counted as the majority's the best is far below, and that is no objection"


def test_a_strategy_of_which_no_run_learned_is_ruled_out() -> None:
    found = answer({FULL: 0.9, LORA: np.ones((5, 400), dtype=np.int64)})
    assert (found.take, [one.strategy for one in found.ruled_out]) == (FULL, [LORA])


def test_fewer_than_three_runs_recommend_nothing() -> None:
    found = answer({FULL: answers(0.9, 1, seeds=2), LORA: answers(0.9, 2, seeds=2)})
    assert (found.take, found.reason, found.best) == (None, "none", None)
    some = answer({FULL: answers(0.8, 1, seeds=4), LORA: answers(0.9, 2, seeds=2)})
    assert (some.take, [(one.strategy, one.why) for one in some.unsettled]) == (FULL, [(LORA, "few seeds")])


def test_one_strategy_alone_is_no_choice() -> None:
    assert answer({FULL: 0.9}).take is None


def test_an_arm_that_repeats_a_strategy_with_other_random_numbers_is_no_choice() -> None:
    again = "again"
    made = altered(experiment({FULL: 0.85, LORA: 0.6, again: 0.95}), "requested", row=again, replicate=1)
    original = next(one.requested.method for one in made.records if one.requested.strategy == FULL)
    found = of(altered(made, "requested", row=again, method=original))
    assert (found.best, found.take) == (FULL, FULL)
    assert f"{again} repeats {FULL} " in found.sentence
    assert not {again} & {*found.as_good, *found.open, *found.dearer, *(one.strategy for one in found.ruled_out)}
    other = of(made)
    assert other.best == again, "with another method it is a strategy of its own"


def test_confounded_rows_are_never_taken_in_place_of_the_best() -> None:
    made = declaring(experiment({FULL: 0.9, LORA: 0.895}), under_test=[])
    found = of(made)
    assert (found.take, [(one.strategy, one.why) for one in found.unsettled]) == (FULL, [(LORA, "confounded")])
    assert found.unsettled[0].what


def _changed(what: str, seeds: list[int] | None = None) -> EarlierDeclaration:
    before = {FULL: seeds or list(range(5)), LORA: list(range(5))}
    changes = [Change(what=what, before="x", after="y")] if what else []
    return EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds=before, recorded=6, changes=changes)


def test_seeds_that_were_changed_recommend_nothing() -> None:
    made = experiment({FULL: 0.9, LORA: 0.895})
    withheld = of(declaring(made, history=[_changed("", [0, 1, 2])]))
    assert (withheld.take, withheld.reason) == (None, "none")
    lower = of(declaring(experiment({LORA: 0.9, FULL: 0.895}), history=[_changed("", [0, 1, 2])]))
    assert (lower.take, [(one.strategy, one.why) for one in lower.unsettled]) == (LORA, [(FULL, "withheld")])


def test_a_margin_that_was_changed_shows_nothing_and_another_change_is_told() -> None:
    made = experiment({FULL: 0.9, LORA: 0.895})
    moved = of(declaring(made, history=[_changed("margin")]))
    assert (moved.take, len(moved.cautions)) == (FULL, 1)
    other = of(declaring(made, history=[_changed("under test")]))
    assert other.take == LORA
    assert "under test" in other.cautions[0]


def test_without_a_cost_the_best_is_taken() -> None:
    found = answer({FULL: 0.9, LORA: 0.895}, flops={})
    assert (found.take, found.measure, found.as_good) == (FULL, None, [LORA])
    partly = answer({FULL: 0.9, LORA: 0.895, BITFIT: 0.898}, flops={FULL: 2.0, LORA: 1.0})
    assert partly.take == LORA
    assert any(BITFIT in one for one in partly.cautions)


def test_near_the_end_of_the_range_it_is_cautious() -> None:
    near, far = (answer({FULL: 0.98, LORA: 0.975}, margin=margin) for margin in (4.0, 0.9))
    assert (near.take, far.take) == (LORA, FULL)
    assert any("20 %" in one for one in near.cautions)
    assert far.cautions == []


def test_costs_that_are_the_same_take_the_better_mean() -> None:
    alike = answer({FULL: 0.9, LORA: 0.89, BITFIT: 0.898}, flops={FULL: 3.0, LORA: 1.0, BITFIT: 1.04})
    assert (alike.take, alike.as_good) == (BITFIT, [LORA])
    same = answer({FULL: 0.9, LORA: 0.895}, flops={FULL: 1.04, LORA: 1.0})
    assert (same.take, same.reason, same.as_good) == (FULL, "best", [LORA])


def test_identical_rows_are_as_good_without_a_margin() -> None:
    made = experiment({FULL: answers(0.9, 1), LORA: answers(0.9, 1)})
    found = of(made)
    assert (found.take, found.identical) == (LORA, True)


def test_less_is_better_for_an_error() -> None:
    truth = np.random.default_rng(0).normal(3, 1, 400)
    noise = np.random.default_rng(1).normal(0, 1, (3, 5, 400))
    given = {FULL: truth + 0.3 * noise[0], LORA: truth + 0.31 * noise[1], HEAD: truth + 0.9 * noise[2]}
    made = scored_by(experiment(CLEAR), MeanAbsoluteError(), kind="regression", truth=truth, given=given)
    found = of(declaring(made, margin={"mae": 0.1}))
    assert (found.take, found.best, [one.strategy for one in found.ruled_out]) == (LORA, FULL, [HEAD])
    bare = of(declaring(made, margin={}))
    assert (bare.take, bare.margin) == (FULL, None)


def test_worse_by_less_than_the_margin_and_cheaper_stays_open() -> None:
    steady = right_by_pattern(LABELS, np.tile(np.arange(400) >= 20, (5, 1)))
    worse = right_by_pattern(LABELS, np.tile((np.arange(400) >= 20) & (np.arange(400) % 25 != 24), (5, 1)))
    found = answer({FULL: steady, LORA: worse}, margin=4.5)
    assert (found.take, found.open, found.ruled_out) == (FULL, [LORA], [])
    dear = answer({FULL: steady, LORA: worse}, margin=4.5, flops={FULL: 1.0, LORA: 2.0})
    assert [one.strategy for one in dear.ruled_out] == [LORA]


def test_missing_runs_are_told() -> None:
    made = experiment({FULL: 0.9, LORA: 0.895})
    some = replace(made, records=made.records[:-1])
    assert "1 of 10 " in of(some).cautions[0]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_looks_are_judged_at_their_level_and_go_on(taken: int) -> None:
    rows = {FULL: answers(0.9, 1, seeds=5), LORA: answers(0.88, 2, seeds=5), BITFIT: answers(0.86, 3, seeds=5, spread=0.03)}
    made = experiment(rows, looks=[3, 5], margin=12.0 if taken == 2 else 2.0)
    kept = [record for record in made.records if record.requested.seed < (2, 3, 5)[taken]]
    found = of(replace(made, records=tuple(kept)))
    if taken == 0:
        assert (found.take, found.reason) == (None, "none")
    elif taken == 1:
        assert found.take == FULL
        assert found.would_tell is not None
        assert (found.would_tell.look, found.would_tell.seeds) == (2, 5)
        assert found.would_tell.chance_of_decision is not None
    else:
        assert found.take in (LORA, BITFIT)


def test_looks_that_compare_with_the_baseline_alone_say_nothing_of_other_pairs() -> None:
    rows = {HEAD: answers(0.6, 1), FULL: answers(0.9, 2), LORA: answers(0.895, 3)}
    made = experiment(rows, looks=[3, 5], margin=12.0)
    found = of(made)
    assert (found.best, found.take) == (FULL, FULL)
    assert [(one.strategy, one.why) for one in found.unsettled] == [(HEAD, "not tested"), (LORA, "not tested")]
    assert of(declaring(made, ranks=True)).take == LORA


def several(rows: Mapping[str, Mapping[str, float]]) -> Comparison:
    """One task after the other."""
    parts = [experiment(given, task=task) for task, given in rows.items()]
    records = tuple(record for part in parts for record in part.records)
    by_id = {record.id: part.predictions(record.id) for part in parts for record in part.records}
    runs = [run for part in parts for run in part.declared.runs]
    metrics = {task: found for part in parts for task, found in part.metrics.items()}
    declared = parts[0].declared.model_copy(update={"runs": runs})
    return compare(replace(parts[0], records=records, predictions=by_id.__getitem__, declared=declared, metrics=metrics))


def test_several_tasks_have_one_recommendation_each_and_one_line_across() -> None:
    found = several({"one": {FULL: 0.9, LORA: 0.895}, "two": {FULL: 0.9, LORA: 0.7}})
    assert [one.take for one in found.recommendations] == [LORA, FULL]
    assert tells(found.recommendation, f"Take {LORA} on one", f"{FULL} on two")
    alike = several({"one": {FULL: 0.9, LORA: 0.895}, "two": {FULL: 0.9, LORA: 0.898}})
    assert tells(alike.recommendation, f"Take {LORA},", "both ")
