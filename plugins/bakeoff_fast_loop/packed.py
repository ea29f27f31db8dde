"""An encoder's forward pass over packed tokens: what training and evaluation have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff_fast_loop.dropout import Stream
from bakeoff_fast_loop.families import Encoder, encoder_of
from bakeoff_fast_loop.flat import Piece, Unit
from bakeoff_fast_loop.layers import Layer, TopLayer
from bakeoff_fast_loop.packing import Packing
from bakeoff_fast_loop.parts import Grafted, Joined, Norm


class Packed:
    """A classifier's parts, with products in `dtype`; where their values lie is for subclasses to say by `piece`."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.encoder: Encoder = encoder_of(model)
        self.look_up: Callable[[Tensor], Tensor] = self.encoder.words

    def piece(self, unit: Unit) -> Piece | None:
        """None where a unit is in no one place."""
        raise NotImplementedError

    def made_layers(self) -> list[Layer]:
        *lower, top = self.encoder.blocks
        return [*(Layer(block, self.map, self.norm) for block in lower), TopLayer(top, self.map, self.norm)]

    def embed(self, packing: Packing, ids: Tensor, types: Tensor | None, masks: Stream) -> Tensor:
        """(T, hidden)."""
        encoder = self.encoder
        states = self.look_up(ids.flatten()[packing.tokens])
        if encoder.types is not None:
            kinds = torch.zeros_like(packing.tokens) if types is None else types.flatten()[packing.tokens]
            states = states + encoder.types(kinds)
        states = states + encoder.positions(packing.columns + encoder.first_position)
        states = encoder.norm(states).to(self.dtype)
        if mask := masks.draw(encoder.dropout, tuple(states.shape), states.dtype):
            states = torch.addcmul(states.new_zeros(()), states, mask.keep, value=mask.scale)
        return self.as_it_is(encoder.project)(states) if encoder.project else states

    def score_bias(self, packing: Packing) -> Tensor:
        """What is added to attention's scores: minus infinity at padding, and MPNet's bias by distance."""
        if self.encoder.relative is None:
            return packing.hidden.to(self.dtype)
        near = self.encoder.relative.compute_position_bias(packing.hidden.new_empty(1, packing.length))
        return (near + packing.hidden).to(self.dtype)

    def units_of(self, modules: Iterable[Any]) -> tuple[Unit, Unit]:
        weights, biases = zip(*((module.weight, module.bias) for module in modules), strict=True)
        return Unit(weights, self.dtype), Unit(biases, self.dtype)

    def map(self, *modules: Any) -> Joined | Grafted:
        """Linear maps of one input as one; adapters' modules are called one by one."""
        if are_plain(modules):
            weight, bias = map(self.piece, self.units_of(modules))
            if weight is not None and bias is not None:
                return Joined(weight, bias)
        return Grafted(self.as_it_is(*modules))

    def norm(self, norm: nn.LayerNorm) -> Norm:
        weight, bias = (self.piece(Unit((parameter,), torch.float32)) for parameter in (norm.weight, norm.bias))
        return Norm(weight, bias, norm.eps)

    def as_it_is(self, *modules: Any) -> Callable[[Tensor], Tensor]:
        def call(x: Tensor) -> Tensor:
            with torch.autocast(x.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
                return torch.cat([module(x) for module in modules], -1)

        return call


def are_plain(modules: Iterable[Any]) -> bool:
    return all(type(module) is nn.Linear and module.bias is not None for module in modules)
