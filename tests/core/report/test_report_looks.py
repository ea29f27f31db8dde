"""Declared looks in every output: the look and the level of each pair, what was decided at which look, and what it saved."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from builders import make_experiment, right_by_pattern
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.api.comparisons import Comparisons
from bakeoff.records.experiment import Experiment
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.table_md import write_page
from bakeoff.report.verdict_words import why_not_subtract
from bakeoff.text.numbers import confidence

LABELS, LOOKS = np.arange(400) % 2, [3, 5, 8]
BASE = "trainer-api"


def answers(accuracy: float, own: int, *, spread: float = 0.0) -> np.ndarray:
    easy, fresh = np.random.default_rng(0).random(400), np.random.default_rng(own)
    drawn = np.where(fresh.random((8, 400)) < 0.04, fresh.random((8, 400)), easy)
    return right_by_pattern(LABELS, drawn < accuracy + spread * (-1.0) ** np.arange(8)[:, None])


def experiment(seeds: Mapping[str, int], **keywords: object) -> Experiment:
    """Three strategies: one far worse, one whose seeds differ so much that nothing can be said."""
    rows = {BASE: answers(0.8, 1), "far": answers(0.5, 2), "noisy": answers(0.79, 3, spread=0.05)}
    whole = make_experiment(rows, LABELS, looks=LOOKS, margin=2.0, **keywords)
    kept = [one for one in whole.records if one.requested.seed < seeds[one.requested.strategy]]
    return replace(whole, records=tuple(kept))


@pytest.fixture(scope="module")
def after_one() -> Comparison:
    return compare(experiment({BASE: 3, "far": 3, "noisy": 3}))


def test_the_group_says_what_was_decided_at_which_look_and_what_it_saved(after_one: Comparison) -> None:
    (group,) = after_one.groups
    assert group.looks is not None
    (taken,) = group.looks.taken
    assert (taken.number, taken.seeds) == (1, 3)
    assert taken.level == pytest.approx(1 - 0.05 * 9 / 64 / 2)
    assert taken.decided == {"worse": ["far"], "futile": ["noisy"]}
    assert (group.looks.waiting, group.looks.runs, group.looks.most, group.looks.saved) == ({}, 9, 24, 15)
    assert group.answer.endswith("worse: far; futile: noisy.")
    assert [row.rank for row in group.rows] == [None] * 3
    assert group.all_pairs == []


def test_every_output_shows_look_and_level(after_one: Comparison) -> None:
    level = confidence(1 - 0.05 * 9 / 64 / 2)
    page, tex = write_page(after_one), write_tex(after_one)
    far = next(line for line in page.splitlines() if line.startswith("| far") and "worse" in line)
    assert [cell.strip() for cell in far.split("|")][4:8:3] == [level, "1 of 3"]
    assert "the looks saved 15" in page
    assert why_not_subtract(after_one.groups[0]) == ""
    assert "worse (look 1)" in tex
    assert level.replace("%", r"\%") in tex
    html = write_html(after_one, [], lambda _: None)
    assert html.count("look 1 of 3") >= 2
    assert tells(html, "", "0 of 24, ", "15 not")  # no record was given
    assert level in html
    rows = {row["strategy"]: row for row in csv.DictReader(io.StringIO(write_csv(after_one)))}
    assert (rows["far"]["look"], rows["far"]["looks"], rows["noisy"]["verdict"]) == ("1", "3", "futile")
    assert float(rows["far"]["difference_level"]) == pytest.approx(1 - 0.05 * 9 / 64 / 2)
    table = Comparisons(after_one).pairs.set_index("first")
    assert (table["look"]["far"], table["level"]["far"]) == (1, pytest.approx(1 - 0.05 * 9 / 64 / 2))
    pairs = {pair["first"]: pair for pair in json.loads(write_json(after_one))["groups"][0]["to_baseline"]}
    assert pairs["noisy"]["look"]["last"] == 8
    assert pairs["noisy"]["finding"] == "futile"


def test_a_futile_pair_says_how_many_examples_it_would_take(after_one: Comparison) -> None:
    (pair,) = [pair for pair in after_one.groups[0].to_baseline if pair.first == "noisy"]
    assert tells(pair.sentence, "", "futile ", "look 1 of 3 ", "3 seeds")
    assert "no number of examples" in pair.sentence  # it is its seeds that differ
    assert pair.look is not None
    assert pair.look.examples is None


def test_runs_that_no_look_asks_for_are_not_missing(after_one: Comparison) -> None:
    assert [row.missing for row in after_one.groups[0].rows] == [[], [], []]
    assert not {"missing-runs", "few-seeds"} & {warning.name for warning in after_one.warnings}


def test_before_the_first_look_nothing_is_tested() -> None:
    made = compare(experiment({BASE: 3, "far": 1, "noisy": 3}))
    (group,) = made.groups
    assert {(pair.verdict, pair.p, pair.p_adjusted, pair.low, pair.look) for pair in group.to_baseline} == {
        ("open", None, None, None, None)
    }
    assert group.looks is not None
    assert group.looks.waiting == {"far": [1, 2]}
    assert {row.strategy: row.missing for row in group.rows} == {BASE: [], "far": [1, 2], "noisy": []}
    assert "waits for 2 runs" in write_page(made)


def test_a_pair_that_was_decided_stays_as_it_was_while_the_baseline_goes_on(after_one: Comparison) -> None:
    later = compare(experiment({BASE: 8, "far": 3, "noisy": 8}))
    pairs = [next(pair for pair in made.groups[0].to_baseline if pair.first == "far") for made in (after_one, later)]
    assert pairs[0] == pairs[1]
    assert pairs[1].seeds == (3, 3)
    assert tells(why_not_subtract(later.groups[0]), "difference: ", "3 (far and noisy)")
    assert later.groups[0].score(later.groups[0].rows[0]).seeds == list(range(8))


def test_who_dominates_whom_is_decided_by_the_looks_that_judged(after_one: Comparison) -> None:
    """All train for the same time: what is worse is dominated, with the interval of its look."""
    assert {row.strategy: row.dominated_by for row in after_one.groups[0].rows} == {BASE: [], "far": [BASE], "noisy": []}
    before = compare(experiment({BASE: 3, "far": 3, "noisy": 2}))
    assert [row.dominated_by for row in before.groups[0].rows] == [[], [], []]


def test_ranks_are_given_where_they_are_asked_for_from_five_seeds_on() -> None:
    three, five = (compare(experiment(dict.fromkeys((BASE, "far", "noisy"), n), ranks=True)) for n in (3, 5))
    assert {row.rank for row in three.groups[0].rows} == {None}
    assert {row.strategy: row.rank for row in five.groups[0].rows}["far"] == (3, 3)
    assert {pair.look.number for pair in five.groups[0].all_pairs if pair.look} == {2}


@pytest.mark.parametrize(
    ("level", "words"), [(0.95, "95 %"), (0.998875, "99.89 %"), (1 - 0.002 / 6, "99.967 %"), (0.99, "99 %")]
)
def test_a_level_keeps_two_digits_of_what_it_leaves(level: float, words: str) -> None:
    assert confidence(level) == words
