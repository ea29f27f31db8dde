"""The parts that every layer is made of, with their backward passes: linear maps, residual and norm, look-up of words.

They take gradient buffers from a pool and hand them to autograd, which keeps what it is handed: no gradient is copied, and
the memory of one step's gradients serves the next.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from bakeoff_fast_loop.dropout import Mask


class Pool:
    """Gradient buffers of parameters, between a step and the next."""

    def __init__(self) -> None:
        self.free: dict[nn.Parameter, Tensor] = {}
        self.touched: dict[nn.Parameter, list[Tensor]] = {}
        """The rows of a word table's gradient that may be other than 0, one entry a backward pass."""

    def take(self, parameter: nn.Parameter) -> Tensor:
        """A buffer of the parameter's shape, holding anything."""
        free = self.free.pop(parameter, None)
        return torch.empty_like(parameter) if free is None else free

    def take_zeros(self, parameter: nn.Parameter, rows: Tensor) -> Tensor:
        """A buffer of zeros that will be written to in these rows only."""
        free = self.free.pop(parameter, None)
        if free is None:  # the first, or that of a further micro-batch, which autograd adds to the first
            self.touched.setdefault(parameter, []).append(rows)
            return torch.zeros_like(parameter)
        for touched in self.touched[parameter]:
            free.index_fill_(0, touched, 0)
        self.touched[parameter] = [rows]
        return free

    def collect(self, parameters: list[nn.Parameter]) -> None:
        """Takes the gradients back after a step, as `zero_grad` would drop them."""
        for parameter in parameters:
            if parameter.grad is not None:
                self.free[parameter] = parameter.grad
                parameter.grad = None


class Joined:
    """Linear maps of the same input as one product: their weights one below the other, in the dtype of the products.

    A single map in float32 is used as it is; else `refresh` copies the weights after each step.
    """

    def __init__(self, linears: tuple[nn.Linear, ...], dtype: torch.dtype, pool: Pool) -> None:
        self.linears, self.pool = linears, pool
        self.sizes = [linear.out_features for linear in linears]
        self.weights = [linear.weight for linear in linears]
        self.biases = [linear.bias for linear in linears]
        if len(linears) == 1 and dtype == linears[0].weight.dtype:
            self.weight, self.bias = linears[0].weight.detach(), linears[0].bias.detach()
            self.copies: list[tuple[Tensor, Tensor]] = []
            return
        self.weight = torch.cat([weight.detach().to(dtype) for weight in self.weights])
        self.bias = torch.cat([bias.detach().to(dtype) for bias in self.biases])
        self.copies = [
            (copy, original)
            for whole, originals in ((self.weight, self.weights), (self.bias, self.biases))
            for copy, original in zip(whole.split(self.sizes), originals, strict=True)
            if original.requires_grad
        ]

    def __call__(self, x: Tensor) -> Tensor:
        return Affine.apply(x, self, *self.weights, *self.biases)

    def gradients(self, x: Tensor, d_out: Tensor, needed: tuple[bool, ...]) -> list[Tensor | None]:
        """Of weights, then biases."""
        count = len(self.linears)
        found: list[Tensor | None] = [None] * (2 * count)
        if any(needed[:count]):
            if count == 1 and d_out.dtype == self.weights[0].dtype:
                found[0] = torch.mm(d_out.t(), x, out=self.pool.take(self.weights[0]))
            else:
                for index, part in enumerate(torch.mm(d_out.t(), x).split(self.sizes)):
                    if needed[index]:
                        found[index] = self.pool.take(self.weights[index]).copy_(part)
        if any(needed[count:]):
            for index, part in enumerate(d_out.sum(0).split(self.sizes)):
                if needed[count + index]:
                    found[count + index] = self.pool.take(self.biases[index]).copy_(part)
        return found


class Affine(Function):
    """(T, in) -> (T, out), weight and bias of a `Joined`; the parameters are handed over for autograd's sake."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, joined: Joined, *parameters: nn.Parameter) -> Tensor:
        ctx.save_for_backward(x)
        ctx.joined = joined
        return torch.addmm(joined.bias, x, joined.weight.t())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        d_out = gradients[0]
        d_x = torch.mm(d_out, ctx.joined.weight) if ctx.needs_input_grad[0] else None
        return d_x, None, *ctx.joined.gradients(x, d_out, ctx.needs_input_grad[2:])


class Settle(Function):
    """norm(residual + dropout(x)), (T, hidden)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor, mask: Mask | None, eps: float, weight: Tensor, bias: Tensor) -> Tensor:
        summed = torch.addcmul(residual, x, mask.keep, value=mask.scale) if mask else residual + x
        out, mean, rstd = torch.native_layer_norm(summed, weight.shape, weight, bias, eps)
        ctx.save_for_backward(summed, mean, rstd, weight, bias)
        ctx.mask = mask
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        summed, mean, rstd, weight, bias = ctx.saved_tensors
        which = [any(ctx.needs_input_grad[:2]), ctx.needs_input_grad[4], ctx.needs_input_grad[5]]
        d_sum, d_weight, d_bias = torch.ops.aten.native_layer_norm_backward(
            gradients[0], summed, weight.shape, mean, rstd, weight, bias, which
        )
        d_x = d_sum
        if ctx.mask and ctx.needs_input_grad[0]:
            d_x = torch.addcmul(d_sum.new_zeros(()), d_sum, ctx.mask.keep, value=ctx.mask.scale)
        return d_x, d_sum, None, None, d_weight, d_bias


class LookUp(Function):
    """Rows of a table, (T, size); of its gradient, only rows that were written are zeroed again."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, table: nn.Parameter, padding: int | None, pool: Pool) -> Tensor:
        ctx.ids, ctx.table, ctx.padding, ctx.pool = ids, table, padding, pool
        return table.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        gradient = gradients[0]
        if ctx.padding is not None:  # as nn.Embedding: this row does not train
            gradient = gradient * (ctx.ids != ctx.padding).unsqueeze(1)
        return None, ctx.pool.take_zeros(ctx.table, ctx.ids).index_add_(0, ctx.ids, gradient), None, None
