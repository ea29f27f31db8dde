"""The command `bakeoff cancel`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.inputs import Called, open_experiment
from bakeoff.cli.options import into_option, only_option, spec_argument
from bakeoff.cli.output import print_result
from bakeoff.contracts.registry import load_registry
from bakeoff.planning.search import settled
from bakeoff.planning.selection import select
from bakeoff.records.store import Store
from bakeoff.runner.submitting import cancel as cancel_jobs
from bakeoff.runner.submitting import standings
from bakeoff.text.numbers import count
from bakeoff.text.words import escaped


@click.command()
@spec_argument
@into_option
@only_option
def cancel(spec: Path, into: Path | None, only: tuple[str, ...]) -> None:
    """Cancel the jobs of the experiment file SPEC that wait or run. A run that has begun is recorded as interrupted, and its
    checkpoint is kept; the other runs of a cancelled job's bundle end with it. `bakeoff submit` submits them all again.
    """
    _, plan = open_experiment(spec)
    store, registry = Store(into or spec.parent), load_registry()
    plan = select(settled(plan, store.find), only, store.find)
    cancelled = cancel_jobs(standings(plan.wanted.values(), store, registry), store, registry)
    if not cancelled:
        print_result("no job waits or runs")
        return
    names = ", ".join(escaped(one.run.title) for one in cancelled)
    print_result(
        f"cancelled the jobs of {count(len(cancelled), 'run')}: {names}",
        f"how they stand: {Called(spec, into).again('status')}",
    )
