"""`bakeoff verify`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.output import say
from bakeoff.errors import DamageError, StoreError
from bakeoff.planning.runs import ID_ALGORITHM, id_of
from bakeoff.records.store import Store


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def verify(folder: Path) -> int:
    """Say which records of the experiment in FOLDER are whole: schema, checksums, and that each is the run it says it is.

    Nothing is changed. `bakeoff run` sets aside what is damaged and makes it again. The exit code is 1 where something is
    damaged.
    """
    store = Store(folder)
    declared = store.declared()
    wanted = {run.id: f"{run.task}, {run.model}, {run.strategy}, seed {run.seed}" for run in declared.runs}
    for search in declared.searches.values():
        wanted |= {run.id: f"{run.task}, {run.model}, trial {run.values}, seed {run.seed}" for run in search.trials}
    recorded = sorted({*store.recorded_ids(), *filter(store.occupied, wanted)})
    whole, failed, damaged = 0, 0, list[str]()
    for run_id in recorded:
        try:
            record = store.check(run_id)
        except (DamageError, StoreError) as error:
            damaged.append(f"{run_id} ({wanted.get(run_id, 'not in the plan')}): {error}")
            continue
        misfit = store.misfit(record, declared.seed_of)
        if record.id.startswith(f"{ID_ALGORITHM}-") and (own := id_of(record.requested)) != record.id:
            misfit = f"{run_id} ({wanted.get(run_id, 'not in the plan')}): what it was asked for is run {own}, not this one"
        if misfit:
            damaged.append(misfit)
            continue
        whole += 1
        failed += record.status == "failed"
    damaged += store.controls()[1]
    missing = [run_id for run_id in wanted if run_id not in recorded]
    foreign = [run_id for run_id in recorded if run_id not in wanted]
    say(f"{whole} of {len(recorded)} records are whole" + (f", {failed} of them of failed runs" if failed else ""))
    for line in damaged:
        say(f"damaged: {line}")
    if missing:
        say(f"not recorded yet: {len(missing)} of {len(wanted)} runs")
    if foreign:
        say(f"not in the plan: {len(foreign)} records, which the table leaves out")
    if aside := len(list(store.archived())):
        attempts = sum(map(len, store.attempts().values()))
        failed_ones = f", {attempts} of them of failed attempts" if attempts else ""
        say(f"set aside: {aside} records in records/.replaced-*{failed_ones}")
    return 1 if damaged else 0
