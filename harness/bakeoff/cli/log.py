"""The command `bakeoff log`."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.cli.options import folder_argument
from bakeoff.cli.output import aligned, print_note, print_result
from bakeoff.errors import StoreError
from bakeoff.records.run_names import NamedRun, RunNames
from bakeoff.records.run_output import RunAttempt, attempts_at, how_it_ended
from bakeoff.records.store import Store
from bakeoff.text.numbers import count
from bakeoff.text.values import command
from bakeoff.text.words import escaped, shown_path


@click.command()
@click.argument("run", metavar="RUN")
@folder_argument
@click.option("--earlier", is_flag=True, help="Also show the earlier attempts at the run that were archived.")
def log(run: str, folder: Path, earlier: bool) -> None:
    """Show what RUN of the experiment in DIR printed, and the traceback of its failure. Without DIR, of the only experiment in
    this folder.

    RUN is STRATEGY:SEED, as full:0, or a run's id; where several runs fit (STRATEGY, :SEED, or several tasks or models), they
    are listed, and STRATEGY:SEED@TASK,MODEL names one. A run that is still going shows what it has printed so far. Of a run's
    output the beginning and the end are kept: 64 KiB in all if it succeeded, else 2 MiB.
    """
    store = Store(folder)
    names = RunNames.declared(store.declared())
    if run not in names.by_id and run in store.recorded_ids():  # a record that the plan does not name
        shown, run_id = f"{run} (not in the plan)", run
    else:
        fitting = list({one.id: one for one in names.select(run)}.values())
        if len(fitting) > 1:
            print_result(*listing(store, names, fitting))
            print_note(f"{count(len(fitting), 'run')}; name one of them: `{command('log', names.name(fitting[0]), folder)}`")
            return
        shown, run_id = f"{names.name(fitting[0])} ({fitting[0].id})", str(fitting[0].id)
    attempts = attempts_at(store, run_id)
    if not attempts:
        raise StoreError(f"{escaped(shown)} is not recorded yet in {shown_path(folder)}, and is not running")
    first, *others = attempts
    show(f"{shown}: {first.state}", first)
    if others and not earlier:
        print_note(f"{count(len(others), 'earlier attempt')} archived; --earlier shows {'it' if len(others) == 1 else 'them'}")
    for number, attempt in enumerate(others if earlier else ()):
        print_result("")
        show(f"{shown}, {count(number + 1, 'attempt')} earlier: {attempt.state}", attempt)


def show(title: str, attempt: RunAttempt) -> None:
    print_result(title, style="bold")
    if not attempt.texts:
        print_result("it printed nothing")
    for what, lines in attempt.texts.items():
        print_result(f"--- {what} ({shown_path(attempt.folder)})", *lines)


def listing(store: Store, names: RunNames, runs: list[NamedRun]) -> list[str]:
    """The name, id and state of each run."""
    rows = []
    for run in runs:
        try:
            state = how_it_ended(store.read(str(run.id))) if store.has(str(run.id)) else "not recorded"
        except StoreError as error:
            state = str(error)
        rows.append([escaped(names.name(run)), str(run.id), escaped(state)])
    return aligned(rows)
