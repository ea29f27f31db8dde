"""`bakeoff worker`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("request", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def worker(request: Path, folder: Path) -> int:
    """Perform the one run that the file REQUEST asks for, and leave its record in FOLDER, which is new or empty.

    REQUEST is the JSON of `bakeoff.training.request.Request`: for schedulers, which start each run by themselves. Nothing is
    imported from the working directory. The exit code is 0 for a run that succeeded and 1 for one that failed, which is
    recorded too.
    """
    from bakeoff.training.worker import perform_requested

    return perform_requested(request, folder)
