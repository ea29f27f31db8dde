"""Data or model changed after runs were recorded: every command that can see them says so, and no row mixes them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from end_to_end.experiments import call, records, say_otherwise, start, write_spec
from messages import tells

ONE = {"manual-loop": {"trainer": "torch-loop"}}
WORDS = ("invoice", "payment", "refund", "login", "password", "screen")


def rows(count: int, shift: int = 0) -> str:
    kinds = ("Billing", "Access")
    lines = [f"{WORDS[row % 3 + 3 * (row % 2)]} number {row + shift},{kinds[row % 2]},web" for row in range(count)]
    return "\n".join(["text,label,channel", *lines]) + "\n"


def make_model(folder: Path, seed: int = 0, dropout: float = 0.1) -> None:
    """A tiny BERT with weights from the seed, as transformers saves it; the tokenizer stays where one is there."""
    import torch

    from bakeoff.contracts.model import Encoding
    from bakeoff_tiny_models import TinyBert, TinyOptions

    torch.manual_seed(seed)
    model = TinyBert().build(task_info(), TinyOptions(hidden_size=8, layers=1, dropout=dropout)).model
    model.bert.save_pretrained(folder)
    if not (folder / "tokenizer.json").exists():
        TinyBert().prepare(task_info(), TinyOptions(), Encoding(16, "longest")).tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of two seeds on files of one's own with a model folder of one's own, run."""
    folder = tmp_path_factory.mktemp("changed")
    (folder / "e").mkdir()
    (folder / "e" / "train.csv").write_text(rows(24))
    (folder / "e" / "dev.csv").write_text(rows(12, 100))
    make_model(folder / "model")
    spec(folder, seeds=2)
    answer = call("run", folder / "e" / "spec.yaml", folder=folder)
    assert answer.returncode == 0, answer.stderr
    shutil.copytree(folder, folder.with_name("kept"), symlinks=True)
    return folder


def spec(folder: Path, strategies: dict[str, Any] = ONE, *, steps: int = 2, **keys: Any) -> Path:
    head = f"""
name: own
report_on: dev
tasks: [{{name: table, train: train.csv, dev: dev.csv, text: text, label: label, slices: [channel]}}]
models: [{{name: hub, path: {folder / "model"}}}]
gate: {{quality: -50 points}}
recipe: {{max_steps: {steps}, batch_size: 4, learning_rate: 1e-3, max_length: 16}}
strategies:
"""
    return write_spec(folder / "e", strategies, head=head, **keys)


@pytest.fixture
def recorded(made: Path) -> Iterator[Path]:
    """It, as it was before the test before; nothing else may lie in its place, for the model's path is part of the ids."""
    yield made
    shutil.rmtree(made)
    shutil.copytree(made.with_name("kept"), made, symlinks=True)


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_weights(folder: Path) -> None:
    make_model(folder / "model", seed=1)


def other_tokenizer(folder: Path) -> None:
    path = folder / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(tokenizer))


def renamed_label(folder: Path) -> None:
    for name in ("train.csv", "dev.csv"):
        edited(folder / "e" / name, "Billing", "Biling")


def put_back_in_time(folder: Path) -> None:
    path = folder / "e" / "train.csv"
    before = path.stat()
    edited(path, "number 3,", "number 5,")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def reordered(folder: Path) -> None:
    path = folder / "e" / "train.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(lines)]) + "\n")


CHANGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a row of train": (
        lambda folder: edited(folder / "e" / "train.csv", "number 3,", "number 4,"),
        "train",
        "the rows of train",
    ),
    "a row of dev": (lambda folder: edited(folder / "e" / "dev.csv", "number 103,", "number 9,"), "dev", "the rows of dev"),
    "a row less": (lambda folder: (folder / "e" / "train.csv").write_text(rows(23)) and None, "train", "the rows of train"),  # type: ignore[func-returns-value]
    "rows in another order": (reordered, "train", "the rows of train"),
    "size and time put back": (put_back_in_time, "train", "the rows of train"),
    "a label renamed": (renamed_label, "train", "the names of labels"),
    "weights": (other_weights, "weights", "the weights"),
    "the vocabulary": (other_tokenizer, "tokenizer", "the tokenizer"),
    "the configuration": (
        lambda folder: edited(folder / "model" / "config.json", '"hidden_dropout_prob": 0.1', '"hidden_dropout_prob": 0.0'),
        "configuration",
        "the configuration",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_after_all_is_recorded_is_told_by_every_command(what: str, recorded: Path) -> None:
    change, files, told = CHANGES[what]
    path = recorded / "e" / "spec.yaml"
    change(recorded)
    before = sorted(file.name for file in (recorded / "e" / "records").iterdir())
    check = call("check", path, folder=recorded)
    assert check.returncode == 0, check.stderr
    assert tells(check.stdout, "", f"the files of {files} ", "2 runs")
    plan = call("plan", path, "--json", folder=recorded)
    assert [run["state"] for run in json.loads(plan.stdout)["runs"]] == ["changed", "changed"]
    table = call("table", recorded / "e", folder=recorded)
    assert (table.returncode, table.stderr.count(f"the files of {files} changed")) == (0, 1)
    run = call("run", path, folder=recorded)
    assert (run.returncode, run.stdout) == (2, "")
    assert "2 recorded runs" in run.stderr
    assert f"{told} changed" in run.stderr
    assert "--changed rerun" in run.stderr
    assert sorted(file.name for file in (recorded / "e" / "records").iterdir()) == before


def test_what_changed_is_told_by_whatever_reads_records(recorded: Path) -> None:
    shutil.copytree(recorded / "e", recorded / "copy", ignore=shutil.ignore_patterns("*.csv"))
    against = ["--against", recorded / "copy"]
    commands: list[list[str | Path]] = [
        ["table", "--beside", recorded / "copy"],
        ["report"],
        ["report", recorded / "copy", "--into", recorded / "both"],
        ["rescore", "--metric", "accuracy"],
        ["gate", *against],
    ]
    for words in commands:
        assert call(words[0], recorded / "e", *words[1:], folder=recorded).stderr == "", words
    CHANGES["a row of dev"][0](recorded)
    for words in commands:
        answer = call(words[0], recorded / "e", *words[1:], folder=recorded)
        assert answer.stderr.count("the files of dev changed") == 1, words
        assert answer.returncode == (3 if words[0] == "gate" else 0), answer.stdout


def touched(folder: Path) -> None:
    for path in (folder / "e" / "train.csv", folder / "model" / "model.safetensors"):
        os.utime(path)


def other_line_ends(folder: Path) -> None:
    path = folder / "e" / "train.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def same_tensors_in_another_file(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model" / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt", "saved": "again"})


def another_channel(folder: Path) -> None:
    edited(folder / "e" / "dev.csv", "number 100,Billing,web", "number 100,Billing,app")


@pytest.mark.parametrize("change", [touched, other_line_ends, same_tensors_in_another_file, another_channel])
def test_files_written_anew_with_the_same_contents_stop_nothing(change: Callable[[Path], None], recorded: Path) -> None:
    change(recorded)
    (recorded / "model" / "README.md").write_text("a card")
    answer = call("run", recorded / "e" / "spec.yaml", folder=recorded)
    assert answer.returncode == 0, answer.stderr
    assert "all 2 runs" in answer.stdout
    told = "changed since 2 runs were recorded; rows, label names, weights and tokenizer are the same"
    assert (told in answer.stderr) == (change is not touched)
    assert ("columns by which" in answer.stderr) == (change in (other_line_ends, another_channel))


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("a label renamed", marks=pytest.mark.slow),
        pytest.param("a row of dev", marks=pytest.mark.long),
        pytest.param("weights", marks=pytest.mark.slow),
    ],
)
def test_runs_that_are_kept_beside_new_ones_stand_apart_and_every_page_is_made(what: str, recorded: Path) -> None:
    change, _, told = CHANGES[what]
    change(recorded)
    path = spec(recorded, {**ONE, "trainer-api": {"trainer": "hf-trainer"}}, seeds=3)
    answer = call("run", path, "--changed", "mix", folder=recorded)
    assert answer.returncode == 0, answer.stderr
    assert "2 recorded runs" in answer.stderr
    assert len(records(recorded / "e")) == 6
    found = json.loads(call("table", recorded / "e", "--json", folder=recorded).stdout)
    counts = {
        (table["task"], table["model"]): {row["strategy"]: sorted(row["scored"]) for row in table["rows"]}
        for table in found["groups"]
    }
    few, many = sorted(counts.values(), key=len)
    assert few == {"manual-loop": [0, 1]}
    assert many == {"manual-loop": [2], "trainer-api": [0, 1, 2]}
    (warning,) = [
        warning
        for warning in found["warnings"]
        if warning["name"] == ("different-checkpoint" if what == "weights" else "different-data")
    ]
    assert warning["rows"] == ["manual-loop"]
    assert told in warning["what"]
    for words in (("report", recorded / "e"), ("rescore", recorded / "e"), ("verify", recorded / "e"), ("plan", path)):
        again = call(*words, folder=recorded)
        assert again.returncode == 0, again.stderr
    gate = call("gate", recorded / "e", "--against", recorded.with_name("kept") / "e", "--json", folder=recorded)
    assert gate.returncode in (2, 3), gate.stdout
    rerun = call("run", path, "--changed", "rerun", folder=recorded)
    assert rerun.returncode == 0, rerun.stderr
    assert rerun.stderr.count("; archived") == 2
    (table,) = json.loads(call("table", recorded / "e", "--json", folder=recorded).stdout)["groups"]
    assert {row["strategy"]: row["scored"] for row in table["rows"]}["manual-loop"] == [0, 1, 2]


