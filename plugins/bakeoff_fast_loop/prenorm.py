"""The layers of ModernBERT, a pre-norm encoder: a norm before attention and before the gated feed-forward network, rotary
positions, attention over all tokens or over near ones, and no norm after the residual.

The states between layers are float32, as under torch's autocast: each layer adds to them, and in bfloat16 small additions would
be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff_fast_loop.attention import attend, attend_backward, attend_first, attend_first_backward
from bakeoff_fast_loop.families import GatedBlock
from bakeoff_fast_loop.flat import Piece
from bakeoff_fast_loop.packing import Packing
from bakeoff_fast_loop.parts import Grafted, Joined, Mask, Norm, Stream, activation

FAR = -1e4
"""Added to the attention scores of tokens that are too far away: exp of it is 0. It is finite, since a row of padding may have
no token near it, and a row of minus infinities would give NaN."""


class PreNorm:
    """Layer norm of the states, whose result is given on in another dtype: (T, hidden) -> (T, hidden)."""

    def __init__(self, norm: Norm, dtype: torch.dtype) -> None:
        self.norm, self.dtype = norm, dtype

    def forward(self, states: Tensor) -> tuple[Tensor, Any]:
        values = self.norm.values(states)
        out, mean, rstd = torch.native_layer_norm(states, states.shape[1:], *values, self.norm.eps)
        return out.to(self.dtype), (states, mean, rstd)

    def backward(self, d_out: Tensor, kept: Any, onto: Tensor) -> Tensor:
        """The gradient of the states, plus `onto`."""
        states, mean, rstd = kept
        return self.norm.gradients(d_out.float(), states, mean, rstd).add_(onto)


class Gated:
    """The gated linear unit of a feed-forward network: (T, 2 * width) -> (T, width), activation(first half) * second half."""

    def __init__(self, function: Any) -> None:
        self.activation = activation(function)

    def forward(self, up: Tensor, mask: Mask | None) -> tuple[Tensor, Any]:
        given, gate = up.chunk(2, -1)
        active, kept = self.activation.forward(given.contiguous())
        out = active * gate
        return (out.mul_(mask.keep).mul_(mask.scale) if mask else out), (active, gate, kept, mask)

    def backward(self, d_out: Tensor, saved: Any) -> Tensor:
        active, gate, kept, mask = saved
        d_out = d_out.mul_(mask.keep).mul_(mask.scale) if mask else d_out
        d_up = d_out.new_empty(len(d_out), 2 * d_out.shape[1])
        d_given, d_gate = d_up.chunk(2, -1)
        torch.mul(d_out, active, out=d_gate)
        d_given.copy_(self.activation.backward(d_out * gate, kept))
        return d_up


class PreNormLayer:
    """A layer on packed tokens, (T, hidden) -> (T, hidden), float32; its matrix products are in another dtype."""

    activation = None
    """Not that of a plain feed-forward network, which a product may compute at once."""

    def __init__(
        self,
        block: GatedBlock,
        maps: Callable[..., Joined | Grafted],
        norms: Callable[[nn.LayerNorm], Norm],
        dtype: torch.dtype,
    ) -> None:
        self.block, self.dtype = block, dtype
        self.joined = maps(block.joined)
        self.output, self.up, self.down = maps(block.output), maps(block.up), maps(block.down)
        self.first_norm = PreNorm(norms(block.first_norm), dtype) if block.first_norm is not None else None
        self.second_norm = PreNorm(norms(block.second_norm), dtype)
        self.gated = Gated(block.activation)
        self.attend: Any = attend

    def trains(self) -> bool:
        return any(parameter.requires_grad for module in self.block.modules() for parameter in module.parameters())

    def forward(self, states: Tensor, packing: Packing, bias: Tensor, masks: Stream) -> tuple[Tensor, Any]:
        block = self.block
        normed, kept_first = self.first_norm.forward(states) if self.first_norm else (states.to(self.dtype), None)
        context, residual, saved = self.attention(normed, states, packing, self.bias(packing, bias), masks)
        out, kept_output = self.output.forward(context)
        mask = masks.draw(block.output_dropout, tuple(out.shape), torch.float32)
        middle = torch.addcmul(residual, out.float(), mask.keep, value=mask.scale) if mask else residual + out
        normed, kept_second = self.second_norm.forward(middle)
        up, kept_up = self.up.forward(normed)
        dropped = masks.draw(block.inner_dropout, (len(up), up.shape[1] // 2), up.dtype)
        active, kept_gated = self.gated.forward(up, dropped)
        down, kept_down = self.down.forward(active)
        return middle + down, (kept_first, saved, kept_output, mask, kept_second, kept_up, kept_gated, kept_down)

    def backward(self, d_result: Tensor, kept: Any, packing: Packing) -> tuple[Tensor, Tensor]:
        """Returns the gradients of the layer's input and of the attention scores, (batch * heads, queries, keys)."""
        kept_first, saved, kept_output, mask, kept_second, kept_up, kept_gated, kept_down = kept
        d_up = self.gated.backward(self.down.backward(d_result.to(self.dtype), kept_down), kept_gated)
        d_middle = self.second_norm.backward(self.up.backward(d_up, kept_up), kept_second, d_result)
        d_out = d_middle * mask.keep * mask.scale if mask else d_middle
        d_context = self.output.backward(d_out.to(self.dtype), kept_output)
        d_normed, d_residual, d_scores = self.attention_backward(d_context, d_middle, saved, packing)
        if self.first_norm is None:
            return d_residual + d_normed, d_scores
        return self.first_norm.backward(d_normed, kept_first, d_residual), d_scores

    def bias(self, packing: Packing, bias: Tensor) -> Tensor:
        """What is added to the attention scores: `bias`, and where the layer sees near tokens only, FAR at the others."""
        if self.block.window is None or packing.length <= self.block.window + 1:
            return bias
        return bias + near(packing.length, self.block.window, bias.device).to(bias.dtype)

    def attention(
        self, normed: Tensor, states: Tensor, packing: Packing, bias: Tensor, masks: Stream
    ) -> tuple[Tensor, Tensor, Any]:
        """Returns attention's output, the states to which it is added, and what `attention_backward` needs."""
        block = self.block
        joined, kept_joined = self.joined.forward(normed)
        turned = block.rotary(packing.columns)
        joined = rotated(joined, turned, block.heads, parts=2)
        shape = (packing.batch * block.heads, packing.length, packing.length)
        mask = masks.draw(block.attention_dropout, shape, joined.dtype)
        context, attended = self.attend(joined, bias, packing, mask, block.heads)
        return context, states, (kept_joined, attended, turned)

    def attention_backward(
        self, d_context: Tensor, d_residual: Tensor, saved: Any, packing: Packing
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of the normed states, of the states, and of the attention scores."""
        kept_joined, attended, turned = saved
        d_joined, d_scores = attend_backward(d_context, attended, packing, self.block.heads)
        d_joined = rotated(d_joined, turned, self.block.heads, parts=2, back=True)
        return self.joined.backward(d_joined, kept_joined), d_residual, d_scores


class TopPreNormLayer(PreNormLayer):
    """The last layer, computed for each text's first token only: (T, hidden) -> (batch, hidden). A first token's position is 0,
    at which nothing is turned."""

    def __init__(self, whole: Joined, *given: Any) -> None:
        """whole: the map of queries, keys and values; given: as for `PreNormLayer`."""
        super().__init__(*given)
        self.query, self.keys_values = parts_of(whole)

    def attention(
        self, normed: Tensor, states: Tensor, packing: Packing, bias: Tensor, masks: Stream
    ) -> tuple[Tensor, Tensor, Any]:
        block = self.block
        queries, kept_queries = self.query.forward(normed.index_select(0, packing.first))
        joined, kept_joined = self.keys_values.forward(normed)
        turned = block.rotary(packing.columns)
        joined = rotated(joined, turned, block.heads, parts=1)
        mask = masks.draw(block.attention_dropout, (packing.batch * block.heads, 1, packing.length), joined.dtype)
        context, attended = attend_first(queries, joined, bias[..., :1, :], packing, mask, block.heads)
        return context, states.index_select(0, packing.first), (kept_queries, kept_joined, attended, turned)

    def attention_backward(
        self, d_context: Tensor, d_residual: Tensor, saved: Any, packing: Packing
    ) -> tuple[Tensor, Tensor, Tensor]:
        kept_queries, kept_joined, attended, turned = saved
        d_queries, d_joined, d_scores = attend_first_backward(d_context, attended, packing, self.block.heads)
        d_joined = rotated(d_joined, turned, self.block.heads, parts=1, back=True)
        d_normed = self.keys_values.backward(d_joined, kept_joined)
        d_normed.index_add_(0, packing.first, self.query.backward(d_queries, kept_queries))
        d_states = d_residual.new_zeros(len(d_normed), d_residual.shape[1]).index_copy_(0, packing.first, d_residual)
        return d_normed, d_states, d_scores


def parts_of(joined: Joined) -> tuple[Joined, Joined]:
    """The map of queries, and that of keys and values, of one product (3 * hidden rows) of all three."""
    hidden = len(joined.weight.value) // 3

    def cut(piece: Piece, rows: slice) -> Piece:
        return Piece(piece.value[rows], None if piece.gradient is None else piece.gradient[rows])

    def part(rows: slice) -> Joined:
        return Joined(cut(joined.weight, rows), None if joined.bias is None else cut(joined.bias, rows))

    return part(slice(hidden)), part(slice(hidden, None))


def rotated(joined: Tensor, turned: tuple[Tensor, Tensor], heads: int, *, parts: int, back: bool = False) -> Tensor:
    """Turns the first `parts` parts of joined queries, keys and values, (T, n * hidden), by their rotary positions, in place
    (Su et al., 2021; transformers' layout: the first half of a head's numbers with the second). back: by the angles' negatives,
    as the gradients are.

    turned: cosines and sines, (T, 1, 1, half a head), float32.
    """
    cosines, sines = turned
    total = len(joined)
    half = cosines.shape[-1]
    view = joined.view(total, -1, heads, 2, half)[:, :parts]  # (T, parts, heads, 2, half)
    first, second = view[..., 0, :].float(), view[..., 1, :].float()
    sines = -sines if back else sines
    turned_first = first * cosines - second * sines  # before `first`, which may be a view, is written to
    view[..., 1, :] = second * cosines + first * sines
    view[..., 0, :] = turned_first
    return joined


@lru_cache(maxsize=4)
def near(length: int, window: int, device: torch.device) -> Tensor:
    """(1, 1, length, length): 0 where two places are at most `window` apart, else FAR; float32."""
    places = torch.arange(length, device=device)
    apart = (places[:, None] - places).abs() > window
    return torch.zeros(length, length, device=device).masked_fill_(apart, FAR)[None, None]
