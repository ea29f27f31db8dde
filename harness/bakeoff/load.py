"""Folders of records -> one `Experiment` to compare: read, and where there are several, merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bakeoff.compare.experiment import Experiment, Predictions
from bakeoff.compare.silence import with_silence
from bakeoff.components import Metric
from bakeoff.errors import DamageError, PluginError, StoreError, escaped, shown_path
from bakeoff.metrics import label_of, recorded_metric
from bakeoff.record import (
    KIND_KEY,
    PREDICTIONS_FILE,
    STEPS_FILE,
    Change,
    Control,
    Declared,
    DeclaredRun,
    Imported,
    MetricFacts,
    Record,
    Search,
)
from bakeoff.recorded import read_file
from bakeoff.records.apart import Pair, set_apart
from bakeoff.records.provenance import DATA, differences, facts_of_sources
from bakeoff.registry import Registry, load_registry
from bakeoff.store import Store


@dataclass(frozen=True)
class Folder:
    """One experiment's folder, read."""

    path: Path
    store: Store
    declared: Declared
    records: tuple[Record, ...]
    damaged: tuple[str, ...]
    foreign: int
    controls: tuple[Control, ...]
    trials: tuple[Record, ...]


def load_experiment(folders: Sequence[Path | Store]) -> Experiment:
    """What these folders, or the stores of folders, hold, as one experiment.

    Of several, the first says baseline, split, and the margin of each unit that it has; strategies of one name get the
    experiment's name behind theirs, unless they are the same runs; tasks whose data differ stand apart. So do runs of one
    experiment that were made from other data or another model than its other runs. Where the model is under test, rows are
    strategy and model. Raises StoreError where a folder holds no experiment.
    """
    stores = {store.folder: store for store in (one if isinstance(one, Store) else Store(one) for one in folders)}
    read = [read_folder(store) for store in stores.values()]
    if not read:
        raise StoreError("name at least one experiment's folder")
    files = _Files()
    if len(read) > 1:
        return _with_boards(_merged(read, files))
    (only,) = read
    for record in only.records:
        files.add(record.id, only.store.records / record.id, record)
    return _with_boards(
        Experiment(
            declared=only.declared,
            records=only.records,
            predictions=files.predictions,
            steps=files.steps,
            unusable=files.damaged,
            metrics=metrics_of(only.declared.runs, only.records),
            folders=(str(only.path),),
            specs=(only.declared.spec_file,),
            damaged=only.damaged,
            foreign=only.foreign,
            controls=only.controls,
            trials={record.id: record for record in only.trials},
            source=dict.fromkeys((run.strategy for run in only.declared.runs), only.declared.name),
        )
    )


def read_folder(store: Store) -> Folder:
    """Raises StoreError where no experiment is; damaged records are named and left out, and so are those whose predictions are
    not what they say: a score and an interval of one row are of the same runs."""
    declared = store.declared()
    ids = [run.id for run in declared.runs]
    records, damaged = _with_own_predictions(store, *store.read_all(ids))
    tried = list(dict.fromkeys(run.id for search in declared.searches.values() for run in search.trials))
    trials, damaged_trials = store.read_all(tried)
    foreign = len(set(store.recorded_ids()) - {*ids, *tried})
    return Folder(
        store.folder,
        store,
        declared,
        tuple(_with_silence(store, declared, records)),
        (*damaged, *(sentence for sentence in damaged_trials if sentence not in damaged)),
        foreign,
        tuple(store.controls()),
        tuple(trials),
    )


def _with_own_predictions(store: Store, records: Sequence[Record], damaged: list[str]) -> tuple[list[Record], list[str]]:
    """The records and the sentences, when the predictions of all have been looked at. Where they are gone, the record stands:
    its scores are all that there is."""
    kept, damaged = [], [*damaged]
    for record in records:
        folder = store.records / record.id
        try:
            if PREDICTIONS_FILE in record.files and (folder / PREDICTIONS_FILE).exists():
                read_file(folder, PREDICTIONS_FILE, record.files)
        except DamageError as error:
            damaged.append(str(error))
        else:
            kept.append(record)
    return kept, damaged


def _with_silence(store: Store, declared: Declared, records: Sequence[Record]) -> Sequence[Record]:
    """The records without figures of metrics that say nothing, where they don't tell themselves."""
    if all(record.data is None or record.data.silent is not None for record in records):
        return records
    files = _Files()
    for record in records:
        files.add(record.id, store.records / record.id, record)
    metrics, task_of = metrics_of(declared.runs, records), {run.id: run.task for run in declared.runs}
    return with_silence(records, files.predictions, {record.id: metrics.get(task_of[record.id], {}) for record in records})


# --- several experiments as one ------------------------------------------------------------------------------------------


