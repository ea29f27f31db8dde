"""Which records may stand in one table: same task version, same data, same metrics, scored on the split reported on."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.errors import StoreError
from bakeoff.records.provenance import DATA, differing
from bakeoff.records.schema import Data, DeclaredRun, Record
from bakeoff.text.words import quoted


def refuse_unlike(task: str, runs: Sequence[tuple[DeclaredRun, Record]], report_on: str) -> None:
    """Raises StoreError, naming both values and both runs, where records of a task were not made of the same thing."""
    refusal = f"these records of {quoted(task)} cannot stand in one table"
    first: tuple[DeclaredRun, Record] | None = None
    told: tuple[DeclaredRun, Record] | None = None
    """The first that got as far as its data."""
    for run, record in runs:
        first = first or (run, record)
        if record.requested.task.version != first[1].requested.task.version:
            here, there = quoted(first[1].requested.task.version), quoted(record.requested.task.version)
            raise StoreError(f"{refusal}: task version {here} in {_title(first[0])}, {there} in {_title(run)}")
        if record.data is not None:
            told = told or (run, record)
            if difference := _difference(told[1], record):
                what, here, there = difference
                raise StoreError(f"{refusal}: {what} {here} in {_title(told[0])}, {there} in {_title(run)}")
        if record.status == "ok" and report_on not in record.scores:
            scored = ", ".join(map(quoted, record.scores)) or "nothing"
            raise StoreError(f"{refusal}: it reports on {quoted(report_on)}, {_title(run)} is scored on {scored}")


def _title(run: DeclaredRun) -> str:
    return f"run {run.id} ({run.strategy} seed {run.seed})"


def _difference(first: Record, second: Record) -> tuple[str, str, str] | None:
    """The first thing in which the data of two records, which both have some, differ; and its two values."""
    here, there = first.data, second.data
    assert here is not None
    assert there is not None
    if here.primary_metric != there.primary_metric:
        return "primary metric", quoted(here.primary_metric), quoted(there.primary_metric)
    if here.metrics != there.metrics:
        return "metrics", _metrics(here), _metrics(there)
    found = differing([first], [second], DATA)
    return (found[0].what, quoted(found[0].here), quoted(found[0].there)) if found else None


def _metrics(data: Data) -> str:
    return quoted(
        ", ".join(f"{metric.name} ({'more' if metric.higher_is_better else 'less'} is better)" for metric in data.metrics)
    )
