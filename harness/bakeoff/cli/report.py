"""The command `bakeoff report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.flags.catalogue import CATALOGUE, no_such_warning
from bakeoff.analysis.summary.spent import spent
from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import find_paths, note_troubles
from bakeoff.cli.options import EXPERIMENT_FOLDER, PATH, json_option
from bakeoff.cli.output import print_brief, print_json, print_note, write_files
from bakeoff.cli.table import CSV_FILE, PAGE_FILE, Reading, read, save
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import Tree
from bakeoff.records.experiment import Experiment
from bakeoff.records.publishing import attempt_of
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.report.page.html import Texts, write_html
from bakeoff.report.page.views import Steps
from bakeoff.report.text.checklist import write_checklist
from bakeoff.report.text.csv_json import write_json
from bakeoff.report.text.hub_cards import eval_results, is_ours, model_index
from bakeoff.report.text.latex import write_tex
from bakeoff.text.numbers import count
from bakeoff.text.values import command
from bakeoff.text.words import escaped, shown_path

LARGEST_RESULTS = 2**18
"""The largest size, in bytes, that a file of hub results by Bakeoff has; a larger one was not written by it."""
HTML_FILE, TEX_FILE, MODEL_INDEX_FILE, RESULTS_FOLDER = "report.html", "table.tex", "model-index.yaml", ".eval_results"
CHECKLIST_FILE = "checklist.md"
WARNED = 4
"""The exit code of `--strict` if a warning is raised."""


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, type=EXPERIMENT_FOLDER)
@click.option("--into", metavar="DIR", type=PATH, help="Folder for the report (default: DIR, if there is only one).")
@click.option(
    "--pool",
    is_flag=True,
    help="Make one row of strategies of one name that were trained alike in several experiments: with the runs of all of them, "
    "and without p-values and verdicts, since the experiments were declared apart.",
)
@click.option("--strict", is_flag=True, help=f"Exit with code {WARNED} if a warning is raised or nothing can be compared.")
@click.option("--allow", metavar="NAME", multiple=True, help="A warning that --strict ignores (can be repeated).")
@click.option(
    "--with-texts",
    is_flag=True,
    help="Show on the page the texts of examples that strategies get wrong, read from the data on this machine. Whoever gets "
    "the page can read them; no record holds any.",
)
@click.option(
    "--checklist",
    is_flag=True,
    help=f"Also write {CHECKLIST_FILE}: answers to the NeurIPS paper checklist's items on experiments, from the records.",
)
@data_option
@json_option
def report(
    folders: tuple[Path, ...],
    into: Path | None,
    pool: bool,
    strict: bool,
    allow: tuple[str, ...],
    with_texts: bool,
    checklist: bool,
    data: DataFolders,
    as_json: bool,
) -> int:
    """Compare the experiments in DIR... and write the leaderboard.

    Writes report.html (all figures, offline), table.md, table.csv, table.tex, and model-index.yaml and, of tasks that declare
    their dataset there, .eval_results/ for the Hugging Face hub. Several experiments make one leaderboard, with the baseline,
    margin and split of the first; folders of one experiment, whose runs were made apart, become one by `bakeoff merge`.
    Warnings are explained by `bakeoff explain NAME`.

    Exit code 0: written, 4: --strict, and a warning was raised, 2: an error.
    """
    folders = folders or (Path(),)
    target = into or folders[0]
    if into is None and len(set(folders)) > 1:
        raise BakeoffError("several experiments need a folder for their common report: name one with --into DIR")
    if into is not None and Store(into).plan_file.is_file() and len(set(folders)) > 1:
        raise BakeoffError(f"--into: {into} holds an experiment of its own; name another folder")
    for name in allow:
        if name not in CATALOGUE:
            raise no_such_warning(name)
    if pool and len(set(folders)) == 1:
        raise BakeoffError("--pool: one experiment has nothing to pool; name several")
    reading = read(folders, pool=pool)
    if pool and not reading.experiment.pooled:
        print_note("--pool: no strategy was trained alike in two of these experiments, so that nothing is pooled")
    if into is not None:
        reading = replace(reading, comparison=written_into(reading.comparison, folders, into, pool=pool))
    written = files_of(reading, example_texts(reading, data) if with_texts else {})
    if checklist:
        all_runs = spent(reading.experiment, replaced_records(reading.experiment))
        written[CHECKLIST_FILE] = write_checklist(reading.comparison, reading.experiment, all_runs)
    note_troubles(reading.experiment)
    Tree(target).require_no_link(target / RESULTS_FOLDER)  # before anything is written
    save(reading, target)
    write_files(target, written)
    remove_outdated(target, written)
    if as_json:
        print_json(write_json(reading.comparison))
    else:
        files = ", ".join(named([*written, PAGE_FILE, CSV_FILE]))
        print_brief(reading.comparison, f"written to {escaped(target)}: {files}")
    raised = dict.fromkeys(warning.name for warning in reading.comparison.warnings if warning.name not in allow)
    found = [f"{', '.join(raised)} raised"] if raised else []
    found += [] if reading.comparison.groups else ["nothing could be compared"]
    if strict and found:
        print_note(f"--strict: {'; '.join(found)}")
        return WARNED
    return 0


def written_into(comparison: Comparison, folders: Sequence[Path], into: Path, *, pool: bool) -> Comparison:
    """The comparison, with its command for the report replaced by one that writes the report into the folder `into` again."""
    others = [line for line in comparison.commands if not line.startswith("bakeoff report ")]
    again = command("report", *folders, *["--pool"] * pool, "--into", into)
    return comparison.model_copy(update={"facts": {**comparison.facts, "commands": [*others, again]}})


def example_texts(reading: Reading, data: DataFolders) -> Texts:
    """The texts of the examples that the page lists, by task. Raises DataError if the data are not on this machine, or differ
    from those that the runs used."""
    from bakeoff.training.preview import chosen, texts_of

    found = {}
    for group in reading.comparison.groups:
        hard, facts = group.hard_examples, group.data
        if hard is None or facts is None:
            continue
        ids = {one.id for examples in (hard.examples, *(own.examples for own in hard.only)) for one in examples}
        runs = {run.id for run in reading.experiment.declared.groups[group.task, group.model]}
        record = next(record for record in reading.experiment.records if record.id in runs)
        origin, folder = record.requested.task, Path(reading.experiment.record_folder(record.id)).parents[1]
        task = chosen(load_registry(), "task", origin.name, origin.options, "the record's task")
        paths = find_paths(data, folder / reading.experiment.declared.spec_file)
        found[group.task] = texts_of(task, paths, hard.split, ids, facts.splits[hard.split].fingerprint)
    return found


def files_of(reading: Reading, texts: Texts | None = None) -> dict[str, str]:
    """The files of a report except table.md and table.csv: path within the report's folder -> content. texts: of the examples
    that the page shows, as `example_texts` returns them."""
    experiment, comparison = reading.experiment, reading.comparison
    return {
        HTML_FILE: write_html(comparison, experiment.records, losses_of(experiment), texts=texts),
        TEX_FILE: write_tex(comparison),
        MODEL_INDEX_FILE: model_index(comparison),
        **{f"{RESULTS_FOLDER}/{name}": text for name, text in eval_results(comparison).items()},
    }


def replaced_records(experiment: Experiment) -> list[Record]:
    """The archived records of runs that succeeded and were made again, of those that can be read. Failed attempts are not among
    them: the new records list these."""
    found = []
    for store in (Store(Path(folder)) for folder in experiment.folders):
        for _, folder in store.archived():
            with suppress(StoreError):
                record = store.read_in(folder)
                found += [] if attempt_of(record) else [record]
    return found


def losses_of(experiment: Experiment) -> Callable[[str], Steps | None]:
    """A function: run id -> (steps, losses) of that run; None if its file of steps is missing or damaged."""

    def losses(run_id: str) -> Steps | None:
        try:
            steps = experiment.steps(run_id)
        except StoreError:
            return None
        return steps["step"].to_numpy(), steps["loss"].to_numpy()

    return losses


def remove_outdated(target: Path, written: Mapping[str, str]) -> None:
    """Removes hub results that an earlier `report` wrote for rows that no longer exist; files of others stay."""
    tree, folder = Tree(target), target / RESULTS_FOLDER
    for name in tree.names(folder) if folder.is_dir() else []:
        path = folder / name
        if not name.endswith(".yaml") or f"{RESULTS_FOLDER}/{name}" in written or path.is_symlink() or not path.is_file():
            continue
        try:
            if path.stat().st_size <= LARGEST_RESULTS and is_ours(tree.read(path, at_most=LARGEST_RESULTS)):
                tree.remove(path)
        except OSError as error:
            raise StoreError(f"{shown_path(path)} is out of date and cannot be removed: {error.strerror}") from None


def named(written: Sequence[str]) -> list[str]:
    """The written files, to print: their names; for files in a folder, the folder's name and their number."""
    names = [name for name in written if "/" not in name]
    if inside := len(written) - len(names):
        names.append(f"{RESULTS_FOLDER}/ ({count(inside, 'file')})")
    return sorted(names)
