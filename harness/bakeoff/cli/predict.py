"""The command `bakeoff predict`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.options import PATH, device_option, folder_argument, threads_option
from bakeoff.cli.output import print_note, print_result, write_files
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.machine.hardware import prepare_environment, usable_threads
from bakeoff.records.run_names import RunNames
from bakeoff.records.store import Store
from bakeoff.text.numbers import count, with_decimals
from bakeoff.text.values import command
from bakeoff.text.words import escaped, shown_path

if TYPE_CHECKING:
    from bakeoff.training.predicting import Predictions


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("rows", metavar="ROWS", type=PATH)
@folder_argument
@click.option("--output", metavar="FILE", type=PATH, help="Write the CSV to FILE instead of standard output.")
@click.option("--logits", is_flag=True, help="Add the model's outputs (logits), with all their digits.")
@data_option
@device_option
@threads_option
def predict(
    run: str, rows: Path, folder: Path, output: Path | None, logits: bool, data: DataFolders, device: str, threads: int | None
) -> None:
    """Answer each row of the file ROWS by the model that RUN of the experiment in DIR kept (`keep: final`), as CSV: id, label,
    and the probability of each label where the model gives probabilities. Without DIR, of the only experiment in this folder.

    RUN is STRATEGY:SEED, as full:0, or a run's id. ROWS is CSV, TSV, JSON lines or Parquet with the text columns of the task,
    and perhaps a column `id`; if the task reads files of your own, ROWS is read in the same way. Rows are encoded and answered
    as by the run: the file of its dev split gets the recorded logits again, to the bit unless an adapter was merged into the
    kept model. Uses as many threads as the run had, if this machine has them.

    For example: bakeoff predict full:0 new.csv --output answers.csv
    """
    if output is not None and output.is_dir():
        raise BakeoffError(f"--output {shown_path(output)} is a folder; name a file")
    if not rows.exists():
        raise BakeoffError(f"there is no file {shown_path(rows)}")
    store = Store(folder)
    declared = store.declared()
    names = RunNames.declared(declared)
    named = names.one(run)
    name, run_id = names.name(named), str(named.id)
    if not store.has(run_id):
        makes = command("run", store.folder / declared.spec_file, "--only", name)
        raise StoreError(f"run {escaped(name)} is not recorded yet: `{makes}` makes it")
    record = store.read(run_id)
    found = threads or min(record.environment.threads, usable_threads())
    prepare_environment(found)
    from bakeoff.training.predicting import predict_rows, require_kept  # these load what trains
    from bakeoff.training.request import Request

    again = command(
        "run", store.folder / declared.spec_file, "--only", name, "--retry", "failed" if record.failure else "unkept"
    )
    model = require_kept(store, record, escaped(name), again)
    paths = find_paths(data, store.folder / declared.spec_file)
    request = Request(
        id=run_id,
        requested=record.requested,
        data=paths.data,
        cache=paths.cache,
        beside=paths.beside,
        named=dict(paths.named),
        device=device,
        threads=found,
    )
    answers = predict_rows(request, record, model, rows, load_registry())
    print_note(*answers.notes)
    lines = list(csv_lines(answers, logits=logits))
    if output is None:
        print_result(*lines)
    else:
        write_files(output.parent, {output.name: "".join(f"{line}\n" for line in lines)})
        print_note(f"{count(len(answers.ids), 'row')} answered by {escaped(name)}: {shown_path(output)}")


def csv_lines(found: Predictions, *, logits: bool) -> Iterator[str]:
    """Yields the lines of the answers as CSV, the header first. logits: also a column for each logit."""
    outputs = found.labels or ("number",)
    chances = found.probabilities
    head = ["id", "label" if found.labels else "number"]
    head += [f"p({name})" for name in outputs] if chances is not None else []
    yield csv_line([*head, *(f"logit({name})" for name in (outputs if logits else ()))])
    for number, (row, word) in enumerate(zip(found.ids, found.words, strict=True)):
        cells = [row, word]
        cells += [with_decimals(float(chance), 6) for chance in chances[number]] if chances is not None else []
        yield csv_line([*cells, *(str(value) for value in (found.logits[number] if logits else ()))])


def csv_line(cells: list[str]) -> str:
    csv.writer(stream := io.StringIO(), lineterminator="").writerow(cells)
    return stream.getvalue()
