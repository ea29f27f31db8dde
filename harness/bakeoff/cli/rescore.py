"""`bakeoff rescore`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--metric",
    metavar="NAME",
    help="A built-in metric or one of the task's (default: the primary one): mcc, 'f1 (spam)', 'f1 (each)'.",
)
@click.option("--split", help="A predicted split (default: the one that is reported on).")
@click.option("--slices", is_flag=True, help="Also by label, by length and by the columns that the task declares.")
@click.option("--calibration", is_flag=True, help="Also calibration error, Brier score and agreement of seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, slices and calibration included.")
def rescore(folder: Path, metric: str | None, split: str | None, slices: bool, calibration: bool, as_json: bool) -> None:
    """Score the stored predictions of the experiment in DIR by another metric, without training; writes nothing.

    Tasks that the metric does not fit are named and left out.

    For example: bakeoff rescore results/quickstart --metric mcc
    """
    import json

    from bakeoff.analysis.rescoring import rescore as score_anew
    from bakeoff.cli.inputs import tell_changed_sources
    from bakeoff.cli.output import say_json, say_page, tell_damage
    from bakeoff.records.load import load_experiment
    from bakeoff.report.text.rescored import write_rescored

    experiment = load_experiment([folder])
    found = score_anew(experiment, metric, split=split)
    tell_damage(experiment)
    tell_changed_sources(experiment)
    if as_json:
        plain = {
            "rescored": [board.model_dump(mode="json") for board in found.boards],
            "left_out": [one.model_dump(mode="json") for one in found.left_out],
        }
        say_json(json.dumps(plain, indent=1, allow_nan=False))
        return
    say_page(write_rescored(found, slices=slices, calibration=calibration))
