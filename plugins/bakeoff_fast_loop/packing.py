"""A batch without its padding: the tokens of all texts one after another, and the way to a padded batch and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bakeoff.plugin import ModelError

MULTIPLE = 8
"""Attention pads texts to a multiple of this: its kernels are faster on whole vectors."""

TOKENS = 32
"""The tokens of a batch are filled up to a multiple of this: a product of a new shape costs a kernel's generation (0.6 ms)."""


@dataclass(frozen=True)
class Packing:
    """Of a batch with `real` tokens, filled up to T; attention sees (batch, length) places, length the longest text's.

    Nothing reads the states of the filling, so that their gradients are 0 everywhere.
    """

    batch: int
    length: int
    tokens: Tensor
    """(T,): the place of each token in the collated batch, flattened; the filling repeats the first."""
    columns: Tensor
    """(T,): its column there."""
    places: Tensor
    """(real,): its place in attention's padded batch, flattened."""
    rows: Tensor
    """(batch * length,): the token of each place; that of a padded place is any."""
    first: Tensor
    """(batch,): the first token of each text."""
    hidden: Tensor
    """(batch, 1, 1, length): 0 for a token, minus infinity for padding; float32."""

    def pad(self, states: Tensor) -> Tensor:
        """(T, n) -> (batch * length, n); what stands in padded places is of no use."""
        return states.index_select(0, self.rows)

    def pad_with_zeros(self, states: Tensor) -> Tensor:
        padded = states.new_zeros(self.batch * self.length, states.shape[1])
        return padded.index_copy_(0, self.places, states[: len(self.places)])

    def unpad(self, states: Tensor) -> Tensor:
        """(batch * length, n) -> (T, n), the filling 0."""
        real = len(self.places)
        packed = states.new_empty(len(self.tokens), states.shape[1])
        torch.index_select(states, 0, self.places, out=packed[:real])
        packed[real:] = 0
        return packed


def pack(mask: Tensor) -> Packing:
    """From an attention mask, (batch, width), padded on the right. Raises ModelError where it is not."""
    mask = mask.bool()
    batch, width = mask.shape
    lengths = mask.sum(1)
    columns = torch.arange(width, device=mask.device)
    if not bool((mask == (columns < lengths[:, None])).all()) or not bool(lengths.all()):
        raise ModelError("fast-loop needs texts that are padded on the right and not empty: set the tokenizer's padding_side")
    tokens = mask.flatten().nonzero().flatten()
    text, column = tokens // width, tokens % width
    filling = tokens.new_zeros(-len(tokens) % TOKENS)
    length = -(-int(lengths.max()) // MULTIPLE) * MULTIPLE
    first = lengths.cumsum(0) - lengths
    padded = torch.arange(length, device=mask.device)
    real = padded < lengths[:, None]
    return Packing(
        batch=batch,
        length=length,
        tokens=torch.cat([tokens, filling]),
        columns=torch.cat([column, filling]),
        places=text * length + column,
        rows=torch.where(real, first[:, None] + padded, 0).flatten(),
        first=first,
        hidden=torch.zeros(real.shape, device=mask.device).masked_fill_(~real, -torch.inf)[:, None, None],
    )
