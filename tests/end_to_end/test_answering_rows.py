"""`bakeoff predict` and `best`: a kept model answers new rows as its run did, and the run to use is the median one."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, records, write_spec

HEAD = """
name: tickets
tasks:
  - {name: table, train: train.csv, dev: dev.csv, test: test.csv, text: [title, body], join: "{title}. {body}", label: topic}
models: [tiny-bert]
recipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3, max_length: 24}
strategies:
"""
STRATEGIES = {
    "loop": {"trainer": "torch-loop"},
    "fast": {"trainer": "fast-loop", "recipe": {"padding": "longest"}},
    "lora": {"trainer": "torch-loop", "method": {"name": "lora", "r": 2}},
}
WORDS = {"red": ["rose", "ruby", "brick"], "blue": ["sky", "sea", "ink"], 'gr "een", x': ["leaf", "moss", "fern"]}


def rows(count: int, seed: int) -> list[dict[str, str]]:
    draw = random.Random(seed)  # noqa: S311
    found = []
    for number in range(count):
        topic = draw.choice(list(WORDS))
        body = " ".join(draw.choices([*WORDS[topic], "a", "the", "big"], k=draw.randint(1, 20)))
        found.append({"title": f"Row {number}", "body": body, "topic": topic})
    return found


def write_csv(path: Path, found: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predicting")
    place = folder / "e"
    place.mkdir()
    for seed, (name, count) in enumerate({"train": 60, "dev": 70, "test": 30}.items()):
        write_csv(place / f"{name}.csv", rows(count, seed))
    spec = write_spec(place, STRATEGIES, head=HEAD, keep="final", report_on="test", seeds=2)
    some = ("--only", "loop", "--only", "fast:0", "--only", "lora:0")
    answer = call("run", spec, *some, folder=folder)
    assert answer.returncode == 0, answer.stderr
    assert "--only loop, fast:0 and lora:0: 4 runs: 4 done now" in answer.stdout
    return folder


def predicted(trained: Path, run: str, path: Path, *more: str | Path) -> list[dict[str, str]]:
    answer = call("predict", run, path, trained / "e", "--logits", *more, folder=trained)
    assert answer.returncode == 0, answer.stderr
    return list(csv.DictReader(io.StringIO(answer.stdout)))


def recorded(trained: Path, run: str) -> Any:
    """The logits of dev, (n, 3)."""
    record = records(trained / "e")[run.replace(":", "/")]
    table = pq.read_table(trained / "e" / "records" / record["id"] / "predictions.parquet").to_pandas()
    return np.stack(table[table["split"] == "dev"]["logits"])


def logits_of(found: list[dict[str, str]]) -> Any:
    return np.array([[np.float32(row[key]) for key in row if key.startswith("logit(")] for row in found])


@pytest.mark.slow
def test_the_run_s_own_dev_file_gets_the_recorded_logits_to_the_bit(trained: Path) -> None:
    dev = trained / "e" / "dev.csv"
    for run in ("loop:0", "loop:1", "fast:0"):
        found = predicted(trained, run, dev)
        np.testing.assert_array_equal(logits_of(found), recorded(trained, run), err_msg=run)
    np.testing.assert_allclose(logits_of(predicted(trained, "lora:0", dev)), recorded(trained, "lora:0"), atol=1e-5)


@pytest.mark.slow
def test_answers_are_the_labels_of_training_with_probabilities_whatever_the_format(trained: Path, tmp_path: Path) -> None:
    own = rows(70, 1)
    found = predicted(trained, "loop:0", trained / "e" / "dev.csv")
    assert [row["id"] for row in found] == [str(number) for number in range(70)]
    names = sorted(WORDS)
    assert list(found[0]) == ["id", "label", *(f"p({name})" for name in names), *(f"logit({name})" for name in names)]
    assert [row["label"] for row in found] == [names[number] for number in recorded(trained, "loop:0").argmax(axis=1)]
    assert all(abs(sum(float(row[f"p({name})"]) for name in names) - 1) < 1e-5 for row in found)
    texts = [{key: row[key] for key in ("title", "body")} for row in own]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    pq.write_table(pa.Table.from_pylist(texts), tmp_path / "new.parquet")
    for name in ("new.jsonl", "new.parquet"):
        assert predicted(trained, "loop:0", tmp_path / name) == found, name
    written = call("predict", "loop:0", tmp_path / "new.jsonl", trained / "e", "--output", tmp_path / "a.csv", folder=trained)
    assert (written.returncode, written.stdout) == (0, "")
    with (tmp_path / "a.csv").open(newline="") as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == [row["label"] for row in found]


@pytest.mark.slow
def test_what_cannot_be_answered_is_told_in_a_line(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("heading,body\na,b\n")
    (tmp_path / "none.csv").write_text("title,body\n")
    (tmp_path / "gap.csv").write_text("title,body\na,b\n,b\n")
    write_csv(tmp_path / "fine.csv", rows(3, 5))
    for name, run, told in (
        ("other.csv", "loop:0", "no column 'title'"),
        ("none.csv", "loop:0", "no rows"),
        ("gap.csv", "loop:0", ":3: column 'title' is empty"),
        ("nowhere.csv", "loop:0", "there is no file"),
        ("fine.csv", "loop", "names 2 runs; name one of them: 'loop:0' and 'loop:1'"),
        ("fine.csv", "lop:0", "did you mean 'loop:0'?"),
        ("fine.csv", "loop:9", "loop has the seeds 0, 1"),
    ):
        answer = call("predict", run, tmp_path / name, trained / "e", folder=trained)
        assert (answer.returncode, answer.stdout) == (2, ""), name
        assert told in answer.stderr, (name, answer.stderr)
        assert len(answer.stderr.splitlines()) == 1


@pytest.mark.slow
def test_without_its_model_a_run_answers_nothing_and_the_command_that_makes_it_is_told(trained: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(trained / "e", tmp_path / "e")
    spec = tmp_path / "e" / "spec.yaml"
    first = call("run", spec, "--only", "loop:0", "--retry", "unkept", folder=trained)
    assert "--only loop:0: the one run is recorded" in first.stdout
    record = records(tmp_path / "e")["loop/0"]
    shutil.rmtree(tmp_path / "e" / "records" / record["id"])
    write_csv(tmp_path / "fine.csv", rows(3, 5))
    answer = call("predict", "loop:0", tmp_path / "fine.csv", tmp_path / "e", folder=trained)
    assert (answer.returncode, f"`bakeoff run {spec} --only loop:0` makes it" in answer.stderr) == (2, True)
    spec.write_text(spec.read_text().replace('keep: "final"', "keep: none"))
    made = call("run", spec, "--only", "loop:0", folder=trained)
    assert made.returncode == 0, made.stderr
    assert "--only loop:0: 1 run: 1 done now" in made.stdout
    assert records(tmp_path / "e")["loop/0"]["scores"] == record["scores"]
    answer = call("predict", "loop:0", tmp_path / "fine.csv", tmp_path / "e", folder=trained)
    assert "kept no model: write `keep: final` into the experiment file, then " in answer.stderr
    assert f"`bakeoff run {spec} --only loop:0 --retry unkept`" in answer.stderr
