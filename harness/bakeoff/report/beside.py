"""Two experiments side by side, over the runs that both declare: scores, seconds, equality of trained weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.machines import why_moved
from bakeoff.analysis.results import Row
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.contracts.fields import Part
from bakeoff.errors import StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.separation import separated, taken_for_same
from bakeoff.records.provenance import (
    HARDWARE,
    ROUNDING,
    Difference,
    Facts,
    Subject,
    differences,
    differing,
    facts_of_data,
    facts_of_environment,
)
from bakeoff.records.schema import Control, Declared, MadeFrom, Record
from bakeoff.report.cells import BASELINE, score_cell, time_cell
from bakeoff.text.markdown import Column, as_markdown, grid, item, level
from bakeoff.text.values import listed
from bakeoff.text.words import quoted


class Weights(Part):
    """How many runs have trained weights recorded on both sides, and in how many of these they are equal."""

    same: int
    both: int


class RowPair(Part):
    """One strategy, as both sides recorded it."""

    here: Row
    there: Row
    weights: Weights


class Unequal(Part):
    """Runs whose final weights differ between the two sides, and the likely reasons."""

    runs: int
    largest_difference: float | None
    """The largest difference between scores of one run, by the primary metric on the reported split; None if a side has no
    scores."""
    reasons: list[str]
    """Differences in data or model; then differences between the environments that can change rounding, the likeliest first."""


class GroupPair(Part):
    """One comparison group, as both sides recorded it."""

    here: ComparisonGroup
    there: ComparisonGroup
    rows: list[RowPair]
    unequal: Unequal | None
    """None if all weights are equal."""
    unlike: list[Difference]
    """Differences between the two sides' data or models."""
    taken_for_same: str
    """What the runs of both sides were made from, as far as nothing shows whether it is the same on both; empty where all is
    known."""
    no_time: str
    """Why seconds of the two sides are not comparable; empty if they are, as far as control runs show."""

    @property
    def scored(self) -> ComparisonGroup:
        """The side whose metric and splits the table has: `here` if it has scores, else `there`."""
        return self.here if self.here.metrics else self.there


class Beside(Part):
    """Two experiments, `here` and `there`, over the runs that both declare; strategies are named as in `here`."""

    name_here: str
    name_there: str
    shared: int
    """How many runs both declare."""
    declared_here: int
    declared_there: int
    apart: list[str]
    """A sentence for each group of runs with other data or another model than the rest of their side; they have tables of
    their own."""
    tables: list[GroupPair]


def set_beside(
    here: tuple[Declared, Sequence[Record]],
    there: tuple[Declared, Sequence[Record]],
    *,
    controls: Sequence[Control] = (),
) -> Beside:
    """Compares two experiments run by run. here, there: what each declares, and its records. controls: control runs of both
    sides. Raises StoreError if they declare no run in common."""
    declared, other = here[0], there[0]
    shared = {run.id for run in declared.runs} & {run.id for run in other.runs}
    if not shared:
        raise StoreError(
            f"{quoted(declared.name)} and {quoted(other.name)} have no run in common ({len(declared.runs)} and "
            f"{len(other.runs)} declared): task, model, strategies or seeds differ, so there is nothing to set side by side"
        )
    recorded = [[record for record in records if record.id in shared] for _, records in (here, there)]
    narrowed = declared.model_copy(update={"runs": [run for run in declared.runs if run.id in shared]})
    apart = []
    for side, records in zip(("here", "there"), recorded, strict=True):
        narrowed, found = separated(narrowed, records, where=side)
        apart += [
            f"{side.capitalize()}, {len(one.runs)} of the runs of {one.was} differ from its others in {one.what}: they "
            "stand in a table of their own."
            for one in found
        ]
    experiments = [Experiment(narrowed, tuple(records), lambda _: {}, lambda _: None) for records in recorded]
    groups = [[describe(side, layout) for layout in layouts(side)] for side in experiments]
    return Beside(
        name_here=declared.name,
        name_there=other.name,
        shared=len(shared),
        declared_here=len(declared.runs),
        declared_there=len(other.runs),
        apart=apart,
        tables=[_group_pair(mine, theirs, narrowed, recorded, controls) for mine, theirs in zip(*groups, strict=True)],
    )


