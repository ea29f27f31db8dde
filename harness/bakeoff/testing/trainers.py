"""The promises of a trainer, checked on a tiny model and 14 made-up pairs of texts, and compared with the manual loop
(torch-loop)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any
from unittest import SkipTest

import numpy as np

from bakeoff.contracts.trainer import Signal
from bakeoff.errors import PluginError
from bakeoff.files import temporary_folder
from bakeoff.machine import random_streams
from bakeoff.testing.bench import BenchJob, bench_job, reference, sha256_of, train
from bakeoff.testing.contract import Contract
from bakeoff.text.numbers import significant

BASE: Mapping[str, Any] = {"epochs": 2, "batch_size": 5, "learning_rate": 5e-3, "max_grad_norm": "none"}
"""A recipe of 6 steps, of which the third and sixth have a short batch. A trainer is given those of its keys that it claims to
follow."""

SGD = {"optimizer": "sgd", "learning_rate": 0.5}
VARIATIONS: Mapping[str, Mapping[str, Any]] = {
    "learning_rate": {"learning_rate": 2e-2},
    "optimizer": SGD,
    "momentum": {**SGD, "momentum": 0.9},
    "betas": {"betas": [0.3, 0.6]},
    "eps": {"eps": 0.05},
    "weight_decay": {"weight_decay": 20.0},
    "weight_decay_exempt": {"weight_decay": 20.0, "weight_decay_exempt": []},
    "max_grad_norm": {"max_grad_norm": 0.05},
    "bias_correction": {"bias_correction": False},
    "scheduler": {"scheduler": "constant"},
    "power": {"scheduler": "polynomial", "power": 3.0},
    "warmup": {"warmup": 4},
    "batch_size": {"batch_size": 7},
    "max_steps": {"max_steps": 3, "epochs": None},
    "min_steps": {"min_steps": 8},
    "label_smoothing": {"label_smoothing": 0.4},
    "class_weights": {"class_weights": "balanced"},
    "sampling": {"sampling": "weighted"},
    "data_seed": {"data_seed": 7},
    "cycles": {"scheduler": "cosine_with_restarts", "cycles": 3},
    "decay": {"scheduler": "warmup_stable_decay", "decay": 4},
}
"""Recipe key -> settings with which a trainer that ignores the key takes visibly different steps than the manual loop."""
TOLERANCE = 3e-3
"""Allowed relative difference of losses, rates and gradient norms: kernels round differently, and Adam amplifies that."""


Promise = Callable[["TrainerContract"], None]


class Raising(BenchJob):
    """A job whose `end_step` raises at its third step, as the harness does when something is wrong."""

    def end_step(self, step: int, loss: Any) -> Signal:
        if step == 2:
            raise PluginError("the contract suite raises this")
        return super().end_step(step, loss)


class Stopping(BenchJob):
    """A job that ends the training after its first epoch, as early stopping does."""

    def end_epoch(self) -> Signal:
        super().end_epoch()
        return Signal.STOP


class OtherDropout(BenchJob):
    """The same job, but with a different random stream for each step."""

    def begin_step(self, step: int) -> None:
        super().begin_step(step)
        random_streams.restart_random(10_000 + step)


def unless_owned(*what: str) -> Callable[[Promise], Promise]:
    """A decorator that skips a test if the trainer owns one of these parts of training (see `Trainer.owns`)."""

    def decorate(promise: Promise) -> Promise:
        @functools.wraps(promise)
        def check(self: TrainerContract) -> None:
            if own := sorted(set(what) & self.component.owns):
                raise SkipTest(f"it owns {', '.join(own)}")
            promise(self)

        return check

    return decorate


class TrainerContract(Contract):
    """Tests that every Trainer must pass. A test of a part of training is skipped if the trainer declares, in `owns`, that it
    does this part in its own way."""

    @unless_owned("steps")
    def test_it_takes_exactly_the_steps_of_the_job(self) -> None:
        _, trouble = self.trained()
        if isinstance(trouble, PluginError):
            self.broken(f"{trouble}")
        if trouble is not None:
            raise trouble

    @unless_owned("steps")
    def test_it_says_when_an_epoch_ends(self) -> None:
        job, _ = self.trained()
        if len(job.losses) == job.total_steps and job.epochs_ended < 1:
            self.broken("it does not call `job.end_epoch()` after the last batch of an epoch; `select: best-on-dev` needs it")

    @unless_owned("steps")
    def test_it_stops_when_told(self) -> None:
        for limit in (1, 3, 5):
            job, trouble = self.trained(limit=limit)
            if len(job.losses) > limit or (trouble and "signal to stop" in str(trouble)):
                self.broken(f"it continues after `end_step` returned STOP at step {limit}; return from `fit` then")

    @unless_owned("steps")
    def test_it_stops_after_an_epoch_when_told(self) -> None:
        job, _ = self.trained(made_as=Stopping)
        if len(job.losses) > job.schedule.steps_per_epoch:
            self.broken("it continues after `end_epoch` returned STOP; return from `fit` then, since dev got no better")

    @unless_owned("steps", "order")
    def test_it_trains_on_the_job_s_batches_in_their_order(self) -> None:
        job, _ = self.trained()
        try:
            job.check_order()
        except PluginError as error:
            self.broken(f"{error}; take `job.batches(epoch)` as they come, collate by `job.collate`")

    def test_it_sees_no_text_but_the_training_split_s(self) -> None:
        """`fit` must not evaluate on dev or test: the harness does that."""
        job, _ = self.trained()
        if job.foreign_texts:
            self.broken(
                f"in `fit` the model read {job.foreign_texts} texts that are in no training example; leave evaluation to the "
                "harness"
            )

    @unless_owned("steps")
    def test_it_lets_errors_through(self) -> None:
        job = self.job(made_as=Raising)
        try:
            self.component.fit(job, self.chosen())
        except PluginError:
            return
        self.broken("`fit` swallows an error of the job; let it through, else a failed run would count as a good one")

    def test_it_trains_the_job_s_model_in_place(self) -> None:
        job = self.job()
        before = sha256_of(job.model)
        train(job, self.component, self.chosen())
        if sha256_of(job.model) == before:
            self.broken("`fit` does not change the weights of `job.model`; train it in place, not a copy of it")

    def test_it_trains_only_what_the_method_trains(self) -> None:
        job = self.job(method="head-only")
        frozen = {name: p.detach().clone() for name, p in job.model.named_parameters() if not p.requires_grad}
        train(job, self.component, self.chosen())
        for name, parameter in job.model.named_parameters():
            if name in frozen and not parameter.detach().equal(frozen[name]):
                self.broken(f"`fit` changes {name}, which the method head-only froze; leave requires_grad as it is")

    def test_a_seed_reproduces_and_another_changes(self) -> None:
        hashes = [sha256_of(self.trained(seed=seed, dropout=0.3)[0].model) for seed in (0, 0, 1)]
        if hashes[0] != hashes[1]:
            self.broken("the same job gives different weights the second time; keep no state in the trainer, set no seeds")
        if hashes[0] == hashes[2]:
            self.broken("another seed gives the same weights; take order and random streams from the job")

    @unless_owned("steps", "randomness")
    def test_dropout_follows_the_job_s_random_streams(self) -> None:
        one, other = (self.losses(dropout=0.5, made_as=made_as) for made_as in (BenchJob, OtherDropout))
        if one == other:
            self.broken("losses with dropout do not depend on the random streams; set no seed in `fit`, call `model.train()`")

    @unless_owned("steps", "order", "loss")
    def test_micro_batches_add_up_to_the_batch(self) -> None:
        if "micro_batch_size" not in self.component.supports.recipe_keys:
            raise SkipTest("it does not claim to follow micro_batch_size")
        one, several = (self.losses(recipe={**SGD, "batch_size": 6, **more}) for more in ({}, {"micro_batch_size": 2}))
        if differs(one, several):
            self.broken(
                f"losses are {shown(several)} in micro-batches and {shown(one)} in one piece; weight each by `part.weight` and "
                "sum gradients and losses"
            )

    @unless_owned("steps", "order", "loss")
    def test_it_follows_the_recipe_keys_that_it_claims(self) -> None:
        """Compares the losses, learning rates and gradient norms of each step with those of the manual loop."""
        ignored = {}
        for key, settings in {"the defaults": {}, **VARIATIONS}.items():
            if not set(settings) <= self.component.supports.recipe_keys:
                continue
            theirs, _ = self.trained(recipe=settings)
            ours = self.job(recipe=settings, trainer=reference(), options=reference().Options())
            train(ours, reference(), reference().Options())
            if found := first_departure(theirs, ours):
                ignored[key] = found
        if "the defaults" in ignored:
            self.broken(f"with {self.base()} {ignored['the defaults']}")
        if ignored:
            keys = "; ".join(f"{key}: {found}" for key, found in ignored.items())
            self.broken(f"it claims recipe keys that it does not follow: {keys}. Follow them, or leave them out of `supports`")

    @unless_owned("steps")
    def test_it_uses_the_learning_rates_of_the_groups(self) -> None:
        job, _ = self.trained(lr_scales=(0.25, 1.0))
        rates = job.observer.rates[0] if job.observer.rates else []
        expected = sorted({scale * job.recipe.learning_rate for scale in (0.25, 1.0)})
        if len(rates) and (len(rates) != 2 or differs(rates, expected)):
            self.broken(
                f"its optimizer starts with learning rates {shown(rates)} where the groups ask for {shown(expected)}; take "
                "`job.parameter_groups()`"
            )

    @unless_owned("steps")
    def test_it_goes_on_from_a_checkpoint(self) -> None:
        """Checks that a training that is resumed from a checkpoint ends with exactly the same weights; required if
        `supports.resume` is set."""
        if not self.component.supports.resume:
            raise SkipTest("it does not claim to resume")
        with temporary_folder() as folder:
            first, _ = self.trained(dropout=0.3, checkpoints=folder)
            if not first.checkpointing.connected:
                self.broken("it claims to resume and never calls `job.resume(optimizer, scheduler)`")
            again = self.job(dropout=0.3, checkpoints=folder)
            begun_at = again.first_step
            trouble = train(again, self.component, self.chosen())
        if trouble or sha256_of(first.model) != sha256_of(again.model):
            why = trouble or "with different weights than the uninterrupted training"
            self.broken(f"resumed at step {begun_at} it ends {why}; begin at `job.first_step`, in `job.first_epoch`")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def base(self) -> dict[str, Any]:
        """The keys of the recipe `BASE` that the trainer claims to follow."""
        return {key: value for key, value in BASE.items() if key in self.component.supports.recipe_keys}

    def job(self, *, recipe: Mapping[str, Any] | None = None, method: str = "", **rest: Any) -> BenchJob:
        """A job with a method that the trainer supports. recipe: changes to `base`. Skips the test if the trainer does not
        support `method`."""
        self.ready()
        methods = self.component.supports.methods
        if method and methods is not None and method not in methods:
            raise SkipTest(f"it does not support the method {method}")
        chosen = method or ("full" if methods is None else sorted(methods)[0])
        given = {"trainer": self.component, "options": self.chosen(), **rest}
        return bench_job({**self.base(), **(recipe or {})}, method=chosen, **given)

    def trained(self, **rest: Any) -> tuple[BenchJob, Exception | None]:
        """Trains a job; returns it, and the trainer's error, if any."""
        job = self.job(**rest)
        return job, train(job, self.component, self.chosen())

    def losses(self, **rest: Any) -> list[float]:
        """Trains a job; returns the losses of all its steps."""
        return [step.loss for step in self.trained(**rest)[0].steps]


def shown(numbers: list[float]) -> str:
    return ", ".join(significant(number, 4) for number in numbers[:4]) + (", ..." if len(numbers) > 4 else "")


def differs(ours: list[float], theirs: list[float]) -> bool:
    """Whether two lists of numbers, one for each step, differ in the steps that both have, by more than `TOLERANCE`."""
    both = min(len(ours), len(theirs))
    return not np.allclose(ours[:both], theirs[:both], rtol=TOLERANCE, atol=1e-6)


def first_departure(job: BenchJob, right: BenchJob) -> str:
    """A sentence on the first step that differs from torch-loop's; empty if none does, or if the batches differ, which another
    test checks. job: of the trainer under test; right: of torch-loop."""
    for number, (step, due) in enumerate(zip(job.steps, right.steps, strict=False), start=1):
        if step.rows is not None and step.rows != due.rows:
            return ""
        for what, ours, theirs in (
            ("learning rate", step.learning_rates[-1:], due.learning_rates[-1:]),
            ("loss", [step.loss], [due.loss]),
            ("gradient norm", [step.norm or 0.0], [due.norm or 0.0]),
        ):
            if differs(ours, theirs):
                return f"step {number} has {what} {shown(ours)}, the manual loop {shown(theirs)}"
    return ""
