"""What the records of a comparison group's strategies tell, as rows: before anything is compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.machines import made_elsewhere, usual_environment
from bakeoff.analysis.recipes import (
    COMPONENTS,
    NEUTRAL,
    OWNED,
    RECIPE,
    VARIES,
    equal_and_differing,
    options_apart,
    side_by_side,
)
from bakeoff.analysis.results import Bounds, ByEpoch, Failed, KeptAt, Row, Score, SeedNote, Spread, Unscored
from bakeoff.analysis.summary.compute import work_of
from bakeoff.analysis.summary.searches import searched
from bakeoff.analysis.under_test import under_test_of
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import OWN_UNIT, Figures, figures_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.separation import taken_for_same
from bakeoff.records.schema import APART, MODEL_FOLDER, ComponentOrigin, Data, Environment, Record, Vary
from bakeoff.text.values import grouped, options_in_words

UNBOUNDED = Bounds()


@dataclass(frozen=True)
class Layout:
    """The rows of a comparison group, before anything is known of their scores."""

    task: str
    model: str
    seeds: Mapping[str, Sequence[int]]
    """Row -> the seeds that it declares."""
    rows: Mapping[str, Sequence[Record]]
    """Row -> its records, succeeded or not, by seed."""
    baseline: str
    vary: Vary | None = None

    @cached_property
    def baseline_of(self) -> dict[str, str]:
        """Row -> the row that it is compared with: where a key varies, the baseline at the same value."""
        return dict.fromkeys(self.rows, self.baseline) | (self.vary.baselines(self.baseline) if self.vary else {})

    @cached_property
    def baselines(self) -> list[str]:
        """The rows that are baselines: one; where a recipe key varies, one for each of its values."""
        return list(dict.fromkeys(self.baseline_of.values()))

    @property
    def against(self) -> str:
        """What rows are compared with, in words: the baseline, `full`; or `full at the same train_examples`."""
        strategy = self.vary.strategy_of.get(self.baseline) if self.vary else None
        return f"{strategy} at the same {self.vary.key}" if self.vary and strategy else self.baseline

    @cached_property
    def succeeded(self) -> dict[str, list[Record]]:
        """Row -> its runs that succeeded."""
        return {name: [record for record in records if record.status == "ok"] for name, records in self.rows.items()}

    @cached_property
    def describing(self) -> dict[str, Sequence[Record]]:
        """Row -> the records that say what it is: those that its score is made of; failed ones only where there are no others.

        A run that failed half-way was observed for half of its schedule: beside the others it would look like another recipe.
        """
        return {name: self.succeeded[name] or records for name, records in self.rows.items() if records}


def layouts(experiment: Experiment) -> list[Layout]:
    """The layout of each task and model of the experiment."""
    declared = experiment.declared
    by_id = {record.id: record for record in experiment.records}
    places = declared.groups
    repeated = {name: search.reported for name, search in declared.searches.items()}
    seeds = {
        place: {name: repeated.get(name) or own for name, own in grouped((run.strategy, run.seed) for run in runs).items()}
        for place, runs in places.items()
    }
    rows = {
        place: {
            strategy: [by_id[run.id] for run in sorted(own, key=lambda run: run.seed) if run.id in by_id]
            for strategy, own in grouped((run.strategy, run) for run in runs).items()
        }
        for place, runs in places.items()
    }
    return [
        Layout(*place, seeds[place], own, declared.baseline if declared.baseline in own else next(iter(own)), declared.vary)
        for place, own in rows.items()
    ]


def describe(experiment: Experiment, layout: Layout) -> ComparisonGroup:
    """The group with all that its records tell: scores and costs over seeds, recipes, failures; nothing is judged."""
    declared, recorded = experiment.declared, layout.rows
    present = sorted((name for name in recorded if recorded[name]), key=lambda name: name != layout.baseline)
    everything = [record for name in present for record in recorded[name]]
    succeeded = [record for record in everything if record.status == "ok"]
    data = next((record.data for record in (*succeeded, *everything) if record.data is not None), None)
    metrics = sorted(data.metrics, key=lambda metric: metric.name != data.primary_metric) if data else []
    recipes = side_by_side(layout.describing)
    equal, differing = equal_and_differing(recipes.values())
    surroundings = usual_environment(succeeded)
    stated = list(dict.fromkeys(key for record in everything for key in record.requested.recipe))
    rows = [_row(experiment, layout, name, recipes.get(name, {}), data, surroundings, stated) for name in recorded]
    figures = {metric.name: figures_of(unit_of(metric), *_shown(rows, metric.name)) for metric in metrics}
    predicted = dict.fromkeys(split for record in everything for split in record.scores)
    own = [declared.own_models[name] for name in recorded if name in declared.own_models]
    models = list(dict.fromkeys([*layout.model.split(APART), *own]))
    return ComparisonGroup(
        title=declared.titles.group(layout.task, models),
        task=layout.task,
        model=layout.model,
        task_title=declared.titles.task(layout.task),
        model_title=declared.titles.model(layout.model),
        split=declared.report_on,
        metric=metrics[0].name if metrics else "",
        higher_is_better=metrics[0].higher_is_better if metrics else True,
        figures=figures[metrics[0].name] if metrics else Figures(unit=OWN_UNIT),
        figures_by_metric=figures,
        baseline=layout.baseline,
        vary=declared.vary,
        against=layout.against,
        rows=rows,
        splits=sorted(predicted, key=lambda split: split != declared.report_on),
        metrics=metrics,
        data=data,
        silent=data.silent if data else {},
        equal=equal,
        differing=[subject for subject in differing if subject != OWNED],
        components=_components(layout.describing.values()),
        surroundings=surroundings,
        taken_for_same=taken_for_same([everything]),
        searches=searched(declared, experiment.trials, layout.task, layout.model, recorded),
        under_test=under_test_of(declared, recorded).everywhere,
    )


def _shown(rows: Sequence[Row], metric: str) -> tuple[list[float], list[float | None]]:
    """A metric's means and standard deviations over seeds, of every row and split."""
    found = [scores[metric] for row in rows for scores in row.scores.values() if metric in scores]
    return [score.mean for score in found], [score.sd for score in found]


