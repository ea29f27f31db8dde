"""Records each training step of one strategy (a trace), for `bakeoff parity` to compare.

Everything is observed, nothing copied from the experiment file: the batch is what the forward pass received, the gradient norm
what the optimizer received, the settings what the optimizer held.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from bakeoff.contracts.configured import notes_of
from bakeoff.contracts.fields import Part
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.contracts.trainer import Signal
from bakeoff.errors import PluginError, RunError
from bakeoff.files import Tree
from bakeoff.records.record_files import read_model
from bakeoff.records.schema import ObservedGroup, Requested
from bakeoff.toolkit.optimizers import gradient_norm
from bakeoff.training.assembly import Assembly, assemble, components
from bakeoff.training.data import weights_sha256
from bakeoff.training.job import Job
from bakeoff.training.observer import Observer
from bakeoff.training.record_writer import message_of
from bakeoff.training.request import Request

LARGEST_TRACE = 2**30
"""The largest trace file that is read, in bytes."""


class StepTrace(Part):
    """What was observed of one training step. Digests are the first 16 hexadecimal digits of a SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    rows: list[int] | None
    """Numbers of the training rows that the model received, in order; None if they are unknown."""
    passes: list[int]
    """Number of examples in each forward pass; more than one pass if gradients are accumulated over micro-batches."""
    tokens: int
    """Number of tokens without padding; 0 if there is no attention mask."""
    shape: list[int]
    """Shape of the first input of the first forward pass."""
    batch: str
    """Digest of the tensors that the forward passes received, without labels."""
    labels: str
    random: str
    """Digest of the random state at the first forward pass."""
    random_later: str
    """Digests of the random state at the other forward passes, joined by blanks."""
    random_given: str
    """Digest of the random state as the job set it at the beginning of the step."""
    loss: float
    pass_losses: list[float]
    """The mean loss of each forward pass by the harness's own formula; empty if it was not observed."""
    learning_rates: list[float]
    """The distinct learning rates of the parameter groups, ascending."""
    unclipped_norm: float | None
    """Global 2-norm of the gradient after the backward pass, before clipping."""
    norm: float | None
    """Global 2-norm of the gradient that the optimizer received."""
    weights: str
    """Digest of the weights after the step; empty if the loss was not finite, because NaN has many bit patterns."""


class Trace(Part):
    """What one strategy did in all its traced steps."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    strategy: str
    requested: Requested
    recipe: Recipe
    """The recipe of `requested`, with all defaults."""
    total_steps: int
    initial_weights: str
    head_weights: str
    trainable: int
    """Number of weights that train."""
    optimizer: str
    groups: list[ObservedGroup]
    planned: list[list[int]]
    """Row numbers of the batches that the job gave, in order: at least the first epoch, and one batch more than was traced."""
    steps: list[StepTrace]
    notes: list[str]
    """The trainer's notes on the recipe."""
    trouble: str
    """What the trainer did wrong, or why the training failed; empty if it took exactly the allowed steps."""
    diverged: bool


