"""The command `bakeoff plan`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.formats import plan_output
from bakeoff.cli.inputs import Called, find_changes, find_paths, indexed_store, open_experiment
from bakeoff.cli.options import into_option, json_option, only_option, shard_option, spec_argument
from bakeoff.cli.output import aligned, print_json, print_note, print_result
from bakeoff.cli.trust import trust_notes
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, Problem
from bakeoff.machine.garbage import without_collection
from bakeoff.planning.estimate import Left, Outlook, State, left, survey
from bakeoff.planning.runs import Plan, Run
from bakeoff.planning.search import settled
from bakeoff.planning.selection import select
from bakeoff.planning.shards import Shard
from bakeoff.records.store import Store
from bakeoff.runner.availability import look_for_files
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count, duration
from bakeoff.text.values import grouped, options_in_words
from bakeoff.text.words import escaped

if TYPE_CHECKING:
    from bakeoff.cli.sample_size import Resolution


@click.command()
@spec_argument
@into_option
@data_option
@click.option(
    "--resolve",
    "difference",
    metavar="DIFFERENCE",
    type=click.FloatRange(0, min_open=True),
    help="Instead, tell how many seeds are needed to detect a difference this large from the baseline: in points, or, if "
    "the primary metric is not shown in points, in its own unit.",
)
@only_option
@shard_option
@json_option
def plan(
    spec: Path,
    into: Path | None,
    data: DataFolders,
    difference: float | None,
    only: tuple[str, ...],
    shard: Shard | None,
    as_json: bool,
) -> None:
    """List every run of the experiment file SPEC: its name and id, its state, its expected time.

    Times are estimated from recorded runs that differ only in the seed, on a machine of the same kind: those in this folder,
    else those in the folders beside it. --resolve estimates the spread over seeds and examples from the same runs, and uses
    typical values where there are none. Data and models that this machine lacks are named, and the runs are listed all the
    same.
    """
    document, plan = open_experiment(spec)
    store, called = indexed_store(into or spec.parent), Called(spec, into, data)
    plan = select(plan, only, store.find)
    found = outlook_of(document, plan, store, find_paths(data, spec), called)
    if shard is not None:
        found = replace(found, runs=[one for one in found.runs if shard.has(one.run.id)])
    if difference is not None:
        if only or shard:
            raise click.UsageError(f"--resolve is about all runs: it takes no {'--only' if only else '--shard'}")
        if not math.isfinite(difference):  # NaN lies in every range
            raise click.BadParameter("must be a number", param_hint="--resolve")
        from bakeoff.cli.sample_size import in_words

        print_note(*found.notes, *found.lacking)
        resolution = found.resolve(store, difference, called)
        if as_json:
            print_json(resolution.model_dump_json(indent=1, ensure_ascii=True))
        else:
            print_result(*in_words(resolution, plan.titles))
        return
    if as_json:
        from bakeoff.cli.comparisons import comparisons  # scipy, as for the lines below

        about: dict[str, Any] = {"comparisons": comparisons(found.plan), "problems": found.problems, "notes": found.notes}
        output = plan_output(found.plan, found.runs, left(found.runs), **about)
        print_json(output.model_dump_json(indent=1, ensure_ascii=True))
        return
    print_result(*table(found.runs), "", *found.told(called, only))


@dataclass(frozen=True)
class PlanOutlook:
    """The runs of a plan with their state and expected time, and what is missing or changed."""

    plan: Plan
    runs: list[Outlook]
    problems: list[Problem]
    """Data and models that this machine lacks."""
    notes: list[str]

    @property
    def lacking(self) -> list[str]:
        return [f"not here: {problem}" for problem in self.problems]

    def told(self, called: Called, only: Sequence[str] = ()) -> list[str]:
        """The lines below the table of runs. only: the values of --only."""
        from bakeoff.cli.chances import chance_lines  # scipy: not before the file has proved right
        from bakeoff.cli.comparisons import comparison_lines

        same = [word for text in only for word in ("--only", text)]
        again = partial(called.again, "plan", "--resolve")
        expected = [] if only else [*comparison_lines(self.plan), *chance_lines(self.plan, again)]
        summed = summary(self.runs, left(self.runs), called.again("run", *same, "--retry", "failed"))
        lines = [
            *summed,
            *value_lines(self.plan, self.runs),
            *look_lines(self.plan, self.runs),
            *search_lines(self.plan),
            *note_lines(self.plan),
        ]
        return [*self.lacking, *self.notes, *expected, *lines]

    def resolve(self, store: Store, difference: float, called: Called) -> Resolution:
        """How many seeds are needed to detect a difference from the baseline, in points or the metric's own unit. Raises
        BakeoffError while a search has not chosen its configuration."""
        from bakeoff.cli.sample_size import resolve  # scipy and pandas: `plan` alone answers within a second

        if self.plan.waiting:
            raise BakeoffError(f"--resolve: a search has not chosen its values yet; `{called.again('run')}` runs its trials")
        return resolve(self.plan, store, self.runs, difference)


def outlook_of(document: Document, plan: Plan, store: Store, paths: Paths, called: Called) -> PlanOutlook:
    """The runs of the plan with their state and expected time, and notes on files that changed or are missing."""
    with without_collection():
        plan = settled(plan, store.find)
        changes, notes = find_changes(plan, store, paths, called)
        look = look_for_files(document, plan, paths)
        runs = with_looks(plan, store, survey(plan, store, changes.files))
    notes += trust_notes(document, plan, remedy=f"`{called.again('run', '--trust')}` runs them")
    store.keep_index()
    return PlanOutlook(plan, runs, list(look.problems), [*notes, *look.unseen])


def with_looks(plan: Plan, store: Store, outlooks: list[Outlook]) -> list[Outlook]:
    """The runs, with those marked that only a later look may need: such a run that is to do becomes `if open`, or `not needed`
    where all comparisons that it is in are decided."""
    seeds = plan.spec.seeds
    if not seeds.looks or all(outlook.state != "to do" for outlook in outlooks):
        return outlooks
    wanted = {run.id for run in (*plan.first_trials, *plan.runs) if run.is_trial or run.seed in plan.first_seeds}
    waiting = {_group_of(run) for run in plan.runs}
    declared = store.plan_file.is_file() and store.declared().looks == list(seeds.looks)
    if (
        declared
        and not plan.waiting_among(plan.first_seeds)
        and all(outlook.state != "to do" for outlook in outlooks if outlook.run.id in wanted)
    ):
        from bakeoff.runner.looks import stage_of  # scipy and pandas: a plan without records needs neither

        stage = stage_of(plan, store)
        wanted = {run.id for run in (*stage.trials, *stage.runs)}
        waiting = {_group_of(run) for run in (*stage.trials, *stage.runs)}

    def state_of(outlook: Outlook) -> State:
        if outlook.state != "to do" or outlook.run.id in wanted:
            return outlook.state
        return "if open" if any(_are_compared(_group_of(outlook.run), other) for other in waiting) else "not needed"

    return [replace(outlook, state=state_of(outlook)) for outlook in outlooks]


def value_lines(plan: Plan, outlooks: list[Outlook]) -> list[str]:
    """A table of the values of the recipe key that varies: how many runs each has, up to the last look, and how many are left.
    Empty where no key varies."""
    if plan.vary is None:
        return []
    value_of = {row: plan.vary.word(place) for row, place in plan.vary.place_of.items()}
    rows = [[plan.vary.key, "runs", "left", "time left"]]
    for value, own in grouped((value_of[one.run.strategy.name], one) for one in outlooks).items():
        todo = [one.seconds for one in own if one.state in ("to do", "running", "if open")]
        known = [seconds for seconds in todo if seconds is not None]
        long = f"about {duration(sum(known))}" if known and len(known) == len(todo) else "unknown" if todo else ""
        rows.append([value, f"{len(own):,}", f"{len(todo):,}", long])
    return ["", *aligned(rows), ""]


def _group_of(run: Run) -> tuple[str, str | None]:
    """The task and the shared model of a run; None in place of the model if the strategy has a model of its own, and so is in
    each of the task's groups."""
    return run.task.label, None if run.strategy.has_own_model else run.model_label


