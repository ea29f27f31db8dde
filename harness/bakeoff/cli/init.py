"""`bakeoff init`: from rows to an experiment file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.drafted import Drafting, known_subject
from bakeoff.cli.example import ROWS, write_example
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.options import PATH
from bakeoff.cli.output import WIDEST, print_result, terminal_width
from bakeoff.cli.questions import ask, can_ask
from bakeoff.contracts.registry import load_registry
from bakeoff.drafting.draft import Asked, Subject, cautions, find_meaning, summary
from bakeoff.drafting.experiment_text import Draft, experiment_name, experiment_text
from bakeoff.drafting.proposal import Outlook, Schedule, minutes_for
from bakeoff.drafting.roles import Choice
from bakeoff.drafting.sources import find_files, read_rows
from bakeoff.drafting.tables import read_table
from bakeoff.drafting.task_entries import subject_of
from bakeoff.errors import BakeoffError
from bakeoff.files import Tree
from bakeoff.kinds import KINDS
from bakeoff.planning.runs import Plan
from bakeoff.records.store import Store
from bakeoff.spec.location import ENDINGS, experiment_files
from bakeoff.text.markdown import WIDTH, wrap
from bakeoff.text.numbers import count, duration, per_cent, with_decimals
from bakeoff.text.values import command, listed, spelt
from bakeoff.text.words import quoted, shown_path


@click.command()
@click.argument("rows", metavar="[DATA]", type=PATH, required=False)
@click.option("--task", metavar="NAME", help="An installed task, such as glue/mrpc, in place of DATA.")
@click.option("--example", is_flag=True, help="In place of DATA: made-up rows, and an experiment that takes a minute anywhere.")
@click.option("--text", metavar="COLUMN", multiple=True, help="The column that the model reads (twice for a pair of texts).")
@click.option("--label", metavar="COLUMN", multiple=True, help="The column of the right answer (several for 0/1 columns).")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Kind of task (default: by the label's values).")
@click.option("--delimiter", metavar="CHARACTER", help="Character between cells (default: found out).")
@click.option("--encoding", metavar="NAME", help="Encoding of the file, such as cp1252 (default: found out).")
@click.option("--header/--no-header", default=None, help="Whether the first line has the columns' names (default: found out).")
@click.option("--model", metavar="NAME", help="Model to fine-tune: an installed one, a hub id or a folder.")
@click.option("--minutes", metavar="N", type=click.FloatRange(1, 100_000), help="Time for all runs (default: by row count).")
@click.option(
    "--output", metavar="FILE", type=PATH, help="Experiment file to write (default: named after DATA, in this folder)."
)
@click.option("--timing/--no-timing", default=True, help="Time some steps of each strategy first (a minute), to plan by it.")
@data_option
def init(
    rows: Path | None,
    task: str | None,
    example: bool,
    text: tuple[str, ...],
    label: tuple[str, ...],
    kind: str | None,
    delimiter: str | None,
    encoding: str | None,
    header: bool | None,
    model: str | None,
    minutes: float | None,
    output: Path | None,
    timing: bool,
    data: DataFolders,
) -> None:
    """Write an experiment file for the rows in DATA: a CSV, TSV, JSON-lines or Parquet file, or a folder with train, dev and
    test.

    Finds out how the file is written, which column is the text and which the label, and asks on a terminal what it can't find
    out. Proposes three strategies, and steps and seeds that end in time; says what the experiment costs, what it can conclude,
    and what in the rows would spoil the answer. No existing file is changed.
    """
    if [rows is not None, task is not None, example].count(True) != 1:
        raise click.UsageError("name a file or folder of rows, an installed task with --task, or --example")
    if example:
        written = write_example(Path())
        print_result(f"wrote {ROWS}, and {written}, an experiment of three strategies", f"next: {command('run', written)}")
        return
    registry = load_registry()
    if rows is not None:
        asked = Asked(text=text, label=label, kind=KINDS[kind] if kind else None)
        read = partial(read_table, delimiter=_character(delimiter), encoding=encoding, header=header)
        found = read_rows(find_files(rows), read)
        meaning = find_meaning(found, asked, decide)
        target = free_file(output, experiment_name(rows.absolute().name.split(".")[0]))
        place = place_of(list(found.tables), data, target.parent)
        subject = subject_of(meaning, {path: place.name(path) for path in found.tables})
        print_wrapped(f"{shown_path(rows)}: {summary(meaning)}")
        print_cautions(cautions(meaning))
    else:
        place = Place(None, data)
        target = free_file(output, experiment_name(task or ""))
        subject = known_subject(registry, task or "", find_paths(data, target))
        print_result(f"{task}: {sizes_in_words(subject)}")
    drafting = Drafting(registry, subject, target, place.data, model, command_of(rows, task, place))
    draft, plan = drafting.make(timing=timing, minutes=minutes or minutes_for(subject.sizes.train))
    write_new(target, experiment_text(draft))
    for line in told(draft, plan, target, place, subject):
        print_wrapped(line)


# --- where it is ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where the rows lie: below the experiment file's folder, or in a data folder that commands have to be told by
    `--data`."""

    base: Path | None
    """The folder to which the names of data files are relative; None where the experiment file names no file."""
    data: DataFolders
    """The folders that `--data` has to name when the experiment runs."""

    def name(self, path: Path) -> str:
        """The name of a data file in the experiment file."""
        return (path.parent.resolve() / path.name).relative_to(self.base).as_posix() if self.base else path.name


