"""Model folders of strangers: nothing else is loaded, nothing waits, nothing fills the memory; each ends in one line."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import random
import re
import shutil
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from plugins.checkpoints import edit, model_of, save

from bakeoff.contracts.model import Encoding
from bakeoff.contracts.task import Paths
from bakeoff.errors import ModelError
from bakeoff.plugin import load_classifier, load_tokenizer
from bakeoff_hub_models import HubModel, HubOptions

SECONDS = 20
"""More than any of these takes here, and less than an endless read or a million layers."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("sound") / "model", model_of("bert"), "bert", labels=["no", "yes"])


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be made hostile."""
    return Path(shutil.copytree(sound, tmp_path / "model"))


def sparse(path: Path, size: int, *, content: bytes = b"") -> None:
    """A file of that size which takes no room on the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(size)


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    make(path)


def listen(path: Path) -> None:
    """A socket at that place, bound by a short name: a long one is refused."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def header(length: int, content: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + content


GIB = 2**30
DEEP = b"[" * 50_000_000
FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    **{
        f"a pipe for {name}": (name, os.mkfifo, f"{name} cannot be read: it is a named pipe (FIFO), not a plain file")
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "added_tokens.json")
    },
    "a pipe that nothing names": (
        "notes.txt",
        os.mkfifo,
        "notes.txt cannot be read: it is a named pipe (FIFO), not a plain file",
    ),
    "a pipe among chat templates": (
        "additional_chat_templates/a.jinja",
        lambda at: (at.parent.mkdir(), os.mkfifo(at)),
        "a.jinja cannot be read: it is a named pipe (FIFO), not a plain file",
    ),
    "a socket": ("special_tokens_map.json", listen, "special_tokens_map.json cannot be read: it is a socket, not a plain file"),
    "a link to a device": (
        "vocab.txt",
        lambda at: at.symlink_to("/dev/zero"),
        "vocab.txt cannot be read: it is a device, not a plain file",
    ),
    "weights of 60 GiB of nothing": ("model.safetensors", lambda at: sparse(at, 60 * GIB), "64,424,509,440 bytes"),
    "a header as long as 60 GiB": (
        "model.safetensors",
        lambda at: sparse(at, 60 * GIB, content=header(60 * GIB - 8)),
        "64,424,509,440 bytes",
    ),
    "a header beyond the file": ("model.safetensors", lambda at: at.write_bytes(header(1000, b"{}")), "header cannot be read"),
    "a header of 2^64 - 1": ("model.safetensors", lambda at: at.write_bytes(header(2**64 - 1, b"{}")), "cannot be read"),
    "a header of 50 MB of brackets": (
        "model.safetensors",
        lambda at: at.write_bytes(header(len(DEEP), DEEP)),
        "its header cannot be read",
    ),
    "a header that is a list": ("model.safetensors", lambda at: at.write_bytes(header(2, b"[]")), "its header cannot be read"),
    "offsets that are words": (
        "model.safetensors",
        lambda at: at.write_bytes(header(28, b'{"a":{"data_offsets":[0,"b"]}}'[:28])),
        "its header cannot be read",
    ),
    "a tokenizer of 1 GiB": (
        "tokenizer.json",
        lambda at: sparse(at, GIB, content=b"[" * 1000),
        "bytes; at most 268,435,456 are read",
    ),
    "a tokenizer of 50 MB of brackets": ("tokenizer.json", lambda at: at.write_bytes(DEEP), "is not JSON: maximum recursion"),
    "a configuration of 1 GiB": (
        "config.json",
        lambda at: sparse(at, GIB),
        "config.json cannot be read: it has 1,073,741,824 bytes",
    ),
    "a vocabulary of 60 GiB": (
        "vocab.txt",
        lambda at: sparse(at, 60 * GIB),
        "vocab.txt cannot be read: it has 64,424,509,440 bytes",
    ),
    "a configuration of brackets": ("config.json", lambda at: at.write_bytes(DEEP[:1_000_000]), "is not JSON: maximum recurs"),
    "a number of 5,000 digits": ("config.json", lambda at: at.write_text('{"a": ' + "9" * 5000 + "}"), "is not JSON: Exceeds"),
}
CONFIG: dict[str, tuple[dict[str, Any], str]] = {
    "a billion layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, more than any model has"),
    "a billion labels": ({"num_labels": 10**9}, "num_labels is 1000000000, more than any model has"),
    "a width of a billion": ({"hidden_size": 10**9}, "hidden_size is 1000000000, more than any model has"),
    "a nested size": ({"text_config": {"n_layer": [10**9]}}, "n_layer is 1000000000, more than any model has"),
    "a number beyond floats": ({"vocab_size": 10**400}, "vocab_size is 1000000000"),
    "a key that drives terminals": ({"\x1b[31mlayer": 10**9}, "\\x1b[31mlayer is 1000000000"),
    "weights of another name": ({"transformers_weights": "other.safetensors"}, "further files to load (transformers_weights)"),
    "another configuration": ({"configuration_files": ["config.4.0.0.json"]}, "further files to load (configuration_files)"),
    "attention from the hub": ({"attn_implementation": "acme/attention"}, "code of the hub (attn_implementation: 'acme/att"),
    "attention as it is saved": ({"_attn_implementation": "acme/attention@v1:run"}, "code of the hub (_attn_implementation"),
    "attention of a part": ({"text_config": {"attn_implementation": {"": "acme/x"}}}, "code of the hub (attn_implementation"),
    "experts from the hub": ({"experts_implementation": "acme/experts"}, "code of the hub (experts_implementation"),
    "a model for a tokenizer": (
        {"tokenizer_class": "AutoModelForCausalLM"},
        "is not a tokenizer class, such as BertTokenizerFast",
    ),
}
TOKENIZER: dict[str, tuple[dict[str, Any], str]] = {
    "a model for a tokenizer": (
        {"tokenizer_class": "AutoModel"},
        "tokenizer_class 'AutoModel' is not a tokenizer class, such as BertTokenizerFast",
    ),
    "the way itself": (
        {"tokenizer_class": "AutoTokenizer"},
        "tokenizer_class 'AutoTokenizer' is not a tokenizer class, such as BertTokenizerFast",
    ),
    "a list for a class": ({"tokenizer_class": ["a"]}, "is not a tokenizer class, such as BertTokenizerFast"),
    "tokenizers elsewhere": ({"fast_tokenizer_files": ["../../tokenizer.4.0.0.json"]}, "other files (fast_tokenizer_files)"),
}


def refusals(folder: Path) -> list[str]:
    """What each way to a model says, in less than SECONDS."""
    options, said, began = HubOptions(path=str(folder)), [], time.monotonic()
    for look in (
        lambda: HubModel().check_available(options),
        lambda: HubModel().prepare(task_info(), options, Encoding(32, "longest")),
        lambda: HubModel().build(task_info(), options),
    ):
        with pytest.raises(ModelError) as caught:
            look()
        said.append(str(caught.value))
    assert time.monotonic() - began < SECONDS
    return said


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize("case", FILES)
def test_files_that_are_none_and_sizes_that_no_file_has_are_one_line(case: str, folder: Path) -> None:
    name, make, sentence = FILES[case]
    replaced(folder / name, make)
    for said in refusals(folder):
        assert sentence in said
        assert str(folder) in said
        assert said.isprintable()


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize("case", CONFIG)
def test_a_configuration_asks_for_no_size_file_or_code_that_it_may_not_have(case: str, folder: Path) -> None:
    changes, sentence = CONFIG[case]
    edit(folder / "config.json", **changes)
    for said in refusals(folder):
        assert sentence in said
        assert said.isprintable()


@pytest.mark.parametrize("case", TOKENIZER)
def test_a_tokenizers_settings_name_no_files_elsewhere_and_nothing_but_a_tokenizer(case: str, folder: Path) -> None:
    changes, sentence = TOKENIZER[case]
    edit(folder / "tokenizer_config.json", **changes)
    for said in refusals(folder):
        assert sentence in said


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("bert", {"hidden_size": 2_000_000, "intermediate_size": 30_000_000}),
        ("bert", {"num_hidden_layers": 9_999}),
        ("bert", {"vocab_size": 33_000_000}),
        ("distilbert", {"max_position_embeddings": 33_000_000}),
        ("llama", {"num_hidden_layers": 9_999}),
        ("t5", {"d_model": 30_000_000}),
        ("roformer", {"max_position_embeddings": 33_000_000}),
        ("modernbert", {"num_hidden_layers": 9_999, "layer_types": None}),
    ],
)
def test_a_model_far_larger_than_its_weights_is_not_built(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = save(tmp_path / "model", model_of(family), family)
    edit(folder / "config.json", **changes)
    began = time.monotonic()
    with pytest.raises(ModelError, match="far larger model"):
        load_classifier(folder, task_info())
    load_tokenizer(folder)  # it looks at the model too, and must not build it either
    assert time.monotonic() - began < SECONDS


def test_sizes_that_models_have_are_no_matter(folder: Path) -> None:
    """Of rotary positions, bases and limits of generation, which are no sizes of weights."""
    edit(folder / "config.json", rope_theta=5_000_000_000, seed=2**40, max_length=10**30, max_window=10_485_760)
    edit(folder / "config.json", attn_implementation="sdpa", tokenizer_class="BertTokenizerFast", transformers_weights=None)
    load_classifier(folder, task_info())


ADAPTER = {"peft_type": "LORA", "r": 2, "target_modules": ["query"], "task_type": "SEQ_CLS"}


@pytest.mark.parametrize("below", ["no-adapter", "config.json", "adapter"])
def test_no_folder_within_puts_an_adapter_into_the_model(below: str, folder: Path) -> None:
    """Transformers is asked to look for adapters where none can be."""
    if below == "config.json":
        (folder / "adapter_config.json").mkdir()
    else:
        (folder / below).mkdir()
        (folder / below / "adapter_config.json").write_text(json.dumps({**ADAPTER, "base_model_name_or_path": "/elsewhere"}))
    model = load_classifier(folder, task_info()).model
    assert not hasattr(model, "peft_config")
    assert not any("lora" in name for name in model.state_dict())


class Executed:
    """Unpickled, it leaves a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_code_and_pickles_in_a_folder_are_not_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a model that transformers brings itself, what else the folder offers for it is passed over."""
    marker = tmp_path / "executed"
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Evil: pass\n"
    for place in ("evil.py", "custom_generate/generate.py", "1_Evil/evil.py", "__init__.py", "configuration_bert.py"):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(code)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pt", "vocab.pkl"):
        (folder / name).write_bytes(pickle.dumps(Executed(marker)))
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "1_Evil", "type": "evil.Evil"}]))
    classes = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
    edit(folder / "config.json", auto_map={**dict.fromkeys(classes, "evil.Evil"), "AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    edit(folder / "config.json", custom_pipelines={"evil": {"impl": "evil.Evil", "pt": ["AutoModel"]}}, _name_or_path="acme/x")
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}, processor_class="evil.Evil")
    (folder / "generation_config.json").write_text(json.dumps({"custom_generate": "evil", "base_model_name_or_path": "acme/x"}))
    monkeypatch.chdir(folder)
    built = load_classifier(folder, task_info())
    load_tokenizer(folder)
    assert built.newly_initialised == ()
    assert not marker.exists()
    pickle.loads((folder / "model.pt").read_bytes())  # noqa: S301 - the trap springs
    assert marker.exists()


def test_files_that_a_tokenizers_settings_name_are_not_read(folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", model_of("roberta"), "roberta")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    wanted = load_tokenizer(folder).get_vocab()
    named = {"tokenizer_file": str(other / "tokenizer.json"), "vocab_file": str(pipe), "special_tokens_map_file": str(pipe)}
    edit(folder / "tokenizer_config.json", **named, merges_file=str(pipe), name_or_path="acme/other", gguf_file=str(pipe))
    assert load_tokenizer(folder).get_vocab() == wanted


def test_a_panic_of_the_tokenizers_library_is_a_sentence(folder: Path) -> None:
    """Rust's panics are raised as what is no Exception."""
    content = json.loads((folder / "tokenizer.json").read_text())
    del content["post_processor"]["special_tokens"]["[SEP]"]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    prepared = HubModel().prepare(task_info(), HubOptions(path=str(folder)), Encoding(32, "longest"))
    with pytest.raises(ModelError, match="tokenizer cannot encode"):
        prepared.encode({"text": ["w5 w6"]})


