"""Records -> tables: one for each task and model, with a row for each strategy and the floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bakeoff.analysis.summary.compute import Work, work_of
from bakeoff.analysis.summary.environments import Surroundings
from bakeoff.analysis.summary.facts import component_labels, facts_of, split_facts
from bakeoff.analysis.summary.searches import Searched, searched
from bakeoff.contracts.fields import Part
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.model import HeadOrigin
from bakeoff.records.apart import taken_for_same
from bakeoff.records.schema import Attempt, Control, Cost, Data, Declared, DeclaredRun, Environment, Record


class Spread(Part):
    """A number over seeds: mean and sample standard deviation (n - 1), which a single seed does not have."""

    mean: float
    sd: float | None
    n: int


class Failed(Part):
    """A run that ended without scores."""

    seed: int
    reason: str
    message: str


class Unkept(Part):
    """A run whose model was to be kept and is not."""

    seed: int
    reason: str


class Remarked(Part):
    """A run whose process did not end well after its record was whole."""

    seed: int
    remark: str


class Unscored(Part):
    """Runs to whose answers on a split a metric gave no score."""

    split: str
    metric: str
    seeds: list[int]


class Row(Part):
    """One strategy."""

    strategy: str
    baseline: bool
    trainer: str | None
    method: str | None
    """Labels that tell the rows apart; None where nothing is recorded yet."""
    facts: dict[str, Any]
    seeds: list[int]
    """Those that the experiment declares."""
    scored: list[int]
    """Those whose runs ended with scores: every mean below is over these."""
    failed: list[Failed]
    attempts: list[Attempt]
    """Earlier tries at its runs, which failed, of all seeds."""
    unkept: list[Unkept]
    remarked: list[Remarked]
    missing: list[int]
    """Seeds that are declared and not (or not readably) recorded."""
    owns: list[str]
    """What the trainer decides by itself instead of following the harness."""
    heads: list[HeadOrigin]
    """Where the layers that give the logits came from; empty where nobody noted it."""
    notes: list[str]
    """What its trainer has to say of its recipe."""
    elsewhere: list[str]
    """How the environment of some of its runs differs from the table's, in words."""
    scores: dict[str, dict[str, Spread]]
    """split -> metric -> score over seeds; a metric that lacks one run's score has none."""
    unscored: list[Unscored]
    train_seconds: Spread | None
    evaluate_seconds: Spread | None
    train_samples_per_second: Spread | None
    evaluate_samples_per_second: Spread | None
    energy_joules: Spread | None
    peak_memory_bytes: int | None
    peak_device_memory_bytes: int | None
    """The largest over seeds."""
    final_sha256: dict[int, str]
    """Seed -> hash of the trained weights."""
    work: Work


class Table(Part):
    """The strategies on one task with one model."""

    task: str
    model: str
    rows: list[Row]
    splits: list[str]
    """Predicted splits, the one that is reported on first."""
    metrics: list[MetricFacts]
    """The primary one first."""
    data: Data | None
    """None where no run got as far as the data; the floor is in it."""
    equal: dict[str, Any]
    """Facts that all rows share."""
    differing: list[str]
    """Names of the facts that differ between rows."""
    components: dict[str, list[str]]
    """Task, model, trainers and methods, with version, origin and the options that need not be told apart."""
    surroundings: Environment | None
    """Where most of the runs were made."""
    taken_for_same: str
    """What its runs were made from, as far as nothing tells whether it is the same for all; empty where all is told."""
    searches: dict[str, Searched]
    """Strategy -> how its configuration was chosen; a strategy without one is untuned."""

    @property
    def primary(self) -> str | None:
        return self.metrics[0].name if self.metrics else None


class Report(Part):
    """All tables of one experiment, and what could not stand in them."""

    declared: Declared
    tables: list[Table]
    damaged: list[str]
    """A sentence for each record that cannot be read."""
    foreign: int
    """Records in the folder that the experiment does not declare."""


def build_report(
    declared: Declared,
    records: Iterable[Record],
    *,
    controls: Sequence[Control] = (),
    trials: Mapping[str, Record] | None = None,
    damaged: Sequence[str] = (),
    foreign: int = 0,
) -> Report:
    """The report of an experiment."""
    by_id = {record.id: record for record in records}
    runs: dict[tuple[str, str], list[DeclaredRun]] = {}
    for run in declared.runs:
        runs.setdefault((run.task, run.model), []).append(run)
    tables = [_table(declared, members, by_id, controls, trials or {}) for members in runs.values()]
    return Report(declared=declared, tables=tables, damaged=list(damaged), foreign=foreign)


