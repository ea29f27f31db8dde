"""Runs made look by look: which, in which order, and where a command that was stopped goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from builders import clean_answers, failed, make_run, write_run
from builders.experiments import LABELS
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan, Run
from bakeoff.planning.selection import select
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.runner.experiment import anything_due, declaration
from bakeoff.runner.looks import make_look_by_look, stage_of
from bakeoff.spec.document import Document, parse_document

TEXT = """\
name: toy
tasks: [docstrings]
models: [tiny-bert]
recipe: {epochs: 1}
strategies:
  base: {trainer: torch-loop}
  near: {trainer: torch-loop, recipe: {learning_rate: 1e-4}}
  far: {trainer: torch-loop, recipe: {learning_rate: 1e-3}}
under_test: [recipe.learning_rate]
margin: 2
seeds: {looks: [3, 5, 8], first: 10}
"""
ANSWERS = {
    "base": clean_answers(accuracy=0.85, seeds=8, seed=1),
    "near": clean_answers(accuracy=0.86, seeds=8, seed=2),
    "far": clean_answers(accuracy=0.3, seeds=8, seed=3),
}
FAR, OPEN = {("far", seed) for seed in (10, 11, 12)}, {(name, seed) for name in ("base", "near") for seed in range(10, 18)}


class Maker:
    """In the place of a scheduler: makes runs at once, and is stopped after `most` of them."""

    def __init__(self, store: Store, most: int = 1000, failing: set[tuple[str, int]] | None = None) -> None:
        self.store, self.most, self.failing = store, most, failing or set()
        self.to_replace: set[str] = set()
        self.made: list[list[tuple[str, int]]] = []
        """(strategy, seed) of each call."""

    def is_due(self, run: Run) -> bool:
        return run.id in self.to_replace or self.store.find(run.id) is None

    def make(self, runs: Sequence[Run]) -> list[Record]:
        self.made.append([(run.strategy.name, run.seed) for run in runs])
        done = []
        for run in runs:
            if not self.most:
                raise KeyboardInterrupt
            self.most -= 1
            record, predictions = make_run(run.strategy.name, run.seed, ANSWERS[run.strategy.name][run.seed - 10], LABELS)
            record = record.model_copy(update={"id": run.id, "requested": run.requested})
            if (run.strategy.name, run.seed) in self.failing:
                record, predictions = failed(record), {}
            write_run(self.store, record, predictions)
            done.append(record)
        return done


class Lines(list[str]):
    """A progress that keeps what is said."""

    def note(self, line: str) -> None:
        self.append(line)

    def start(self, *, total: int, done: int) -> None:
        self.append(f"{done} of {total}")


def documented(text: str = TEXT) -> tuple[Document, Plan]:
    document = parse_document(text, "spec.yaml")
    return document, resolve(document, load_registry())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.declare(declaration(*documented()))
    return made


def recorded(store: Store) -> set[tuple[str, int]]:
    records, damaged = store.read_all()
    assert damaged == []
    return {(record.requested.strategy, record.requested.seed) for record in records}


def run_all(store: Store, maker: Maker, lines: Lines | None = None) -> list[Record]:
    lines = lines if lines is not None else Lines()
    return make_look_by_look(documented()[1], store, maker, lines, lambda plan: plan)[1]  # type: ignore[arg-type]


def test_the_plan_says_all_runs_of_all_looks_before_the_first(store: Store) -> None:
    declared = store.declared()
    assert (declared.looks, declared.ranks, declared.baseline, declared.margin) == ([3, 5, 8], False, "base", {"points": 2.0})
    assert declared.seeds == {name: list(range(10, 18)) for name in ("base", "far", "near")}


def test_looks_leave_ids_as_they_were() -> None:
    fixed = documented(TEXT.replace("{looks: [3, 5, 8], first: 10}", "[10, 11, 12, 13, 14, 15, 16, 17]"))[1]
    assert [run.id for run in documented()[1].runs] == [run.id for run in fixed.runs]


def test_what_is_decided_gets_no_more_seeds_and_the_baseline_goes_on(store: Store) -> None:
    maker, lines = Maker(store), Lines()
    done = run_all(store, maker, lines)
    assert recorded(store) == FAR | OPEN
    assert len(done) == 19
    assert maker.made == [
        [(name, seed) for seed in (10, 11, 12) for name in ("base", "near", "far")],
        [(name, seed) for seed in (13, 14) for name in ("base", "near")],
        [(name, seed) for seed in (15, 16, 17) for name in ("base", "near")],
    ]
    assert lines == [
        "look 1 of 3, at 3 seeds: 9 runs of base, near and far",
        "0 of 9",
        "look 2 of 3, at 5 seeds: 4 runs of base and near",
        "9 of 13",
        "look 3 of 3, at 8 seeds: 6 runs of base and near",
        "13 of 19",
    ]


@pytest.mark.parametrize("most", [0, 4, 9, 11, 13, 18])
def test_stopped_anywhere_it_makes_the_same_runs(store: Store, most: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_all(store, Maker(store, most))
    assert len(recorded(store)) == most
    maker = Maker(store)
    run_all(store, maker)
    assert recorded(store) == FAR | OPEN
    assert sum(map(len, maker.made)) == 19 - most, "no run is made twice"


def test_a_finished_experiment_has_nothing_due_though_runs_of_its_plan_were_never_made(store: Store) -> None:
    document, plan = documented()
    run_all(store, Maker(store))
    recorded_ids = set(store.recorded_ids())
    assert len(recorded_ids) < len(plan.by_id)
    assert stage_of(plan, store).runs == ()
    assert not anything_due(document, plan, store, recorded_ids, ())
    (gone, *_) = recorded_ids
    assert anything_due(document, plan, store, recorded_ids - {gone}, {gone}), "it is to be made again"
    longer = documented(TEXT.replace("[3, 5, 8]", "[3, 5, 8, 12]"))
    assert anything_due(*longer, store, recorded_ids, ())


def test_a_failed_run_counts_as_a_run_of_its_look(store: Store) -> None:
    maker = Maker(store, failing={("near", 10)})
    run_all(store, maker)
    assert ("near", 10) in recorded(store)
    assert maker.made[1][0][1] == 13, "the look was not waited for"


def test_runs_that_are_made_again_are_not_judged_as_they_were(store: Store) -> None:
    run_all(store, Maker(store))
    plan = documented()[1]
    old = {run.id for run in plan.runs if run.seed == 13 and run.strategy.name == "base"}
    assert stage_of(plan, store).runs == ()
    stage = stage_of(plan, store, old)
    assert (stage.numbers, {run.id for run in stage.runs}) == ((2,), old)


def test_a_look_whose_records_cannot_be_used_is_not_waited_for_without_end(store: Store) -> None:
    class Ruining(Maker):
        def make(self, runs: Sequence[Run]) -> list[Record]:
            done = super().make(runs)
            for path in self.spoilt():
                path.write_bytes(b"no parquet")
            return done

        def spoilt(self) -> Iterator[Path]:
            return self.store.records.glob("r1-*/predictions.parquet")

    lines = Lines()
    run_all(store, Ruining(store), lines)
    assert len(recorded(store)) == 9
    assert tells(lines[-1], "the next look ", "wait: 9 records ", "cannot be used")


def test_each_task_has_looks_of_its_own(tmp_path: Path) -> None:
    text = TEXT.replace("tasks: [docstrings]", "tasks: [docstrings, {name: docstrings, size: 100}]")
    document, plan = documented(text)
    store = Store(tmp_path)
    store.declare(declaration(document, plan))
    first = [run for run in plan.runs if run.seed < 13 and run.task.label == plan.tasks[0].label]
    Maker(store).make(first)
    stage = stage_of(plan, store)
    assert stage.numbers == (1, 2)
    names = {(run.task.label, run.strategy.name) for run in stage.runs}
    second = {(plan.tasks[1].label, name) for name in ("base", "near", "far")}
    assert names == {(plan.tasks[0].label, name) for name in ("base", "near")} | second


# --- `--only` ------------------------------------------------------------------------------------------------------------


def run_only(store: Store, *only: str) -> tuple[set[tuple[str, int]], str]:
    """(what was made, the last line)."""
    before, lines = recorded(store), Lines()
    plan = select(documented()[1], only, store.find)
    make_look_by_look(plan, store, Maker(store), lines, lambda plan: plan)  # type: ignore[arg-type]
    return recorded(store) - before, lines[-1]


@pytest.mark.slow
def test_of_the_runs_that_only_takes_those_are_made_that_the_looks_need(store: Store) -> None:
    made, line = run_only(store, "base")
    assert made == {("base", seed) for seed in (10, 11, 12)}
    assert tells(line, "5 runs of --only ", "wait: look 1 ", "needs 6 other runs")
    made, line = run_only(store, "near:17")
    assert (made, tells(line, "1 run of --only ", "waits: look 1 ", "needs 6 other runs")) == (set(), True)
    first = {(name, seed) for name in ("near", "far") for seed in (10, 11, 12)}
    assert run_only(store, "near", "far")[0] == first | {("near", 13), ("near", 14)}, "the second look is next, then it waits"
    made, line = run_only(store, ":13")
    assert made == {("base", 13)}
    assert tells(line, "1 run of --only ", "waits: look 2 ", "needs 1 other run, ", "--only ")
    run_all(store, Maker(store))
    assert recorded(store) == FAR | OPEN, "whatever was made first"
    made, line = run_only(store, "far:13")
    assert (made, tells(line, "1 run of --only ", "waits: all is decided")) == (set(), True)
    made, line = run_only(store, "base")
    assert (made, tells(line, "all runs of --only ", "made, ", "all is decided")) == (set(), True)
