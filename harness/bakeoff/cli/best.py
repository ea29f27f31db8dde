"""`bakeoff best`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.median_run import MedianRun, median_run
from bakeoff.cli.inputs import note_troubles
from bakeoff.cli.options import folder_argument, json_option
from bakeoff.cli.output import print_json, print_result, terminal_width
from bakeoff.cli.table import Reading, read
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.records.record_files import MOST_OF_A_TEXT, read_inside
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import MODEL_FOLDER
from bakeoff.records.store import Store
from bakeoff.report.text.terminal import wrapped
from bakeoff.text.values import command
from bakeoff.text.words import escaped, shown_path

CARD: Final = "README.md"
"""The model card in the folder of a kept model."""
SCHEMA: Final = 1
"""Version of the JSON; a key that is added does not raise it."""


@click.command()
@folder_argument
@json_option
def best(folder: Path, as_json: bool) -> int:
    """Show the kept model of the strategy that the comparison of the experiment in DIR recommends, with its card. Without DIR,
    of the only experiment in this folder.

    Of the strategy's runs that learned, it is the median by the primary metric on dev (of two the worse), so that its score is
    one to expect, and not the luckiest. Where that run kept no model, the command that makes it again with its model is
    shown.

    Exit code 0: there is a model for every task and model, 1: there is none yet, 2: an error.
    """
    store = Store(folder)
    reading = read([store])
    note_troubles(reading.experiment)
    found = [describe(store, reading, group) for group in reading.comparison.every_group]
    if as_json:
        print_json(json.dumps({"schema_version": SCHEMA, "best": found}, indent=1, allow_nan=False))
    else:
        for number, one in enumerate(found):
            print_result(*[""] * bool(number), *lines(one))
            if one["model_folder"]:
                card = read_inside(Path(one["model_folder"]), CARD, at_most=MOST_OF_A_TEXT).decode("utf-8", "replace")
                print_result("", *card.rstrip("\n").split("\n"))
    return 0 if found and all(one["model_folder"] for one in found) else 1


def describe(store: Store, reading: Reading, group: ComparisonGroup) -> dict[str, Any]:
    """The recommended strategy of one comparison group, its median run, and where that run's model is."""
    recommended = reading.comparison.recommended(group)
    take = recommended.take if recommended else None
    found = {
        "task": group.task,
        "model": group.model,
        "recommendation": recommended.sentence if recommended else group.answer,
        "strategy": take,
    } | dict.fromkeys(("run", "id", "seed", "split", "score", "shown", "metric", "of_runs", "model_folder", "what_to_do"))
    if take is None:
        return found
    run = median_run(reading.experiment, group, take)
    if run is None:
        return found | {"what_to_do": f"no run of {take} has a score on dev, by which the median would be chosen"}
    record = run.record
    name = RunNames.declared(store.declared()).name_of(record.id)
    assert record.data is not None
    found |= {
        "run": name,
        "id": record.id,
        "seed": record.requested.seed,
        "split": run.split,
        "score": run.score,
        "shown": unit_of(record.data.primary).written(run.score),
        "metric": record.data.primary_metric,
        "of_runs": run.among,
    }
    if f"{MODEL_FOLDER}/{CARD}" in record.files:
        store.check(record.id)
        return found | {"model_folder": str(store.records / record.id / MODEL_FOLDER)}
    return found | {"what_to_do": how_to_keep(store, run, name)}


def how_to_keep(store: Store, run: MedianRun, name: str) -> str:
    """What makes the run again, with its model."""
    spec = store.folder / store.declared().spec_file
    again = f"`{command('run', spec, '--only', name, '--retry', 'unkept')}` makes it again with its model"
    if run.record.kept is not None:
        return f"it could not be kept: {run.record.kept.reason}; {again}"
    return f"it was not kept: write `keep: final` into {shown_path(spec)}, then {again}; its id and its seed stay"


def lines(found: dict[str, Any]) -> list[str]:
    told = wrapped(escaped(f"{found['task']} · {found['model']}: {found['recommendation']}"), terminal_width())
    if found["run"] is None:
        return [*told, *([escaped(found["what_to_do"])] if found["what_to_do"] else [])]
    which = f"{found['run']} is the median of {found['of_runs']} by {found['split']} ({found['metric']} {found['shown']})"
    where = f"model: {shown_path(found['model_folder'])}" if found["model_folder"] else escaped(found["what_to_do"])
    return [*told, escaped(which), where]
