"""The command `bakeoff check`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.formats import CheckOutput, found_problems
from bakeoff.cli.inputs import Called, find_changes, find_paths, indexed_store, open_experiment
from bakeoff.cli.options import into_option, json_option, spec_argument, trust_option
from bakeoff.cli.output import print_json, print_result
from bakeoff.cli.plan import note_lines
from bakeoff.cli.trust import agreed, trust_notes
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, Problem, SpecError
from bakeoff.planning.runs import Plan
from bakeoff.planning.search import settled
from bakeoff.records.store import Store
from bakeoff.runner.availability import look_for_files
from bakeoff.runner.changes import Machine, caveats, differences_here, in_words
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count
from bakeoff.text.words import escaped


@click.command()
@spec_argument
@click.option(
    "--build",
    is_flag=True,
    help="Also load every task and build every model once, as `bakeoff run` does first, and let every trainer take two steps.",
)
@data_option
@into_option
@trust_option
@json_option
def check(spec: Path, build: bool, data: DataFolders, into: Path | None, trust: bool, as_json: bool) -> int:
    """Find all errors in the experiment file SPEC, and data and models that this machine lacks, without training.

    Each error names its place, FILE:LINE:COLUMN. If runs are recorded already, also tells which of their files have changed.

    Exit code 0: no error found, 2: errors.
    """
    called = Called(spec, into, data)
    try:
        document, plan = open_experiment(spec)
        remedy = f"`{called.again('check', '--build', '--trust')}`"
        trusted = agreed(document, plan, trust=trust, remedy=remedy) if build else ""
        notes = look(
            document, plan, indexed_store(into or spec.parent), find_paths(data, spec), called, build=build, trusted=trusted
        )
    except BakeoffError as error:
        if not as_json:
            raise
        file = escaped(str(spec))
        problems = error.problems if isinstance(error, SpecError) else [Problem(file, 0, 0, "", str(error))]
        found = CheckOutput(ok=False, file=file, problems=found_problems(problems))
        print_json(found.model_dump_json(indent=1, ensure_ascii=True))
        return error.exit_code
    if not as_json:
        print_result(*notes, passed(document, plan, build=build))
    outlook = outlook_of(plan, called)
    if as_json:
        print_json(output_of(document, plan, notes, outlook).model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_result(*outlook)
    return 0


def passed(document: Document, plan: Plan, *, build: bool) -> str:
    """The line that says that no error was found, with the number of runs."""
    return f"{document.file}: {arithmetic(plan)}; no error found{'' if build else ' (--build also loads and builds all)'}"


def outlook_of(plan: Plan, called: Called) -> list[str]:
    """Sentences on what each comparison is about, and what it can conclude."""
    from bakeoff.cli.chances import chance_lines  # scipy: not before the file has proved right
    from bakeoff.cli.comparisons import comparison_lines

    return [*comparison_lines(plan), *chance_lines(plan, lambda amount: called.again("plan", "--resolve", amount))]


def output_of(document: Document, plan: Plan, notes: list[str], outlook: list[str]) -> CheckOutput:
    fewest, most = plan.run_range
    counts = {"fewest_runs": fewest, "most_runs": most}
    return CheckOutput(ok=True, file=document.file, experiment=plan.spec.name, notes=notes, outlook=outlook, **counts)


def look(
    document: Document, plan: Plan, store: Store, paths: Paths, called: Called, *, build: bool, trusted: str = ""
) -> list[str]:
    """Looks for the plan's data and models, and for changes since runs were recorded; returns notes on what to mind. build:
    also load and build everything once. trusted: the hash of the commands that the user has agreed to, as in `Settings`. Raises
    SpecError for whatever would keep runs from starting."""
    known = settled(plan, store.find)
    if build:
        from bakeoff.cli.progress import make_notes  # these load what trains: `check` alone answers within a second
        from bakeoff.runner.preflight import preflight
        from bakeoff.runner.settings import Settings

        with make_notes() as progress:
            machine = preflight(document, plan, Settings(paths=paths, trusted=trusted), progress, rehearsed=True)
        lines = differences_from_records(known, store, machine)
    else:
        lines = find_changes(known, store, paths, called)[1]
        files = look_for_files(document, plan, paths)
        if files.problems and runs_are_due(document, known, store):
            raise SpecError(files.problems)
        lines += files.unseen
        lines += trust_notes(document, plan, remedy=f"`{called.again('run', '--trust')}` runs them")
    return [*lines, *note_lines(plan)]


def runs_are_due(document: Document, plan: Plan, store: Store) -> bool:
    """Whether `bakeoff run` would train anything, and so would need the data and models."""
    recorded = {record.id for record in store.read_all(plan.by_id)[0] if not record.was_interrupted}
    if len(recorded) == len(plan.by_id) + plan.waiting:
        return False
    from bakeoff.runner.experiment import anything_due  # loads what compares, where runs wait for looks

    return anything_due(document, plan, store, recorded, ())


def differences_from_records(plan: Plan, store: Store, machine: Machine) -> list[str]:
    """Sentences on how the data, weights, hardware and software of recorded runs differ from those of this machine."""
    records = {record.id: record for record in store.read_all(plan.by_id)[0]}
    hardware = plan.spec.hardware or ()
    changed = {run_id: differences_here(plan.by_id[run_id], record, machine, hardware) for run_id, record in records.items()}
    return [f"since runs were recorded: {clause}" for clause in in_words(plan, changed)] + caveats(plan, records, machine)


def _strategies(number: int) -> str:
    return count(number, "strategy").replace("strategys", "strategies")


def arithmetic(plan: Plan) -> str:
    """How the number of runs comes about: `2 strategies x 1 task x 1 model x 3 seeds = 6 runs`, or `... x 3 to 20 seeds = 6 to
    40 runs, by looks at 3, 8 and 20 seeds`."""
    seeds = plan.spec.seeds
    alone = {strategy.written for strategy in plan.strategies if strategy.has_own_model}
    own, tasks, models = len(alone), count(len(plan.tasks), "task"), count(len(plan.models), "model")
    strategies = len({strategy.written for strategy in plan.strategies})
    values = [f"{len(plan.vary.values)} values of {plan.vary.key}"] if plan.vary else []
    if not own:
        shown = [_strategies(strategies), *values, tasks, models]
    elif len(plan.models) < 2:
        shown = [_strategies(strategies), *values, tasks]
    else:
        beside = f"{_strategies(own)} with {'a model of its' if own == 1 else 'models of their'} own"
        shown = [f"({_strategies(strategies - own)} x {models} + {beside})", *values, tasks]
    trials = f", after {count(len(plan.trials), 'trial')} of a search" if plan.trials else ""
    fewest, most = plan.run_range
    if seeds.looks:
        numbers = f"{seeds.looks[0]} to {seeds.looks[-1]} seeds = {fewest:,} to {most:,} runs, by {seeds.in_words}"
    else:
        numbers = f"{seeds.in_words} = {count(most, 'run')}"
    return f"{' x '.join(shown)} x {numbers}{trials}"
