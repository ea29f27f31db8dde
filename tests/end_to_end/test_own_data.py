"""One's own rows from end to end: a few of every kind, and two million."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, records, start, write_spec

from bakeoff.contracts.registry import load_registry
from bakeoff.kinds.multilabel import label_sets
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import read_document

HEAD = """
name: own
models: [tiny-bert]
recipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies:
"""
THREE = {"manual-loop": {"trainer": "torch-loop"}, "trainer-api": {"trainer": "hf-trainer"}, "fast": {"trainer": "fast-loop"}}
COLOURS, THINGS = ("red", "blue", "green"), ("kite", "door", "cup", "boat")


def rows(number: int, seed: int) -> list[dict[str, Any]]:
    """Texts that name colours; their set, how many, and whether red is one."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for row in range(number):
        colours = sorted(draw.sample(COLOURS, draw.randint(0, 3)))
        text = f"{draw.choice(THINGS)} {row} " + " and ".join(colours or ["plain"])
        label = {"set": colours, "count": float(len(colours)), "red": "yes" if "red" in colours else "no"}
        found.append({"text": text, "other": f"a {draw.choice(THINGS)}", **label})
    return found


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with rows to train on and to report on."""
    for split, number in (("train", 60), ("test", 30)):
        lines = [json.dumps(row) for row in rows(number, len(split))]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def spec(folder: Path, label: str, kind: str, strategies: dict[str, Any] = THREE, **keys: Any) -> Path:
    task = {"name": "table", "train": "train.jsonl", "test": "test.jsonl", "text": ["text", "other"], "label": label}
    return write_spec(folder, strategies, head=HEAD, tasks=[{**task, "kind": kind}], report_on="test", **keys)


@pytest.mark.parametrize(
    ("label", "kind", "problem"),
    [
        pytest.param("red", "classification", "single_label_classification", marks=pytest.mark.slow),
        pytest.param("set", "multilabel", "multi_label_classification", marks=pytest.mark.long),
        pytest.param("count", "regression", "regression", marks=pytest.mark.long),
    ],
)
def test_a_kept_model_of_any_kind_gives_the_recorded_predictions_in_plain_transformers(
    own: Path, label: str, kind: str, problem: str
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    answer = call("run", spec(own, label, kind, {"fast": THREE["fast"]}, keep="final"), folder=own)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(own).values()
    kept = own / "records" / record["id"] / "model"
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(kept).eval(), AutoTokenizer.from_pretrained(kept)
    assert model.config.problem_type == problem
    if kind != "regression":
        assert list(model.config.id2label.values()) == record["data"]["labels"]
    table = pq.read_table(kept.parent / "predictions.parquet").to_pandas()
    texts = rows(30, len("test"))
    batch = tokenizer(
        [row["text"] for row in texts], [row["other"] for row in texts], padding=True, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**batch).logits.numpy()
    np.testing.assert_allclose(logits, np.stack(table["logits"]), atol=1e-5)


@pytest.mark.slow
def test_sets_of_labels_are_learnt_by_every_trainer_alike(own: Path) -> None:
    path = spec(own, "set", "multilabel")
    answer = call("run", path, folder=own)
    assert answer.returncode == 0, answer.stderr
    found = records(own)
    assert {record["status"] for record in found.values()} == {"ok"}
    manual, trainer, fast = (found[f"{name}/0"] for name in ("manual-loop", "trainer-api", "fast"))
    assert manual["weights"]["final_sha256"] == trainer["weights"]["final_sha256"]
    assert fast["scores"]["test"]["micro_f1"] == pytest.approx(manual["scores"]["test"]["micro_f1"], abs=0.05)
    assert manual["data"]["labels"] == ["blue", "green", "red"]

    table = pq.read_table(own / "records" / manual["id"] / "predictions.parquet").to_pandas()
    truth = [sum(1 << sorted(COLOURS).index(colour) for colour in row["set"]) for row in rows(30, len("test"))]
    assert table["label"].tolist() == truth
    answers = label_sets(np.stack(table["logits"]) > 0)
    assert manual["scores"]["test"]["accuracy"] == (answers == truth).mean()

    told = json.loads(call("rescore", own, "--metric", "micro_f1", "--json", folder=own).stdout)
    (row,) = [row for row in told["rescored"][0]["rows"] if row["strategy"] == "manual-loop"]
    assert row["score"]["values"] == [pytest.approx(manual["scores"]["test"]["micro_f1"])]
    assert call("report", own, folder=own).returncode == 0
    refused = call("rescore", own, "--metric", "f1", folder=own)
    assert refused.returncode == 2
    assert "'f1 (blue)'" in refused.stderr
    assert call("rescore", own, "--metric", "f1 (blue)", folder=own).returncode == 0


@pytest.mark.slow
def test_numbers_and_words_are_learnt(own: Path) -> None:
    (own / "numbers").mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (own / "numbers" / name).write_bytes((own / name).read_bytes())
    one = {"manual-loop": THREE["manual-loop"]}
    for folder, label, kind, metrics in (
        (own / "numbers", "count", "regression", {"pearson", "spearman", "mae"}),
        (own, "red", "classification", {"accuracy", "macro_f1"}),
    ):
        answer = call("run", spec(folder, label, kind, one), folder=folder)
        assert answer.returncode == 0, answer.stderr
        (record,) = records(folder).values()
        assert set(record["scores"]["test"]) == metrics
        assert "/" not in json.dumps(record["requested"]["task"]["options"]), "no place of this machine is recorded"


@pytest.mark.slow
def test_texts_are_encoded_once_for_all_runs(own: Path) -> None:
    path = spec(own, "red", "classification", {"fast": THREE["fast"]}, seeds=2)
    assert call("run", path, folder=own).returncode == 0
    tokens = own / "cache" / "tokens"
    assert len(list(tokens.iterdir())) == 2, "one file for train, one for test"
    kept = {file: file.stat().st_mtime_ns for file in tokens.iterdir()}
    first = records(own)["fast/0"]
    path.write_text(path.read_text().replace("name: own", "name: again").replace("seeds: 2", "seeds: 1"))
    assert call("run", path, "--into", own / "again", folder=own).returncode == 0
    assert {file: file.stat().st_mtime_ns for file in tokens.iterdir()} == kept
    again = records(own / "again")["fast/0"]
    assert again["weights"]["final_sha256"] == first["weights"]["final_sha256"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("red", "classification"),
        pytest.param("set", "multilabel", marks=pytest.mark.slow),
        pytest.param("count", "regression", marks=pytest.mark.long),
    ],
)
def test_a_split_without_labels_is_predicted_and_kept_and_never_scored(own: Path, label: str, kind: str) -> None:
    (own / "dev.jsonl").write_bytes((own / "test.jsonl").read_bytes())
    lines = [json.dumps({"text": row["text"], "other": row["other"]}) for row in rows(25, 7)]
    (own / "test.jsonl").write_text("\n".join(lines) + "\n")
    task = {"name": "table", "train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl", "text": ["text", "other"]}
    task |= {"label": label, "kind": kind, "unlabelled": ["test"]}
    strategies = {name: THREE[name] for name in ("manual-loop", "fast")}
    refused = call("check", write_spec(own, strategies, head=HEAD, tasks=[task], report_on="test"), folder=own)
    assert refused.returncode == 2
    assert "split 'test'" in refused.stderr
    path = write_spec(own, strategies, head=HEAD, tasks=[task], report_on="dev", keep="final", select="best-on-dev")
    answer = call("run", path, folder=own)
    assert answer.returncode == 0, answer.stderr
    for record in records(own).values():
        assert set(record["scores"]) == set(record["data"]["majority_baseline"]) == {"dev"}
        assert record["data"]["splits"]["test"]["labelled"] is False
        table = pq.read_table(own / "records" / record["id"] / "predictions.parquet").to_pandas()
        predicted = table[table["split"] == "test"]
        assert len(predicted) == 25
        assert predicted["label"].isna().all()
        assert np.isfinite(np.stack(predicted["logits"])).all()
        assert not table[table["split"] == "dev"]["label"].isna().any()
    shown = call("table", own, "--all", folder=own)
    assert shown.returncode == 0, shown.stderr
    assert "25 examples without" in shown.stdout
    assert call("report", own, folder=own).returncode == 0
    assert call("verify", own, folder=own).returncode == 0
    assert call("rescore", own, folder=own).returncode == 0
    told = call("rescore", own, "--split", "test", folder=own)
    assert told.returncode == 2
    assert "split 'test'" in told.stderr


def test_an_edited_file_stops_the_experiment(own: Path) -> None:
    path = spec(own, "red", "classification", {"manual-loop": THREE["manual-loop"]})
    assert call("run", path, folder=own).returncode == 0
    text = (own / "test.jsonl").read_text()
    (own / "test.jsonl").write_text(text.replace("kite", "KITE"))
    path.write_text(path.read_text().replace("seeds: 1", "seeds: 2"))
    answer = call("run", path, folder=own)
    assert answer.returncode == 2
    assert "the rows of test" in answer.stderr
    assert "--changed rerun" in answer.stderr


def test_what_does_not_go_with_sets_is_refused_by_check(own: Path) -> None:
    smoothed = {"smoothed": {"trainer": "torch-loop", "recipe": {"label_smoothing": 0.1}}, "probe": {"trainer": "linear-probe"}}
    answer = call("check", spec(own, "set", "multilabel", smoothed), folder=own)
    assert answer.returncode == 2
    assert "task 'table'" in answer.stderr
    assert "trainer 'linear-probe'" in answer.stderr


def test_the_same_file_has_the_same_identity_wherever_it_lies(own: Path, tmp_path: Path) -> None:
    path = spec(own, "red", "classification")
    here = [run.id for run in resolve(read_document(path), load_registry()).runs]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "spec.yaml").write_text(path.read_text())
    assert [run.id for run in resolve(read_document(tmp_path / "elsewhere" / "spec.yaml"), load_registry()).runs] == here


@pytest.mark.long
@pytest.mark.parametrize(("count", "most_gib"), [(200_000, 0.9), (2_000_000, 3.0)])
def test_many_rows_stay_on_disk(tmp_path: Path, count: int, most_gib: float) -> None:
    draw = random.Random(0)  # noqa: S311 - no secret
    words = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]
    with (tmp_path / "train.csv").open("w") as stream:
        stream.write("text,other,same\n")
        for row in range(count):
            one, other = draw.choice(words), draw.choice(words)
            stream.write(f"the {one} of number {row} lies there,where is a {other} number {row}?,{int(one == other)}\n")
    (tmp_path / "dev.csv").write_text("text,other,same\na red cup,a red cup,1\na red cup,a blue door,0\n")
    task = {"name": "table", "train": "train.csv", "dev": "dev.csv", "text": ["text", "other"], "label": "same"}
    head = HEAD.replace("epochs: 2", "max_steps: 20")
    path = write_spec(
        tmp_path, {name: THREE[name] for name in ("manual-loop", "fast")}, head=head, tasks=[task], report_on="dev"
    )
    process = start("run", path, folder=tmp_path)
    largest = 0
    while process.poll() is None:
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            largest = max(largest, *(member.memory_info().rss for member in family))
        except psutil.NoSuchProcess:
            continue
        finally:
            psutil.cpu_percent(interval=0.2)
    assert process.returncode == 0, process.communicate()[1]
    found = records(tmp_path)
    peaks = [record["cost"]["peak_memory_bytes"] for record in found.values()]
    print(f"largest process {largest / 2**30:.2f} GiB; runs {[round(peak / 2**30, 2) for peak in peaks]} GiB")
    print(found["manual-loop/0"]["cost"]["phase_seconds"])
    assert max(largest, *peaks) < most_gib * 2**30
    assert found["manual-loop/0"]["data"]["splits"]["train"]["examples"] == count
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 2