class TracingObserver(Observer):
    """An observer that also stores the learning rates of all parameter groups at each step. It sums the gradient norm in the
    order of the model's parameters, because the order of an optimizer's groups may change the last digit."""

    def __init__(self) -> None:
        super().__init__(norm_every=1)
        self.parameters: list[Any] = []
        self.rates: list[list[float]] = []
        self.received: list[float | None] = []

    def _see(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        super()._see(optimizer, args, kwargs)
        self.rates.append(sorted({float(group["lr"]) for group in optimizer.param_groups}))
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        self.received.append(float(gradient_norm(gradients)) if gradients else None)


@dataclass
class OpenStep:
    """What has been observed of the current step; lists have one entry for each forward pass."""

    random_given: str = ""
    rates_before: int = 0
    """How many steps of the optimizer had been observed before this step."""
    random: list[str] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    given_labels: list[Any] = field(default_factory=list)
    """Labels that the model received; `labels` holds those that `job.loss` received."""
    labels: list[Any] = field(default_factory=list)
    norms: dict[int, Any] = field(default_factory=dict)
    """A trained parameter's number -> norm of its gradient before clipping."""


class TracedJob(Job):
    """The job of a real run, with its whole schedule; it records each step and signals STOP after `limit` steps."""

    def __init__(self, *given: Any, limit: int | None, **rest: Any) -> None:
        """limit: how many steps to trace; None for all."""
        self.observer: TracingObserver
        observer = TracingObserver()
        super().__init__(*given, observer=observer, **rest)
        self.limit = min(limit or self.total_steps, self.total_steps)
        self.steps: list[StepTrace] = []
        self.loss_watch.steps = frozenset(range(self.limit))
        self.row_of: dict[tuple[int, ...], int] = {}
        for number, row in enumerate(self.examples):
            self.row_of.setdefault(tuple(row.get("input_ids", ())), number)
        self.input_names: set[str] = set()
        self.open = OpenStep()
        self.model.register_forward_pre_hook(self._see_forward, with_kwargs=True)
        observer.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        for index, parameter in enumerate(observer.parameters):
            parameter.register_post_accumulate_grad_hook(functools.partial(self._note_gradient, index))

    def planned(self) -> list[list[int]]:
        """Row numbers of the harness's batches, in order."""
        epochs = range(self.limit // self.schedule.steps_per_epoch + 1)
        return [list(batch) for epoch in epochs for batch in self.schedule.epoch(epoch)]

    def collate(self, examples: Sequence[Any]) -> dict[str, Any]:
        batch = super().collate(examples)
        self.input_names |= set(batch) - {"labels"}
        return batch

    def loss(self, logits: Any, labels: Any) -> Any:
        self.open.labels.append(labels.detach().cpu())
        return super().loss(logits, labels)

    def begin_step(self, step: int) -> None:
        if self._is_cut():
            self.raised = self.raised or PluginError(
                f"{self.trainer} continued after the signal to stop: return from `fit` when `end_step` or `end_epoch` returns "
                "Signal.STOP"
            )
            raise self.raised
        super().begin_step(step)
        self.open = OpenStep(random_given=self._random(), rates_before=len(self.observer.rates))

    def end_step(self, step: int, loss: Any) -> Signal:
        taken = len(self.observer.rates) > self.open.rates_before
        signal = super().end_step(step, loss)
        seen, value = self.open, float(loss.detach())
        labels = [{"labels": labels} for labels in seen.labels or seen.given_labels]
        self.steps.append(
            StepTrace(
                rows=self._rows(seen.inputs),
                passes=[len(next(iter(inputs.values()), ())) for inputs in seen.inputs],
                tokens=sum(int(inputs["attention_mask"].sum()) for inputs in seen.inputs if "attention_mask" in inputs),
                shape=[length for inputs in seen.inputs[:1] if inputs for length in next(iter(inputs.values())).shape],
                batch=_digest(seen.inputs),
                labels=_digest(labels),
                random=seen.random[0] if seen.random else "",
                random_later=" ".join(seen.random[1:]),
                random_given=seen.random_given,
                loss=value,
                pass_losses=self.loss_watch.mean_losses,
                learning_rates=self.observer.rates[-1] if taken else [],
                unclipped_norm=math.hypot(*(norm for _, norm in sorted(seen.norms.items()))) if seen.norms else None,
                norm=self.observer.received[-1] if taken else None,
                weights=weights_sha256(self.model.state_dict().items())[:16] if math.isfinite(value) else "",
            )
        )
        return Signal.STOP if self._is_cut() or not math.isfinite(value) else signal

    def end_epoch(self) -> Signal:
        return Signal.STOP if self._is_cut() else super().end_epoch()

    def _is_cut(self) -> bool:
        """Whether the limit has been reached before the training's own last step."""
        return len(self.steps) >= self.limit < self.total_steps

    def _see_forward(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(inspect.signature(model.forward).parameters, args, strict=False)) | kwargs
        self.open.random.append(self._random())
        self.open.inputs.append({name: given[name].detach().cpu() for name in sorted(self.input_names & set(given))})
        if hasattr(given.get("labels"), "detach"):
            self.open.given_labels.append(given["labels"].detach().cpu())

    def _note_gradient(self, index: int, parameter: Any) -> None:
        self.open.norms[index] = gradient_norm([parameter.grad]) / self.scaler.get_scale()  # 1 but for fp16

    def _random(self) -> str:
        import torch

        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return hashlib.sha256(b"".join(state.numpy().tobytes() for state in states)).hexdigest()[:16]

    def _rows(self, passes: Sequence[Mapping[str, Any]]) -> list[int] | None:
        """Numbers of the training rows with these token ids, the first one of rows with the same text; None if an input is no
        training row."""
        if not passes or not all({"input_ids", "attention_mask"} <= set(inputs) for inputs in passes):
            return None
        texts = [
            tuple(ids[mask.bool()].tolist())
            for inputs in passes
            for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        ]
        return [self.row_of[text] for text in texts] if all(text in self.row_of for text in texts) else None


def trace_strategy(request: Request, limit: int | None, registry: Registry) -> Trace:
    """Trains as the run of this request would, for `limit` steps (None: all), and returns the trace.

    Errors before the first step are raised; errors while training are the trace's `trouble`.
    """
    if request.recipe.torch_compile:
        name = request.requested.strategy
        raise PluginError(f"strategy '{name}' compiles its model, whose passes can't be traced: leave `torch_compile` out")
    run = assemble(request, components(request, registry))
    return trace(run, run.job(TracedJob, limit=limit))


def trace(run: Assembly, job: TracedJob) -> Trace:
    """Trains the assembled run with this job, and returns the trace."""
    trouble = train_under(job, run.trainer, run.options)
    return Trace(
        strategy=run.request.requested.strategy,
        requested=run.request.requested,
        recipe=run.request.recipe,
        total_steps=job.total_steps,
        initial_weights=run.initial_sha256[:16],
        head_weights=run.head_sha256[:16],
        trainable=sum(parameter.numel() for parameter in job.model.parameters() if parameter.requires_grad),
        optimizer=job.observer.optimizer,
        groups=job.observer.groups,
        planned=job.planned(),
        steps=job.steps,
        notes=notes_of(run.trainer, run.request.recipe, run.options),
        trouble=str(trouble) if isinstance(trouble, PluginError | RunError) else message_of(trouble) if trouble else "",
        diverged=isinstance(trouble, RunError),
    )


def train_under(job: TracedJob, trainer: Any, options: Any) -> Exception | None:
    """Lets the trainer train. Returns the error that it raised, or that the job found afterwards (too few steps, say); None if
    there was none."""
    try:
        with job.observer, job.watched():
            trainer.fit(job, options)
        job.check(steps=job.limit)
    except Exception as error:  # part of what the trainer did
        return error
    return None


def trace_into(say: Callable[[dict[str, Any]], None], request: str, limit: int, file: str) -> None:
    """Runs in a worker process: writes the trace of the request to a file, then says {"traced": file}."""
    import bakeoff.machine.preload  # noqa: F401 - where there is no fork server, its settings are made here

    seen = trace_strategy(Request.model_validate_json(request), limit, load_registry())
    Tree(Path(file).parent).write(Path(file), seen.model_dump_json().encode(), synced=False)
    say({"traced": file})


def _digest(passes: Sequence[Mapping[str, Any]]) -> str:
    """Digest of the tensors of all forward passes; empty if there are none."""
    named = [(f"{number} {name}", tensor) for number, inputs in enumerate(passes) for name, tensor in inputs.items()]
    return weights_sha256(named)[:16] if named else ""


def read_trace(path: Path) -> Trace:
    """Reads a trace file. Raises BakeoffError that names the file and what is wrong with it."""
    return read_model(Trace, path, "trace of a training", at_most=LARGEST_TRACE)
