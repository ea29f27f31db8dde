"""An experiment given as a mapping, as text, as a path or as a `Spec` is the same experiment, and is held to the same rules."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import read_document
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.given import data_of, document_from, document_of, is_given, yaml_text
from bakeoff.spec.strategy import Reading

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("examples/*.yaml"), *ROOT.glob("results/*/spec.yaml")])


def made(**changes: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "tasks": [
            {"name": "table", "title": "Pairs", "train": "a.csv", "test": "b.csv", "text": ["one", "two"], "label": "same"}
        ],
        "models": ["tiny-bert"],
        "recipe": {"max_steps": 3, "learning_rate": 5e-5},
        "strategies": {"full": {"trainer": "torch-loop"}, "yes": {"trainer": "torch-loop", "method": {"name": "lora", "r": 4}}},
        "seeds": 2,
        **changes,
    }


def ids(document: Any) -> list[str]:
    return [run.id for run in resolve(document, load_registry()).runs]


def test_the_same_runs_follow_from_a_mapping_its_text_a_file_and_a_spec(tmp_path: Path) -> None:
    text = yaml_text(made())
    (tmp_path / "toy.yaml").write_text(text)
    spec, problems, _ = document_of(text).read(load_registry())
    assert problems == []
    ways = [made(), text, tmp_path, str(tmp_path / "toy.yaml"), spec]
    found = [ids(document_of(way)) for way in ways if way is not None]
    assert len(found) == len(ways)
    assert all(one == found[0] for one in found)
    assert [is_given(document_of(way)) for way in ways if way is not None] == [True, True, False, False, True]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_spec_as_data_is_the_spec_again(path: Path) -> None:
    registry = load_registry()
    document = read_document(path)
    spec, _, _ = document.read(registry)
    assert isinstance(spec, Spec)
    again, problems, _ = document_from(data_of(spec)).read(registry)
    assert problems == []
    assert again == spec
    assert Spec.model_validate(data_of(spec), context=Reading(registry)) == spec


def test_values_of_numpy_tuples_and_paths_are_those_of_yaml() -> None:
    of_numpy = made(
        seeds=(0, np.int64(1)), recipe={"max_steps": np.int32(3), "learning_rate": np.float64(5e-5)}, question=np.str_("why")
    )
    assert ids(document_of(of_numpy)) == ids(document_of(made()))
    local = made(models=[{"name": "hub", "path": Path("some/folder")}])
    assert document_of(local).data["models"] == [{"name": "hub", "path": "some/folder"}]


def test_an_error_of_a_mapping_is_that_of_the_file_without_a_line(tmp_path: Path) -> None:
    wrong = made(recipe={"max_step": 3}, seeds=-1, strategies={"full": {"trainer": "torchloop"}})
    (tmp_path / "spec.yaml").write_text(yaml_text(wrong))

    def problems(document: Any) -> list[Any]:
        with pytest.raises(SpecError) as caught:
            resolve(document, load_registry())
        return caught.value.problems

    of_file = {replace(one, file="spec", line=0, column=0) for one in problems(read_document(tmp_path / "spec.yaml"))}
    of_mapping = problems(document_of(wrong))
    assert set(of_mapping) == of_file
    assert len(of_mapping) >= 3
    assert all(str(one).startswith(f"spec: {one.key}: ") for one in of_mapping)


ODD: dict[str, tuple[Any, str]] = {
    "a number": (3, ""),
    "an object": (made(seeds=object()), "seeds"),
    "infinity": (made(margin=float("inf")), "margin"),
    "a number as key": (made(strategies={1: {"trainer": "torch-loop"}}), "strategies.1"),
    "bytes": (made(name=b"toy"), "name"),
    "a path with a NUL": ("a\0b", ""),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize("name", ODD)
def test_what_no_experiment_file_can_hold_is_refused_by_its_key(name: str) -> None:
    given, key = ODD[name]
    with pytest.raises(SpecError) as caught:
        resolve(document_of(given), load_registry())
    assert key in {one.key for one in caught.value.problems}


def test_a_mapping_that_holds_itself_ends() -> None:
    endless = made()
    endless["recipe"] = endless
    with pytest.raises(SpecError, match="recipe"):
        document_of(endless)


def test_rows_among_the_keys_are_pointed_to_their_argument() -> None:
    frame = type("Frame", (), {"columns": ["text"]})()
    with pytest.raises(SpecError, match="data="):
        document_of(made(tasks=[{"name": "table", "train": frame, "text": "text", "label": "label"}]))


def test_no_file_is_where_a_given_experiment_is_said_to_be() -> None:
    path = document_of(made()).path
    assert path.name == "experiment.yaml"
    assert not os.path.lexists(path)
