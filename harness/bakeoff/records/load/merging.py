"""Merges several folders of records into one experiment, with unique strategy names and a label for each task's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from bakeoff.contracts.configured import canonical
from bakeoff.contracts.unit import POINTS
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.folders import RunFiles
from bakeoff.records.load.separation import renamed
from bakeoff.records.provenance import SCORED, differing
from bakeoff.records.schema import Declared, DeclaredRun, Imported, Record, Search, Titles, Vary
from bakeoff.records.store import Store
from bakeoff.text.values import grouped

Read = Sequence[tuple[Store, Experiment]]
"""Folders, each with the experiment read from it."""

Place = tuple[int, str]
"""The index of a folder, and a strategy of it."""

Twins = Callable[[Place, Place], bool]
"""Whether two strategies of one name, of different folders, are one row."""


def merged(read: Read, files: RunFiles, *, pool: bool = False) -> Experiment:
    """Several folders as one experiment, without metrics: see `load_experiment`."""
    experiments = [experiment for _, experiment in read]
    tasks, same = _task_names(experiments), _the_same(experiments)
    names = _strategy_names(experiments, _alike(experiments, tasks, same) if pool else same)
    pooled = _pooled(experiments, names, same) if pool else {}
    own: list[Declared] = []
    """The folders' declarations, with names as in the merged experiment."""
    runs: dict[tuple[str, str, str, int], DeclaredRun] = {}
    records: dict[tuple[str, str, str, int], Record] = {}
    for number, (store, folder) in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        new = [
            run.model_copy(
                update={"id": f"{number}:{run.id}", "strategy": names[number, run.strategy], "task": tasks[number, run.task]}
            )
            for run in folder.declared.runs
        ]
        own.append(renamed(folder.declared, new, ids=f"{number}:"))
        for old, run in zip(folder.declared.runs, new, strict=True):
            place, record = (run.strategy, run.task, run.model, run.seed), by_id.get(old.id)
            if place in runs and _rank(record) <= _rank(records.get(place)):
                continue  # the same run, recorded in two folders
            runs[place] = run
            if record is not None:
                records[place] = record.model_copy(update={"id": run.id})
                files.add(run.id, store, record)
    own = [_with_pooled_seeds(declared, own, pooled) for declared in own]
    baseline = names.get((0, own[0].baseline), own[0].baseline)
    together = {"runs": list(runs.values()), "baseline": baseline, "imported": _imported(experiments, tasks)}
    trials = [(number, trial) for number, folder in enumerate(experiments) for trial in folder.trials.values()]
    return Experiment(
        _declaration(own).model_copy(update=together),
        tuple(records.values()),
        predictions=files.predictions,
        steps=files.steps,
        read_answers=files.answers,
        unusable=files.damaged,
        folders=tuple(chain.from_iterable(folder.folders for folder in experiments)),
        specs=tuple(chain.from_iterable(folder.specs for folder in experiments)),
        damaged=tuple(chain.from_iterable(folder.damaged for folder in experiments)),
        foreign=sum(folder.foreign for folder in experiments),
        controls=tuple(chain.from_iterable(folder.controls for folder in experiments)),
        timings=tuple(chain.from_iterable(folder.timings for folder in experiments)),
        trials={f"{number}:{trial.id}": trial.model_copy(update={"id": f"{number}:{trial.id}"}) for number, trial in trials},
        source={names[place]: experiments[place[0]].declared.name for place in names}
        | {row: " + ".join(sources) for row, sources in pooled.items()},
        by_looks=frozenset(names[place] for place in names if experiments[place[0]].declared.looks),
        pooled=pooled,
    )


def _rank(record: Record | None) -> int:
    """Which of the records of one run counts: a good one before a failure, that before none."""
    return 0 if record is None else 1 if record.failure is not None else 2


def _with_pooled_seeds(declared: Declared, own: Sequence[Declared], pooled: Collection[str]) -> Declared:
    """The declaration with the seeds that pooled rows have in other experiments in its history too, since nobody added them."""
    if not pooled:
        return declared
    elsewhere = {row: {seed for other in own if other is not declared for seed in other.seeds.get(row, ())} for row in pooled}
    history = [
        earlier.model_copy(
            update={"seeds": {row: sorted({*seeds, *elsewhere.get(row, ())}) for row, seeds in earlier.seeds.items()}}
        )
        for earlier in declared.history
    ]
    return declared.model_copy(update={"history": history})


