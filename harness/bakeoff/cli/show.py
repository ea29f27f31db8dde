"""`bakeoff show`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli.output import say, say_json
from bakeoff.text.numbers import per_cent

if TYPE_CHECKING:
    from bakeoff.training.preview import Look, SplitLook

LONGEST_TEXT = 300
MOST_VALUES = 20
"""Of a slice, by name; the rest are counted together."""
"""Characters of an example's text that are shown."""


@click.group()
def show() -> None:
    """Look at what an experiment is made of."""


@show.command()
@click.argument("name")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the task, as in an experiment file."
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of datasets (default: BAKEOFF_DATA).")
@click.option("--model", help="Whose tokenizer measures lengths (default: the first that needs no option).")
@click.option("--model-option", "model_options", multiple=True, metavar="KEY=VALUE", help="An option of the model.")
@click.option("--examples", type=click.IntRange(0, 100), default=3, show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def task(
    name: str,
    options: tuple[str, ...],
    data: Path | None,
    model: str | None,
    model_options: tuple[str, ...],
    examples: int,
    as_json: bool,
) -> None:
    """Look at the data of task NAME: splits, labels, lengths in tokens, the floor, some examples.

    For example: bakeoff show task docstrings --option size=200
    """
    from bakeoff.cli.inputs import find_places
    from bakeoff.contracts.registry import load_registry
    from bakeoff.training.preview import chosen, default_model, look_at

    if model_options and model is None:
        raise click.UsageError("--model-option goes with --model")
    registry = load_registry()
    looked_at = chosen(registry, "task", name, parse_options(options, "--option"), "--option")
    if model is None:
        measure = default_model(registry)
    else:
        measure = chosen(registry, "model", model, parse_options(model_options, "--model-option"), "--model-option")
    look = look_at(looked_at, measure, find_places(data), examples=examples)
    if as_json:
        say_json(look.model_dump_json(indent=1, ensure_ascii=True))
        return
    say(*lines(look))


def parse_options(given: tuple[str, ...], where: str) -> dict[str, Any]:
    """KEY=VALUE pairs, each value read as an experiment file would be."""
    from bakeoff.errors import BakeoffError, SpecError
    from bakeoff.spec.document import parse_document
    from bakeoff.text.words import quoted

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


def lines(look: Look) -> Iterator[str]:
    """The look as text."""
    from bakeoff.cli.columns import aligned

    yield f"{look.task}: {look.summary}"
    yield f"version {look.version}, {look.origin}"
    if look.sources:
        yield f"from {', '.join(f'{name} {version}' for name, version in look.sources.items())}"
    yield f"columns: {', '.join(f'{name} ({kind})' for name, kind in look.columns.items())}"
    metrics = ", ".join([f"{look.metrics[0]} (primary)", *look.metrics[1:]])
    yield f"{look.kind} of {' + '.join(look.text_columns)}; labels: {', '.join(look.labels) or 'none'}; metrics: {metrics}"
    yield from ("", *aligned(splits_table(look), "lr"))
    if look.remarks:
        yield from ("", *look.remarks)
    if any(split.tokens for split in look.splits.values()):
        yield from ("", f"tokens (of {look.model}), special tokens included", *aligned(tokens_table(look), "lr"))
    yield from ("", "the floor: always the most frequent label of train", *aligned(floor_table(look), "lr"))
    for column in next(iter(look.splits.values())).slices:
        yield from ("", *aligned(slice_table(look, column), "lr"))
    for number, example in enumerate(look.examples, start=1):
        yield from ("", f"example {number} of train: {example['label']} ({example['id']})")
        for column in look.text_columns:
            text = example[column]
            yield f"  {column}: {text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + ' ...'}"


def splits_table(look: Look) -> list[list[str]]:
    def share(split: SplitLook, label: str) -> str:
        if not split.labels:
            return "-"
        return f"{split.labels[label]:,} ({per_cent(split.labels[label] / split.examples, 1)})"

    labels = list(next(iter(look.splits.values())).labels)
    rows = [["split", "examples", *labels]]
    for name, split in look.splits.items():
        rows.append([name, f"{split.examples:,}", *(share(split, label) for label in labels)])
    return rows


def tokens_table(look: Look) -> list[list[str]]:
    measured = {name: split.tokens for name, split in look.splits.items() if split.tokens}
    quantiles = list(next(iter(measured.values())).quantiles)
    rows = [["split", *quantiles, "longest", f"cut at {look.max_length}"]]
    for name, tokens in measured.items():
        rows.append([name, *map(str, tokens.quantiles.values()), str(tokens.longest), per_cent(tokens.share_cut, 1)])
    return rows


def floor_table(look: Look) -> list[list[str]]:
    rows = [["split", *look.metrics]]
    for name, split in look.splits.items():
        if split.floor is not None:
            rows.append([name, *(look.units[metric].written(split.floor[metric]) for metric in look.metrics)])
    return rows


def slice_table(look: Look, column: str) -> list[list[str]]:
    from bakeoff.text.words import escaped

    values = {value for split in look.splits.values() for value in split.slices[column]}
    totals = {value: sum(split.slices[column].get(value, 0) for split in look.splits.values()) for value in values}
    rows = [[column, *look.splits]]
    ordered = sorted(values, key=lambda value: (-totals[value], value))
    for value in ordered[:MOST_VALUES]:
        rows.append([escaped(value)[:60], *(f"{split.slices[column].get(value, 0):,}" for split in look.splits.values())])
    if rest := ordered[MOST_VALUES:]:
        counts = (sum(split.slices[column].get(value, 0) for value in rest) for split in look.splits.values())
        rows.append([f"{len(rest):,} others", *(f"{count:,}" for count in counts)])
    return rows
