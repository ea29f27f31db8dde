"""An experiment from its first run to its table, told to a person."""

from __future__ import annotations

from pathlib import Path

from bakeoff.cli.progress import make_progress
from bakeoff.errors import StoreError, quoted
from bakeoff.plan import Plan
from bakeoff.run import Outcome, Settings, run_experiment
from bakeoff.spec import Document
from bakeoff.store import Store, write_atomically


def perform_experiment(document: Document, plan: Plan, spec: Path, into: Path | None, settings: Settings) -> Outcome:
    """Runs what is missing, then writes and prints the table."""
    store = Store(into or spec.parent)
    if into is not None:
        adopt(spec, into)
    with make_progress(len(plan.runs), sum(store.has(run.id) for run in plan.runs)) as progress:
        outcome = run_experiment(document, plan, store, settings, progress)
    return outcome


def adopt(spec: Path, into: Path) -> None:
    """The experiment file goes along, so that the folder tells what it holds."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        if not (into / spec.name).exists() or (into / spec.name).read_bytes() != spec.read_bytes():
            write_atomically(into / spec.name, spec.read_bytes())
    except OSError as error:
        raise StoreError(f"{quoted(into)} cannot be written: {error.strerror}") from None
