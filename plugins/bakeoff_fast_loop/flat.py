"""Stores trained parameters in one tensor, so that the optimizer gets one or two tensors for each parameter group instead of a
hundred.

Each parameter remains, as a view into that tensor, so that one norm, one update and one conversion of dtype are enough. All of
these are element-wise, so no result changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Unit:
    """Parameters of equal width whose rows are stored one after another, and the dtype in which they are used."""

    parameters: tuple[nn.Parameter, ...]
    dtype: torch.dtype

    def fits(self, group: set[nn.Parameter]) -> bool:
        """Whether all parameters of the unit train, in this parameter group and in float32."""
        return all(p in group and p.requires_grad and p.dtype == torch.float32 for p in self.parameters)

    def is_frozen(self) -> bool:
        return not any(parameter.requires_grad for parameter in self.parameters)


@dataclass(frozen=True)
class Piece:
    """Views of a unit: its values after the last step, and the memory for their gradient, both in the unit's dtype.

    The gradient is None if the unit does not train.
    """

    value: Tensor
    gradient: Tensor | None


class Whole:
    """Those parameters of one group that are trained as one tensor."""

    def __init__(self, parameters: list[nn.Parameter], dtype: torch.dtype) -> None:
        self.parameter = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
        data = self.parameter.detach()
        ends = list(itertools.accumulate(parameter.numel() for parameter in parameters))
        self.spans = dict(zip(parameters, zip([0, *ends], ends, strict=False), strict=True))
        for parameter, (start, end) in self.spans.items():
            parameter.data = data[start:end].view(parameter.shape)
        self.value = data.to(dtype)  # no copy where that is float32
        self.gradient = torch.empty_like(data)
        self.parts = {p: self.gradient[start:end].view(p.shape) for p, (start, end) in self.spans.items()}
        """Parameter -> its gradient, a view of `gradient`."""
        self.written = torch.empty_like(self.value) if dtype != torch.float32 else self.gradient
        """The gradient that the last backward pass wrote, in the dtype of the matrix products."""
        self.earlier: Tensor | None = None
        """The sum of the gradients of earlier micro-batches."""
        self.filled = False

    def before_backward(self) -> None:
        if self.filled:
            self.earlier = self.gradient.clone()

    def after_backward(self) -> None:
        if self.written is not self.gradient:
            self.gradient.copy_(self.written)
        if self.earlier is not None:
            self.gradient += self.earlier
        self.earlier, self.filled = None, True

    def hand_over(self) -> None:
        """Sets the gradients for the optimizer, and calls the hooks of the parameters, by which `bakeoff parity` observes
        gradients."""
        if not self.filled:
            return
        self.parameter.grad = self.gradient
        for parameter, part in self.parts.items():
            parameter.grad = part
            for hook in (getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).values():
                hook(parameter)

    def after_step(self) -> None:
        self.parameter.grad, self.filled = None, False
        for parameter in self.spans:
            parameter.grad = None
        if self.value.dtype != torch.float32:
            self.value.copy_(self.parameter.detach())

    def write_back(self) -> None:
        """Makes each parameter a tensor of its own again."""
        for parameter in self.spans:
            parameter.data, parameter.grad = parameter.data.clone(), None


@dataclass
class Flat:
    """A model's trained parameters: those trained as one tensor, and the others."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    """The optimizer's parameter groups, with each `Whole` in place of its parameters."""
    wholes: list[Whole] = field(default_factory=list)
    alone: list[nn.Parameter] = field(default_factory=list)

    @classmethod
    @torch.no_grad()
    def of(cls, groups: list[dict[str, Any]], parts: Sequence[tuple[Unit, ...]]) -> Flat:
        """Stores those parameters of the optimizer's `groups` in `Whole` tensors that fit. parts: tuples of units that are
        used together; a tuple is included only if each of its units fits or is frozen."""
        flat, memberships = cls(), [set(group["params"]) for group in groups]
        usable = [part for part in parts if all(u.is_frozen() or any(map(u.fits, memberships)) for u in part)]
        units = [unit for part in usable for unit in part]
        for group, members in zip(groups, memberships, strict=True):
            wholes, inside = list[Whole](), set[nn.Parameter]()
            for dtype in dict.fromkeys(unit.dtype for unit in units):
                chosen = [p for unit in units if unit.dtype == dtype and unit.fits(members) for p in unit.parameters]
                wholes += [Whole(chosen, dtype)] if chosen else []
                inside.update(chosen)
            alone = [parameter for parameter in group["params"] if parameter not in inside]
            flat.groups.append(group | {"params": [*(whole.parameter for whole in wholes), *alone]})
            flat.wholes += wholes
            flat.alone += alone
        return flat

    def piece(self, unit: Unit) -> Piece | None:
        """The views of a unit; of a unit that does not train, a copy without gradient. None if a unit trains but is in no
        `Whole`."""
        first, last = unit.parameters[0], unit.parameters[-1]
        for whole in self.wholes:
            if all(parameter in whole.spans for parameter in unit.parameters):
                span, shape = slice(whole.spans[first][0], whole.spans[last][1]), (-1, *first.shape[1:])
                return Piece(whole.value[span].view(shape), whole.written[span].view(shape))
        if not unit.is_frozen():
            return None
        return Piece(torch.cat([parameter.detach().to(unit.dtype) for parameter in unit.parameters]), None)

    def before_backward(self) -> None:
        for whole in self.wholes:
            whole.before_backward()

    def after_backward(self) -> None:
        for whole in self.wholes:
            whole.after_backward()

    def gradients(self) -> list[Tensor]:
        """The gradients of all trained tensors, after the backward passes of a step."""
        for whole in self.wholes:
            whole.hand_over()
        trained = [whole.parameter for whole in self.wholes] + self.alone
        return [parameter.grad for parameter in trained if parameter.grad is not None]

    def after_step(self) -> None:
        """To be called after each step: clears the gradients, and copies the new weights into the dtype of the matrix
        products."""
        for parameter in self.alone:
            parameter.grad = None
        for whole in self.wholes:
            whole.after_step()

    def write_back(self) -> None:
        for whole in self.wholes:
            whole.write_back()
