"""The command `bakeoff submit`."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.formats import SubmitOutput
from bakeoff.cli.inputs import Called, find_paths, indexed_store, open_experiment, require_text
from bakeoff.cli.options import (
    WithFurtherOptions,
    changed_option,
    device_option,
    into_option,
    json_option,
    only_option,
    spec_argument,
    trust_option,
    trusted_option,
)
from bakeoff.cli.output import print_json, print_note, print_result
from bakeoff.cli.run import finish, in_lines, require_own_name
from bakeoff.cli.status import in_numbers
from bakeoff.cli.trust import agreed
from bakeoff.contracts.engine import NUMBER, Needs
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.machine.hardware import usable_threads
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.planning.estimate import survey
from bakeoff.planning.runs import Plan
from bakeoff.planning.search import settled
from bakeoff.planning.selection import select
from bakeoff.records.store import Store
from bakeoff.records.submissions import Submission, Submissions, cancelled_in, read_submission
from bakeoff.runner.experiment import Outcome
from bakeoff.runner.settings import Policy
from bakeoff.runner.sharded import WAITS
from bakeoff.runner.submitting import (
    Due,
    Order,
    Standing,
    alone,
    batch_of,
    bundles,
    due,
    engine_named,
    estimated,
    require_equal_threads,
    standings,
    submit_due,
    unfinished,
)
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count
from bakeoff.text.words import escaped, shown_path

GIBIBYTE: Final = 2**30
POLL_SECONDS: Final = 5.0
"""How often `--follow` asks how the jobs stand."""
MOST_REFUSALS: Final = 7
"""How often in a row an engine may fail to answer until `--follow` gives up; it waits twice as long each time."""
MOST_THREADS: Final = 4
"""CPU threads of a job if the user says nothing and this machine has as many."""
TIME = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?")


class Duration(click.ParamType[int]):
    """The type of an option that gives a time such as `90m`, `2h`, `1d12h`; its value is in seconds."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = TIME.fullmatch(value)
        days, hours, minutes = (int(part or 0) for part in (found.groups() if found else "000"))
        seconds = 60 * (minutes + 60 * (hours + 24 * days))
        if not seconds:
            self.fail(f"{value!r} must be days, hours and minutes, such as 90m, 2h or 1d12h", param, ctx)
        return seconds


@click.command(cls=WithFurtherOptions, chosen_by="--to")
@spec_argument
@click.option(
    "--to", metavar="ENGINE", required=True, help="Engine that starts the jobs: `bakeoff plugins --kind engine` lists them."
)
@into_option
@data_option
@device_option
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help=f"CPU threads of a job (default: {MOST_THREADS}, or as many as this machine has).",
)
@click.option(
    "--gpus",
    metavar="N",
    type=click.IntRange(0, 64),
    default=0,
    show_default=True,
    help="GPUs of a job; with 0 a job of slurm or ray gets none and trains on the CPU.",
)
@click.option("--memory", metavar="GIB", type=click.FloatRange(0.1, 100_000), help="Main memory of a job (default: estimated).")
@click.option(
    "--time", "seconds", metavar="TIME", type=Duration(), help="Time limit of a job, such as 90m or 1d12h (default: estimated)."
)
@click.option(
    "--bundle",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Runs of a job, one after another.",
)
@click.option("--at-once", metavar="N", type=click.IntRange(1, 100_000), help="At most so many jobs at the same time.")
@changed_option
@click.option("--retry", type=click.Choice(["failed"]), help="Also repeat recorded runs that failed.")
@only_option
@click.option("--follow", is_flag=True, help="Stay until all is made: submit each next phase, and write the tables.")
@click.option("--dry-run", is_flag=True, help="Print what would be submitted; write and submit nothing.")
@click.option("--after", type=click.IntRange(1), hidden=True, help="Go on when the submission of this number has ended.")
@trust_option
@trusted_option
@json_option
@click.pass_obj
def submit(
    given: dict[str, list[str]],
    *,
    spec: Path,
    to: str,
    into: Path | None,
    data: DataFolders,
    device: str,
    threads: int | None,
    gpus: int,
    memory: float | None,
    seconds: int | None,
    bundle: int,
    at_once: int | None,
    changed: Policy,
    retry: Literal["failed"] | None,
    only: tuple[str, ...],
    follow: bool,
    dry_run: bool,
    after: int | None,
    trust: bool,
    trusted: str,
    as_json: bool,
) -> int:
    """Submit the runs of the experiment file SPEC that are not recorded yet to an engine, such as Slurm, as jobs that other
    machines perform. All machines must see the folder of the records.

    Further options are those of the engine: --partition main. With a search or looks there are phases; when the jobs of one
    have ended, a last job submits the next one, or writes the tables. Called again, it submits what has no record and no job.

    Exit code 0: submitted, or nothing is left to do; 1: with --follow, a run failed; 2: an error; 5: with --follow, a job ended
    and left a run without a record.
    """
    require_own_name(spec)
    document, plan = open_experiment(spec)
    registry, called, store = load_registry(), Called(spec, into, data), indexed_store(into or spec.parent)
    engine, options = engine_named(registry, to, given)
    find_paths(data, spec)  # refuses a data folder that does not exist
    require_text(store.folder)
    threads = threads or min(MOST_THREADS, usable_threads())
    needs = Needs(threads, gpus, int(memory * GIBIBYTE) if memory else None, seconds, at_once)
    remedy = f"`{called.again('submit', '--to', to, '--trust')}`"
    digest = "" if dry_run else agreed(document, plan, trust=trust, trusted=trusted, remedy=remedy)
    first = [spec.absolute(), *data.absolute.words]
    both = {"into": store.folder.absolute(), "device": device, "threads": threads, "changed": changed, "trusted": digest}
    own = {
        "to": to,
        "gpus": gpus,
        "memory": memory,
        "time": seconds and f"{seconds // 60}m",
        "bundle": bundle,
        "at-once": at_once,
    }
    job = words("run", first, both | {"retry": retry, "shard": "1/1"})
    then = words("submit", first, both | own | {"only": only, "after": NUMBER} | given)
    asked = words(
        "--to",
        [to],
        {"device": device if device != "auto" else "", "threads": threads}
        | {**own, "to": "", "bundle": bundle if bundle > 1 else 0}
        | given,
    )
    order = Order(engine, options, needs, bundle)
    plan = select(plan, only, store.find)
    caller = Caller(document, plan, store, registry, order, job, [] if follow else then, asked, called, only, changed)
    try:
        if dry_run:
            print_result(*caller.preview())
            return 0
        with stopped_by_signals():
            if after is not None and (left := caller.left_by(after)):
                return caller.stop(left)
            return caller.follow() if follow else caller.once(as_json)
    except OSError as error:
        raise StoreError(f"{shown_path(error.filename or store.folder)}: {error.strerror or error}") from None


