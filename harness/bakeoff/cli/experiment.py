"""An experiment from its first run to its table, told to a person."""

from __future__ import annotations

from pathlib import Path

from bakeoff.cli.output import say, tell_damage
from bakeoff.cli.progress import make_progress
from bakeoff.cli.report import HTML_FILE, MODEL_INDEX_FILE, TEX_FILE
from bakeoff.cli.table import CSV_FILE, PAGE_FILE, read, save
from bakeoff.errors import BakeoffError
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.planning.runs import Plan
from bakeoff.records.store import Store
from bakeoff.report.text.table_md import write_page
from bakeoff.runner.experiment import Outcome, run_experiment
from bakeoff.runner.settings import Settings
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count, in_seconds
from bakeoff.text.words import shown_path

WRITTEN = {PAGE_FILE, CSV_FILE, HTML_FILE, TEX_FILE, MODEL_INDEX_FILE}
"""Names of the files that `run` and `report` write and replace."""


def perform_experiment(document: Document, plan: Plan, spec: Path, into: Path | None, settings: Settings) -> int:
    """Runs what is missing, then prints and writes the table; the exit code is 1 where a run of the experiment failed, or the
    model of one could not be kept though its file asks for it."""
    if spec.name in WRITTEN:
        raise BakeoffError(f"{shown_path(spec)}: results are written to a file of this name; rename the experiment file")
    store = Store(into or spec.parent)
    with stopped_by_signals(), make_progress() as progress:
        outcome = run_experiment(document, plan, spec, store, settings=settings, progress=progress)
    reading = read([store])
    tell_damage(reading.experiment)
    rows = [row for board in reading.comparison.every_board for row in board.rows]
    trials = {run.id for run in plan.trials}
    failed_now = sum(record.status == "failed" and record.id not in trials for record in outcome.done)
    failed = max(sum(len(row.failed) for row in rows), failed_now)  # beside a good record, one that failed has no row
    unkept = sum(len(row.unkept) for row in rows) if plan.spec.keep == "final" else 0
    save(reading, store.folder)
    say(summary(outcome, failed, unkept), "", *write_page(reading.comparison).split("\n"))
    say(f"written: {shown_path(store.folder / PAGE_FILE)}, {shown_path(store.folder / CSV_FILE)}")
    return 1 if failed or unkept or outcome.undecided else 0


def summary(outcome: Outcome, failed: int, unkept: int) -> str:
    """What was done, in one line."""
    runs = outcome.runs
    failures = (f", {failed} failed" if failed else "") + (f", {unkept} without a model" if unkept else "")
    if not outcome.done:
        return f"all {runs} runs are recorded{failures}"
    trained = sum(record.cost.train_seconds for record in outcome.done if record.cost)
    before = f", {outcome.already_recorded} already recorded" if outcome.already_recorded else ""
    return f"{count(runs, 'run')}: {len(outcome.done)} done now{before}{failures}; trained {in_seconds(trained)}"