def spread(values: Sequence[float]) -> Spread | None:
    """None of nothing."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else None
    return Spread(mean=mean, sd=sd, n=len(values))


def _table(
    declared: Declared,
    runs: Sequence[DeclaredRun],
    by_id: dict[str, Record],
    controls: Sequence[Control],
    trials: Mapping[str, Record],
) -> Table:
    strategies: dict[str, list[DeclaredRun]] = {}
    for run in runs:
        strategies.setdefault(run.strategy, []).append(run)
    recorded = {strategy: [by_id[run.id] for run in members if run.id in by_id] for strategy, members in strategies.items()}
    present = [strategy for strategy in strategies if recorded[strategy]]
    trainers, trainer_sentences = component_labels([recorded[name][0].requested.trainer for name in present])
    methods, method_sentences = component_labels([recorded[name][0].requested.method for name in present])
    labels = dict(zip(present, zip(trainers, methods, strict=True), strict=True))

    baseline_first = sorted(present, key=lambda name: name != declared.baseline)
    everything = [record for name in baseline_first for record in recorded[name]]
    stated = list(dict.fromkeys(key for record in everything for key in record.requested.recipe))
    surroundings = Surroundings([record for record in everything if record.status == "ok"])
    rows = [
        _row(declared, strategies[name], recorded[name], labels.get(name, (None, None)), surroundings, stated, controls)
        for name in strategies
    ]
    facts = [{"trainer": row.trainer, "method": row.method, **row.facts} for row in rows if row.facts]
    equal, differing = split_facts(facts)
    data = next((record.data for record in everything if record.data is not None), None)
    predicted = dict.fromkeys(split for record in everything for split in record.scores)
    components = {"trainer": trainer_sentences, "method": method_sentences}
    if everything:
        asked = everything[0].requested
        components |= {"task": component_labels([asked.task])[1], "model": component_labels([asked.model])[1]}
    return Table(
        task=runs[0].task,
        model=runs[0].model,
        rows=rows,
        splits=sorted(predicted, key=lambda split: split != declared.report_on),
        metrics=sorted(data.metrics, key=lambda metric: metric.name != data.primary_metric) if data else [],
        data=data,
        equal=equal,
        differing=differing,
        components=components,
        surroundings=surroundings.usual,
        taken_for_same=taken_for_same([everything]),
        searches=searched(declared, trials, runs[0].task, runs[0].model, recorded),
    )


def _row(
    declared: Declared,
    runs: Sequence[DeclaredRun],
    records: Sequence[Record],
    labels: tuple[str | None, str | None],
    surroundings: Surroundings,
    stated: Sequence[str],
    controls: Sequence[Control],
) -> Row:
    """A strategy's row; `stated` are the recipe keys that any row of the table states."""
    seed_of = {run.id: run.seed for run in runs}
    there = {record.id for record in records}
    ended = [record for record in records if record.status == "ok"]
    costs = [record.cost for record in ended if record.cost is not None]

    def over_seeds(number: Callable[[Cost], float | None]) -> Spread | None:
        return spread([value for cost in costs if (value := number(cost)) is not None])

    return Row(
        strategy=runs[0].strategy,
        baseline=runs[0].strategy == declared.baseline,
        trainer=labels[0],
        method=labels[1],
        facts=facts_of(records, stated) if records else {},
        seeds=[run.seed for run in runs],
        scored=[seed_of[record.id] for record in ended],
        failed=[
            Failed(seed=seed_of[record.id], reason=record.failure.reason, message=record.failure.message)
            for record in records
            if record.failure is not None
        ],
        attempts=[attempt for record in records for attempt in record.attempts],
        unkept=[
            Unkept(seed=seed_of[record.id], reason=record.kept.reason)
            for record in records
            if record.kept is not None and record.kept.reason is not None
        ],
        remarked=[Remarked(seed=seed_of[record.id], remark=remark) for record in records for remark in record.process_notes],
        missing=[run.seed for run in runs if run.id not in there],
        owns=sorted({what for record in records for what in record.trainer_owns}),
        heads=sorted({record.weights.head for record in ended if record.weights and record.weights.head}),
        notes=list(dict.fromkeys(note for record in records for note in record.trainer_notes)),
        elsewhere=surroundings.differences(ended),
        scores=_scores(ended),
        unscored=_unscored(ended, seed_of),
        train_seconds=over_seeds(lambda cost: cost.train_seconds),
        evaluate_seconds=over_seeds(lambda cost: cost.evaluate_seconds),
        train_samples_per_second=over_seeds(lambda cost: cost.train_samples_per_second),
        evaluate_samples_per_second=over_seeds(lambda cost: cost.evaluate_samples_per_second),
        energy_joules=over_seeds(lambda cost: cost.energy_joules),
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in costs), default=None),
        peak_device_memory_bytes=max((cost.peak_device_memory_bytes or 0 for cost in costs), default=0) or None,
        final_sha256={seed_of[record.id]: record.weights.final_sha256 for record in ended if record.weights},
        work=work_of(ended, controls),
    )


def _scores(records: Sequence[Record]) -> dict[str, dict[str, Spread]]:
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        for split, scores in record.scores.items():
            for metric, score in scores.items():
                values.setdefault(split, {}).setdefault(metric, []).append(score)
    return {
        split: {
            metric: found for metric, scores in by_metric.items() if len(scores) == len(records) and (found := spread(scores))
        }
        for split, by_metric in values.items()
    }


def _unscored(records: Sequence[Record], seed_of: Mapping[str, int]) -> list[Unscored]:
    found: dict[tuple[str, str], list[int]] = {}
    for record in records:
        for split, scores in record.scores.items():
            for metric in record.data.metrics if record.data else ():
                silent = record.data.silent if record.data else {}
                if metric.name not in scores and metric.name not in silent.get(split, {}):
                    found.setdefault((split, metric.name), []).append(seed_of[record.id])
    return [Unscored(split=split, metric=metric, seeds=seeds) for (split, metric), seeds in found.items()]
