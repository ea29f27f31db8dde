"""The command `bakeoff worker`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.options import PATH
from bakeoff.runner.trust import refuse_commands
from bakeoff.training.worker import perform_requested


@click.command()
@click.argument("request", type=PATH)
@click.argument("folder", type=PATH)
@click.option("--trust", is_flag=True, help="Run the commands that REQUEST names. Read them and their code first.")
def worker(request: Path, folder: Path, trust: bool) -> int:
    """Perform the one run that the file REQUEST describes, and write its record to FOLDER, which must be new or empty.

    For cluster schedulers that start each run themselves. REQUEST is the JSON of `bakeoff.training.request.Request`. Nothing
    is imported from the working directory.

    Exit code 0: the run succeeded, 1: it failed (it is recorded with its reason), 2: an error.
    """
    if not trust:
        refuse_commands(request)
    return perform_requested(request, folder)
