"""`bakeoff table`."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bakeoff.analysis.boards import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.cli.inputs import tell_changed_sources, tell_changes
from bakeoff.cli.output import say_json, say_page, tell, tell_damage
from bakeoff.errors import StoreError
from bakeoff.files import Tree
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.schema import Declared, Record
from bakeoff.records.store import Store
from bakeoff.report.beside import set_beside, write_beside
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.table_md import write_page
from bakeoff.text.words import shown_path

PAGE_FILE, CSV_FILE = "table.md", "table.csv"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--beside", "other", metavar="OTHER", type=click.Path(path_type=Path), help="Another experiment's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: scores and seconds in full precision.")
def table(folder: Path, other: Path | None, as_json: bool) -> None:
    """Show the records of the experiment in DIR as a table of strategies, and write it to DIR/table.md and DIR/table.csv.

    With --beside, show it next to the same runs of the experiment in OTHER instead, and write nothing.
    """
    if other is None:
        reading = read([folder])
        tell_damage(reading.experiment)
        tell_changed_sources(reading.experiment)
        try:
            save(reading, folder)
        finally:  # a folder that cannot be written can be read all the same
            if as_json:
                say_json(write_json(reading.comparison))
            else:
                say_page(write_page(reading.comparison))
        return
    here, there = Store(folder), Store(other)
    beside = set_beside(read_side(here), read_side(there), controls=[*here.controls()[0], *there.controls()[0]])
    if as_json:
        say_json(beside.model_dump_json(indent=1, ensure_ascii=True))
    else:
        say_page(write_beside(beside, here=str(folder), there=str(other)))


@dataclass(frozen=True)
class Reading:
    """Folders of records, read, described and compared."""

    experiment: Experiment
    comparison: Comparison


def read(folders: Sequence[Path | Store]) -> Reading:
    """Raises StoreError where a folder holds no experiment."""
    with without_collection():
        experiment = load_experiment(folders)
        return Reading(experiment, compare(experiment))


def read_side(store: Store) -> tuple[Declared, Sequence[Record]]:
    """What `--beside` compares; a record that cannot be read is named and counts as missing."""
    folder = read_folder(store, RunFiles())
    for sentence in folder.damaged:
        tell(f"damaged and left out: {sentence}")
    tell_changes(store.folder / folder.declared.spec_file, {record.id: record for record in folder.records})
    return folder.declared, folder.records


def save(reading: Reading, folder: Path) -> None:
    """Writes `table.md` and `table.csv`; raises StoreError where that cannot be."""
    write_files(
        folder,
        {
            PAGE_FILE: write_page(reading.comparison),
            CSV_FILE: write_csv(reading.comparison),
        },
    )


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Each whole or not at all; names may lead into folders of their own."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{shown_path(folder)} is a file, not a folder to write into")
    tree = Tree(folder)
    for name, text in files.items():
        try:
            tree.make((folder / name).parent)
            tree.write(folder / name, text.encode())
        except OSError as error:  # its own file name may be that of a file beside, which is gone
            raise StoreError(f"{shown_path(folder / name)} cannot be written: {error.strerror}") from None


@contextmanager
def without_collection() -> Iterator[None]:
    """Thousands of records stay alive until the table is made: looking for cycles among them finds none and takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
