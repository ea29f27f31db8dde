"""Records and comparisons as trackers show them: one run for each record, and one that sums the experiment up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bakeoff.analysis.findings import Comparison
from bakeoff.contracts.tracker import SUMMARY, Series, Setting, TrackedRun
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import PHASES, Record
from bakeoff.records.schema.inputs import Requested
from bakeoff.report.text.table_md import write_page
from bakeoff.text.values import yaml_value

BEFORE_STEPS: Final = PHASES[: PHASES.index("train")]
"""The phases of a run before its first step."""
COLUMNS: Final = ("loss", "learning_rate", "grad_norm")
"""The columns of steps.parquet that become series."""
PAGE: Final = "report.html"


def tracked_run(record: Record, names: RunNames, steps: Any = None) -> TrackedRun:
    """A recorded run. names: of the experiment's runs. steps: the run's steps as `records.steps` reads them; None for a run
    without."""
    asked, begun = record.requested, seconds_of(record.started)
    named = names.by_id.get(record.id)
    ended = begun + (record.cost.total_seconds if record.cost else 0.0)
    failure = f"{record.failure.reason}: {record.failure.message}" if record.failure else ""
    tags = {
        "kind": "trial" if named and named.trial else "run",
        "task": names.titles.task(asked.task_label),
        "model": names.titles.model(asked.model_label),
        "strategy": asked.strategy,
        "seed": str(asked.seed),
        "run": record.id,
        "status": record.failure.reason if record.failure else record.status,
        "hardware": record.environment.hardware,
    }
    return TrackedRun(
        key=record.id,
        digest=record.seal,
        name=names.name_of(record.id),
        strategy=asked.strategy,
        begun=begun,
        ended=ended,
        tags={name: value for name, value in tags.items() if value},
        settings=settings_of(record),
        scores={**scores_of(record), **costs_of(record)},
        series={**(step_series(record, steps) if steps is not None else {}), **evaluation_series(record, ended)},
        failure=failure,
    )


def settings_of(record: Record) -> dict[str, Setting]:
    """Components with their options, and the recipe, so far as the run follows it: of a script only what it is said to follow,
    of other trainers that own their model nothing."""
    asked = record.requested
    found: dict[str, Setting] = {"seed": asked.seed, "replicate": asked.replicate, "select": asked.select}
    for kind, component in components_of(asked).items():
        found[kind] = component.name
        found |= {f"{kind}.{option}": plain(value) for option, value in component.options.items()}
    recipe = record.claims if record.claims is not None else {} if record.owns_model else asked.recipe
    return found | {key: plain(value) for key, value in recipe.items()}


def components_of(asked: Requested) -> dict[str, Any]:
    """Kind of component -> the component that was requested; without the model of a run that has none."""
    found = {"task": asked.task, "model": asked.model, "method": asked.method, "trainer": asked.trainer}
    return {kind: component for kind, component in found.items() if component is not None}


def plain(value: Any) -> Setting:
    """A value as trackers take it: lists, mappings and null as YAML on one line."""
    return value if isinstance(value, bool | int | float | str) else yaml_value(value)


def scores_of(record: Record) -> dict[str, float]:
    """`SPLIT/METRIC` -> score, in the metric's own unit."""
    return {f"{split}/{metric}": score for split, scores in record.scores.items() for metric, score in scores.items()}


def costs_of(record: Record) -> dict[str, float]:
    """`cost/NAME` -> seconds, bytes, joules or operations of the run, those that were measured."""
    found = {
        "train_seconds": record.train_seconds,
        "evaluate_seconds": record.evaluate_seconds,
        "total_seconds": record.total_seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
    }
    if record.cost:
        found |= {name: getattr(record.cost, name) for name in ("peak_device_memory_bytes", "energy_joules", "flops")}
    return {f"cost/{name}": float(amount) for name, amount in found.items() if amount is not None}


def step_series(record: Record, steps: Any) -> dict[str, Series]:
    """`train/COLUMN` -> what was measured at each step; a column that was measured at none is left out. steps: a pyarrow
    table."""
    phases = record.cost.phase_seconds if record.cost and record.timed == "phases" else {}
    first = seconds_of(record.started) + sum(phases.get(phase, 0.0) for phase in BEFORE_STEPS)
    numbers, times = steps["step"].to_pylist(), [first + seconds for seconds in steps["seconds"].to_pylist()]
    found = {}
    for column in COLUMNS:
        measured = [at for at in zip(numbers, steps[column].to_pylist(), times, strict=True) if at[1] is not None]
        if measured:
            found[f"train/{column}"] = Series(*zip(*measured, strict=True))
    return found


def evaluation_series(record: Record, ended: float) -> dict[str, Series]:
    """`evaluation/SPLIT/METRIC` -> the scores among which `select: best-on-dev` chose, by the number of the evaluation. When
    each was made is not recorded: all have the time of the run's end, in seconds since 1970."""
    chosen = record.selection
    if chosen is None or record.data is None:
        return {}
    first = chosen.evaluations - len(chosen.scores) + 1
    name = f"evaluation/{chosen.split}/{chosen.metric or record.data.primary_metric}"
    return {name: Series(range(first, chosen.evaluations + 1), chosen.scores, [ended] * len(chosen.scores))}


def tracked_summary(comparison: Comparison, records: Mapping[str, Record], digest: str, page: str) -> TrackedRun:
    """The leaderboard, the verdicts and the page. records: run id -> record, at least one. page: the text of report.html."""
    begun = [seconds_of(record.started) for record in records.values()]
    ended = [seconds_of(one.started) + (one.cost.total_seconds if one.cost else 0.0) for one in records.values()]
    scores, verdicts = dict(leaderboard(comparison)), dict(verdicts_of(comparison))
    return TrackedRun(
        key=SUMMARY,
        digest=digest,
        name=SUMMARY,
        strategy=SUMMARY,
        begun=min(begun),
        ended=max(ended),
        tags={"kind": SUMMARY, "recommendation": comparison.recommendation, "answer": comparison.answer},
        settings={"question": comparison.question, **verdicts},
        scores=scores,
        text=write_page(comparison),
        files={PAGE: page},
    )


def leaderboard(comparison: Comparison) -> Iterator[tuple[str, float]]:
    """(name, mean score) of every row that is scored, by the primary metric on the reported split: `test/accuracy/full`; where
    there are several comparison groups, the group's title stands first."""
    for group in comparison.groups:
        for row in group.ranked:
            if (score := group.score(row)) is not None:
                yield f"{_place(comparison, group.title)}{group.split}/{group.metric}/{row.strategy}", score.mean


def verdicts_of(comparison: Comparison) -> Iterator[tuple[str, Setting]]:
    """(`verdict/ROW`, the verdict against the baseline), likewise."""
    for group in comparison.groups:
        for pair in group.to_baseline:
            yield f"{_place(comparison, group.title)}verdict/{pair.first}", pair.marked_verdict


def _place(comparison: Comparison, title: str) -> str:
    return f"{title}/" if len(comparison.groups) > 1 else ""


def summary_digest(parts: Iterable[str], seals: Mapping[str, str]) -> str:
    """What the summary is made from, in 64 hex digits. seals: run id -> seal of its record. parts: the plan's seal, and all
    else that a comparison reads."""
    listed = (f"{run_id} {seal}" for run_id, seal in sorted(seals.items()))
    return hashlib.sha256("\n".join([*parts, *listed]).encode()).hexdigest()


def seconds_of(moment: str) -> float:
    """A moment of a record, ISO 8601 in UTC, in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
