"""Checks of `config.json` and `tokenizer_config.json`, which may come from a stranger: they must not ask for code, files or
models from elsewhere, nor for sizes that no model has.

The checks are made before transformers reads the files, and while it builds the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from bakeoff.errors import ModelError
from bakeoff.text.numbers import significant
from bakeoff.text.words import escaped, quoted

LOADS = {
    "transformers_weights": "its weights are model.safetensors, or the files that model.safetensors.index.json names",
    "configuration_files": "its configuration is config.json",
}
"""Keys by which a configuration makes transformers read another file -> what is read instead."""
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
"""Endings of keys of a configuration. If their value is `owner/name`, the kernels library would compile and run code of that
repository on the hub."""
TOKENIZER_CLASS = re.compile(r"[A-Za-z0-9_]+(Tokenizer|TokenizerFast|Backend)")
"""Matches the names that `tokenizer_class` may have: transformers looks the name up among all its classes, including models
and pipelines, and only tokenizers may be named."""
AUTOMATIC = "AutoTokenizer"

MOST = 2**25
MOST_OF = {"layer": 10_000, "label": 1_000_000}
NO_SIZES = ("theta", "seed", "max_length")
"""A whole number in a configuration is taken for a size, and may be at most MOST; if its key contains a word of MOST_OF, at
most the limit there, because transformers makes lists of that length before any module. Numbers whose key contains a word of
NO_SIZES are not limited."""


def check_config(config: Mapping[str, Any], shown: str) -> None:
    """Raises ModelError if a `config.json` has no model type or asks for something forbidden. shown: the file's name in
    messages."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelError(f"{shown} has no model_type: use the config.json that belongs to the model")
    for key, value in nested_values(config):
        if key in LOADS and value is not None:
            raise ModelError(f"{shown} names further files to load ({key}), and Bakeoff loads none: {LOADS[key]}")
        if isinstance(value, str) and "/" in value and key.endswith(IMPLEMENTATIONS):
            raise ModelError(
                f"{shown} asks for code of the hub ({escaped(key)[:80]}: {quoted(value)}), which is never run: remove the key"
            )
        if isinstance(value, int) and (most := _most(key)) is not None and abs(value) > most:
            raise ModelError(
                f"{shown}: {escaped(key)[:80]} is {str(value)[:40]}, more than any model has ({most:,} at most): use the "
                "config.json that belongs to the model"
            )
    for key in ("id2label", "label2id"):
        names = config.get(key)
        if names is not None and not (isinstance(names, dict) and all(isinstance(name, str | int) for name in names.values())):
            raise ModelError(f"{shown}: {key} is not a mapping of numbers and names of labels")
    _check_class(config.get("tokenizer_class"), shown)


def check_tokenizer_config(config: Mapping[str, Any], shown: str) -> None:
    """Raises ModelError if a `tokenizer_config.json` names other files, or a class that is not a tokenizer. shown: the file's
    name in messages."""
    _check_class(config.get("tokenizer_class"), shown)
    if config.get("fast_tokenizer_files") is not None:
        raise ModelError(
            f"{shown} asks for other files (fast_tokenizer_files), which are never read, only tokenizer.json: remove the key"
        )


def nested_values(settings: Any) -> Iterator[tuple[str, Any]]:
    """Yields (key, value) of all settings at any depth, in the order of the file; mappings and lists are values too.

    A value in a list is given with the list's key.
    """
    waiting = [("", settings)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            inherits = key.endswith(IMPLEMENTATIONS)  # its keys are parts of the model
            waiting += [(key if inherits else str(name), value[name]) for name in reversed(value)]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in reversed(value)]


def _most(key: str) -> int | None:
    lower = key.lower()
    if any(part in lower for part in NO_SIZES):
        return None
    return next((most for part, most in MOST_OF.items() if part in lower), MOST)


def _check_class(name: Any, shown: str) -> None:
    if name is None or (isinstance(name, str) and name != AUTOMATIC and TOKENIZER_CLASS.fullmatch(name)):
        return
    raise ModelError(f"{shown}: tokenizer_class {quoted(name)} is not a tokenizer class, such as BertTokenizerFast")


class Stored(NamedTuple):
    """How many tensors the files of weights hold, and how many bytes these files have."""

    tensors: int
    bytes: int


NUMBERS_A_BYTE = 4
"""The most weights that one byte of a file can hold: two bits each."""
NEW_NUMBERS = 2**24
"""How many weights a model may have that its files lack: those of heads, and of parts that `allow_new` names."""
NEW_TENSORS = 2_000


@contextmanager
def building_at_most(stored: Stored, shown: str) -> Iterator[None]:
    """A context in which building a model raises ModelError once it has far more parameters than its stored weights. shown:
    the model's name in messages.

    Libraries first build on the meta device, where weights take no memory; a configuration that would take hours or fill the
    memory is stopped here. Parameters and buffers are counted by torch's hooks for registering them.
    """
    from torch.nn.modules import module

    most_numbers = NUMBERS_A_BYTE * stored.bytes + NEW_NUMBERS
    most_tensors = 2 * stored.tensors + NEW_TENSORS
    numbers = tensors = 0

    def count(owner: Any, name: str, tensor: Any) -> None:
        nonlocal numbers, tensors
        if tensor is None or tensor.device.type != "meta":  # the weights themselves come later, in their place
            return
        numbers, tensors = numbers + math.prod(tensor.shape), tensors + 1
        if numbers > most_numbers or tensors > most_tensors:
            raise ModelError(
                f"the config.json of {shown} describes a far larger model than its weights, {stored.tensors:,} tensors "
                f"in {stored.bytes:,} bytes: at {name} of {type(owner).__name__} it has {tensors:,} tensors "
                f"with {significant(numbers, 3)} numbers; use the config.json that belongs to these weights"
            )

    hooks = [
        module.register_module_parameter_registration_hook(count),
        module.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