@pytest.mark.parametrize("names", [["attention_mask"], [3.5, "attention_mask"], [["input_ids"]], []])
def test_a_tokenizer_that_gives_no_tokens_is_refused(names: Any, folder: Path) -> None:
    edit(folder / "tokenizer_config.json", model_input_names=names)
    with pytest.raises(ModelError, match="gives no input_ids"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label2id": 10**6}, "label2id is not a mapping of numbers and names of labels"),
        ({"id2label": ["no", "yes"]}, "id2label is not a mapping of numbers and names of labels"),
        ({"id2label": {"0": ["no"], "1": {}}}, "id2label is not a mapping of numbers and names of labels"),
    ],
)
def test_names_of_labels_that_are_none_are_one_line(changes: dict[str, Any], sentence: str, folder: Path) -> None:
    edit(folder / "config.json", **changes)
    assert all(sentence in said for said in refusals(folder))


def test_names_of_labels_in_one_direction_are_enough(folder: Path) -> None:
    edit(folder / "config.json", label2id=None)
    assert load_classifier(folder, task_info()).head == "by name"


# --- paths that are none -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("./" + "a" * 300, "cannot be read: File name too long"),
        ("a" * 300, "is not in the local cache and the hub is not reachable"),
        ("~no-such-user/model", "'~no-such-user/model' begins with `~`, and this user has no home folder"),
        ("./loop", "loop does not exist"),
        ("/dev", "cannot be read: it is a device, not a plain file"),
        ("acme/damaged", "is not in the local cache and the hub is not reachable"),
        ("acme/outside", "is not in the local cache and the hub is not reachable"),
        ("acme/waits", "is not in the local cache and the hub is not reachable"),
    ],
)
def test_a_path_that_is_none_is_one_line(
    path: str, sentence: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "loop").symlink_to("loop")
    for name in ("damaged", "outside", "waits"):
        for folder in ("refs", "snapshots"):
            (tmp_path / "hub" / f"models--acme--{name}" / folder).mkdir(parents=True)
    (tmp_path / "hub" / "models--acme--damaged" / "refs" / "main").write_bytes(b"\xff\xfe")
    (tmp_path / "hub" / "models--acme--outside" / "refs" / "main").write_text(f"../../../..{sound}")
    os.mkfifo(tmp_path / "hub" / "models--acme--waits" / "refs" / "main")
    with pytest.raises(ModelError, match=re.escape(sentence)):
        HubModel().check_available(HubModel().resolved(HubOptions(path=path), Paths(None, tmp_path / "cache", tmp_path)))