def _components(rows: Iterable[Sequence[Record]]) -> dict[str, list[str]]:
    """Task, model, trainers and methods, each with its version, where it comes from, and the options that all rows share."""
    requested = [records[0].requested for records in rows]
    found: dict[str, list[str]] = {}
    for kind in ("task", *COMPONENTS):
        origins: Iterable[ComponentOrigin] = filter(None, (getattr(one, kind) for one in requested))
        by_name = grouped((origin.name, origin) for origin in origins)
        found[kind] = [
            f"{origin.name} {origin.version} ({origin.distribution} {origin.distribution_version})"
            + (f" with {shared}" if shared else "")
            for (origin, *others) in by_name.values()
            for shared in [_shared_options([origin, *others])]
        ]
    return found


def _shared_options(origins: Sequence[ComponentOrigin]) -> str:
    apart = options_apart(origins)
    return options_in_words({key: value for key, value in origins[0].options.items() if key not in apart})


def _facts(records: Sequence[Record], stated: Sequence[str]) -> dict[str, Any]:
    """What a row was requested to do, and its size, as values for programs. `stated`: the keys of recipes to include; one that
    a record leaves out has its neutral value."""
    requested = records[0].requested
    recipe = {**{key: NEUTRAL[key] for key in stated if key in NEUTRAL}, **requested.recipe}
    return {
        **{f"{RECIPE}{key}": recipe[key] for key in stated if key in recipe},
        "model": requested.model_label,
        "replicate": requested.replicate,
        "select": requested.select,
        "steps": _one(record.cost.steps for record in records if record.cost),
        "parameters": _one(record.weights.parameters_total for record in records if record.weights),
        "trainable": _one(record.weights.parameters_trainable for record in records if record.weights),
    }


def _one(values: Iterable[int]) -> int | str | None:
    found = set(values)
    return VARIES if len(found) > 1 else next(iter(found), None)


