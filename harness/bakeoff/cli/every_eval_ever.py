"""`bakeoff export --to eee`: the results of an experiment as files for Every Eval Ever."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from pydantic import Field

from bakeoff.cli.formats import ExportOutput
from bakeoff.cli.inputs import note_troubles
from bakeoff.cli.output import print_json, print_note, print_result, write_files
from bakeoff.cli.table import read
from bakeoff.contracts.recipe import Options
from bakeoff.files import Tree
from bakeoff.report.text.every_eval_ever import UNKNOWN, eee_files
from bakeoff.text.numbers import count
from bakeoff.text.words import shown_path

NAME: Final = "eee"
FOLDER: Final = "every-eval-ever"
"""Where the files are put, in the experiment's folder, unless `--folder` names another place."""


class EeeOptions(Options):
    """Options of the export: who evaluated, and where the files go."""

    organization: str = Field(UNKNOWN, min_length=1, description="Who trained and evaluated, by its public name.")
    folder: str = Field("", description="Folder for the files (default: every-eval-ever in the experiment's folder).")


def export_eee(folder: Path, options: EeeOptions, *, as_json: bool = False) -> int:
    """Writes a file for each strategy with scores, and prints where they are. Returns the exit code: 0, or 1 if there is none.

    folder: the experiment's. Raises StoreError if it has no experiment, or the files can't be written.
    """
    reading = read([folder])
    note_troubles(reading.experiment)
    files = eee_files(
        reading.comparison, reading.experiment.records, organisation=options.organization, made_at=int(time.time())
    )
    if not files:
        print_note("no strategy has a score on the reported split, so there is nothing to export")
        return 1
    root, inside = (Path(options.folder), "") if options.folder else (folder, f"{FOLDER}/")
    for path in files:
        Tree(root).require_no_link(root / f"{inside}{path}")  # before anything is written
    write_files(root, {f"{inside}{path}": text for path, text in files.items()})
    if options.organization == UNKNOWN:
        print_note("the files name nobody who evaluated: --organization NAME does, which the collection asks for")
    if as_json:
        print_json(
            ExportOutput(
                ok=True,
                experiment=reading.comparison.title,
                tracker=NAME,
                written=[f"{inside}{path}" for path in files],
                already=0,
                held=0,
                summary=False,
                damaged=list(reading.comparison.damaged),
                shown=str(root / inside),
            ).model_dump_json(indent=1, ensure_ascii=True)
        )
    else:
        print_result(f"{count(len(files), 'file')} for Every Eval Ever in {shown_path(root / inside)}")
    return 0