# --- at random -----------------------------------------------------------------------------------------------------------

ODD = (
    *(None, True, -1, 0, 10**9, 10**30, 1e308, float("nan"), "", "../x", "acme/x", [], [1], {}, {"a": 1}, "[PAD]", [[[]]]),
    *("\x1b[31m", "BF16", "é"),
)
MUTATED = ("config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors")


def places_in(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value within, the keys that lead to it; of long lists the first five."""
    keys = list(content) if isinstance(content, dict) else range(min(len(content), 5)) if isinstance(content, list) else ()
    for key in keys:
        yield (*place, key)
        yield from places_in(content[key], (*place, key))


def mutate(path: Path, draw: random.Random) -> str:
    """One value replaced or taken out, in a JSON file or the header of safetensors; what was done."""
    raw = path.read_bytes()
    is_json = path.suffix == ".json"
    length = 0 if is_json else struct.unpack("<Q", raw[:8])[0]
    content = json.loads(raw if is_json else raw[8 : 8 + length])
    *above, last = draw.choice(list(places_in(content)))
    owner = functools.reduce(lambda inner, key: inner[key], above, content)
    if draw.random() < 0.2:
        del owner[last]
        done = "out"
    else:
        owner[last] = draw.choice(ODD)
        done = repr(owner[last])
    made = json.dumps(content).encode()
    path.write_bytes(made if is_json else header(len(made), made) + raw[8 + length :])
    return f"{path.name} {[*above, last]}: {done}"


def mutations(count: int, start: int, tmp_path: Path) -> None:
    families = {family: save(tmp_path / family, model_of(family), family) for family in ("bert", "llama", "t5")}
    for number in range(start, start + count):
        draw = random.Random(number)  # noqa: S311 - which is to be the same each time
        folder = tmp_path / "mutated"
        shutil.copytree(families[draw.choice(sorted(families))], folder)
        done = [mutate(folder / draw.choice(MUTATED), draw)]
        options = HubOptions(path=str(folder))
        try:
            prepared = HubModel().prepare(task_info(), options, Encoding(32, "longest"))
            prepared.encode({"text": ["w5 w6 w7", "w8"]})
            HubModel().build(task_info(), options)
        except BaseException as error:
            if not (isinstance(error, ModelError) and str(error).isprintable()):
                raise AssertionError(f"mutation {number}: {done}") from error
        shutil.rmtree(folder)


@pytest.mark.timeout(120)
def test_100_mutated_model_folders_end_in_a_model_or_in_one_line(tmp_path: Path) -> None:
    mutations(100, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("count", [500, pytest.param(2000, marks=pytest.mark.long)])
def test_more_mutated_model_folders_end_in_a_model_or_in_one_line(tmp_path: Path, count: int) -> None:
    mutations(count, 100, tmp_path)