def _row(
    experiment: Experiment,
    layout: Layout,
    name: str,
    recipe: dict[str, str],
    data: Data | None,
    surroundings: Environment | None,
    stated: Sequence[str],
) -> Row:
    """A strategy's row; `stated` are the recipe keys that any row of the group states."""
    records, succeeded = layout.rows[name], layout.succeeded[name]
    recorded = [record.requested.seed for record in records]
    costs = [record.cost for record in succeeded if record.cost is not None and record.timed == "phases"]
    peaks = [record.peak_memory_bytes for record in succeeded if record.peak_memory_bytes is not None]
    return Row(
        strategy=name,
        title=experiment.declared.titles.strategy(name),
        experiment=experiment.source.get(name, experiment.declared.name),
        baseline=name in layout.baselines,
        trainer=recipe.get("trainer"),
        method=recipe.get("method"),
        facts=_facts(records, stated) if records else {},
        recipe=recipe,
        seeds=list(layout.seeds[name]),
        seed_free=name in experiment.declared.seed_free,
        scored=[record.requested.seed for record in succeeded],
        failed=[
            Failed(seed=record.requested.seed, reason=record.failure.reason, message=record.failure.message)
            for record in records
            if record.failure is not None
        ],
        attempts=[attempt for record in records for attempt in record.attempts],
        unkept=[SeedNote(seed=record.requested.seed, note=record.why_not_kept) for record in records if record.why_not_kept],
        kept=[
            KeptAt(seed=record.requested.seed, folder=(experiment.record_folder(record.id) / MODEL_FOLDER).as_posix())
            for record in succeeded
            if record.kept is not None and record.kept.reason is None
        ],
        by_epoch=by_epoch_of(succeeded),
        process_notes=[SeedNote(seed=record.requested.seed, note=note) for record in records for note in record.process_notes],
        missing=[seed for seed in asked_for(layout.seeds[name], recorded, experiment.declared.looks) if seed not in recorded],
        owns=sorted({what for record in records for what in record.trainer_owns}),
        heads=sorted({record.weights.head for record in succeeded if record.weights and record.weights.head}),
        notes=list(dict.fromkeys(note for record in records for note in record.trainer_notes)),
        elsewhere=made_elsewhere(succeeded, surroundings),
        scores=scores_of(succeeded, data),
        unscored=unscored_of(succeeded),
        train_seconds=_spread([cost.train_seconds for cost in costs]),
        evaluate_seconds=_spread([cost.evaluate_seconds for cost in costs]),
        train_samples_per_second=_spread([cost.train_samples_per_second for cost in costs]),
        evaluate_samples_per_second=_spread([cost.evaluate_samples_per_second for cost in costs]),
        energy_joules=_spread([cost.energy_joules for cost in costs]),
        peak_memory_bytes=max(peaks, default=None),
        peak_device_memory_bytes=max((cost.peak_device_memory_bytes or 0 for cost in costs), default=0) or None,
        final_sha256={record.requested.seed: record.weights.final_sha256 for record in succeeded if record.weights},
        work=work_of(succeeded, experiment.controls),
    )


def by_epoch_of(records: Sequence[Record]) -> list[ByEpoch]:
    """The scores by the primary metric, during training, of the runs that were evaluated more than once; runs whose state was
    chosen by another metric are left out."""
    return [
        ByEpoch(
            seed=record.requested.seed,
            split=found.split,
            scores=found.scores,
            first=found.evaluations - len(found.scores) + 1,
            chosen=found.chosen_epoch,
        )
        for record in records
        if (found := record.selection) is not None and found.evaluations > 1
        if found.metric is None or (record.data is not None and found.metric == record.data.primary_metric)
    ]


def asked_for(seeds: Sequence[int], recorded: Collection[int], looks: Sequence[int]) -> Sequence[int]:
    """The declared seeds that a row must have: all; with declared looks, those up to the first look that includes all recorded
    ones."""
    reached = max((number for number, seed in enumerate(seeds, 1) if seed in recorded), default=0)
    return seeds[: next((look for look in looks if look >= reached), len(seeds))]


def _spread(recorded: Sequence[float | None]) -> Spread | None:
    values = [value for value in recorded if value is not None]
    return Spread(mean=fmean(values), sd=_sd(values), n=len(values)) if values else None


def _sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation, exactly 0 of equal values; None of a single value."""
    return stdev(values) if len(values) > 1 else None


def scores_of(records: Sequence[Record], data: Data | None) -> dict[str, dict[str, Score]]:
    """Split -> metric -> score over the runs. A metric is left out where it cannot tell predictions apart, and where some run
    has no score by it: a mean of the others would not be the row's."""
    silent = data.silent if data else {}
    seeds = [record.requested.seed for record in records]
    return {
        split: {
            facts.name: score_of(seeds, [record.scores[split][facts.name] for record in records])
            for facts in (data.metrics if data else ())
            if facts.name not in silent.get(split, {}) and all(facts.name in record.scores.get(split, {}) for record in records)
        }
        for split in dict.fromkeys(split for record in records for split in record.scores)
    }


def score_of(seeds: Sequence[int], values: Sequence[float], bounds: Bounds = UNBOUNDED) -> Score:
    """A row's score over its seeds."""
    return Score(mean=fmean(values), sd=_sd(values), **bounds._asdict(), seeds=list(seeds), values=list(values))


def unscored_of(records: Sequence[Record]) -> list[Unscored]:
    """For each split and metric that gave some of the runs no score, their seeds."""
    found = grouped(
        ((split, metric.name), record.requested.seed)
        for record in records
        if record.data is not None
        for split, scores in record.scores.items()
        for metric in record.data.metrics
        if metric.name not in scores and metric.name not in record.data.silent.get(split, {})
    )
    return [Unscored(split=split, metric=metric, seeds=seeds) for (split, metric), seeds in found.items()]
