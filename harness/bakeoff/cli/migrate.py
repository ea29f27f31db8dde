"""`bakeoff migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.output import say
from bakeoff.errors import StoreError
from bakeoff.records.migrate import Migrated
from bakeoff.records.migrate import migrate as migrate_folder
from bakeoff.records.schema import SCHEMA_VERSION
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def migrate(folder: Path) -> int:
    """Bring the records in FOLDER, which an older Bakeoff wrote, to the schema that this one reads.

    Ids, scores and all other files stay as they are. A file whose checksum does not fit is named and left; the exit code is 1
    then. It can be killed at any time: the same command goes on.
    """
    try:
        found = migrate_folder(folder)
    except OSError as error:
        raise StoreError(f"{shown_path(error.filename or folder)}: {error.strerror}") from None
    for sentence in found.left:
        say(f"left as it is: {sentence}")
    say(summary(folder, found))
    if found.left:
        say("a run whose damaged record is removed is made again by the next `bakeoff run`")
    return 1 if found.left else 0


def summary(folder: Path, found: Migrated) -> str:
    """`results/x: 6 records, plan.json and 2 control runs brought from schema 1 and 3 to 6`."""
    controls = sum(name.startswith("control-") for name in found.other_files)
    counted = [
        f"{found.records} record{'' if found.records == 1 else 's'}" if found.records else "",
        "plan.json" if len(found.other_files) > controls else "",
        f"{controls} control run{'' if controls == 1 else 's'}" if controls else "",
    ]
    if not any(counted):
        which = "every other" if found.left else "every"
        return f"nothing to do: {which} file of {shown_path(folder)} has schema {SCHEMA_VERSION}"
    versions = listed([str(version) for version in sorted(found.versions)])
    return f"{shown_path(folder)}: {listed(list(filter(None, counted)))} brought from schema {versions} to {SCHEMA_VERSION}"
