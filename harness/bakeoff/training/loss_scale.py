"""Compares a trainer's loss and gradients with those of the loss that the recipe asks for.

A recipe asks for the mean loss over each whole batch. A trainer that accumulates gradients, or splits a batch over processes,
must weight the parts correctly. Whether it did is measured at the model's output: the gradient that arrives at the logits is
compared with that of the mean loss. Nothing relies on what the trainer reports about itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.fields import LARGEST
from bakeoff.records.schema import LossScale
from bakeoff.text.numbers import rounded

DIGITS = 6
"""Significant digits of a recorded ratio: the precision of float32."""
TOO_SMALL = 1e-12
"""A loss, or a squared gradient norm, below which a ratio would consist of rounding errors."""

Share = tuple[Sequence[Any], float]
"""What one forward pass should receive: the labels of its rows, and the weight of their mean loss in that of the batch."""
StepFacts = tuple[int, float, float, list[float]]
"""One step: rows of its batch over all processes; this process's part of the reported loss and of the mean loss over the batch;
the ratio of received to expected gradient for each forward pass."""


@dataclass
class Pass:
    """One forward pass that was observed."""

    weight: float
    """The weight of its mean loss in that of the batch."""
    mean: Any
    """The mean loss of its rows."""
    due: Any
    """The expected gradient: that of `mean` with respect to the logits, (batch, n_outputs)."""
    received: Any = None
    """The gradient of the trainer's backward pass at the logits, (batch, n_outputs)."""

    def take(self, gradient: Any) -> None:
        received = gradient.detach().float().clone()
        self.received = received if self.received is None else self.received + received


class LossWatch:
    """Observes some steps of a training. Between `begin` and `end` the model has a forward hook.

    A trainer that neither calls the model's own `forward` nor gets its loss from the job is not observed. With several
    processes, gradients are assumed to be averaged over the `world_size` processes, as DistributedDataParallel does.
    """

    def __init__(
        self, model: Any, loss: Callable[[Any, Any], Any], *, steps: frozenset[int] = frozenset(), world_size: int = 1
    ) -> None:
        """steps: the steps to observe."""
        self.model, self.loss, self.steps, self.world_size = model, loss, steps, world_size
        self.passes: list[Pass] = []
        """The forward passes of the current, or last, observed step."""
        self.before: list[StepFacts] = []
        """Steps that an earlier process of the same run observed."""
        self.seen: list[tuple[int, Any, list[Pass]]] = []
        """Observed steps: rows over all processes, this process's part of the reported loss, forward passes."""
        self._handle: Any = None
        self._shares: Sequence[Share] = ()
        self._rows = 0
        self._unclaimed = False

    def begin(self, rows: int, shares: Sequence[Share]) -> None:
        """Starts observing a step of `rows` rows over all processes. shares: those of this process, one for each forward pass,
        in order; empty if only the trainer knows them."""
        self.close()
        self.passes, self._rows, self._shares, self._unclaimed = [], rows, shares, False
        if hasattr(self.model, "register_forward_hook"):  # else it is no torch module and can't be observed
            self._handle = self.model.register_forward_hook(self._after_forward, with_kwargs=True)

    def end(self, loss: Any) -> None:
        """Ends the step. loss: the one that the trainer reports."""
        if self._handle is not None:
            self.close()
            self.seen.append((self._rows, loss.detach(), self.passes))

    def close(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def loss_of(self, logits: Any, labels: Any) -> None:
        """Called when the trainer gets the loss of these logits from the job; they belong to the last forward pass, if there
        was one."""
        if self._handle is None:
            return
        if not self._unclaimed:
            self._add(logits, labels)
        self._unclaimed = False

    def _after_forward(self, model: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        import torch

        logits, labels = getattr(output, "logits", None), kwargs.get("labels")
        if labels is None and logits is not None and len(self.passes) < len(self._shares):
            labels = torch.tensor(self._shares[len(self.passes)][0], device=logits.device)
        if logits is not None and labels is not None and len(labels) == len(logits):
            self._unclaimed = self._add(logits, labels)

    def _add(self, logits: Any, labels: Any) -> bool:
        """Records a forward pass, if a gradient can reach its logits. Returns whether it can."""
        import torch

        if not logits.requires_grad:
            return False
        expected, weight = self._shares[len(self.passes)] if len(self.passes) < len(self._shares) else ((), 0.0)
        with torch.enable_grad():
            apart = logits.detach().float().requires_grad_()
            mean = self.loss(apart, labels.detach())
        (due,) = torch.autograd.grad(mean, apart)
        seen = Pass(weight if len(expected) == len(labels) else len(labels) / self._rows, mean.detach(), due)
        logits.register_hook(seen.take)
        self.passes.append(seen)
        return True

    @property
    def mean_losses(self) -> list[float]:
        """The mean loss of each forward pass of the step that was observed last."""
        return [float(seen.mean) for seen in self.passes]

    def facts(self) -> list[StepFacts]:
        """Facts about the steps observed so far, those of earlier processes included; waits for the device."""
        return [*self.before, *(self._facts(*step) for step in self.seen)]

    def _facts(self, rows: int, reported: Any, passes: list[Pass]) -> StepFacts:
        ratios = []
        for seen in passes:
            size = float((seen.due * seen.due).sum())
            if seen.received is not None and size > TOO_SMALL and seen.weight:
                ratios.append(float((seen.received * seen.due).sum()) / (seen.weight * self.world_size * size))
        return rows, float(reported), sum(float(seen.mean) * seen.weight for seen in passes), ratios


def scale_of(processes: Sequence[Sequence[StepFacts]], batch_size: int) -> LossScale | None:
    """The scale of a trainer's loss and gradients, relative to the mean loss over each batch, for full batches and for those
    with fewer than `batch_size` rows. processes: the observed steps of each process. None if no step was observed."""
    losses: list[float] = []
    gradients: dict[bool, list[float]] = {True: [], False: []}
    steps = 0
    for shares in zip(*processes, strict=True):
        full = shares[0][0] == batch_size
        found = [ratio for share in shares for ratio in share[3] if abs(ratio) <= LARGEST]
        reported, mean = sum(share[1] for share in shares), sum(share[2] for share in shares)
        steps += bool(found)
        gradients[full] += found
        if found and full and mean > TOO_SMALL and abs(reported / mean) <= LARGEST:
            losses.append(reported / mean)
    if not steps:
        return None
    return LossScale(
        steps=steps,
        loss=_lowest_and_highest(losses),
        gradient=_lowest_and_highest(gradients[True]),
        short=_lowest_and_highest(gradients[False]),
    )


def _lowest_and_highest(ratios: Sequence[float]) -> list[float]:
    """The lowest and the highest ratio; empty without any."""
    return [rounded(end(ratios), DIGITS) for end in (min, max)] if ratios else []
