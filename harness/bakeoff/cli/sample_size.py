"""`bakeoff plan --resolve`: finds recorded runs that serve as a pilot, computes how many seeds are needed, and estimates their
cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bakeoff.analysis.pairs import PairwiseComparison
from bakeoff.analysis.prepared_group import PreparedGroup, prepare
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.cli.chances import question_of
from bakeoff.cli.output import aligned, print_damage
from bakeoff.contracts.fields import Part
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.planning.estimate import Outlook, likeness
from bakeoff.planning.runs import Plan, label_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Requested, Titles
from bakeoff.records.store import Store
from bakeoff.statistics.intervals import ALPHA
from bakeoff.statistics.power import MOST_SEEDS
from bakeoff.statistics.sample_size import (
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
"""What runs that differ only in the seed have in common: (everything else that was requested, as text; replicate)."""
Pilot = tuple[str, Experiment]
"""Recorded runs from which variances are estimated: (their folder, for messages; the experiment, which shares a task and a
model with the plan)."""


class Price(Part):
    """The cost of running every strategy with a number of seeds."""

    seeds: int
    runs: int
    left: int
    """How many runs are not recorded yet."""
    seconds: float
    unknown: int
    """How many of the runs that are left have no time estimate, for lack of a similar record; they are not in `seconds`."""


class Resolution(Part):
    """The answer to `--resolve`."""

    question: Question
    power: float
    baseline: str
    needs: list[Needs]
    price: Price | None
    """The cost with the seeds that the most demanding comparison needs, except of identical rows; None if no number of seeds
    is enough for some comparison."""


def kind_of(requested: Requested) -> Kind:
    return likeness(requested), requested.replicate


def resolve(plan: Plan, store: Store, outlooks: Sequence[Outlook], difference: float) -> Resolution:
    """For each strategy, how many seeds are needed to detect a difference from its baseline with 80 % power, at the level of
    the verdict; and what they cost.

    difference: in points, or, if the primary metric is not shown in points, in its own unit. outlooks: the plan's runs with
    their state and expected time. Raises BakeoffError if there is nothing to compare, or if the tasks' metrics have different
    units.
    """
    baseline_of = plan.baseline_of
    others = [name for name, baseline in baseline_of.items() if name != baseline]
    if not others:
        raise BakeoffError("--resolve: a difference needs two strategies, and the experiment file has only one")
    groups = [(task.label, label) for task, label, _ in plan.groups]
    question = question_of(plan, difference)
    unit = question.unit
    if len({task.unit for task in plan.known_tasks}) > 1:
        names = ", ".join(f"{task.metric.name} ({task.name})" for task in plan.known_tasks)
        raise BakeoffError(
            f"--resolve: one difference cannot apply to metrics of different units ({names}); use an experiment file for each"
        )
    if unit.in_points and difference >= 100:
        raise BakeoffError(
            f"--resolve: {spelt(difference)} points exceeds the range of {question.metric}; give a smaller difference"
        )
    runs = {(run.task.label, run.model_label, run.strategy.name): kind_of(run.requested) for run in plan.runs}
    kinds = {
        (task.label, label, strategy.name): runs[task.label, label_of(model), strategy.name]
        for task, label, contestants in plan.groups
        for strategy, model in contestants
    }
    pilots = list(find_pilots(plan, store))
    prepared = [(where, prepared_groups(experiment, plan.spec.report_on)) for where, experiment in pilots]
    found = {
        (*group, name): _compared((*group, name), (kinds[*group, name], kinds[*group, baseline_of[name]]), prepared)
        for group in groups
        for name in others
    }
    needs, strictest = [], 1
    for place, pilot in found.items():
        family = [one for other, one in found.items() if _family(other, baseline_of) == _family(place, baseline_of)]
        judged = as_of(question, pilot, family)
        needs.append(_needs(judged, place, pilot))
        strictest = max(strictest, judged.comparisons)
    print_damage(*(experiment for _, experiment in pilots))
    price = _price(needs, outlooks)
    question = question.model_copy(update={"comparisons": strictest})
    return Resolution(question=question, power=POWER, baseline=plan.baseline_in_words, needs=needs, price=price)


def _family(place: tuple[str, str, str], baseline_of: Mapping[str, str]) -> tuple[str, str, str]:
    """The family over which Holm adjusts the comparison at `place` (task, model, strategy): all of that task and model with
    the same baseline."""
    task, model, name = place
    return task, model, baseline_of[name]


def as_of(question: Question, pilot: Compared, family: Sequence[Compared]) -> Question:
    """The question with the numbers by which the verdict will be judged: rows with identical predictions count once in a
    family, and variances over seeds are estimated together with those of the pilot's other rows."""
    keys = {one.found.family_key for one in family if one.found is not None and not one.found.identical}
    unknown = sum(one.found is None for one in family)
    rows = pilot.found.rows if pilot.found is not None else question.rows
    return question.model_copy(update={"comparisons": max(1, len(keys) + unknown), "rows": rows})


