"""A model's folder, looked at before anything heavy is imported: our sentence for whatever it lacks."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

from bakeoff.plugin import ModelError, quoted, shown_path

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "tf_model.h5", "flax_model.msgpack")


def check_folder(folder: Path) -> None:
    """Raises ModelError for the first thing that is missing or damaged; reads no weights, only where they should lie."""
    if not folder.is_dir():
        what = "is a file, not a model's folder" if folder.exists() else "does not exist"
        raise ModelError(f"the model folder {shown_path(folder)} {what}")
    if not (folder / "config.json").is_file() and (within := models_within(folder)):
        raise ModelError(
            f"the model folder {shown_path(folder)} lacks config.json; {shown_path(within[-1])} is a model's folder"
        )
    check_config(folder / "config.json")
    found = [name for name in TOKENIZERS if (folder / name).is_file()]
    if not found:
        raise ModelError(f"the model folder {shown_path(folder)} lacks a tokenizer (tokenizer.json)")
    if "tokenizer.json" in found:
        read_json(folder / "tokenizer.json")
    check_weights(folder)


def models_within(folder: Path) -> list[Path]:
    """Folders of models in this one: checkpoints of a training, snapshots of a repository; the last changed last."""
    found = [path.parent for pattern in ("*/config.json", "snapshots/*/config.json") for path in folder.glob(pattern)]
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
        pickles = [name for name in PICKLES if (folder / name).is_file()]
        other = f" ({pickles[0]} is not read: only safetensors are)" if pickles else ""
        raise ModelError(f"the model folder {shown_path(folder)} lacks {WEIGHTS}{other}")
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(isinstance(name, str) for name in parts.values()):
        raise ModelError(f"{shown_path(folder / INDEX)} names no files (weight_map)")
    for name in sorted(set(parts.values())):
        if Path(name).name != name or not (folder / name).is_file():
            raise ModelError(f"the model folder {shown_path(folder)} lacks {quoted(name)}, which its {INDEX} names")
        check_safetensors(folder / name)


def check_safetensors(path: Path) -> None:
    """The file's length against its header: 8 bytes of header length, a JSON header, the tensors' bytes."""
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


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object."""
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
