"""What an experiment declares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.files import Tree
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    Declared,
    DeclaredRun,
    Imported,
    Record,
)
from bakeoff.records.store import Store

MRPC_ON_HUB = HubDataset(
    id="nyu-mll/glue",
    config="mrpc",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    splits={"test": "test", "dev": "validation"},
)
"""What the task `glue/mrpc`, which records of `make_record` are of, says of the hub."""


def declared_run(run_id: str, *, strategy: str = "a", seed: int = 0, task: str = "t", model: str = "m") -> DeclaredRun:
    """A run that no record need tell of."""
    return DeclaredRun(id=run_id, task=task, model=model, strategy=strategy, seed=seed)


def _run_of(record: Record) -> DeclaredRun:
    asked = record.requested
    return declared_run(record.id, strategy=asked.strategy, seed=asked.seed, task=asked.task_label, model=asked.model_label)


def make_declaration(runs: Iterable[Record | DeclaredRun] = (), **changes: Any) -> Declared:
    """Declares these runs; what the records call the strategy is its name."""
    facts: dict[str, Any] = {
        "name": "mrpc",
        "question": "Does a hand-written loop match the Trainer API?",
        "spec_file": "spec.yaml",
        "baseline": "trainer-api",
        "report_on": "test",
        "margin": 1.0,
        "under_test": ["trainer"],
        "gate": {},
        "imported": [],
        "trials": {},
        "searches": {},
        "history": [],
    }
    facts |= changes
    if not isinstance(facts["margin"], dict):
        facts["margin"] = {"points": facts["margin"]}
    return Declared(**facts, runs=[_run_of(run) if isinstance(run, Record) else run for run in runs])


def declare(folder: Path, runs: Iterable[Record | DeclaredRun], **changes: Any) -> None:
    """Writes the declaration of these runs."""
    Tree(folder).write(Store(folder).plan_file, dump(make_declaration(runs, **changes)))


def published(
    name: str = "theirs",
    *,
    source: str = "a model card",
    split: str = "test",
    seeds: int = 1,
    task: str | None = None,
    **scores: float,
) -> Imported:
    """A row of figures that others published."""
    return Imported(name=name, source=source, split=split, scores=scores, seeds=seeds, task=task)
