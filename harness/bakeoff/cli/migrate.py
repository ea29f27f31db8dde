"""The command `bakeoff migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.options import folder_argument
from bakeoff.cli.output import print_result
from bakeoff.errors import StoreError
from bakeoff.records.migrate import Migrated
from bakeoff.records.migrate import migrate as migrate_folder
from bakeoff.records.schema import SCHEMA_VERSION
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path


@click.command()
@folder_argument
def migrate(folder: Path) -> int:
    """Convert the records in DIR, which an older Bakeoff wrote, to the current format, in place.

    Run ids, scores and all other files stay as they are. A damaged file (its checksum does not match) is named and left
    alone. If interrupted, run the same command again.

    Exit code 0: all converted, 1: a file was damaged, 2: an error.
    """
    try:
        found = migrate_folder(folder)
    except OSError as error:
        raise StoreError(f"{shown_path(error.filename or folder)}: {error.strerror}") from None
    for sentence in found.left:
        print_result(f"left as it is: {sentence}")
    print_result(summary(folder, found))
    if found.left:
        print_result("remove a damaged record, and the next `bakeoff run` repeats its run")
    return 1 if found.left else 0


def summary(folder: Path, found: Migrated) -> str:
    """What was converted: `results/x: 6 records, plan.json and 2 control runs converted from schema 1 and 3 to 6`."""
    controls = sum(name.startswith("control-") for name in found.other_files)
    counted = [count(found.records, "record")] if found.records else []
    counted += ["plan.json"] if len(found.other_files) > controls else []
    counted += [count(controls, "control run")] if controls else []
    if not counted:
        which = "every other" if found.left else "every"
        return f"nothing to do: {which} file of {shown_path(folder)} has schema {SCHEMA_VERSION}"
    versions = listed([str(version) for version in sorted(found.versions)])
    return f"{shown_path(folder)}: {listed(counted)} converted from schema {versions} to {SCHEMA_VERSION}"
