"""`bakeoff run`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from bakeoff.machine.hardware import DEVICES

POLICIES = ("stop", "rerun", "mix")


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="Folder for records and table (default: the spec's own).")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of datasets, e.g. official GLUE files (default: BAKEOFF_DATA).",
)
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to train.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at the same time.")
@click.option(
    "--threads", type=click.IntRange(1, 1024), help="CPU threads of a run (default: all usable cores, divided by --jobs)."
)
@click.option(
    "--changed",
    type=click.Choice(POLICIES),
    default="stop",
    show_default=True,
    help="Where data, model, software or hardware are not those of the folder's records: stop, make these runs again, or keep "
    "them (runs of other data or another model then stand in tables of their own).",
)
@click.option("--environment", type=click.Choice(POLICIES), hidden=True, help="What --changed was called.")
@click.option("--control/--no-control", default=True, help="Time a fixed piece of work before and after the runs (5 s).")
@click.option("--retry", type=click.Choice(["failed", "unkept"]), help="Run these again; unkept: without a model.")
def run(
    spec: Path,
    into: Path | None,
    data: Path | None,
    device: str,
    jobs: int,
    threads: int | None,
    changed: Literal["stop", "rerun", "mix"],
    environment: Literal["stop", "rerun", "mix"] | None,
    control: bool,
    retry: Literal["failed", "unkept"] | None,
) -> int:
    """Fine-tune what the experiment file SPEC asks for, and write records and tables beside it.

    What is recorded is skipped: the same command goes on where it stopped. A run that fails is a record too; then
    the exit code is 1.
    """
    from bakeoff.cli.experiment import perform_experiment
    from bakeoff.cli.inputs import find_places, open_experiment, require_text
    from bakeoff.cli.output import tell
    from bakeoff.machine.hardware import usable_threads
    from bakeoff.runner.settings import Settings

    if environment is not None:
        tell("--environment is called --changed now, and is about data and models too")
        changed = environment
    if into is not None:
        require_text(into)
    document, plan = open_experiment(spec)
    settings = Settings(
        places=find_places(data, spec),
        device=device,
        threads=threads or max(1, usable_threads() // jobs),
        jobs=jobs,
        changed=changed,
        retry=retry,
        control=control,
    )
    return perform_experiment(document, plan, spec, into, settings)
