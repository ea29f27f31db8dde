"""`bakeoff table`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bakeoff.errors import StoreError, shown_path
from bakeoff.record import Declared, Record
from bakeoff.report.beside import set_beside, write_beside
from bakeoff.report.page import write_page
from bakeoff.report.table import Report, build_report
from bakeoff.report.tidy import write_csv, write_json
from bakeoff.store import Store, write_atomically

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
        report = read_report(Store(folder))
        save(report, folder)
        click.echo(write_json(report) if as_json else write_page(report), nl=False)
        return
    beside = set_beside(read_side(Store(folder)), read_side(Store(other)))
    shown = (
        beside.model_dump_json(indent=1, ensure_ascii=True) + "\n"
        if as_json
        else write_beside(beside, here=str(folder), there=str(other))
    )
    click.echo(shown, nl=False)


def read_report(store: Store) -> Report:
    """All tables of an experiment's folder."""
    declared = store.declared()
    ids = [run.id for run in declared.runs]
    with without_collection():
        records, damaged = store.read_all(ids)
        foreign = len(set(store.recorded_ids()) - set(ids))
        return build_report(declared, records, damaged=damaged, foreign=foreign)


def read_side(store: Store) -> tuple[Declared, list[Record]]:
    """What `--beside` compares; a record that cannot be read is named and counts as missing."""
    declared = store.declared()
    records, damaged = store.read_all([run.id for run in declared.runs])
    for sentence in damaged:
        click.echo(f"damaged and left out: {sentence}", err=True)
    return declared, records


def save(report: Report, folder: Path) -> None:
    """Writes `table.md` and `table.csv`; raises StoreError where that cannot be."""
    try:
        write_atomically(folder / PAGE_FILE, write_page(report).encode())
        write_atomically(folder / CSV_FILE, write_csv(report).encode())
    except OSError as error:
        raise StoreError(f"the table cannot be written in {shown_path(folder)}: {error.strerror}") from None


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
