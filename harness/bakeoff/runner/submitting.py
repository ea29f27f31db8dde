"""Submits the runs of an experiment to an engine (`bakeoff submit`), and tells how they stand (`bakeoff status`).

Records count first, then what jobs noted of themselves, then what the engine says.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from bakeoff.contracts.configured import canonical
from bakeoff.contracts.engine import NUMBER, Engine, EngineJob, JobBatch, JobState, Needs
from bakeoff.contracts.from_words import Words, component_from_words
from bakeoff.contracts.registry import Registry
from bakeoff.errors import BakeoffError
from bakeoff.planning.estimate import Outlook
from bakeoff.planning.runs import Plan, Run
from bakeoff.planning.search import settled
from bakeoff.records.claims import Claims
from bakeoff.records.ownership import keep_spec, require_owner
from bakeoff.records.store import Store
from bakeoff.records.submissions import (
    THEN,
    Cancelled,
    JobNote,
    Submission,
    Submissions,
    SubmittedJob,
    cancelled_in,
    log_file,
    note_of,
)
from bakeoff.runner.experiment import declaration
from bakeoff.runner.sharded import WAITS, Phase, first_lacking
from bakeoff.spec.document import Document
from bakeoff.text.numbers import MEBIBYTE, count
from bakeoff.text.values import grouped, listed, utc_now
from bakeoff.text.words import escaped, shown_path

PYTHON: Final = (sys.executable, "-P", "-m")
"""The command that starts a module of this installation; nothing is imported from the working directory."""
JOB: Final = "bakeoff.runner.job"
SLACK: Final = 1.5
"""A job's time limit and memory are this many times what similar runs took."""
TOLD_OF_RUNS: Final = (0, 1, WAITS)
"""Exit codes of `bakeoff submit` that say how runs ended, and not that it could not go on."""
JOB_MEMORY: Final = 512 * MEBIBYTE
"""Added to a job's memory for what is there beside the run's own process: the job, `bakeoff run`, the process from which runs
are started, and the next run's, which waits (690 MiB in all where the run alone took 467)."""
START_SECONDS: Final = 300
"""Added to a job's time limit for imports, loading, and a disk that many nodes read from."""
ENVIRONMENT: Final = ("BAKEOFF_DATA", "BAKEOFF_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
"""Variables that jobs get with the values they have here, whatever the engine does."""


@dataclass(frozen=True)
class Order:
    """What the user asks an engine for."""

    engine: Engine
    options: Any
    """The engine's options."""
    needs: Needs
    """`seconds` and `memory` are None where they are to be estimated."""
    bundle: int = 1
    """How many runs a job makes, one after another."""

    def with_needs(self, needs: Needs) -> Order:
        return replace(self, needs=needs)


def engine_named(registry: Registry, name: str, given: Words) -> tuple[Engine, Any]:
    """The engine and its options. Raises as `component_from_words`."""
    return component_from_words(registry, "engine", name, given)


# --- how the runs stand ---


State = Literal["recorded", "failed", "running", "waiting", "ended", "to do"]
"""`ended`: the run's job has ended, and the run has no record."""


@dataclass(frozen=True)
class Standing:
    """How one run stands."""

    run: Run
    state: State
    job: str = ""
    """Engine and handle of its last job; empty if it has none."""
    reason: str = ""
    log: Path | None = None
    """What its last job printed."""

    @property
    def is_live(self) -> bool:
        """Whether a job, or another process, works on it or will."""
        return self.state in ("running", "waiting")


class Given(NamedTuple):
    """A job that an engine has taken."""

    place: Path
    """The folder of its submission."""
    submission: Submission
    job: SubmittedJob

    @property
    def key(self) -> tuple[str, str]:
        return self.submission.engine, self.job.handle


def given(store: Store, run_ids: Set[str] | None = None) -> list[Given]:
    """The jobs that were submitted for these runs, or for all, the newest submission first."""
    return [
        Given(place, submission, job)
        for place, submission in Submissions(store.tree, store.folder).all()
        for job in submission.jobs
        if job.handle and (run_ids is None or not run_ids.isdisjoint(job.runs))
    ]


def said_of(jobs: Iterable[Given], registry: Registry) -> dict[tuple[str, str], JobState]:
    """(engine, handle) -> what the engine says of the job. Raises BakeoffError if an engine can't be asked."""
    found: dict[tuple[str, str], JobState] = {}
    for (name, _), own in _by_engine(jobs).items():
        engine, options = _engine_of(own[0], registry)
        try:
            states = engine.status([one.job.handle for one in own], options)
        except BakeoffError as error:
            raise BakeoffError(
                f"{error}; {shown_path(own[0].place)} has jobs of it: ask where it can be reached, or remove that folder if "
                "they are gone"
            ) from None
        found |= {(name, handle): state for handle, state in states.items()}
    return found


def _by_engine(jobs: Iterable[Given]) -> dict[tuple[str, str], list[Given]]:
    """(engine, its options as text) -> the jobs."""
    return grouped(((one.submission.engine, canonical(one.submission.options)), one) for one in jobs)


def _engine_of(one: Given, registry: Registry) -> tuple[Engine, Any]:
    engine: Engine = registry.get("engine", one.submission.engine).component
    return engine, engine.Options.model_validate(one.submission.options)


def standings(runs: Iterable[Run], store: Store, registry: Registry) -> list[Standing]:
    """How these runs stand, in their order. Raises BakeoffError where an engine that has jobs of them can't be asked."""
    runs = [*runs]
    lacking = {run.id for run in runs if (record := store.find(run.id)) is None or record.failure is not None}
    jobs: dict[str, Given] = {}
    for one in given(store, lacking) if lacking else ():
        jobs |= {run_id: one for run_id in lacking.intersection(one.job.runs) if run_id not in jobs}
    said = said_of({one.key: one for one in jobs.values()}.values(), registry)
    # records are read after the engines were asked: a job that has ended has recorded its runs
    return [_standing_of(run, store, jobs.get(run.id), said) for run in runs]


def surveyed(plan: Plan, store: Store, registry: Registry) -> tuple[Phase, list[Standing]]:
    """The first phase that lacks records, and how its runs and all recorded ones stand. Raises as `standings`."""
    before: Phase | None = None
    while True:
        chosen = settled(plan, store.find)
        phase = first_lacking(chosen, store)
        due = {run.id for run in phase.runs}
        runs = [run for run in chosen.wanted.values() if run.id in due or store.has(run.id)]
        found = standings(runs, store, registry)
        # while the engine answered, the last run of a phase may have been recorded, and the next one have become due
        if phase.is_last or phase == before or any(one.state != "recorded" for one in found):
            return phase, found
        before = phase


def _standing_of(run: Run, store: Store, last: Given | None, said: Mapping[tuple[str, str], JobState]) -> Standing:
    """last: the last job that was submitted for the run; None if there is none."""
    record = store.find(run.id)
    if record is not None and record.failure is None:
        return Standing(run, "recorded")
    failed = None
    if record is not None and record.failure is not None:
        failed = Standing(run, "failed", reason=f"{record.failure.reason}: {record.failure.message}")
    if last is None:
        held = store.claims.is_held(run.id)
        found = Standing(run, "running", reason="by another process") if held else Standing(run, "to do")
    else:
        state, reason = _state_of(run, last, said[last.key], store)
        job = f"{last.submission.engine} {last.job.handle}"
        found = Standing(run, state, job, reason, log_file(last.place, last.job.number))
        if (
            record is not None
            and failed
            and datetime.fromisoformat(record.started) >= datetime.fromisoformat(last.submission.begun)
        ):
            return failed  # by this job, which may go on with other runs
    return found if failed is None or found.is_live else failed


def _state_of(run: Run, last: Given, said: JobState, store: Store) -> tuple[State, str]:
    """The state of a run without a good record, and the reason. said: what the engine says of its last job."""
    if said.state == "waiting":
        return "waiting", said.reason
    held = store.claims.is_held(run.id)
    if said.state == "running":
        if len(last.job.runs) == 1 or held:
            return "running", said.reason
        return "waiting", "its job makes its runs one after another"
    if held:
        return "running", "by another process"
    note, cancelled = note_of(last.place, last.job.number), cancelled_in(last.place)
    if cancelled is not None and last.job.number in cancelled.jobs:
        return "to do", f"its job was cancelled {cancelled.when[:16].replace('T', ' ')}"
    if note is None:
        return "ended", said.reason or f"it wrote nothing: its node may not see {shown_path(last.place)}"
    if note.code is None:
        return "ended", said.reason or f"it was killed on {note.host}"
    return "ended", _how_it_ended(note, note.code)


def _how_it_ended(note: JobNote, code: int) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return escaped(f"{how} on {note.host}{f': {note.reason}' if note.reason else ''}")


def failed_to_go_on(store: Store) -> str:
    """How the command failed that followed the jobs of the newest submission, and where it printed why; empty if it did not
    fail. Runs that failed, or have no record, are told of their own jobs."""
    place, _ = next(Submissions(store.tree, store.folder).all(), (None, None))
    note = None if place is None else note_of(place, None)
    if place is None or note is None or note.code in (None, *TOLD_OF_RUNS):
        return ""
    return f"{_how_it_ended(note, note.code)}; it printed {shown_path(place / f'{THEN}.log')}"


def live_jobs(store: Store, registry: Registry, run_ids: Set[str] | None = None) -> list[Given]:
    """The jobs of these runs, or of all runs that were ever submitted, that wait or run. Raises BakeoffError where an engine
    can't be asked."""
    jobs = [one for one in given(store, run_ids) if any(store.is_due(run_id) for run_id in one.job.runs)]
    said = said_of(jobs, registry)
    return [one for one in jobs if said[one.key].state != "gone"]


def cancel(jobs: Iterable[Given], registry: Registry, store: Store) -> None:
    """Cancels these jobs, and what would follow the jobs of their submissions. Raises BakeoffError where an engine can't be
    asked, or refuses."""
    jobs, now = [*jobs], utc_now()
    for place, own in grouped((one.place, one) for one in jobs).items():
        numbers = [one.job.number for one in own]
        Submissions(store.tree, store.folder).write_cancelled(place, Cancelled(when=now, jobs=numbers))
    for own in _by_engine(jobs).values():
        engine, options = _engine_of(own[0], registry)
        engine.cancel([one.job.handle for one in own], options)


# --- submitting ---


@dataclass(frozen=True)
class Due:
    """What of an experiment can be submitted now."""

    plan: Plan
    phase: Phase
    runs: tuple[Run, ...]
    """The phase's runs that have no record and no job that waits or runs."""
    live: tuple[Standing, ...]
    """The phase's runs that wait or run already."""
    note: str = ""
    """A sentence for the user; may be empty."""


def due(document: Document, plan: Plan, store: Store, registry: Registry, *, retry_failed: bool, writes: bool) -> Due:
    """What can be submitted. writes: whether to write plan and experiment file into the folder of records, as `bakeoff run`
    does."""
    require_owner(store, declaration(document, plan), document.path, document.content)
    if writes:
        store.recover()
    plan = settled(plan, store.find)
    note = ""
    if writes:
        store.declare(declaration(document, plan))
        note = keep_spec(store, document.path, document.content)
    phase = first_lacking(plan, store, retry_failed=retry_failed)
    standing = standings(phase.runs, store, registry)
    again = ("to do", "ended", "failed") if retry_failed else ("to do", "ended")
    return Due(
        plan,
        phase,
        tuple(one.run for one in standing if one.state in again),
        tuple(one for one in standing if one.is_live),
        note,
    )


def require_equal_threads(plan: Plan, store: Store, threads: int) -> None:
    """Raises BakeoffError if all recorded runs were made on CPUs with another number of threads: jobs with so many would refuse
    to add to them. Where the experiment file declares its hardware, or runs have several processes, jobs say it."""
    recorded = [record for run in plan.wanted.values() if (record := store.find(run.id)) is not None]
    made = [record for record in recorded if record.environment.device == "cpu"]
    there = {record.environment.threads for record in made}
    several = any(record.requested.recipe.get("processes", 1) != 1 for record in made)
    if not there or threads in there or plan.spec.hardware or several or len(made) < len(recorded):
        return
    numbers = listed([count(number, "thread") for number in sorted(there)])
    raise BakeoffError(
        f"{count(len(made), 'recorded run')} had {numbers}, and these jobs would have {threads}: on a CPU the number of "
        f"threads is part of the hardware, so they would add nothing; give --threads {min(there)}"
    )


def bundles(runs: Sequence[Run], size: int) -> list[list[Run]]:
    """The runs dealt out to jobs, in their order."""
    return [[*runs[start : start + size]] for start in range(0, len(runs), size)]


def estimated(order: Order, jobs: Sequence[Sequence[Run]], outlooks: Mapping[str, Outlook]) -> Needs:
    """What each job needs, where the user has not said it: time and memory of similar recorded runs, with slack. Raises
    BakeoffError if the engine must have a time limit and nothing is known to estimate it from."""
    needs, known = order.needs, [[outlooks[run.id] for run in job] for job in jobs]
    seconds = [[one.seconds for one in job if one.seconds is not None] for job in known]
    if needs.seconds is None and all(len(own) == len(job) for own, job in zip(seconds, known, strict=True)):
        longest = max(map(sum, seconds), default=0.0)
        needs = replace(needs, seconds=60 * math.ceil((SLACK * longest + START_SECONDS) / 60))
    if needs.seconds is None and order.engine.needs_time:
        raise BakeoffError(
            f"--time is needed: engine '{order.engine.name}' takes only jobs with a time limit, and no similar run is "
            "recorded to estimate it from; for example --time 2h"
        )
    memory = [one.memory for job in known for one in job]
    if needs.memory is None and memory and None not in memory:
        needs = replace(needs, memory=MEBIBYTE * math.ceil((SLACK * max(filter(None, memory)) + JOB_MEMORY) / MEBIBYTE))
    return needs


def batch_of(order: Order, due: Due, place: Path, run_words: Sequence[str], then: Sequence[str]) -> JobBatch:
    """The jobs for an engine. place: the submission's folder. run_words: `run`, its experiment file and options. then: `submit`
    and its words, to go on when all jobs have ended; empty for nothing."""
    jobs = [
        EngineJob(number, tuple(escaped(run.title) for run in own), log_file(place, number))
        for number, own in enumerate(bundles(due.runs, order.bundle))
    ]
    name = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in due.plan.spec.name)
    return JobBatch(
        name=f"bakeoff-{name}"[:64],
        folder=place,
        directory=Path.cwd(),
        words=(*PYTHON, JOB, str(place), NUMBER, *PYTHON, "bakeoff", *run_words),
        jobs=tuple(jobs),
        needs=order.needs,
        environment={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        then=(*PYTHON, JOB, str(place), THEN, *PYTHON, "bakeoff", *(place.name if word == NUMBER else word for word in then))
        if then
        else (),
    )


def submit_due(
    order: Order, due: Due, store: Store, run_words: Sequence[str], then: Sequence[str], asked: Sequence[str] = ()
) -> tuple[Path, Submission]:
    """Submits the due runs; returns the submission's folder and what was submitted. run_words, then: as for `batch_of`. asked:
    the words of `Submission.asked`.

    Raises BakeoffError where the engine refuses; jobs that it had taken before stay submitted, with their handles noted.
    """
    submissions = Submissions(store.tree, store.folder)
    place = submissions.begin()
    submission = Submission(
        engine=order.engine.name,
        options=order.options.model_dump(mode="json"),
        folder=str(place.resolve()),
        begun=utc_now(),
        phase=due.phase.name,
        jobs=[
            SubmittedJob(number=number, runs=[run.id for run in own])
            for number, own in enumerate(bundles(due.runs, order.bundle))
        ],
        asked=[*asked],
    )
    submissions.write(place, submission)
    batch = batch_of(order, due, place.absolute(), run_words, then)
    try:
        for handles in order.engine.submit(batch, order.options):
            submission = submission.with_handles(handles)
            submissions.write(place, submission)
    except BakeoffError as error:
        taken = sum(bool(job.handle) for job in submission.jobs)
        if not taken:
            raise
        left = len(submission.jobs) - taken
        if not left:
            raise
        raise BakeoffError(
            f"{error}; {taken} of {len(submission.jobs)} jobs were submitted before and stay so; the same command submits the "
            f"other {left} again"
        ) from None
    return place, submission


def alone(store: Store) -> AbstractContextManager[None]:
    """A context in which no other process submits for this experiment. Raises StoreError if another one takes long."""
    submissions = Submissions(store.tree, store.folder)
    store.tree.make(submissions.folder)
    refusal = f"another `bakeoff submit` is submitting runs of {shown_path(store.folder)} just now; wait until it has ended"
    return Claims(store.tree, submissions.folder).alone("submit", refusal)


def asked_before(store: Store) -> list[str]:
    """The words with which runs were submitted last; `--to ENGINE` where none were."""
    _, last = next(Submissions(store.tree, store.folder).all(), (None, None))
    return last.asked if last is not None and last.asked else ["--to", "ENGINE"]


def unfinished(phase: Phase, standing: Iterable[Standing]) -> str:
    """A sentence about the runs of a phase that have no record though no job works on them; empty if there are none."""
    open_runs = [one for one in standing if one.state in ("ended", "to do")]
    if not open_runs:
        return ""
    first = open_runs[0]
    why = f" ({first.run.title}: {first.reason})" if first.reason else ""
    return f"{phase.name}: no record of {listed([one.run.title for one in open_runs], most=5)}{why}"
