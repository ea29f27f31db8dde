"""A dataset and a model in the hub's cache, as the hub's library fills it: another snapshot is noticed as other files are."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from end_to_end.experiments import call, records, start, write_spec
from end_to_end.test_changed import ONE, make_model, rows

from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.planning.resolver import resolve
from bakeoff.records.provenance import Facts, differences
from bakeoff.runner.changes import look_at_files
from bakeoff.spec.document import read_document

OLD, NEW, SAME, ROWS = (letter * 40 for letter in "abcd")
HEAD = f"""
name: hub
report_on: dev
tasks: [{{name: hub-dataset, path: acme/rows, revision: {ROWS}, train: train.csv, dev: dev.csv, text: text, label: label}}]
models: [{{name: hub, path: acme/tiny}}]
recipe: {{max_steps: 2, batch_size: 4, learning_rate: 1e-3, max_length: 16}}
strategies:
"""


def fetched(home: Path, repository: str, commit: str, files: dict[str, bytes]) -> Path:
    """The snapshot as the hub's library leaves it: links into a folder of blobs, and `main` led to it."""
    folder = home / "hub" / repository
    snapshot = folder / "snapshots" / commit
    for place in (folder / "blobs", folder / "refs", snapshot):
        place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        blob = folder / "blobs" / sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    (folder / "refs" / "main").write_text(commit)
    return snapshot


def model_fetched(folder: Path, commit: str, *, seed: int) -> None:
    place = folder / f"saved-{commit[0]}"
    make_model(place, seed=seed)
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    fetched(folder / "home", "models--acme--tiny", commit, files)


def run(path: Path, *words: str, folder: Path) -> tuple[int, str]:
    process = start("run", path, *words, folder=folder)
    _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An experiment whose data and model come from the hub's cache, run where the hub is away."""
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "home"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(name, raising=False)
        table = {"train.csv": rows(24).encode(), "dev.csv": rows(12, 100).encode()}
        fetched(folder / "home", "datasets--acme--rows", ROWS, table)
        model_fetched(folder, OLD, seed=0)
        code, err = run(write_spec(folder / "e", ONE, head=HEAD, seeds=2), folder=folder)
        assert code == 0, err
        yield folder


def weights(value: float) -> bytes:
    return safetensors.numpy.save({"one": np.full(3, value)})


def test_the_files_of_the_snapshot_that_is_loaded_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    table = {"train.csv": b"a", "dev.csv": b"b"}
    model = {"config.json": b"{}", "model.safetensors": weights(1.0), "tokenizer.json": b"words"}
    fetched(tmp_path / "home", "datasets--acme--rows", ROWS, table)
    fetched(tmp_path / "home", "datasets--acme--rows", OLD, {"train.csv": b"of another commit", "dev.csv": b"b"})
    fetched(tmp_path / "home", "models--acme--tiny", OLD, model)
    plan = resolve(read_document(write_spec(tmp_path / "e", ONE, head=HEAD)), load_registry())

    def facts() -> Facts:
        seen = look_at_files(plan, Paths(None, tmp_path / "cache", tmp_path / "e"))
        assert seen.unseen == ()
        (found,) = (facts for (_, model), facts in seen.facts.items() if model)
        return found

    def changed(since: Facts) -> list[tuple[str, str]]:
        return [(one.subject, one.name) for one in differences(facts(), since)]

    first = facts()
    fetched(tmp_path / "home", "models--acme--tiny", SAME, model)
    assert changed(first) == []
    fetched(tmp_path / "home", "models--acme--tiny", NEW, model | {"model.safetensors": weights(2.0)})
    assert changed(first) == [("weights", "")]
    (tmp_path / "home" / "hub" / "models--acme--tiny" / "refs" / "main").write_text(OLD)
    assert changed(first) == []
    link = tmp_path / "home" / "hub" / "datasets--acme--rows" / "snapshots" / ROWS / "train.csv"
    link.unlink()
    link.symlink_to(link.parents[1] / OLD / "train.csv")
    assert changed(first) == [("rows", "train")]


def states(folder: Path) -> list[str]:
    plan = call("plan", folder / "e" / "spec.yaml", "--json", folder=folder)
    assert plan.returncode == 0, plan.stderr
    return [run["state"] for run in json.loads(plan.stdout)["runs"]]


def checked(folder: Path) -> str:
    answer = call("check", folder / "e" / "spec.yaml", folder=folder)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.long
def test_another_snapshot_is_noticed_by_every_command(made: Path) -> None:
    first = records(made / "e")["manual-loop/0"]
    assert {*first["made_from"]["task_files"]} == {"train", "dev"}
    assert {"weights", "tokenizer"} <= {*first["made_from"]["model_files"]}
    assert "changed" not in checked(made)
    path = made / "e" / "spec.yaml"

    model_fetched(made, SAME, seed=0)
    assert "changed" not in checked(made), "a new commit with the same files"
    assert states(made) == ["recorded", "recorded"]

    model_fetched(made, NEW, seed=1)
    assert "changed since 2" in checked(made)
    assert states(made) == ["changed", "changed"]
    code, err = run(path, folder=made)
    assert code == 2, err
    assert "the weights changed" in err

    write_spec(made / "e", ONE, head=HEAD, seeds=3)
    code, err = run(path, "--changed", "mix", folder=made)
    assert code == 0, err
    found = json.loads(call("table", made / "e", "--json", folder=made).stdout)
    assert sorted(row["scored"] for table in found["groups"] for row in table["rows"]) == [[0, 1], [2]]

    (made / "home" / "hub" / "models--acme--tiny" / "refs" / "main").write_text(OLD)
    assert "since 1 run" in checked(made)
    blob = (made / "home" / "hub" / "datasets--acme--rows" / "snapshots" / ROWS / "train.csv").resolve()
    blob.write_text(rows(24).replace("number 3,", "number 4,"))
    assert "changed since 3" in checked(made)
    assert set(states(made)) == {"changed"}
    code, err = run(path, folder=made)
    assert code == 2, err
    assert "of train changed" in err