# --- the pilot -----------------------------------------------------------------------------------------------------------


def find_pilots(plan: Plan, store: Store) -> Iterator[Pilot]:
    """Yields the experiments that share a task and a model with the plan: this folder's, then those in neighbouring
    folders."""
    pairs = {(run.task.label, run.model_label) for run in plan.runs}
    for one in (store, *store.neighbours):
        try:
            if any((run.task, run.model) in pairs for run in one.declared().runs):
                yield "this folder" if one is store else one.folder.name, load_experiment([one])
        except StoreError:  # none here yet; and damage in another experiment does not matter to this one
            continue


class Compared(NamedTuple):
    """The comparison of a strategy with its baseline, from the first pilot that has two or more seeds of both."""

    where: str = ""
    found: PairwiseComparison | None = None
    """None where there is no such pilot."""
    examples: int | None = None
    """Number of examples in the reported split; None where no pilot records it."""


def _compared(
    place: tuple[str, str, str], kinds: tuple[Kind, Kind], pilots: Sequence[tuple[str, Sequence[PreparedGroup]]]
) -> Compared:
    """Looks for a comparison in the pilots, each (where, comparison groups). place: (task, model, strategy). kinds: of the
    strategy and of its baseline. Raises BakeoffError where the primary metric cannot tell predictions apart."""
    examples = None
    for where, groups in pilots:
        for prepared in groups:
            if (prepared.layout.task, prepared.layout.model) != place[:2]:
                continue
            examples = examples or prepared.data.splits[prepared.split].examples
            names = {kind_of(records[0].requested): name for name, records in prepared.layout.succeeded.items() if records}
            rows = [names[kind] for kind in kinds if kind in names]
            if len(rows) < 2 or any(len(prepared.layout.succeeded[row]) < 2 for row in rows):
                continue
            if silent := prepared.group.silent.get(prepared.split, {}).get(prepared.terms.metric):
                told = f"{prepared.terms.metric} cannot tell predictions apart on {prepared.split}: {silent}"
                raise BakeoffError(f"--resolve: {told}")
            if all(row in prepared.measures.sides for row in rows):  # of two runs or more that learned
                found = prepared.measures.compare(rows[0], rows[1])
                if isinstance(found.estimate, TwoWay):
                    return Compared(where, found, examples)
    return Compared(examples=examples)


def prepared_groups(experiment: Experiment, split: str) -> list[PreparedGroup]:
    """The comparison groups of recorded runs (the pilot of the experiment that is planned), prepared as if this split were
    reported."""
    experiment = replace(experiment, declared=experiment.declared.model_copy(update={"report_on": split}))
    found = [prepare(experiment, layout, describe(experiment, layout)) for layout in layouts(experiment)]
    return [one for one in found if one is not None]


def _needs(question: Question, place: tuple[str, str, str], pilot: Compared) -> Needs:
    """What the comparison at `place` (task, model, strategy) needs, computed from the pilot, else from planning values."""
    if pilot.found is not None and isinstance(pilot.found.estimate, TwoWay):
        return from_pilot(question, place, pilot.found.estimate, where=pilot.where, identical=pilot.found.identical)
    return from_planning_values(question, place, examples=pilot.examples)


def _price(needs: Sequence[Needs], outlooks: Sequence[Outlook]) -> Price | None:
    """The cost of giving all strategies the seeds that the most demanding comparison needs."""
    numbers = [need.seeds for need in needs if not need.identical]
    seeds = max((number for number in numbers if number is not None), default=None)
    if seeds is None or None in numbers:
        return None
    rows: dict[tuple[str, str, str], list[Outlook]] = defaultdict(list)
    for outlook in outlooks:
        run = outlook.run
        rows[run.task.label, run.model_label, run.strategy.name].append(outlook)
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


def in_words(resolution: Resolution, titles: Titles) -> list[str]:
    """The table of comparisons, the cost, and remarks, as text."""
    question = resolution.question
    begin = (
        f"To detect a difference of {_amount(question)} from {resolution.baseline} with {per_cent(resolution.power)} "
        f"power{_level(question)}:"
    )
    several = len({(need.task, need.model) for need in resolution.needs}) > 1
    header = [*(["task", "model"] if several else []), "strategy", "seeds", f"detectable with {question.seeds}"]
    rows = [[*header, "at best", "from"]]
    for need in resolution.needs:
        place = [escaped(titles.task(need.task)), escaped(titles.model(need.model))] if several else []
        origin = need.origin if need.origin != "pilot" else f"{need.pilot_seeds} seeds in {escaped(need.pilot)}"
        differences = DASH if need.identical else _shown(need.detectable, question), _at_best(need, question)
        rows.append([*place, need.strategy, _seeds(need), *differences, origin])
    return [begin, "", *aligned(rows), "", *_cost(resolution), *_notes(resolution)]


