"""A classifier's forward pass on packed tokens, in the place of its own while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from bakeoff_fast_loop.attention import Attend, AttendFirst
from bakeoff_fast_loop.dropout import draw
from bakeoff_fast_loop.families import Block, Encoder, encoder_of
from bakeoff_fast_loop.packing import Packing, pack
from bakeoff_fast_loop.parts import Joined, LookUp, Pool, Settle
from bakeoff_fast_loop.words import UsedRows, is_plain

Map = Callable[[Tensor], Tensor]


@contextmanager
def unpadded(model: Any, dtype: torch.dtype, words: UsedRows | None = None) -> Iterator[Network]:
    """While entered, `model(**inputs)` computes the same logits from packed tokens, with products in `dtype`.

    `words` train in place of the word table, which has them again at the end.
    """
    network = Network(model, dtype, words)
    model.forward = network.forward  # an instance's attribute hides the class's method; hooks of the model still run
    try:
        yield network
    finally:
        del model.forward
        network.give_back()


class Network:
    """The packed forward pass; `after_step` is due after each step of the optimizer."""

    def __init__(self, model: Any, dtype: torch.dtype, words: UsedRows | None = None) -> None:
        self.model, self.dtype, self.words, self.pool = model, dtype, words, Pool()
        self.encoder: Encoder = encoder_of(model)
        self.parameters = [self.trained(parameter) for parameter in model.parameters() if parameter.requires_grad]
        model.zero_grad()  # gradients that are there already would be taken for the pool's
        self.joined: list[Joined] = []
        *lower, top = self.encoder.blocks
        self.layers = [Layer(block, self, self.map(block.query, block.key, block.value)) for block in lower]
        self.top = TopLayer(top, self, self.map(top.query), self.map(top.key, top.value))
        self.project = self.map(self.encoder.project) if self.encoder.project is not None else None

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None, **rest: Any
    ) -> Any:
        if not self.model.training:  # an evaluation between epochs is nobody's training
            self.give_back()
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids, **rest}
            given = {name: value for name, value in inputs.items() if value is not None}
            return type(self.model).forward(self.model, **given)
        packing = pack(torch.ones_like(input_ids) if attention_mask is None else attention_mask)
        with torch.autocast(input_ids.device.type, enabled=False):  # dtypes are chosen here one by one
            states = self.embed(packing, input_ids, token_type_ids)
            biases = self.score_biases(packing)
            for layer in self.layers:
                states = layer(states, packing, biases)
            first = self.top(states, packing, biases)
        return SequenceClassifierOutput(logits=self.encoder.classify(first[:, None]))

    def embed(self, packing: Packing, ids: Tensor, types: Tensor | None) -> Tensor:
        """(T, hidden)."""
        encoder = self.encoder
        states = self.look_up(encoder.words, ids.flatten()[packing.tokens])
        if encoder.types is not None:
            kinds = torch.zeros_like(packing.tokens) if types is None else types.flatten()[packing.tokens]
            states = states + encoder.types(kinds)
        states = states + encoder.positions(packing.columns + encoder.first_position)
        states = encoder.norm(states).to(self.dtype)
        if mask := draw(encoder.dropout, tuple(states.shape), states):
            states = torch.addcmul(states.new_zeros(()), states, mask.keep, value=mask.scale)
        return self.project(states) if self.project else states

    def look_up(self, table: nn.Module, ids: Tensor) -> Tensor:
        if not is_plain(table):
            return table(ids)
        padding = table.padding_idx
        if self.words is None:
            return LookUp.apply(ids, table.weight, padding, self.pool)
        place = self.words.place
        return LookUp.apply(place[ids], self.words.rows, None if padding is None else int(place[padding]), self.pool)

    def trained(self, parameter: nn.Parameter) -> nn.Parameter:
        """The parameter, or what trains in its place."""
        return self.words.rows if self.words is not None and parameter is self.words.table else parameter

    def groups(self, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """An optimizer's groups with what really trains."""
        return [group | {"params": [self.trained(parameter) for parameter in group["params"]]} for group in groups]

    def give_back(self) -> None:
        """Writes into the model what trains outside of it."""
        if self.words is not None:
            self.words.give_back()

    def score_biases(self, packing: Packing) -> Tensor:
        """What is added to attention's scores: minus infinity at padding, and MPNet's bias by distance."""
        if self.encoder.relative is None:
            return packing.hidden.to(self.dtype)
        near = self.encoder.relative.compute_position_bias(packing.hidden.new_empty(1, packing.length))
        return (near + packing.hidden).to(self.dtype)

    def map(self, *modules: nn.Module) -> Map:
        """Linear maps of one input as one; adapters' modules are called one by one, as they are."""
        if all(type(module) is nn.Linear and module.bias is not None for module in modules):
            joined = Joined(tuple(modules), self.dtype, self.pool)  # type: ignore[arg-type]
            self.joined.append(joined)
            return joined

        def call(x: Tensor) -> Tensor:
            with torch.autocast(x.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
                return torch.cat([module(x) for module in modules], -1)

        return call

    @torch.no_grad()
    def after_step(self) -> None:
        """Clears the gradients and copies the new weights."""
        self.pool.collect(self.parameters)
        pairs = [pair for joined in self.joined for pair in joined.copies]
        if pairs:
            torch._foreach_copy_([copy for copy, _ in pairs], [original for _, original in pairs])


class Layer:
    """One post-norm layer: (T, hidden) -> (T, hidden)."""

    def __init__(self, block: Block, network: Network, *inputs: Map) -> None:
        self.block, self.inputs = block, inputs
        self.output, self.up, self.down = network.map(block.output), network.map(block.up), network.map(block.down)

    def __call__(self, states: Tensor, packing: Packing, biases: Tensor) -> Tensor:
        block, length = self.block, packing.length
        (attention,) = self.inputs
        mask = draw(block.attention_dropout, (packing.batch * block.heads, length, length), states)
        return self.finish(Attend.apply(attention(states), biases, packing, mask, block.heads), states)

    def finish(self, context: Tensor, states: Tensor) -> Tensor:
        block = self.block
        states = settle(self.output(context), states, block.output_dropout, block.output_norm)
        return settle(self.down(block.activation(self.up(states))), states, block.down_dropout, block.down_norm)


class TopLayer(Layer):
    """The last layer, of whose output only each text's first token is read: (T, hidden) -> (batch, hidden)."""

    def __call__(self, states: Tensor, packing: Packing, biases: Tensor) -> Tensor:
        block = self.block
        query, keys_values = self.inputs
        first = states.index_select(0, packing.first)
        mask = draw(block.attention_dropout, (packing.batch * block.heads, 1, packing.length), states)
        context = AttendFirst.apply(query(first), keys_values(states), biases[..., :1, :], packing, mask, block.heads)
        return self.finish(context, first)


def settle(x: Tensor, residual: Tensor, p: float, norm: nn.LayerNorm) -> Tensor:
    weight, bias = norm.weight, norm.bias
    if x.device.type != "cpu" and x.dtype != weight.dtype:  # only the CPU's kernel mixes dtypes
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    return Settle.apply(x, residual, draw(p, tuple(x.shape), x), norm.eps, weight, bias)
