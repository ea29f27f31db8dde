"""A model's folder, looked at before anything heavy is imported: our sentence for whatever it lacks."""

from __future__ import annotations

import importlib.util
import json
import struct
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from bakeoff.plugin import NOT_FETCHED, ModelError, is_git_pointer, quoted, shown_path

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
ADAPTER, ADAPTERS_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "tf_model.h5", "flax_model.msgpack")


def check_folder(folder: Path) -> None:
    """Raises ModelError for the first thing that is missing or damaged; reads no weights, only where they should lie."""
    if not folder.is_dir():
        what = "is a file, not a model's folder" if folder.exists() else "does not exist"
        raise ModelError(f"the model folder {shown_path(folder)} {what}")
    if not (folder / "config.json").is_file() and (within := models_within(folder)):
        held = "holds an adapter of peft" if (within[-1] / ADAPTER).is_file() else "is a model's folder"
        raise ModelError(f"the model folder {shown_path(folder)} lacks config.json; {shown_path(within[-1])} {held}")
    check_config(folder / "config.json")
    found = [name for name in TOKENIZERS if (folder / name).is_file()]
    if not found:
        raise ModelError(f"the model folder {shown_path(folder)} lacks a tokenizer (tokenizer.json)")
    if "tokenizer.json" in found:
        read_json(folder / "tokenizer.json")
    check_weights(folder)


def models_within(folder: Path) -> list[Path]:
    """Folders of models and adapters in this one (checkpoints of a training, snapshots of a repository), the newest last."""
    patterns = [f"{place}/{name}" for place in ("*", "snapshots/*") for name in ("config.json", ADAPTER)]
    found = {path.parent for pattern in patterns for path in folder.glob(pattern)}
    return sorted(found, key=lambda path: path.stat().st_mtime)


def check_config(path: Path) -> None:
    """A model type, and one whose code transformers brings itself."""
    config = read_json(path)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelError(f"{shown_path(path)} names no model_type")
    if "auto_map" in config and not brought_by_transformers(model_type):
        raise ModelError(
            f"{shown_path(path)} asks for code of its own (auto_map, model_type {quoted(model_type)}), "
            "which is never run; only architectures of transformers itself can be used"
        )


def brought_by_transformers(model_type: str) -> bool:
    """Whether transformers has a folder of that architecture; looked up on disk, for its import takes seconds."""
    spec = importlib.util.find_spec("transformers")
    places = spec.submodule_search_locations if spec else None
    name = model_type.replace("-", "_")
    return bool(places) and name.isidentifier() and (Path(next(iter(places))) / "models" / name).is_dir()


def check_weights(folder: Path) -> None:
    """One file of safetensors, or all that an index names; each as long as its own header says."""
    if (folder / WEIGHTS).is_file():
        check_safetensors(folder / WEIGHTS)
        return
    if not (folder / INDEX).is_file():
        raise ModelError(f"the model folder {shown_path(folder)} lacks {WEIGHTS}{instead_of_weights(folder)}")
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(isinstance(name, str) for name in parts.values()):
        raise ModelError(f"{shown_path(folder / INDEX)} names no files (weight_map)")
    for name in sorted(set(parts.values())):
        if Path(name).name != name or not (folder / name).is_file():
            raise ModelError(f"the model folder {shown_path(folder)} lacks {quoted(name)}, which its {INDEX} names")
        check_safetensors(folder / name)


def instead_of_weights(folder: Path) -> str:
    """What lies in a folder without weights that could be them, and how to make weights of it."""
    if (folder / WEIGHTS).is_symlink():
        return f": it is a link to {quoted((folder / WEIGHTS).readlink())}, where nothing is"
    if parts := sorted(folder.glob("model-*-of-*.safetensors")):
        return f": of {quoted(parts[0].name)} and the other parts it lacks the list, {INDEX}"
    if others := unread_weights(folder):
        name = others[0]
        if name.endswith(".safetensors"):
            return f": if {quoted(name)} holds the weights, rename it"
        return f" ({name} is not read: only safetensors are){converted(folder) if name in PICKLES[:2] else ''}"
    return ""


def converted(folder: Path) -> str:
    """How transformers writes the weights anew, by the class that the configuration names."""
    architectures = read_json(folder / "config.json").get("architectures")
    known = isinstance(architectures, list) and architectures and isinstance(architectures[0], str)
    made_by = architectures[0] if known and architectures[0].isidentifier() else "AutoModel"
    return f": transformers.{made_by}.from_pretrained(FOLDER).save_pretrained(FOLDER) writes them so"


def unread_weights(folder: Path) -> list[str]:
    """Names of the files that may hold weights too, beside those that are read."""
    read = {WEIGHTS, ADAPTERS_WEIGHTS}
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        read |= {INDEX, *read_json(folder / INDEX).get("weight_map", {}).values()}
    kinds = [path.name for path in folder.glob("*.safetensors") if path.is_file()]
    if (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():  # its parts are told by it
        kinds = [*(name for name in kinds if not fnmatch(name, "model-*-of-*.safetensors")), INDEX]
    return [name for name in (*sorted(kinds), *(name for name in PICKLES if (folder / name).is_file())) if name not in read]


def of_unread_weights(folder: Path) -> tuple[str, ...]:
    """That other weights lie beside those that are read, if so: nobody can tell which were meant."""
    if not (unread := unread_weights(folder)):
        return ()
    read = WEIGHTS if (folder / WEIGHTS).is_file() else INDEX
    shown = ", ".join(unread[:3]) + (", ..." if unread[3:] else "")
    return (f"{shown_path(folder)} holds weights more than once: {read} is read, {shown} not",)


def check_safetensors(path: Path) -> None:
    """The file's length against its header: 8 bytes of header length, a JSON header, the tensors' bytes."""
    require_fetched(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length)) if length <= size - 8 else None
        expected = 8 + length + max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    except (struct.error, ValueError, AttributeError, KeyError, TypeError, IndexError):
        raise ModelError(f"{shown_path(path)} is damaged: its header cannot be read ({size:,} bytes)") from None
    except OSError as error:
        raise ModelError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
    if size != expected:
        raise ModelError(f"{shown_path(path)} is damaged: {size:,} bytes, its header tells of {expected:,}")


def require_fetched(path: Path) -> None:
    """Raises ModelError for what Git LFS has not fetched."""
    try:
        pointer = is_git_pointer(path)
    except OSError:  # what reads it says why
        return
    if pointer:
        raise ModelError(f"{shown_path(path)} {NOT_FETCHED}")


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object."""
    require_fetched(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"the model folder {shown_path(path.parent)} lacks {path.name}") from None
    except OSError as error:
        raise ModelError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{shown_path(path)} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{shown_path(path)} is no JSON object")
    return content
