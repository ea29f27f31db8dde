"""The Transformers Trainer API as a trainer: its loop, its optimizer and its scheduler, under the harness's recipe."""

from __future__ import annotations

import os
import tempfile

from bakeoff.plugin import Options, Supports, Trainer, TrainingJob, hookimpl


class HfTrainer(Trainer):
    """`transformers.Trainer`."""

    name = "hf-trainer"
    summary = "The Trainer API of transformers, as a user would call it."
    version = "1"
    supports = Supports(
        kinds=frozenset({"classification", "multilabel", "regression"}),
        precisions=frozenset({"fp32", "bf16"}),
        processes=1024,
        resume=True,
    )

    def fit(self, job: TrainingJob, options: Options) -> None:
        from bakeoff_hf_trainer.trainer import JobTrainer, training_arguments

        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            del os.environ[name]  # accelerate would take them for settings of this run
        with tempfile.TemporaryDirectory() as folder:
            JobTrainer(job, training_arguments(job, folder)).train()


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [HfTrainer()]
