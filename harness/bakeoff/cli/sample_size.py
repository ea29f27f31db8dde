"""`bakeoff plan --resolve`: a pilot looked for, the arithmetic done, the answer told with what it costs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.outputs import gather
from bakeoff.analysis.pairs import estimate_of
from bakeoff.cli.columns import aligned
from bakeoff.cli.output import tell_damage
from bakeoff.contracts.fields import Part
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.planning.estimate import Outlook, likeness
from bakeoff.planning.runs import Plan
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Record, Requested
from bakeoff.records.store import Store
from bakeoff.statistics.power import MOST_SEEDS
from bakeoff.statistics.sample_size import (
    ALPHA,
    PLANNED_DISCORDANCE,
    PLANNED_SD,
    POWER,
    ROUGH_SEEDS,
    Needs,
    Question,
    from_pilot,
    from_planning_values,
)
from bakeoff.statistics.twoway import TwoWay
from bakeoff.text.numbers import DASH, count, duration, per_cent, significant, with_decimals
from bakeoff.text.values import spelt
from bakeoff.text.words import escaped

Kind = tuple[str, int]
"""What makes runs seeds of one thing: all that was asked but the seed, and the replicate."""


class Price(Part):
    """What so many seeds take."""

    seeds: int
    runs: int
    left: int
    """Not recorded yet."""
    seconds: float
    unknown: int
    """Runs left of which no like run is recorded; not in `seconds`."""


class Resolution(Part):
    """The answer to `--resolve`."""

    question: Question
    alpha: float
    power: float
    baseline: str
    needs: list[Needs]
    price: Price | None
    """Of the seeds that all comparisons need, identical rows apart; None where no number is given for one of them."""


@dataclass(frozen=True)
class Pilot:
    """An experiment with records of the plan's tasks and models."""

    where: str
    experiment: Experiment


def resolve(plan: Plan, store: Store, outlooks: Sequence[Outlook], difference: float) -> Resolution:
    """How many seeds find a difference to the baseline, as the primary metric is shown: in points, or in its own unit.

    Raises BakeoffError where there is no comparison, or where the tasks' metrics have several units.
    """
    others = [strategy.name for strategy in plan.strategies if strategy.name != plan.baseline]
    if not others:
        raise BakeoffError("--resolve: a difference needs two strategies; the experiment file has one")
    boards = [(task.label, model.label) for task in plan.tasks for model in plan.models]
    first, unit = plan.primaries[0].metric, plan.primaries[0].metric.unit
    if len({primary.unit for primary in plan.primaries}) > 1:
        told = ", ".join(f"{primary.metric.name} ({primary.task})" for primary in plan.primaries)
        raise BakeoffError(f"--resolve: one number can't be a difference of {told}: ask of an experiment file for each")
    if unit.in_points and difference >= 100:
        raise BakeoffError(f"--resolve: {spelt(difference)} points are all that {first.name} can range over")
    question = Question(
        difference=difference, metric=first.name, unit=unit, seeds=len(plan.spec.seeds), comparisons=len(others) * len(boards)
    )
    kinds = {(run.task.label, run.model.label, run.strategy.name): _kind(run.requested) for run in plan.runs}
    pilots = list(find_pilots(plan, store))
    needs = [
        _needs(question, (*board, name), kinds[*board, name], kinds[*board, plan.baseline], pilots, plan.spec.report_on)
        for board in boards
        for name in others
    ]
    tell_damage(*(pilot.experiment for pilot in pilots))
    return Resolution(
        question=question, alpha=ALPHA, power=POWER, baseline=plan.baseline, needs=needs, price=_price(needs, outlooks)
    )


def _kind(asked: Requested) -> Kind:
    return likeness(asked), asked.replicate


# --- the pilot -----------------------------------------------------------------------------------------------------------


def find_pilots(plan: Plan, store: Store) -> Iterator[Pilot]:
    """This folder's experiment, then those in the folders beside it that share a task and a model with the plan."""
    pairs = {(run.task.label, run.model.label) for run in plan.runs}
    for one in (store, *store.neighbours):
        try:
            if any((run.task, run.model) in pairs for run in one.declared().runs):
                yield Pilot("this folder" if one is store else one.folder.name, load_experiment([one]))
        except StoreError:
            continue  # none here yet; another experiment's damage is no concern of this one


