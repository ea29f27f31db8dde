"""The command `bakeoff status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from bakeoff.cli.formats import StatusOutput, StatusRunOutput
from bakeoff.cli.inputs import Called, indexed_store, open_experiment
from bakeoff.cli.options import into_option, json_option, spec_argument
from bakeoff.cli.output import aligned, print_json, print_result
from bakeoff.cli.table import PAGE_FILE
from bakeoff.contracts.registry import load_registry
from bakeoff.machine.file_hashes import state_of
from bakeoff.planning.runs import Plan
from bakeoff.records.schema import RECORD_FILE
from bakeoff.records.store import Store
from bakeoff.runner.sharded import WAITS, Phase
from bakeoff.runner.submitting import Standing, asked_before, failed_to_go_on, live_jobs, surveyed
from bakeoff.text.numbers import count
from bakeoff.text.values import command
from bakeoff.text.words import escaped, shown_path


@click.command()
@spec_argument
@into_option
@json_option
def status(spec: Path, into: Path | None, as_json: bool) -> int:
    """Tell how the runs of the experiment file SPEC stand that `bakeoff submit` has submitted: recorded, running, waiting, or
    left without a record by a job that has ended, and why.

    Records count first, then what jobs noted of themselves, then what the engine says.

    Exit code 0: all runs are recorded, 1: a run failed, or its job ended without a record, 2: an error, 5: runs are still to be
    made.
    """
    _, plan = open_experiment(spec)
    store = indexed_store(into or spec.parent)
    phase, standing = surveyed(plan, store, load_registry())
    code = code_of(standing)
    if as_json:
        output = output_of(plan, phase, standing, code, failed_to_go_on(store))
        print_json(output.model_dump_json(indent=1, ensure_ascii=True))
    else:
        called = Called(spec, into)
        lines = [
            *summary(phase, standing, called, asked_before(store)),
            *follow_up(store, called),
            *tables(store, standing, code),
            *others(plan, store, called),
        ]
        print_result(*table(standing), "", *lines)
    return code


def code_of(standing: Sequence[Standing]) -> int:
    """The exit code."""
    states = {one.state for one in standing}
    return 1 if states & {"failed", "ended"} else WAITS if states - {"recorded"} else 0


def table(standing: Sequence[Standing]) -> list[str]:
    """The runs, a line each."""
    rows = [["run", "state", "job", "why"]]
    rows += [[escaped(one.run.title), one.state, escaped(one.job), escaped(one.reason)] for one in standing]
    return aligned(rows)


def in_numbers(standing: Sequence[Standing]) -> str:
    """How many runs are in each state, in one line: `4 recorded, 2 running, 6 waiting`."""
    return ", ".join(f"{number:,} {state}" for state, number in Counter(one.state for one in standing).items())


def summary(phase: Phase, standing: Sequence[Standing], called: Called, asked: Sequence[str]) -> list[str]:
    """How the runs stand in all, and what to do about those that no job works on, a line each. asked: the words with which runs
    were submitted last."""
    lines = [f"{count(len(standing), 'run')}: {in_numbers(standing)}"]
    if ended := next((one for one in standing if one.state == "ended"), None):
        lines.append(f"what the job of {ended.run.title} printed: {shown_path(ended.log or '')}")
    if any(one.state in ("ended", "to do") for one in standing):
        lines.append(f"`{called.again('submit', *asked)}` submits what has no record and no job")
    if not phase.is_last:
        lines.append("further runs may follow from the results of these")
    return lines


def follow_up(store: Store, called: Called) -> list[str]:
    """A line where the command failed that was to go on when all jobs had ended; empty if it did not."""
    how = failed_to_go_on(store)
    again = called.again("submit", *asked_before(store))
    return [f"nothing went on when the jobs had ended: {how}; `{again}` goes on, or writes the tables"] if how else []


def tables(store: Store, standing: Sequence[Standing], code: int) -> list[str]:
    """A line on the tables where all is recorded (code 0); else none."""
    if code:
        return []
    with suppress(OSError):
        written = state_of(store.folder / PAGE_FILE)[1]
        if all(state_of(store.records / one.run.id / RECORD_FILE)[1] <= written for one in standing):
            return [f"tables of all runs: {shown_path(store.folder / PAGE_FILE)}"]
    return [f"tables of all runs are not written yet; `{command('table', store.folder)}` shows them"]


def others(plan: Plan, store: Store, called: Called) -> list[str]:
    """A line on jobs that wait or run for runs that the experiment file no longer names; empty if there are none."""
    known = plan.by_id.keys()
    jobs = [one for one in live_jobs(store, load_registry()) if known.isdisjoint(one.job.runs)]
    if not jobs:
        return []
    return [f"{count(len(jobs), 'job')} of runs that the file no longer names: `{called.again('cancel')}` cancels all jobs"]


def output_of(plan: Plan, phase: Phase, standing: Sequence[Standing], code: int, follow_up: str) -> StatusOutput:
    """What `bakeoff status --json` prints."""
    runs = [
        StatusRunOutput(
            id=one.run.id,
            name=one.run.title,
            state=one.state,
            job=one.job,
            reason=one.reason,
            log=shown_path(one.log) if one.log else None,
        )
        for one in standing
    ]
    return StatusOutput(ok=code == 0, experiment=plan.spec.name, phase=phase.name, runs=runs, follow_up=follow_up)
