"""What the records of a board's strategies tell, as rows: before anything is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.analysis.findings import Board
from bakeoff.analysis.row import Failed, Remarked, Row, Score, Spread, Unkept, Unscored
from bakeoff.analysis.summary.compute import work_of
from bakeoff.analysis.summary.environments import made_elsewhere, usual_environment
from bakeoff.analysis.summary.facts import component_labels, facts_of, split_facts
from bakeoff.analysis.summary.searches import searched
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import OWN_UNIT, Figures, figures_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.separation import taken_for_same
from bakeoff.records.schema import Cost, Data, Environment, Record


@dataclass(frozen=True)
class Layout:
    """The rows of a board, before anything is known of their scores."""

    task: str
    model: str
    seeds: Mapping[str, Sequence[int]]
    """Row -> the seeds that it declares."""
    rows: Mapping[str, Sequence[Record]]
    """Row -> its records, ended well or not, by seed."""
    baseline: str

    @property
    def ended(self) -> dict[str, list[Record]]:
        """Row -> its runs that ended well."""
        return {name: [record for record in records if record.status == "ok"] for name, records in self.rows.items()}


def layouts(experiment: Experiment) -> list[Layout]:
    """One for each task and model."""
    declared = experiment.declared
    by_id = {record.id: record for record in experiment.records}
    rows: dict[tuple[str, str], dict[str, list[Record]]] = {}
    seeds: dict[tuple[str, str], dict[str, list[int]]] = {}
    for run in declared.runs:
        rows.setdefault((run.task, run.model), {}).setdefault(run.strategy, [])
        seeds.setdefault((run.task, run.model), {}).setdefault(run.strategy, []).append(run.seed)
    for run in sorted(declared.runs, key=lambda run: run.seed):
        if run.id in by_id:
            rows[run.task, run.model][run.strategy].append(by_id[run.id])
    return [
        Layout(*place, seeds[place], own, declared.baseline if declared.baseline in own else next(iter(own)))
        for place, own in rows.items()
    ]


def describe(experiment: Experiment, layout: Layout) -> Board:
    """The board with all that its records tell: scores and costs over seeds, facts, failures; nothing is judged."""
    declared, recorded = experiment.declared, layout.rows
    present = sorted((name for name in recorded if recorded[name]), key=lambda name: name != layout.baseline)
    everything = [record for name in present for record in recorded[name]]
    ended = [record for record in everything if record.status == "ok"]
    data = next((record.data for record in (*ended, *everything) if record.data is not None), None)
    metrics = sorted(data.metrics, key=lambda metric: metric.name != data.primary_metric) if data else []
    rows, sentences, surroundings = _rows(experiment, layout, data, everything)
    equal, differing = split_facts({"trainer": row.trainer, "method": row.method, **row.facts} for row in rows if row.facts)
    figures = {metric.name: figures_of(unit_of(metric), *_shown(rows, metric.name)) for metric in metrics}
    predicted = dict.fromkeys(split for record in everything for split in record.scores)
    return Board(
        title=f"{layout.task} · {layout.model}",
        task=layout.task,
        model=layout.model,
        split=declared.report_on,
        metric=metrics[0].name if metrics else "",
        higher_is_better=metrics[0].higher_is_better if metrics else True,
        figures=figures[metrics[0].name] if metrics else Figures(unit=OWN_UNIT),
        figures_by_metric=figures,
        baseline=layout.baseline,
        rows=rows,
        splits=sorted(predicted, key=lambda split: split != declared.report_on),
        metrics=metrics,
        data=data,
        silent=data.silent if data else {},
        equal=equal,
        differing=differing,
        components=sentences,
        surroundings=surroundings,
        taken_for_same=taken_for_same([everything]),
        searches=searched(declared, experiment.trials, layout.task, layout.model, recorded),
    )


def _shown(rows: Sequence[Row], metric: str) -> tuple[list[float], list[float | None]]:
    """A metric's means and standard deviations over seeds, of every row and split."""
    found = [scores[metric] for row in rows for scores in row.scores.values() if metric in scores]
    return [score.mean for score in found], [score.sd for score in found]


def _rows(
    experiment: Experiment, layout: Layout, data: Data | None, everything: Sequence[Record]
) -> tuple[list[Row], dict[str, list[str]], Environment | None]:
    """Every row; sentences on the components, and the environment of most runs."""
    present = [name for name, records in layout.rows.items() if records]
    first = [layout.rows[name][0].requested for name in present]
    trainers, trainer_sentences = component_labels([asked.trainer for asked in first])
    methods, method_sentences = component_labels([asked.method for asked in first])
    sentences = {"trainer": trainer_sentences, "method": method_sentences}
    if everything:
        asked = everything[0].requested
        sentences |= {"task": component_labels([asked.task])[1], "model": component_labels([asked.model])[1]}
    labels = dict(zip(present, zip(trainers, methods, strict=True), strict=True))
    stated = list(dict.fromkeys(key for record in everything for key in record.requested.recipe))
    surroundings = usual_environment([record for record in everything if record.status == "ok"])
    rows = [_row(experiment, layout, name, labels.get(name, (None, None)), data, surroundings, stated) for name in layout.rows]
    return rows, sentences, surroundings


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Of at least one value; one alone has no standard deviation (n - 1)."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else None


