"""The command `bakeoff rescore`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bakeoff.analysis.rescoring import rescore as rescore_experiment
from bakeoff.cli.inputs import indexed_store, note_troubles
from bakeoff.cli.options import folder_argument, json_option
from bakeoff.cli.output import print_json, print_markdown
from bakeoff.records.load import load_experiment
from bakeoff.report.text.rescored import write_rescored


@click.command()
@folder_argument
@click.option(
    "--metric",
    metavar="NAME",
    help="A built-in metric or one of the task's own, for example mcc, 'f1 (spam)' or 'f1 (each)' (default: the primary "
    "metric).",
)
@click.option("--split", metavar="NAME", help="A split with stored predictions (default: the one that the tables report).")
@click.option("--slices", is_flag=True, help="Also score by label, by length, and by the columns that the task declares.")
@click.option("--calibration", is_flag=True, help="Also print calibration error, Brier score, and agreement between seeds.")
@json_option
def rescore(folder: Path, metric: str | None, split: str | None, slices: bool, calibration: bool, as_json: bool) -> None:
    """Score the stored predictions of the experiment in DIR by another metric, without training. Writes nothing.

    Tasks that the metric does not apply to are named and left out. JSON always includes slices and calibration.

    For example: bakeoff rescore results/quickstart --metric mcc
    """
    experiment = load_experiment([indexed_store(folder)])
    found = rescore_experiment(experiment, metric, split=split)
    note_troubles(experiment)
    if as_json:
        plain = {
            "rescored": [group.model_dump(mode="json") for group in found.groups],
            "left_out": [one.model_dump(mode="json") for one in found.left_out],
        }
        print_json(json.dumps(plain, indent=1, allow_nan=False))
    else:
        print_markdown(write_rescored(found, slices=slices, calibration=calibration))
