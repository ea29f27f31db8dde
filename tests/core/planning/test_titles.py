"""Titles: short ones by default, those of the file, never twice the same, and no part of an id."""

from __future__ import annotations

import pytest
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.records.schema import Titles
from bakeoff.spec.document import parse_document

REGISTRY = load_registry()


def plan_of(tasks: str, models: str = "tiny-bert", strategies: str = "a: {trainer: torch-loop}") -> Plan:
    text = f"name: x\ntasks: [{tasks}]\nmodels: [{models}]\nstrategies: {{{strategies}}}\nseeds: 1\n"
    return resolve(parse_document(text, "spec.yaml"), REGISTRY)


def table(train: str, more: str = "") -> str:
    return f"{{name: table, train: {train}, text: q, label: y, split: {{test: 20%}}{more}}}"


@pytest.mark.parametrize(
    ("train", "title"),
    [
        ("tickets.csv", "tickets"),
        ("tickets/train.csv.gz", "tickets"),
        ("[2024/mails.zip/data.tsv, b.tsv]", "mails"),
        ("{file: Train.csv, delimiter: ';'}", "table"),
    ],
)
def test_a_table_is_called_by_its_rows(train: str, title: str) -> None:
    assert list(plan_of(table(train)).titles.tasks.values()) == [title]


def test_a_model_of_the_hub_is_called_by_its_name() -> None:
    plan = plan_of("toy", "{name: hub, path: google-bert/bert-base-uncased}, tiny-bert, {name: tiny-bert, layers: 3}")
    assert list(plan.titles.models.values()) == ["bert-base-uncased", "tiny-bert", "tiny-bert (layers=3)"]


def test_alike_titles_are_told_apart_by_the_options_that_differ() -> None:
    plan = plan_of(
        f"{table('a/x.csv')}, {table('b/x.csv', ', gaps: drop')}, {table('c/x.csv', ', title: x')}, {table('y.csv')}"
    )
    first, second, third, other = plan.titles.tasks.values()
    assert (third, other) == ("x", "y")
    assert first == "x (train=a/x.csv)"
    assert second == "x (train=b/x.csv, gaps=drop)"


def test_the_files_own_titles_are_used_and_change_no_id() -> None:
    before = plan_of(table("x.csv"))
    after = plan_of(
        table("x.csv", ", title: Support tickets"), "{name: tiny-bert, title: Tiny}", "a: {trainer: torch-loop, title: All}"
    )
    assert [run.id for run in after.runs] == [run.id for run in before.runs]
    label = before.tasks[0].label
    assert after.titles == Titles(tasks={label: "Support tickets"}, models={"tiny-bert": "Tiny"}, strategies={"a": "All (a)"})
    assert before.titles.strategies == {}


@pytest.mark.parametrize(
    ("tasks", "models", "strategies", "place"),
    [
        ("{name: toy, title: ''}", "tiny-bert", "a: {trainer: torch-loop}", "2:21: tasks[0].title: "),
        ("{name: toy, title: [x]}", "tiny-bert", "a: {trainer: torch-loop}", "2:21: tasks[0].title: "),
        ("toy", "tiny-bert", "a: {trainer: {name: torch-loop, title: x}}", "4:46: strategies.a.trainer.title: no key"),
        ("{name: toy, title: x}, {name: toy, size: 9, title: x}", "tiny-bert", "a: {trainer: torch-loop}", "2:53: tasks[1]"),
        ("toy", "tiny-bert", "a: {trainer: torch-loop, title: b}, b: {trainer: hf-trainer}", "4:39: strategies.a.title: "),
    ],
)  # fmt: skip
def test_what_is_no_title_is_told_at_its_place(tasks: str, models: str, strategies: str, place: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan_of(tasks, models, strategies)
    (problem,) = caught.value.problems
    assert tells(str(problem), f"spec.yaml:{place}"), str(problem)


def test_what_comparisons_add_to_a_label_stands_behind_its_title() -> None:
    titles = Titles(tasks={"table (train=x.csv)": "x", "table": "y"})
    assert titles.task("table (train=x.csv)") == "x"
    assert titles.task("table (train=x.csv) (other rows)") == "x (other rows)"
    assert titles.task("toy (size=3)") == "toy (size=3)"