def _needs(
    question: Question, place: tuple[str, str, str], kind: Kind, baseline: Kind, pilots: Sequence[Pilot], split: str
) -> Needs:
    """By the first pilot that has both sides with two seeds or more, else by planning values."""
    examples = None
    for pilot in pilots:
        sides = [_like(pilot.experiment, place, wanted) for wanted in (kind, baseline)]
        examples = examples or next((_examples(record, split) for side in sides for record in side), None)
        if min(map(len, sides)) >= 2 and (compared := _compare(pilot.experiment, sides[0], sides[1], split)) is not None:
            found, identical = compared
            return from_pilot(question, place, found, where=pilot.where, identical=identical)
    return from_planning_values(question, place, examples=examples)


def _like(experiment: Experiment, place: tuple[str, str, str], wanted: Kind) -> list[Record]:
    return [
        record
        for record in experiment.records
        if record.status == "ok"
        and (record.requested.task_label, record.requested.model_label) == place[:2]
        and _kind(record.requested) == wanted
    ]


def _examples(record: Record, split: str) -> int | None:
    return record.data.splits[split].examples if record.data is not None and split in record.data.splits else None


def _compare(experiment: Experiment, here: Sequence[Record], there: Sequence[Record], split: str) -> tuple[TwoWay, bool] | None:
    """The comparison over seeds and examples, and whether all predictions are equal.

    None where the metric needs the hub, or predictions are missing.
    """
    data = here[0].data
    if data is None:
        return None
    metric = experiment.metrics.get(here[0].requested.task_label, {}).get(data.primary_metric)
    order = [sorted(side, key=lambda record: record.requested.seed) for side in (here, there)]
    found = gather(experiment, {"here": order[0], "there": order[1]}).splits.get(split)
    if metric is None or found is None or min(len(found.seeds.get(side, ())) for side in ("here", "there")) < 2:
        return None
    if silent := data.silent.get(split, {}).get(metric.name):
        raise BakeoffError(f"--resolve: {metric.name} says nothing on {split}: {silent}")
    estimate = estimate_of(found, metric, "here", "there")
    paired = found.seeds["here"] == found.seeds["there"]
    identical = paired and np.array_equal(found.answers["here"], found.answers["there"])
    return None if estimate is None else (estimate, identical)


# --- what it costs -------------------------------------------------------------------------------------------------------


def _price(needs: Sequence[Needs], outlooks: Sequence[Outlook]) -> Price | None:
    """All strategies get the seeds of the comparison that needs most."""
    numbers = [need.seeds for need in needs if not need.identical]
    seeds = max((number for number in numbers if number is not None), default=None)
    if seeds is None or None in numbers:
        return None
    rows: dict[tuple[str, str, str], list[Outlook]] = defaultdict(list)
    for outlook in outlooks:
        run = outlook.run
        rows[run.task.label, run.model.label, run.strategy.name].append(outlook)
    left, unknown, seconds = 0, 0, 0.0
    for row in rows.values():
        times = [outlook.seconds for outlook in row if outlook.seconds is not None]
        lacking = max(0, seeds - sum(outlook.state == "recorded" for outlook in row))
        left += lacking
        if times:
            seconds += lacking * math.fsum(times) / len(times)
        else:
            unknown += lacking
    return Price(seeds=seeds, runs=seeds * len(rows), left=left, seconds=seconds, unknown=unknown)


# --- in words ------------------------------------------------------------------------------------------------------------


def in_words(resolution: Resolution) -> list[str]:
    """The table of comparisons, then the price, then what to mind."""
    question = resolution.question
    begin = (
        f"To find a difference of {_sized(question)} to {resolution.baseline} with {per_cent(resolution.power)} "
        f"power at a two-sided {per_cent(resolution.alpha)}:"
    )
    several = len({(need.task, need.model) for need in resolution.needs}) > 1
    header = [*(["task", "model"] if several else []), "strategy", "seeds", "by Holm", f"found with {question.seeds}"]
    rows = [[*header, "found at best", "from"]]
    for need in resolution.needs:
        place = [escaped(need.task), escaped(need.model)] if several else []
        numbers = [
            _number(need.seeds, need, need.why_none),
            _number(need.seeds_in_family, need, need.why_none_in_family),
            _shown(need.detectable, question),
            _at_best(need, question),
        ]
        origin = need.origin if need.origin != "pilot" else f"{need.pilot_seeds} seeds in {escaped(need.pilot)}"
        rows.append([*place, need.strategy, *numbers, origin])
    return [begin, "", *aligned(rows), "", *_bill(resolution), *_remarks(resolution)]


