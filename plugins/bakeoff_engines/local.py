"""The engine `local`: a queue on this machine, which lives on when the terminal is closed."""

from __future__ import annotations

import os
from typing import Any

from bakeoff.plugin import BakeoffError, JobBatch, Needs, Options
from bakeoff_engines.background import Background


class Local(Background):
    """Performs the jobs one after another, or `--at-once N` at the same time."""

    name = "local"
    summary = "A queue in the background of this machine."
    version = "1"
    Options = Options
    module = "bakeoff_engines.local_queue"

    def check(self, needs: Needs, options: Options) -> None:
        if needs.threads > (cores := os.cpu_count() or 1):
            raise BakeoffError(f"--threads {needs.threads}: this machine has {cores} CPU cores")

    def settings(self, batch: JobBatch, options: Options) -> dict[str, Any]:
        return {"at_once": batch.needs.at_once or 1}
