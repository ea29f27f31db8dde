"""The facts of strategies: what each was asked to do and did, and which of that is equal in all rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff.analysis.recipes import NEUTRAL
from bakeoff.records.schema import ComponentOrigin, Record
from bakeoff.text.values import spelt

RECIPE = "recipe."
VARIES = "varies"
"""A fact that is not the same at every seed of one strategy."""


def facts_of(records: Sequence[Record], stated: Sequence[str]) -> dict[str, Any]:
    """What a strategy's runs were asked and did; all recorded runs of one strategy were asked the same but for the seed.

    `stated` are the recipe's keys to tell: one that a record leaves out has its neutral value.
    """
    asked = records[0].requested
    recipe = {**{key: NEUTRAL[key] for key in stated if key in NEUTRAL}, **asked.recipe}
    facts: dict[str, Any] = {f"{RECIPE}{key}": recipe[key] for key in stated if key in recipe}
    facts["model"] = asked.model_label
    facts["replicate"] = asked.replicate
    facts["select"] = asked.select
    facts["steps"] = _one(record.cost.steps for record in records if record.cost)
    facts["parameters"] = _one(record.weights.parameters_total for record in records if record.weights)
    facts["trainable"] = _one(record.weights.parameters_trainable for record in records if record.weights)
    return facts


def _one(values: Iterable[int]) -> int | str | None:
    found = set(values)
    return None if not found else found.pop() if len(found) == 1 else VARIES


def split_facts(facts: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The facts that all rows share, with their value, and the names of those that differ.

    A value that is not known (None) in some row, because nothing was recorded there, is no difference; in a recipe it is
    a value like any other.
    """
    known: dict[str, list[Any]] = {}
    for row in facts:
        for name, value in row.items():
            values = known.setdefault(name, [])
            if (value is not None or name.startswith(RECIPE)) and value not in values:
                values.append(value)
    equal = {name: values[0] for name, values in known.items() if len(values) == 1}
    return equal, [name for name, values in known.items() if len(values) > 1]


def component_labels(origins: Sequence[ComponentOrigin]) -> tuple[list[str], list[str]]:
    """A short label for each component, telling rows apart, and a sentence for each with what need not be repeated.

    Options that differ between rows of the same component stand in the label; the others in the sentence.
    """
    by_name: dict[str, list[ComponentOrigin]] = {}
    for origin in origins:
        by_name.setdefault(origin.name, []).append(origin)
    equal: dict[str, dict[str, Any]] = {}
    differing: dict[str, list[str]] = {}
    for name, same in by_name.items():
        equal[name], differing[name] = split_facts(
            {f"{RECIPE}{key}": value for key, value in origin.options.items()} for origin in same
        )
    labels = []
    for origin in origins:
        shown = [f"{key}={spelt(origin.options.get(key))}" for key in map(_bare, differing[origin.name])]
        labels.append(f"{origin.name} ({', '.join(shown)})" if shown else origin.name)
    sentences = []
    for name, same in by_name.items():
        options = ", ".join(f"{_bare(key)} {spelt(value)}" for key, value in equal[name].items())
        origin = same[0]
        sentence = f"{name} {origin.version} ({origin.distribution} {origin.distribution_version})"
        sentences.append(f"{sentence} with {options}" if options else sentence)
    return labels, sentences


def _bare(name: str) -> str:
    return name.removeprefix(RECIPE)
