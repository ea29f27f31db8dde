"""The command `bakeoff merge`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.options import EXPERIMENT_FOLDER, PATH
from bakeoff.cli.output import print_result
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.records.store import Store
from bakeoff.runner.merging import in_words
from bakeoff.runner.merging import merge as merge_folders
from bakeoff.text.values import command
from bakeoff.text.words import escaped


@click.command()
@click.argument("folders", metavar="DIR...", type=EXPERIMENT_FOLDER, nargs=-1, required=True)
@click.option(
    "--into", metavar="DIR", type=PATH, required=True, help="Folder for the records of all; it may hold some of them already."
)
def merge(folders: tuple[Path, ...], into: Path) -> int:
    """Copy the records of one experiment, whose runs were made in several folders or on several machines, into one folder. The
    folders in DIR... stay as they are.

    All must declare the same runs and judge them by the same rules. Where a run has a record in two folders, a successful one
    counts before a failed one, and of two equal ones that of the first folder (what is in --into already comes first). The
    other is kept beside it, and if both succeeded, how they differ is shown. Called again, it adds only what is new.

    Exit code 0: merged, 1: something was not copied, since it is damaged, 2: an error.
    """
    sources, target = [Store(folder) for folder in folders], Store(into)
    with stopped_by_signals():
        merged = merge_folders(sources, target)
    print_result(*map(escaped, in_words(merged, sources, target)), f"its tables: {command('report', into)}")
    return 1 if merged.damaged else 0
