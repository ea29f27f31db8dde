"""A third party's plugin for the tests: a task of made-up sentences, and a loop with one fault planted.

A test puts this folder on the path; `load_registry` then finds it as it finds any installed plugin.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.plugin import (
    CLASSIFICATION,
    Accuracy,
    MicroBatch,
    Options,
    Paths,
    Signal,
    Task,
    TaskInfo,
    Trainer,
    TrainingJob,
    hookimpl,
)

if TYPE_CHECKING:
    from datasets import Dataset

WORDS = ("a quick fox", "the lazy dog", "rain", "one more cup of tea", "snow on the hills", "we walk", "she sings well")


class SentenceOptions(Options):
    """How many pairs to train on."""

    size: int = 22


class Sentences(Task):
    """Two made-up texts: do they begin with the same words?"""

    name = "planted/sentences"
    summary = "Made-up pairs of texts, for tests."
    version = "1"
    Options = SentenceOptions

    def info(self, options: SentenceOptions) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("first", "second"),
            labels=("no", "yes"),
            n_outputs=2,
            metrics=(Accuracy(),),
            primary_metric="accuracy",
            splits=("train", "test"),
            labelled_splits=("train", "test"),
        )

    def load(self, options: SentenceOptions, places: Paths) -> dict[str, Dataset]:
        from datasets import Dataset

        pairs = list(itertools.product(WORDS, WORDS))
        rows = [
            {"first": f"{a} {number}", "second": f"{b} {number % 3}", "label": int(number % 3 == 0)}
            for number, (a, b) in enumerate(pairs)
        ]
        splits = {"train": rows[: options.size], "test": rows[options.size : options.size + 8]}
        return {
            split: Dataset.from_list([{"id": f"{split}/{n}", **row} for n, row in enumerate(part)])
            for split, part in splits.items()
        }


Fault = Literal[
    "none",
    "seed",
    "order",
    "clip",
    "eps",
    "weight-decay",
    "dropped-batch",
    "drop-last",
    "scheduler-twice",
    "no-zero-grad",
    "own-loss",
    "summed",
    "even",
    "draws",
    "one-more",
    "one-fewer",
    "swallow",
    "deaf",
    "raises",
]


class PlantedOptions(Options):
    """What it does wrong."""

    fault: Fault = "none"


class PlantedLoop(Trainer):
    """The manual loop, with one fault."""

    name = "planted-loop"
    summary = "The manual loop with one fault planted, for tests."
    version = "1"
    Options = PlantedOptions

    def fit(self, job: TrainingJob, options: PlantedOptions) -> None:
        if options.fault != "swallow":
            train(job, options.fault)
            return
        with contextlib.suppress(Exception):
            train(job, "one-more")


def train(job: TrainingJob, fault: Fault) -> None:
    import torch
    from torch.nn.utils import clip_grad_norm_
    from transformers import get_scheduler

    model, recipe = job.model, job.recipe
    groups: Any = job.parameter_groups()
    if fault == "weight-decay":
        groups = [{"params": list(model.parameters()), "weight_decay": recipe.weight_decay}]
    eps = 1e-6 if fault == "eps" else recipe.eps
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=tuple(recipe.betas), eps=eps, fused=recipe.fused)
    scheduler = get_scheduler(
        recipe.scheduler, optimizer, num_warmup_steps=job.warmup_steps, num_training_steps=job.total_steps
    )
    model.train()
    steps = job.total_steps + {"one-more": 1, "one-fewer": -1}.get(fault, 0)
    step = 0
    for epoch in itertools.count():
        for batch in order(job, epoch, fault):
            job.begin_step(step)
            if fault == "seed":
                torch.manual_seed(42)
            if fault == "raises" and step == 3:
                raise ValueError("out of tea")
            parts = job.micro_batches(batch)
            losses = [forward_and_backward(job, part, len(parts), fault) for part in parts]
            if recipe.max_grad_norm is not None and fault != "clip":
                clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
            optimizer.step()
            scheduler.step()
            if fault == "scheduler-twice":
                scheduler.step()
            if fault != "no-zero-grad":
                optimizer.zero_grad()
            signal = job.end_step(step, sum(losses))
            step += 1
            if (signal is Signal.STOP and fault != "deaf") or step == steps:
                return
        job.end_epoch()
        if fault in {"dropped-batch", "drop-last"} and epoch + 1 == recipe.epochs:
            return


def forward_and_backward(job: TrainingJob, part: MicroBatch, count: int, fault: Fault) -> Any:
    """One of a step's `count` micro-batches; its part of the loss.

    "summed" and "even" are what transformers 5.23 does to BERT when it is not given a loss function: it adds up the means of
    the micro-batches or, told that the model takes no count of items, weighs all alike.
    """
    import torch

    inputs = job.collate([job.examples[row] for row in part.rows])
    labels = inputs.pop("labels")
    with job.autocast():
        logits = job.model(**inputs).logits
    loss = job.loss(logits, labels) * {"summed": 1, "even": 1 / count}.get(fault, part.weight)
    if fault == "own-loss":
        loss = 2 * loss
    loss.backward()
    if fault == "draws":
        torch.rand(1)
    return loss.detach()


def order(job: TrainingJob, epoch: int, fault: Fault) -> list[tuple[int, ...]]:
    """The job's batches, or another order of its own."""
    batches = list(job.batches(epoch))
    if fault == "order":
        batches = batches[::-1]
    if fault == "dropped-batch" and epoch == 0:
        del batches[2]
    if fault == "drop-last":
        batches = [batch for batch in batches if len(batch) == job.recipe.batch_size]
    return batches


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Sentences()]


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [PlantedLoop()]
