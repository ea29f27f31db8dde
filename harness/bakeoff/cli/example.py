"""The experiment that comes with Bakeoff: made-up rows and a file that runs with what the core installs."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from bakeoff.cli.output import write_files
from bakeoff.errors import BakeoffError
from bakeoff.text.words import shown_path

ROWS, SPEC = "tickets.csv", "tickets.yaml"


def write_example(folder: Path) -> Path:
    """Writes the rows and the experiment file into the folder, and returns the path of the latter. Raises BakeoffError if one
    of them exists already."""
    if taken := [name for name in (ROWS, SPEC) if os.path.lexists(folder / name)]:
        there = shown_path(folder / taken[0])
        raise BakeoffError(f"{there} exists already, and is not changed: call this in another folder, or `bakeoff run {SPEC}`")
    source = files("bakeoff.cli") / "templates" / "example"
    write_files(folder, {name: (source / name).read_text(encoding="utf-8") for name in (ROWS, SPEC)})
    return folder / SPEC
