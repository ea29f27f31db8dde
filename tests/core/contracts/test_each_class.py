"""Figures of every class: one metric in a record's file, as many as there are classes for whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import failed, make_record

from bakeoff.contracts.each_class import gathered, spread
from bakeoff.contracts.metric import MetricFacts
from bakeoff.errors import DamageError
from bakeoff.records.record_files import LINE, dump, laid_out, read_part
from bakeoff.records.schema import Record

LABELS = ["red", "light blue", "f1 (odd)"]


def figures(*names: str) -> dict[str, float]:
    return {name: (number + 1) / 7 for number, name in enumerate(names)}


def facts(*names: tuple[str, int | None], **changes: Any) -> list[MetricFacts]:
    return [
        MetricFacts(**{"name": name, "higher_is_better": True, "version": "1", "label": label} | changes)
        for name, label in names
    ]


def made(metrics: list[MetricFacts], scores: dict[str, float] | None = None, labels: list[str] = LABELS) -> Record:
    record = make_record("a", 0)
    assert record.data is not None
    found = scores if scores is not None else figures(*(metric.name for metric in metrics))
    facts = {"labels": labels, "metrics": metrics, "primary_metric": metrics[0].name, "majority_baseline": {"test": found}}
    data = record.data.model_copy(update=facts)
    return record.model_copy(update={"data": data, "scores": {"dev": found, "test": found}})


def each(metric: str, labels: list[str] = LABELS) -> list[tuple[str, int | None]]:
    return [(f"{metric} ({label})", number) for number, label in enumerate(labels)]


def test_a_metric_of_every_class_is_written_once_and_read_as_many() -> None:
    record = made(facts(("accuracy", None), *each("f1"), ("macro_f1", None), *each("recall")))
    content = dump(record)
    plain = json.loads(content)
    assert [(metric["name"], metric["label"]) for metric in plain["data"]["metrics"]] == [
        ("accuracy", None),
        ("f1", "each"),
        ("macro_f1", None),
        ("recall", "each"),
    ]
    assert plain["scores"]["test"] == {
        "accuracy": 1 / 7,
        "f1": [2 / 7, 3 / 7, 4 / 7],
        "macro_f1": 5 / 7,
        "recall": [6 / 7, 1.0, 8 / 7],
    }
    assert plain["data"]["majority_baseline"]["test"] == plain["scores"]["test"]
    found = read_part(Record, content, Path("record.json"))
    assert found.model_copy(update={"seal": record.seal}) == record
    assert found.data is not None
    assert [metric.name for metric in found.data.metrics] == [*record.scores["test"]]


@pytest.mark.parametrize(
    "record",
    [
        made(facts(*each("f1")[:2])),
        made(facts(*reversed(each("f1")))),
        made(facts(("f1 (red)", 0), ("accuracy", None), *each("f1")[1:])),
        made(facts(*each("f1"), ("f1", None))),
        made(facts(("f1", None), *each("f1"))),
        made([*facts(*each("f1")[:2]), *facts(each("f1")[2], version="2")]),
        made(facts(*each("f1", ["red"])), labels=["red"]),
        made(facts(("accuracy", None)), labels=[]),
        failed(make_record("a", 0)),
    ],
    ids=[
        "not all",
        "another order",
        "apart",
        "before one of all",
        "after one of all",
        "another version",
        "one label",
        "no labels",
        "no data",
    ],
)
def test_what_is_no_such_family_is_written_as_it_is(record: Record) -> None:
    plain = record.model_dump(mode="json")
    assert gathered(plain) == plain
    assert Record.model_validate_json(dump(record)).model_copy(update={"seal": record.seal}) == record


def test_a_failed_run_has_the_metrics_and_no_scores() -> None:
    whole = made(facts(*each("f1")))
    record = failed(whole).model_copy(update={"data": whole.data})
    assert json.loads(dump(record))["data"]["metrics"][0]["label"] == "each"
    assert Record.model_validate_json(dump(record)).model_copy(update={"seal": record.seal}) == record


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda plain: plain["scores"]["test"].update(f1=[0.5]), "scores.test.f1"),
        (lambda plain: plain["scores"]["test"].update(f1="high"), "scores.test.f1"),
        (lambda plain: plain["scores"].update(test=[0.5]), "scores.test"),
        (lambda plain: plain["data"].update(majority_baseline=None), "data.majority_baseline"),
        (lambda plain: plain["data"].update(labels="red"), "data.labels"),
        (lambda plain: plain["data"]["metrics"][0].update(name=7), "data.metrics.0.name"),
        (lambda plain: plain["data"]["metrics"][0].update(label="all"), "data.metrics.0.label"),
    ],
)
def test_what_is_damaged_says_where(change: Any, where: str) -> None:
    plain = json.loads(dump(made(facts(*each("f1")))))
    change(plain)
    assert spread(plain) is not None
    with pytest.raises(DamageError, match=rf"^record\.json is damaged: {where}: "):
        read_part(Record, json.dumps(plain).encode(), Path("record.json"))


@pytest.mark.parametrize("value", [{}, [], {"a": []}, {"a": {"b": list(range(99)), "c": "x" * 200}, "d": [[1.5, None]] * 40}])
def test_lines_are_short_and_hold_the_same_values(value: Any) -> None:
    text = laid_out(value)
    assert json.loads(text) == value
    assert all(len(line) <= LINE or "x" * 200 in line for line in text.splitlines())


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        laid_out({"a": [float("nan")]})
