"""What a comparison of two strategies will be able to conclude, told before any run from what is requested of them.

What only shows in training, such as what a trainer decides by itself, can't be told here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from bakeoff.analysis.comparability import COMPARED, examples_of
from bakeoff.analysis.recipes import (
    COMPONENTS,
    OWNED,
    RECIPE,
    SUBJECTS,
    Run,
    differences,
    is_declared,
    side_by_side,
)
from bakeoff.analysis.results import Fact
from bakeoff.analysis.under_test import UnderTest
from bakeoff.contracts.recipe import Recipe
from bakeoff.records.schema import Requested, Vary
from bakeoff.text.values import spelt

ALL_PARTS = (*COMPONENTS, *(f"{RECIPE}{key}" for key in Recipe.model_fields))
MOST_STRATEGIES = 60
"""With more strategies, only the comparisons with the baseline are looked at."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that is not made yet, with what is known of it."""

    requested: Requested
    trainer_owns: Sequence[str]
    claims: Mapping[str, Any] | None = None
    observed: None = None
    weights: None = None
    cost: None = None


@dataclass(frozen=True)
class PlannedStrategy:
    """A strategy as planned; a searched one has a run for every configuration that its search may choose."""

    runs: Sequence[PlannedRun]
    searched: Collection[str] = ()
    """The parts that a search chooses, named as in `under_test`."""
    chooser: str = ""
    """The strategy whose search chooses: its own name, or that of the strategy which it repeats; empty where none does."""


@dataclass(frozen=True)
class PlannedPair:
    """Two strategies, and what their comparison will be about."""

    first: str
    second: str
    """The baseline, where it is one of the two."""
    studied: tuple[str, ...]
    """Subjects under test in which they differ, or may once a search has chosen."""
    confounders: tuple[Fact, ...]
    """Differences that are not under test: with any of them the comparison ends confounded."""
    maybe: tuple[Fact, ...]
    """Differences that are not under test in what a search chooses: it may still choose equal values."""
    apart: str
    """Why the two are not ranked together, however they score; empty where they are."""
    to_declare: tuple[str, ...]
    """What `under_test` would have to name for all this to be under test."""


def planned_pairs(
    strategies: Mapping[str, PlannedStrategy],
    baseline: str,
    named: Sequence[str],
    spelt_out: Mapping[str, Collection[str]],
    vary: Vary | None = None,
) -> list[PlannedPair]:
    """The pairs with the baseline first, then all others; where a key varies, only those at the same value.

    named, spelt_out, vary: what is under test and what varies, as `Declared.under_test`, `spelt_out` and `vary` hold it.
    """
    rows: dict[str, Sequence[Run]] = {name: strategy.runs for name, strategy in strategies.items()}
    requested = {name: [run.requested for run in strategy.runs] for name, strategy in strategies.items()}
    under_test, recipes = UnderTest(named, spelt_out, requested), side_by_side(rows)
    baseline_of = vary.baselines(baseline) if vary else dict.fromkeys(strategies, baseline)
    others = [name for name in strategies if name != baseline_of[name]]
    pairs = [(name, baseline_of[name]) for name in others]
    if len(strategies) <= MOST_STRATEGIES:
        pairs += [(one, two) for one, two in combinations(others, 2) if baseline_of[one] == baseline_of[two]]
    found = []
    for first, second in pairs:
        parts = under_test.of(first, second)
        facts = differences(recipes[first], recipes[second], parts)
        alike = strategies[first].chooser == strategies[second].chooser
        searched = set() if alike else {*strategies[first].searched, *strategies[second].searched}
        facts += _chosen_by_search(facts, searched, recipes[first], parts)
        undeclared = [fact for fact in facts if not fact.declared]
        apart = _budgets_apart(strategies[first], strategies[second], parts)
        spelt = UnderTest((), dict.fromkeys((first, second), ALL_PARTS), requested).of(first, second)
        wanted = [*(fact.parts for fact in undeclared), *([COMPARED["budget"]] if apart else [])]
        found.append(
            PlannedPair(
                first,
                second,
                tuple(fact.subject for fact in facts if fact.declared and not _told_by_trainer(fact, facts)),
                tuple(fact for fact in undeclared if searched.isdisjoint(fact.parts)),
                tuple(fact for fact in undeclared if not searched.isdisjoint(fact.parts)),
                apart,
                tuple(dict.fromkeys(_best_part(own, {*spelt, *searched}) for own in wanted if own)),
            )
        )
    return found


def _best_part(parts: Sequence[str], differing: Collection[str]) -> str:
    """Of the parts that may be declared for one subject, the one in which the request differs."""
    return next((part for part in parts if part in differing), parts[0])


def _told_by_trainer(fact: Fact, facts: Sequence[Fact]) -> bool:
    return fact.subject == OWNED and any(one.subject == "trainer" for one in facts)


def _chosen_by_search(
    facts: Sequence[Fact], searched: set[str], recipe: Mapping[str, str], under_test: Sequence[str]
) -> list[Fact]:
    """The differences that searches may still make: settings in which both strategies have the same values to choose from, and
    for which different ones may be chosen."""
    known = {fact.subject for fact in facts}
    new = [one for one in SUBJECTS if one.name in recipe and one.name not in known and not searched.isdisjoint(one.parts)]
    return [
        Fact(subject=one.name, first="", second="", parts=list(one.parts), declared=is_declared(one.parts, under_test))
        for one in new
    ]


def _budgets_apart(first: PlannedStrategy, second: PlannedStrategy, under_test: Sequence[str]) -> str:
    """Why two strategies don't train on equally many examples, though that is not under test; empty where they do, or where it
    is not known before the data are loaded."""
    one, other = _budget(first), _budget(second)
    if one is None or other is None or one[0] != other[0] or is_declared(COMPARED["budget"], under_test):
        return ""
    return f"{spelt(one[1])} {one[0]} instead of {spelt(other[1])}" if one[1] != other[1] else ""


def _budget(strategy: PlannedStrategy) -> tuple[str, float] | None:
    """The length of training as (`examples` or `epochs`, how many), each example counted as often as it is seen; None where
    the trainer or a search decides it."""
    found = set[tuple[str, float]]()
    for run in strategy.runs:
        recipe = run.requested.recipe
        steps, epochs, subset = (recipe.get(key) for key in ("max_steps", "epochs", "train_examples"))
        if "steps" in run.trainer_owns:
            return None
        if steps is not None:
            found.add(("examples", steps * recipe.get("batch_size", 1)))
        elif epochs is not None and subset:
            found.add(("examples", examples_of(recipe, subset)))
        elif epochs is not None:
            least = recipe.get("min_steps")  # how many rows there are is not known
            found.add((f"epochs, and {least:,} steps or more," if least else "epochs", epochs))
    return found.pop() if len(found) == 1 else None
