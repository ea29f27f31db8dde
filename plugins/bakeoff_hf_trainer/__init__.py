"""The trainer `hf-trainer`: transformers' Trainer, with the harness's recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from bakeoff.plugin import Options, Owned, Recipe, Supports, Trainer, TrainingJob, hookimpl, temporary_folder

TRIED = "5.23"
"""The version of transformers that the notes below describe."""


DEALT = "as shipped deals the rows of an epoch to several processes in its own order"


class HfTrainerOptions(Options):
    """Options of `hf-trainer`."""

    as_shipped: bool = Field(
        False,
        description="The Trainer by itself: its own optimizer, the model's own loss or the Trainer's label smoother, and "
        "gradient accumulation and several processes weighed as transformers does it, right or wrong.",
        json_schema_extra={"neutral": False},
    )


class HfTrainer(Trainer):
    """Trains with `transformers.Trainer`."""

    name = "hf-trainer"
    summary = "The Trainer API of transformers, as a user would call it."
    version = "1"
    Options = HfTrainerOptions
    supports = Supports(
        kinds=None,
        precisions=frozenset({"fp32", "bf16", "fp16"}),
        processes=1024,
        resume=True,
    )

    def owned(self, recipe: Recipe, options: HfTrainerOptions) -> Owned:
        if not options.as_shipped or parts_of(recipe) == 1:
            return frozenset()
        return frozenset({"loss", "order"} if recipe.processes > 1 else {"loss"})

    def unsupported(self, recipe: Recipe, options: HfTrainerOptions) -> Mapping[str, str]:
        if not options.as_shipped:
            return {}
        key = "batch_size" if recipe.micro_batch_size is None else "micro_batch_size"
        size = getattr(recipe, key)
        refused = {
            "weight_decay_exempt": (
                recipe.weight_decay_exempt != Recipe().weight_decay_exempt,
                "as shipped exempts biases and normalisation layers from weight decay, and nothing else",
            ),
            "optimizer": (not recipe.is_built_in("optimizer"), "as shipped has adamw and sgd, and no plugin's optimizer"),
            "loss": (not recipe.is_built_in("loss"), "as shipped has the model's own loss"),
            "class_weights": (
                recipe.class_weights != "none",
                "as shipped has the model's own loss, in which labels weigh alike",
            ),
            "sampling": (recipe.sampling != "shuffled" and recipe.processes > 1, DEALT),
            "group_by_length": (recipe.group_by_length and recipe.processes > 1, DEALT),
            "bias_correction": (not recipe.bias_correction, "as shipped has no Adam without bias correction"),
            "fused": (recipe.fused and recipe.optimizer == "sgd", "as shipped has no fused sgd; say `fused: false`"),
            key: (
                size % recipe.processes,
                f"as shipped gives each process as many examples, and {recipe.processes} do not divide {size}",
            ),
        }
        return {key: reason for key, (is_refused, reason) in refused.items() if is_refused}

    def notes(self, recipe: Recipe, options: HfTrainerOptions) -> Sequence[str]:
        parts = parts_of(recipe)
        if options.as_shipped or parts == 1:
            return ()
        split = [f"micro_batch_size {recipe.micro_batch_size} of {recipe.batch_size}"] if passes_of(recipe) > 1 else []
        split += [f"{recipe.processes} processes"] if recipe.processes > 1 else []
        if recipe.label_smoothing:
            shipped = "may not: with label smoothing it depends on the model"
        else:
            shipped = f"does not: for most models its loss and gradients are {parts} times as large"
        return (
            f"{' and '.join(split)}: hf-trainer uses the exact mean over each batch. The Trainer as transformers ships it "
            f"{shipped} (tried: {TRIED}). `trainer: {{name: hf-trainer, as_shipped: true}}` trains as that does.",
        )

    def fit(self, job: TrainingJob, options: HfTrainerOptions) -> None:
        from bakeoff_hf_trainer.trainer import ExactTrainer, ShippedTrainer

        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            del os.environ[name]  # accelerate would take them for settings of this run
        made_as: Any = ShippedTrainer if options.as_shipped else ExactTrainer
        with temporary_folder() as folder:
            made_as(job, str(folder)).train()


def passes_of(recipe: Recipe) -> int:
    """Number of forward passes over which one process accumulates the gradients of a batch."""
    return recipe.batch_size // (recipe.micro_batch_size or recipe.batch_size)


def parts_of(recipe: Recipe) -> int:
    """Number of forward passes into which a batch is split, over all processes."""
    return passes_of(recipe) * recipe.processes


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [HfTrainer()]
