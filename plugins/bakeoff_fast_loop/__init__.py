"""The fast loop: the steps of the manual loop, with nothing computed for padding and little computed twice.

On CUDA, where a small model waits for Python and not for arithmetic, forward and backward pass are one graph instead.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bakeoff.plugin import Options, Recipe, Supports, Trainer, TrainingJob, hookimpl


class FastLoop(Trainer):
    """Same batches, same updates, same answer as the manual loop, but for rounding and the stream of dropout."""

    name = "fast-loop"
    summary = (
        "The manual loop at a multiple of its speed: on the CPU no padding and cheap dropout, on CUDA its passes as a graph."
    )
    version = "1"
    supports = Supports(
        kinds=None,
        recipe_keys=frozenset(Recipe.model_fields) - {"gradient_checkpointing", "processes"},
        precisions=frozenset({"fp32", "bf16"}),
        resume=True,
    )

    def check_model(self, model: Any, recipe: Recipe) -> None:
        from bakeoff_fast_loop.families import encoder_of

        encoder_of(model)

    def fit(self, job: TrainingJob, options: Options) -> None:
        from bakeoff_fast_loop.loop import train

        train(job)

    def fast_inference(self, model: Any) -> AbstractContextManager[None]:
        if next(model.parameters()).device.type == "cuda":
            return nullcontext()  # recording graphs took longer than they saved: results/speed-cuda
        from bakeoff_fast_loop.evaluation import fast_inference

        return fast_inference(model)


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [FastLoop()]
