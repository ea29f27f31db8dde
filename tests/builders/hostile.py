"""Experiments in which everything that can have a name has a hostile one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from bakeoff.contracts.unit import Unit
from bakeoff.records.experiment import Predictions
from bakeoff.records.schema import (
    Change,
    Chosen,
    Declared,
    EarlierDeclaration,
    KeptModel,
    Record,
    Search,
    TrialRun,
)
from builders.declarations import MRPC_ON_HUB, make_declaration, published
from builders.folders import write_folder
from builders.records import (
    STARTED,
    failed,
    make_attempt,
    make_control,
    make_observed,
    make_selection,
    run_id,
)
from builders.runs import (
    Runs,
    drawn_answers,
    make_runs,
)

Model = TypeVar("Model", bound=BaseModel)

KEPT = {"classification", STARTED}
"""Texts that no stranger could change without ending in an error at once."""


class Renamer:
    """Gives every text another name, each a hostile one, beginning at number `first`; one text has one name."""

    def __init__(self, names: Sequence[str], first: int = 0) -> None:
        self.names, self.numbers, self.given = names, count(first), dict[str, str]()
        self.tried: dict[tuple[type[BaseModel], str], bool] = {}

    def __call__(self, text: str) -> str:
        if text not in self.given:
            self.given[text] = f"{self.names[next(self.numbers) % len(self.names)]} {text}".rstrip()
        return self.given[text]

    def everywhere(self, model: Model) -> Model:
        """The model with every text and every key renamed that may be another: found by trying, once for each text."""
        plain = json.loads(model.model_dump_json())
        for text in dict.fromkeys(texts_of(plain)):
            if text in KEPT or not text or self.tried.get((type(model), text)) is False:
                continue
            renamed = renamed_in(plain, text, self(text))
            if (type(model), text) not in self.tried:
                self.tried[type(model), text] = is_valid(type(model), renamed)
            plain = renamed if self.tried[type(model), text] else plain
        return type(model).model_validate(plain)


def is_valid(model: type[BaseModel], plain: Any) -> bool:
    try:
        model.model_validate(plain)
    except ValidationError:
        return False
    return True


def texts_of(plain: Any) -> Iterator[str]:
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            yield key
            yield from texts_of(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from texts_of(value)


def renamed_in(plain: Any, old: str, new: str) -> Any:
    if isinstance(plain, str):
        return new if plain == old else plain
    if isinstance(plain, Mapping):
        return {new if key == old else key: renamed_in(value, old, new) for key, value in plain.items()}
    return [renamed_in(value, old, new) for value in plain] if isinstance(plain, list) else plain


def runs_and_plan(rename: Renamer) -> tuple[Runs, Declared]:
    """Four strategies, one of which fails, on one task with one model: all that has a name has a hostile one."""
    labels = np.arange(120) % 3 // 2
    slices = {"topic": ["art" if number % 2 else "war" for number in range(len(labels))]}
    names = ("first", "second", "third", "lost")
    answers = {name: drawn_answers(labels, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(names)}
    records = {"second": {"owns": ["the loss"], "recipe": {"learning_rate": 2e-5}, "hardware": "another machine"}}
    runs = []
    for record, predictions in make_runs(answers, labels, slices=slices, records=records):
        if record.requested.strategy == "lost":
            record, predictions = failed(record, message="the device is gone"), {}
        runs.append((rename.everywhere(fuller(record)), renamed_predictions(predictions, rename)))
    declared = make_declaration(
        [record for record, _ in runs],
        name="mrpc",
        baseline=rename("first"),
        report_on=rename("test"),
        under_test=["the weather"],
        searches=search_of(rename),
        trials={rename("second"): 12},
        metrics={rename("glue/mrpc"): rename("accuracy")},
        gate={"quality": "-1.0 points"},
        hub_datasets={rename("glue/mrpc"): MRPC_ON_HUB.model_copy(update={"splits": {rename("test"): "test"}})},
        licences={rename("minilm"): "the licence of a stranger"},
        imported=[
            published(source="a page", split=rename("test"), **{rename("accuracy"): 0.7}),
        ],
        history=[
            EarlierDeclaration(
                when=STARTED,
                seeds={"first": [0]},
                recorded=1,
                changes=[Change(what="baseline", before="a", after="b")],
            )
        ],
    )
    kept = set(rename.given.values())
    return runs, _renamed_but(declared, kept, rename)


def fuller(record: Record) -> Record:
    """With what most runs lack."""
    more: dict[str, Any] = {"attempts": [make_attempt()], "trainer_notes": ["it clips"]}
    more["environment"] = record.environment.model_copy(update={"instructions": "AVX2"})
    if record.data is not None:
        first, second = record.data.metrics
        units = [
            metric.model_copy(update={"unit": Unit(name=name, low=0.0)}) for metric, name in ((first, "miles"), (second, "s"))
        ]
        more["data"] = record.data.model_copy(update={"metrics": units})
    if record.status == "ok":
        more |= {"observed": make_observed(), "kept": KeptModel(reason="no room", difference=None)}
        more["selection"] = make_selection("test", evaluations=1)
    return record.model_copy(update=more)


def search_of(rename: Renamer) -> dict[str, Search]:
    """A search whose trials are still to be made, but for a choice that is declared."""
    task, model, values = rename("glue/mrpc"), rename("minilm"), {rename("trainer.l2"): rename("tiny")}
    trial = TrialRun(id=run_id("third", 1000), task=task, model=model, seed=1000, values=values)
    chosen = Chosen(task=task, model=model, values=values)
    grid = {key: [value] for key, value in values.items()}
    return {rename("third"): Search(grid=grid, seeds=[1000], choose="best mean on dev", trials=[trial], chosen=[chosen])}


def _renamed_but(declared: Declared, kept: set[str], rename: Renamer) -> Declared:
    """The declaration with those texts renamed that are not yet."""
    given = dict(rename.given)
    rename.given |= {name: name for name in kept}
    try:
        return rename.everywhere(declared)
    finally:
        rename.given = given


def renamed_predictions(predictions: Mapping[str, Predictions], rename: Renamer) -> dict[str, Predictions]:
    return {
        rename(split): replace(
            found,
            slices={rename(column): tuple(map(rename, values)) for column, values in found.slices.items()},
        )
        for split, found in predictions.items()
    }


def hostile_folder(folder: Path, rename: Renamer) -> Path:
    """The experiment as `bakeoff run` writes one."""
    runs, declared = runs_and_plan(rename)
    names: dict[str, Any] = {"hardware": rename("AMD EPYC, 2 threads"), "peak_flops": {rename("fp32"): 1e9}}
    controls = [make_control(took, moment=moment, spread=0.5, **names) for moment, took in (("before", 1.0), ("after", 2.0))]
    return write_folder(folder, runs, declared, controls)
