"""Finds the encoder, the layers, the head and the position table of a transformers classifier by its structure."""

from __future__ import annotations

from typing import Any

from bakeoff.contracts.model import Built
from bakeoff.errors import ModelError


def body_of(model: Any) -> tuple[str, Any]:
    """(name within the model, module) of the encoder. Raises ModelError where there is none."""
    prefix = getattr(model, "base_model_prefix", "")
    body = getattr(model, prefix, None) if prefix else None
    if body is None:
        raise ModelError(f"{type(model).__name__} has no encoder that can be told from its head (no `base_model`)")
    return prefix, body


def head_names(built: Built) -> frozenset[str]:
    """Names of the head's parameters: all outside the encoder, and those within it that the checkpoint lacked, often a pooler.

    They start from random numbers, so that every method has to train them. Raises ModelError where there is no encoder.
    """
    prefix, _ = body_of(built.model)
    names = {name for name, _ in built.model.named_parameters()}
    body = {name for name in names if name.startswith(f"{prefix}.")}
    fresh = set(built.newly_initialised) & body
    return frozenset((names - body) | (fresh if fresh != body else set()))


def layers_of(model: Any) -> tuple[str, Any]:
    """(name, modules) of the encoder's layers: its longest ModuleList. Raises ModelError where it has none."""
    from torch.nn import ModuleList

    prefix, body = body_of(model)
    lists = [(name, module) for name, module in body.named_modules() if isinstance(module, ModuleList)]
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of layers")
    name, layers = max(lists, key=lambda item: len(item[1]))
    return f"{prefix}.{name}", layers


def layer_depths(model: Any) -> dict[str, int]:
    """Name of each parameter -> 0 for embeddings, 1 for the first layer, ..., number of layers + 1 for whatever follows the
    last layer.

    Parameters shared by all layers (relative positions) count as embeddings. Raises ModelError where there are no layers.
    """
    from torch.nn import Embedding

    prefix, layers = layers_of(model)
    tables = {f"{name}." for name, module in model.named_modules() if isinstance(module, Embedding)}
    depths, past = {}, False
    for name, _ in model.named_parameters():
        if name.startswith(f"{prefix}."):
            depths[name], past = int(name.removeprefix(f"{prefix}.").partition(".")[0]) + 1, True
        else:
            below = not past or any(name.startswith(table) for table in tables)
            depths[name] = 0 if below else len(layers) + 1
    return depths


def top_layers(model: Any, k: int) -> frozenset[str]:
    """Names of the parameters of the last k layers and of what follows them in the encoder. Raises ModelError for k above
    the number of layers."""
    prefix, _ = body_of(model)
    depth, layers = layer_depths(model), len(layers_of(model)[1])
    if k > layers:
        raise ModelError(f"k: {k} is more than the {layers} layers of {type(model).__name__}")
    return frozenset(name for name, level in depth.items() if level > layers - k and name.startswith(f"{prefix}."))


POSITION_TABLES = (
    "position_embeddings",
    "embed_positions",
    "positions_embed",
    "wpe",
    "char_position_embeddings",
    "pos_encoding",
)
"""transformers' names for tables of absolute positions. Relative and rotary positions have no table, and no limit."""


def positions_of(model: Any) -> int | None:
    """The longest input in tokens: the rows of the smallest position table, counted from the first row in use. None without a
    table.

    RoBERTa's 514 rows hold 512 tokens, because its positions begin after the padding token's number.
    """
    found: list[int] = []
    for name, module in model.named_modules():
        parent, _, own = name.rpartition(".")
        weight = getattr(module, "weight", None)
        if own in POSITION_TABLES and weight is not None and weight.dim() == 2:
            holder = model.get_submodule(parent)
            found.append(len(weight) - _first_position(holder, module))
            if (numbers := getattr(holder, "position_ids", None)) is not None:
                found.append(int(numbers.shape[-1]))  # CANINE's table has more rows than that, for it is one of hashes
    for name, table in model.named_buffers():  # sines that are computed, not learned: CTRL's, GPT-J's
        if name.rpartition(".")[2] in POSITION_TABLES and table.dim() == 2:
            found.append(len(table))
    return min(found, default=None)


def _first_position(parent: Any, table: Any) -> int:
    """The row of a text's first token."""
    if isinstance(offset := getattr(table, "offset", None), int):
        return offset
    if (padding := getattr(table, "padding_idx", None)) is not None:
        return int(padding) + 1
    numbers = getattr(parent, "position_ids", None)
    return 0 if numbers is None or numbers.is_meta else int(numbers.min())
