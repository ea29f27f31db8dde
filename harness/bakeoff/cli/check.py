"""`bakeoff check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.cli.output import say

if TYPE_CHECKING:
    from bakeoff.planning.runs import Plan
    from bakeoff.records.store import Store
    from bakeoff.spec.document import Document


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--build", is_flag=True, help="Also load each task, and build and adapt each model, once.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of datasets, e.g. official GLUE files (default: BAKEOFF_DATA).",
)
@click.option("--into", type=click.Path(path_type=Path), help="Folder of the records (default: the spec's own).")
def check(spec: Path, build: bool, data: Path | None, into: Path | None) -> None:
    """Find everything wrong in the experiment file SPEC, without running it; and say whether the files that recorded runs were
    made from are still the same.

    Each error is a line with its place in the file: FILE:LINE:COLUMN.
    """
    from bakeoff.cli.inputs import look_for_changes, open_experiment
    from bakeoff.cli.plan import note_lines
    from bakeoff.planning.search import settled
    from bakeoff.records.store import Store

    document, plan = open_experiment(spec)
    store = Store(into or spec.parent)
    known = settled(plan, store.find)
    told = rehearse(document, plan, known, store, data, spec) if build else look_for_changes(known, store, spec, data, into)[1]
    say(*told, *note_lines(plan))
    say(f"{document.file}: {arithmetic(plan)}; nothing wrong found{'' if build else ' (--build looks further)'}")


def rehearse(document: Document, plan: Plan, settled: Plan, store: Store, data: Path | None, spec: Path) -> list[str]:
    """In what recorded runs were made otherwise than they would be here. Raises SpecError with all that would keep the plan's
    runs from starting."""
    from bakeoff.cli.inputs import find_places
    from bakeoff.cli.progress import PlainProgress
    from bakeoff.machine.hardware import prepare_environment
    from bakeoff.runner.preflight import check_available, differences_here, rehearse_or_stop, told, unsure
    from bakeoff.runner.settings import Settings

    settings = Settings(places=find_places(data, spec))
    prepare_environment(settings.threads)
    check_available(document, plan, settings.places)
    machine = rehearse_or_stop(document, plan, settings, PlainProgress())
    runs = {run.id: run for run in (*settled.trials, *settled.runs)}
    records = {record.id: record for record in store.read_all(runs)[0]}
    changed = {run_id: differences_here(runs[run_id], record, machine) for run_id, record in records.items()}
    return [f"since runs were recorded: {clause}" for clause in told(changed, runs)] + unsure(runs, records, machine)


def arithmetic(plan: Plan) -> str:
    """2 strategies x 1 task x 1 model x 3 seeds = 6 runs."""
    from bakeoff.text.numbers import count

    spec = plan.spec
    factors = {"strategy": plan.strategies, "task": plan.tasks, "model": plan.models, "seed": spec.seeds}
    shown = [count(len(items), what).replace("strategys", "strategies") for what, items in factors.items()]
    trials = f", after {count(len(plan.trials), 'trial')} of a search" if plan.trials else ""
    return f"{' x '.join(shown)} = {count(len(plan.runs) + plan.waiting, 'run')}{trials}"
