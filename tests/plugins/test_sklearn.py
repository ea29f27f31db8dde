"""Contestants that are no torch modules: what they learn from made rows of each kind, and what they look at on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.contracts.own_model import Answer, Example
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import DataError
from bakeoff.kinds import CLASSIFICATION, KINDS
from bakeoff.testing.own_job import MadeJob, made_job

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
LEARNERS = ("tfidf-logistic", "setfit-style", "knn")


def answers(name: str, job: MadeJob, **options: Any) -> list[Answer]:
    """The answers to test, after training."""
    component = load_registry().get("trainer", name).component
    chosen = component.Options(**options)
    return list(component.predict_own(component.fit_own(job, chosen), job.splits["test"], job, chosen))


def mean_error(name: str, job: MadeJob) -> float:
    """Of the answers to test."""
    said = [(one.answer, job.truth[one.id]) for one in answers(name, job)]
    read = np.asarray([[job.kind.read_answer(one, job.labels) for one in pair] for pair in said])
    return float(job.kind.errors(read[:, 0], read[:, 1]).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [1, 2])
@pytest.mark.parametrize("name", LEARNERS)
def test_what_can_be_learnt_is_learnt(name: str, texts: int, kind: str, tmp_path: Path) -> None:
    job = made_job(KINDS[kind], tmp_path, texts=texts)
    assert mean_error(name, job) < 0.6 * mean_error("majority", job)


def test_dev_is_looked_at_only_to_choose_among_several(tmp_path: Path) -> None:
    asked = {}
    for name, options in {"several": {}, "one": {"C": [1.0]}, "on train": {"choose_on": "train"}}.items():
        job = made_job(CLASSIFICATION, tmp_path)
        answers("tfidf-logistic", job, **options)
        asked[name] = job.asked_dev
    assert asked == {"several": True, "one": False, "on train": False}


@pytest.mark.parametrize("choose_on", ["dev", "train"])
def test_the_c_that_is_chosen_has_the_fewest_errors(choose_on: str, tmp_path: Path) -> None:
    job = made_job(CLASSIFICATION, tmp_path)
    job.train = [row for number, row in enumerate(job.train) if row.label == "no" or number % 3 == 0]  # the weak one says no
    weak, strong = (answers("tfidf-logistic", job, C=[strength]) for strength in (1e-6, 10.0))
    assert answers("tfidf-logistic", job, C=[1e-6, 10.0], choose_on=choose_on) == strong != weak


def test_a_label_that_no_row_of_train_has_gets_no_probability(tmp_path: Path) -> None:
    job = made_job(CLASSIFICATION, tmp_path)
    job.labels = ("absent", *job.labels)
    for name in LEARNERS:
        assert {one.scores["absent"] for one in answers(name, job) if one.scores} == {0.0}


def test_texts_without_a_word_are_an_error_that_says_so(tmp_path: Path) -> None:
    job = made_job(CLASSIFICATION, tmp_path)
    job.train = [Example(row.id, {"text": "?!"}, row.label) for row in job.train]
    with pytest.raises(DataError, match="48 rows of train"):
        answers("tfidf-logistic", job)


@pytest.mark.slow
@pytest.mark.skipif("BAKEOFF_DATA" not in os.environ, reason="needs MRPC, in BAKEOFF_DATA")
def test_tfidf_and_majority_stand_beside_a_model_on_one_leaderboard(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "name: beside\ntasks: [glue/mrpc]\nmodels: [tiny-bert]\nseeds: 2\nreport_on: test\n"
        "recipe: {max_steps: 20, batch_size: 16, learning_rate: 1e-3, max_length: 32}\n"
        "strategies: {tiny: {trainer: fast-loop}, tfidf: {trainer: tfidf-logistic}, majority: {trainer: majority}}\n"
    )

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bakeoff", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    command("run", "spec.yaml", "--threads", "1")
    (group,) = json.loads(command("table", "spec.yaml", "--json"))["groups"]
    assert {row["strategy"] for row in group["rows"]} == {"tiny", "tfidf", "majority"}
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    scores = {record["requested"]["strategy"]: record["scores"]["test"]["accuracy"] for record in records}
    assert scores["majority"] == pytest.approx(group["majority_baseline"])
    assert scores["tfidf"] > scores["majority"] + 0.03


@pytest.mark.parametrize("name", ["setfit-style", "knn"])
def test_a_head_on_embeddings_is_a_run_of_the_strategys_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PLANTED)
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    request = requests_of(plan_of(tmp_path, f"{{one: {{trainer: {name}}}}}"))["one"]
    (tmp_path / "run").mkdir()
    record = perform(request, tmp_path / "run")
    assert record.status == "ok", record.failure
    assert (record.predicted, record.requested.model.name) == ("scores", "tiny-bert")
