"""Checks of `config.json` and `tokenizer_config.json`, which may come from a stranger: they may not ask for code, files or
models from elsewhere, nor for sizes that no model has.

They are made before transformers reads the files, and while it builds the model.
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
"""Keys of a configuration by which transformers takes another file for it, and what is read instead."""
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
"""Endings of the keys whose value, where it is `owner/name`, is code on the hub: compiled and run by the kernels library."""
TOKENIZER_CLASS = re.compile(r"[A-Za-z0-9_]+(Tokenizer|TokenizerFast|Backend)")
"""Transformers looks the name up among all that it has: models and pipelines too."""
AUTOMATIC = "AutoTokenizer"

MOST = 2**25
MOST_OF = {"layer": 10_000, "label": 1_000_000}
NO_SIZES = ("theta", "seed", "max_length")
"""Whole numbers of a configuration are sizes, at most MOST; those with such a part in their key are at most MOST_OF, for
transformers makes lists of that length before it builds anything. Keys with a part in NO_SIZES are of no size."""


def check_config(config: Mapping[str, Any], shown: str) -> None:
    """Raises ModelError for a `config.json` (shown as `shown`) without a model type, or that asks for what it may not have."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelError(f"{shown} names no model_type")
    for key, value in nested_values(config):
        if key in LOADS and value is not None:
            raise ModelError(f"{shown} asks for other files ({key}), which are never read: {LOADS[key]}")
        if isinstance(value, str) and "/" in value and key.endswith(IMPLEMENTATIONS):
            raise ModelError(
                f"{shown} asks for code of the hub ({escaped(key)[:80]}: {quoted(value)}), which is never run; take the key out"
            )
        if isinstance(value, int) and (most := _most(key)) is not None and abs(value) > most:
            raise ModelError(f"{shown}: {escaped(key)[:80]} is {str(value)[:40]}, more than any model has ({most:,} at most)")
    for key in ("id2label", "label2id"):
        names = config.get(key)
        if names is not None and not (isinstance(names, dict) and all(isinstance(name, str | int) for name in names.values())):
            raise ModelError(f"{shown}: {key} is not a mapping of numbers and names of labels")
    _check_class(config.get("tokenizer_class"), shown)


def check_tokenizer_config(config: Mapping[str, Any], shown: str) -> None:
    """Raises ModelError for a `tokenizer_config.json` (shown as `shown`) that names other files, or what is no tokenizer."""
    _check_class(config.get("tokenizer_class"), shown)
    if config.get("fast_tokenizer_files") is not None:
        raise ModelError(f"{shown} asks for other files (fast_tokenizer_files), which are never read: it is tokenizer.json")


def nested_values(settings: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of all settings, nested ones too, with the nearest key above; mappings and lists are values as well.

    In the order of the text. A value in a list has the list's key.
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
    raise ModelError(f"{shown}: tokenizer_class {quoted(name)} is not the class of a tokenizer")


class Stored(NamedTuple):
    """How many tensors files of weights hold, and how many bytes they have."""

    tensors: int
    bytes: int


NUMBERS_A_BYTE = 4
"""The most weights in a byte of a file: two bits each."""
NEW_NUMBERS = 2**24
"""Weights that may be new: of heads, and of parts that `allow_new` names."""
NEW_TENSORS = 2_000


@contextmanager
def building_at_most(stored: Stored, shown: str) -> Iterator[None]:
    """While entered, building a model raises ModelError as soon as it has far more parameters than `stored`, the weights.

    Libraries build on the meta device first, where a weight takes no memory: a configuration that would take hours, or fill the
    memory, ends here. Counted by torch's hooks for the registration of parameters and buffers.
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
                f"the config.json of {shown} asks for a far larger model than its weights are of, {stored.tensors:,} tensors "
                f"in {stored.bytes:,} bytes: at {name} of {type(owner).__name__} it has {tensors:,} "
                f"with {significant(numbers, 3)} numbers"
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
