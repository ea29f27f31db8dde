"""The command `bakeoff show`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.options import PATH, json_option
from bakeoff.cli.output import aligned, print_json, print_result
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.spec.document import parse_document
from bakeoff.text.numbers import per_cent
from bakeoff.text.words import escaped, quoted, shown_path
from bakeoff.training.preview import Preview, SplitPreview, chosen, default_model, preview
from bakeoff.training.rows_elsewhere import write_rows

LONGEST_TEXT = 300
"""How many characters of an example's text are shown."""
MOST_VALUES = 20
"""How many values of a slice column are listed; the rest are counted together."""


@click.group()
def show() -> None:
    """Show what an experiment is made of."""


@show.command(short_help="Show a task's data.")
@click.argument("name")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the task (can be repeated).")
@data_option
@click.option(
    "--model", metavar="NAME", help="Model whose tokenizer measures lengths (default: the first that needs no option)."
)
@click.option("--model-option", "model_options", multiple=True, metavar="KEY=VALUE", help="An option of that model.")
@click.option("--examples", metavar="N", type=click.IntRange(0, 100), default=3, show_default=True, help="Examples to show.")
@click.option(
    "--rows",
    metavar="FOLDER",
    type=PATH,
    help="Write the rows there as JSON lines, with ids and without the labels of splits to predict, for predictions that are "
    "made elsewhere (`imported_runs`).",
)
@json_option
def task(
    name: str,
    options: tuple[str, ...],
    data: DataFolders,
    model: str | None,
    model_options: tuple[str, ...],
    examples: int,
    rows: Path | None,
    as_json: bool,
) -> None:
    """Show the data of the task NAME: splits, labels, token lengths, majority baseline, slices, examples.

    Options are those of a task in an experiment file. For example: bakeoff show task docstrings --option size=200
    """
    if model_options and model is None:
        raise click.UsageError("--model-option needs --model")
    registry = load_registry()
    selected = chosen(registry, "task", name, parse_options(options, "--option"), "--option")
    if rows is not None:
        if as_json:
            raise click.UsageError("--rows writes files: it takes no --json")
        written = write_rows(selected, find_paths(data), rows)
        print_result(*(f"wrote {shown_path(path)}: {number:,} rows" for path, number in written.items()))
        return
    if model is None:
        measure = default_model(registry)
    else:
        measure = chosen(registry, "model", model, parse_options(model_options, "--model-option"), "--model-option")
    found = preview(selected, measure, find_paths(data), examples=examples)
    if as_json:
        print_json(found.model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_result(*lines(found))


def parse_options(given: tuple[str, ...], where: str) -> dict[str, Any]:
    """Parses KEY=VALUE pairs, each value as in an experiment file. Raises BakeoffError for anything else."""
    options: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", key):
            raise BakeoffError(f"{where}: expected KEY=VALUE; got {quoted(pair)}")
        if key in options:
            raise BakeoffError(f"{where}: {key} is given twice")
        document = parse_document(f"{key}: {value}", where)
        if document.flaws:
            raise SpecError(document.flaws.values())
        options |= document.data
    return options


# --- for people ----------------------------------------------------------------------------------------------------------


def lines(preview: Preview) -> Iterator[str]:
    """Yields the preview as lines of text."""
    yield f"{preview.task}: {preview.summary}"
    yield f"version {preview.version}, {preview.origin}"
    if preview.sources:
        yield f"from {', '.join(f'{name} {version}' for name, version in preview.sources.items())}"
    yield f"columns: {', '.join(f'{name} ({kind})' for name, kind in preview.columns.items())}"
    labels = ", ".join(preview.labels) or "none"
    metrics = ", ".join([f"{preview.metrics[0]} (primary)", *preview.metrics[1:]])
    yield f"{preview.kind} of {' + '.join(preview.text_columns)}; labels: {labels}; metrics: {metrics}"
    yield from ("", *aligned(splits_table(preview), "lr"))
    if preview.data_checks:
        yield from ("", *preview.data_checks)
    if any(split.tokens for split in preview.splits.values()):
        yield from ("", f"tokens (of {preview.model}), special tokens included", *aligned(tokens_table(preview), "lr"))
    yield from ("", "majority baseline: always the most frequent label of train", *aligned(baseline_table(preview), "lr"))
    for column in next(iter(preview.splits.values())).slices:
        yield from ("", *aligned(slice_table(preview, column), "lr"))
    for number, example in enumerate(preview.examples, start=1):
        yield from ("", f"example {number} of train: {example['label']} ({example['id']})")
        for column in preview.text_columns:
            text = example[column]
            yield f"  {column}: {text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + ' ...'}"
        if "prompt" in example:
            yield f"  prompt: {example['prompt']}"


def splits_table(preview: Preview) -> list[list[str]]:
    def share(split: SplitPreview, label: str) -> str:
        number = split.labels.get(label)
        return "-" if number is None else f"{number:,} ({per_cent(number / split.examples, 1)})"

    labels = list(next(iter(preview.splits.values())).labels)
    rows = ([name, f"{one.examples:,}", *(share(one, label) for label in labels)] for name, one in preview.splits.items())
    return [["split", "examples", *labels], *rows]


def tokens_table(preview: Preview) -> list[list[str]]:
    measured = {name: split.tokens for name, split in preview.splits.items() if split.tokens}
    quantiles = list(next(iter(measured.values())).quantiles)
    return [["split", *quantiles, "longest", f"cut at {preview.max_length}"]] + [
        [name, *map(str, tokens.quantiles.values()), str(tokens.longest), per_cent(tokens.share_cut, 1)]
        for name, tokens in measured.items()
    ]


def baseline_table(preview: Preview) -> list[list[str]]:
    return [["split", *preview.metrics]] + [
        [name, *(preview.units[metric].written(split.majority_baseline[metric]) for metric in preview.metrics)]
        for name, split in preview.splits.items()
        if split.majority_baseline is not None
    ]


def slice_table(preview: Preview, column: str) -> list[list[str]]:
    """A table of how many examples each value of a slice column has in each split, the most frequent value first."""
    counts = {name: Counter(split.slices[column]) for name, split in preview.splits.items()}
    totals = sum(counts.values(), Counter[str]())
    ordered = sorted(totals, key=lambda value: (-totals[value], value))
    rows = [(escaped(value)[:60], [value]) for value in ordered[:MOST_VALUES]]
    if rest := ordered[MOST_VALUES:]:
        rows.append((f"{len(rest):,} others", rest))
    return [[column, *counts]] + [
        [title, *(f"{sum(count[value] for value in values):,}" for count in counts.values())] for title, values in rows
    ]
