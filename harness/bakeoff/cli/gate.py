"""The command `bakeoff gate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bakeoff.analysis.gate.gate import judge
from bakeoff.cli.inputs import indexed_store, note_troubles
from bakeoff.cli.options import EXPERIMENT_FOLDER, json_option
from bakeoff.cli.output import print_json, print_markdown
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import append_to_named_file
from bakeoff.records.load import load_experiment
from bakeoff.report.formats import GATE_FORMAT
from bakeoff.report.text.gate import write_gate
from bakeoff.text.words import shown_path

EXIT_CODES = {"pass": 0, "fail": 1, "not enough evidence": 3}


@click.command()
@click.argument("candidate", type=EXPERIMENT_FOLDER)
@click.option(
    "--against", "baseline", metavar="BASELINE", required=True, type=EXPERIMENT_FOLDER, help="The baseline's folder or file."
)
@json_option
@click.option(
    "--summary", type=click.Path(path_type=Path, dir_okay=False), help="Also append the result to this file, as Markdown."
)
def gate(candidate: Path, baseline: Path, as_json: bool, summary: Path | None) -> int:
    """Compare the experiment CANDIDATE, its folder or its file, with BASELINE by the rules under `gate` in the baseline's
    experiment file.

    Strategies are matched by name: quality is judged by its confidence interval over seeds and examples, costs by theirs
    over runs. In a GitHub workflow, --summary "$GITHUB_STEP_SUMMARY" shows the result on the workflow's page.

    Exit code 0: pass, 1: fail, 3: not enough evidence, 2: an error.
    """
    if candidate.resolve() == baseline.resolve():
        raise BakeoffError(f"candidate and baseline are the same folder, {shown_path(candidate)}")
    experiments = [load_experiment([indexed_store(folder)]) for folder in (candidate, baseline)]
    judged = judge(*experiments)
    note_troubles(*experiments)
    page = write_gate(judged)
    if summary is not None:
        try:
            append_to_named_file(summary, f"{page}\n")
        except OSError as error:
            raise StoreError(f"--summary: {shown_path(summary)} cannot be written: {error.strerror}") from None
    if as_json:
        print_json(json.dumps({"format": GATE_FORMAT, **judged.model_dump(mode="json")}, indent=1))
    else:
        print_markdown(page)
    return EXIT_CODES[judged.result]
