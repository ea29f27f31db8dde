"""Floating-point operations of training, counted at the operators that really ran.

In a few steps of the run, every operator is counted by the formulas of `torch.utils.flop_counter`, which cover matrix products,
convolutions and attention; all other operators count as 0. The operations per token of those steps are extrapolated to all
tokens. Attention grows with the square of the length, everything else linearly: for sentences of usual length the error is
below 2 % (tested).

Compiled code is not counted: under a dispatch mode torch.compile falls back to eager code, which is not what the run executes.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

COUNTED_STEPS = 5
"""Counting took 120 to 150 ms for a step of MiniLM on a loaded machine, so only few steps are counted, however long the run."""


def counted_steps(total: int) -> frozenset[int]:
    """The steps whose operations are counted: one in the middle of each fifth of the run; the first step only if the run has no
    other. total: the number of all steps.

    A trainer that compiles does so in its first step, and that must be noticed before anything is counted.
    """
    return frozenset(min(max(1, int((part + 0.5) * total / COUNTED_STEPS)), total - 1) for part in range(COUNTED_STEPS))


class Counter:
    """Counts floating-point operations between `start` and `stop`, summed in `flops`.

    `compiled` becomes true, and nothing is counted, once torch has compiled code since the counter was made.
    """

    def __init__(self, steps: frozenset[int] = frozenset()) -> None:
        """steps: the steps that `begin` and `end` count."""
        self.steps = steps
        self.of_step: dict[int, int] = {}
        """Counted step -> its operations in this process."""
        self.flops = 0
        self.compiled = False
        self._mode: AbstractContextManager[Any] | None = None
        self._compiled_before = _compiled_frames()

    def start(self) -> None:
        self.stop()  # a trainer may begin a step without ending the one before
        self.compiled = _compiled_frames() > self._compiled_before
        if not self.compiled:
            self._mode = _dispatch_mode(self)
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

    def continue_from(self, of_step: dict[int, int]) -> None:
        """Continues from what the counter of an earlier process of the same run has counted, step -> operations."""
        self.of_step, self.flops = of_step, sum(of_step.values())


def _compiled_frames() -> int:
    """How many functions torch.compile has compiled in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")  # not imported for this: it takes a second
    return int(dynamo.counters["frames"]["total"]) if dynamo is not None else 0


def _dispatch_mode(counter: Counter) -> AbstractContextManager[Any]:
    """A dispatch mode that counts every operator and runs it unchanged; torch's own counter would also decompose some."""
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

    class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its constructors untyped
        supports_higher_order_operators = True  # flex attention is one; torch refuses them in other modes

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            formula = formulas.get(getattr(func, "_overloadpacket", func))
            if formula is None and torch.is_inference_mode_enabled() and hasattr(func, "decompose"):
                with self:  # only in inference mode does a linear layer arrive undecomposed, and has no formula
                    result = func.decompose(*args, **kwargs)
                if result is not NotImplemented:
                    return result
            result = func(*args, **kwargs)
            if formula is not None:
                counter.flops += formula(*args, **kwargs, out_val=result)
            return result

    return CountingMode()  # type: ignore[no-untyped-call]


def extrapolate(counted: Sequence[tuple[int, int, int]], tokens: int, padded: int) -> tuple[float | None, str]:
    """The floating-point operations of the whole run, or None, and a note on how they were counted.

    counted: (operations, tokens, tokens with padding) of each counted step. tokens, padded: the same of the whole run.

    Extrapolates by tokens with or without padding, whichever the counted steps agree on more closely: a trainer may compute
    either.
    """
    steps = [step for step in counted if all(step)]
    if not steps:
        return None, "not counted: no step with tokens was counted to its end"
    per = {
        "token": ([flops / real for flops, real, _ in steps], tokens),
        "padded token": ([flops / whole for flops, _, whole in steps], padded),
    }
    unit = min(per, key=lambda name: statistics.pstdev(per[name][0]) / statistics.fmean(per[name][0]))
    all_tokens = per[unit][1]
    own_tokens = sum(step[1 if unit == "token" else 2] for step in steps)
    total = sum(flops for flops, _, _ in steps) / own_tokens * all_tokens
    return float(round(total)), f"by torch.utils.flop_counter's formulas: {len(steps)} steps' operators, scaled to all {unit}s"
