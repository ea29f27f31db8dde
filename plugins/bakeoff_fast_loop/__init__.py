"""The trainer `fast-loop`: the steps of torch-loop, computed without padding.

On CUDA, where a small model waits for Python rather than for arithmetic, it replays a CUDA graph of the forward and backward
pass instead.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bakeoff.plugin import Options, Recipe, Supports, Trainer, TrainingJob, hookimpl


class FastLoop(Trainer):
    """The same batches and updates as torch-loop; only rounding and the random numbers of dropout differ."""

    name = "fast-loop"
    summary = (
        "torch-loop's steps, several times as fast: on the CPU without padding and with cheap dropout, on CUDA as a graph."
    )
    version = "1"
    supports = Supports(
        kinds=None,
        recipe_keys=frozenset(Recipe.model_fields) - {"gradient_checkpointing", "processes", "torch_compile"},
        precisions=frozenset({"fp32", "bf16"}),
        resume=True,
        whole_parameters=False,
    )
    owns = frozenset({"randomness"})

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
