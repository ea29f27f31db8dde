"""One experiment's table set beside another's, over the runs that both declare: scores, seconds, equality of weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from bakeoff.analysis.findings import Board
from bakeoff.analysis.machine_drift import why_moved
from bakeoff.analysis.row import Row
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.contracts.fields import Part
from bakeoff.errors import StoreError
from bakeoff.records.apart import Apart, set_apart, taken_for_same
from bakeoff.records.experiment import Experiment
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
from bakeoff.report.units import BASELINE, score_cell, time_cell
from bakeoff.text.markdown import Column, as_markdown, grid, item, level
from bakeoff.text.values import listed
from bakeoff.text.words import quoted


class Weights(Part):
    """Of the runs that both sides have recorded with weights, how many ended with the same."""

    same: int
    both: int


class Pair(Part):
    """One strategy on both sides."""

    here: Row
    there: Row
    weights: Weights


class Unequal(Part):
    """Runs that ended with other weights on the other side, and what may have made them so."""

    runs: int
    largest_difference: float | None
    """Of their scores by the primary metric on the split reported on, at one run; None where a side has no scores."""
    reasons: list[str]
    """What the runs were made from, as far as it differs; then what differs between the two environments and can change how
    sums are rounded, the likeliest first."""


class Pairs(Part):
    """One table on both sides."""

    here: Board
    there: Board
    rows: list[Pair]
    unequal: Unequal | None
    """None where all weights are the same."""
    unlike: list[Difference]
    """In what the runs here were made from something else than those there."""
    taken_for_same: str
    """What nothing tells of them, as `Board.taken_for_same`."""
    no_time: str
    """Why seconds of the two sides are not comparable; empty where they are, as far as control runs tell."""


class Beside(Part):
    """Two experiments over the runs that both declare; strategies have the names that they have here."""

    name_here: str
    name_there: str
    shared: int
    declared_here: int
    declared_there: int
    apart: list[str]
    """A sentence for the runs of each side that were made from something else than the side's other runs: they stand in tables
    of their own."""
    tables: list[Pairs]


def set_beside(
    here: tuple[Declared, Sequence[Record]],
    there: tuple[Declared, Sequence[Record]],
    *,
    controls: Sequence[Control] = (),
) -> Beside:
    """`controls` are those of both sides. Raises StoreError where the two experiments declare no run in common."""
    declared, other = here[0], there[0]
    shared = {run.id for run in declared.runs} & {run.id for run in other.runs}
    if not shared:
        raise StoreError(
            f"{quoted(declared.name)} and {quoted(other.name)} have no run in common ({len(declared.runs)} and "
            f"{len(other.runs)} declared): task, model, strategies or seeds differ, so there is nothing to set side by side"
        )
    recorded = [[record for record in records if record.id in shared] for records in (here[1], there[1])]
    narrowed = declared.model_copy(update={"runs": [run for run in declared.runs if run.id in shared]})
    narrowed, apart_here = set_apart(narrowed, recorded[0], where="here")
    narrowed, apart_there = set_apart(narrowed, recorded[1], where="there")
    return Beside(
        name_here=declared.name,
        name_there=other.name,
        shared=len(shared),
        declared_here=len(declared.runs),
        declared_there=len(other.runs),
        apart=[*_told_apart("Here", apart_here), *_told_apart("There", apart_there)],
        tables=[
            _pairs(mine, theirs, narrowed, recorded, controls)
            for mine, theirs in zip(*(_described(narrowed, records) for records in recorded), strict=True)
        ],
    )


def _described(declared: Declared, records: Sequence[Record]) -> list[Board]:
    side = Experiment(declared, tuple(records), predictions=lambda _: {}, steps=lambda _: None)
    return [describe(side, layout) for layout in layouts(side)]


def _pairs(
    mine: Board, theirs: Board, declared: Declared, recorded: Sequence[Sequence[Record]], controls: Sequence[Control]
) -> Pairs:
    """One table of both reports; `recorded` are the records here and there."""
    runs = {(run.strategy, run.seed): run.id for run in declared.runs if (run.task, run.model) == (mine.task, mine.model)}
    here, there = ({record.id: record for record in records if record.id in runs.values()} for records in recorded)
    hashes = [
        {run: record.weights.final_sha256 for run, record in side.items() if record.status == "ok" and record.weights}
        for side in (here, there)
    ]
    pairs, unequal = [], []
    for row, opposite in zip(mine.rows, theirs.rows, strict=True):
        run_ids = [runs[row.strategy, seed] for seed in row.seeds]
        pairs.append(Pair(here=row, there=opposite, weights=_weights(run_ids, hashes[0], hashes[1])))
        both = [run for run in run_ids if run in hashes[0] and run in hashes[1]]
        unequal += [(here[run], there[run]) for run in both if hashes[0][run] != hashes[1][run]]
    return Pairs(
        here=mine,
        there=theirs,
        rows=pairs,
        unequal=_unequal(unequal, declared.report_on) if unequal else None,
        unlike=differing(here.values(), there.values()),
        taken_for_same=taken_for_same([[*here.values(), *there.values()]]),
        no_time=_why_no_time(mine, theirs, controls),
    )


def _told_apart(side: str, apart: Iterable[Apart]) -> list[str]:
    return [
        f"{side}, {len(one.runs)} of the runs of {one.was} differ from its others in {one.what}: they stand in a table of "
        "their own."
        for one in apart
    ]


def _weights(run_ids: Sequence[str], here: Mapping[str, str], there: Mapping[str, str]) -> Weights:
    both = [run_id for run_id in run_ids if run_id in here and run_id in there]
    return Weights(same=sum(here[run_id] == there[run_id] for run_id in both), both=len(both))


LIKELIEST = (
    *("device", "instruction set", "threads", "torch", "transformers", "numpy"),
    *("accelerate", "peft", "safetensors", "tokenizers", "python", "processor"),
)
"""What of a machine, and which distributions' version, can change the last bits of a training, the likeliest first."""