def place_of(files: Sequence[Path], data: DataFolders, beside: Path) -> Place:
    """The place of the rows: the folder that `--data` or BAKEOFF_DATA names if they lie in it, else the experiment file's
    folder `beside`, else the rows' own folder, which becomes the data folder. Links to files outside `beside` are not
    followed: then too the rows' own folder is the data folder."""
    folder, beside = files[0].parent.resolve(), beside.resolve()
    named = find_paths(data).data
    if named is not None and folder.is_relative_to(named):
        return Place(named, data)
    if folder.is_relative_to(beside) and all(path.resolve().is_relative_to(beside) for path in files):
        return Place(beside, DataFolders())
    return Place(folder, DataFolders(folder))


def free_file(output: Path | None, name: str) -> Path:
    """The path of the experiment file to write: `output`, else `name`.yaml. Raises BakeoffError if that file exists already,
    or its name does not end in .yaml."""
    target = output or Path(f"{name}.yaml")
    if target.suffix.lower() not in ENDINGS:
        raise BakeoffError(f"--output: {shown_path(target)}: the name of an experiment file ends in .yaml")
    if os.path.lexists(target):
        raise BakeoffError(f"{shown_path(target)} exists already, and is not changed: name another file with --output")
    return target


def write_new(target: Path, text: str) -> None:
    """Writes a new file. Raises BakeoffError if it exists already, or can't be written."""
    try:
        tree = Tree(target.parent)
        tree.make(target.parent)
        free_file(target, "")  # somebody may have written it meanwhile
        tree.write(target, text.encode())
    except OSError as error:
        raise BakeoffError(f"{shown_path(target)} cannot be written: {error.strerror}") from None


def command_of(rows: Path | None, task: str | None, place: Place) -> str:
    """The command line that drafts the experiment file, as the file quotes it: without paths of this machine."""
    return f"bakeoff init --task {task}" if rows is None else command("init", place.name(rows))


