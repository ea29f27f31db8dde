"""Folders of models, used as a user uses them: named from the experiment file, and refused before the first run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, write_spec
from messages import tells
from plugins.checkpoints import edit, model_of, save

HEAD = """
name: folders
tasks: [{name: table, train: train.csv, dev: dev.csv, text: text, label: label}]
models: [MODEL]
report_on: dev
recipe: {max_steps: 2, batch_size: 4, max_length: LENGTH}
strategies:
"""


def without_special_tokens(model: Path) -> None:
    """The tokenizer's template names what the tokenizer does not know."""
    content = json.loads((model / "tokenizer.json").read_text())
    content["post_processor"]["special_tokens"].clear()
    (model / "tokenizer.json").write_text(json.dumps(content))


ROWS = ["w7 w9,no", "w9 w8 w7 w6 w5,yes", "w11 w12 w13,no", "w20 w6 w30,yes"] * 3
LONG = " ".join(f"w{5 + number % 40}" for number in range(60))


def experiment(folder: Path, model: str = "{name: hub, path: model}", *, length: int = 32, **splits: list[str]) -> Path:
    """Rows of a `table` beside the file; each of `splits` is added to its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "dev"):
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *ROWS, *splits.get(name, [])]) + "\n")
    head = HEAD.replace("MODEL", model).replace("LENGTH", str(length))
    return write_spec(folder, {"one": {"trainer": "torch-loop"}}, head=head)


@pytest.mark.parametrize("path", ["model", "./model", "../files/model"])
def test_a_models_path_is_read_from_the_experiment_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = experiment(tmp_path / "files", f"{{name: hub, path: {path}}}")
    save(tmp_path / "files" / "model", model_of("bert"), "bert", labels=["yes", "no"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    record = records(tmp_path / "out")["one/0"]
    assert record["requested"]["model"]["options"]["path"] == path, "no place of this machine in a record"
    assert (record["weights"]["head"], record["weights"]["newly_initialised"]) == ("by name", [])
    assert "labels matched with" in " ".join((tmp_path / "out" / "table.md").read_text().split())


def test_a_folder_beside_the_command_only_is_named_with_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = experiment(tmp_path / "files")
    save(tmp_path / "elsewhere" / "model", model_of("bert"), "bert")
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = call("run", spec, folder=tmp_path)
    assert done.returncode == 2
    assert tells(done.stderr, "", "no model folder", f" {tmp_path}/files/model: ")
    assert f"{tmp_path}/elsewhere/model" in done.stderr
    assert "Traceback" not in done.stderr


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "more positions than RoBERTa has": ({"family": "roberta"}, {"length": 39, "dev": [f"{LONG},no"]}, "38 positions"),
    "a word of dev beyond the embeddings": ({"family": "bert", "vocab_size": 50}, {"dev": ["w55 w5,no"]}, "gives token 55"),
    "an end of text in dev": ({"family": "t5"}, {"dev": ["w5 </s> w6,no"]}, "'</s>'"),
    "no pad token": ({"family": "gpt2", "tokenizer": {"pad_token": None}}, {}, "`pad_token: eos`"),
    "missing layers": ({"family": "bert", "later": {"num_hidden_layers": 4}}, {}, "allow_new: ["),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_fail_after_training_is_refused_before_anything_is_written(case: str, tmp_path: Path) -> None:
    made, rows, sentence = REFUSED[case]
    family, later = made["family"], made.get("later", {})
    changes = {key: value for key, value in made.items() if key not in {"family", "later", "tokenizer"}}
    spec = experiment(tmp_path, **rows)
    save(tmp_path / "model", model_of(family, **changes), family, **made.get("tokenizer", {}))
    edit(tmp_path / "model" / "config.json", **later)
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr
    assert "spec.yaml:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (lambda model: os.mkfifo(model / "chat_template.jinja"), "it is a named pipe (FIFO), not a plain file"),
    "60 GiB of nothing": (
        lambda model: os.truncate(model / "model.safetensors", 60 * 2**30),
        "64,424,509,440 bytes",
    ),
    "ten thousand layers": (lambda model: edit(model / "config.json", num_hidden_layers=9_999), "describes a far larger model"),
    "a tokenizer that panics": (without_special_tokens, "its tokenizer cannot encode these texts: no entry found for key"),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", [("run",), ("check", "--build")], ids=" ".join)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_one_line_and_nothing_is_written(case: str, words: tuple[str, ...], tmp_path: Path) -> None:
    make, sentence = HOSTILE[case]
    spec = experiment(tmp_path)
    save(tmp_path / "model", model_of("bert"), "bert")
    make(tmp_path / "model")
    done = call(words[0], spec, *words[1:], folder=tmp_path)
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("records*"))


@pytest.mark.parametrize("family", ["deberta-v2", "xlnet"])
def test_texts_may_be_longer_than_the_configuration_says_where_no_table_holds_positions(family: str, tmp_path: Path) -> None:
    spec = experiment(tmp_path, length=64, dev=[f"{LONG},no"])
    save(tmp_path / "model", model_of(family), family)
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_head_whose_labels_have_no_names_is_told_before_the_runs(tmp_path: Path) -> None:
    spec = experiment(tmp_path)
    save(tmp_path / "model", model_of("bert"), "bert")
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "labels (LABEL_0, ...)" in done.stderr
    assert records(tmp_path / "out")["one/0"]["weights"]["head"] == "by position"


IN_CI = ("deberta-v2", "distilbert", "gpt2", "llama", "modernbert", "roberta", "t5")
TRAINED = (
    *(pytest.param(family, marks=pytest.mark.slow) for family in IN_CI),
    *(
        pytest.param(family, marks=pytest.mark.long)
        for family in ("albert", "bart", "bloom", "electra", "eurobert", "longformer", "mpnet", "opt", "xlm-roberta", "xlnet")
    ),
)


@pytest.mark.parametrize("family", TRAINED)
def test_a_family_is_trained_whole_and_by_lora_and_kept_though_texts_are_cut(family: str, tmp_path: Path) -> None:
    spec = experiment(tmp_path, length=16, train=[f"{LONG},yes"], dev=[f"{LONG},no"])
    strategies = {"full": {"trainer": "torch-loop"}, "lora": {"trainer": "torch-loop", "method": {"name": "lora", "r": 2}}}
    write_spec(tmp_path, strategies, head=spec.read_text().partition("strategies:")[0] + "strategies:\n", keep="final")
    save(tmp_path / "model", model_of(family), family)
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "out")
    assert [record["kept"]["reason"] for record in found.values()] == [None, None]
    trained = {name: record["weights"]["parameters_trainable"] for name, record in found.items()}
    assert 0 < trained["lora/0"] < trained["full/0"]


@pytest.mark.slow
def test_loop_and_trainer_api_train_a_decoder_to_the_same_bits(tmp_path: Path) -> None:
    spec = experiment(tmp_path, "{name: hub, path: model, pad_token: eos}", train=["w7 w8 </s>,no"], dev=["w9 </s>,no"])
    strategies = {"loop": {"trainer": "torch-loop"}, "api": {"trainer": "hf-trainer"}}
    write_spec(tmp_path, strategies, head=spec.read_text().partition("strategies:")[0] + "strategies:\n")
    save(tmp_path / "model", model_of("llama"), "llama", pad_token=None)
    done = call("run", spec, "--into", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    loop, api = (record["weights"]["final_sha256"] for record in records(tmp_path / "out").values())
    assert loop == api