def _unequal(runs: Sequence[tuple[Record, Record]], split: str) -> Unequal:
    """`runs`: both sides of each run that ended with other weights, at least one."""
    gaps = [
        abs(one.scores[split][metric] - other.scores[split][metric])
        for one, other in runs
        for metric in [one.data.primary_metric if one.data else ""]
        if metric in one.scores.get(split, {}) and metric in other.scores.get(split, {})
    ]
    reasons = dict.fromkeys(reason for one, other in runs for reason in _reasons(one, other))
    return Unequal(runs=len(runs), largest_difference=max(gaps, default=None), reasons=list(reasons))


def _reasons(one: Record, other: Record) -> list[str]:
    """As `Unequal.reasons`, of one run."""
    found = [f"other {unlike.what.removeprefix('the ')}" for unlike in differing([one], [other])]
    here, there = facts_of_environment(one.environment), facts_of_environment(other.environment)
    unlike = {one.name or one.subject: one for one in differences(here, there, ROUNDING)}
    found += [_both(unlike[what]) for what in LIKELIEST if what in unlike]
    if "device" not in unlike and here["instruction set", ""].count(None) != there["instruction set", ""].count(None):
        found.append("perhaps the instruction set, which only one side recorded")
    return found


def _both(one: Difference) -> str:
    return f"{one.name or one.subject} {one.here} here, {one.there} there"


def _why_no_time(mine: Board, theirs: Board, controls: Sequence[Control]) -> str:
    here, there = mine.surroundings, theirs.surroundings
    if here is None or there is None:
        return ""
    unlike = differences(facts_of_environment(here), facts_of_environment(there), HARDWARE)
    return f"{unlike[0].what} differs" if unlike else why_moved(controls, hardware=here.hardware)


def write_beside(beside: Beside, *, here: str, there: str) -> str:
    """The comparison as Markdown; `here` and `there` are what a person calls the two folders."""
    lines: list[str] = []
    for pairs in beside.tables:
        mine, theirs = pairs.here, pairs.there
        lines += [
            "",
            f"## {as_markdown(mine.task)} · {as_markdown(mine.model)}: here and in {as_markdown(there)}",
            "",
            *grid(_columns(pairs)),
            "",
        ]
        told = [
            *_silent(pairs),
            _verdict(pairs),
            *_why_unequal(pairs),
            *_unlike(pairs),
            *([f"Taken for the same: {pairs.taken_for_same}."] if pairs.taken_for_same else []),
            f"Here: {here}, {_machine(mine)}",
            f"There: {there}, {_machine(theirs)}",
        ]
        lines += [line for sentence in told for line in item(as_markdown(sentence))]
    for sentence in beside.apart:
        lines += item(as_markdown(sentence))
    if beside.shared < max(beside.declared_here, beside.declared_there):
        lines += item(
            f"Only the {beside.shared} that both declare count, "
            f"of {beside.declared_here} runs here and {beside.declared_there} runs there."
        )
    return "\n".join(lines[1:]) + "\n"


