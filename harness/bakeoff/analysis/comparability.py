"""Which rows of a comparison group are ranked against each other: those that differ in nothing but what is under test.

Runs of another task version, other data or another model never come here: when records are read, they are put into comparison
groups of their own (`bakeoff.records.load.separation`). No record is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from bakeoff.analysis.recipes import is_declared
from bakeoff.analysis.under_test import UnderTest
from bakeoff.contracts.recipe import steps_of
from bakeoff.records.provenance import MACHINE, MADE_FROM, Facts, Subject, differences, in_words, made_on, one_word, together
from bakeoff.records.schema import Record, Vary
from bakeoff.text.values import spelt

COMPARED: Final[Mapping[Subject, tuple[str, ...]]] = {
    **dict.fromkeys(sorted(MADE_FROM), ()),
    **dict.fromkeys(("model", "weights", "tokenizer", "configuration"), ("model",)),
    "start": (),
    "metric": (),
    "budget": ("recipe.epochs", "recipe.max_steps", "recipe.min_steps", "recipe.batch_size", "recipe.train_examples"),
    "hardware": ("hardware",),
    "instruction set": ("hardware",),
    "software": ("software",),
}
"""What must be equal for rows to be ranked together -> the names in `under_test` that let them differ in it; where there are
none, it must always be equal."""

shorten = partial(re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,52}\b").sub, r"\1")
"""Cuts the fingerprints in a text to the 12 digits that are shown of them."""


def row_facts(records: Sequence[Record], metric: str = "", *, hardware: Sequence[str] = ()) -> Facts:
    """The facts that decide with which rows this one is ranked. metric: its version is one of them; needed only where recorded
    scores are compared. hardware: the classes that the experiment declares, which count as one."""
    mixed: Facts = {}
    if hardware and made_on(records, hardware):
        mixed = {("hardware", ""): (" or ".join(hardware),), ("instruction set", ""): (None,)}
    requested = [record.requested for record in records]
    metrics = [facts for record in records if record.data for facts in record.data.metrics if facts.name == metric]
    return {
        **together(records, MADE_FROM | MACHINE | {"bakeoff"}),
        **mixed,
        ("model", ""): (one_word(f"{one.model_label} {one.model.version}" for one in requested if one.model),),
        ("start", ""): (one_word(" and ".join(one.weights.lineage) or "the model's own" for one in records if one.weights),),
        ("metric", ""): (one_word(f"{facts.name} {facts.version}" for facts in metrics),),
        ("budget", ""): (one_word(map(_budget, records)),),
    }


def unlike(here: Facts, there: Facts, under_test: Sequence[str]) -> list[str]:
    """The differences between two rows that are not under test, each as a clause."""
    subjects = [subject for subject in COMPARED if not is_declared(COMPARED[subject], under_test)]
    return [
        shorten(f"{one.what.removeprefix('the ')} {one.here} instead of {one.there}")
        for one in differences(here, there, subjects)
    ]


def shown(facts: Facts) -> dict[str, str]:
    """A row's facts: subject -> its value in words, software in one line."""
    known = {key: word for key, words in facts.items() if (word := one_word(words[:1])) is not None}
    software = {name or subject: word for (subject, name), word in known.items() if subject in ("software", "bakeoff")}
    others = {in_words(*key).removeprefix("the "): shorten(word) for key, word in known.items() if key[0] in COMPARED}
    told = {what: word for what, word in others.items() if what not in software}
    return {**told, "software": ", ".join(f"{name} {version}" for name, version in software.items())}


def rankings_of(
    rows: Mapping[str, Facts], baseline: str, under_test: UnderTest, vary: Vary | None = None
) -> tuple[dict[str, int], list[str]]:
    """Row -> number of its ranking, the baseline's 0; and for each ranking in what it differs from the baseline's, in words.

    vary: where a key varies, each of its values has rankings of its own; the first is that of the baseline's row there.
    """
    leaders: list[str] = [baseline] if baseline in rows else list(rows)[:1]
    place_of = vary.place_of if vary else {}
    if vary:
        leaders += [
            row for row in dict.fromkeys(reversed(vary.baselines(baseline).values())) if row in rows and row != baseline
        ]
    rankings: dict[str, int] = {}
    for row, facts in rows.items():
        alike = (
            number
            for number, leader in enumerate(leaders)
            if place_of.get(row) == place_of.get(leader) and not unlike(facts, rows[leader], under_test.of(row, leader))
        )
        rankings[row] = next(alike, len(leaders))
        leaders += [row] if rankings[row] == len(leaders) else []
    first = leaders[0]
    if vary is None:
        return rankings, ["; ".join(unlike(rows[one], rows[first], under_test.of(one, first))) for one in leaders]
    heads = vary.baselines(baseline)
    reasons = []
    for one in leaders:
        head, place = heads.get(one, first), place_of.get(one)
        value = [f"{vary.key} {vary.word(place)}"] if place is not None and place != place_of.get(first) else []
        other = unlike(rows[one], rows[head], under_test.of(one, head)) if head in rows and head != one else []
        reasons.append("; ".join([*value, *other]))
    return rankings, reasons


def _budget(record: Record) -> str | None:
    """How many examples the recipe trains on, each counted as often as it is seen: `11,004 examples`; None if the trainer
    decides that itself, or the record does not tell."""
    recipe = record.requested.recipe
    if "steps" in record.trainer_owns:
        return None
    if recipe.get("max_steps") is not None:
        return f"{spelt(int(recipe['max_steps']) * int(recipe.get('batch_size', 1)))} examples"
    if record.data is None or recipe.get("epochs") is None:
        return None
    examples = int(recipe.get("train_examples") or record.data.splits["train"].examples)
    return f"{spelt(examples_of(recipe, examples))} examples"


def examples_of(recipe: Mapping[str, Any], rows: int) -> float:
    """How many examples a recipe with epochs trains on, given the number of rows; where the steps of `min_steps` are more, how
    many those take."""
    epochs, size, least = recipe["epochs"], int(recipe.get("batch_size", 1)), int(recipe.get("min_steps") or 0)
    return least * size if least > steps_of(rows, epochs=epochs, batch_size=size) else round(epochs * rows)
