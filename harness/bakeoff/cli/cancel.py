"""The command `bakeoff cancel`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.inputs import Called, indexed_store, open_experiment
from bakeoff.cli.options import into_option, only_option, spec_argument
from bakeoff.cli.output import print_result
from bakeoff.contracts.registry import load_registry
from bakeoff.planning.search import settled
from bakeoff.planning.selection import select
from bakeoff.runner.submitting import cancel as cancel_jobs
from bakeoff.runner.submitting import live_jobs
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import escaped


@click.command()
@spec_argument
@into_option
@only_option
def cancel(spec: Path, into: Path | None, only: tuple[str, ...]) -> None:
    """Cancel the jobs of the experiment file SPEC that wait or run, also those of runs that the file no longer names. A run
    that has begun is recorded as interrupted, and its checkpoint is kept; the other runs of a cancelled job's bundle end with
    it, and no further look or phase is submitted by itself. `bakeoff submit` submits them all again.
    """
    _, plan = open_experiment(spec)
    store, registry = indexed_store(into or spec.parent), load_registry()
    plan = select(settled(plan, store.find), only, store.find)
    jobs = live_jobs(store, registry, {*plan.wanted} if only else None)
    cancel_jobs(jobs, registry, store)
    if not jobs:
        print_result("no job waits or runs")
        return
    runs = dict.fromkeys(run_id for one in jobs for run_id in one.job.runs if store.is_due(run_id))
    names = [escaped(plan.by_id[run_id].title) if run_id in plan.by_id else run_id for run_id in runs]
    told = f"cancelled {count(len(jobs), 'job')} of {count(len(names), 'run')}: {listed(names, most=20)}"
    print_result(told, f"how they stand: {Called(spec, into).again('status')}")