def _are_compared(first: tuple[str, str | None], second: tuple[str, str | None]) -> bool:
    return first[0] == second[0] and (first[1] == second[1] or None in (first[1], second[1]))


def look_lines(plan: Plan, outlooks: list[Outlook]) -> list[str]:
    """Lines on how many runs the declared looks may still need; empty without looks."""
    if not plan.spec.seeds.looks:
        return []
    fewest, most = plan.run_range
    lines = [f"{plan.spec.seeds.in_words}: {fewest:,} to {most:,} runs; decided or futile comparisons get no more seeds"]
    if later := [outlook for outlook in outlooks if outlook.state == "if open"]:
        known = [outlook.seconds for outlook in later if outlook.seconds is not None]
        long = f", about {duration(sum(known))}" if len(known) == len(later) else ""
        lines.append(f"up to {count(len(later), 'more run')} at later looks{long}, if all comparisons stay open")
    if spared := sum(outlook.state == "not needed" for outlook in outlooks):
        lines.append(f"{count(spared, 'run')} of later looks {'is' if spared == 1 else 'are'} not needed")
    return lines


def note_lines(plan: Plan) -> list[str]:
    """Notes of trainers on the recipes of their strategies."""
    return [f"note: {', '.join(names)}: {note}" for note, names in plan.notes.items()]


