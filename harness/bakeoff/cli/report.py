"""`bakeoff report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.cli.table import Reading
    from bakeoff.records.experiment import Experiment
    from bakeoff.report.page.views import Steps

LARGEST_RESULTS = 2**18
"""Bytes of a file of results that is ours, generously."""
HTML_FILE, TEX_FILE, MODEL_INDEX_FILE, RESULTS_FOLDER = "report.html", "table.tex", "model-index.yaml", ".eval_results"
WARNED = 4
"""The exit code of `--strict` where a warning is raised."""


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="Folder for the report (default: DIR, where there is one).")
@click.option("--strict", is_flag=True, help=f"Exit with {WARNED} where a warning is raised, or nothing compared.")
@click.option("--allow", metavar="NAME", multiple=True, help="A warning that --strict lets pass; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON instead of the files written.")
def report(folders: tuple[Path, ...], into: Path | None, strict: bool, allow: tuple[str, ...], as_json: bool) -> int:
    """Compare the experiments in DIR... and write the leaderboard.

    Writes report.html, table.md, table.csv, table.tex, .eval_results/ and model-index.yaml. Several experiments make one
    leaderboard; the first says baseline, margin and split.
    """
    from bakeoff.cli.inputs import tell_changed_sources
    from bakeoff.cli.output import say, say_json, tell, tell_damage
    from bakeoff.cli.table import CSV_FILE, PAGE_FILE, read, save, write_files
    from bakeoff.errors import BakeoffError
    from bakeoff.files import Tree
    from bakeoff.records.store import Store
    from bakeoff.report.text.csv_json import write_json

    target = into or folders[0]
    if into is None and len(set(folders)) > 1:
        raise BakeoffError("several experiments make one report: name its folder with --into DIR")
    if into is not None and Store(into).plan_file.is_file() and len(set(folders)) > 1:
        raise BakeoffError(f"--into: {into} holds an experiment of its own; name another folder")
    check_names(allow)
    reading = read(folders)
    written = files_of(reading)
    tell_damage(reading.experiment)
    tell_changed_sources(reading.experiment)
    Tree(target).require_no_link(target / RESULTS_FOLDER)  # before anything is written
    save(reading, target)
    write_files(target, written)
    clear_away(target, written)
    if as_json:
        say_json(write_json(reading.comparison))
    else:
        say(*told(reading, target, [*written, PAGE_FILE, CSV_FILE]))
    raised = dict.fromkeys(warning.name for warning in reading.comparison.warnings if warning.name not in allow)
    found = [f"{', '.join(raised)} raised"] if raised else []
    found += [] if reading.comparison.boards else ["nothing could be compared"]
    if strict and found:
        tell(f"--strict: {'; '.join(found)}")
        return WARNED
    return 0


def files_of(reading: Reading) -> dict[str, str]:
    """Name -> content of everything beside the tables."""
    from bakeoff.report.page.html import write_html
    from bakeoff.report.text.hub_cards import eval_results, model_index
    from bakeoff.report.text.latex import write_tex

    experiment, comparison = reading.experiment, reading.comparison
    return {
        HTML_FILE: write_html(comparison, experiment.records, losses_of(experiment)),
        TEX_FILE: write_tex(comparison),
        MODEL_INDEX_FILE: model_index(comparison),
        **{f"{RESULTS_FOLDER}/{name}": text for name, text in eval_results(comparison).items()},
    }


def losses_of(experiment: Experiment) -> Callable[[str], Steps | None]:
    """Run id -> its steps and their losses; None where the file is missing or damaged."""
    from bakeoff.errors import StoreError

    def losses(run_id: str) -> Steps | None:
        try:
            steps = experiment.steps(run_id)
        except StoreError:
            return None
        return steps["step"].to_numpy(), steps["loss"].to_numpy()

    return losses


def check_names(names: Sequence[str]) -> None:
    """Raises BakeoffError for a name that is no warning's."""
    from bakeoff.analysis.flags.catalogue import CATALOGUE, no_such_warning

    for name in names:
        if name not in CATALOGUE:
            raise no_such_warning(name)


def clear_away(target: Path, written: Mapping[str, str]) -> None:
    """Removes the results of rows that are gone, which `report` wrote before; nobody else's files."""
    from bakeoff.errors import StoreError
    from bakeoff.files import Tree
    from bakeoff.report.text.hub_cards import is_ours
    from bakeoff.text.words import shown_path

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


def told(reading: Reading, target: Path, written: Sequence[str]) -> list[str]:
    """The answer, what to mind, and where the report lies, in lines as wide as the terminal."""
    from bakeoff.cli.output import columns
    from bakeoff.report.text.terminal import wrapped
    from bakeoff.text.words import escaped

    comparison, width = reading.comparison, columns()
    answers = [comparison.answer]
    if len(comparison.boards) > 1:
        answers = [f"{board.title}: {board.answer}" for board in comparison.boards]
    lines = [line for text in (comparison.question, *answers) if text for line in wrapped(escaped(text), width)]
    lines.append("")
    for warning in comparison.warnings:
        where = f"{warning.board}: " if warning.board and len(comparison.boards) > 1 else ""
        lines += wrapped(f"{warning.name} ({warning.severity}): {escaped(where + warning.what)}", width, indent="  ")
    lines += [""] if comparison.warnings else []
    return lines + wrapped(f"written to {escaped(target)}: {', '.join(_counted(written))}", width, indent="  ")


def _counted(written: Sequence[str]) -> list[str]:
    """Names of files; of those in a folder, the folder and their number."""
    inside = sum("/" in name for name in written)
    names = [name for name in written if "/" not in name]
    if inside:
        names.append(f"{RESULTS_FOLDER}/ ({inside} file{'s' if inside > 1 else ''})")
    return sorted(names)
