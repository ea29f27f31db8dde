"""The command `bakeoff verify`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.options import folder_argument
from bakeoff.cli.output import print_result
from bakeoff.errors import StoreError
from bakeoff.planning.verified import verified
from bakeoff.records.run_names import RunNames
from bakeoff.records.store import Store
from bakeoff.text.numbers import count


@click.command()
@folder_argument
def verify(folder: Path) -> int:
    """Check that the records of the experiment in DIR are complete and undamaged: format, checksums, and that each record's
    run id fits its contents. Changes nothing.

    `bakeoff run` archives damaged records and repeats their runs.

    Exit code 0: all undamaged, 1: something is damaged, 2: an error.
    """
    store = Store(folder)
    declared = store.declared()
    names = RunNames.declared(declared)
    wanted = {run_id: names.name(run) for run_id, run in names.by_id.items()}
    recorded = sorted({*store.recorded_ids(), *filter(store.occupied, wanted)})
    whole, failed, damaged = 0, 0, list[str]()
    for run_id in recorded:
        try:
            record = verified(store, run_id, declared)
        except StoreError as error:
            damaged.append(f"{wanted.get(run_id, 'not in the plan')} ({run_id}): {error}")
            continue
        whole += 1
        failed += record.status == "failed"
    damaged += store.controls()[1]
    try:
        store.timings()
    except StoreError as error:
        damaged.append(str(error))
    missing = [run_id for run_id in wanted if run_id not in recorded]
    foreign = [run_id for run_id in recorded if run_id not in wanted]
    print_result(f"{whole} of {len(recorded)} records are undamaged" + (f", {failed} of failed runs" if failed else ""))
    print_result(*(f"damaged: {line}" for line in damaged))
    if missing:
        print_result(f"not recorded yet: {len(missing)} of {len(wanted)} runs")
    if foreign:
        print_result(f"not in the plan: {count(len(foreign), 'record')}, which tables leave out")
    if aside := len(list(store.archived())):
        attempts = sum(map(len, store.attempts().values()))
        failed_ones = f", {attempts} of failed attempts" if attempts else ""
        print_result(f"archived: {count(aside, 'record')} in records/.replaced-*{failed_ones}")
    return 1 if damaged else 0
