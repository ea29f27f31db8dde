"""Runs that collapsed or failed: left out of scores and verdicts, counted in their share, told of in the line on all runs."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    altered,
    clean_answers,
    clean_experiment,
    drawn_answers,
    failed,
    make_experiment,
    scored_by,
)
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.results import Pair, Row
from bakeoff.api.comparisons import Comparisons
from bakeoff.contracts.metrics import MeanAbsoluteError, Pearson
from bakeoff.records.experiment import Experiment
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.table_md import write_page
from bakeoff.statistics.collapse import share_range
from bakeoff.statistics.intervals import share_interval

MAJORITY = 266 / 400


def judged(made: Experiment) -> tuple[ComparisonGroup, Pair, dict[str, Row]]:
    (group,) = compare(made).groups
    return group, group.to_baseline[0], {row.strategy: row for row in group.rows}


def falling(*seeds: int, accuracy: float = 0.8, of: int = 8, seed: int = 2) -> np.ndarray:
    """Answers (of, 400) with these runs collapsed."""
    answers = drawn_answers(LABELS, seeds=of, accuracy=accuracy, seed=seed)
    answers[list(seeds)] = 1
    return answers


def scores(answers: np.ndarray) -> np.ndarray:
    return (answers == LABELS).mean(axis=1)


def test_scores_and_verdicts_are_of_the_runs_that_learned() -> None:
    theirs, ours = clean_answers(accuracy=0.9, seed=1), falling(2, 5)
    _, pair, rows = judged(clean_experiment({BASELINE: theirs, ROW: ours}))
    learned = np.delete(scores(ours), [2, 5])
    score = rows[ROW].scores["test"]["accuracy"]
    assert (score.seeds, score.mean, score.sd) == (
        [0, 1, 3, 4, 6, 7],
        pytest.approx(learned.mean()),
        pytest.approx(learned.std(ddof=1)),
    )
    assert [(run.seed, run.score) for run in rows[ROW].collapsed] == [(2, MAJORITY), (5, MAJORITY)]
    assert (pair.seeds, pair.verdict) == ((6, 8), "worse")
    assert pair.difference == pytest.approx(learned.mean() - scores(theirs).mean())
    assert rows[ROW].expected_best[0] == pytest.approx(learned.mean())
    assert len(rows[ROW].expected_best) == 6
    assert rows[ROW].rank == (2, 2)
    assert tells(pair.sentence, "", "6 of 8", "8 of 8")


def test_the_share_of_collapses_has_an_interval_on_both_sides() -> None:
    _, pair, rows = judged(clean_experiment({BASELINE: clean_answers(accuracy=0.9, seed=1), ROW: falling(2, 5)}))
    assert pair.all_runs
    first, second = pair.all_runs.first, pair.all_runs.second
    assert (first.collapsed, first.failed, first.runs) == (2, 0, 8)
    assert (first.low, first.high) == share_interval(0.25, 8)
    assert (second.number, second.high) == (0, pytest.approx(1 - 0.05 ** (1 / 8)))
    assert rows[ROW].unlearned == first
    assert tells(pair.sentence, "", "2 of 8 (7 ", "59 %)", f"of {ROW}", "0 of 8 (", "31 %)", f"of {BASELINE}")


def test_of_all_runs_the_verdict_needs_both_ways_of_counting() -> None:
    """Left out, and as the majority baseline."""
    theirs = clean_answers(accuracy=0.8, seed=1)
    both = judged(clean_experiment({BASELINE: theirs, ROW: falling(2, 5, accuracy=0.6)}))[1]
    assert (both.verdict, both.all_runs and both.all_runs.finding) == ("worse", "worse")
    apart = judged(clean_experiment({BASELINE: theirs, ROW: falling(2, 5, accuracy=0.9)}))[1]
    assert (apart.verdict, apart.all_runs and apart.all_runs.finding) == ("better", "inconclusive")
    opposed = judged(clean_experiment({BASELINE: theirs, ROW: falling(*range(5), accuracy=0.95)}))[1]
    assert (opposed.verdict, opposed.all_runs and opposed.all_runs.finding) == ("better", "inconclusive")
    equal = judged(clean_experiment({BASELINE: theirs, ROW: falling(*range(4), accuracy=0.8)}, margin={"points": 8.0}))[1]
    assert (equal.verdict, equal.all_runs and equal.all_runs.finding) == ("equivalent", "inconclusive")


def test_the_line_on_all_runs_counts_others_as_the_majority_baseline() -> None:
    theirs, ours = clean_answers(accuracy=0.8, seed=1), falling(2, accuracy=0.9)
    ours[2] = 0  # collapsed onto the rarer label, with a third right: it counts as the majority's
    _, pair, _ = judged(clean_experiment({BASELINE: theirs, ROW: ours}, failing={ROW: [7]}))
    assert pair.all_runs
    counted = scores(ours)
    counted[[2, 7]] = MAJORITY
    assert (pair.all_runs.first.collapsed, pair.all_runs.first.failed) == (1, 1)
    assert pair.all_runs.difference == pytest.approx(counted.mean() - scores(theirs).mean())
    assert pair.all_runs.low is not None
    assert pair.all_runs.low < pair.all_runs.difference < pair.all_runs.high  # type: ignore[operator]
    assert pair.difference == pytest.approx(np.delete(scores(ours), [2, 7]).mean() - scores(theirs).mean())


def test_a_crash_counts_like_a_collapse() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers(accuracy=0.9)}
    fell = clean_experiment({**rows, ROW: falling(2, accuracy=0.9)})
    crashed = clean_experiment(rows, failing={ROW: [2]})
    one, other = judged(fell)[1], judged(crashed)[1]
    assert one.all_runs
    assert other.all_runs
    assert (one.difference, one.verdict) == (pytest.approx(other.difference), other.verdict)
    assert one.all_runs.difference == pytest.approx(other.all_runs.difference)
    assert (one.all_runs.first.low, one.all_runs.first.high) == (other.all_runs.first.low, other.all_runs.first.high)


def test_an_interrupted_run_is_no_failure_of_the_strategy() -> None:
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers()})
    records = [failed(one, "interrupted") if one is made.records[-1] else one for one in made.records]
    _, pair, rows = judged(Experiment(**{**vars(made), "records": tuple(records)}))
    assert pair.all_runs is None
    assert rows[ROW].unlearned
    assert (rows[ROW].unlearned.number, rows[ROW].unlearned.runs) == (0, 7)


def test_where_every_run_learned_nothing_is_said_of_all_runs() -> None:
    group, pair, _ = judged(clean_experiment())
    assert pair.all_runs is None
    assert "learned" not in pair.sentence + group.answer


def test_a_row_of_which_no_run_learned_enters_no_test() -> None:
    rows = {
        BASELINE: clean_answers(accuracy=0.9, seed=1),
        ROW: np.ones((8, 400), dtype=int),
        "third": clean_answers(accuracy=0.8),
    }
    group, pair, by_name = judged(clean_experiment(rows))
    assert (pair.verdict, pair.p, pair.low, pair.advice) == ("inconclusive", None, None, "")
    assert (by_name[ROW].rank, by_name[ROW].front_probability, by_name[ROW].expected_best) == (None, None, [])
    assert by_name[ROW].scores["test"]["accuracy"].mean == MAJORITY
    assert not any(part.strategy == ROW for part in group.slices)
    assert group.pairs["third"].comparisons == 1
    assert pair.all_runs
    assert pair.all_runs.finding == "worse"  # all that can be said of it
    assert (pair.all_runs.first.low, pair.all_runs.first.high) == share_range(8, 8)
    assert f"no run learned: {ROW}" in group.answer
    assert f"worse: {ROW}" in group.answer


def test_of_few_runs_that_learned_nothing_is_decided() -> None:
    _, pair, rows = judged(clean_experiment({BASELINE: clean_answers(accuracy=0.95, seed=1), ROW: falling(*range(6))}))
    assert (pair.seeds, pair.verdict) == ((2, 8), "inconclusive")
    assert rows[ROW].rank is None
    assert pair.all_runs
    assert pair.all_runs.finding == "inconclusive"


def test_identical_rows_are_identical_in_all_their_runs() -> None:
    ours = falling(2)
    same = judged(clean_experiment({BASELINE: ours, ROW: ours}))[1]
    assert same.verdict == "identical"
    other = ours.copy()
    other[2] = 0
    assert judged(clean_experiment({BASELINE: ours, ROW: other}))[1].verdict != "identical"


def test_a_margin_does_not_hide_a_collapse_behind_equivalence() -> None:
    ours = falling(2, accuracy=0.8)
    pair = judged(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: ours}, margin={"points": 6.0}))[1]
    assert pair.verdict == "equivalent"
    assert pair.all_runs
    assert pair.all_runs.finding == "inconclusive"


def numbers(noise: float, seed: int) -> np.ndarray:
    return TRUTH + noise * np.random.default_rng(seed).normal(size=(6, len(TRUTH)))


TRUTH = np.random.default_rng(0).normal(3, 1.5, 300)


@pytest.mark.parametrize("metric", [Pearson(), MeanAbsoluteError()])
def test_numbers_that_do_not_vary_have_collapsed_by_any_metric(metric: Pearson | MeanAbsoluteError) -> None:
    given = {BASELINE: numbers(0.5, 1), ROW: numbers(1.5, 2)}
    given[ROW][3] = TRUTH.mean()
    made = make_experiment({name: np.ones((6, 300), dtype=int) for name in given}, np.arange(300) % 2)
    made = scored_by(made, metric, kind="regression", truth=TRUTH, given=given)
    unknown = judged(made)[1].all_runs  # these records do not tell what a constant answer scores
    assert unknown
    assert (unknown.difference, unknown.finding) == (None, "inconclusive")
    constant = 0.0 if metric.name == "pearson" else float(np.abs(TRUTH - TRUTH.mean()).mean())
    data = made.records[0].data
    assert data
    data = data.model_copy(update={"majority_baseline": {"test": {metric.name: constant}}})
    made = altered(made, "", row=None, data=data)
    _, pair, rows = judged(made)
    assert [run.seed for run in rows[ROW].collapsed] == [3]
    assert rows[ROW].scores["test"][metric.name].seeds == [0, 1, 2, 4, 5]
    assert (pair.verdict, pair.seeds) == ("worse", (5, 6))
    assert pair.all_runs
    assert pair.all_runs.difference is not None
    counted = [metric.score(run, TRUTH) for run in given[ROW]]
    counted[3] = constant
    theirs = np.mean([metric.score(run, TRUTH) for run in given[BASELINE]])
    assert pair.all_runs.difference == pytest.approx(np.mean(counted) - theirs)
    assert pair.all_runs.low is not None


def test_every_output_has_the_share_and_the_verdict_on_all_runs() -> None:
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: falling(2, 5, accuracy=0.9)})
    comparison = compare(made)
    (pair,) = comparison.groups[0].to_baseline
    assert pair.all_runs
    share, every = pair.all_runs.first, pair.all_runs
    assert (pair.verdict, every.finding) == ("better", "inconclusive")

    (line,) = [one for one in csv.DictReader(io.StringIO(write_csv(comparison))) if one["strategy"] == ROW]
    assert (line["verdict"], line["all_runs_verdict"], line["collapsed"], line["seeds_scored"]) == (
        "better",
        "inconclusive",
        "2",
        "8",
    )
    told = [float(line[name]) for name in ("all_runs_difference", "all_runs_low", "unlearned_low", "unlearned_high")]
    assert told == pytest.approx([every.difference, every.low, share.low, share.high], rel=1e-9)

    (group,) = json.loads(write_json(comparison))["groups"]
    assert group["to_baseline"][0]["all_runs"]["finding"] == "inconclusive"
    assert group["rows"][1]["unlearned"]["collapsed"] == 2

    board, pairs = (getattr(Comparisons(comparison), name) for name in ("leaderboard", "pairs"))
    assert board.set_index("strategy").loc[ROW, ["collapsed", "failed", "unlearned_high"]].tolist() == [2, 0, share.high]
    assert pairs["all_runs_verdict"].tolist() == ["inconclusive"] * 2  # of both families
    assert pairs["all_runs_difference"].abs().tolist() == [pytest.approx(abs(every.difference or 0.0))] * 2

    page = write_html(comparison, made.records, lambda run: None)
    for output in (write_page(comparison), write_tex(comparison).replace("\\%", "%"), page):
        flat = " ".join(output.split())
        assert share.words in flat
        assert "inconclusive" in flat
    assert page.count('class="cross"') == 4  # two runs, in the wide chart and in the narrow one
    assert every.sentence in " ".join(write_page(comparison).replace("\\", "").split())