def _merged(read: Sequence[Folder], files: _Files) -> Experiment:
    names, tasks = _strategy_names(read), _task_names(read)
    runs: list[DeclaredRun] = []
    records: list[Record] = []
    seen: set[tuple[str, str, str, int]] = set()
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for run in folder.declared.runs:
            name = names[number, run.strategy]
            task = tasks[number, run.task]
            where = (name, task, run.model, run.seed)
            if where in seen:  # the same run, recorded in two folders
                continue
            seen.add(where)
            run_id = f"{number}:{run.id}"
            runs.append(run.model_copy(update={"id": run_id, "strategy": name, "task": task}))
            if run.id in by_id:
                records.append(by_id[run.id].model_copy(update={"id": run_id}))
                files.add(run_id, folder.store.records / run.id, by_id[run.id])
    first = read[0].declared
    return Experiment(
        declared=first.model_copy(
            update={
                "name": " + ".join(dict.fromkeys(folder.declared.name for folder in read)),
                "question": _joined(folder.declared.question for folder in read),
                "baseline": names.get((0, first.baseline), first.baseline),
                "margin": {unit: margin for folder in reversed(read) for unit, margin in folder.declared.margin.items()},
                "under_test": list(dict.fromkeys(part for folder in read for part in folder.declared.under_test)),
                "runs": runs,
                "imported": _imported(read, tasks),
                "trials": {
                    names[number, old]: count
                    for number, folder in enumerate(read)
                    for old, count in folder.declared.trials.items()
                    if (number, old) in names
                },
                "searches": _searches(read, names, tasks),
                "history": [
                    look.model_copy(
                        update={
                            "seeds": {names.get((number, old), old): seeds for old, seeds in look.seeds.items()},
                            "changes": [_of(folder.declared.name, change) for change in look.changes],
                        }
                    )
                    for number, folder in enumerate(read)
                    for look in folder.declared.history
                ],
            }
        ),
        records=tuple(records),
        predictions=files.predictions,
        steps=files.steps,
        unusable=files.damaged,
        metrics=metrics_of(runs, records),
        folders=tuple(str(folder.path) for folder in read),
        specs=tuple(folder.declared.spec_file for folder in read),
        damaged=tuple(sentence for folder in read for sentence in folder.damaged),
        foreign=sum(folder.foreign for folder in read),
        controls=tuple(control for folder in read for control in folder.controls),
        trials={
            run_id: record.model_copy(update={"id": run_id})
            for number, folder in enumerate(read)
            for record in folder.trials
            for run_id in [f"{number}:{record.id}"]
        },
        source={
            names[number, run.strategy]: folder.declared.name
            for number, folder in enumerate(read)
            for run in folder.declared.runs
        },
    )


def _with_boards(experiment: Experiment) -> Experiment:
    """Runs of other data or another model than the rest are on boards of their own."""
    declared, apart = set_apart(experiment.declared, experiment.records)
    if apart:
        metrics = metrics_of(declared.runs, experiment.records)
        experiment = replace(experiment, declared=declared, apart=apart, metrics=metrics)
    return _with_models_in_rows(experiment)


def _of(experiment: str, change: Change) -> Change:
    return change.model_copy(update={"what": f"{change.what} of {experiment}"})


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
    trials = {new.strategy: declared.trials.get(old.strategy, 1) for old, new in zip(declared.runs, runs, strict=True)}
    baseline = f"{declared.baseline} · {next(iter(models.values()))[0]}"
    rows: dict[str, list[str]] = {}
    for old, new in zip(declared.runs, runs, strict=True):
        if new.strategy not in rows.setdefault(old.strategy, []):
            rows[old.strategy].append(new.strategy)
    # a strategy that is gone has no rows of its own: it keeps its name
    history = [
        look.model_copy(update={"seeds": {row: seeds for old, seeds in look.seeds.items() for row in rows.get(old, [old])}})
        for look in declared.history
    ]
    places: dict[tuple[str, str], dict[Pair, Pair]] = {}
    for old, new in zip(declared.runs, runs, strict=True):
        places.setdefault((old.strategy, new.strategy), {})[old.task, old.model] = (new.task, new.model)
    searches = {new: _placed(declared.searches[old], found) for (old, new), found in places.items() if old in declared.searches}
    changed = declared.model_copy(
        update={"runs": runs, "baseline": baseline, "trials": trials, "searches": searches, "history": history}
    )
    return replace(experiment, declared=changed, source=source)


