"""The layers of a post-norm encoder, each with a forward and a backward pass. `forward` also returns what `backward` needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from bakeoff_fast_loop.attention import attend, attend_backward, attend_first, attend_first_backward
from bakeoff_fast_loop.families import Block
from bakeoff_fast_loop.packing import Packing
from bakeoff_fast_loop.parts import Grafted, Joined, Norm, Stream, activation


class Layer:
    """An encoder layer on packed tokens, (T, hidden) -> (T, hidden)."""

    def __init__(self, block: Block, maps: Callable[..., Joined | Grafted], norms: Callable[[nn.LayerNorm], Norm]) -> None:
        """maps, norms: functions that make the objects which compute a block's linear maps and norms."""
        self.block = block
        self.inputs = [maps(*modules) for modules in self.joined()]
        self.output, self.up, self.down = maps(block.output), maps(block.up), maps(block.down)
        self.output_norm, self.down_norm = norms(block.output_norm), norms(block.down_norm)
        self.activation = activation(block.activation)
        self.attend: Any = attend

    def joined(self) -> list[tuple[nn.Module, ...]]:
        """The linear maps of attention's inputs, grouped: those of the same states are computed as one product."""
        return [(self.block.query, self.block.key, self.block.value)]

    def trains(self) -> bool:
        return any(parameter.requires_grad for module in self.block.modules() for parameter in module.parameters())

    def forward(self, states: Tensor, packing: Packing, bias: Tensor, masks: Stream) -> tuple[Tensor, Any]:
        block = self.block
        context, residual, saved = self.attention(states, packing, bias, masks)
        out, kept_output = self.output.forward(context)
        shape, dtype = tuple(out.shape), out.dtype
        settled, kept_output_norm = self.output_norm.forward(out, residual, masks.draw(block.output_dropout, shape, dtype))
        up, kept_up = self.up.forward(settled)
        active, kept_active = self.activation.forward(up)
        down, kept_down = self.down.forward(active)
        result, kept_down_norm = self.down_norm.forward(down, settled, masks.draw(block.down_dropout, shape, dtype))
        return result, (saved, kept_output, kept_output_norm, kept_up, kept_active, kept_down, kept_down_norm)

    def backward(self, d_result: Tensor, kept: Any, packing: Packing) -> tuple[Tensor, Tensor]:
        """Returns the gradients of the layer's input and of the attention scores, (batch * heads, queries, keys)."""
        saved, kept_output, kept_output_norm, kept_up, kept_active, kept_down, kept_down_norm = kept
        d_down, d_residual = self.down_norm.backward(d_result, kept_down_norm)
        d_active = self.down.backward(d_down, kept_down)
        d_settled = self.up.backward(self.activation.backward(d_active, kept_active), kept_up, onto=d_residual)
        d_out, d_residual = self.output_norm.backward(d_settled, kept_output_norm)
        return self.attention_backward(self.output.backward(d_out, kept_output), d_residual, saved, packing)

    def attention(self, states: Tensor, packing: Packing, bias: Tensor, masks: Stream) -> tuple[Tensor, Tensor, Any]:
        """Returns attention's output, the residual to which it is added, and what `attention_backward` needs."""
        block, (inputs,) = self.block, self.inputs
        joined, kept_inputs = inputs.forward(states)
        shape = (packing.batch * block.heads, packing.length, packing.length)
        context, attended = self.attend(
            joined, bias, packing, masks.draw(block.attention_dropout, shape, states.dtype), block.heads
        )
        return context, states, (kept_inputs, attended)

    def attention_backward(self, d_context: Tensor, d_residual: Tensor, saved: Any, packing: Packing) -> tuple[Tensor, Tensor]:
        kept_inputs, attended = saved
        d_joined, d_scores = attend_backward(d_context, attended, packing, self.block.heads)
        return self.inputs[0].backward(d_joined, kept_inputs, onto=d_residual), d_scores


class TopLayer(Layer):
    """The last layer, computed for each text's first token only: (T, hidden) -> (batch, hidden)."""

    def joined(self) -> list[tuple[nn.Module, ...]]:
        return [(self.block.query,), (self.block.key, self.block.value)]

    def attention(self, states: Tensor, packing: Packing, bias: Tensor, masks: Stream) -> tuple[Tensor, Tensor, Any]:
        block, (query, keys_values) = self.block, self.inputs
        first = states.index_select(0, packing.first)
        queries, kept_queries = query.forward(first)
        joined, kept_joined = keys_values.forward(states)
        mask = masks.draw(block.attention_dropout, (packing.batch * block.heads, 1, packing.length), states.dtype)
        context, attended = attend_first(queries, joined, bias[..., :1, :], packing, mask, block.heads)
        return context, first, (kept_queries, kept_joined, attended)

    def attention_backward(self, d_context: Tensor, d_residual: Tensor, saved: Any, packing: Packing) -> tuple[Tensor, Tensor]:
        query, keys_values = self.inputs
        kept_queries, kept_joined, attended = saved
        d_queries, d_joined, d_scores = attend_first_backward(d_context, attended, packing, self.block.heads)
        d_first = query.backward(d_queries, kept_queries, onto=d_residual)
        return keys_values.backward(d_joined, kept_joined).index_add_(0, packing.first, d_first), d_scores
