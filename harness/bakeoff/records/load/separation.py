"""Assigns each run of an experiment to a comparison group and row. Runs made from other data, or from another model, than
the rest get a group of their own, so that no row averages over both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bakeoff.records.experiment import Experiment, Separated
from bakeoff.records.load.metrics import metrics_of
from bakeoff.records.provenance import (
    DATA,
    MODEL,
    Subject,
    alike,
    differing,
    facts_of_sources,
    in_words,
    unknown,
)
from bakeoff.records.schema import Declared, DeclaredRun, Record, Search, Titles, Vary, together
from bakeoff.text.values import listed

MOST_NAMED: Final = 3
"""The most differences that a label names: `mrpc (other rows of train)`; with more it says `other data` or `other model`."""

Pair = tuple[str, str]
"""The labels of a task and a model."""


def with_groups(experiment: Experiment) -> Experiment:
    """The experiment with its metrics; runs of other data or another model than the rest get their own comparison group."""
    declared, others = separated(experiment.declared, experiment.records)
    metrics = metrics_of(declared.runs, experiment.records)
    return _with_models_in_rows(replace(experiment, declared=declared, separated=others, metrics=metrics))


def _with_models_in_rows(experiment: Experiment) -> Experiment:
    """Where models are under test, a task's models share one comparison group: a row is then a strategy with a model."""
    declared, own = experiment.declared, experiment.declared.own_models
    models: dict[str, list[str]] = {}
    for run in declared.runs:
        if run.strategy not in own and run.model not in models.setdefault(run.task, []):
            models[run.task].append(run.model)
    if "model" not in declared.under_test or all(len(found) == 1 for found in models.values()):
        return experiment
    runs = [
        run
        if run.strategy in own
        else run.model_copy(update={"strategy": f"{run.strategy} · {run.model}", "model": together(models[run.task])})
        for run in declared.runs
    ]
    both = list(zip(declared.runs, runs, strict=True))
    source = {new.strategy: experiment.source[old.strategy] for old, new in both}
    by_looks = frozenset(new.strategy for old, new in both if old.strategy in experiment.by_looks)
    pooled = {new.strategy: experiment.pooled[old.strategy] for old, new in both if old.strategy in experiment.pooled}
    shared = declared.baseline not in own
    baseline = f"{declared.baseline} · {next(iter(models.values()))[0]}" if shared else declared.baseline
    titles = Titles(
        tasks=declared.titles.tasks,
        models={
            **{together(found): together(map(declared.titles.model, found)) for found in models.values()},
            **{label: declared.titles.model(label) for label in own.values() if label},
        },
        strategies={
            new.strategy: declared.titles.strategy(old.strategy)
            + ("" if old.strategy in own else f" · {declared.titles.model(old.model)}")
            for old, new in both
        },
    )
    declared = renamed(declared, runs).model_copy(update={"baseline": baseline, "titles": titles})
    return replace(experiment, declared=declared, source=source, by_looks=by_looks, pooled=pooled)


def renamed(declared: Declared, runs: Sequence[DeclaredRun], *, ids: str = "") -> Declared:
    """Renames strategies, tasks and models wherever the declaration names them, except in `baseline` and `imported`.

    runs: the declared runs, in their order, with the new names. ids: prefix for the ids of trials of searches.
    """
    places: dict[tuple[str, str], dict[Pair, Pair]] = {}
    for old, new in zip(declared.runs, runs, strict=True):
        places.setdefault((old.strategy, new.strategy), {})[old.task, old.model] = (new.task, new.model)
    rows: dict[str, list[str]] = {}
    for was, row in places:
        rows.setdefault(was, []).append(row)
    # a strategy that is gone has no rows of its own: it keeps its name
    history = [
        earlier.model_copy(
            update={"seeds": {row: seeds for was, seeds in earlier.seeds.items() for row in rows.get(was, [was])}}
        )
        for earlier in declared.history
    ]
    trials = {row: declared.trials[was] for was, row in places if was in declared.trials}
    named = declared.titles.strategies
    titles = {row: named[was] + row.removeprefix(was) for was, row in places if was in named}
    searches = {
        row: placed(declared.searches[was], found, ids=ids) for (was, row), found in places.items() if was in declared.searches
    }
    own_models = {row: declared.own_models[was] for was, row in places if was in declared.own_models}
    spelt_out = {row: declared.spelt_out[was] for was, row in places if was in declared.spelt_out} if declared.spelt_out else {}
    return declared.model_copy(
        update={
            "runs": list(runs),
            "trials": trials,
            "searches": searches,
            "history": history,
            "spelt_out": spelt_out,
            "seed_free": [row for was, row in places if was in declared.seed_free],
            "vary": _renamed_vary(declared.vary, rows) if declared.vary else None,
            "own_models": own_models,
            "titles": declared.titles.model_copy(update={"strategies": titles}),
        }
    )


def _renamed_vary(vary: Vary, names: Mapping[str, Sequence[str]]) -> Vary:
    """The same `vary` with new names of rows. names: row -> its new names; several where it became one row for each model."""
    found: dict[str, list[str]] = {}
    for strategy, own in vary.rows.items():
        endings = dict.fromkeys(new.removeprefix(row) for row in own for new in names.get(row, [row]))
        for ending in endings:  # a row without runs keeps its name
            found[f"{strategy}{ending}"] = [f"{row}{ending}" for row in own]
    return vary.model_copy(update={"rows": found})


