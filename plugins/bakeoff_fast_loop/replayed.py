"""CUDA: torch-loop's own forward and backward pass, replayed as one graph, its gradients added into one piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from bakeoff.plugin import ModelError, TrainingJob
from bakeoff_fast_loop.flat import Flat, Unit
from bakeoff_fast_loop.replays import Inputs, Replays, Widths


@contextmanager
def replayed(job: TrainingJob) -> Iterator[Replayed]:
    """The job's passes; at the end each parameter is a tensor of its own again."""
    passes = Replayed(job)
    try:
        yield passes
    finally:
        passes.flat.give_back()
        passes.replays.forget()  # the job keeps the passes, and evaluation needs the memory


class Replayed:
    """See `loop.Passes`."""

    def __init__(self, job: TrainingJob) -> None:
        self.job, self.model = job, job.model
        self.widths = Widths(job.model)
        self.trained = used(job.model)
        if strange := next((parameter for parameter in self.trained if parameter.dtype != torch.float32), None):
            raise ModelError(f"on CUDA, fast-loop trains float32 parameters; there is one of {strange.dtype}")
        job.model.zero_grad()
        self.flat = Flat.of(job.parameter_groups(), [(Unit((parameter,), torch.float32),) for parameter in self.trained])
        self.wholes = [whole.gradient.zero_() for whole in self.flat.wholes]
        self.gradients = [whole.parts[p] for p in self.trained for whole in self.flat.wholes if p in whole.parts]
        self.replays = Replays(self.passes, job.model, self.wholes)

    def passes(self, inputs: Inputs) -> Tensor:
        """What is recorded."""
        given = dict(inputs)
        labels, weight = given.pop("labels"), given.pop("weight")
        with self.job.autocast():
            logits = self.model(**given).logits  # (batch, n_outputs)
        loss = self.job.loss(logits, labels) * weight
        torch._foreach_add_(self.gradients, torch.autograd.grad(loss, self.trained))
        return loss.detach()

    def take(self, inputs: dict[str, Tensor], weight: float) -> Tensor:
        loss = self.replays({**self.widths.widen(inputs), "weight": torch.tensor(weight)})
        self.flat.after_backward()
        return loss.clone()

    def after_step(self) -> None:
        self.flat.after_step()
        torch._foreach_zero_(self.wholes)

    def give_back(self) -> None:
        """Parameters are views of what trains."""


def used(model: Any) -> list[Any]:
    """The parameters that train and that the logits depend on: others have no gradient, and an optimizer leaves them alone."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tokens = torch.ones(1, 2, dtype=torch.long, device=trained[0].device)
    logits = model(input_ids=tokens, attention_mask=tokens).logits
    gradients = torch.autograd.grad(logits.sum(), trained, allow_unused=True)
    return [parameter for parameter, gradient in zip(trained, gradients, strict=True) if gradient is not None]
