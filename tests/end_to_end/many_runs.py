"""Many small runs in one process: `python -m end_to_end.many_runs SPEC FOLDER PART PARTS` makes every PARTS-th run of a plan.

The worker's own `perform` makes each run; only the process around it is shared, which saves most of the time of such runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bakeoff.cli.inputs import open_experiment
from bakeoff.contracts.task import Paths
from bakeoff.machine import hardware
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration
from bakeoff.runner.settings import Settings, request_of
from bakeoff.training.worker import perform


def main(spec: Path, folder: Path, part: int, parts: int) -> None:
    hardware.prepare_environment(1)
    document, plan = open_experiment(spec)
    store = Store(folder)
    store.declare(declaration(document, plan))
    settings = Settings(paths=Paths(None, folder / "cache"), device="cpu", threads=1)
    for run in plan.runs[part::parts]:
        fresh = store.begin(run.id)
        perform(request_of(run, settings), fresh)
        store.publish(fresh, run.id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
