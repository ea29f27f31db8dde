"""What was changed once results were there is kept with its time and told; a new name is no change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import declared_run, drawn_answers, make_declaration, make_folder
from core.calling import Call

from bakeoff.records.history import continued, in_clauses, renamed
from bakeoff.records.schema import Change, Declared
from bakeoff.records.store import Store

LABELS = np.arange(300) % 3 // 2


def declared(strategies: dict[str, tuple[str, list[int]]], **changes: Any) -> Declared:
    """Strategy -> (what its ids begin with, its seeds)."""
    runs = [
        declared_run(f"r1-{kind}{seed}", strategy=name, seed=seed)
        for name, (kind, seeds) in strategies.items()
        for seed in seeds
    ]
    return make_declaration(runs, **{"baseline": "a", "metrics": {"t": "accuracy"}} | changes)


TWO = {"a": ("a", [0, 1]), "b": ("b", [0, 1])}


@pytest.mark.parametrize(
    ("change", "before", "after", "what"),
    [
        ({"margin": {"points": 3.0}}, "1 points", "3 points", "margin"),
        ({"margin": {"points": 1.0, "mae": 0.05}}, "1 points", "0.05 mae, 1 points", "margin"),
        ({"report_on": "dev"}, "test", "dev", "reported split"),
        ({"metrics": {"t": "mcc"}}, "accuracy", "mcc", "primary metric of t"),
        ({"baseline": "b"}, "a", "b", "baseline"),
        ({"under_test": [], "spelt_out": {}}, "trainer", "nothing", "under test"),
        ({"under_test": []}, "trainer", "what strategies spell out", "under test"),
        ({"under_test": ["method", "trainer"]}, "trainer", "method, trainer", "under test"),
        ({"gate": {"quality": "-2 points"}}, "none", "quality -2 points", "gate"),
        ({"trials": {"b": 1}}, "9", "1", "trials of b"),
    ],
)
def test_what_can_change_a_conclusion_is_kept(change: dict[str, Any], before: str, after: str, what: str) -> None:
    old = declared(TWO, trials={"b": 9})
    (look,) = continued(old, declared(TWO, **({"trials": {"b": 9}} | change)), recorded=4)
    assert look.changes == [Change(what=what, before=before, after=after)]
    assert (look.recorded, look.seeds, look.when[:2]) == (4, {"a": [0, 1], "b": [0, 1]}, "20")
    assert in_clauses(look) == [f"{what} went from {before} to {after} on {look.when[:10]}, when 4 runs had been recorded"]


@pytest.mark.parametrize(
    "change", [{"question": "Other?"}, {"name": "f"}, {"spec_file": "s.yaml"}, {"under_test": ["trainer"]}]
)
def test_what_cannot_is_not(change: dict[str, Any]) -> None:
    assert continued(declared(TWO), declared(TWO, **change), recorded=4) == []


def test_before_the_first_result_everything_may_change() -> None:
    assert continued(declared(TWO), declared(TWO, margin={"points": 3.0}, report_on="dev"), recorded=0) == []


def test_what_nobody_noted_before_is_no_change() -> None:
    assert continued(declared(TWO, metrics={}), declared(TWO), recorded=4) == []


@pytest.mark.parametrize(
    ("after", "changes", "names"),
    [
        ({"new": ("a", [0, 1]), "b": ("b", [0, 1])}, {"baseline": "new"}, {"a": "new", "b": "b"}),
        ({"b": ("a", [0, 1]), "a": ("b", [0, 1])}, {"baseline": "b"}, {"a": "b", "b": "a"}),
    ],
    ids=["another name", "names swapped"],
)
def test_a_new_name_is_no_change_and_the_history_has_it(
    after: dict[str, tuple[str, list[int]]], changes: dict[str, Any], names: dict[str, str]
) -> None:
    (look,) = continued(declared({"a": ("a", [0]), "b": ("b", [0])}), declared(TWO), recorded=2)
    old = declared(TWO, history=[look])
    assert renamed(old, declared(after, **changes)) == names
    (kept,) = continued(old, declared(after, **changes), recorded=4)
    assert kept.seeds == {names["a"]: [0], names["b"]: [0]}


def test_a_new_name_with_more_seeds_tells_the_seeds_alone() -> None:
    after = declared({"new": ("a", [0, 1, 2]), "b": ("b", [0, 1])}, baseline="new")
    (look,) = continued(declared(TWO), after, recorded=4)
    assert (look.seeds, look.changes) == ({"new": [0, 1], "b": [0, 1]}, [])


def test_swapped_names_under_one_baseline_are_another_baseline() -> None:
    (look,) = continued(declared(TWO), declared({"b": ("a", [0, 1]), "a": ("b", [0, 1])}), recorded=4)
    assert look.changes == [Change(what="baseline", before="b", after="a")]


def test_a_strategy_of_other_runs_keeps_its_name_and_one_that_is_gone_is_told() -> None:
    assert renamed(declared(TWO), declared({"a": ("c", [0, 1]), "b": ("b", [0, 1])})) == {"a": "a", "b": "b"}
    (look,) = continued(declared(TWO), declared({"a": ("a", [0, 1])}), recorded=4)
    assert look.seeds == {"a": [0, 1], "b": [0, 1]}


def test_the_default_margin_written_out_and_left_out_are_the_same() -> None:
    written, bare, other = declared(TWO), declared(TWO, margin={}), declared(TWO, margin={"points": 2.0})
    assert continued(written, bare, 4) == continued(bare, written, 4) == []
    (look,) = continued(bare, other, 4)
    assert look.changes == [Change(what="margin", before="the default", after="2 points")]


def test_a_margin_changed_after_results_is_told_in_table_page_and_gate(tmp_path: Path, call: Call) -> None:
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(("a", "b"))}
    gate = {"quality": "-1 points"}
    folder, other = (make_folder(tmp_path / name, answers, LABELS, gate=gate) for name in ("made", "other"))
    store = Store(folder)
    store.declare(store.declared().model_copy(update={"margin": {"points": 9.0}, "gate": {"quality": "-5 points"}}))
    (look,) = store.declared().history
    said = [
        f"margin went from 1 points to 9 points on {look.when[:10]}, when 6 runs had been recorded",
        f"gate went from quality -1 points to quality -5 points on {look.when[:10]}, when 6 runs had been recorded",
    ]
    assert call("report", folder)[0] == 0
    for name in ("table.md", "report.html"):
        text = " ".join((folder / name).read_text().split())
        assert all(clause in text for clause in said), name
    assert all(clause in " ".join(call("gate", other, "--against", folder)[1].split()) for clause in said)
    before = store.plan_file.read_bytes()
    store.declare(store.declared())
    assert store.plan_file.read_bytes() == before