def _group_pair(
    mine: ComparisonGroup,
    theirs: ComparisonGroup,
    declared: Declared,
    recorded: Sequence[Sequence[Record]],
    controls: Sequence[Control],
) -> GroupPair:
    """Sets one comparison group beside itself as the other side recorded it. declared: the runs that both declare; recorded:
    the records of those here, and there."""
    runs = {(run.strategy, run.seed): run.id for run in declared.groups.get((mine.task, mine.model), ())}
    here, there = ({record.id: record for record in records if record.id in runs.values()} for records in recorded)
    rows, unequal = [], []
    for row, opposite in zip(mine.rows, theirs.rows, strict=True):
        ids = [runs[row.strategy, seed] for seed in row.seeds]
        both = [(here[run], there[run]) for run in ids if _final(here.get(run)) and _final(there.get(run))]
        apart = [(one, other) for one, other in both if _final(one) != _final(other)]
        rows.append(RowPair(here=row, there=opposite, weights=Weights(same=len(both) - len(apart), both=len(both))))
        unequal += apart
    return GroupPair(
        here=mine,
        there=theirs,
        rows=rows,
        unequal=_unequal(unequal, declared.report_on) if unequal else None,
        unlike=differing(here.values(), there.values()),
        taken_for_same=taken_for_same([[*here.values(), *there.values()]]),
        no_time=_why_no_time(mine, theirs, controls),
    )


def _final(record: Record | None) -> str:
    """The hash of a successful run's trained weights; empty if there are none."""
    return record.weights.final_sha256 if record is not None and record.status == "ok" and record.weights else ""


LIKELIEST = (
    *("device", "instruction set", "threads", "torch", "transformers", "numpy"),
    *("accelerate", "peft", "safetensors", "tokenizers", "python", "processor"),
)
"""Properties of a machine, and packages, that can change the last bits of trained weights, the likeliest first."""


def _unequal(runs: Sequence[tuple[Record, Record]], split: str) -> Unequal:
    """How runs with different final weights differ, and why. runs: their records on both sides, of at least one run; split:
    the one that is reported on."""
    gaps = [
        abs(one.scores[split][metric] - other.scores[split][metric])
        for one, other in runs
        for metric in [one.data.primary_metric if one.data else ""]
        if metric in one.scores.get(split, {}) and metric in other.scores.get(split, {})
    ]
    reasons = dict.fromkeys(reason for one, other in runs for reason in _reasons(one, other))
    return Unequal(runs=len(runs), largest_difference=max(gaps, default=None), reasons=list(reasons))


def _reasons(one: Record, other: Record) -> list[str]:
    """The likely reasons why the weights of one run differ between its records on both sides, as in `Unequal`."""
    found = [f"other {unlike.what.removeprefix('the ')}" for unlike in differing([one], [other])]
    here, there = facts_of_environment(one.environment), facts_of_environment(other.environment)
    unlike = {one.name or one.subject: one for one in differences(here, there, ROUNDING)}
    found += [_values(unlike[what]) for what in LIKELIEST if what in unlike]
    if "device" not in unlike and here["instruction set", ""].count(None) != there["instruction set", ""].count(None):
        found.append("perhaps the instruction set, which only one side recorded")
    return found


def _values(one: Difference) -> str:
    return f"{one.name or one.subject} {one.here} here, {one.there} there"


def _why_no_time(mine: ComparisonGroup, theirs: ComparisonGroup, controls: Sequence[Control]) -> str:
    here, there = mine.surroundings, theirs.surroundings
    if here is None or there is None:
        return ""
    unlike = differences(facts_of_environment(here), facts_of_environment(there), HARDWARE)
    return f"{unlike[0].what} differs" if unlike else why_moved(controls, hardware=here.hardware)