def _declaration(own: Sequence[Declared]) -> Declared:
    """Merges several declarations, except for runs, baseline and published figures."""
    return own[0].model_copy(
        update={
            "name": " + ".join(dict.fromkeys(declared.name for declared in own)),
            "question": " / ".join(dict.fromkeys(declared.question for declared in own if declared.question)),
            "margin": {
                unit: margin
                for declared in reversed(own)
                for unit, margin in declared.margin.items()
                if unit != POINTS or POINTS in own[0].margin  # where the first has the default, all have
            },
            "titles": _titles(own),
            "under_test": list(dict.fromkeys(part for declared in own for part in declared.under_test)),
            "spelt_out": {row: parts for declared in own for row, parts in (declared.spelt_out or {}).items()},
            "own_models": {row: label for declared in own for row, label in declared.own_models.items()},
            "trials": {row: count for declared in own for row, count in declared.trials.items()},
            "searches": _searches(own),
            "vary": _vary(own),
            "hub_datasets": {task: one for declared in reversed(own) for task, one in declared.hub_datasets.items()},
            "licences": {label: one for declared in reversed(own) for label, one in declared.licences.items()},
            "seed_free": list(dict.fromkeys(row for declared in own for row in declared.seed_free)),
            "looks": [],
            "ranks": False,
            "history": [
                earlier.model_copy(
                    update={
                        "changes": [
                            change.model_copy(update={"what": f"{change.what} of {declared.name}"})
                            for change in earlier.changes
                        ]
                    }
                )
                for declared in own
                for earlier in declared.history
            ],
        }
    )


def _vary(own: Sequence[Declared]) -> Vary | None:
    """The recipe key that varies, if it and its values are the same in all folders in which a key varies; else None."""
    found = [declared.vary for declared in own if declared.vary]
    if not found or any((one.key, one.values) != (found[0].key, found[0].values) for one in found):
        return None
    return found[0].model_copy(update={"rows": {name: rows for one in found for name, rows in one.rows.items()}})


def _titles(own: Sequence[Declared]) -> Titles:
    """The titles of all folders. A label with several titles gets the first; labels that would share a title get none."""

    def unique(titles: Iterable[Mapping[str, str]]) -> dict[str, str]:
        found = {label: title for one in reversed(list(titles)) for label, title in one.items()}
        times = Counter(found.values())
        return {label: title for label, title in found.items() if times[title] == 1}

    tasks, models = (unique(getattr(declared.titles, kind) for declared in own) for kind in ("tasks", "models"))
    return Titles(tasks=tasks, models=models, strategies=unique(declared.titles.strategies for declared in own))


def _task_names(read: Sequence[Experiment]) -> dict[tuple[int, str], str]:
    """(index of the folder, task) -> its name; the experiment's name is added if its data differ from the first folder's."""
    first: dict[str, Record] = {}
    names: dict[tuple[int, str], str] = {}
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for task in dict.fromkeys(run.task for run in folder.declared.runs):
            records = [by_id[run.id] for run in folder.declared.runs if run.task == task and run.id in by_id]
            one = next((record for record in records if record.data is not None), None)
            same = one is None or not differing([one], [first.setdefault(task, one)], SCORED)
            names[number, task] = task if same else f"{task} ({folder.declared.name})"
    return names


def _imported(read: Sequence[Experiment], tasks: Mapping[tuple[int, str], str]) -> list[Imported]:
    """Published figures, with the tasks of their own experiment; duplicates are merged."""
    found: list[Imported] = []
    for number, folder in enumerate(read):
        own = dict.fromkeys(run.task for run in folder.declared.runs)
        for row in folder.declared.imported:
            for task in own if row.task is None else (row.task,):
                placed = row.model_copy(update={"task": tasks.get((number, task), task)})
                found += [] if placed in found else [placed]
    return found


def _searches(own: Iterable[Declared]) -> dict[str, Search]:
    """Row -> its search, merged from all folders; a strategy whose search has chosen nothing yet has no row."""
    found: dict[str, Search] = {}
    for declared in own:
        for row, search in declared.searches.items():
            found[row] = _both(found[row], search) if row in found else search
    return found


