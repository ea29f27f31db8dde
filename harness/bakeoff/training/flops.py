"""Floating-point operations of training, counted at the operators that really ran.

A few of a run's own steps are watched, whatever their trainer does in them (padding or none, accumulation, layers left out),
by the formulas of `torch.utils.flop_counter`: those of matrix products, convolutions and attention; all else counts as
nothing. What they cost per token is then taken for all tokens. Attention grows with the square of the length, the rest with
the length: with sentences of usual length the error is below 2 % (tested).

Compiled code is left alone: torch.compile would drop to eager code under the watch, and so another training would be counted.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

COUNTED_STEPS = 5
"""Watching cost 120 to 150 ms a step of MiniLM on a loaded machine: few steps, whatever the length of the run."""


def counted_steps(total: int) -> frozenset[int]:
    """Which steps are watched: one in the middle of each fifth of the run; the first only where it is the only one.

    In the first step a trainer compiles what it compiles, which must be seen before anything is watched.
    """
    return frozenset(min(max(1, int((part + 0.5) * total / COUNTED_STEPS)), total - 1) for part in range(COUNTED_STEPS))


class Counter:
    """Counts between `start` and `stop`; the total since it was made is `flops`.

    `compiled` says that it did not, because code had been compiled by torch since it was made.
    """

    def __init__(self, steps: frozenset[int] = frozenset()) -> None:
        """`steps` are those to be watched by `begin` and `end`."""
        self.steps = steps
        self.of_step: dict[int, int] = {}
        """Watched step -> its operations, of this process."""
        self.flops = 0
        self.compiled = False
        self._mode: AbstractContextManager[Any] | None = None
        self._compiled_before = _compiled_frames()

    def start(self) -> None:
        self.stop()  # a trainer may begin a step without ending the one before
        self.compiled = _compiled_frames() > self._compiled_before
        if self.compiled:
            return
        self._mode = _watcher(self)
        self._mode.__enter__()

    def stop(self) -> None:
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None

    def begin(self, step: int) -> None:
        if step in self.steps:
            self.start()

    def end(self, step: int) -> None:
        if step in self.steps:
            self.stop()
            self.of_step[step] = self.flops - sum(self.of_step.values())

    def take_up(self, of_step: dict[int, int]) -> None:
        """Goes on from what another counter of the same run has counted."""
        self.of_step, self.flops = of_step, sum(of_step.values())


def _compiled_frames() -> int:
    """How many functions torch.compile has compiled in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")  # not imported for this: it takes a second
    return int(dynamo.counters["frames"]["total"]) if dynamo is not None else 0


def _watcher(counter: Counter) -> AbstractContextManager[Any]:
    """A dispatch mode that passes every operator on as it is; torch's own counter would also take some of them apart."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

    aten = torch.ops.aten
    formulas: dict[Any, Any] = {
        **flop_registry,
        # The counter of torch 2.13 does not know the CPU's attention kernel.
        aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: sdpa_backward_flop,
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # nor oneDNN's linear map, which is in no build without oneDNN
        formulas[torch.ops.mkldnn._linear_pointwise] = lambda x, *_, out_val, **__: 2 * x.numel() * out_val.shape[-1]

    class Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its constructors untyped
        supports_higher_order_operators = True  # flex attention is one; torch refuses them in other modes

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            formula = formulas.get(getattr(func, "_overloadpacket", func))
            if formula is None and torch.is_inference_mode_enabled() and hasattr(func, "decompose"):
                with self:  # in this mode alone a linear layer arrives here whole, without a formula
                    result = func.decompose(*args, **kwargs)
                if result is not NotImplemented:
                    return result
            result = func(*args, **kwargs)
            if formula is not None:
                counter.flops += formula(*args, **kwargs, out_val=result)
            return result

    return Watcher()  # type: ignore[no-untyped-call]


def extrapolate(counted: Sequence[tuple[int, int, int]], tokens: int, padded: int) -> tuple[float | None, str]:
    """The run's operations, and how they were come by; `counted` is (operations, tokens, padded tokens) of each watched step.

    Per token with padding or without, whichever the watched steps agree on more closely: a trainer may compute either.
    """
    steps = [step for step in counted if all(step)]
    if not steps:
        return None, "not counted: no step of tokens was seen through"
    per = {
        "token": ([flops / real for flops, real, _ in steps], tokens),
        "padded token": ([flops / whole for flops, _, whole in steps], padded),
    }
    unit = min(per, key=lambda name: statistics.pstdev(per[name][0]) / statistics.fmean(per[name][0]))
    all_tokens = per[unit][1]
    own_tokens = sum(step[1 if unit == "token" else 2] for step in steps)
    total = sum(flops for flops, _, _ in steps) / own_tokens * all_tokens
    return float(round(total)), f"by torch.utils.flop_counter's formulas: {len(steps)} steps' operators, scaled to all {unit}s"
