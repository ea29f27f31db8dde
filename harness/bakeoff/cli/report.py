"""`bakeoff report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.cli.table import Reading
    from bakeoff.compare.experiment import Experiment
    from bakeoff.report.views import Steps

HTML_FILE, TEX_FILE, MODEL_INDEX_FILE = "report.html", "table.tex", "model-index.yaml"
FLAGGED = 4
"""The exit code of `--strict` where a flag is raised."""


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="Folder for the report (default: DIR, where there is one).")
@click.option("--strict", is_flag=True, help=f"Exit with {FLAGGED} where a flag is raised.")
@click.option("--allow", metavar="CODE", multiple=True, help="A flag that --strict lets pass, e.g. S1; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON instead of the files written.")
def report(folders: tuple[Path, ...], into: Path | None, strict: bool, allow: tuple[str, ...], as_json: bool) -> int:
    """Compare the experiments in DIR... and write the leaderboard.

    Writes report.html, table.md, table.csv, table.tex, .eval_results/ and model-index.yaml. Several experiments make one
    leaderboard; the first says baseline, margin and split.
    """
    from bakeoff.cli.table import read, save, write_files
    from bakeoff.errors import BakeoffError
    from bakeoff.report.tidy import write_json
    from bakeoff.store import Store

    target = into or folders[0]
    if into is None and len(set(folders)) > 1:
        raise BakeoffError("several experiments make one report: name its folder with --into DIR")
    if into is not None and Store(into).plan_file.is_file() and len(set(folders)) > 1:
        raise BakeoffError(f"--into: {into} holds an experiment of its own; name another folder")
    check_codes(allow)
    reading = read(folders)
    written = files_of(reading)
    save(reading, target)
    write_files(target, written)
    raised = [flag for flag in reading.comparison.flags if flag.code not in allow]
    if as_json:
        click.echo(write_json(reading.report, reading.comparison), nl=False)
    else:
        tell(reading, target, [*written, "table.md", "table.csv"])
    if strict and raised:
        click.echo(f"--strict: {', '.join(dict.fromkeys(flag.code for flag in raised))} raised", err=True)
        return FLAGGED
    return 0


def files_of(reading: Reading) -> dict[str, str]:
    """Name -> content of everything beside the tables."""
    from bakeoff.report.cards import eval_results, model_index
    from bakeoff.report.html import write_html
    from bakeoff.report.latex import write_tex

    experiment, comparison = reading.experiment, reading.comparison
    return {
        HTML_FILE: write_html(comparison, reading.report, experiment.records, losses_of(experiment)),
        TEX_FILE: write_tex(comparison, reading.report),
        MODEL_INDEX_FILE: model_index(comparison, reading.report),
        **{f".eval_results/{name}": text for name, text in eval_results(comparison, reading.report).items()},
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


def check_codes(codes: tuple[str, ...]) -> None:
    """Raises BakeoffError for a flag that does not exist."""
    from bakeoff.compare.flags.raising import DETECTORS
    from bakeoff.errors import BakeoffError, unknown

    for code in codes:
        if code not in DETECTORS:
            raise BakeoffError(f"--allow: {unknown('flag', code, DETECTORS)}")


def tell(reading: Reading, target: Path, written: list[str]) -> None:
    """The answer, what to mind, and where the report lies."""
    from bakeoff.errors import escaped

    comparison = reading.comparison
    for line in (comparison.question, comparison.answer):
        if line:
            click.echo(escaped(line))
    click.echo()
    for flag in comparison.flags:
        click.echo(f"{flag.code}  {escaped(flag.sentence)}")
    if comparison.flags:
        click.echo()
    click.echo(f"written to {escaped(target)}: {', '.join(sorted(written))}")
