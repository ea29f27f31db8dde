"""Records of unlike things: no command and no notebook refuses them, and all say the same of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import declare, drawn_answers, make_folder_of, make_record, make_runs, write_run
from core.calling import Call

from bakeoff import compare, load
from bakeoff.analysis.rescoring import rescore
from bakeoff.contracts.metric import MetricFacts
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Record
from bakeoff.records.store import Store

UNLIKE = ("different-data", "different-metrics", "machine-changed", "software-changed")
ROW, BASELINE = "manual-loop", "trainer-api"
LABELS = np.arange(60) % 2
METRICS = [MetricFacts(name=name, higher_is_better=True, version="2") for name in ("accuracy", "f1")]
GROUP = "glue/mrpc · minilm"


def unlike(folder: Path, *, part: str = "", changes: dict[str, Any] | None = None, **record: Any) -> Path:
    """An experiment of two rows; those of the second have a part changed, or are made with other keywords of make_record."""
    if "splits" in record:
        return make_folder_of(folder, [make_record(BASELINE), make_record(ROW, **record)])
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate((BASELINE, ROW))}
    runs = make_runs(answers, LABELS, records={ROW: record})

    def change(one: Record) -> Record:
        if one.requested.strategy != ROW or changes is None:
            return one
        return one.model_copy(update={part: getattr(one, part).model_copy(update=changes)} if part else changes)

    store, changed = Store(folder), [(change(one), predictions) for one, predictions in runs]
    store.records.mkdir(parents=True)
    for one, predictions in changed:
        write_run(store, one, predictions)
    declare(folder, [one for one, _ in changed])
    return folder


@pytest.mark.parametrize(
    ("odd", "titles", "rankings", "name"),
    [
        ({}, [GROUP], [0, 0], ""),
        ({"task_version": "2"}, [GROUP, "glue/mrpc (other task version) · minilm"], [0, 0], "different-data"),
        ({"test_data": "others"}, [GROUP, "glue/mrpc (other rows of test) · minilm"], [0, 0], "different-data"),
        ({"splits": ["dev"]}, [GROUP], [0, 0], "different-data"),
        ({"part": "data", "changes": {"metrics": METRICS}}, [GROUP], [0, 1], "different-metrics"),
        ({"hardware": "a Mac"}, [GROUP], [0, 1], "machine-changed"),
        ({"torch": "2.12.0"}, [GROUP], [0, 1], "software-changed"),
    ],
    ids=["alike", "task version", "rows", "another split", "metric version", "hardware", "software"],
)
def test_a_command_and_a_notebook_say_the_same_of_unlike_rows(
    tmp_path: Path, call: Call, odd: dict[str, Any], titles: list[str], rankings: list[int], name: str
) -> None:
    folder = unlike(tmp_path / "e", **odd)
    notebook = compare(load(folder)).comparison
    assert [group.title for group in notebook.groups] == titles
    assert [row.ranking for group in notebook.groups for row in group.rows] == rankings
    assert {one.name: one.rows for one in notebook.warnings if one.name in UNLIKE} == ({name: [ROW]} if name else {})
    ended, page, _ = call("table", folder, "--all")
    assert ended == 0
    assert all(f"## {title}" in page for title in titles)
    assert [known for known in UNLIKE if known in page] == ([name] if name else [])
    ended, told, _ = call("table", folder, "--json")
    assert ended == 0
    assert [one["name"] for one in json.loads(told)["warnings"]] == [one.name for one in notebook.warnings]


def test_rows_of_two_versions_of_a_metric_are_scored_anew_by_one(tmp_path: Path) -> None:
    made = load_experiment([unlike(tmp_path / "e", part="data", changes={"metrics": METRICS})])
    (group,) = rescore(made, metric="accuracy", split=None).groups
    assert [row.strategy for row in group.rows] == [BASELINE, ROW]