def _row(
    experiment: Experiment,
    layout: Layout,
    name: str,
    labels: tuple[str | None, str | None],
    data: Data | None,
    surroundings: Environment | None,
    stated: Sequence[str],
) -> Row:
    """A strategy's row; `stated` are the recipe keys that any row of the board states."""
    records = layout.rows[name]
    recorded = [record.requested.seed for record in records]
    ended = [record for record in records if record.status == "ok"]
    costs = [record.cost for record in ended if record.cost is not None]

    def over_seeds(number: Callable[[Cost], float | None]) -> Spread | None:
        values = [value for cost in costs if (value := number(cost)) is not None]
        if not values:
            return None
        mean, sd = mean_and_sd(values)
        return Spread(mean=mean, sd=sd, n=len(values))

    return Row(
        strategy=name,
        experiment=experiment.source.get(name, experiment.declared.name),
        baseline=name == layout.baseline,
        trainer=labels[0],
        method=labels[1],
        facts=facts_of(records, stated) if records else {},
        seeds=list(layout.seeds[name]),
        scored=[record.requested.seed for record in ended],
        failed=[
            Failed(seed=record.requested.seed, reason=record.failure.reason, message=record.failure.message)
            for record in records
            if record.failure is not None
        ],
        attempts=[attempt for record in records for attempt in record.attempts],
        unkept=[
            Unkept(seed=record.requested.seed, reason=record.kept.reason)
            for record in records
            if record.kept is not None and record.kept.reason is not None
        ],
        remarked=[Remarked(seed=record.requested.seed, remark=remark) for record in records for remark in record.process_notes],
        missing=[seed for seed in layout.seeds[name] if seed not in recorded],
        owns=sorted({what for record in records for what in record.trainer_owns}),
        heads=sorted({record.weights.head for record in ended if record.weights and record.weights.head}),
        notes=list(dict.fromkeys(note for record in records for note in record.trainer_notes)),
        elsewhere=made_elsewhere(ended, surroundings),
        scores=_scores(ended, data),
        unscored=_unscored(ended),
        train_seconds=over_seeds(lambda cost: cost.train_seconds),
        evaluate_seconds=over_seeds(lambda cost: cost.evaluate_seconds),
        train_samples_per_second=over_seeds(lambda cost: cost.train_samples_per_second),
        evaluate_samples_per_second=over_seeds(lambda cost: cost.evaluate_samples_per_second),
        energy_joules=over_seeds(lambda cost: cost.energy_joules),
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in costs), default=None),
        peak_device_memory_bytes=max((cost.peak_device_memory_bytes or 0 for cost in costs), default=0) or None,
        final_sha256={record.requested.seed: record.weights.final_sha256 for record in ended if record.weights},
        work=work_of(ended, experiment.controls),
    )


def _scores(records: Sequence[Record], data: Data | None) -> dict[str, dict[str, Score]]:
    """Every metric on every split, where it says something and each run has it: a mean of some runs would not be the row's."""
    silent = data.silent if data else {}
    return {
        split: {
            facts.name: _score([(record.requested.seed, record.scores[split][facts.name]) for record in records])
            for facts in (data.metrics if data else ())
            if facts.name not in silent.get(split, {}) and all(facts.name in record.scores.get(split, {}) for record in records)
        }
        for split in dict.fromkeys(split for record in records for split in record.scores)
    }


def _score(runs: Sequence[tuple[int, float]]) -> Score:
    """Over (seed, score); the interval comes with the predictions."""
    values = [value for _, value in runs]
    mean, sd = mean_and_sd(values)
    return Score(mean=mean, sd=sd, low=None, high=None, method="", seeds=[seed for seed, _ in runs], values=values)


def _unscored(records: Sequence[Record]) -> list[Unscored]:
    found: dict[tuple[str, str], list[int]] = {}
    for record in records:
        for split, scores in record.scores.items():
            for metric in record.data.metrics if record.data else ():
                silent = record.data.silent if record.data else {}
                if metric.name not in scores and metric.name not in silent.get(split, {}):
                    found.setdefault((split, metric.name), []).append(record.requested.seed)
    return [Unscored(split=split, metric=metric, seeds=seeds) for (split, metric), seeds in found.items()]
