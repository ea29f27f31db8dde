"""The job that a trainer is given: `contracts.trainer.TrainingJob`, implemented for one run."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from bakeoff.contracts.method import Adaptation
from bakeoff.contracts.model import Batch, Prepared
from bakeoff.contracts.task import Row
from bakeoff.contracts.trainer import MicroBatch, Owned, Signal
from bakeoff.errors import PluginError, RunError
from bakeoff.machine.random_streams import restart_random, stream_seed
from bakeoff.records.schema import Observed
from bakeoff.text.numbers import count
from bakeoff.training.checkpoints import Checkpointing, Checkpoints, Saved
from bakeoff.training.fed_batches import Examples, FedBatches, StepSchedule, totals
from bakeoff.training.flops import Counter, counted_steps, extrapolate
from bakeoff.training.loss_scale import LossWatch, StepFacts, scale_of
from bakeoff.training.mixed_precision import autocast, loss_scaler
from bakeoff.training.observer import Observer

POLL_SECONDS = 0.5
"""How often the loss is read while training, for the progress line and to detect divergence. Reading waits for the device."""

POLL_STEPS = 16
"""If several processes share a run, the loss is read after each so many steps instead: all must read it at the same step, and
their clocks differ."""


@dataclass(frozen=True)
class Callbacks:
    """Functions that a job calls during the training."""

    first_step: Callable[[], None] = lambda: None
    loss: Callable[[int, float], None] = lambda steps, loss: None
    """Receives the number of steps taken and the loss of the last one, about twice a second."""
    evaluate: Callable[[], bool] | None = None
    """Called at the end of each epoch but the last, or after every `evaluate_every` steps but the last; True ends the training
    there. If it is called after epochs, the trainer must call `end_epoch`."""


F = TypeVar("F", bound=Callable[..., Any])


def _remembered(method: F) -> F:
    """Stores an exception that the job raises in a trainer's call, so that a trainer that swallows it is detected."""

    @functools.wraps(method)
    def guarded(self: Job, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.raised = self.raised or error
            raise

    return cast("F", guarded)


class Job:
    """The training of one run. `contracts.trainer.TrainingJob` describes what a trainer may call."""

    def __init__(
        self,
        adaptation: Adaptation,
        prepared: Prepared,
        examples: Examples,
        schedule: StepSchedule,
        *,
        mean_loss: Callable[..., Any],
        class_weights: Any = None,
        optimizer: Callable[[list[dict[str, Any]]], Any] | None = None,
        device: Any,
        observer: Observer | None = None,
        owns: Owned = frozenset(),
        trainer: str = "the trainer",
        callbacks: Callbacks | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """mean_loss: computes the mean loss over rows for the task's kind. class_weights: given to it, (n_outputs,) or None.
        optimizer: makes the plugin's optimizer of parameter groups, if the recipe names one. trainer: its name in messages.
        owns: see `Trainer.owns`. Training continues from the newest of `checkpoints`, and saves further ones."""
        self.model, self.groups, self.prepared = adaptation.model, adaptation.groups, prepared
        self.examples: Sequence[Row] = examples
        self.labels = examples.labels
        self.schedule, self.recipe, self.world = schedule, schedule.recipe, schedule.world
        self.rank, self.world_size = self.world.rank, self.world.size
        self.total_steps, self.warmup_steps = schedule.total_steps, schedule.warmup_steps
        self.device, self.observer, self.trainer, self.owns = device, observer or Observer(), trainer, owns
        self.make_optimizer = optimizer
        self.made_optimizer: Any = None
        """The plugin's optimizer, once the trainer has asked for it."""
        self.callbacks = callbacks or Callbacks()
        self.first_step = self.first_epoch = self.begun = self.epochs_ended = 0
        self.losses: list[Any] = []
        self.clock: list[float] = []
        """Seconds from the start of the first step to the end of each step."""
        self.fed = FedBatches(schedule, owns)
        stopping = self.recipe.early_stopping
        certain = self.total_steps if stopping is None else schedule.evaluate_every * (stopping.patience + 1)
        self.counter = Counter(counted_steps(min(certain, self.total_steps)))
        weighted = {} if class_weights is None else {"class_weights": class_weights.to(device)}
        self.mean_loss = functools.partial(mean_loss, label_smoothing=self.recipe.label_smoothing, **weighted)
        watched = self.counter.steps | schedule.first_short_step
        if self.recipe.precision == "fp16":  # its gradients are scaled, each step by another number
            watched = frozenset()
        self.loss_watch = LossWatch(self.model, self.mean_loss, steps=watched, world_size=self.world_size)
        self.pooled: tuple[list[float], list[list[StepFacts]]] | None = None
        """Over all processes: the loss of each step, and the facts of each process for `scale_of`; None before `check`."""
        self.stopped_at: int | None = None
        """The steps after which early stopping ended the training; None where it did not."""
        self.checkpoint_owed = False
        """Whether a checkpoint was due at the end of an epoch, where it is not known yet whether training goes on."""
        self.evaluates_within = self.recipe.evaluate_every is not None and self.callbacks.evaluate is not None
        """Whether the job evaluates after steps, not after epochs."""
        self.raised: Exception | None = None
        self.diverged_at: int | None = None
        self.seconds = 0.0
        """Time that the harness itself took within the trainer's steps, in seconds."""
        self.resumed_at: list[int] = []
        self._last_poll, self._first = time.monotonic(), 0.0
        self._scale = 1.0
        """The loss scale of fp16 at the beginning of the step."""
        self.checkpointing = Checkpointing(checkpoints, self.model, schedule, own_order="order" in owns)
        if self.checkpointing.saved is not None:
            self._continue_from(self.checkpointing.saved)

    @_remembered
    def batches(self, epoch: int) -> list[Batch]:
        left = self.first_step - self.first_epoch * self.schedule.steps_per_epoch if epoch == self.first_epoch else 0
        return self.schedule.epoch(epoch)[left:]

    def micro_batches(self, batch: Batch) -> list[MicroBatch]:
        return self.schedule.micro_batches(batch)

    @_remembered
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        if not all(isinstance(row, Mapping) and "row" in row for row in examples):
            raise PluginError(
                f"{self.trainer} gave `job.collate` rows that are not of `job.examples`: give "
                "`[job.examples[row] for row in part.rows]`"
            )
        batch = self.prepared.collate([{name: value for name, value in row.items() if name != "row"} for row in examples])
        if "labels" not in batch:
            raise PluginError(
                "the model's `collate` returned no `labels`, though the examples have them: pass them on, (batch,)"
            )
        self.fed.add(examples, batch)
        return batch

    def autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.device, self.recipe.precision)

    @functools.cached_property
    def scaler(self) -> Any:
        return loss_scaler(self.device, self.recipe.precision)

    @_remembered
    def loss(self, logits: Any, labels: Any) -> Any:
        self.loss_watch.loss_of(logits, labels)
        return self.mean_loss(logits, labels)

    def parameter_groups(self) -> list[dict[str, Any]]:
        parameters = dict(self.model.named_parameters())
        return [
            {
                "params": [parameters[name] for name in group.names],
                "lr": self.recipe.learning_rate * group.lr_scale,
                "weight_decay": group.weight_decay,
            }
            for group in self.groups
        ]

    @_remembered
    def plugin_optimizer(self, groups: list[dict[str, Any]]) -> Any | None:
        if self.make_optimizer is not None:
            self.made_optimizer = self.make_optimizer(groups)
        return self.made_optimizer

    @_remembered
    def begin_step(self, step: int) -> None:
        began = time.perf_counter()
        if (wrong := self._wrong_begin(step)) is not None:
            raise PluginError(f"{self.trainer} {wrong}")
        if step == self.first_step:
            self.callbacks.first_step()
            self._first = time.perf_counter() - (self.clock[-1] if self.clock else 0.0)
        self.begun += 1
        restart_random(stream_seed(*self.schedule.seed, "dropout", step, self.rank))
        if step in self.loss_watch.steps:
            batch = self.schedule.batch(step)
            parts = [] if "order" in self.owns else self.micro_batches(batch)
            self.loss_watch.begin(len(batch), [([self.labels[row] for row in part.rows], part.weight) for part in parts])
        self.counter.begin(step)
        self._scale = self.scaler.get_scale() if self.recipe.precision == "fp16" else 1.0
        self.seconds += time.perf_counter() - began

    @_remembered
    def end_step(self, step: int, loss: Any) -> Signal:
        began = time.perf_counter()
        if (wrong := self._wrong_end(step, loss)) is not None:
            raise PluginError(f"{self.trainer} {wrong}")
        self.counter.end(step)
        self.loss_watch.end(loss)
        if self.recipe.precision == "fp16" and self.observer.steps == step and self.scaler.get_scale() < self._scale:
            self.observer.skip(self.checkpointing.connected and self.checkpointing.connected[0])  # its gradients overflowed
        self.losses.append(loss.detach())
        self.clock.append(began - self._first)
        due = time.monotonic() - self._last_poll > POLL_SECONDS if self.world_size == 1 else (step + 1) % POLL_STEPS == 0
        if due or step + 1 == self.total_steps:
            value = float(self.world.sum(self.losses[step]))
            self._last_poll = time.monotonic()
            self.callbacks.loss(step + 1, value)
            self.diverged_at = self.diverged_at if math.isfinite(value) else step
        ended = step + 1 == self.total_steps or self.diverged_at is not None
        if self.evaluates_within and not ended and (step + 1) % self.schedule.evaluate_every == 0:
            began += self._evaluate()
            ended = self.stopped_at is not None
        self.checkpoint_owed |= self.checkpointing.due(step + 1)
        may_stop = self.recipe.early_stopping is not None and (step + 1) % self.schedule.steps_per_epoch == 0
        if self.checkpoint_owed and not ended and (self.evaluates_within or not may_stop):
            self.checkpointing.make(self.losses, self._facts(), self.trainer)
            self.checkpoint_owed = False
        self.seconds += time.perf_counter() - began
        return Signal.CONTINUE if self.diverged_at is None and self.stopped_at is None else Signal.STOP

    def _evaluate(self) -> float:
        """Evaluates the model; returns the seconds that it took, for which the clock of the steps stands still."""
        assert self.callbacks.evaluate is not None
        began = time.perf_counter()
        if self.checkpointing.connected is not None:
            self.checkpointing.connected[2]()  # weights that the trainer keeps outside the model
        if self.callbacks.evaluate():
            self.stopped_at = len(self.losses)
        self._first += (seconds := time.perf_counter() - began)
        return seconds

    def _wrong_begin(self, step: int) -> str | None:
        """What is wrong with a call of `begin_step`, and what to do instead: the message after the trainer's name. None if
        nothing is."""
        ended = len(self.losses)
        if self.begun > ended:
            return (
                f"called begin_step({step}) before end_step({ended}): call `job.end_step({ended}, loss)` after the optimizer's "
                "step, and `begin_step` once a step, not once a micro-batch"
            )
        if step != self.begun and self.begun == self.first_step:
            first = "`job.first_step`, since the run goes on from a checkpoint" if self.first_step else "0"
            return f"called begin_step({step}) first, and the first step is {self.begun}: count steps from {first}"
        if step != self.begun:
            return (
                f"called begin_step({step}) after end_step({ended - 1}): count steps on over all epochs, {self.begun} is next"
            )
        if self.stopped_at is not None:
            return f"called begin_step({step}) after the job had returned Signal.STOP: return from `fit` then"
        if step >= self.total_steps:
            return (
                f"called begin_step({step}), and the job has {self.total_steps} steps, 0 to {self.total_steps - 1}: return "
                "from `fit` after `job.total_steps` steps"
            )
        return None

    def _wrong_end(self, step: int, loss: Any) -> str | None:
        """What is wrong with a call of `end_step`, and what to do instead, as for `_wrong_begin`; None if nothing is."""
        ended = len(self.losses)
        if self.begun == ended:
            return (
                f"called end_step({step}), and begin_step({ended}) was not called: call `job.begin_step({ended})` before the "
                "step's first forward pass"
            )
        if step != ended:
            return f"called end_step({step}) after begin_step({ended}): give both the number of the step"
        if not hasattr(loss, "detach") or loss.numel() != 1:
            what = f"a tensor of shape {tuple(loss.shape)}" if hasattr(loss, "detach") else f"a {type(loss).__name__}"
            return f"gave end_step({step}, loss) {what}: give the loss of the step as a tensor of one number (`loss.detach()`)"
        return None

    @_remembered
    def resume(self, optimizer: Any, scheduler: Any, before_saving: Callable[[], None] = lambda: None) -> None:
        if self.checkpointing.resume(optimizer, scheduler, before_saving):
            self.end_epoch()  # where the checkpoint was made at the last step of an epoch

    @_remembered
    def end_epoch(self) -> Signal:
        if self.diverged_at is not None:
            return Signal.STOP
        if len(self.losses) == (self.epochs_ended + 1) * self.schedule.steps_per_epoch < self.total_steps:
            self.epochs_ended += 1
            if self.callbacks.evaluate is not None and not self.evaluates_within:
                self._evaluate()
        return Signal.CONTINUE if self.stopped_at is None else Signal.STOP

    # --- what a checkpoint keeps -----------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """Everything but tensors that `_continue_from` needs to continue after this step."""
        return {
            "clock": self.clock,
            "fed": self.fed.up_to(len(self.losses)),
            "operations": {str(step): flops for step, flops in self.counter.of_step.items()},
            "epochs_ended": self.epochs_ended,
            "observer": self.observer.state(),
            "loss_scale": self.loss_watch.facts(),
            "resumed_at": self.resumed_at,
            "scaler": self.scaler.state_dict(),
        }

    def _continue_from(self, saved: Saved) -> None:
        """Restores the state of the job from a checkpoint: everything but weights and optimizer."""
        facts = saved.facts
        self.first_step = self.begun = saved.steps
        self.first_epoch = saved.steps // self.schedule.steps_per_epoch
        self.losses = list(saved.tensors["losses"].to(self.device))
        self.clock, self.epochs_ended = facts["clock"], facts["epochs_ended"]
        self.fed.here = [(tuple(rows), tokens, padded) for rows, tokens, padded in facts["fed"]]
        self.counter.continue_from({int(step): flops for step, flops in facts["operations"].items()})
        self.observer.continue_from(facts["observer"])
        self.loss_watch.before = facts["loss_scale"]
        if facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])
        self.resumed_at = [*facts["resumed_at"], saved.steps]

    # --- around and after `fit` ------------------------------------------------------------------------------------------

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context around the trainer's `fit`: stops counting operations and watching the loss at its end. If the trainer owns
        its steps, the operations of all of `fit` are counted."""
        if "steps" in self.owns:
            self.callbacks.first_step()  # all of `fit` is its training
            self.counter.start()
        try:
            yield
        finally:
            self.counter.stop()
            self.loss_watch.close()

    def check(self, *, steps: int | None = None) -> None:
        """To be called after `fit`, by every rank. Raises RunError if the loss diverged, PluginError if the trainer broke its
        contract.

        steps: how many steps the trainer should have taken; by default all, fewer if it was stopped before.
        """
        whole = self.total_steps if self.stopped_at is None else self.stopped_at
        allowed = whole if steps is None else steps
        self.require_nothing_swallowed()
        if "steps" in self.owns:
            return
        self._pool()
        if bad := [step for step, loss in enumerate(self.step_losses()) if not math.isfinite(loss)]:
            raise RunError("diverged", f"the loss was not finite at step {bad[0] + 1} of {self.total_steps}")
        if (wrong := self._wrong_count(allowed)) is not None:
            raise PluginError(f"{self.trainer} {wrong}")
        used = self.observer.optimizer
        if self.make_optimizer is not None and used and used != type(self.made_optimizer).__name__:
            raise PluginError(
                f"{self.trainer} took its steps by {used}, and the recipe names another optimizer: make it by "
                "`make_optimizer(job)`, or by `job.plugin_optimizer(groups)`"
            )
        due = (allowed - 1) // self.schedule.steps_per_epoch
        if self.callbacks.evaluate is not None and not self.evaluates_within and self.epochs_ended < due:
            raise PluginError(
                f"{self.trainer} called end_epoch() after {self.epochs_ended} of the {due} epochs before the last, and "
                "`select: best-on-dev` evaluates there: call `job.end_epoch()` after the last batch of each epoch"
            )

    def require_nothing_swallowed(self) -> None:
        """Raises PluginError if the trainer caught an exception that the job had raised."""
        if self.raised is not None:
            what = f"{type(self.raised).__name__}: {self.raised}"
            raise PluginError(f"{self.trainer} swallowed an exception of the job: {what}. Let it through") from self.raised

    def _wrong_count(self, allowed: int) -> str | None:
        """What is wrong with the number of steps that the trainer took, and what to do, as for `_wrong_begin`; None if nothing
        is. allowed: how many it should have taken."""
        began, ended, taken = self.begun, len(self.losses), self.observer.steps
        if not began:
            return (
                "returned from `fit` and never called begin_step(0): call `job.begin_step(step)` before each step and "
                "`job.end_step(step, loss)` after it"
            )
        if began > ended:
            return f"returned from `fit` after begin_step({ended}), and end_step({ended}) was not called: end each step"
        if ended != allowed:
            return (
                f"returned from `fit` after {count(ended, 'step')}, and the job asked for {allowed}: go on, epoch "
                "after epoch, until `job.total_steps` steps are done or `end_step` returns Signal.STOP"
            )
        if not taken:
            return (
                "took no step with a torch optimizer: call `optimizer.step()` before `job.end_step(step, loss)`, with an "
                "optimizer of `job.parameter_groups()`"
            )
        if taken != ended:
            return (
                f"took {count(taken, 'step')} with its optimizers in {count(ended, 'step')} of the job: call "
                "`optimizer.step()` once a step, after the backward passes of all its micro-batches"
            )
        return None

    def check_order(self) -> None:
        """To be called after `fit`. Raises PluginError if the trainer used other rows than the job's, or another order."""
        if "order" not in self.owns:
            self.fed.require_order(len(self.losses), self.trainer)

    def _pool(self) -> None:
        """Combines the rows that the processes trained on, and their parts of each step's loss. Every rank must call it."""
        mine = self.step_losses(), self.fed.of_steps(len(self.losses)), self.loss_watch.facts()
        losses, trained, scales = zip(*self.world.gather(mine), strict=True)
        if len(set(counts := [len(steps) for steps in losses])) > 1:
            shown = ", ".join(map(str, counts))
            raise PluginError(f"{self.trainer} took different numbers of steps on its processes: {shown}; take all, on each")
        self.pooled = [math.fsum(parts) for parts in zip(*losses, strict=True)], list(scales)
        self.fed.pool(trained)

    def step_losses(self) -> list[float]:
        """The losses of all steps: over all processes once `check` was called, else of this one. Waits for the device once."""
        if self.pooled:
            return self.pooled[0]
        if not self.losses:
            return []
        import torch

        return [float(loss) for loss in torch.stack([loss.reshape(()) for loss in self.losses]).tolist()]

    def counts(self) -> tuple[int, int, int]:
        """(examples, tokens, tokens with padding) of the training."""
        return self.fed.counts(len(self.losses))

    def observed(self) -> Observed | None:
        """What was observed of the optimizer, the rows and the loss of the training; None before the first step."""
        scale = scale_of(self.pooled[1] if self.pooled else [self.loss_watch.facts()], self.recipe.batch_size)
        order = self.fed.order_sha256(len(self.losses))
        return self.observer.observed(counts=self.counts(), order_sha256=order, loss_scale=scale)

    def flops(self) -> tuple[float | None, str]:
        """Floating-point operations of the whole training over all processes, and a note on how they were counted."""
        if self.counter.compiled:
            return None, "not counted: torch.compile's kernels cannot be counted"
        if "steps" in self.owns:
            return float(self.counter.flops), "all of torch's operators in the training by torch.utils.flop_counter's formulas"
        steps = self.fed.of_steps(len(self.losses))
        counted = [(flops, *totals(steps[step])[1:]) for step, flops in self.counter.of_step.items() if step < len(steps)]
        return extrapolate(counted, *self.counts()[1:])
