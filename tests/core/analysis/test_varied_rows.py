"""Rows of a recipe key that varies: compared at the same value, in one comparison group."""

from __future__ import annotations

from typing import Any

from builders.curves import CURVES, varied_experiment

from bakeoff.analysis.comparability import examples_of
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup

SIZES = ("64", "256", "1024", "all")


def judged(**keys: Any) -> ComparisonGroup:
    (group,) = compare(varied_experiment(**keys)).groups
    return group


def value(row: str) -> str:
    return row.partition("@")[2]


def test_pairs_are_of_one_value_and_each_value_is_a_family() -> None:
    group = judged()
    assert {(pair.first, pair.second) for pair in group.to_baseline} == {
        (f"{name}@{size}", f"tfidf@{size}") for name in ("full", "probe") for size in SIZES
    }
    assert {pair.comparisons for pair in group.to_baseline} == {2}
    assert {pair.comparisons for pair in group.all_pairs} == {3}
    assert len(group.all_pairs) == 3 * len(SIZES)
    assert all(value(pair.first) == value(pair.second) for pair in group.all_pairs)
    assert group.against.split()[0] == "tfidf"


def test_a_value_is_judged_as_an_experiment_of_it_alone_would_be() -> None:
    """Adjusted p, verdicts and ranks do not depend on how many other values there are."""
    four = judged()
    alone = judged(curves={name: scores[:2] for name, scores in CURVES.items()}, values=(64, 256))
    mine = {pair.first: (pair.verdict, pair.p_adjusted) for pair in four.to_baseline if value(pair.first) in SIZES[:2]}
    assert mine.keys() == {pair.first for pair in alone.to_baseline}
    assert {name: verdict for name, (verdict, _) in mine.items()} == {pair.first: pair.verdict for pair in alone.to_baseline}


def test_ranks_are_within_a_value_and_every_value_has_its_baseline() -> None:
    group = judged()
    assert [row.strategy for row in group.rows if row.baseline] == [f"tfidf@{size}" for size in SIZES]
    by_ranking: dict[int, set[str]] = {}
    for row in group.rows:
        by_ranking.setdefault(row.ranking, set()).add(value(row.strategy))
        assert row.rank is None or row.rank[1] <= len(CURVES)
    assert by_ranking == {0: {"all"}, 1: {"1024"}, 2: {"256"}, 3: {"64"}}
    assert group.rankings[1:] == ["train_examples 1024", "train_examples 256", "train_examples 64"]


def test_the_answer_tells_each_value_and_the_recommendation_names_its_own() -> None:
    found = compare(varied_experiment())
    assert all(f"with {size}, " in found.groups[0].answer for size in SIZES)
    assert found.recommendations[0].at == "train_examples all"
    assert found.recommendations[0].take in {f"{name}@all" for name in CURVES}
    named = {one.strategy for one in (*found.recommendations[0].ruled_out, *found.recommendations[0].unsettled)}
    assert {value(name) for name in named} <= {"all"}


def test_looks_judge_each_value_and_stop_strategies_at_their_own() -> None:
    group = judged(seeds=5, looks=[3, 5], ranks=True)
    assert {pair.comparisons for pair in group.to_baseline} == {2}
    assert all(value(pair.first) == value(pair.second) for pair in (*group.to_baseline, *group.all_pairs))
    assert group.looks is not None
    assert group.looks.taken


def test_min_steps_count_for_the_budget_where_they_are_more_than_the_epochs() -> None:
    recipe = {"epochs": 3, "batch_size": 8}
    assert examples_of(recipe, 64) == 3 * 64
    assert examples_of({**recipe, "min_steps": 24}, 64) == 3 * 64
    assert examples_of({**recipe, "min_steps": 100}, 64) == 800