def _level(question: Question) -> str:
    """The significance level at which the comparisons are judged, as the end of a clause."""
    if question.alpha != ALPHA:
        return f" by the last look, whose error rate is {per_cent(question.alpha, 1)} over {_comparisons(question)}"
    return f" at a two-sided {per_cent(ALPHA)} over {_comparisons(question)}"


def _comparisons(question: Question) -> str:
    return f"all {question.comparisons} comparisons" if question.comparisons > 1 else "the one comparison"


def _seeds(need: Needs) -> str:
    if need.identical:
        return DASH
    words = {"unknown": "not known", "too many": f"over {MOST_SEEDS:,}"}
    return words.get(need.why_none, "none suffices") if need.seeds is None else f"{need.seeds:,}"


def _amount(question: Question) -> str:
    """The difference to be detected: `2 points`, `0.05 of mae`."""
    word = "point" if question.unit.in_points and question.difference == 1 else _unit_word(question)
    return f"{spelt(question.difference)} {word}"


def _unit_word(question: Question) -> str:
    return question.unit.name or f"of {question.metric}"


def _at_best(need: Needs, question: Question) -> str:
    """The smallest difference that unlimited seeds would detect; from planning values a range, from 0 to the worst case."""
    if need.why_none == "unknown" and need.limit_range:
        return f"{_bare(need.limit_range[0], question)} to {_shown(need.limit_range[1], question)}"
    least = _shown(need.limit, question)
    return f"0 to {least}" if need.origin != "pilot" and need.limit is not None else least


def _bare(value: float, question: Question) -> str:
    return with_decimals(value, 1) if question.unit.in_points else significant(value, 3)


def _shown(value: float | None, question: Question) -> str:
    return "unknown" if value is None else f"{_bare(value, question)} {_unit_word(question)}"


def _cost(resolution: Resolution) -> list[str]:
    price = resolution.price
    if price is None:
        return []
    if not price.left:
        return [f"{count(price.seeds, 'seed')} are recorded already"]
    known = [f"about {duration(price.seconds)}"] if price.left > price.unknown else []
    rest = [f"{count(price.unknown, 'run')} of unknown length"] if price.unknown else []
    return [f"{price.seeds} seeds: {count(price.runs, 'run')}, {price.left} left to do, {' and '.join([*known, *rest])}"]


def _notes(resolution: Resolution) -> list[str]:
    question, lines = resolution.question, []
    for need in resolution.needs:
        if need.identical:
            lines.append(f"{need.strategy}: in the pilot its predictions all equal the baseline's; more seeds would not help")
        elif need.origin == "nothing":
            lines.append(
                f"{need.strategy}: there is no pilot, and the usual spread of {question.metric} is unknown: as a pilot, run "
                "two or more seeds of each strategy in a folder beside this one, then ask again"
            )
        elif need.seeds is None:
            lines.append(f"{need.strategy}: {_why_none(need, question)}")
    if any(need.origin == "pilot" and need.pilot_seeds < ROUGH_SEEDS and not need.identical for need in resolution.needs):
        lines.append(f"a pilot of fewer than {ROUGH_SEEDS} seeds estimates the spread between seeds only roughly")
    if planned := [need for need in resolution.needs if need.origin == "planning values"]:
        lines += _about_planning_values(planned)
    return lines


def _why_none(need: Needs, question: Question) -> str:
    wanted = _amount(question)
    if need.why_none == "too many":
        return f"detecting {wanted} would take more than {MOST_SEEDS:,} seeds"
    with_seeds = count(max(question.seeds, 2), "seed")
    more = f"; with {with_seeds} it would take {need.examples_needed:,} examples" if need.examples_needed else ""
    if need.why_none == "unknown":
        return (
            f"whether more seeds can detect {wanted} is not known: on {need.examples:,} examples, {_at_best(need, question)} "
            f"may remain undetectable{more}"
        )
    return f"no number of seeds detects {wanted} on {need.examples:,} examples, at best {_shown(need.limit, question)}{more}"


def _about_planning_values(planned: Sequence[Needs]) -> list[str]:
    low, usual, high = map(spelt, PLANNED_SD)
    spread, share = planned[0].seeds_range, per_cent(PLANNED_DISCORDANCE)
    over = f"; {spread[0]} to {spread[1]} seeds over that range" if spread else ""
    return [
        f"planning values: the accuracy of base models usually has a standard deviation of {low} to {high} points over seeds, "
        f"here {usual}{over}",
        f"at best: 0 if strategies err on the same examples; the larger number if the {share} of examples on which two models "
        "usually differ are the same at every seed; only a pilot can tell"
        if any(need.limit is not None for need in planned)
        else "at best is unknown until a run is recorded: it depends on the number of examples",
        "a pilot, two or more seeds of each strategy in a folder beside this one, makes all this more precise",
    ]
