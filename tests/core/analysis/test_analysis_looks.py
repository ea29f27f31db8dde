"""Experiments with declared looks: what is decided at which look from the records, and which strategies get more seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from builders import failed, make_experiment, right_by_pattern
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.looks import Course, course_of, next_runs
from bakeoff.analysis.prepared_group import prepare
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment

N, LOOKS = 600, [3, 5, 8]
LABELS = np.arange(N) % 2
BASE = "trainer-api"


def runs(accuracy: float, *, own: int, seeds: int = 8, spread: float = 0.0) -> np.ndarray:
    """(seeds, N) answers: the same examples are easy for all; each seed changes a few, and seeds differ by `spread`."""
    easy = np.random.default_rng(0).random(N)
    fresh = np.random.default_rng(own + 1)
    drawn = np.where(fresh.random((seeds, N)) < 0.04, fresh.random((seeds, N)), easy)
    return right_by_pattern(LABELS, drawn < accuracy + spread * (-1.0) ** np.arange(seeds)[:, None])


def declared(accuracies: Mapping[str, float], *, looks: list[int] = LOOKS, **keywords: object) -> Experiment:
    """All runs up to the last look, recorded; the seeds of `near` and `same` differ most."""
    spread = {"near": 0.02, "same": 0.02}
    answers = {
        name: runs(accuracy, own=own, seeds=looks[-1], spread=spread.get(name, 0.0))
        for own, (name, accuracy) in enumerate(accuracies.items())
    }
    return make_experiment(answers, LABELS, looks=looks, margin=2.0, **keywords)


def recorded(experiment: Experiment, seeds: Mapping[str, int]) -> Experiment:
    """Only the first seeds of each strategy have a record."""
    kept = [one for one in experiment.records if one.requested.seed < seeds[one.requested.strategy]]
    return replace(experiment, records=tuple(kept))


def course(experiment: Experiment) -> Course:
    (layout,) = layouts(experiment)
    prepared = prepare(experiment, layout, describe(experiment, layout))
    assert prepared is not None
    return course_of(prepared)


def outcomes(found: Course) -> dict[str, tuple[str, int]]:
    """Strategy -> outcome against the baseline, and seeds at that look."""
    return {name: (one.outcome, one.look.seeds) for (name, _), one in found.to_baseline[0].judged.items()}


def waiting(experiment: Experiment) -> dict[str, list[int]]:
    found = next_runs(experiment)
    return found[0].seeds if found else {}


MIXED = {BASE: 0.8, "worse": 0.6, "near": 0.785, "same": 0.801}


def test_before_the_first_look_all_get_its_seeds() -> None:
    whole = declared(MIXED)
    assert waiting(replace(whole, records=())) == {name: [0, 1, 2] for name in MIXED}
    part = recorded(whole, {BASE: 3, "worse": 0, "near": 1, "same": 8})
    assert waiting(part) == {"worse": [0, 1, 2], "near": [1, 2]}
    assert course(part).taken == []


def test_decided_strategies_get_no_more_seeds_and_the_baseline_goes_on() -> None:
    whole = declared(MIXED)
    first = recorded(whole, dict.fromkeys(MIXED, 3))
    found = course(first)
    assert found.taken == [3]
    assert outcomes(found)["worse"] == ("different", 3)
    assert outcomes(found)["near"] == ("open", 3)
    still = [name for name, (what, _) in outcomes(found).items() if what == "open"]
    assert waiting(first) == {name: [3, 4] for name in [BASE, *still]}
    assert {found.stopped[name] for name in (BASE, *still)} == {5}
    assert found.stopped["worse"] == 3


def test_a_decision_stands_on_the_seeds_of_its_look_whatever_is_recorded_later() -> None:
    whole = declared(MIXED)
    early, late = course(recorded(whole, dict.fromkeys(MIXED, 3))), course(whole)
    one, other = (found.to_baseline[0].judged["worse", BASE] for found in (early, late))
    assert other.compared.first.seeds == other.compared.second.seeds == (0, 1, 2)
    assert (one.p, one.compared.difference, one.look) == (other.p, other.compared.difference, other.look)
    assert late.taken[:2] == LOOKS[:2]
    assert waiting(whole) == {}


def test_in_the_middle_of_a_look_only_what_is_missing_is_asked_for_and_nothing_is_judged() -> None:
    whole = declared(MIXED)
    at_three = course(recorded(whole, dict.fromkeys(MIXED, 3)))
    part = recorded(whole, {BASE: 5, "worse": 3, "near": 4, "same": 3})
    assert course(part).taken == [3]
    assert outcomes(course(part)) == outcomes(at_three)
    assert waiting(part)["near"] == [4]
    assert BASE not in waiting(part)


def test_a_failed_run_counts_for_reaching_a_look() -> None:
    whole = recorded(declared(MIXED), dict.fromkeys(MIXED, 3))
    broken = [failed(one) if (one.requested.strategy, one.requested.seed) == ("worse", 1) else one for one in whole.records]
    found = course(replace(whole, records=tuple(broken)))
    assert found.taken == [3]
    assert outcomes(found)["worse"] == ("open", 3)  # two runs are too few for any verdict


def test_a_strategy_of_which_no_run_succeeds_gets_no_more_seeds() -> None:
    whole = recorded(declared(MIXED), dict.fromkeys(MIXED, 3))
    broken = [failed(one) if one.requested.strategy == "near" else one for one in whole.records]
    found = waiting(replace(whole, records=tuple(broken)))
    assert "near" not in found
    assert BASE in found or not found
    gone = [failed(one) if one.requested.strategy == BASE else one for one in whole.records]
    assert waiting(replace(whole, records=tuple(gone))) == {}
    assert waiting(replace(whole, records=tuple(failed(one) for one in whole.records))) == {}


def test_settled_comparisons_leave_their_share_to_the_others() -> None:
    found = course(declared(MIXED))
    look = found.to_baseline[0].judged["near", BASE].look
    assert (look.comparisons, look.seeds > 3, look.settled) == (3, True, 1)
    assert look.difference_level == pytest.approx(look.budget / 2)
    assert look.equivalence_level == pytest.approx(look.budget / 3)


def test_identical_predictions_are_decided_at_the_first_look() -> None:
    answers = runs(0.8, own=0)
    whole = make_experiment({BASE: answers, "copy": answers}, LABELS, looks=LOOKS, margin=2.0)
    first = recorded(whole, {BASE: 3, "copy": 3})
    assert outcomes(course(first)) == {"copy": ("identical", 3)}
    assert waiting(first) == {}


def test_a_hopeless_comparison_is_futile_and_says_how_many_examples_it_would_take() -> None:
    """Two strategies that suit other examples: no number of seeds says which is better on these hundred."""
    rng = np.random.default_rng(3)
    pattern = rng.random((2, 100)) < 0.8
    answers = {
        name: right_by_pattern(np.arange(100) % 2, np.where(rng.random((8, 100)) < 0.02, ~own, own))
        for name, own in zip((BASE, "other"), pattern, strict=True)
    }
    whole = make_experiment(answers, np.arange(100) % 2, looks=LOOKS, margin=1.0)
    found = course(whole)
    judged = found.to_baseline[0].judged["other", BASE]
    assert (judged.outcome, judged.look.seeds) == ("futile", 3)
    assert judged.chance is not None
    assert judged.chance < 0.10
    assert judged.examples is not None
    assert judged.examples > 5_000
    assert waiting(recorded(whole, {BASE: 3, "other": 3})) == {}


def test_ranks_keep_strategies_until_all_their_pairs_are_decided_and_begin_with_five_seeds() -> None:
    accuracies = {BASE: 0.8, "low": 0.55, "lower": 0.545}
    without, ranked = (declared(accuracies, ranks=ranks) for ranks in (False, True))
    assert course(without).all_pairs[0].judged == {}
    assert waiting(recorded(without, dict.fromkeys(accuracies, 3))) == {}
    assert waiting(recorded(ranked, dict.fromkeys(accuracies, 3))) == {name: [3, 4] for name in accuracies}
    found = course(ranked)
    assert {one.look.comparisons for one in found.all_pairs[0].judged.values()} == {3}
    assert found.all_pairs[0].judged[BASE, "low"].look.seeds == 5
    assert found.all_pairs[0].looks[0].budget == pytest.approx(0.05 * 25 / 64)
    assert found.to_baseline[0].judged["low", BASE].look.seeds == 3


def test_each_task_and_model_is_decided_by_itself() -> None:
    spread = {"near": 0.02}
    answers = {name: runs(own, own=n, spread=spread.get(name, 0.0)) for n, (name, own) in enumerate(MIXED.items())}
    one = recorded(make_experiment(answers, LABELS, looks=LOOKS, margin=2.0), dict.fromkeys(MIXED, 3))
    easy = {name: rows for name, rows in answers.items() if name in (BASE, "worse")}
    other = make_experiment(easy, LABELS, records={key: {"task": "glue/rte"} for key in easy}, looks=LOOKS)
    both = replace(
        one,
        declared=one.declared.model_copy(update={"runs": [*one.declared.runs, *other.declared.runs]}),
        records=(*one.records, *recorded(other, {BASE: 3, "worse": 3}).records),
        predictions=lambda run: (one if run in {own.id for own in one.declared.runs} else other).predictions(run),
        metrics={**one.metrics, **other.metrics},
    )
    (found,) = next_runs(both)
    assert (found.task, found.number) == ("glue/mrpc", 2)


def collapsing(*seeds: int, looks: list[int] = LOOKS) -> Experiment:
    """Two strategies of which one is worse; runs of these seeds of it always give one answer."""
    answers = {BASE: runs(0.8, own=0), "worse": runs(0.6, own=1)}
    answers["worse"][list(seeds)] = 1
    return make_experiment(answers, LABELS, looks=looks, margin=2.0)


def test_a_look_judges_the_runs_that_learned_and_all_runs_at_its_level() -> None:
    (pair,) = compare(collapsing(6)).groups[0].to_baseline
    assert (pair.verdict, pair.look and pair.look.number) == ("worse", 1)
    assert pair.all_runs is None  # at seeds 0 to 2 none was lost
    (pair,) = compare(collapsing(1)).groups[0].to_baseline
    assert (pair.verdict, pair.look and pair.look.number, pair.seeds) == ("worse", 2, (4, 5))  # two runs are an anecdote
    assert pair.all_runs
    assert (pair.all_runs.first.number, pair.all_runs.first.runs, pair.all_runs.second.number) == (1, 5, 0)
    assert pair.all_runs.finding == "worse"


def test_a_strategy_of_which_no_run_learned_gets_no_more_seeds() -> None:
    whole = collapsing(*range(8))
    first = recorded(whole, {BASE: 3, "worse": 3})
    assert waiting(first) == {}
    (pair,) = compare(first).groups[0].to_baseline
    assert (pair.verdict, pair.p_adjusted) == ("inconclusive", None)
    assert tells(pair.sentence, "worse against", "no run of worse", "3 of 3", "0 of 3")
    assert pair.all_runs
    assert (pair.all_runs.finding, pair.all_runs.first.number) == ("worse", 3)
    (early,) = compare(recorded(whole, {BASE: 3, "worse": 2})).groups[0].to_baseline
    assert early.all_runs is None  # the look is not taken yet


def test_a_strategy_whose_search_chose_nothing_stays_in_the_declared_family() -> None:
    rows = {BASE: 0.8, "near": 0.81}
    alone, lost = declared(rows), declared(rows, trials={BASE: 1, "near": 1, "lost": 3})
    levels = [compare(made).groups[0].to_baseline[0] for made in (alone, lost)]
    assert [pair.comparisons for pair in levels] == [1, 2]
