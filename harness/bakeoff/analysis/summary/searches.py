"""How the configurations of searched strategies were chosen: every tried configuration's mean score on dev, and what the
search cost."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.contracts.fields import Part
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.unit import Figures
from bakeoff.records.provenance import alike, differing
from bakeoff.records.schema import Declared, Record, Search
from bakeoff.text.numbers import in_seconds
from bakeoff.text.values import grouped, listed, options_in_words

UNTUNED = "untuned"


class Tried(Part):
    """One configuration of a search, on one task and model."""

    values: dict[str, Any]
    score: float | None
    """Mean of the primary metric on dev; None where no trial succeeded."""
    ended: int
    failed: int
    asked: int
    chosen: int
    """How many of the searches chose it."""


class Searched(Part):
    """What a row's search tried, chose and cost."""

    split: str
    """The split by whose scores it chooses."""
    configurations: list[Tried]
    seconds: float
    """The time that all its recorded trials took, each from the start of its process to its end."""
    at: str = ""
    """Where a key varies, the value at which it ran for all rows of its strategy: `train_examples 256`."""
    repeat: int
    """How many times the search is to be made, each with seeds of its own."""
    shared: bool
    """Whether the search belongs to another row, which this one repeats."""
    elsewhere: list[str]
    """What differs between this row and those trials in the folder that are therefore none of its search: `the rows of
    dev`."""

    @property
    def gone(self) -> bool:
        """Whether none of the trials is left by which the configuration was chosen, since they were made again from other data
        or another model."""
        return bool(self.elsewhere) and not any(tried.ended or tried.failed for tried in self.configurations)


def searched(
    declared: Declared, trials: Mapping[str, Record], task: str, model: str, rows: Mapping[str, Sequence[Record]]
) -> dict[str, Searched]:
    """Strategy -> its search, of those that have one.

    rows: strategy of the table -> its records; trials: records by run id. What a trial found holds for rows that were made from
    the same data and model.
    """
    place_of = declared.vary.place_of if declared.vary else {}

    def is_elsewhere(name: str) -> bool:
        """Whether its search runs at another value of the key that varies."""
        at, place = declared.searches[name].at, place_of.get(name)
        return bool(at and declared.vary and place is not None and declared.vary.word(place) != at)

    first: dict[tuple[str, ...], str] = {}
    for name in sorted(declared.searches, key=is_elsewhere):
        if name in rows:
            first.setdefault(tuple(run.id for run in declared.searches[name].trials), name)
    owners, key = set(first.values()), declared.vary.key if declared.vary else ""
    found = {}
    for name, search in declared.searches.items():
        if name in rows:
            labels = {run.model for run in search.trials}
            here = model if model in labels else declared.own_models.get(name, model)
            found[name] = _searched(search, trials, task, here, rows[name], shared=name not in owners, key=key)
    return found


def _searched(
    search: Search, trials: Mapping[str, Record], task: str, model: str, row: Sequence[Record], *, shared: bool, key: str
) -> Searched:
    """What one strategy's search tried on one task and model. row: the strategy's records. key: the recipe key that varies;
    empty where none does."""
    mine = [run for run in search.trials if (run.task, run.model) == (task, model)]
    trials, elsewhere = _of_the_row([trials[run.id] for run in mine if run.id in trials], row)
    chosen = [choice.values for choice in search.chosen if (choice.task, choice.model) == (task, model)]
    configurations = []
    for runs in grouped((tuple(sorted(map(repr, run.values.items()))), run) for run in mine).values():
        records = [trials[run.id] for run in runs if run.id in trials]
        scores = [
            score
            for record in records
            if record.status == "ok" and record.data is not None
            for score in [record.scores[selection_split(record.scores)].get(record.data.primary_metric)]
            if score is not None
        ]
        configurations.append(
            Tried(
                values=runs[0].values,
                score=statistics.fmean(scores) if scores else None,
                ended=len(scores),
                failed=len(records) - len(scores),
                asked=len(runs),
                chosen=chosen.count(runs[0].values),
            )
        )
    scored = next((record.scores for record in trials.values() if record.status == "ok"), {})
    return Searched(
        split=selection_split(scored),
        configurations=configurations,
        seconds=sum(record.cost.total_seconds for record in trials.values() if record.cost),
        repeat=search.repeat,
        at=f"{key} {search.at}" if search.at else "",
        shared=shared,
        elsewhere=elsewhere,
    )