def search_lines(plan: Plan) -> list[str]:
    """Lines on the configurations that searches have chosen, and on how many runs wait for such a choice."""
    tuned = {strategy.name: strategy.tuning for strategy in plan.strategies if strategy.tuning}
    lines = []
    for (name, task, model, search), number in plan.chosen.items():
        if (tuning := tuned.get(name)) is not None:
            values = options_in_words(dict(tuning.configurations[number].tried))
            which = f" by search {search + 1} of {tuning.space.repeat}" if tuning.space.repeat > 1 else ""
            lines.append(f"{name}: {values}, chosen on dev{which} ({task}, {model})")
    if plan.waiting:
        lines.append(f"{count(plan.waiting, 'more run')} to report, with the configurations that the trials will choose")
    return lines


def table(outlooks: list[Outlook]) -> list[str]:
    """The runs as a table. Its column `time` has what a run took, or, with `about`, an estimate."""
    rows = [["run", "id", "state", "time"]]
    for outlook in outlooks:
        run, about = outlook.run, "about " if outlook.state in ("to do", "running", "if open") else ""
        time = (
            ""
            if outlook.state == "not needed"
            else "unknown"
            if outlook.seconds is None
            else f"{about}{duration(outlook.seconds)}"
        )
        rows.append([escaped(run.title), run.id, outlook.state, time])
    return aligned(rows)


def summary(outlooks: list[Outlook], left: Left, retry: str) -> list[str]:
    """Lines on what failed and what is left to do. retry: the command that repeats failed runs."""
    lines = [f"{outlook.run.title}: {outlook.state}: {outlook.note}" for outlook in outlooks if outlook.note]
    if failed := sum(outlook.state == "failed" for outlook in outlooks):
        lines.append(f"{count(failed, 'failed run')} recorded; `{retry}` tries again")
    if not left.runs:
        return [*lines, f"{count(len(outlooks), 'run')}; nothing left to do"]
    known = [f"about {duration(left.seconds)}"] if left.runs > left.unknown else []
    rest = [f"{count(left.unknown, 'run')} of unknown length" if known else "of unknown length"] if left.unknown else []
    return [*lines, f"{count(len(outlooks), 'run')}; {left.runs} left to do, {' and '.join([*known, *rest])}"]
