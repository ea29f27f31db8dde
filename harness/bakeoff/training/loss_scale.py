"""The loss that a recipe asks for, and how the loss and the gradients of a trainer stand to it.

A recipe asks for the mean loss over each whole batch. A trainer that accumulates gradients, or shares a batch among processes,
has to weigh the parts of the batch right. Whether it did is seen where the model ends: the gradient that arrives at the logits
is compared with that of the mean loss. Nothing is taken from what a trainer says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bakeoff.contracts.fields import LARGEST
from bakeoff.records.schema import LossScale
from bakeoff.text.numbers import rounded

DIGITS = 6
"""Of a recorded ratio: what float32 can tell."""
TOO_SMALL = 1e-12
"""A loss, or a squared gradient, below which a ratio would be one of rounding errors."""


@dataclass(frozen=True)
class Share:
    """What one forward pass is due to have: labels of its rows, and what their mean loss weighs in that of the whole batch."""

    labels: Sequence[Any]
    weight: float


@dataclass
class Pass:
    """One forward pass as it was seen."""

    weight: float
    mean: Any
    """Its mean loss."""
    due: Any
    """The gradient of `mean` at the logits, (batch, n_outputs)."""
    received: Any = None
    """The gradient that the trainer's backward pass brought to the logits."""

    def take(self, gradient: Any) -> None:
        received = gradient.detach().float().clone()
        self.received = received if self.received is None else self.received + received


@dataclass
class SeenStep:
    """A step that was watched to its end."""

    rows: int
    """Of all processes."""
    reported: Any
    """The loss that the trainer reported: this process's part of it."""
    passes: list[Pass] = field(default_factory=list)


StepFacts = tuple[int, float, float, list[float]]
"""A step in numbers: the rows of its batch, the reported loss, the mean loss over the batch (both this process's part), and
the ratio of the gradients of each forward pass."""


class LossWatch:
    """Watches some steps of a training; between `begin` and `end` the model has a forward hook.

    A trainer that neither calls the model's own `forward` nor asks the job for the loss is not seen. `world_size` processes are
    taken to average their gradients, as DistributedDataParallel does.
    """

    def __init__(
        self, model: Any, loss: Callable[[Any, Any], Any], *, steps: frozenset[int] = frozenset(), world_size: int = 1
    ) -> None:
        """`steps` are those that are to be watched."""
        self.model, self.loss, self.steps, self.world_size = model, loss, steps, world_size
        self.passes: list[Pass] = []
        """Of the step that is watched, or was last."""
        self.before: list[StepFacts] = []
        """Of an earlier process of the same run."""
        self.seen: list[SeenStep] = []
        self._handle: Any = None
        self._shares: Sequence[Share] = ()
        self._rows = 0
        self._unclaimed = False

    def begin(self, rows: int, shares: Sequence[Share]) -> None:
        """A step of so many `rows` over all processes; `shares` are this process's, in their order, empty where only the
        trainer knows them."""
        self.close()
        self.passes, self._rows, self._shares, self._unclaimed = [], rows, shares, False
        if hasattr(self.model, "register_forward_hook"):  # else it is no torch module, and nothing of it can be watched
            self._handle = self.model.register_forward_hook(self._after_forward, with_kwargs=True)

    def end(self, loss: Any) -> None:
        """The step has been taken, with this loss as the trainer reports it."""
        if self._handle is not None:
            self.close()
            self.seen.append(SeenStep(self._rows, loss.detach(), self.passes))

    def close(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def asked(self, logits: Any, labels: Any) -> None:
        """The trainer asks the job for the loss of these logits: those of the last forward pass, where there was one."""
        if self._handle is None:
            return
        if not self._unclaimed:
            self._add(logits, labels)
        self._unclaimed = False

    def _after_forward(self, model: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        logits, labels = getattr(output, "logits", None), kwargs.get("labels")
        number = len(self.passes)
        if labels is None and logits is not None and number < len(self._shares):
            labels = _as_tensor(self._shares[number].labels, logits)
        if logits is not None and labels is not None and len(labels) == len(logits):
            self._unclaimed = self._add(logits, labels)

    def _add(self, logits: Any, labels: Any) -> bool:
        """Whether these logits are trained on."""
        import torch

        if not logits.requires_grad:
            return False
        number = len(self.passes)
        share = self._shares[number] if number < len(self._shares) else None
        fits = share is not None and len(share.labels) == len(labels)
        with torch.enable_grad():
            apart = logits.detach().float().requires_grad_()
            mean = self.loss(apart, labels.detach())
        (due,) = torch.autograd.grad(mean, apart)
        seen = Pass(share.weight if share is not None and fits else len(labels) / self._rows, mean.detach(), due)
        logits.register_hook(seen.take)
        self.passes.append(seen)
        return True

    @property
    def mean_losses(self) -> list[float]:
        """The mean loss of each forward pass of the step that was watched last."""
        return [float(seen.mean) for seen in self.passes]

    def facts(self) -> list[StepFacts]:
        """The steps watched so far, in numbers; waits for the device."""
        return [*self.before, *(self._facts(step) for step in self.seen)]

    def _facts(self, step: SeenStep) -> StepFacts:
        ratios = []
        for seen in step.passes:
            size = float((seen.due * seen.due).sum())
            if seen.received is not None and size > TOO_SMALL and seen.weight:
                ratios.append(float((seen.received * seen.due).sum()) / (seen.weight * self.world_size * size))
        mean = sum(float(seen.mean) * seen.weight for seen in step.passes)
        return step.rows, float(step.reported), mean, ratios


def scale_of(processes: Sequence[Sequence[StepFacts]], batch_size: int) -> LossScale | None:
    """What the steps of all processes come to, full batches and short ones apart; None where nothing was seen."""
    losses: list[float] = []
    gradients: dict[bool, list[float]] = {True: [], False: []}
    steps = 0
    for shares in zip(*processes, strict=True):
        rows = shares[0][0]
        found = [ratio for share in shares for ratio in share[3] if abs(ratio) <= LARGEST]
        reported, mean = sum(share[1] for share in shares), sum(share[2] for share in shares)
        steps += bool(found)
        gradients[rows == batch_size] += found
        if found and rows == batch_size and mean > TOO_SMALL and abs(reported / mean) <= LARGEST:
            losses.append(reported / mean)
    if not steps:
        return None
    return LossScale(steps=steps, loss=_ends(losses), gradient=_ends(gradients[True]), short=_ends(gradients[False]))


def _ends(ratios: Sequence[float]) -> list[float]:
    """The lowest and the highest."""
    return [rounded(end(ratios), DIGITS) for end in (min, max)] if ratios else []


def _as_tensor(labels: Sequence[Any], logits: Any) -> Any:
    import torch

    return torch.tensor(labels, device=logits.device)
