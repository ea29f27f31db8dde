"""The command `bakeoff best`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.median_run import MedianRun, median_run
from bakeoff.cli.formats import BestModelOutput, BestOutput
from bakeoff.cli.inputs import indexed_store, note_troubles
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


@click.command()
@folder_argument
@json_option
def best(folder: Path, as_json: bool) -> int:
    """Show the kept model of the strategy that is recommended for the experiment in DIR, with its card. Without DIR, of the
    only experiment in this folder.

    The model is that of the strategy's median run by the primary metric on dev, among the runs that learned (of two runs in
    the middle, the worse), so that its score is one to expect, and not the luckiest. Where that run kept no model, the command
    that repeats it with its model is shown.

    Exit code 0: there is a kept model for every task and model of the experiment, 1: one is missing, 2: an error.
    """
    store = indexed_store(folder)
    reading = read([store])
    note_troubles(reading.experiment)
    found = [describe(store, reading, group) for group in reading.comparison.every_group]
    answer = BestOutput(ok=bool(found) and all(one.model_folder for one in found), best=found)
    if as_json:
        print_json(answer.model_dump_json(indent=1))
    else:
        for number, one in enumerate(found):
            print_result(*[""] * bool(number), *lines(one, alone=len(found) == 1))
            if one.model_folder:
                card = read_inside(Path(one.model_folder), CARD, at_most=MOST_OF_A_TEXT).decode("utf-8", "replace")
                print_result("", *card.rstrip("\n").split("\n"))
    return 0 if answer.ok else 1


def describe(store: Store, reading: Reading, group: ComparisonGroup) -> BestModelOutput:
    """The recommended strategy of one comparison group, its median run, and where that run's model is."""
    recommended = reading.comparison.recommended(group)
    take = recommended.take if recommended else None
    found = BestModelOutput(
        task=group.task,
        model=group.model,
        title=group.title,
        recommendation=recommended.sentence if recommended else group.answer,
        take=take,
    )
    if take is None:
        return found
    run = median_run(reading.experiment, group, take)
    if run is None:
        return found.model_copy(update={"what_to_do": f"no run of {take} has a score on dev, which the median run needs"})
    record = run.record
    assert record.data is not None
    name = RunNames.declared(store.declared()).name_of(record.id)
    kept = f"{MODEL_FOLDER}/{CARD}" in record.files
    if kept:
        store.check(record.id)
    return found.model_copy(
        update={
            "run": name,
            "id": record.id,
            "seed": record.requested.seed,
            "split": run.split,
            "metric": record.data.primary_metric,
            "score": run.score,
            "shown": unit_of(record.data.primary).written(run.score),
            "of_runs": run.among,
            "model_folder": str(store.records / record.id / MODEL_FOLDER) if kept else None,
            "what_to_do": None if kept else how_to_keep(store, run, name),
        }
    )


def how_to_keep(store: Store, run: MedianRun, name: str) -> str:
    """Why the run has no model, with the command that repeats the run and keeps its model."""
    spec = store.folder / store.declared().spec_file
    again = f"`{command('run', spec, '--only', name, '--retry', 'unkept')}` repeats it with its model"
    if run.record.kept is not None:
        return f"the run's model could not be kept: {run.record.kept.reason}; {again}"
    return f"the run's model was not kept: write `keep: final` into {shown_path(spec)}, then {again}; its id and its seed stay"


def lines(found: BestModelOutput, *, alone: bool) -> list[str]:
    """The recommendation, the run and its model, as text. alone: there is one comparison group, which needs no heading."""
    told = wrapped(escaped(found.recommendation if alone else f"{found.title}: {found.recommendation}"), terminal_width())
    if found.run is None:
        return [*told, *([escaped(found.what_to_do)] if found.what_to_do else [])]
    which = f"{found.run} is the median of {found.of_runs} by {found.split} ({found.metric} {found.shown})"
    where = f"model: {shown_path(found.model_folder)}" if found.model_folder else escaped(found.what_to_do)
    return [*told, escaped(which), where]
