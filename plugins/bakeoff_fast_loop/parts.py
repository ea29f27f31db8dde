"""The parts of every layer: linear maps, residual and norm, activation, dropout; and the look-up of word embeddings.

`forward` returns a result and what `backward` needs. `backward` takes the gradient of the result and what was saved, stores
the gradients of parameters, and returns the gradient of the input. Both are written by hand, because one autograd node for
each part and parameter takes as long as many parts themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from transformers.activations import GELUActivation

from bakeoff_fast_loop.flat import Piece

LANES = 2**16
"""Dropout masks use 16-bit lanes of the random stream: four decisions per draw instead of one."""
ONE = torch.tensor(1.0, dtype=torch.bfloat16).view(torch.int16).item()
"""The bits of 1.0 in bfloat16."""


@dataclass(frozen=True)
class Mask:
    """A dropout mask: 1 where a value is kept, else 0. Kept values are to be multiplied by `scale`."""

    keep: Tensor
    scale: float


class Stream:
    """Draws the dropout masks of one forward pass, seeded from torch's default generator, which `begin_step` seeds anew at
    each step.

    On the CPU, numpy's SFC64 is used, which is twice as fast as torch's Mersenne twister.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generator = np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_())) if device.type == "cpu" else None

    def draw(self, p: float, shape: tuple[int, ...], dtype: torch.dtype) -> Mask | None:
        """A new mask for dropout with probability p; None if nothing is dropped. p is rounded to a multiple of 1 / 65536, and
        `scale` is exact for the rounded p."""
        dropped = round(p * LANES)
        if dropped == 0:
            return None
        count = math.prod(shape)
        lanes = self.bits(-(-count // 4)).view(torch.int16)[:count]
        keep = lanes.ge_(dropped - LANES // 2).mul_(ONE).view(torch.bfloat16)  # in place, and no conversion of bool to float
        return Mask(keep.view(shape).to(dtype), LANES / (LANES - dropped))

    def bits(self, count: int) -> Tensor:
        """(count,) integers of 64 random bits."""
        if self.generator is None:
            return torch.empty(count, dtype=torch.int64, device=self.device).random_(-(2**63), None)  # by default, 63 bits
        return torch.from_numpy(self.generator.random_raw(count).view(np.int64))


class Joined:
    """Linear maps of the same input, computed as one product with their weights stacked: (T, in) -> (T, out)."""

    def __init__(self, weight: Piece, bias: Piece | None) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        weight = self.weight.value.t()
        return torch.mm(x, weight) if self.bias is None else torch.addmm(self.bias.value, x, weight), x

    def backward(self, d_out: Tensor, x: Any, onto: Tensor | None = None) -> Tensor:
        """The gradient of the input, plus `onto` if given."""
        if self.weight.gradient is not None:
            torch.mm(d_out.t(), x, out=self.weight.gradient)
        if self.bias is not None and self.bias.gradient is not None:
            torch.sum(d_out, 0, out=self.bias.gradient)
        return torch.mm(d_out, self.weight.value) if onto is None else torch.addmm(onto, d_out, self.weight.value)


class Grafted:
    """Any function, differentiated by autograd in a graph of its own; its backward pass also stores the gradients of its
    parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        given = x.detach().requires_grad_()
        with torch.enable_grad():
            out = self.function(given)
        return out.detach(), (given, out)

    def backward(self, d_out: Tensor, kept: Any, onto: Tensor | None = None) -> Tensor:
        given, out = kept
        torch.autograd.backward(out, d_out)
        return given.grad if onto is None else given.grad + onto


class Gelu:
    """The exact GELU (Hendrycks and Gimpel, 2016)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        return nn.functional.gelu(x), x

    def backward(self, d_out: Tensor, x: Any) -> Tensor:
        return torch.ops.aten.gelu_backward(d_out, x)


def activation(function: Any) -> Gelu | Grafted:
    return Gelu() if type(function) is GELUActivation and function.act is nn.functional.gelu else Grafted(function)


class Norm:
    """Layer norm of a residual connection: norm(residual + dropout(x)), (T, hidden)."""

    def __init__(self, weight: Piece, bias: Piece | None, eps: float) -> None:
        self.weight, self.bias, self.eps = weight, bias, eps

    def forward(self, x: Tensor, residual: Tensor, mask: Mask | None) -> tuple[Tensor, Any]:
        summed = torch.addcmul(residual, x, mask.keep, value=mask.scale) if mask else residual + x
        out, mean, rstd = torch.native_layer_norm(summed, summed.shape[1:], *self.values(summed), self.eps)
        return out, (summed, mean, rstd, mask)

    def backward(self, d_out: Tensor, kept: Any) -> tuple[Tensor, Tensor]:
        """The gradients of x and of the residual."""
        summed, mean, rstd, mask = kept
        d_sum = self.gradients(d_out, summed, mean, rstd)
        return torch.addcmul(summed.new_zeros(()), d_sum, mask.keep, value=mask.scale) if mask else d_sum, d_sum

    def gradients(self, d_out: Tensor, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """Stores the gradients of weight and bias, and returns that of the norm's input x."""
        pieces = (self.weight, self.bias)
        which = [True, *(piece is not None and piece.gradient is not None for piece in pieces)]
        d_x, *others = torch.ops.aten.native_layer_norm_backward(d_out, x, x.shape[1:], mean, rstd, *self.values(x), which)
        for piece, gradient in zip(pieces, others, strict=True):
            if piece is not None and piece.gradient is not None:
                piece.gradient.copy_(gradient)
        return d_x

    def values(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        weight, bias = self.weight.value, None if self.bias is None else self.bias.value
        if like.device.type == "cpu":  # only its kernel mixes dtypes
            return weight, bias
        return weight.to(like.dtype), None if bias is None else bias.to(like.dtype)


class Words:
    """Looks up rows of an embedding table, (T,) -> (T, size). Its gradient is kept between steps, and only the rows that were
    written are zeroed again."""

    def __init__(self, table: nn.Parameter, padding: int | None) -> None:
        self.table, self.padding = table, padding
        self.gradient = torch.zeros_like(table) if table.requires_grad else None
        self.touched: list[Tensor] = []
        """Rows of the gradient that may differ from 0, one entry for each backward pass."""

    def __call__(self, ids: Tensor) -> Tensor:
        return LookUp.apply(ids, self, self.table)

    def zeros(self, ids: Tensor) -> Tensor:
        """The table's gradient, all zeros, for a backward pass that writes only the rows `ids`."""
        if self.table.grad is not None:  # that of a micro-batch, to which autograd adds the next ones
            self.touched.append(ids)
            return torch.zeros_like(self.table)
        assert self.gradient is not None
        for touched in self.touched:
            self.gradient.index_fill_(0, touched, 0)
        self.touched = [ids]
        return self.gradient[:]  # a view that is autograd's to keep


class LookUp(Function):
    """The look-up of `Words` as an autograd function. `table` is an argument so that autograd tracks it."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, words: Words, table: nn.Parameter) -> Tensor:
        ctx.ids, ctx.words = ids, words
        return table.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        gradient = gradients[0]
        if ctx.words.padding is not None:  # as nn.Embedding: this row does not train
            gradient = gradient * (ctx.ids != ctx.words.padding).unsqueeze(1)
        return None, None, ctx.words.zeros(ctx.ids).index_add_(0, ctx.ids, gradient)
