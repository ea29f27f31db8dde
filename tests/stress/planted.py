"""`bakeoff` with one bug, which the rounds must find: `python planted.py BUG run ...`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def loses_a_record() -> None:
    """Whoever publishes removes the record before."""
    from bakeoff.records.store import Store

    publish = Store.publish

    def planted(store: Store, folder: Path, run_id: str, **more: Any) -> bool:
        before = [other for other in store.recorded_ids() if other != run_id]
        published = publish(store, folder, run_id, **more)
        for other in before[:1]:
            shutil.rmtree(store.records / other)
        return published

    Store.publish = planted  # type: ignore[method-assign]


def leaves_a_process() -> None:
    """A process in a session of its own, which nobody ends."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(400)"], start_new_session=True, env={**os.environ})


def ends_in_a_traceback() -> None:
    """A bug that nobody expected."""
    from bakeoff.records.store import Store

    def planted(store: Store, *arguments: object) -> None:
        raise ZeroDivisionError

    Store.declare = planted  # type: ignore[method-assign]


BUGS = {bug.__name__: bug for bug in (loses_a_record, leaves_a_process, ends_in_a_traceback)}

if __name__ == "__main__":
    from bakeoff.cli import main

    BUGS[sys.argv.pop(1)]()
    main()