def _both(first: Search, second: Search) -> Search:
    """Merges a row's search in two folders: trials for the same task and model are the same runs."""
    there = {(trial.task, trial.model) for trial in first.trials}
    trials = [trial for trial in second.trials if (trial.task, trial.model) not in there]
    chosen = [choice for choice in second.chosen if (choice.task, choice.model) not in there]
    return first.model_copy(update={"trials": [*first.trials, *trials], "chosen": [*first.chosen, *chosen]})


def _strategy_names(read: Sequence[Experiment], alike: Twins) -> dict[Place, str]:
    """The name of each strategy, unique in each of its comparison groups; those that are alike share one."""
    experiments, all_rivals = _experiment_names(read), _rivals(read)
    first: dict[Place, Place] = {}
    """Strategy -> the first one that it is alike."""
    for place, rivals in all_rivals.items():
        first[place] = next((first[other] for other in rivals if other in first and alike(place, other)), place)
    return {
        place: place[1]
        if all(first[other] == first[place] for other in rivals)
        else f"{place[1]} · {experiments[first[place][0]]}"
        for place, rivals in all_rivals.items()
    }


def _experiment_names(read: Sequence[Experiment]) -> list[str]:
    """The names of the experiments; their folders' where two share a name, say the same experiment before and after an
    upgrade."""
    names = [folder.declared.name for folder in read]
    return names if len(set(names)) == len(names) else [folder.folders[0] for folder in read]


def _rivals(read: Sequence[Experiment]) -> dict[Place, list[Place]]:
    """Strategy -> those of its name in other folders that stand in one of its comparison groups."""
    groups: dict[Place, set[tuple[str, str]]] = {}
    models = {run.model for folder in read for run in folder.declared.runs}
    for number, folder in enumerate(read):
        for strategy, own in _runs_of(folder).items():
            everywhere = strategy in folder.declared.own_models  # beside every model that others share
            groups[number, strategy] = {(run.task, label) for run in own for label in (models if everywhere else (run.model,))}
    return {
        place: [other for other in groups if other[1] == place[1] and other[0] != place[0] and groups[other] & groups[place]]
        for place in groups
    }


def _runs_of(folder: Experiment) -> dict[str, list[DeclaredRun]]:
    return grouped((run.strategy, run) for run in folder.declared.runs)


def _the_same(read: Sequence[Experiment]) -> Twins:
    """Strategies are alike if their runs are the same."""
    runs: dict[Place, frozenset[tuple[str, ...]]] = {}
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for strategy, own in _runs_of(folder).items():
            runs[number, strategy] = frozenset((run.id, *_traces(by_id.get(run.id))) for run in own)
    return lambda here, there: runs[here] == runs[there]


def _alike(read: Sequence[Experiment], tasks: Mapping[tuple[int, str], str], same: Twins) -> Twins:
    """Strategies are alike if their runs are the same, or if, wherever both have records, nothing but the seed tells their runs
    apart: task with its data, model, method, trainer, recipe and what is selected are equal."""
    contents: dict[Place, dict[tuple[str, str], set[str]]] = {}
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for strategy, own in _runs_of(folder).items():
            found = contents.setdefault((number, strategy), {})
            for run in own:
                if run.id in by_id:
                    hashed = by_id[run.id].requested.hashed() | {"seed": None}
                    found.setdefault((tasks[number, run.task], run.model), set()).add(canonical(hashed))

    def alike(here: Place, there: Place) -> bool:
        both = contents[here].keys() & contents[there].keys()
        return same(here, there) or (bool(both) and all(len(contents[here][one] | contents[there][one]) == 1 for one in both))

    return alike


def _pooled(read: Sequence[Experiment], names: Mapping[Place, str], same: Twins) -> dict[str, tuple[str, ...]]:
    """Row -> the names of the experiments whose runs it has, for rows with other runs in one than in another."""
    experiments, found = _experiment_names(read), dict[str, list[str]]()
    for place, rivals in _rivals(read).items():
        twins = [other for other in rivals if names[other] == names[place]]
        if any(not same(place, other) for other in twins):
            found.setdefault(names[place], []).append(experiments[place[0]])
    return {row: tuple(its) for row, its in found.items()}


def _traces(record: Record | None) -> tuple[str, ...]:
    """What tells apart two records with the same id: when the run began, and its final weights or status."""
    return () if record is None else (record.started, record.weights.final_sha256 if record.weights else record.status)
