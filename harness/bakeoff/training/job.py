"""The job that a trainer is handed: `components.TrainingJob` made real for one run."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from bakeoff.contracts.method import ParameterGroup
from bakeoff.contracts.model import Batch, Prepared
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.task import Row
from bakeoff.contracts.trainer import MicroBatch, Owned, Signal
from bakeoff.errors import PluginError, RunError
from bakeoff.machine.random_streams import restart_random, stream_seed
from bakeoff.records.schema import LossScale
from bakeoff.records.training_state import BESIDE_THE_MODEL, STATES_OF_A_MODEL, Due, require_fit, state_of
from bakeoff.training.checkpoints import Checkpoints, Facts, Saved, Tensors, optimizer_state, restore_optimizer
from bakeoff.training.data import Lazy, epoch_batches
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.flops import Counter, counted_steps, extrapolate
from bakeoff.training.loss_scale import LossWatch, Share, StepFacts, scale_of
from bakeoff.training.observer import Observer

LOOK_SECONDS = 0.5
"""How often a loss is read while training: for the progress line, and to see divergence. Each look waits for the device."""

LOOK_STEPS = 16
"""The same where several processes share a run: they look together, and no two clocks agree."""


class Examples(Lazy[Row]):
    """The encoded rows to train on, each with its label and its number."""

    def __init__(self, encoded: Sequence[Row], labels: Sequence[Any]) -> None:
        if len(encoded) != len(labels):
            raise ValueError(f"{len(encoded)} encoded examples and {len(labels)} labels")
        self.encoded, self.labels = encoded, labels

    def __len__(self) -> int:
        return len(self.encoded)

    def item(self, number: int) -> Row:
        return {**self.encoded[number], "labels": self.labels[number], "row": number}


Fed = tuple[Batch, int, int]
"""Rows, tokens, and tokens with padding of a micro-batch."""

P = ParamSpec("P")
R = TypeVar("R")


def _remembered(method: Callable[Concatenate[Job, P], R]) -> Callable[Concatenate[Job, P], R]:
    """Keeps an exception that went through the trainer, so that one that swallows it is found out."""

    @functools.wraps(method)
    def guarded(self: Job, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.raised = self.raised or error
            raise

    return cast("Callable[Concatenate[Job, P], R]", guarded)


class Job:
    """One run's training. See `components.TrainingJob` for what a trainer may call."""

    def __init__(
        self,
        *,
        model: Any,
        recipe: Recipe,
        device: Any,
        prepared: Prepared,
        encoded: Sequence[Row],
        labels: Sequence[Any],
        mean_loss: Callable[..., Any],
        groups: Sequence[ParameterGroup],
        seed: tuple[int, int],
        observer: Observer,
        world: World = ALONE,
        owns: Owned = frozenset(),
        trainer: str = "the trainer",
        on_first_step: Callable[[], None] = lambda: None,
        on_look: Callable[[int, float], None] = lambda step, loss: None,
        on_epoch: Callable[[], None] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """`labels` are what `mean_loss` gets, both of the task's kind; `seed` is (seed, replicate); `on_look` gets a step
        and its loss, about twice a second.

        `trainer` is what errors call it, `owns` what it does its own way. `on_epoch` is called once at the end of every epoch,
        the training's end apart: there a trainer need not say `end_epoch`. Of `checkpoints`, the newest is taken up, and
        further ones are made.
        """
        self.model, self.recipe, self.device = model, recipe, device
        self.prepared, self.groups, self.seed, self.observer = prepared, groups, seed, observer
        self.world, self.rank, self.world_size = world, world.rank, world.size
        self.trainer, self.owns = trainer, owns
        self.on_first_step, self.on_look, self.on_epoch = on_first_step, on_look, on_epoch
        self.examples = Examples(encoded, labels)
        self.mean_loss = functools.partial(mean_loss, label_smoothing=recipe.label_smoothing)
        self.steps_per_epoch = math.ceil(len(self.examples) / recipe.batch_size)
        self.total_steps = recipe.max_steps or (recipe.epochs or 0) * self.steps_per_epoch
        warmup = recipe.warmup
        self.warmup_steps = math.ceil(warmup * self.total_steps) if isinstance(warmup, float) else warmup
        self.first_step = self.first_epoch = self.begun = 0
        self.losses: list[Any] = []
        self.clock: list[float] = []
        self.fed: list[Fed] = []
        """Each micro-batch that this process collated, in order."""
        self.pooled: tuple[list[float], list[list[Fed]]] | None = None
        self.pooled_scales: list[list[StepFacts]] | None = None
        """Loss and micro-batches of each step, of all processes together."""
        self.raised: Exception | None = None
        self.diverged_at: int | None = None
        self.epochs_ended = 0
        self.counter, self.counted_steps = Counter(), counted_steps(self.total_steps)
        self.loss_watch = LossWatch(model, self.mean_loss, world_size=self.world_size)
        self.watched_losses = self.counted_steps | self._first_short_step()
        self.operations: dict[int, int] = {}
        """Step -> floating-point operations of this process in it, of the steps that were watched."""
        self.seconds = 0.0
        self.resumed_at: list[int] = []
        self._last_look = time.monotonic()
        self._first = 0.0
        self.checkpoints, self.saved = checkpoints, self._newest(checkpoints) if checkpoints else None
        self.state_of_others: Callable[[], tuple[Tensors, Facts]] = lambda: ({}, {})
        """What a checkpoint keeps beside the training itself."""
        self._optimizer: tuple[Any, Any, Callable[[], None]] | None = None
        if self.saved is not None:
            self._take_up(self.saved)

    @_remembered
    def batches(self, epoch: int) -> list[Batch]:
        left = self.first_step - self.first_epoch * self.steps_per_epoch if epoch == self.first_epoch else 0
        return self._whole_epoch(epoch)[left:]

    def _first_short_step(self) -> frozenset[int]:
        """The last step of the first epoch where its batch is short: there a loss may be scaled otherwise."""
        last = self.steps_per_epoch - 1
        return frozenset({last} if len(self.examples) % self.recipe.batch_size and last < self.total_steps else ())

    def _whole_epoch(self, epoch: int) -> list[Batch]:
        seed, replicate = self.seed
        return epoch_batches(len(self.examples), self.recipe.batch_size, seed=seed, replicate=replicate, epoch=epoch)

    def micro_batches(self, batch: Batch) -> list[MicroBatch]:
        size = self.recipe.micro_batch_size or self.recipe.batch_size
        passes = [batch[start : start + size] for start in range(0, len(batch), size)]
        shares = [rows[self.rank :: self.world_size] for rows in passes]
        return [MicroBatch(rows or batch[:1], len(rows) / len(batch)) for rows in shares]

    @_remembered
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        inputs = [{name: value for name, value in row.items() if name != "row"} for row in examples]
        batch = self.prepared.collate(inputs)
        first = next(iter(value for name, value in batch.items() if name != "labels"))
        tokens = sum(len(row["input_ids"]) for row in examples) if "input_ids" in examples[0] else 0
        self.fed.append((tuple(row["row"] for row in examples), tokens, first.numel()))
        return batch

    def autocast(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bf16")

    @_remembered
    def loss(self, logits: Any, labels: Any) -> Any:
        self.loss_watch.asked(logits, labels)
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
    def begin_step(self, step: int) -> None:
        began = time.perf_counter()
        if step != self.begun:
            raise PluginError(f"{self.trainer} began step {step} where step {self.begun} was due")
        if step >= self.total_steps:
            raise PluginError(f"{self.trainer} began step {step + 1} of {self.total_steps}")
        if step == self.first_step:
            self.on_first_step()
            self._first = time.perf_counter() - (self.clock[-1] if self.clock else 0.0)
        self.begun += 1
        restart_random(stream_seed(*self.seed, "dropout", step, self.rank))
        if step in self.watched_losses:
            self.loss_watch.begin(*self._due(step))
        if step in self.counted_steps:
            self.counter.start()
        self.seconds += time.perf_counter() - began

    @_remembered
    def end_step(self, step: int, loss: Any) -> Signal:
        began = time.perf_counter()
        if step != len(self.losses) or step != self.begun - 1:
            raise PluginError(f"{self.trainer} ended step {step} where step {len(self.losses)} was due")
        if step in self.counted_steps:
            self.counter.stop()
            self.operations[step] = self.counter.flops - sum(self.operations.values())
        self.loss_watch.end(loss)
        self.losses.append(loss.detach())
        self.clock.append(began - self._first)
        due = time.monotonic() - self._last_look > LOOK_SECONDS if self.world_size == 1 else (step + 1) % LOOK_STEPS == 0
        if due or step + 1 == self.total_steps:
            self._look(step)
        going_on = step + 1 < self.total_steps and self.diverged_at is None
        if self.checkpoints is not None and self.checkpoints.due(step + 1) and going_on:
            self._save(self.checkpoints)
        self.seconds += time.perf_counter() - began
        return Signal.STOP if self.diverged_at is not None else Signal.CONTINUE

    @_remembered
    def resume(self, optimizer: Any, scheduler: Any, before_saving: Callable[[], None] = lambda: None) -> None:
        self._optimizer = optimizer, scheduler, before_saving
        if self.saved is not None:
            restore_optimizer(optimizer, scheduler, self.saved)
            self.saved = None  # its tensors are in their places now
            self.end_epoch()  # due where the checkpoint was made at an epoch's last step

    def _save(self, checkpoints: Checkpoints) -> None:
        """A checkpoint of all that has been done up to this step."""
        import torch

        if self._optimizer is None:
            raise PluginError(f"{self.trainer} did not hand over its optimizer by `resume`, so that no checkpoint can be made")
        optimizer, scheduler, before_saving = self._optimizer
        before_saving()
        steps = len(self.losses)
        tensors = {f"model/{name}": tensor for name, tensor in self._weights().items()}
        tensors["losses"] = torch.stack([loss.reshape(()) for loss in self.losses])
        optimizer_tensors, facts = optimizer_state(optimizer, scheduler)
        other_tensors, others = self.state_of_others()
        facts |= {
            "clock": self.clock,
            "fed": self.fed[: sum(len(parts) for parts in self._given())],
            "operations": {str(step): flops for step, flops in self.operations.items()},
            "epochs_ended": self.epochs_ended,
            "observer": self.observer.state(),
            "loss_scale": self.loss_watch.facts(),
            "resumed_at": self.resumed_at,
            "others": others,
        }
        plain = state_of(facts).model_dump(mode="json")
        checkpoints.save(steps, tensors | optimizer_tensors | other_tensors, plain)

    def _weights(self) -> dict[str, Any]:
        """All that training may change."""
        frozen = {name for name, parameter in self.model.named_parameters() if not parameter.requires_grad}
        return {name: tensor for name, tensor in self.model.state_dict().items() if name not in frozen}

    def _newest(self, checkpoints: Checkpoints) -> Saved | None:
        """The newest checkpoint that fits this run and its model."""
        weights = self._weights()

        def check(saved: Saved) -> None:
            state = state_of(saved.facts)
            given = None
            if "order" not in self.owns:
                given = [part.rows for parts in self._given(min(saved.steps, self.total_steps)) for part in parts]
            require_fit(saved.steps, state, saved.tensors, Due(self.total_steps, self.steps_per_epoch, given, weights))
            saved.facts.update(state.model_dump())

        size = sum(tensor.nbytes for tensor in weights.values())
        return checkpoints.newest(check, most_bytes=STATES_OF_A_MODEL * size + BESIDE_THE_MODEL)

    def _take_up(self, saved: Saved) -> None:
        """Everything but the optimizer, which the trainer has yet to make."""
        facts = saved.facts
        weights = {name.removeprefix("model/"): value for name, value in saved.tensors.items() if name.startswith("model/")}
        self.model.load_state_dict(weights, strict=False)
        self.first_step = self.begun = saved.steps
        self.first_epoch = saved.steps // self.steps_per_epoch
        self.losses = list(saved.tensors["losses"].to(self.device))
        self.clock = facts["clock"]
        self.fed = [(tuple(rows), tokens, padded) for rows, tokens, padded in facts["fed"]]
        self.operations = {int(step): flops for step, flops in facts["operations"].items()}
        self.counter.flops = sum(self.operations.values())
        self.epochs_ended = facts["epochs_ended"]
        self.observer.take_up(facts["observer"])
        self.loss_watch.before = facts["loss_scale"]
        self.resumed_at = [*facts["resumed_at"], saved.steps]

    @_remembered
    def end_epoch(self) -> Signal:
        if self.diverged_at is not None:
            return Signal.STOP
        if len(self.losses) == (self.epochs_ended + 1) * self.steps_per_epoch < self.total_steps:
            self.epochs_ended += 1
            if self.on_epoch is not None:
                began = time.perf_counter()
                self.on_epoch()
                self._first += time.perf_counter() - began  # the steps' clock stands still meanwhile
        return Signal.CONTINUE

    def _look(self, step: int) -> None:
        value = float(self.world.sum(self.losses[step]))
        self._last_look = time.monotonic()
        self.on_look(step + 1, value)
        if not math.isfinite(value):
            self.diverged_at = step

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around `fit`: ends all counting; of a trainer that owns its steps everything is counted."""
        if "steps" in self.owns:
            self.on_first_step()  # its training is all that it does
            self.counter.start()
        try:
            yield
        finally:
            self.counter.stop()
            self.loss_watch.close()

    def check(self, *, steps: int | None = None) -> None:
        """After `fit`: raises RunError for divergence, PluginError where the trainer did not do what it was told.

        Collective. `steps` is how many it was allowed: all of them, unless it was stopped before.
        """
        allowed = self.total_steps if steps is None else steps
        if self.raised is not None:
            raise PluginError(
                f"{self.trainer} swallowed an exception: {type(self.raised).__name__}: {self.raised}"
            ) from self.raised
        if "steps" in self.owns:
            return
        self._pool()
        if bad := [step for step, loss in enumerate(self.step_losses()) if not math.isfinite(loss)]:
            raise RunError("diverged", f"the loss was not finite at step {bad[0] + 1} of {self.total_steps}")
        for what, count in (
            ("began", self.begun),
            ("ended", len(self.losses)),
            ("took with its optimizer", self.observer.steps),
        ):
            if count != allowed:
                raise PluginError(f"{self.trainer} {what} {count} steps; the job allowed {allowed}, no more and no fewer")
        due = (allowed - 1) // self.steps_per_epoch
        if self.on_epoch is not None and self.epochs_ended < due:
            raise PluginError(
                f"{self.trainer} called `end_epoch` after {self.epochs_ended} of the {due} epochs before the last; "
                "select: best-on-dev needs it after each"
            )

    def check_order(self) -> None:
        """After `fit`: raises PluginError where what was trained on is not what the harness gave out, in order."""
        collated = iter(self.fed)
        for step, parts in enumerate(self._given()):
            fed = list(itertools.islice(collated, len(parts)))
            if len(fed) < len(parts):
                raise PluginError(f"{self.trainer} collated only {len(self.fed)} batches through the job in {step + 1} steps")
            if any(part.rows != rows for part, (rows, _, _) in zip(parts, fed, strict=True)):
                raise PluginError(f"{self.trainer} trained step {step + 1} on other rows than the job's batches give")

    def _given(self, steps: int | None = None) -> Iterator[list[MicroBatch]]:
        """The micro-batches of each step that was taken, or of so many; a trainer may collate further ahead."""
        batches = itertools.chain.from_iterable(self._whole_epoch(epoch) for epoch in itertools.count())
        for batch in itertools.islice(batches, len(self.losses) if steps is None else steps):
            yield self.micro_batches(batch)

    def _pool(self) -> None:
        """Puts together what the processes have trained on, and their parts of each step's loss."""
        if self.world_size == 1:
            return
        mine = self.step_losses(), list(self.trained()), self.loss_watch.facts()
        losses, trained, scales = zip(*self.world.gather(mine), strict=True)
        if len(set(counts := [len(steps) for steps in losses])) > 1:
            raise PluginError(f"{self.trainer} ended other numbers of steps on its processes: {', '.join(map(str, counts))}")
        self.pooled = (
            [math.fsum(parts) for parts in zip(*losses, strict=True)],
            [[_together(shares) for shares in zip(*step, strict=False)] for step in zip(*trained, strict=True)],
        )
        self.pooled_scales = list(scales)

    def loss_scale(self) -> LossScale | None:
        """How the trainer's loss and gradients stand to the mean over each batch; of all processes, once `check` has run."""
        return scale_of(self.pooled_scales or [self.loss_watch.facts()], self.recipe.batch_size)

    def _due(self, step: int) -> tuple[int, list[Share]]:
        """Rows of a step's batch, and what the forward passes of this process are due to have of it."""
        epoch, place = divmod(step, self.steps_per_epoch)
        batch = self._whole_epoch(epoch)[place]
        if "order" in self.owns:
            return len(batch), []
        parts = self.micro_batches(batch)
        return len(batch), [Share([self.examples.labels[row] for row in part.rows], part.weight) for part in parts]

    def trained(self) -> Iterable[list[Fed]]:
        """What was collated for each step that was taken, by micro-batch; no row where none carried weight.

        Of all processes, once `check` has put their shares together.
        """
        if "steps" in self.owns:
            return [[share] for share in self.fed]
        return self.pooled[1] if self.pooled else self._trained_here()

    def _trained_here(self) -> Iterator[list[Fed]]:
        collated = iter(self.fed)
        for parts in self._given():
            fed = zip(parts, itertools.islice(collated, len(parts)), strict=False)
            yield [share if part.weight or "order" in self.owns else ((), 0, 0) for part, share in fed]

    def step_losses(self) -> list[float]:
        """The losses of all steps; waits for the device once."""
        if self.pooled:
            return self.pooled[0]
        if not self.losses:
            return []
        import torch

        return [float(loss) for loss in torch.stack([loss.reshape(()) for loss in self.losses]).tolist()]

    def seen(self) -> tuple[int, int, int]:
        """Examples, tokens, and tokens with padding."""
        fed = list(itertools.chain.from_iterable(self.trained()))
        return sum(len(rows) for rows, _, _ in fed), sum(tokens for _, tokens, _ in fed), sum(padded for _, _, padded in fed)

    def flops(self) -> tuple[float | None, str]:
        """Floating-point operations of the whole training, over all processes, and how they were counted."""
        if self.counter.compiled:
            return None, "not counted: torch.compile's kernels do not tell what they compute"
        if "steps" in self.owns:
            return float(self.counter.flops), "all of torch's operators in the training by torch.utils.flop_counter's formulas"
        steps = list(self._trained_here())
        counted = [
            (flops, sum(tokens for _, tokens, _ in steps[step]), sum(padded for _, _, padded in steps[step]))
            for step, flops in self.operations.items()
            if step < len(steps)
        ]
        _, tokens, padded = self.seen()
        return extrapolate(counted, tokens, padded)

    def order_sha256(self) -> str:
        rows = [tuple(itertools.chain.from_iterable(rows for rows, _, _ in fed)) for fed in self.trained()]
        return hashlib.sha256(repr(rows).encode()).hexdigest()


def _together(shares: Sequence[Fed]) -> Fed:
    """The micro-batch of which each process had a share: they were dealt its rows one by one."""
    rows, tokens, padded = zip(*shares, strict=True)
    dealt = itertools.chain.from_iterable(itertools.zip_longest(*rows))
    return tuple(row for row in dealt if row is not None), sum(tokens), sum(padded)
