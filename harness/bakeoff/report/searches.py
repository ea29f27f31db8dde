"""How the configurations of searched strategies were chosen: every trial's mean on dev, and what it cost."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.contracts.unit import Figures
from bakeoff.record import Declared, Part, Record, Search
from bakeoff.spec import selection_split
from bakeoff.spelling import spelt

UNTUNED = "untuned"


class Tried(Part):
    """One configuration of a search, on one task and model."""

    values: dict[str, Any]
    score: float | None
    """Mean of the primary metric on dev; None where no trial ended well."""
    ended: int
    failed: int
    asked: int
    chosen: bool


class Searched(Part):
    """A row's search."""

    split: str
    """On which it chooses."""
    configurations: list[Tried]
    seconds: float
    """Of all its recorded trials, from the start of their processes to their ends."""
    shared: bool
    """Whether another row, which this one repeats, has the same search."""


def searched(declared: Declared, trials: Mapping[str, Record], task: str, model: str) -> dict[str, Searched]:
    """Strategy -> its search; `trials` are records by run id."""
    first: dict[tuple[str, ...], str] = {}
    found = {}
    for name, search in declared.searches.items():
        owner = first.setdefault(tuple(run.id for run in search.trials), name)
        found[name] = _searched(search, trials, task, model, shared=owner != name)
    return found


def _searched(search: Search, trials: Mapping[str, Record], task: str, model: str, *, shared: bool) -> Searched:
    mine = [run for run in search.trials if (run.task, run.model) == (task, model)]
    chosen = [choice.values for choice in search.chosen if (choice.task, choice.model) == (task, model)]
    values: list[dict[str, Any]] = []
    for run in mine:
        if run.values not in values:
            values.append(run.values)
    recorded = [trials[run.id] for run in mine if run.id in trials]
    configurations = []
    for each in values:
        records = [trials[run.id] for run in mine if run.values == each and run.id in trials]
        scores = [
            score
            for record in records
            if record.status == "ok" and record.data is not None
            for score in [record.scores[selection_split(record.scores)].get(record.data.primary_metric)]
            if score is not None
        ]
        configurations.append(
            Tried(
                values=each,
                score=statistics.fmean(scores) if scores else None,
                ended=len(scores),
                failed=len(records) - len(scores),
                asked=sum(run.values == each for run in mine),
                chosen=each in chosen,
            )
        )
    scored = next((record.scores for record in recorded if record.status == "ok"), {})
    return Searched(
        split=selection_split(scored),
        configurations=configurations,
        seconds=sum(record.cost.total_seconds for record in recorded if record.cost),
        shared=shared,
    )


def tuning(found: Searched | None) -> str:
    """How a row came to its configuration, for its line."""
    if found is None:
        return UNTUNED
    many = len(found.configurations)
    return f"best of {many}" if any(tried.chosen for tried in found.configurations) else f"{many} to try"


def search_cells(rows: Mapping[str, Searched], figures: Figures) -> list[tuple[str, list[str]]]:
    """(strategy, cells) of every configuration: what was tried, mean on dev, runs, whether it was chosen."""
    lines = []
    for name, found in rows.items():
        for tried in () if found.shared else found.configurations:
            told = ", ".join(f"{key} {spelt(value)}" for key, value in tried.values.items())
            score = figures.number(tried.score)
            runs = f"{tried.ended} of {tried.asked}" if tried.ended != tried.asked else str(tried.ended)
            note = f"{tried.failed} failed" if tried.failed else "chosen" if tried.chosen else ""
            lines.append((name, [told, score, runs, note]))
    return lines


def search_titles(rows: Mapping[str, Searched], metric: str) -> tuple[str, ...]:
    return ("tried", f"{next(iter(rows.values())).split} {metric}", "n", "")


def cost_sentence(rows: Mapping[str, Searched], untuned: Sequence[str]) -> str:
    """What the searches cost, and which rows had none."""
    own = {name: found.seconds for name, found in rows.items() if not found.shared}
    told = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in own.items())
    total = sum(own.values())
    rest = f" {', '.join(untuned)} {'is' if len(untuned) == 1 else 'are'} untuned." if untuned else ""
    split = next(iter(rows.values())).split
    return (
        f"Each search takes the configuration with the best mean on {split}, at seeds that are not reported. "
        f"The searches' runs took {total:,.0f} s in all: {told}; that is not in the rows' train s.{rest}"
    )
