"""The command `bakeoff table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.cli.inputs import indexed_store, note_changes, note_troubles
from bakeoff.cli.options import EXPERIMENT_FOLDER, folder_argument, json_option
from bakeoff.cli.output import print_brief, print_json, print_markdown, print_note, write_files
from bakeoff.machine.garbage import without_collection
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.schema import Declared, Record
from bakeoff.records.store import Store
from bakeoff.report.beside import set_beside, write_beside
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.table_md import write_page
from bakeoff.text.values import command
from bakeoff.text.words import shown_path

PAGE_FILE, CSV_FILE = "table.md", "table.csv"


@click.command()
@folder_argument
@click.option("--beside", "other", metavar="OTHER", type=EXPERIMENT_FOLDER, help="Another experiment with the same runs.")
@click.option("--all", "everything", is_flag=True, help="Show all that table.md has, not only what fits on one screen.")
@json_option
def table(folder: Path, other: Path | None, everything: bool, as_json: bool) -> None:
    """Show the results of the experiment in DIR on one screen, and write DIR/table.md and DIR/table.csv, which have them all.

    With --beside, instead show each run next to the same run of the experiment in OTHER, and write nothing.
    """
    if other is None:
        reading = read([folder])
        note_troubles(reading.experiment)
        try:
            save(reading, folder)
        finally:  # the table is shown even if its folder cannot be written
            if as_json:
                print_json(write_json(reading.comparison))
            elif everything:
                print_markdown(write_page(reading.comparison))
            else:
                print_brief(reading.comparison, where_all_is(folder))
        return
    here, there = Store(folder), Store(other)
    beside = set_beside(read_side(here), read_side(there), controls=[*here.controls()[0], *there.controls()[0]])
    if as_json:
        print_json(beside.model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_markdown(write_beside(beside, here=str(folder), there=str(other)))


def where_all_is(folder: Path) -> str:
    """A line that says where all results are, for the end of a brief comparison."""
    everything, page = command("table", folder, "--all"), command("report", folder)
    return f"All of it: `{everything}`, {shown_path(folder / PAGE_FILE)}; a page: `{page}`"


@dataclass(frozen=True)
class Reading:
    """The records of one or more folders, loaded, and the comparison of their strategies."""

    experiment: Experiment
    comparison: Comparison


def read(folders: Sequence[Path | Store], *, pool: bool = False) -> Reading:
    """Loads folders of records and compares their strategies. pool: as for `load_experiment`. Raises StoreError if a folder has
    no experiment."""
    with without_collection():
        stores = [one if isinstance(one, Store) else indexed_store(one) for one in folders]
        experiment = load_experiment(stores, pool=pool)
        return Reading(experiment, compare(experiment))


def read_side(store: Store) -> tuple[Declared, Sequence[Record]]:
    """The declared runs and the records of one side of `--beside`. A record that can't be read is reported, and counts as
    missing."""
    folder = read_folder(store, RunFiles())
    for sentence in folder.damaged:
        print_note(f"damaged and left out: {sentence}")
    note_changes(store.folder / folder.declared.spec_file, {record.id: record for record in folder.records})
    return folder.declared, folder.records


def save(reading: Reading, folder: Path) -> None:
    """Writes `table.md` and `table.csv`. Raises StoreError if that is impossible."""
    write_files(folder, {PAGE_FILE: write_page(reading.comparison), CSV_FILE: write_csv(reading.comparison)})
