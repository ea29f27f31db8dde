"""A packed batch, without padding: the tokens of all texts one after another, and conversions from and to a padded batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bakeoff.plugin import ModelError

MULTIPLE = 8
"""For attention, texts are padded to a multiple of this many tokens, by at least one, because its kernels are faster on whole
vectors."""

TOKENS = 8
"""The number T of packed tokens is a multiple of this, with at least one filling token, because a matrix product of a new
shape needs 0.6 ms to prepare its kernel."""


@dataclass(frozen=True)
class Packing:
    """How the T packed tokens of a batch map to the (batch, length) positions of attention, where each text ends with padding.

    Attention ignores padding, and gradients of filling and padding are 0, so each may stand in for the other.
    """

    batch: int
    length: int
    tokens: Tensor
    """(T,): the position of each token in the flattened collated batch; filling tokens repeat position 0."""
    columns: Tensor
    """(T,): the column of each token in the collated batch."""
    places: Tensor
    """(T,): the position of each token in attention's flattened padded batch; filling tokens have a position of padding."""
    rows: Tensor
    """(batch * length,): the token at each position, T - 1 for padding."""
    first: Tensor
    """(batch,): the index of each text's first token."""
    hidden: Tensor
    """(batch, 1, 1, length): 0 for a token, minus infinity for padding; float32."""

    def pad(self, states: Tensor) -> Tensor:
        """Packed states (T, n) -> padded (batch * length, n)."""
        return states.index_select(0, self.rows)

    def unpad(self, states: Tensor) -> Tensor:
        """Padded states (batch * length, n) -> packed (T, n)."""
        return states.index_select(0, self.places)


def pack_batch(
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
    *,
    multiple: int = MULTIPLE,
    **rest: Any,
) -> Packing:
    """The packing for the arguments of a forward pass. Raises ModelError for an unknown argument, and as `pack` does."""
    if unknown := [name for name, value in rest.items() if value is not None]:
        known = "input_ids, attention_mask and token_type_ids"
        raise ModelError(f"fast-loop does not support the model's input {unknown[0]!r}, only {known}; torch-loop takes any")
    return pack(torch.ones_like(input_ids) if attention_mask is None else attention_mask, multiple)


def pack(mask: Tensor, multiple: int = MULTIPLE) -> Packing:
    """The packing for an attention mask (batch, width). Raises ModelError unless all padding is on the right."""
    mask = mask.bool()
    batch, width = mask.shape
    lengths = mask.sum(1)
    columns = torch.arange(width, device=mask.device)
    if not bool((mask == (columns < lengths[:, None])).all()) or not bool(lengths.all()):
        raise ModelError("fast-loop needs texts that are padded on the right and not empty: set the tokenizer's padding_side")
    tokens = mask.flatten().nonzero().flatten()
    text, column = tokens // width, tokens % width
    filling = tokens.new_zeros(TOKENS - len(tokens) % TOKENS)
    length = (int(lengths.max()) // multiple + 1) * multiple
    first = lengths.cumsum(0) - lengths
    padded = torch.arange(length, device=mask.device)
    real = padded < lengths[:, None]
    return Packing(
        batch=batch,
        length=length,
        tokens=torch.cat([tokens, filling]),
        columns=torch.cat([column, filling]),
        places=torch.cat([text * length + column, filling + length - 1]),
        rows=torch.where(real, first[:, None] + padded, len(tokens) + len(filling) - 1).flatten(),
        first=first,
        hidden=torch.zeros(real.shape, device=mask.device).masked_fill_(~real, -torch.inf)[:, None, None],
    )
