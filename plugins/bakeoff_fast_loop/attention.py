"""Attention between the tokens of each text, from packed states and to packed states, with its backward pass written out.

Written out because torch's fast CPU kernel has no dropout, and because autograd would pad and unpad each state by itself.
Products are of (batch * heads) matrices; `scale` below is 1 / sqrt(size of a head).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from bakeoff_fast_loop.dropout import Mask
from bakeoff_fast_loop.packing import Packing


class Attend(Function):
    """Every token looks at its text: (T, 3 * hidden) of queries, keys and values -> (T, hidden)."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, bias: Tensor, packing: Packing, mask: Mask | None, heads: int) -> Tensor:
        q, k, v = to_heads(packing.pad(states), packing, heads, 3)
        weights, out = look(q, k, v, bias, mask)
        ctx.save_for_backward(q, k, v, weights)
        ctx.packing, ctx.mask, ctx.heads, ctx.bias_shape = packing, mask, heads, bias.shape
        return packing.unpad(from_heads(out[None], packing, heads))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        packing, heads = ctx.packing, ctx.heads
        (d_out,) = to_heads(packing.pad_with_zeros(gradients[0]), packing, heads, 1)
        d_states = d_out.new_empty(3, *d_out.shape)
        d_scores = look_back(ctx.saved_tensors, d_out, d_states, ctx.mask)
        d_bias = d_scores.view(packing.batch, heads, *d_scores.shape[1:]) if ctx.needs_input_grad[1] else None
        return packing.unpad(from_heads(d_states, packing, heads)), _summed(d_bias, ctx.bias_shape), None, None, None


class AttendFirst(Function):
    """The first token of each text looks at it: (batch, hidden) queries, (T, 2 * hidden) keys and values -> (batch, hidden)."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, states: Tensor, bias: Tensor, packing: Packing, mask: Mask | None, heads: int
    ) -> Tensor:
        k, v = to_heads(packing.pad(states), packing, heads, 2)
        q = queries.view(packing.batch * heads, 1, -1)
        weights, out = look(q, k, v, bias, mask)
        ctx.save_for_backward(q, k, v, weights)
        ctx.packing, ctx.mask, ctx.heads, ctx.bias_shape = packing, mask, heads, bias.shape
        return out.view(queries.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        packing, heads = ctx.packing, ctx.heads
        q, k, v, weights = ctx.saved_tensors
        d_out = gradients[0].reshape(q.shape)
        d_query, d_states = torch.empty_like(q), k.new_empty(2, *k.shape)
        d_scores = look_back((q, k, v, weights), d_out, (d_query, *d_states), ctx.mask)
        d_bias = d_scores.view(packing.batch, heads, *d_scores.shape[1:]) if ctx.needs_input_grad[2] else None
        d_states = packing.unpad(from_heads(d_states, packing, heads))
        return d_query.view(packing.batch, -1), d_states, _summed(d_bias, ctx.bias_shape), None, None, None


def look(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Mask | None) -> tuple[Tensor, Tensor]:
    """Attention weights before dropout, and what they gather; scores get `bias`, (batch, 1 or heads, 1 or queries, keys)."""
    heads = q.shape[0] // bias.shape[0]
    spread = bias.expand(-1, heads, -1, -1).reshape(-1, *bias.shape[2:])
    scores = torch.baddbmm(spread, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    weights = torch.softmax(scores, -1)
    return weights, _times(_kept(weights, mask), v, mask.scale if mask else 1.0)


def look_back(saved: tuple[Tensor, ...], d_out: Tensor, into: Any, mask: Mask | None) -> Tensor:
    """Writes the gradients of q, k and v `into` three tensors; the gradient of the scores."""
    q, k, v, weights = saved
    scale, kept = q.shape[-1] ** -0.5, mask.scale if mask else 1.0
    _times(_kept(weights, mask).transpose(1, 2), d_out, kept, out=into[2])
    d_weights = _kept(_times(d_out, v.transpose(1, 2), kept), mask)
    d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
    _times(d_scores, k, scale, out=into[0])
    _times(d_scores.transpose(1, 2), q, scale, out=into[1])
    return d_scores


def _kept(weights: Tensor, mask: Mask | None) -> Tensor:
    return weights * mask.keep if mask else weights


def _times(a: Tensor, b: Tensor, factor: float, *, out: Tensor | None = None) -> Tensor:
    """factor * (a @ b), in one pass."""
    out = a.new_empty(a.shape[0], a.shape[1], b.shape[2]) if out is None else out
    return torch.baddbmm(out, a, b, beta=0, alpha=factor, out=out)


def to_heads(states: Tensor, packing: Packing, heads: int, parts: int) -> Tensor:
    """(batch * length, parts * hidden) -> (parts, batch * heads, length, head size)."""
    shaped = states.view(packing.batch, packing.length, parts, heads, -1).permute(2, 0, 3, 1, 4)
    return shaped.reshape(parts, packing.batch * heads, packing.length, -1)


def from_heads(states: Tensor, packing: Packing, heads: int) -> Tensor:
    """The way back."""
    parts = states.shape[0]
    shaped = states.view(parts, packing.batch, heads, packing.length, -1).permute(1, 3, 0, 2, 4)
    return shaped.reshape(packing.batch * packing.length, -1)


def _summed(gradient: Tensor | None, shape: torch.Size) -> Tensor | None:
    """Over what was broadcast."""
    return None if gradient is None else gradient.sum_to_size(shape)
