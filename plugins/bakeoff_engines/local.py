"""The engine `local`: a queue on this machine, which lives on when the terminal is closed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bakeoff.plugin import BakeoffError, JobBatch, Needs, Options
from bakeoff_engines.background import Background


class Local(Background):
    """Performs the jobs one after another, or `--at-once N` at the same time. With `--gpus N` each sees N of the GPUs that this
    machine shows; without, all of them."""

    name = "local"
    summary = "A queue in the background of this machine."
    version = "1"
    Options = Options
    module = "bakeoff_engines.local_queue"

    def check(self, needs: Needs, options: Options) -> None:
        if needs.threads > (cores := os.cpu_count() or 1):
            raise BakeoffError(f"--threads {needs.threads}: this machine has {cores} CPU cores")
        wanted, seen = needs.gpus * (needs.at_once or 1), len(visible_gpus())
        if wanted > seen:
            raise BakeoffError(f"--gpus {needs.gpus} for {needs.at_once or 1} at once: {seen} are visible on this machine")

    def settings(self, batch: JobBatch, options: Options) -> dict[str, Any]:
        return {"at_once": batch.needs.at_once or 1, "visible": visible_gpus()}


def visible_gpus() -> list[str]:
    """The GPUs that a process here sees, as CUDA_VISIBLE_DEVICES names them."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [one for one in said.split(",") if one]
    try:
        return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").iterdir())]
    except OSError:
        return []
