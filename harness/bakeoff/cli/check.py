"""`bakeoff check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.cli.saying import say

if TYPE_CHECKING:
    from bakeoff.document import Document
    from bakeoff.plan import Plan


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--build", is_flag=True, help="Also load each task, and build and adapt each model, once.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="With --build: folder of datasets, e.g. official GLUE files (default: BAKEOFF_DATA).",
)
def check(spec: Path, build: bool, data: Path | None) -> None:
    """Find everything wrong in the experiment file SPEC, without running it.

    Each error is a line with its place in the file: FILE:LINE:COLUMN.
    """
    from bakeoff.cli.opening import open_experiment

    if data is not None and not build:
        raise click.UsageError("--data goes with --build: without it no data is looked at")
    document, plan = open_experiment(spec)
    if build:
        rehearse(document, plan, data, spec)
    say(f"{document.file}: {arithmetic(plan)}; nothing wrong found{'' if build else ' (--build looks further)'}")


def rehearse(document: Document, plan: Plan, data: Path | None, spec: Path) -> None:
    """Raises SpecError with all that would keep these runs from starting."""
    from bakeoff.cli.opening import find_places
    from bakeoff.cli.progress import PlainProgress
    from bakeoff.hardware import prepare_environment
    from bakeoff.readiness import locate, rehearse_or_stop
    from bakeoff.supervision import Settings

    settings = Settings(places=find_places(data, spec))
    prepare_environment(settings.threads)
    locate(document, plan, settings.places)
    rehearse_or_stop(document, plan, settings, PlainProgress())


def arithmetic(plan: Plan) -> str:
    """2 strategies x 1 task x 1 model x 3 seeds = 6 runs."""
    from bakeoff.cli.plan import count

    spec = plan.spec
    factors = {"strategy": plan.strategies, "task": plan.tasks, "model": plan.models, "seed": spec.seeds}
    shown = [count(len(items), what).replace("strategys", "strategies") for what, items in factors.items()]
    trials = f", after {count(len(plan.trials), 'trial')} of a search" if plan.trials else ""
    return f"{' x '.join(shown)} = {count(len(plan.runs) + plan.waiting, 'run')}{trials}"
