"""Attention within each text, on packed hidden states (T, ...), with a backward pass written by hand.

It is written by hand because torch's fast CPU kernel has no dropout, and because autograd would pad and unpad each state
separately. Matrix products are batched over (batch * heads); `scale` is 1 / sqrt(head size).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from bakeoff_fast_loop.packing import Packing
from bakeoff_fast_loop.parts import Mask


def attend(states: Tensor, bias: Tensor, packing: Packing, mask: Mask | None, heads: int) -> tuple[Tensor, Any]:
    """Attention: queries, keys and values, (T, 3 * hidden) -> ((T, hidden), what `attend_backward` needs)."""
    q, k, v = to_heads(packing.pad(states), packing, heads, 3)
    out, kept = attention(q, k, v, bias, mask)
    return packing.unpad(from_heads(out[None], packing, heads)), kept


def attend_once(states: Tensor, bias: Tensor, packing: Packing, mask: None, heads: int) -> tuple[Tensor, None]:
    """Like `attend`, but by torch's own kernel, without dropout and backward pass."""
    shaped = packing.pad(states).view(packing.batch, packing.length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    out = scaled_dot_product_attention(*shaped, attn_mask=bias)  # (batch, heads, length, head size)
    return packing.unpad(out.transpose(1, 2).reshape(packing.batch * packing.length, -1)), None


def attend_backward(d_out: Tensor, kept: Any, packing: Packing, heads: int) -> tuple[Tensor, Tensor]:
    """The gradients of the states of `attend`, and of the attention scores before the softmax, (batch * heads, queries,
    keys)."""
    (d_heads,) = to_heads(packing.pad(d_out), packing, heads, 1)
    d_states = d_heads.new_empty(3, *d_heads.shape)
    d_scores = attention_backward(kept, d_heads, d_states)
    return packing.unpad(from_heads(d_states, packing, heads)), d_scores


def attend_first(
    queries: Tensor, states: Tensor, bias: Tensor, packing: Packing, mask: Mask | None, heads: int
) -> tuple[Tensor, Any]:
    """Attention of each text's first token only: queries (batch, hidden), keys and values (T, 2 * hidden) -> ((batch,
    hidden), what `attend_first_backward` needs)."""
    k, v = to_heads(packing.pad(states), packing, heads, 2)
    q = queries.view(packing.batch * heads, 1, -1)
    out, kept = attention(q, k, v, bias, mask)
    return out.view(queries.shape), kept


def attend_first_backward(d_out: Tensor, kept: Any, packing: Packing, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `attend_first`: of the queries, of keys and values together, and of the scores before the softmax."""
    q, k = kept[:2]
    d_query, d_states = torch.empty_like(q), k.new_empty(2, *k.shape)
    d_scores = attention_backward(kept, d_out.reshape(q.shape), (d_query, *d_states))
    return d_query.view(d_out.shape), packing.unpad(from_heads(d_states, packing, heads)), d_scores


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Mask | None) -> tuple[Tensor, Any]:
    """The weighted values, and what `attention_backward` needs. bias: (batch, 1 or heads, 1 or queries, keys), added to the
    scores."""
    heads = q.shape[0] // bias.shape[0]
    spread = bias.expand(-1, heads, -1, -1).reshape(-1, *bias.shape[2:])
    scores = torch.baddbmm(spread, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    weights = torch.softmax(scores, -1)
    kept = weights * mask.keep if mask else weights
    return _times(kept, v, mask.scale if mask else 1.0), (q, k, v, weights, kept, mask)


def attention_backward(saved: Any, d_out: Tensor, into: Any) -> Tensor:
    """Writes the gradients of q, k and v `into` three tensors, and returns the gradient of the scores before the softmax.

    saved: what `attention` returned for this: q, k, v, weights, weights after dropout, mask. d_out: the gradient of its
    output.
    """
    q, k, v, weights, kept, mask = saved
    scale, factor = q.shape[-1] ** -0.5, mask.scale if mask else 1.0
    _times(kept.transpose(1, 2), d_out, factor, out=into[2])
    d_weights = _times(d_out, v.transpose(1, 2), factor)
    d_weights = d_weights.mul_(mask.keep) if mask else d_weights
    d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
    _times(d_scores, k, scale, out=into[0])
    _times(d_scores.transpose(1, 2), q, scale, out=into[1])
    return d_scores


def _times(a: Tensor, b: Tensor, factor: float, *, out: Tensor | None = None) -> Tensor:
    """factor * (a @ b), computed in one pass, batched; written to `out` if given."""
    out = a.new_empty(a.shape[0], a.shape[1], b.shape[2]) if out is None else out
    return torch.baddbmm(out, a, b, beta=0, alpha=factor, out=out)


def to_heads(states: Tensor, packing: Packing, heads: int, parts: int) -> Tensor:
    """Splits states by heads: (batch * length, parts * hidden) -> (parts, batch * heads, length, head size)."""
    shaped = states.view(packing.batch, packing.length, parts, heads, -1).permute(2, 0, 3, 1, 4)
    return shaped.reshape(parts, packing.batch * heads, packing.length, -1)


def from_heads(states: Tensor, packing: Packing, heads: int) -> Tensor:
    """The inverse of `to_heads`."""
    parts = states.shape[0]
    shaped = states.view(parts, packing.batch, heads, packing.length, -1).permute(1, 3, 0, 2, 4)
    return shaped.reshape(packing.batch * packing.length, -1)