def _columns(pairs: Pairs) -> list[Column]:
    rows, table = pairs.rows, pairs.here if pairs.here.metrics else pairs.there
    names = [f"{as_markdown(pair.here.strategy)}{f' {BASELINE}' if pair.here.baseline else ''}" for pair in rows]
    columns = [Column("strategy", names, "left")]
    if table.metrics and table.splits:
        figures = table.figures
        for title, sides in (("here", [pair.here for pair in rows]), ("there", [pair.there for pair in rows])):
            cells = [score_cell(table.score(row), figures) for row in sides]
            columns.append(Column(f"{as_markdown(f'{table.split} {table.metric}')} {title}", level(cells)))
    for title, sides in (("here", [pair.here for pair in rows]), ("there", [pair.there for pair in rows])):
        cells = [time_cell(row.train_seconds, comparable=not (row.elsewhere or pairs.no_time)) for row in sides]
        columns.append(Column(f"train s {title}", level(cells)))
    counts = [f"{len(pair.here.scored)} / {len(pair.there.scored)}" for pair in rows]
    columns.append(Column("n here / there", counts))
    columns.append(Column("same weights", [f"{pair.weights.same} of {pair.weights.both}" for pair in rows]))
    return columns


def _silent(pairs: Pairs) -> list[str]:
    """Why a side has no score in the table: its metric says nothing of these examples."""
    table = pairs.here if pairs.here.metrics else pairs.there
    if not (table.metrics and table.splits):
        return []
    split, metric = table.split, table.metric
    sides = (("here", pairs.here), ("there", pairs.there))
    found = {name: reason for name, side in sides if (reason := side.silent.get(split, {}).get(metric))}
    if len(found) == 2 and len(set(found.values())) == 1:
        return [f"{metric} says nothing on {split}: {found['here']}."]
    return [f"{metric} says nothing on {split} {name}: {reason}." for name, reason in found.items()]


def _verdict(pairs: Pairs) -> str:
    same, both = sum(pair.weights.same for pair in pairs.rows), sum(pair.weights.both for pair in pairs.rows)
    if not both:
        return "No run is recorded with weights on both sides."
    whole = "The trained weights are the same to the bit (sha256)"
    return f"{whole} in {'all' if same == both else f'{same} of'} {both} runs that both sides recorded."


def _why_unequal(pairs: Pairs) -> list[str]:
    """What may have made the weights differ, and what it did to the scores."""
    if (unequal := pairs.unequal) is None:
        return []
    why = "; ".join(unequal.reasons) or "nothing that is recorded differs between the two machines"
    told = [f"Where the trained weights differ, the likely reason: {why}."]
    if unequal.largest_difference is not None and pairs.here.metric:
        most = pairs.here.figures.amount(unequal.largest_difference, pairs.here.metric)
        told.append(f"The scores of these {unequal.runs} runs differ by at most {most} on {pairs.here.split}.")
    return told


def _unlike(pairs: Pairs) -> list[str]:
    """Why scores or times of the two sides are not of the same thing."""
    found = []
    mine, theirs = pairs.here.data, pairs.there.data
    if splits := [one.name for one in pairs.unlike if one.subject == "rows"]:
        versions = _versions(facts_of_data(mine, MadeFrom()), facts_of_data(theirs, MadeFrom()), {"sources"})
        found.append(
            f"The data of {', '.join(splits)} differ, so the scores are not of the same examples"
            + (f" ({versions})." if versions else ".")
        )
    if others := [one.what for one in pairs.unlike if one.subject != "rows"]:
        found.append(f"The two sides {'also ' * bool(splits)}differ in {listed(others)}.")
    if pairs.no_time:
        found.append(f"{pairs.no_time[0].upper()}{pairs.no_time[1:]}: seconds are not comparable.")
    here, there = pairs.here.surroundings, pairs.there.surroundings
    if here and there:
        versions = _versions(facts_of_environment(here), facts_of_environment(there), {"software", "bakeoff"})
        found += [f"The software differs: {versions}."] if versions else []
    return found


def _versions(here: Facts, there: Facts, of: Collection[Subject]) -> str:
    return ", ".join(sorted(map(_both, differences(here, there, of))))


def _machine(table: Board) -> str:
    return table.surroundings.hardware if table.surroundings else "nothing recorded"
