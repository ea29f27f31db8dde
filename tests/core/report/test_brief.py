"""A comparison on one screen: never more lines than allowed, never wider, and what matters first."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from builders import COURSE, drawn_answers, make_comparison, make_experiment, make_folder
from core.calling import Call
from messages import tells
from rich.cells import cell_len

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.records.load import load_experiment
from bakeoff.report.text.brief import MOST_LINES, write_brief
from bakeoff.report.verdict_words import verdict_words

CLOSING = "All of it: `bakeoff table x --all`"
SKILL = {"full": 0.80, "lora": 0.79, "bitfit": 0.76, "head-only": 0.68, "linear-probe": 0.67}


@cache
def five() -> Comparison:
    return make_comparison(SKILL, broken=["bitfit"], confounded=["head-only"], imported=[COURSE]).comparison


def with_warnings(comparison: Comparison, number: int) -> Comparison:
    """The same with many long warnings of different names."""
    (warning,) = comparison.warnings
    many = [warning.model_copy(update={"name": f"warning-{n}", "what": "It is so. " * 40}) for n in range(number)]
    return comparison.model_copy(update={"warnings": many})


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("warnings", [0, 1, 12])
def test_five_strategies_take_at_most_forty_lines_and_what_is_left_out_is_named(width: int, warnings: int) -> None:
    lines = write_brief(with_warnings(five(), warnings), width, more=[CLOSING])
    assert len(lines) <= MOST_LINES == 40
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    assert all(name in text for name in SKILL)
    assert lines[-1] == CLOSING
    assert ("Mind also: " in text) == (warnings == 12)
    assert "out of memory" in text


def test_the_best_strategy_comes_first_with_score_verdict_cost_and_runs() -> None:
    (group,) = five().groups
    lines = write_brief(five(), 120)
    rows = [line for line in lines if line.split("  ")[0].removesuffix(" ◂") in SKILL]
    assert [row.split()[0] for row in rows] == [row.strategy for row in group.ranked]
    bitfit = next(row for row in rows if row.startswith("bitfit"))
    pair = group.pairs["bitfit"]
    assert group.figures.signed(pair.difference) in bitfit
    assert pair.verdict in bitfit
    assert "(×" in bitfit
    assert bitfit.endswith("  4 of 5")


def test_narrow_terminals_lose_columns_and_never_names() -> None:
    name = "a-strategy-with-a-name-of-its-own-that-is-longer-than-any-column"
    comparison = make_comparison({"full": 0.8, name: 0.7}).comparison
    for width in (40, 60, 80, 100):
        lines = write_brief(comparison, width)
        assert max(map(cell_len, lines)) <= max(width, 66)  # one name in the answer may be wider
        table = lines[next(place for place, line in enumerate(lines) if line.startswith("strategy")) :]
        assert name in "".join(line[:28].strip() for line in table)


def test_the_meaning_of_each_verdict_is_told_once_and_only_of_those_that_are_there() -> None:
    comparison = five()
    there = {pair.verdict for pair in comparison.groups[0].to_baseline}
    assert set(verdict_words(comparison.groups)) == there
    text = " ".join(" ".join(write_brief(comparison, 120)).split())
    for words in set(verdict_words(comparison.groups).values()):
        assert text.count(words) == 1


@pytest.mark.parametrize("number", [2, 8, 40])
def test_many_groups_stay_within_the_lines(number: int) -> None:
    comparison = five()
    (group,) = comparison.groups
    groups = [group.model_copy(update={"title": f"task-{n} · minilm", "task": f"task-{n}"}) for n in range(number)]
    lines = write_brief(comparison.model_copy(update={"groups": groups}), 80, more=["the rest"])
    assert len(lines) <= MOST_LINES
    assert any(line.startswith("task-0") for line in lines)
    assert lines[-1] == "the rest"


def test_one_paragraph_for_one_kind_of_warning() -> None:
    comparison = five()
    again = [comparison.warnings[0].model_copy(update={"group": f"task-{n} · minilm"}) for n in range(3)]
    lines = write_brief(comparison.model_copy(update={"warnings": [*comparison.warnings, *again]}), 120)
    assert sum(line.startswith("few-seeds ") for line in lines) == 1


def test_nothing_recorded_and_nothing_comparable_make_a_screen(tmp_path: Path, call: Call) -> None:
    labels = np.array([0, 1] * 20)
    made = make_experiment({"full": drawn_answers(labels, seeds=1, accuracy=0.8)}, labels)
    assert any("full" in line for line in write_brief(compare(made), 80))
    folder = make_folder(tmp_path / "x", {"full": drawn_answers(labels, seeds=2, accuracy=0.8)}, labels)
    for record in folder.glob("records/r1-*/record.json"):
        record.write_text("{")
    code, out, _ = call("table", folder)
    assert code == 0
    assert tells(out, "", "2 records ")


def test_all_shows_what_table_md_has(tmp_path: Path, call: Call) -> None:
    labels = np.array([0, 1] * 20)
    answers = {name: drawn_answers(labels, seeds=3, accuracy=0.8, seed=n) for n, name in enumerate(("full", "lora"))}
    folder = make_folder(tmp_path / "x", answers, labels)
    _, brief, _ = call("table", folder)
    _, everything, _ = call("table", folder, "--all")
    assert everything == (folder / "table.md").read_text(encoding="utf-8")
    assert f"`bakeoff table {folder} --all`" in brief.replace("\n  ", " ")
    assert len(brief.splitlines()) <= MOST_LINES


def test_a_long_title_is_broken_between_its_words() -> None:
    comparison = compare(load_experiment([Path(__file__).parents[3] / "results" / "own-script"]))
    lines = [line.split("  ")[0] for line in write_brief(comparison, 120)]
    first = lines.index("The chapter's loop as a")
    assert lines[first + 1] == "script (script)"