def separated(declared: Declared, records: Iterable[Record], *, where: str = "") -> tuple[Declared, tuple[Separated, ...]]:
    """The declaration with separate labels for runs that were made from other data, or from another model, than the rest, and
    an entry for each group of such runs.

    The largest group of like runs keeps its label, and so do runs without a record. where: words added to the new labels, for
    when another folder has runs with the same ids.
    """
    by_id = {record.id: record for record in records}
    names: dict[str, tuple[str, ...]] = {run.id: (run.task, run.model) for run in declared.runs}
    found: list[Separated] = []
    for depth, of in ((1, DATA), (2, MODEL)):
        places: dict[tuple[str, ...], list[DeclaredRun]] = {}
        for run in declared.runs:
            places.setdefault(names[run.id][:depth], []).append(run)
        for (*above, was), own in places.items():
            for label, what, runs in _groups(was, own, by_id, of, where):
                names |= {run.id: (*above, label, *names[run.id][depth:]) for run in runs}
                found += [Separated(was, what, of is DATA, tuple(run.id for run in runs))] if what else []
    if not found:
        return declared, ()
    labels = {run_id: (task, model) for run_id, (task, model) in names.items()}
    runs = [run.model_copy(update=dict(zip(("task", "model"), labels[run.id], strict=True))) for run in declared.runs]
    searches = {name: _also_for(search, declared.runs, labels) for name, search in declared.searches.items()}
    return declared.model_copy(update={"runs": runs, "searches": searches}), tuple(found)


def _groups(
    label: str, runs: Sequence[DeclaredRun], by_id: Mapping[str, Record], of: Collection[Subject], where: str
) -> list[tuple[str, str, list[DeclaredRun]]]:
    """Groups a label's runs by what they were made from: (new label, in what the group differs from the first, its runs). The
    first, largest group keeps the label. of: the subjects that tell groups apart, `DATA` or `MODEL`."""
    largest, *others = alike([by_id[run.id] for run in runs if run.id in by_id], of) or [[]]
    there = {record.id: number for number, group in enumerate(others) for record in group}
    found = {label: ("", [run for run in runs if run.id not in there])}
    for number, group in enumerate(others):
        unlike = differing(group, largest, of)
        words = [one.what for one in unlike]
        short = listed([word.removeprefix("the ") for word in words])
        if len(words) > MOST_NAMED:
            short = "data" if unlike[0].subject in DATA else "model"
        short += f" {where}" if where else ""
        names = (f"{label} (other {short}{f', {count}' if count > 1 else ''})" for count in range(1, len(others) + 1))
        name = next(name for name in names if name not in found)
        found[name] = listed(words), [run for run in runs if there.get(run.id) == number]
    return [(name, what, members) for name, (what, members) in found.items()]


def _also_for(search: Search, runs: Iterable[DeclaredRun], names: Mapping[str, Pair]) -> Search:
    """The search with its trials and choices also under the new labels of runs. names: run id -> (task, model), as now
    labelled."""
    places = sorted({((run.task, run.model), names[run.id]) for run in runs if names[run.id] != (run.task, run.model)})
    others = [placed(search, {old: new}) for old, new in places]
    trials = [trial for one in (search, *others) for trial in one.trials]
    chosen = [choice for one in (search, *others) for choice in one.chosen]
    return search.model_copy(update={"trials": trials, "chosen": chosen})


def placed(search: Search, places: Mapping[Pair, Pair], *, ids: str = "") -> Search:
    """The search with other labels of tasks and models. places: old labels -> new ones; trials and choices at other labels are
    dropped. ids: prefix for the trials' ids."""
    trials = [
        trial.model_copy(update={"id": f"{ids}{trial.id}", "task": place[0], "model": place[1]})
        for trial in search.trials
        if (place := places.get((trial.task, trial.model)))
    ]
    chosen = [
        choice.model_copy(update={"task": place[0], "model": place[1]})
        for choice in search.chosen
        if (place := places.get((choice.task, choice.model)))
    ]
    return search.model_copy(update={"trials": trials, "chosen": chosen})


def taken_for_same(groups: Iterable[Iterable[Record]]) -> str:
    """Says which facts are unknown about runs, so that the runs of one table are assumed to have them in common; empty if all
    are known. groups: the runs of each table.

    Example: `weights and tokenizer of all 24 runs, recorded without fingerprints`.
    """
    runs, silent = 0, 0
    lacking = dict[str, None]()
    for group in groups:
        ended = [record for record in group if record.status == "ok"]
        for record in ended if len(ended) > 1 else ():
            facts = facts_of_sources(record)
            missing = unknown(facts, facts)
            runs, silent = runs + 1, silent + bool(missing)
            lacking |= dict.fromkeys(in_words(*key).removeprefix("the ") for key in missing)
    count = f"all {runs}" if silent == runs else f"{silent} of {runs}"
    return f"{listed(list(lacking))} of {count} runs, recorded without fingerprints" if silent else ""