def _task_names(read: Sequence[Folder]) -> dict[tuple[int, str], str]:
    """(number of the folder, task) -> its name; with the experiment's behind it where its data are not the first folder's."""
    first: dict[str, Record] = {}
    names: dict[tuple[int, str], str] = {}
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for task in dict.fromkeys(run.task for run in folder.declared.runs):
            records = [by_id[run.id] for run in folder.declared.runs if run.task == task and run.id in by_id]
            told = next((record for record in records if record.data is not None), None)
            same = told is None or _scored_alike(told, first.setdefault(task, told))
            names[number, task] = task if same else f"{task} ({folder.declared.name})"
    return names


def _scored_alike(record: Record, other: Record) -> bool:
    """Whether two records of a task, which both got as far as its data, are scored on the same thing."""
    if differences(facts_of_sources(record), facts_of_sources(other), DATA):
        return False
    mine, theirs = record.data, other.data
    assert mine is not None
    assert theirs is not None
    metrics = [sorted((facts.name, facts.version) for facts in data.metrics) for data in (mine, theirs)]
    same = metrics[0] == metrics[1] and mine.primary_metric == theirs.primary_metric
    return same and record.asked.task.version == other.asked.task.version


def _joined(questions: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(filter(None, questions)))


def _imported(read: Sequence[Folder], tasks: Mapping[tuple[int, str], str]) -> list[Imported]:
    """Published figures beside the tasks of their own experiment; one that several cite is one."""
    found: list[Imported] = []
    for number, folder in enumerate(read):
        own = dict.fromkeys(run.task for run in folder.declared.runs)
        for row in folder.declared.imported:
            for task in own if row.task is None else (row.task,):
                placed = row.model_copy(update={"task": tasks.get((number, task), task)})
                found += [] if placed in found else [placed]
    return found


def _searches(
    read: Sequence[Folder], names: Mapping[tuple[int, str], str], tasks: Mapping[tuple[int, str], str]
) -> dict[str, Search]:
    """Row -> its search; a strategy whose search has chosen nothing yet has no row."""
    found: dict[str, Search] = {}
    for number, folder in enumerate(read):
        places = {(run.task, run.model): (tasks[number, run.task], run.model) for run in folder.declared.runs}
        for old, search in folder.declared.searches.items():
            if (number, old) not in names:
                continue
            name, own = names[number, old], _placed(search, places, ids=f"{number}:")
            found[name] = _both(found[name], own) if name in found else own
    return found


def _both(first: Search, second: Search) -> Search:
    """A row's search in two folders: where both searched for one task and model, they are the same runs."""
    there = {(trial.task, trial.model) for trial in first.trials}
    trials = [trial for trial in second.trials if (trial.task, trial.model) not in there]
    chosen = [choice for choice in second.chosen if (choice.task, choice.model) not in there]
    return first.model_copy(update={"trials": [*first.trials, *trials], "chosen": [*first.chosen, *chosen]})


def _placed(search: Search, places: Mapping[Pair, Pair], *, ids: str = "") -> Search:
    """The search under other labels of task and model, without what it did elsewhere; `ids` begin those of its trials."""
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


def _strategy_names(read: Sequence[Folder]) -> dict[tuple[int, str], str]:
    """(number of the folder, strategy) -> a name that no other row of its boards has; the same runs keep one name."""
    runs: dict[tuple[int, str], frozenset[tuple[str, ...]]] = {}
    boards: dict[tuple[int, str], set[tuple[str, str]]] = {}
    for number, folder in enumerate(read):
        by_id = {record.id: record for record in folder.records}
        for strategy in dict.fromkeys(run.strategy for run in folder.declared.runs):
            own = [run for run in folder.declared.runs if run.strategy == strategy]
            runs[number, strategy] = frozenset((run.id, *_traces(by_id.get(run.id))) for run in own)
            boards[number, strategy] = {(run.task, run.model) for run in own}
    titles = [folder.declared.name for folder in read]
    if len(set(titles)) < len(titles):  # the same experiment twice, say before and after an upgrade
        titles = [str(folder.path) for folder in read]
    names: dict[tuple[int, str], str] = {}
    for place, own_runs in runs.items():
        number, strategy = place
        rivals = [other for other in runs if other[1] == strategy and other[0] != number and boards[other] & boards[place]]
        twins = [other[0] for other in rivals if runs[other] == own_runs]
        alone = len(twins) == len(rivals)
        names[place] = strategy if alone else f"{strategy} · {titles[min([number, *twins])]}"
    return names


def _traces(record: Record | None) -> tuple[str, ...]:
    """What makes a record the same as another of its id: when it began, and what it ended with."""
    return () if record is None else (record.started, record.weights.final_sha256 if record.weights else record.status)


# --- metrics, and the files of runs --------------------------------------------------------------------------------------