def words(verb: str, first: Iterable[object], options: Mapping[str, object]) -> list[str]:
    """The words of a command line: the verb, the first words, and each option that has a value, once for each value."""
    line = [verb, *map(str, first)]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value] if value else []
        line += [word for one in values for word in (f"--{name}", str(one))]
    return line


@dataclass(frozen=True)
class Caller:
    """One call of `bakeoff submit`."""

    document: Document
    plan: Plan
    store: Store
    registry: Registry
    order: Order
    job: Sequence[str]
    """`run`, the experiment file and the options of each job, without the names of its runs."""
    then: Sequence[str]
    """`submit` and its words, for the process that goes on when all jobs have ended; empty if this process does."""
    asked: Sequence[str]
    """The words with which the same is asked for once more, but for the experiment's own."""
    called: Called
    only: tuple[str, ...]
    changed: Policy

    def due(self, *, writes: bool = True, retry: bool | None = None) -> Due:
        """What can be submitted. retry: whether runs that failed are repeated; None for what the user said."""
        retry = "--retry" in self.job if retry is None else retry
        found = due(self.document, self.plan, self.store, self.registry, retry_failed=retry, writes=writes)
        if found.note:
            print_note(found.note)
        return found

    def with_needs(self, found: Due) -> Order:
        """The order, with the needs of the due runs estimated. Raises BakeoffError if the engine can't give them."""
        if self.order.needs.gpus == 0 and self.changed == "stop":
            require_equal_threads(found.plan, self.store, self.order.needs.threads)
        outlooks = {one.run.id: one for one in survey(found.plan, self.store, anywhere=True)}
        order = self.order.with_needs(estimated(self.order, bundles(found.runs, self.order.bundle), outlooks))
        order.engine.check(order.needs, order.options)
        return order

    def preview(self) -> list[str]:
        """What would be submitted, a line each."""
        found = self.due(writes=False)
        if not found.runs:
            return ["nothing to submit"]
        place = Submissions(self.store.tree, self.store.folder).next_folder().absolute()
        order = self.with_needs(found)
        return order.engine.preview(batch_of(order, found, place, self.job, self.then), order.options).splitlines()

    def submit(self, found: Due) -> tuple[Path, Submission]:
        """Submits the due runs."""
        order = self.with_needs(found)
        return submit_due(order, found, self.store, self.job, self.then, self.asked)

    def once(self, as_json: bool) -> int:
        """Submits what is due, and returns at once. If nothing is left to do, writes the tables, unless it prints JSON."""
        with alone(self.store):
            found = self.due()
            if not (found.runs or found.live or as_json):
                return self.tables()
            place, submission = self.submit(found) if found.runs else (None, None)
        if as_json:
            print_json(output_of(found, self.order.engine.name, place, submission).model_dump_json(indent=1, ensure_ascii=True))
        else:
            print_result(*map(escaped, in_words(found, place, submission)), f"how they stand: {self.called.again('status')}")
        return 0

    def follow(self) -> int:
        """Submits phase after phase, waits for the jobs, and writes the tables."""
        for retry in itertools.chain([None], itertools.repeat(False)):  # a run is repeated once
            with alone(self.store):
                found = self.due(retry=retry)
                if not (found.runs or found.live):
                    return self.tables()
                if found.runs:
                    print_note(*map(escaped, in_words(found, *self.submit(found))))
            if left := unfinished(found.phase, self.wait(found)):
                return self.stop(left)
        raise AssertionError  # the loop has no end

    def stop(self, left: str) -> int:
        """Tells what has no record though its jobs have ended, and writes the tables of what there is. left: a sentence."""
        again = self.called.again("submit", *self.asked)
        print_note(f"nothing more is submitted: {left}; `{again}` submits what is missing again")
        self.tables()
        return WAITS

    def wait(self, found: Due) -> list[Standing]:
        """Waits until no job works on the phase any more, telling how it stands as that changes. Returns how its runs stand.
        Raises BakeoffError if the engine can't be asked several times in a row."""
        before, refusals = "", 0
        while True:
            try:
                standing = standings(found.phase.runs, self.store, self.registry)
                refusals = 0
            except BakeoffError as error:
                refusals += 1
                if refusals == MOST_REFUSALS:
                    raise
                print_note(f"asking again: {error}")
            else:
                if (now := in_numbers(standing)) != before:
                    print_note(f"{found.phase.name}: {now}")
                    before = now
                if not any(one.is_live for one in standing):
                    return standing
            time.sleep(POLL_SECONDS * 2**refusals)

    def left_by(self, number: int) -> str:
        """Why nothing is to follow a submission: it was cancelled, or runs have no record; empty if all have one."""
        place = Submissions(self.store.tree, self.store.folder).folder / str(number)
        try:
            ids = {run for job in read_submission(place).jobs for run in job.runs}
        except FileNotFoundError:
            raise BakeoffError(f"--after: no submission {shown_path(place)}") from None
        if (cancelled := cancelled_in(place)) is not None:
            return f"jobs were cancelled {cancelled.when}"
        found = self.due(writes=False)
        runs = [run for run in found.plan.wanted.values() if run.id in ids]
        return unfinished(found.phase, [one for one in standings(runs, self.store, self.registry) if not one.is_live])

    def tables(self) -> int:
        """Writes and prints the tables of what is recorded. Returns 1 if a run failed, else 0."""
        plan = settled(self.plan, self.store.find)
        runs, recorded = len(plan.wanted), sum(not self.store.is_due(run_id) for run_id in plan.wanted)
        outcome = Outcome(runs, (), recorded, 0, runs + plan.waiting, frozenset(plan.wanted))
        finished = finish(outcome, plan, self.store, self.called, self.only)
        first = finished.summary if recorded == runs else f"{recorded} of {count(runs, 'run')} recorded"
        print_result(*in_lines(finished, self.store, self.called, first))
        return 0 if finished.complete else 1


def in_words(found: Due, place: Path | None, submission: Submission | None) -> list[str]:
    """What was submitted, a line each."""
    lines = [f"{count(len(found.live), 'run')} already waiting or running: not submitted again"] if found.live else []
    if place is None or submission is None:
        return lines
    runs = sum(len(job.runs) for job in submission.jobs)
    handles = [job.handle for job in submission.jobs]
    shown = handles[0] if len(handles) == 1 else f"{handles[0]} to {handles[-1]}"
    jobs = count(len(submission.jobs), "job")
    return [
        *lines,
        f"{submission.phase}: {count(runs, 'run')} in {jobs} submitted to {submission.engine}: {shown} ({shown_path(place)})",
    ]


def output_of(found: Due, engine: str, place: Path | None, submission: Submission | None) -> SubmitOutput:
    """What `bakeoff submit --json` prints."""
    return SubmitOutput(
        experiment=found.plan.spec.name,
        phase=found.phase.name,
        engine=engine,
        folder=shown_path(place) if place else None,
        submitted={run: job.handle for job in submission.jobs for run in job.runs} if submission else {},
        live=[one.run.id for one in found.live],
    )
