"""Curves over a recipe key that varies: points, crossings in words, and what is said where runs lack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders.curves import CURVES, FULL, TFIDF, row_name, varied_experiment
from builders.experiments import declaring
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.curves import Axis, sentence_of
from bakeoff.analysis.findings import Curve
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import EarlierDeclaration, Search
from bakeoff.statistics.crossing import Crossing

ROWS, RATES = Axis("train_examples", logarithmic=True), Axis("learning_rate", logarithmic=True)
PLACES = [64.0, 256.0, 1024.0, 3668.0]


def curve_in(made: Experiment) -> Curve:
    found = compare(made).groups[0].curve
    assert found is not None
    return found


def logs(*places: float | None) -> list[float | None]:
    return [None if place is None else float(np.log(place)) for place in places]


@pytest.mark.parametrize(
    ("found", "places", "told"),
    [
        ("overtakes", (523, 302, 897), "From about 520 rows on, full beats tfidf (95 % between 300 and 900)"),
        ("falls behind", (523, 302, 897), "From about 520 rows on, tfidf beats full (95 % between 300 and 900)"),
        ("overtakes", (3650, 302, None), "From about 3,668 rows on, full beats tfidf (95 % from 300 to beyond 3,668,"),
        ("overtakes", (100, None, 302), "95 % from below 64, the smallest size measured, to 300)"),
        ("ahead", (None, None, None), "full is already ahead of tfidf at 64 rows, the smallest size measured: an estimate"),
        ("ahead", (None, None, 201), "the smallest size measured (95 %: ahead from 200 on at the latest)"),
        (
            "ahead",
            (None, 2010, None),
            "at every size measured, up to 3,668 rows (95 %: up to 2,000 at least)",
        ),
        ("behind", (None, None, None), "full is not ahead of tfidf by 3,668 rows, the largest size measured: an estimate"),
        ("behind", (None, 902, None), "(95 %: not before 900)"),
        ("open", (None, None, None), "these runs can't tell: the 95 % interval has every size from 64 to 3,668 rows."),
    ],
)
def test_a_crossing_in_words(found: str, places: tuple[float | None, ...], told: str) -> None:
    at, low, high = logs(*places)
    sentence = sentence_of(Crossing(found, at, low, high, 0.97), ROWS, "full", "tfidf", PLACES, [-1, -1, 1, 1])  # type: ignore[arg-type]
    assert told in sentence
    assert sentence.endswith("an estimate, not a verdict.") == (found != "open")


def test_several_crossings_say_where_who_is_ahead() -> None:
    sentence = sentence_of(Crossing("several", None, None, None, 0.25), ROWS, "full", "tfidf", PLACES, [-1, 1, -1, 1])
    assert "no single crossing: by its means full is ahead at 256 and 3,668 and behind at 64 and 1,024" in sentence
    assert "75 % of the bootstrap's draws" in sentence


def test_a_value_of_another_key_is_named_with_it() -> None:
    at, low, high = logs(3.04e-5, 2.01e-5, 5.02e-5)
    sentence = sentence_of(Crossing("overtakes", at, low, high, 1.0), RATES, "lora", "full", [1e-5, 1e-4], [-1, 1])
    assert sentence.startswith("From about learning_rate 3e-5 on, lora beats full (95 % between 2e-5 and 5e-5)")


def test_curves_are_the_leaderboards_scores_by_place_and_the_baselines_comes_first() -> None:
    made = varied_experiment(values=(None, 64, 1024, 256), curves={"full": FULL, "tfidf": TFIDF}, baseline="tfidf@256")
    comparison = compare(made)
    found = comparison.groups[0].curve
    assert found is not None
    assert (found.key, found.logarithmic) == ("train_examples", True)
    assert [one.strategy for one in found.strategies] == ["tfidf", "full"]
    (tfidf, full) = found.strategies
    assert [(point.row, point.value, point.place) for point in full.points] == [
        ("full@64", "64", 64),
        ("full@256", "256", 256),
        ("full@1024", "1,024", 1024),
        ("full@all", "all", 3668),
    ]
    rows = {row.strategy: comparison.groups[0].score(row) for row in comparison.groups[0].rows}
    for point in (*tfidf.points, *full.points):
        score = rows[point.row]
        assert score is not None
        assert (point.score, point.low, point.high, point.runs) == (score.mean, score.low, score.high, 5)


def test_full_overtakes_where_its_line_crosses_and_the_leaderboards_pairs_stand_beside() -> None:
    found = curve_in(varied_experiment())
    assert [(one.first, one.second) for one in found.crossings] == [("full", "tfidf"), ("probe", "tfidf"), ("probe", "full")]
    crossing = found.crossings[0]
    assert crossing.found == "overtakes"
    assert crossing.at is not None
    points = {one.strategy: [point.score for point in one.points] for one in found.strategies}
    apart = np.array(points["full"]) - np.array(points["tfidf"])
    assert crossing.at == pytest.approx(np.exp(np.interp(0, apart, np.log(PLACES))))
    assert 64 < crossing.low < crossing.at < crossing.high < 1024
    assert [round(one.difference, 6) for one in crossing.differences] == pytest.approx(apart, abs=1e-6)
    assert crossing.differences[-1].verdict == "better"


def test_a_strategy_without_variance_over_seeds_counts_at_every_seed() -> None:
    once = curve_in(varied_experiment(seed_free=["tfidf@all"])).crossings[0]
    assert once.places == PLACES
    assert "tfidf" in once.sentence


def test_two_strategies_that_do_not_depend_on_the_seed_differ_by_the_examples_alone() -> None:
    curves = {"tfidf": TFIDF, "full": FULL}
    rows = [row_name(strategy, value) for strategy in curves for value in (1.0, 2.0, 4.0, 8.0)]
    found = curve_in(varied_experiment(curves, key="weight_decay", values=(1.0, 2.0, 4.0, 8.0), seed_free=rows))
    assert found.crossings[0].found == "overtakes"
    assert 1 < found.crossings[0].low < found.crossings[0].at < found.crossings[0].high < 8


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("", "full: at each size a search of its own chose the configuration."),
        ("256", "full: one search, at train_examples 256, chose the configuration for every size."),
    ],
)
def test_where_searches_ran_is_told(at: str, told: str) -> None:
    grid: Any = {"learning_rate": [1e-5]}
    search = Search(grid=grid, seeds=[100], choose="best-on-dev", at=at, trials=[], chosen=[])
    searches = dict.fromkeys(("full@64", "full@256", "full@1024", "full@all"), search)
    assert told in curve_in(declaring(varied_experiment(), searches=searches)).notes


def test_sizes_with_too_few_runs_are_left_out_and_named() -> None:
    found = curve_in(varied_experiment(missing={"full@256": 3}))
    crossing = found.crossings[0]
    assert crossing.places == [64, 1024, 3668]
    assert crossing.sentence.endswith("256 is left out of it, since full@256 has 2 runs, fewer than 3.")


def test_where_too_few_runs_learned_all_runs_count_as_the_majority_baseline() -> None:
    curves = {"tfidf": TFIDF, "full": FULL}
    crossing = curve_in(varied_experiment(curves, failing={"full@256": [0, 2, 4]})).crossings[0]
    assert (crossing.places, crossing.all_runs) == (PLACES, True)
    assert tells(crossing.sentence, "From about", "full@256", "2 runs that learned")
    whole = curve_in(varied_experiment(curves)).crossings[0]
    assert not whole.all_runs
    assert crossing.at > whole.at, "three of five runs at 256 rows count as no better than the majority"


def test_failed_runs_are_noted_and_a_size_without_runs_has_no_score() -> None:
    found = curve_in(varied_experiment(failing={"full@64": range(5), "full@256": [1]}))
    (full,) = (one for one in found.strategies if one.strategy == "full")
    assert [(point.score is None, point.runs) for point in full.points] == [(True, 0), (False, 4), (False, 5), (False, 5)]
    assert found.crossings[0].places == [256, 1024, 3668]
    assert "full@64 has no scored run" in found.crossings[0].sentence
    assert "full@256: of 5 runs 1 failed; they are left out of the curve." in found.notes


def test_two_sizes_are_needed() -> None:
    found = curve_in(varied_experiment(missing={"full@256": 3, "full@64": 3, "full@1024": 4}))
    assert [(one.first, one.second) for one in found.crossings] == [("probe", "tfidf")]
    assert any("No crossing of full and tfidf is sought: at 64 full@64 has 2 runs" in note for note in found.notes)


def test_values_that_are_no_numbers_make_no_curve() -> None:
    curves = {name: accuracies[:2] for name, accuracies in CURVES.items()}
    made = varied_experiment(curves, key="scheduler", values=("linear", "cosine"))
    assert compare(made).groups[0].curve is None


def test_values_with_a_zero_stand_on_a_linear_axis() -> None:
    found = curve_in(varied_experiment(key="weight_decay", values=(0.0, 0.01, 0.1, 0.3)))
    assert not found.logarithmic
    assert found.crossings[0].at is not None
    assert 0.01 < found.crossings[0].at < 0.1


def test_seeds_that_were_added_with_results_known_make_no_crossing() -> None:
    made = varied_experiment()
    names = [row_name("full", value) for value in (64, 256, 1024, None)]
    earlier = EarlierDeclaration(when="2026-11-30T00:00:00Z", seeds={name: [0, 1, 2] for name in names}, recorded=9)
    found = curve_in(declaring(made, history=[earlier]))
    assert [(one.first, one.second) for one in found.crossings] == [("probe", "tfidf")]
    assert any("seeds were changed when results were known" in note for note in found.notes)