def _of_the_row(trials: Sequence[Record], row: Sequence[Record]) -> tuple[dict[str, Record], list[str]]:
    """The trials that were made from the same data and model as the row, by run id; and in what the others differ."""
    own, elsewhere = dict[str, Record](), dict[str, None]()
    for group in alike(trials):
        if unlike := differing(group, row):
            elsewhere |= dict.fromkeys(one.what for one in unlike)
        else:
            own |= {record.id: record for record in group}
    return own, list(elsewhere)


def tuning(found: Searched | None) -> str:
    """How a row came to its configuration, in the few words of a table's cell: `best of 6`, `untuned`."""
    if found is None:
        return UNTUNED
    many, chosen = len(found.configurations), sum(tried.chosen for tried in found.configurations)
    if found.gone:
        return f"best of {many}, trials gone"
    if found.repeat > 1:
        return f"best of {many}, {chosen} of {found.repeat} searches"
    return f"best of {many}" if chosen else f"{many} to try"


def search_cells(rows: Mapping[str, Searched], figures: Figures) -> list[tuple[str, list[str]]]:
    """(strategy, cells) of every configuration: what was tried, mean on dev, runs, whether it was chosen."""
    lines = []
    for name, found in rows.items():
        for tried in () if found.shared else found.configurations:
            told = options_in_words(tried.values)
            score = figures.number(tried.score)
            runs = f"{tried.ended} of {tried.asked}" if tried.ended != tried.asked else str(tried.ended)
            times = f" {tried.chosen} of {found.repeat} times" if found.repeat > 1 else ""
            note = f"{tried.failed} failed" if tried.failed else f"chosen{times}" if tried.chosen else ""
            lines.append((name, [told, score, runs, note]))
    return lines


def search_titles(rows: Mapping[str, Searched], metric: str) -> tuple[str, ...]:
    return ("tried", f"{next(iter(rows.values())).split} {metric}", "n", "")


def cost_sentence(rows: Mapping[str, Searched], untuned: Sequence[str]) -> str:
    """A paragraph on what the searches cost, which searches' trials are no longer recorded, and which rows (`untuned`) were
    not searched."""
    own = {name: found.seconds for name, found in rows.items() if not (found.shared or found.gone)}
    split = next(iter(rows.values())).split
    parts = [f"Each search takes the configuration with the best mean on {split}, at seeds that are not reported."]
    if own:
        told = ", ".join(f"{name} {in_seconds(seconds)}" for name, seconds in own.items())
        parts.append(
            f"The searches' runs took {in_seconds(sum(own.values()))} in all: {told}; that is not in the rows' train s."
        )
    if places := dict.fromkeys(found.at for found in rows.values() if found.at):
        parts.append(f"Configurations were chosen at {listed(places)}, and hold at every other value.")
    gone = grouped((listed(found.elsewhere), name) for name, found in rows.items() if found.gone)
    for what, names in gone.items():
        others = f"those in the folder were made under other conditions ({what})"
        parts.append(f"The trials that chose for {listed(names)} are gone: {others}.")
    if several := {found.repeat for found in rows.values() if found.repeat > 1}:
        parts.append(f"Each of {max(several)} searches has trial seeds of its own, and one reported seed runs what it chose.")
    if untuned:
        parts.append(f"{', '.join(untuned)} {'is' if len(untuned) == 1 else 'are'} untuned.")
    return " ".join(parts)