def metrics_of(runs: Sequence[DeclaredRun], records: Iterable[Record]) -> dict[str, dict[str, Metric]]:
    """Task -> name -> metric: by the installed task's own word, else the built-in of that name."""
    by_id = {record.id: record for record in records}
    found: dict[str, dict[str, Metric]] = {}
    registry: Registry | None = None
    for run in runs:
        record = by_id.get(run.id)
        if run.task in found or record is None or record.data is None:
            continue
        registry = registry or load_registry()
        own = _declared_metrics(record, registry)
        kind: Any = record.data.kind
        found[run.task] = {
            facts.name: metric
            for facts in record.data.metrics
            if (metric := _of_its_label(own.get(facts.name), facts) or recorded_metric(facts, kind)) is not None
        }
    return found


def _of_its_label(metric: Metric | None, facts: MetricFacts) -> Metric | None:
    """The task's metric where it looks at the label that the record says: before its data are read, a task may know no label,
    and what it asks of each class is called like the metric of a class named `each`."""
    return metric if metric is not None and label_of(metric) == facts.label else None


def _declared_metrics(record: Record, registry: Registry) -> dict[str, Metric]:
    try:
        component = registry.get("task", record.asked.task.name).component
        if component.version != record.asked.task.version:
            return {}
        info = component.info(component.Options.model_validate(record.asked.task.options))
    except (PluginError, ValueError):  # not installed here, or with other options: records alone must do
        return {}
    return {metric.name: metric for metric in info.metrics}


@dataclass
class _Files:
    """Where each run's files lie. What all runs of a split share (ids, labels, slices) is kept once."""

    places: dict[str, tuple[Path, Mapping[str, str]]] = field(default_factory=dict)
    """Run id -> its folder, and its files with their checksums."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that could not be used."""
    shared: dict[str, tuple[Any, Predictions]] = field(default_factory=dict)

    def add(self, run_id: str, folder: Path, record: Record) -> None:
        self.places[run_id] = folder, record.files

    def predictions(self, run_id: str) -> dict[str, Predictions]:
        """Split -> predictions; raises StoreError that names the file."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self._table(run_id, PREDICTIONS_FILE)
        try:
            splits = pc.unique(table["split"]).to_pylist()
            whole = len(splits) == 1
            return {
                split: self._split(split, table if whole else table.filter(pc.equal(table["split"], pa.scalar(split))))
                for split in splits
            }
        except (KeyError, ValueError, pa.ArrowException) as error:
            raise self._damage(run_id, PREDICTIONS_FILE, error) from None

    def _split(self, split: str, table: Any) -> Predictions:
        logits = table["logits"].combine_chunks()
        values = logits.flatten().to_numpy(zero_copy_only=False).reshape(len(logits), -1)
        frame = table.drop_columns(["split", "logits"]).combine_chunks()
        kind, known = _kind_of(table, values), self.shared.get(split)
        if known is not None and known[1].kind == kind and known[0].equals(frame):
            first = known[1]
            return Predictions(first.ids, first.labels, values, first.tokens, first.slices, kind)
        predictions = Predictions(
            ids=tuple(frame["id"].to_pylist()),
            labels=frame["label"].to_numpy(),
            logits=values,
            tokens=frame["tokens"].to_numpy(),
            slices={
                name.removeprefix("slice:"): tuple(map(str, frame[name].to_pylist()))
                for name in frame.column_names
                if name.startswith("slice:")
            },
            kind=kind,
        )
        self.shared[split] = (frame, predictions)
        return predictions

    def steps(self, run_id: str) -> Any:
        """The run's steps as a pyarrow table (step, loss, learning_rate, grad_norm, seconds)."""
        return self._table(run_id, STEPS_FILE)

    def _table(self, run_id: str, name: str) -> Any:
        """A Parquet file of a run; raises DamageError that names it, unless it is what the run's record says."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder, files = self.places[run_id]
        if name not in files:
            raise StoreError(f"{shown_path(folder)} is of a record without {name}")
        try:
            content = read_file(folder, name, files)
            return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        except DamageError as error:
            self._note(str(error))
            raise
        except (OSError, pa.ArrowException) as error:
            raise self._damage(run_id, name, error) from None

    def _damage(self, run_id: str, name: str, error: Exception) -> DamageError:
        sentence = f"{shown_path(self.places[run_id][0] / name)} is damaged: {escaped(' '.join(str(error).split()))}"
        self._note(sentence)
        return DamageError(sentence)

    def _note(self, sentence: str) -> None:
        if sentence not in self.damaged:
            self.damaged.append(sentence)


def _kind_of(table: Any, logits: Any) -> Any:
    """What predictions answer; files of older versions don't say, and know a regression by its single output."""
    told = (table.schema.metadata or {}).get(KIND_KEY)
    return told.decode() if told else ("regression" if logits.shape[1] == 1 else "classification")