STEPS = 100


def killed_in_training(folder: Path, seeds: int) -> Path:
    """The experiment's file, after SIGKILL hit the command in the training of its last seed, with a checkpoint there."""
    path = spec(folder, seeds=seeds, steps=STEPS, checkpoint_every=5)
    process = start("run", path, folder=folder)
    place = folder / "e" / "records"
    while process.poll() is None:
        recorded = {file.parent.name for file in place.glob("r1-*/record.json")}
        begun = {file.parents[1].name.partition("-")[2] for file in place.glob(".checkpoints-*/step-*/manifest.json")}
        if len(recorded) == seeds - 1 and begun - recorded:
            break
        time.sleep(0.01)
    process.kill()
    assert process.communicate()[1].count("started") == seeds
    assert process.returncode == -9
    assert len(records(folder / "e")) == seeds - 1
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "seeds", "words", "told"),
    [
        (
            lambda folder: edited(folder / "e" / "train.csv", "number 3,", "number 4,"),
            2,
            ("--changed", "rerun"),
            "the rows of train",
        ),
        pytest.param(other_weights, 1, (), "the weights", marks=pytest.mark.long),
        pytest.param(other_tokenizer, 1, (), "the tokenizer", marks=pytest.mark.long),
    ],
    ids=["rows, beside a recorded run", "weights", "tokenizer"],
)
def test_a_run_killed_in_training_does_not_go_on_with_other_data_or_weights(
    change: Callable[[Path], None], seeds: int, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "train.csv").write_text(rows(24))
    (tmp_path / "e" / "dev.csv").write_text(rows(12, 100))
    make_model(tmp_path / "model")
    path = killed_in_training(tmp_path, seeds)
    change(tmp_path)
    again = call("run", path, *words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    lines = [line for line in again.stderr.splitlines() if "checkpoint " in line]
    assert {line.rpartition(".checkpoints-")[2].partition(" ")[2] for line in lines} == {
        f"is not used, since these have changed: {told}"
    }
    found = records(tmp_path / "e")
    shutil.rmtree(tmp_path / "e" / "records")
    clean = call("run", path, folder=tmp_path)
    assert clean.returncode == 0, clean.stderr
    expected = records(tmp_path / "e")
    assert {*found} == {*expected}
    for name, record in found.items():
        assert (record["resumed_at"], record["cost"]["steps"]) == ([], STEPS)
        for part in ("id", "made_from", "data", "weights", "observed", "scores"):
            assert record[part] == expected[name][part], (name, part)


@pytest.mark.parametrize("kind", ["task", "model", "method", "trainer"])
def test_an_edited_plugin_of_the_same_version_is_named_and_decides_nothing(kind: str, recorded: Path) -> None:
    """As its first run is recorded from another source of it."""
    path = recorded / "e" / "spec.yaml"
    one = records(recorded / "e")["manual-loop/0"]
    plugin = f"{kind} {one['requested'][kind]['name']} (version {one['requested'][kind]['version']}; "
    say_otherwise(
        recorded / "e" / "records" / one["id"] / "record.json",
        f'"{kind}": "{one["made_from"]["code"][kind]}"',
        f'"{kind}": "{"0" * 32}"',
    )
    for verb in ("check", "plan", "run"):
        answer = call(verb, path, folder=recorded)
        assert answer.returncode == 0, answer.stderr
        output = answer.stderr if verb == "run" else answer.stdout
        (line,) = [line for line in output.splitlines() if "changed since 1 run was recorded" in line]
        assert f"the source of {plugin}" in line
        assert tells(line, "", "`version`")
    assert len(records(recorded / "e")) == 2
    found = json.loads(call("table", recorded / "e", "--json", folder=recorded).stdout)
    (table,) = found["groups"]
    assert [row["scored"] for row in table["rows"]] == [[0, 1]]
    (warning,) = [warning for warning in found["warnings"] if warning["name"] == "software-changed"]
    assert plugin.partition(";")[0] in warning["what"]