def _number(seeds: int | None, need: Needs, why_none: str) -> str:
    if need.identical:
        return DASH
    words = {"unknown": "not known", "too many": f"over {MOST_SEEDS:,}"}
    return words.get(why_none, "none will do") if seeds is None else f"{seeds:,}"


def _sized(question: Question) -> str:
    """The difference that is asked for: `2 points`, `0.05 of mae`."""
    if not question.unit.in_points:
        return f"{spelt(question.difference)} {_word(question)}"
    return f"{spelt(question.difference)} point{'' if question.difference == 1 else 's'}"


def _word(question: Question) -> str:
    return question.unit.name or f"of {question.metric}"


def _at_best(need: Needs, question: Question) -> str:
    """With seeds without end; by planning values it may be anything up to the worst case."""
    if need.why_none == "unknown" and need.limit_range:
        return f"{_bare(need.limit_range[0], question)} to {_shown(need.limit_range[1], question)}"
    least = _shown(need.limit, question)
    return f"0 to {least}" if need.origin != "pilot" and need.limit is not None else least


def _bare(value: float, question: Question) -> str:
    return with_decimals(value, 1) if question.unit.in_points else significant(value, 3)


def _shown(value: float | None, question: Question) -> str:
    return "unknown" if value is None else f"{_bare(value, question)} {_word(question)}"


def _bill(resolution: Resolution) -> list[str]:
    price = resolution.price
    if price is None:
        return []
    if not price.left:
        return [f"{count(price.seeds, 'seed')} are recorded already"]
    known = [f"about {duration(price.seconds)}"] if price.left > price.unknown else []
    rest = [f"{count(price.unknown, 'run')} of unknown length"] if price.unknown else []
    return [f"{price.seeds} seeds: {count(price.runs, 'run')}, {price.left} left to do, {' and '.join([*known, *rest])}"]


def _remarks(resolution: Resolution) -> list[str]:
    question, lines = resolution.question, []
    for need in resolution.needs:
        name = need.strategy
        if need.identical:
            lines.append(f"{name}: the pilot's predictions are the baseline's to the last; more seeds will not separate them")
        elif need.origin == "nothing":
            lines.append(
                f"{name}: there is no pilot, and nobody knows beforehand how {question.metric} spreads: run two seeds or more "
                "of each strategy in a folder beside this one, then ask again"
            )
        elif need.seeds is None:
            lines.append(f"{name}: {_why_none(need, question)}")
    if any(need.origin == "pilot" and need.pilot_seeds < ROUGH_SEEDS and not need.identical for need in resolution.needs):
        lines.append(f"a pilot of fewer than {ROUGH_SEEDS} seeds tells the spread between seeds only roughly")
    planned = [need for need in resolution.needs if need.origin == "planning values"]
    if planned:
        lines += _about_planning_values(planned)
    if question.comparisons > 1:
        lines.append(f"by Holm: at 5 % over all {question.comparisons} comparisons together")
    return lines


def _why_none(need: Needs, question: Question) -> str:
    wanted = _sized(question)
    if need.why_none == "too many":
        return f"it would take more than {MOST_SEEDS:,} seeds to find {wanted}"
    with_seeds = count(max(question.seeds, 2), "seed")
    more = f"; with {with_seeds} it would take {need.examples_needed:,} examples" if need.examples_needed else ""
    if need.why_none == "unknown":
        left = _at_best(need, question)
        return f"whether more seeds find {wanted} is not known: {need.examples:,} examples alone leave {left} open{more}"
    return f"no number of seeds finds {wanted} on {need.examples:,} examples, at best {_shown(need.limit, question)}{more}"


def _about_planning_values(planned: Sequence[Needs]) -> list[str]:
    low, usual, high = map(spelt, PLANNED_SD)
    spread = planned[0].seeds_range
    lines = [
        f"planning values: runs of base models spread by {low} to {high} points of accuracy over seeds, here {usual}"
        + (f"; {spread[0]} to {spread[1]} seeds over that range" if spread else "")
    ]
    share = per_cent(PLANNED_DISCORDANCE)
    lines.append(
        f"found at best: 0 where strategies err on the same examples, the most where the {share} of examples on which two "
        "models usually differ are the same ones at every seed; only a pilot tells"
        if any(need.limit is not None for need in planned)
        else "found at best is unknown until a run is recorded: it takes the number of examples"
    )
    return [*lines, "a pilot, two or more seeds of each strategy in a folder beside this one, makes all this sharper"]