def write_beside(beside: Beside, *, here: str, there: str) -> str:
    """The two experiments side by side as Markdown; here, there: the names of their folders."""
    lines: list[str] = []
    for pair in beside.tables:
        title = as_markdown(f"{pair.here.title}: here and in {there}")
        lines += ["", f"## {title}", "", *grid(_columns(pair)), ""]
        machines = [side.surroundings.hardware if side.surroundings else "nothing recorded" for side in (pair.here, pair.there)]
        for sentence in [*_sentences(pair), f"Here: {here}, {machines[0]}", f"There: {there}, {machines[1]}"]:
            lines += item(as_markdown(sentence))
    for sentence in beside.apart:
        lines += item(as_markdown(sentence))
    if beside.shared < max(beside.declared_here, beside.declared_there):
        lines += item(
            f"Only the {beside.shared} that both declare count, "
            f"of {beside.declared_here} runs here and {beside.declared_there} runs there."
        )
    return "\n".join(lines[1:]) + "\n"


def _columns(pair: GroupPair) -> list[Column]:
    rows, group = pair.rows, pair.scored
    sides = (("here", [row.here for row in rows]), ("there", [row.there for row in rows]))
    names = [as_markdown(row.here.strategy) + f" {BASELINE}" * row.here.baseline for row in rows]
    columns = [Column("strategy", names, "left")]
    if group.metrics and group.splits:
        for side, own in sides:
            cells = level([score_cell(group.score(row), group.figures) for row in own])
            columns.append(Column(as_markdown(f"{group.split} {group.metric} {side}"), cells))
    for side, own in sides:
        cells = level([time_cell(row.train_seconds, comparable=not (row.elsewhere or pair.no_time)) for row in own])
        columns.append(Column(f"train s {side}", cells))
    return [
        *columns,
        Column("n here / there", [f"{len(row.here.scored)} / {len(row.there.scored)}" for row in rows]),
        Column("same weights", [f"{row.weights.same} of {row.weights.both}" for row in rows]),
    ]


def _sentences(pair: GroupPair) -> Iterator[str]:
    """Sentences below a table: missing scores, equality of weights, and what makes scores or times of the two sides hard to
    compare."""
    yield from _silent(pair)
    same, both = sum(row.weights.same for row in pair.rows), sum(row.weights.both for row in pair.rows)
    whole = f"The trained weights are the same to the bit (sha256) in {'all' if same == both else f'{same} of'} {both} runs"
    yield f"{whole} that both sides recorded." if both else "No run is recorded with weights on both sides."
    if unequal := pair.unequal:
        why = "; ".join(unequal.reasons) or "nothing that is recorded differs between the two machines"
        yield f"Where the trained weights differ, the likely reason: {why}."
        if unequal.largest_difference is not None and pair.here.metric:
            most = pair.here.figures.amount(unequal.largest_difference, pair.here.metric)
            yield f"The scores of these {unequal.runs} runs differ by at most {most} on {pair.here.split}."
    splits = [one.name for one in pair.unlike if one.subject == "rows"]
    if splits:
        versions = _versions(*(facts_of_data(group.data, MadeFrom()) for group in (pair.here, pair.there)), of={"sources"})
        made = f" ({versions})" if versions else ""
        yield f"The data of {', '.join(splits)} differ, so the scores are not of the same examples{made}."
    if others := [one.what for one in pair.unlike if one.subject != "rows"]:
        yield f"The two sides {'also ' * bool(splits)}differ in {listed(others)}."
    if pair.no_time:
        yield f"{pair.no_time[0].upper()}{pair.no_time[1:]}: seconds are not comparable."
    here, there = pair.here.surroundings, pair.there.surroundings
    if here and there:
        versions = _versions(facts_of_environment(here), facts_of_environment(there), of={"software", "bakeoff"})
        yield from [f"The software differs: {versions}."] if versions else []
    yield from [f"Taken for the same: {pair.taken_for_same}."] if pair.taken_for_same else []


def _silent(pair: GroupPair) -> list[str]:
    """Sentences on why a side has no score in the table: the metric is undefined on its examples."""
    group = pair.scored
    if not (group.metrics and group.splits):
        return []
    sides = (("here", pair.here), ("there", pair.there))
    found = {side: reason for side, own in sides if (reason := own.silent.get(group.split, {}).get(group.metric))}
    if len(found) == 2 and len(set(found.values())) == 1:
        found = {"": found["here"]}
    return [f"{group.metric} says nothing on {f'{group.split} {side}'.strip()}: {reason}." for side, reason in found.items()]


def _versions(here: Facts, there: Facts, *, of: Collection[Subject]) -> str:
    return ", ".join(sorted(map(_values, differences(here, there, of))))
