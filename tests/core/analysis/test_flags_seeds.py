"""few-seeds, collapsed-runs, changed-after-looking, failed-runs, missing-runs, undeclared-runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    altered,
    clean_answers,
    clean_experiment,
    declaring,
    failed,
    importing,
    make_declaration,
    make_record,
    published,
)
from core.analysis.found_warnings import codes, only_warning, the_warning
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.flags.seeds import next_after_failures
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import EarlierDeclaration
from bakeoff.statistics.intervals import share_interval


def test_one_seed_is_an_anecdote() -> None:
    warning = the_warning(
        clean_experiment({BASELINE: clean_answers(seeds=1, seed=1), ROW: clean_answers(seeds=2)}), "few-seeds"
    )
    assert warning.rows == [BASELINE, ROW]
    assert tells(warning.what, "", f"1 seed behind {BASELINE} ", f"2 seeds behind {ROW}")
    assert "no rank" in warning.what
    assert "4 (2 to 5), or" in warning.what_to_do
    assert "`seeds: {looks: [3, 5, 8, 12, 20], first: 2}`), and run them in a new folder" in warning.what_to_do
    assert "--resolve 1" in warning.what_to_do


def test_three_to_five_seeds_have_a_floor_of_p() -> None:
    warning = only_warning(
        clean_experiment({BASELINE: clean_answers(accuracy=0.8, seeds=5, seed=1), ROW: clean_answers(seeds=5)}), "few-seeds"
    )
    assert tells(warning.what, "", "5 seeds ", BASELINE, ROW, "0.0625")
    assert "6 seeds" in warning.what


def test_holm_over_the_group_asks_for_more_seeds() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.6, seeds=3, seed=1)}
    rows |= {f"row-{n}": clean_answers(accuracy=0.9, seeds=3, seed=n) for n in (2, 3, 4)}
    warning = the_warning(clean_experiment(rows), "few-seeds")
    assert "not below 0.25" in warning.what
    assert "3 comparisons" in warning.what
    assert "7 (3 to 9)" in warning.what_to_do


def test_six_seeds_are_enough_for_one_comparison() -> None:
    assert codes(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seeds=6, seed=1), ROW: clean_answers(seeds=6)})) == []


def test_collapsed_runs_are_counted_with_an_interval_and_both_means() -> None:
    fallen = clean_answers()
    fallen[[2, 5]] = 1
    warning = the_warning(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: fallen}), "collapsed-runs")
    low, high = share_interval(2 / 8, 8)
    assert warning.rows == [ROW]
    assert tells(warning.what, "", f"{ROW} 2 of 8", f"({100 * low:.0f} ", f"{100 * high:.0f} %)", "seeds 2, 5")
    right = (fallen == LABELS).mean(axis=1)
    without = np.delete(right, [2, 5]).mean()
    assert tells(warning.what, "", f"{100 * without:.2f} without", f"{100 * right.mean():.2f} with")


def test_runs_that_failed_count_in_the_share_of_collapses() -> None:
    fallen = clean_answers()
    fallen[2] = 1
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: fallen}, failing={ROW: [5]})
    assert tells(the_warning(made, "collapsed-runs").what, "", f"{ROW} 2 of 8", "(7 ", "59 %)", "seed 2", "1 that failed")
    assert tells(the_warning(made, "failed-runs").what, "", f"{ROW} 2 of 8", "(7 ", "59 %)")


def test_a_row_that_always_collapsed_has_no_mean_without() -> None:
    warning = the_warning(
        clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: np.ones((8, 400), dtype=int)}), "collapsed-runs"
    )
    assert tells(warning.what, "", f"{ROW} 8 of 8", "69 %)", "seeds 0 to 7", "none learned", "66.50 with")


def test_rows_that_are_not_shown_above_the_majority_baseline_are_told_of_once() -> None:
    """Scores of up to 70 with a baseline of 66.5: such runs give both answers and have not collapsed."""
    rows = {name: clean_answers(accuracy=accuracy, seed=n) for n, (name, accuracy) in enumerate(NEAR.items())}
    assert all(rows[name].mean() < 0.8 for name in NEAR)
    made = clean_experiment(rows | {"good": clean_answers(seed=9)})
    (warning,) = [one for one in compare(made).warnings if one.name in ("not-above-majority", "collapsed-runs")]
    assert (warning.name, warning.rows) == ("not-above-majority", list(NEAR))
    assert warning.what.count("66.50") == 1


NEAR = {BASELINE: 0.66, ROW: 0.68, "third": 0.7}


def test_a_row_far_nearer_to_the_majority_baseline_than_to_the_best_has_hardly_learned() -> None:
    made = hardly_learning()
    warning = the_warning(made, "hardly-learned")
    assert warning.rows == [ROW]
    mean = (RIGHT_BY_LITTLE == LABELS).mean()
    way = (mean - 0.665) / ((RIGHT_BY_MUCH == LABELS).mean() - 0.665)
    assert 0.05 < way < 0.25
    assert tells(warning.what, "", ROW, f"{100 * way:.0f} %", "1,377 steps")
    assert compare(made).recommendations[0].cautions[0].startswith(f"{ROW} has hardly learned")


@pytest.mark.parametrize(
    "why",
    ["nearer to the best", "a wide interval", "its learning rate was searched", "it takes no steps", "only the recipe differs"],
)
def test_who_has_learned_or_could_not_learn_more_has_not_hardly_learned(why: str) -> None:
    made = hardly_learning()
    if why == "nearer to the best":
        made = hardly_learning(accuracy=0.82)
    elif why == "a wide interval":
        made = hardly_learning(spread=0.12)
    elif why == "its learning rate was searched":
        made = declaring(made, trials={ROW: 5, BASELINE: 5})
    elif why == "it takes no steps":
        made = altered(made, "observed", row=ROW, optimizer_steps=0)
    else:
        made = hardly_learning(method="full")
    assert "hardly-learned" not in codes(made)


def hardly_learning(*, accuracy: float = 0.74, spread: float = 0.0, method: str = "lora") -> Experiment:
    """ROW is so accurate, the majority baseline 66.5; its seeds are `spread` farther from and nearer to it in turns."""
    parts = [clean_answers(accuracy=accuracy + (-1) ** n * spread, seeds=2, seed=7 + n) for n in range(4)]
    little = np.concatenate(parts) if spread or accuracy != 0.74 else RIGHT_BY_LITTLE
    return clean_experiment(
        {BASELINE: RIGHT_BY_MUCH, ROW: little},
        records={BASELINE: {"method": "full"}, ROW: {"method": method}},
        under_test=["method"],
    )


RIGHT_BY_MUCH = clean_answers(accuracy=0.95, seed=1)
RIGHT_BY_LITTLE = clean_answers(accuracy=0.74, seed=7)


def test_a_row_that_always_collapsed_is_not_told_of_twice() -> None:
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: np.ones((8, 400), dtype=int)})
    assert "not-above-majority" not in codes(made)


def test_a_published_figure_at_the_floor_is_a_collapsed_run() -> None:
    floor = (LABELS == 1).mean()
    warning = the_warning(importing(clean_experiment(), published(accuracy=round(float(floor), 4))), "collapsed-runs")
    assert warning.rows == ["theirs"]
    assert "0.665" in warning.what
    assert "collapsed-runs" not in codes(importing(clean_experiment(), published(accuracy=0.6655)))


def test_seeds_added_after_looking_are_told_with_their_numbers_and_dates() -> None:
    before = {BASELINE: [0, 1, 2], ROW: [0, 1, 2]}
    looks = [
        EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds=before, recorded=6),
        EarlierDeclaration(when="2026-11-21T10:00:00+00:00", seeds={name: [0, 1, 2, 3, 4] for name in before}, recorded=10),
    ]
    warning = only_warning(declaring(clean_experiment(), history=looks), "changed-after-looking")
    assert warning.group == ""
    assert warning.rows == [ROW, BASELINE]
    assert f"{BASELINE} and {ROW} went from 3 to 5 seeds on 2026-11-20, when 6 runs had been recorded" in warning.what
    assert "2026-11-21, when 10" in warning.what
    assert "verdicts are withheld" in warning.what
    assert "first: 8}" in warning.what_to_do, "no recorded run has seed 8"


def test_seeds_and_strategies_that_vanish_are_told_too() -> None:
    seeds = {BASELINE: list(range(8)), ROW: [*range(8), 8, 9], "forgotten": [0]}
    look = EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds=seeds, recorded=6)
    warning = only_warning(declaring(clean_experiment(), history=[look]), "changed-after-looking")
    assert warning.rows == ["forgotten", ROW]
    assert tells(warning.what, "", f"{ROW} lost", "8, 9 of 10")
    assert "forgotten left the experiment" in warning.what


def test_a_history_without_a_change_is_none() -> None:
    same = EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds={BASELINE: list(range(8))}, recorded=6)
    assert codes(declaring(clean_experiment(), history=[same])) == []


def test_declared_runs_without_a_record_are_named() -> None:
    warning = only_warning(clean_experiment(undone=[make_record(ROW, 11), make_record(ROW, 12)]), "missing-runs")
    assert warning.rows == [ROW]
    assert "2 of 18" in warning.what
    assert f"{ROW} (seeds 11, 12)" in warning.what
    assert warning.what_to_do.startswith("`bakeoff run spec.yaml`")


def test_failed_runs_are_counted_by_reason() -> None:
    warning = only_warning(clean_experiment(failing={ROW: [3]}), "failed-runs")
    assert warning.rows == [ROW]
    assert tells(warning.what, "", f"{ROW} 1 of 8", "crashed (seed 3)")
    assert "--retry failed" in warning.what_to_do


@pytest.mark.parametrize(
    ("reason", "files", "named", "again"),
    [
        ("error", {"traceback.txt": "0" * 64}, "shows where the error was raised", "--retry failed"),
        ("crashed", {}, "shows what the run printed last", "--retry failed"),
        ("interrupted", {}, "", "`bakeoff run spec.yaml` makes"),
    ],
)
def test_advice_after_failures_names_what_there_is_to_read(reason: str, files: dict[str, str], named: str, again: str) -> None:
    records = [failed(make_record(ROW, seed), reason).model_copy(update={"files": files}) for seed in range(2)]
    told = next_after_failures(records, clean_experiment())
    assert again in told
    assert named in told
    assert (f"`bakeoff log {ROW}:0 " in told) == bool(named)


def test_a_task_of_which_every_run_failed_is_named_though_it_has_no_group() -> None:
    lost = [failed(make_record(row, seed, task="glue/rte"), "out of memory") for row in (BASELINE, ROW) for seed in range(8)]
    clean, other = clean_experiment(), make_declaration(lost)
    both = replace(
        declaring(clean, runs=[*clean.declared.runs, *other.runs]),
        records=(*clean.records, *lost),
    )
    found = compare(both)
    assert [group.task for group in found.groups] == ["glue/mrpc"]
    (warning,) = found.warnings
    assert (warning.name, warning.what) == (
        "failed-runs",
        "glue/rte · minilm is not shown: all of 16 recorded runs failed (out of memory).",
    )


def test_a_task_that_is_still_to_be_run_is_no_sin() -> None:
    clean, other = clean_experiment(), make_declaration([make_record(ROW, 0, task="glue/rte")])
    assert compare(declaring(clean, runs=[*clean.declared.runs, *other.runs])).warnings == []


def test_records_that_nobody_asked_for_are_said() -> None:
    warning = only_warning(replace(clean_experiment(), foreign=2), "undeclared-runs")
    assert warning.group == ""
    assert "2 records" in warning.what


def test_records_that_cannot_be_read_are_said() -> None:
    warning = only_warning(replace(clean_experiment(), damaged=("r1-abc/record.json is damaged: scores",)), "missing-runs")
    assert "r1-abc/record.json is damaged" in warning.what
