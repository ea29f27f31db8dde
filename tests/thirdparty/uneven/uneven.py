"""A third party's plugin for the tests of several processes: a built-in trainer that is watched, or of which one rank fails."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

import bakeoff_hf_trainer
import bakeoff_torch_loop
from bakeoff.plugin import Options, Supports, Trainer, TrainingJob, hookimpl

BUILT_IN: dict[str, Trainer] = {
    trainer.name: trainer for module in (bakeoff_torch_loop, bakeoff_hf_trainer) for trainer in module.bakeoff_trainers()
}
FAULTY_RANK = 1
FAULTY_STEP = 3


class UnevenOptions(Options):
    """Which trainer trains, what its second rank does wrong, and where each leaves its weights and a draw from each step."""

    of: Literal["torch-loop", "hf-trainer"] = "torch-loop"
    fault: Literal["none", "raises", "dies", "exits", "sleeps", "drifts"] = "none"
    watch: str = ""


class Uneven(Trainer):
    """A built-in trainer with a fault in one of its ranks."""

    name = "uneven"
    summary = "A built-in trainer of which one rank goes wrong."
    version = "1"
    supports = Supports(precisions=frozenset({"fp32", "bf16"}), processes=1024)
    Options = UnevenOptions

    def fit(self, job: TrainingJob, options: UnevenOptions) -> None:
        import torch

        watched = Watched(job, options.fault if job.rank == FAULTY_RANK else "none", draw=bool(options.watch))
        trainer = BUILT_IN[options.of]
        trainer.fit(watched, trainer.Options())
        if watched.fault == "drifts":
            with torch.no_grad():
                next(job.model.parameters()).add_(1.0)
        if options.watch:
            folder = Path(options.watch)
            folder.mkdir(parents=True, exist_ok=True)
            kept = {"weights": job.model.state_dict(), "draws": watched.draws}
            torch.save(kept, folder / f"{job.rank}.pt")


class Watched:
    """The job as this rank sees it."""

    def __init__(self, job: TrainingJob, fault: str, *, draw: bool) -> None:
        self.job, self.fault, self.draw = job, fault, draw
        self.draws: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    def begin_step(self, step: int) -> None:
        import torch

        self.job.begin_step(step)
        if self.draw:
            self.draws.append(float(torch.rand(1)))
        if step != FAULTY_STEP:
            return
        match self.fault:
            case "raises":
                raise ValueError("out of tea")
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                os._exit(3)
            case "sleeps":
                time.sleep(600)


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [Uneven()]
