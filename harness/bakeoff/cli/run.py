"""`bakeoff run`: trains an experiment and writes its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from bakeoff.cli.comparisons import confounded_lines
from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.following import Followers, following, orders_of
from bakeoff.cli.formats import NOT_KEPT, RunOutput, RunProblemOutput, ShardOutput
from bakeoff.cli.inputs import Called, find_paths, indexed_store, open_experiment, require_text
from bakeoff.cli.options import (
    WithFurtherOptions,
    changed_option,
    device_option,
    into_option,
    json_option,
    only_option,
    shard_option,
    spec_argument,
    threads_option,
    trust_option,
    trusted_option,
)
from bakeoff.cli.output import print_damage, print_json, print_result, terminal_width
from bakeoff.cli.progress import make_progress
from bakeoff.cli.report import HTML_FILE, MODEL_INDEX_FILE, TEX_FILE
from bakeoff.cli.table import CSV_FILE, PAGE_FILE, Reading, read, save, where_all_is
from bakeoff.cli.trust import agreed
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.machine import fork_server
from bakeoff.machine.hardware import prepare_environment, usable_threads
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.planning.runs import Plan
from bakeoff.planning.selection import select
from bakeoff.planning.shards import Shard
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.report.text.brief import write_brief
from bakeoff.runner.experiment import Outcome, run_experiment
from bakeoff.runner.settings import Policy, Progress, Settings
from bakeoff.runner.sharded import WAITS, ShardDone, in_words, make_shard
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count, in_seconds
from bakeoff.text.values import listed
from bakeoff.text.words import escaped, shown_path

WRITTEN = {PAGE_FILE, CSV_FILE, HTML_FILE, TEX_FILE, MODEL_INDEX_FILE}
"""Names of files that `run` and `report` write or replace."""


@click.command(cls=WithFurtherOptions, chosen_by="--export-to")
@spec_argument
@into_option
@data_option
@device_option
@click.option("--jobs", metavar="N", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at the same time.")
@threads_option
@changed_option
@click.option(
    "--control/--no-control",
    default=True,
    help="Time a fixed piece of work before and after the runs (2 s), so that tables can tell whether the machine's speed "
    "changed meanwhile.",
)
@click.option(
    "--retry",
    type=click.Choice(["failed", "unkept"]),
    help="Also repeat recorded runs that failed, or (unkept) whose model was not kept though the file says `keep: final`.",
)
@only_option
@shard_option
@click.option(
    "--export-to",
    metavar="TRACKER",
    multiple=True,
    help="Also write each run to this tracker once it is recorded, in a process beside the training: tensorboard, mlflow, "
    "wandb or a plugin's (can be repeated). Its own options follow, as for `bakeoff export`. Its errors are notes, and change "
    "no exit code.",
)
@trust_option
@trusted_option
@json_option
@click.pass_obj
def run(
    given: dict[str, list[str]],
    *,
    spec: Path,
    into: Path | None,
    data: DataFolders,
    device: str,
    jobs: int,
    threads: int | None,
    changed: Policy,
    control: bool,
    retry: Literal["failed", "unkept"] | None,
    only: tuple[str, ...],
    shard: Shard | None,
    export_to: tuple[str, ...],
    trust: bool,
    trusted: str,
    as_json: bool,
) -> int:
    """Train every run of the experiment file SPEC that is not recorded yet, and write records and tables beside SPEC. Without
    SPEC, of the only experiment file in this folder.

    A run is one strategy on one task and model with one seed, and is named by strategy and seed: full:0. If interrupted, run
    the same command again: it continues where it stopped. A run that fails is recorded with its reason, and the others go on.

    Exit code 0: every run (of --only, every one that it names) succeeded, 1: a run failed or left no model that it should have
    kept, 2: an error. With --shard 0: every run of the shard has a record, also one that failed; 5: one is made by another
    process, or the next phase waits for runs of other shards.
    """
    if into is not None:
        require_text(into)
    store, threads = indexed_store(into or spec.parent), threads or max(1, usable_threads() // jobs)
    orders = orders_of(load_registry(), export_to, given, store.folder, shard) if export_to else []
    begin_imports(spec, store, threads)
    document, plan = open_experiment(spec)
    plan = select(plan, only, store.find)
    require_own_name(spec)
    called = Called(spec, into, data)
    settings = Settings(
        paths=find_paths(data, spec),
        device=device,
        threads=threads,
        jobs=jobs,
        changed=changed,
        retry=retry,
        control=control,
        trusted=agreed(document, plan, trust=trust, trusted=trusted, remedy=f"`{called.again('run', '--trust')}`"),
    )
    with following(orders) as followers:
        if shard is not None:
            code = run_shard(document, plan, store, shard, settings, followers, as_json=as_json)
        else:
            with stopped_by_signals(), make_progress() as progress, followers.told_by(progress.note):
                outcome = make(document, plan, store, settings, progress)
            finished = finish(outcome, plan, store, called, only)
            if as_json:
                print_json(output_of(finished, plan, store).model_dump_json(indent=1, ensure_ascii=True))
            else:
                print_result(*in_lines(finished, store, called, finished.summary))
            code = 0 if finished.complete else 1
        followers.finish()
    return code


def run_shard(
    document: Document, plan: Plan, store: Store, shard: Shard, settings: Settings, followers: Followers, *, as_json: bool
) -> int:
    """Makes the runs of a shard, and prints what was done. Returns the exit code."""
    with stopped_by_signals(), make_progress() as progress, followers.told_by(progress.note):
        done = make_shard(document, plan, document.path, store, shard, settings=settings, progress=progress)
    if as_json:
        print_json(shard_output(done, shard, plan).model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_result(*map(escaped, in_words(done, shard)))
    return 0 if done.complete else WAITS


@dataclass(frozen=True)
class Finished:
    """What one call of `run` has done, and the comparison of all that is recorded by now."""

    outcome: Outcome
    reading: Reading
    failed: Sequence[Record]
    """Records of runs that failed, of those that were to be made, without trials of searches; a run that failed now may have a
    good record from before."""
    unkept: Sequence[Record]
    """Records of runs that should have kept a model and have none."""
    only: Sequence[str] = ()
    """The values of --only, which name some of the declared runs; empty for all."""

    @property
    def complete(self) -> bool:
        """Whether every run succeeded, and kept the model that it should keep."""
        return not (self.failed or self.unkept or self.outcome.undecided)

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        return summary(self.outcome, len(self.failed), len(self.unkept), self.only)


def begin_imports(spec: Path, store: Store, threads: int) -> None:
    """Starts the fork server, the process that runs are forked from, so that it imports libraries such as torch while the
    experiment file is read. Not in a folder that has a plan: there all runs may be recorded already."""
    if spec.is_file() and not store.plan_file.exists():
        prepare_environment(threads)
        fork_server.begin()


def make(document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress) -> Outcome:
    """Notes which comparisons would end confounded, then makes the runs."""
    for line in confounded_lines(plan):
        progress.note(line)
    return run_experiment(document, plan, document.path, store, settings=settings, progress=progress)


def require_own_name(spec: Path) -> None:
    """Raises BakeoffError if the experiment file has the name of a file that results are written to."""
    if spec.name in WRITTEN:
        raise BakeoffError(f"{shown_path(spec)}: results are written to a file of this name; rename the experiment file")


def finish(outcome: Outcome, plan: Plan, store: Store, called: Called | None = None, only: Sequence[str] = ()) -> Finished:
    """Compares what is recorded, and writes the tables. called: as the user named the experiment, for commands in messages."""
    reading = read([store])
    print_damage(reading.experiment, again=lambda line: as_called(line, store, called) if called else line)
    save(reading, store.folder)
    trials = {run.id for run in plan.trials}
    own = [record for record in reading.experiment.records if plan.only is None or record.id in outcome.wanted]
    made = [record for record in outcome.done if record.id not in trials]
    failed = {record.id: record for record in (*own, *made) if record.failure is not None}
    unkept = [record for record in own if record.why_not_kept] if plan.spec.keep == "final" else []
    return Finished(outcome, reading, list(failed.values()), unkept, only)


def as_called(line: str, store: Store, called: Called) -> str:
    """The line with its commands as the user would call them."""
    return called.as_called(line, [store.folder / called.spec.name])


def written(store: Store) -> list[str]:
    """Paths of the tables."""
    return [shown_path(store.folder / name) for name in (PAGE_FILE, CSV_FILE)]


def in_lines(finished: Finished, store: Store, called: Called, first: str) -> list[str]:
    """What is printed when runs are made: a first line, and the brief table."""
    more = [where_all_is(store.folder), f"written: {', '.join(written(store))}"]
    brief = write_brief(finished.reading.comparison, terminal_width(), more=more)
    return [first, "", *(as_called(line, store, called) for line in brief)]


def output_of(finished: Finished, plan: Plan, store: Store) -> RunOutput:
    """What `bakeoff run --json` prints."""
    outcome, comparison = finished.outcome, finished.reading.comparison
    return RunOutput(
        ok=finished.complete,
        experiment=plan.spec.name,
        folder=shown_path(store.folder),
        needed=outcome.runs,
        at_most=outcome.at_most,
        done_now=len(outcome.done),
        already_recorded=outcome.already_recorded,
        undecided=outcome.undecided,
        train_seconds=sum(record.train_seconds or 0.0 for record in outcome.done),
        failed=[problem_of(record, one.reason, one.message) for record in finished.failed if (one := record.failure)],
        not_kept=[problem_of(record, NOT_KEPT, record.why_not_kept) for record in finished.unkept],
        recommendation=comparison.recommendation,
        take=[one.take for one in comparison.recommendations],
        written=written(store),
    )


def shard_output(done: ShardDone, shard: Shard, plan: Plan) -> ShardOutput:
    """What `bakeoff run --shard --json` prints."""
    return ShardOutput(
        complete=done.complete,
        experiment=plan.spec.name,
        shard=str(shard),
        phase=done.phase,
        runs=done.runs,
        done_now=len(done.done),
        already_recorded=done.already_recorded,
        failed=[problem_of(record, one.reason, one.message) for record in done.done if (one := record.failure)],
        held=list(done.held),
        missing=list(done.missing),
    )


def problem_of(record: Record, reason: str, message: str) -> RunProblemOutput:
    asked = record.requested
    place = {"task": asked.task_label, "model": asked.model_label, "strategy": asked.strategy}
    return RunProblemOutput(id=record.id, **place, seed=asked.seed, reason=reason, message=message)


def summary(outcome: Outcome, failed: int, unkept: int, only: Sequence[str] = ()) -> str:
    """What was done, in one line. failed, unkept: how many runs failed, or lack a model that they should have kept. only: the
    values of --only."""
    if only:
        return f"--only {listed(map(escaped, only))}: {summary(outcome, failed, unkept)}"
    failures = (f", {failed} failed" if failed else "") + (f", {unkept} without a model" if unkept else "")
    looks = f" of at most {outcome.at_most}" if outcome.runs < outcome.at_most else ""
    if not outcome.runs:
        return "no run was made"
    if not outcome.done:
        recorded = "the one run is recorded" if outcome.runs == 1 else f"all {outcome.runs} runs are recorded"
        return recorded + failures + (f"; the looks need no further run{looks}" if looks else "")
    trained = sum(record.train_seconds or 0.0 for record in outcome.done)
    before = f", {outcome.already_recorded} already recorded" if outcome.already_recorded else ""
    return f"{count(outcome.runs, 'run')}{looks}: {len(outcome.done)} done now{before}{failures}; trained {in_seconds(trained)}"
