"""Contestants that are no torch modules: what they answer to made rows of each kind, and what they look at on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.own_model import OwnModelTrainer
from bakeoff.contracts.registry import load_registry
from bakeoff.kinds import KINDS
from bakeoff.testing.own_job import MadeJob, made_job

LEARNERS = ("tfidf-logistic", "setfit-style", "knn")


def trainer(name: str) -> OwnModelTrainer:
    found = load_registry().get("trainer", name).component
    assert isinstance(found, OwnModelTrainer)
    return found


def answers(name: str, job: MadeJob, **options: Any) -> list[Any]:
    """The answers to test."""
    component = trainer(name)
    chosen = component.Options(**options)
    return list(component.predict_own(component.fit_own(job, chosen), job.splits["test"], job, chosen))


def mean_error(name: str, job: MadeJob, **options: Any) -> float:
    """Of the kind, on test."""
    given = answers(name, job, **options)
    read = [
        [job.kind.read_answer(said, job.labels) for said in side]
        for side in zip(*((one.answer, job.truth[one.id]) for one in given), strict=True)
    ]
    import numpy as np

    return float(job.kind.errors(*map(np.asarray, read)).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [1, 2])
@pytest.mark.parametrize("name", LEARNERS)
def test_what_can_be_learnt_is_learnt(name: str, texts: int, kind: str, tmp_path: Path) -> None:
    job = made_job(KINDS[kind], tmp_path, texts=texts)
    assert mean_error(name, job) < 0.6 * mean_error("majority", job), (mean_error(name, job), mean_error("majority", job))
