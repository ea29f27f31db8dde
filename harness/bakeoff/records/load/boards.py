"""On which board each run of an experiment stands, and under which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bakeoff.records.apart import Pair, placed, set_apart
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.metrics import metrics_of
from bakeoff.records.schema import Declared, DeclaredRun


def with_boards(experiment: Experiment) -> Experiment:
    """Runs of other data or another model than the rest are on boards of their own."""
    declared, apart = set_apart(experiment.declared, experiment.records)
    if apart:
        metrics = metrics_of(declared.runs, experiment.records)
        experiment = replace(experiment, declared=declared, apart=apart, metrics=metrics)
    return _with_models_in_rows(experiment)


def _with_models_in_rows(experiment: Experiment) -> Experiment:
    """Where the model is under test and a task has several, rows are strategy and model, on one board."""
    declared = experiment.declared
    models: dict[str, list[str]] = {}
    for run in declared.runs:
        if run.model not in models.setdefault(run.task, []):
            models[run.task].append(run.model)
    if "model" not in declared.under_test or all(len(found) == 1 for found in models.values()):
        return experiment
    runs = [
        run.model_copy(update={"strategy": f"{run.strategy} · {run.model}", "model": " / ".join(models[run.task])})
        for run in declared.runs
    ]
    source = {new.strategy: experiment.source[old.strategy] for old, new in zip(declared.runs, runs, strict=True)}
    baseline = f"{declared.baseline} · {next(iter(models.values()))[0]}"
    return replace(experiment, declared=renamed(declared, runs).model_copy(update={"baseline": baseline}), source=source)


def renamed(declared: Declared, runs: Sequence[DeclaredRun], *, ids: str = "") -> Declared:
    """The declaration with the same runs, in their order, under other names of strategies, tasks and models, in all that names
    them but the baseline and published figures; `ids` begin those of a search's trials."""
    places: dict[tuple[str, str], dict[Pair, Pair]] = {}
    for old, new in zip(declared.runs, runs, strict=True):
        places.setdefault((old.strategy, new.strategy), {})[old.task, old.model] = (new.task, new.model)
    rows: dict[str, list[str]] = {}
    for was, row in places:
        rows.setdefault(was, []).append(row)
    # a strategy that is gone has no rows of its own: it keeps its name
    history = [
        look.model_copy(update={"seeds": {row: seeds for was, seeds in look.seeds.items() for row in rows.get(was, [was])}})
        for look in declared.history
    ]
    trials = {row: declared.trials[was] for was, row in places if was in declared.trials}
    searches = {
        row: placed(declared.searches[was], found, ids=ids) for (was, row), found in places.items() if was in declared.searches
    }
    return declared.model_copy(update={"runs": list(runs), "trials": trials, "searches": searches, "history": history})
