"""Checks of a model's folder, made before torch is imported and before any library opens a file: whatever is missing, too
large, damaged or outside the folder is reported in one sentence."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from bakeoff.errors import ModelError
from bakeoff.files import open_regular, read_regular
from bakeoff.machine.file_hashes import NOT_FETCHED, is_git_pointer
from bakeoff.text.words import quoted, shown_path
from bakeoff.toolkit.model_settings import Stored, check_config, check_tokenizer_config

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
TOKENIZER_FILES = (
    *("tokenizer*", "vocab*", "merges*", "added_tokens*", "special_tokens_map*", "normalizer*", "spiece*", "sentencepiece*"),
    *("*.model", "*.spm", "*.tiktoken", "bpe.codes", "dict.txt"),
)
"""Patterns of the names of the files in which transformers stores vocabularies and settings of tokenizers."""
ADAPTER, ADAPTERS_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""The files by which peft and transformers recognise a folder with an adapter."""
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "tf_model.h5", "flax_model.msgpack")
TEMPLATES = "additional_chat_templates"
"""The only subfolder that transformers reads."""

SETTINGS_BYTES = 32 * 2**20
VOCABULARY_BYTES = 256 * 2**20
"""The largest file that is read whole, in bytes: a file of settings or a list of weights, and a vocabulary. The largest known
have 10 and 70 MB."""
SETTINGS = (CONFIG, INDEX, ADAPTER, "generation_config.json", "tokenizer_config.json", "chat_template*", "special_tokens_map*")
HEADER_BYTES = 100_000_000
"""The longest header of a safetensors file that its library accepts, in bytes."""


def model_files(folder: Path) -> dict[str, list[Path]]:
    """For `Model.files`: `weights`, `tokenizer` and `configuration` -> the files in the folder that hold them.

    Raises ModelError for a file that is too large or no regular file, and for damaged weights.
    """
    check_files(folder)
    weights = weights_of(folder)
    if weights:
        check_weights(folder)

    def named(*patterns: str) -> list[Path]:
        return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})

    return {
        "weights": weights,
        "tokenizer": named(*TOKENIZER_FILES),
        "configuration": named(CONFIG, ADAPTER),
    }


def check_folder(folder: Path) -> None:
    """Raises ModelError that names the first thing that is missing or damaged in a model's folder. Of the weights only the
    headers are read."""
    try:
        if not folder.is_dir():
            what = "is a file, not a model's folder" if folder.exists() else "does not exist"
            raise ModelError(f"the model folder {shown_path(folder)} {what}")
    except OSError as error:  # a name that no file system takes
        raise ModelError(f"the model folder {shown_path(folder)} cannot be read: {error.strerror}") from None
    check_files(folder)
    if not (folder / CONFIG).is_file() and (within := models_within(folder)):
        held = "has an adapter of peft" if (within[-1] / ADAPTER).is_file() else "is a model's folder"
        raise ModelError(f"the model folder {shown_path(folder)} lacks config.json; {shown_path(within[-1])} {held}")
    read_config(folder)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ModelError(f"the model folder {shown_path(folder)} lacks a tokenizer (tokenizer.json)")
    check_tokenizer(folder)
    check_weights(folder)


def check_files(folder: Path) -> None:
    """Raises ModelError for pipes, sockets and devices, which may never end, and for settings and vocabularies of an
    impossible size."""
    for path in _entries(folder):
        if path.is_dir():
            continue
        try:
            open_regular(path, at_most=_most_bytes(path.name)).close()
        except (
            FileNotFoundError,
            PermissionError,
        ):  # a link to nowhere, or what nobody here may read: whoever needs it says so
            continue
        except OSError as error:
            raise ModelError(f"{shown_path(path)} cannot be read: {error.strerror}") from None


def _entries(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / TEMPLATES):
        try:
            yield from sorted(place.iterdir())
        except OSError:  # there is none, or it is nobody's to read
            continue


def _most_bytes(name: str) -> int | None:
    """The largest size in bytes that a file of this name may have; None for files that are not read whole."""
    if any(fnmatch(name, pattern) for pattern in (*SETTINGS, "*.jinja")):
        return SETTINGS_BYTES
    return VOCABULARY_BYTES if any(fnmatch(name, pattern) for pattern in TOKENIZER_FILES) else None


def read_config(folder: Path) -> dict[str, Any]:
    """The content of the folder's config.json. Raises ModelError if it asks for code or files that are never loaded."""
    config = read_json(folder / CONFIG)
    check_config(config, shown_path(folder / CONFIG))
    model_type = config["model_type"]
    if "auto_map" in config and not brought_by_transformers(model_type):
        raise ModelError(
            f"{shown_path(folder / CONFIG)} asks for code of its own (auto_map, model_type {quoted(model_type)}), "
            "which is never run: use a model whose architecture is part of transformers"
        )
    return config


def check_tokenizer(folder: Path) -> None:
    """Raises ModelError if the tokenizer's files are damaged, or ask for code or files that are never loaded."""
    if (folder / "tokenizer.json").is_file():
        read_json(folder / "tokenizer.json")
    if (path := folder / "tokenizer_config.json").is_file():
        check_tokenizer_config(read_json(path), shown_path(path))


def models_within(folder: Path) -> list[Path]:
    """Subfolders with a model or adapter (checkpoints of a training, snapshots of a repository), the newest last."""
    patterns = [f"{place}/{name}" for place in ("*", "snapshots/*") for name in ("config.json", ADAPTER)]
    found = {path.parent for pattern in patterns for path in folder.glob(pattern)}
    return sorted(found, key=lambda path: path.stat().st_mtime)