def _character(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    mark = "\t" if delimiter in ("\\t", "tab") else delimiter
    if len(mark) != 1 or mark in '\r\n"':
        raise click.UsageError("--delimiter: one character, such as ';', or \\t for a tab")
    return mark


# --- what is asked -------------------------------------------------------------------------------------------------------


def decide(what: str, choice: Choice) -> tuple[str, ...]:
    """Asks the user which columns are the text, or the label (`what`). Raises BakeoffError where there is no terminal to ask
    on."""
    options = [" + ".join(names) for names in choice.options]
    if can_ask():
        question = {"text": "Which column does the model read?", "label": "Which column is the right answer?"}[what]
        return choice.options[options.index(ask(question, options))]
    raise BakeoffError(
        f"which column is the {what}: {listed(map(quoted, options), most=10)}? Name it: --{what} {options[0].split(' + ')[0]}"
    )


# --- what is told --------------------------------------------------------------------------------------------------------


def print_cautions(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print_wrapped(f"caution: {sentence}", style="yellow")


def print_wrapped(line: str, *, style: str = "") -> None:
    """Prints a line; on a terminal broken to its width."""
    width = min(WIDTH, terminal_width()) if sys.stdout.isatty() else WIDEST
    print_result(*wrap(line, width, indent="  "), style=style)


def sizes_in_words(subject: Subject) -> str:
    """The sizes of the splits: `1,400 rows to train on, 200 dev and 400 test`; and how many rows are in none of them."""
    sizes = subject.sizes
    held = [f"{number:,} {split}" for split, number in (("dev", sizes.dev), ("test", sizes.test)) if number]
    left_out = "".join(f"; {why}" for key, value, why in subject.entries if (key, value) == ("gaps", "drop"))
    return f"{sizes.train:,} rows to train on, {listed(held)}{left_out}"


def told(draft: Draft, plan: Plan, target: Path, place: Place, subject: Subject) -> list[str]:
    """Lines on the file that was written, what its experiment costs, and what it can conclude."""
    planned, looks = draft.schedule, draft.schedule.looks
    training = planned.training
    length = count(training.epochs, "epoch") if training.epochs else count(training.steps, "step")
    lines = [
        f"split: {sizes_in_words(subject)}",
        f"wrote {shown_path(target)}: {listed([way.name for way in draft.ways])}, {length} each, with {draft.trainer}",
    ]
    runs = f"{len(draft.ways) * looks[0]} to {len(draft.ways) * looks[-1]} runs"
    if planned.seconds is None:
        lines.append(f"cost: {runs}, not timed; `{command('time', target)}` measures it")
    else:
        ends = f"about {duration(planned.first_look or 0.0)} to {duration(planned.seconds)}"
        lines.append(f"cost: {runs}, {ends}{_shortened(planned)}")
    lines += conclusion(draft.outlook, draft, len(draft.ways) - 1)
    lines.append(f"next: {next_command(target, place)}")
    return lines


def _shortened(planned: Schedule) -> str:
    """The end of a line: why runs are shorter than usual; empty where they are not."""
    if planned.late:
        fewer = f"a run of fewer than {planned.training.steps} steps would show little"
        return f"; longer than --minutes allows, but {fewer}; on an idle machine, or with a strategy less, it ends sooner"
    if not planned.shortened:
        return ""
    return "; runs have fewer steps than usual, to end in this time: --minutes allows more"


def conclusion(found: Outlook, draft: Draft, comparisons: int) -> list[str]:
    """Lines on what the experiment can conclude. comparisons: number of comparisons with the baseline."""
    rows = f"{found.rows:,} {draft.report_on} rows"
    if found.chances is None or found.detectable is None:
        unknown = f"what {rows} can show of a correlation is not known before the first runs"
        return [f"conclusion: {unknown}; margin: {spelt(found.margin)} points"]
    margin = spelt(found.margin)
    return [
        f"conclusion: {rows} can't show differences below {with_decimals(found.detectable, 0)} points; margin: {margin} points",
        f"  (equal strategies are found equivalent within the margin in {per_cent(found.chances.equivalent)} of experiments)",
    ]


def next_command(target: Path, place: Place) -> str:
    """The command line that trains the new experiment."""
    here = target.parent in (Path(), Path.cwd()) and len(experiment_files(Path())) == 1
    words: list[object] = [] if here else [target]
    words += place.data.words
    if Store(target.parent).plan_file.exists():  # of another experiment: this file is new
        words += ["--into", target.with_suffix("")]
    return command("run", *words)
