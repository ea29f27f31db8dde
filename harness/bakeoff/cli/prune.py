"""The command `bakeoff prune`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.disk import rows
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.options import folder_argument
from bakeoff.cli.output import aligned, print_note, print_result
from bakeoff.cli.questions import ask, can_ask
from bakeoff.errors import BakeoffError
from bakeoff.records.disk_usage import cached, held_by, prune_cache, prune_records
from bakeoff.records.store import Store
from bakeoff.text.numbers import count, size_in_words
from bakeoff.text.values import shortened
from bakeoff.text.words import shown_path

MOST_NAMED = 10
"""At most so many paths of records are listed; the rest are counted."""


@click.command()
@folder_argument
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option(
    "--cache/--no-cache", default=True, show_default=True, help="Also empty Bakeoff's cache, which all experiments share."
)
def prune(folder: Path, yes: bool, cache: bool) -> int:
    """Remove records of the experiment in DIR that its plan does not name, replaced ones that are no failed attempts,
    checkpoints and unfinished folders that no run needs, and Bakeoff's cache. Without DIR, of the only experiment in this
    folder.

    Says first what it would remove, and how large that is; asks then, or takes --yes. What the plan or a list of attempts
    names stays, and all of a run that a command is making at this moment. Links are never followed. What is in the cache is
    rebuilt when it is needed.

    Exit code 0: all removed, or nothing to remove; 1: something stays, or the answer was no; 2: an error.
    """
    store, place = Store(folder), find_paths().cache
    of_records = [item for item in held_by(store) if item.prunable]
    of_cache = cached(place) if cache else []
    if not of_records and not of_cache:
        print_result("nothing to remove")
        return 0
    paths = [shown_path(item.path) for item in of_records]
    print_result(*aligned([row[:3] for row in rows([*of_records, *of_cache])], "lrr"), *shortened(paths, MOST_NAMED))
    total = size_in_words(sum(item.size for item in (*of_records, *of_cache)))
    if not yes:
        if not can_ask():
            raise BakeoffError(f"to remove {total}, give --yes; nothing was removed")
        if ask(f"remove {total}?", ("no", "yes")) == "no":
            print_note("nothing was removed")
            return 1
    removed, left = prune_records(store, of_records)
    more, kept = prune_cache(place, of_cache)
    freed = [*removed, *more]
    print_result(f"removed {count(len(freed), 'item')}, {size_in_words(sum(item.size for item in freed))}")
    print_note(*left, *kept)
    return 1 if left or kept else 0