def brought_by_transformers(model_type: str) -> bool:
    """Whether transformers has this architecture; looked up among its files, because importing it takes seconds."""
    spec = importlib.util.find_spec("transformers")
    places = spec.submodule_search_locations if spec else None
    name = model_type.replace("-", "_")
    return places is not None and name.isidentifier() and any((Path(place) / "models" / name).is_dir() for place in places)


def check_weights(folder: Path) -> Stored:
    """How many tensors and bytes the folder's weights have: those of one safetensors file, or of all files that an index
    names.

    Raises ModelError if there are none, or if a file's size differs from what its header says.
    """
    weights = weights_of(folder)
    if not weights:
        raise ModelError(f"the model folder {shown_path(folder)} lacks {WEIGHTS}{instead_of_weights(folder)}")
    stored = [check_safetensors(path) for path in weights if path.name != INDEX]
    return Stored(sum(part.tensors for part in stored), sum(part.bytes for part in stored))


def weights_of(folder: Path) -> list[Path]:
    """The files of weights that are read: one safetensors file, or the index with the files that it names; empty if there is
    neither."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    return sorted(folder / name for name in (INDEX, *parts_of_weights(folder))) if (folder / INDEX).is_file() else []


def parts_of_weights(folder: Path, *, there: Collection[str] | None = None) -> list[str]:
    """Names of the files that the folder's index of weights names. Raises ModelError if one is not in the folder, or, where
    `there` is given, not among these names."""
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(isinstance(name, str) for name in parts.values()):
        raise ModelError(f"{shown_path(folder / INDEX)} lists no files under weight_map")
    names = sorted(set(parts.values()))
    for name in names:
        found = (folder / name).is_file() if there is None else name in there
        if Path(name).name != name or not found:
            raise ModelError(f"the model folder {shown_path(folder)} lacks {quoted(name)}, which its {INDEX} names")
    return names


def instead_of_weights(folder: Path) -> str:
    """The end of a sentence about a folder without weights: which files may be meant, and how to convert them."""
    if (folder / WEIGHTS).is_symlink():
        return f": it is a link to {quoted((folder / WEIGHTS).readlink())}, which does not exist"
    if parts := sorted(folder.glob("model-*-of-*.safetensors")):
        return f": it has parts ({quoted(parts[0].name)}, ...) but not {INDEX}, which lists them"
    if others := unread_weights(folder):
        name = others[0]
        if name.endswith(".safetensors"):
            return f": if {quoted(name)} has the weights, rename it"
        return f" ({name} is not read: only safetensors are){converted(folder) if name in PICKLES[:2] else ''}"
    return ""


def converted(folder: Path) -> str:
    """The end of a sentence: how to convert the weights to safetensors with transformers, by the class that the configuration
    names."""
    architectures = read_json(folder / "config.json").get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    made_by = named if isinstance(named, str) and named.isidentifier() else "AutoModel"
    return f": transformers.{made_by}.from_pretrained(FOLDER).save_pretrained(FOLDER) converts them"


def unread_weights(folder: Path) -> list[str]:
    """Names of files in the folder that may hold weights, but are not read."""
    read = {WEIGHTS, ADAPTERS_WEIGHTS}
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        read |= {INDEX, *read_json(folder / INDEX).get("weight_map", {}).values()}
    kinds = [path.name for path in folder.glob("*.safetensors") if path.is_file()]
    if (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():  # its parts are told by it
        kinds = [*(name for name in kinds if not fnmatch(name, "model-*-of-*.safetensors")), INDEX]
    return [name for name in (*sorted(kinds), *(name for name in PICKLES if (folder / name).is_file())) if name not in read]


def of_unread_weights(folder: Path) -> tuple[str, ...]:
    """A caution if the folder holds other weights besides those that are read; empty if it does not."""
    if not (unread := unread_weights(folder)):
        return ()
    read = WEIGHTS if (folder / WEIGHTS).is_file() else INDEX
    shown = ", ".join(unread[:3]) + (", ..." if unread[3:] else "")
    return (f"{shown_path(folder)} holds weights more than once: {read} is read, {shown} is ignored",)


def check_safetensors(path: Path) -> Stored:
    """Compares the length of a safetensors file with its header (8 bytes of header length, a JSON header, the tensors' bytes),
    and returns how many tensors and bytes it has.

    Raises ModelError if they differ, if the header can't be read, and for a pointer of Git LFS.
    """
    require_fetched(path)
    size = path.stat().st_size
    try:
        with open_regular(path) as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header: dict[str, Any] = json.loads(stream.read(length)) if length <= min(size - 8, HEADER_BYTES) else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends)
    except (struct.error, ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError):
        raise ModelError(f"{shown_path(path)} is damaged: its header cannot be read ({size:,} bytes); copy it again") from None
    except OSError as error:
        raise ModelError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
    if size != expected:
        raise ModelError(
            f"{shown_path(path)} is damaged: {size:,} bytes instead of the {expected:,} of its header; copy it again"
        )
    return Stored(len(ends), size)


def require_fetched(path: Path) -> None:
    """Raises ModelError if the file is a pointer whose contents Git LFS has not fetched."""
    try:
        pointer = is_git_pointer(path)
    except OSError:  # what reads it says why
        return
    if pointer:
        raise ModelError(f"{shown_path(path)} {NOT_FETCHED}")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ModelError if the file is missing, too large, or does not hold a JSON object."""
    try:
        require_fetched(path)
        content = json.loads(read_regular(path, at_most=_most_bytes(path.name)).decode("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"the model folder {shown_path(path.parent)} lacks {path.name}") from None
    except OSError as error:
        raise ModelError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{shown_path(path)} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{shown_path(path)} is not a JSON object")
    return content
