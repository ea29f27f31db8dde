"""A task declares its dataset on the hub: in the plan beside the records, for the rows that are the hub's and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import MRPC_ON_HUB, make_folder_of, make_record
from messages import tells
from pydantic import ValidationError

from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import PluginError
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.records.schema import Declared
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration
from bakeoff.runner.merging import joined
from bakeoff.runner.sharded import outline
from bakeoff.spec.document import Document, parse_document
from bakeoff_glue import GlueTask
from bakeoff_glue.facts import EVERY, REVISION

REGISTRY = load_registry()
ON_HUB = {"path": "someone/pairs", "revision": REVISION, "train": "a.csv", "test": "b.csv", "text": "q", "label": "y"}


def planned(task: str, model: str = "minilm") -> tuple[Document, Plan]:
    text = f"name: x\ntasks: [{task}]\nmodels: [{model}]\nstrategies: {{a: {{trainer: torch-loop}}}}\nseeds: 1\n"
    document = parse_document(text, "spec.yaml")
    return document, resolve(document, REGISTRY)


def declared(task: str, model: str = "minilm") -> Declared:
    return declaration(*planned(task, model))


def test_the_plan_tells_dataset_configuration_commit_splits_and_licences() -> None:
    found = declared("glue/mrpc")
    splits = {"train": "train", "dev": "validation", "test": "test"}
    assert found.hub_datasets == {"glue/mrpc": HubDataset(id="nyu-mll/glue", config="mrpc", revision=REVISION, splits=splits)}
    assert found.licences.keys() == {"glue/mrpc", "minilm"}
    without = declared("toy", "tiny-bert")
    assert (without.hub_datasets, without.licences) == ({}, {})


def test_of_other_datasets_of_the_hub_the_commit_is_known_and_no_configuration() -> None:
    options = ", ".join(f"{key}: {value}" for key, value in ON_HUB.items())
    (found,) = declared(f"{{name: hub-dataset, {options}}}").hub_datasets.values()
    assert found == HubDataset(id="someone/pairs", revision=REVISION)


def test_rows_that_were_held_out_of_train_leave_no_split_of_the_hub_behind() -> None:
    (found,) = declared("{name: glue/mrpc, split: {select: train 10%}}").hub_datasets.values()
    assert found.splits == {"dev": "validation", "test": "test"}


@pytest.mark.parametrize("facts", EVERY, ids=lambda facts: facts.name)
def test_splits_of_glue_have_their_names_on_the_hub(facts: Any) -> None:
    task = GlueTask(facts)
    found = task.hub_dataset(task.Options())
    matched = {"dev": "validation_matched", "mismatched": "validation_mismatched"}
    usual = {"train": "train", "dev": "validation", "test": "test"} | (matched if facts.name == "mnli" else {})
    assert found.config == facts.name
    assert found.splits == {name: usual[name] for name in facts.splits}


def test_what_plugins_tell_of_rows_keeps_no_shard_from_joining() -> None:
    """A folder that an older Bakeoff, or an older plugin, began has none of it."""
    now = declared("glue/mrpc")
    before = now.model_copy(update={"hub_datasets": {}, "licences": {}})
    assert outline(before) == outline(now)
    assert outline(before) != outline(now.model_copy(update={"baseline": "b"}))


def test_merged_folders_have_what_any_of_them_tells(tmp_path: Path) -> None:
    records, hub = [make_record("trainer-api")], {"hub_datasets": {"glue/mrpc": MRPC_ON_HUB}, "licences": {"minilm": "MIT"}}
    silent, telling = make_folder_of(tmp_path / "a", records), make_folder_of(tmp_path / "b", records, **hub)
    found, _ = joined([Store(silent), Store(telling)])
    assert (found.hub_datasets, found.licences) == (hub["hub_datasets"], hub["licences"])


@pytest.mark.parametrize("wrong", ["nyu-mll/glue", {"id": "nyu-mll/glue"}])
def test_a_plugin_that_returns_something_else_is_named(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GlueTask, "hub_dataset", lambda self, options: wrong)
    with pytest.raises(PluginError) as caught:
        declared("glue/mrpc")
    assert tells(str(caught.value), "task 'glue/mrpc': hub_dataset ", "HubDataset")


@pytest.mark.parametrize("wrong", [{"id": "a/b/c"}, {"id": "../x"}, {"id": "a b"}, {"id": "a/b", "revision": "main"}])
def test_what_is_no_repository_or_no_commit_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HubDataset(**wrong)
