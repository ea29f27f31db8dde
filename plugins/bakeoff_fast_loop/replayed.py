"""For CUDA: torch-loop's own forward and backward pass, recorded as a graph for each shape of its tensors, and replayed.

A step of a small encoder consists of over a thousand kernels of a few microseconds each, and launching them one by one from
Python takes most of the time. A graph is launched once. Recording takes about as long as two steps, so batches are padded to a
few widths. What may be recorded: https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils._python_dispatch import _get_current_dispatch_mode

from bakeoff.plugin import ModelError, TrainingJob, first_line
from bakeoff_fast_loop.flat import Flat, Unit

MULTIPLE = 16
"""Batches are padded to a width that is a multiple of this, so that MRPC has about six widths."""

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Recording:
    """A recorded CUDA graph for inputs of one shape, with its input and output tensors."""

    inputs: dict[str, Tensor]
    graph: Any
    output: Tensor


class Replays:
    """Calls `function` with named tensors by replaying a recorded CUDA graph; the next call overwrites its result.

    The function itself is called if the device is not CUDA, and while a dispatch mode or hooks of the model observe it, as
    when the harness counts operations or `bakeoff parity` traces: they would not see a replay.
    """

    def __init__(self, function: Callable[[Inputs], Tensor], model: Any, changes: list[Tensor]) -> None:
        """changes: the tensors that the function modifies."""
        self.function, self.model, self.changes = function, model, changes
        self.device = next(model.parameters()).device
        self.recordings: dict[Any, Recording] = {}
        self.pool: Any = None
        self.aside: Any = None
        """The one stream for all recordings, because cuBLAS keeps a workspace of 32 MiB for each stream."""

    def __call__(self, inputs: Inputs) -> Tensor:
        if self.device.type != "cuda" or self.watched():
            return self.function({name: tensor.to(self.device) for name, tensor in inputs.items()})
        shapes = tuple((name, tensor.shape) for name, tensor in inputs.items())
        recording = self.recordings.get(shapes)
        if recording is None:
            recording = self.recordings[shapes] = self.record(inputs)
        for name, tensor in inputs.items():
            recording.inputs[name].copy_(tensor, non_blocking=True)
        recording.graph.replay()
        return recording.output

    def forget(self) -> None:
        """Frees the memory of all recordings."""
        self.recordings.clear()
        self.pool = None

    def watched(self) -> bool:
        return bool(_get_current_dispatch_mode() or self.model._forward_hooks or self.model._forward_pre_hooks)

    def record(self, inputs: Inputs) -> Recording:
        """Records the function; `changes` and the random state are left as they were. Raises ModelError if that fails."""
        mine = {name: tensor.to(self.device, copy=True) for name, tensor in inputs.items()}
        random, before = torch.cuda.get_rng_state(self.device), [tensor.clone() for tensor in self.changes]
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        self.aside = self.aside or torch.cuda.Stream(self.device)
        usual = torch.cuda.current_stream(self.device)
        self.aside.wait_stream(usual)
        with torch.cuda.stream(self.aside):  # once as it is: libraries make, at a first call, what must not be recorded
            self.function(mine)
        usual.wait_stream(self.aside)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.aside):
                output = self.function(mine)
        except RuntimeError as error:
            torch.cuda.set_stream(usual)  # ending the recording has failed too, before it could do that
            cause = error.__context__ or error
            if isinstance(cause, torch.cuda.OutOfMemoryError):
                raise cause from None
            name, reason = type(self.model).__name__, first_line(cause)
            raise ModelError(f"fast-loop can't record {name} as a CUDA graph: {reason}; torch-loop trains any") from error
        for tensor, value in zip(self.changes, before, strict=True):
            tensor.copy_(value)
        torch.cuda.set_rng_state(random, self.device)
        return Recording(mine, graph, output)


class Widths:
    """Pads batches on the right to one of a few widths."""

    def __init__(self, model: Any) -> None:
        self.padding = getattr(model.config, "pad_token_id", None) or 0  # no token looks at it
        self.longest = getattr(model.config, "max_position_embeddings", 0)

    def widen(self, inputs: Inputs) -> dict[str, Tensor]:
        """Pads the inputs' (batch, width) tensors to a multiple of `MULTIPLE`, except labels, which may have such a shape too.

        Without an attention mask nothing is padded, because every token would attend to the padding.
        """
        if "attention_mask" not in inputs:
            return dict(inputs)
        shape = inputs["input_ids"].shape
        more = min(-(-shape[1] // MULTIPLE) * MULTIPLE, max(self.longest, shape[1])) - shape[1]
        return {
            name: pad(tensor, (0, more), value=self.padding if name == "input_ids" else 0)
            if tensor.shape == shape and name != "labels"
            else tensor
            for name, tensor in inputs.items()
        }


@contextmanager
def replayed(job: TrainingJob) -> Iterator[Replayed]:
    """A context with the job's passes, replayed as CUDA graphs; at its end each parameter is a tensor of its own again."""
    passes = Replayed(job)
    try:
        yield passes
    finally:
        passes.flat.write_back()
        passes.replays.forget()  # the job keeps the passes, and evaluation needs the memory


class Replayed:
    """The `loop.Passes` of a job on CUDA: recorded as CUDA graphs and replayed."""

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
        """Makes the forward and backward pass of a micro-batch, and returns its loss. This is what a CUDA graph records."""
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

    def write_back(self) -> None:
        """Does nothing: the model's parameters are views of the tensors that are trained."""


def used(model: Any) -> list[Any]:
    """The trained parameters on which the logits depend; the others get no gradient, so an optimizer does not change them."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tokens = torch.ones(1, 2, dtype=torch.long, device=trained[0].device)
    logits = model(input_ids=tokens, attention_mask=tokens).logits
    gradients = torch.autograd.grad(logits.sum(), trained, allow_unused=True)
    return [parameter for parameter, gradient in zip(trained, gradients, strict=True) if gradient is not None]
