"""The command `bakeoff disk`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bakeoff.cli.formats import DiskOutput, HeldOutput, PlaceOutput
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.options import folder_argument, json_option
from bakeoff.cli.output import aligned, print_json, print_result
from bakeoff.records.disk_usage import DiskItem, cached, held_by
from bakeoff.records.store import Store
from bakeoff.text.numbers import size_in_words
from bakeoff.text.values import command, grouped
from bakeoff.text.words import escaped, shown_path


@click.command()
@folder_argument
@json_option
def disk(folder: Path, as_json: bool) -> None:
    """Show what the experiment in DIR and Bakeoff's cache take on disk, and what `bakeoff prune` would remove. Without DIR, of
    the only experiment in this folder.
    """
    store, cache = Store(folder), find_paths().cache
    places = {folder: held_by(store), cache: cached(cache)}
    if as_json:
        print_json(DiskOutput(places=[place_output(*item) for item in places.items()]).model_dump_json(indent=1))
        return
    for place, items in places.items():
        print_result(f"{shown_path(place)}: {size_in_words(sum(item.size for item in items))}", style="bold")
        if items:
            print_result(*aligned(rows(items), "lrrl"))
    free = sum(item.size for items in places.values() for item in items if item.prunable)
    if free:
        print_result("", f"`{command('prune', folder)}` would free {size_in_words(free)}")


def rows(items: Sequence[DiskItem]) -> list[list[str]]:
    """Table rows, one for each kind of item: what it is, how many there are, their size, and whether `prune` removes them."""
    kinds = grouped((item.what, item) for item in items)
    return [
        [
            f"  {escaped(what)}",
            f"{len(own):,}",
            size_in_words(sum(one.size for one in own)),
            "may go" if own[0].prunable else "",
        ]
        for what, own in kinds.items()
    ]


def place_output(folder: Path, items: Sequence[DiskItem]) -> PlaceOutput:
    kinds = grouped((item.what, item) for item in items)
    held = [
        HeldOutput(what=what, number=len(own), bytes=sum(one.size for one in own), prunable=own[0].prunable)
        for what, own in kinds.items()
    ]
    return PlaceOutput(folder=str(folder), held=held)
