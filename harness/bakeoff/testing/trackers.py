"""The promises of a tracker, checked with made-up runs in a temporary folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, overload
from unittest import SkipTest

from bakeoff.contracts.tracker import SUMMARY, Series, TrackedExperiment, TrackedRun
from bakeoff.errors import BakeoffError
from bakeoff.files import Tree, temporary_folder
from bakeoff.testing.contract import ChildError, Contract, ask

BEGUN: Final = 1_700_000_000.0
DIGESTS: Final = ("0" * 64, "1" * 64)
MADE_STEPS: Final = 2500
"""More than trackers take in one call."""
HOSTILE: Final = "../a\\b:\n/é 日本 \u202e'\"`;{}%" + "x" * 300
"""A name as strategies, tasks and metrics may have one."""


class TrackerContract(Contract):
    """Tests that every Tracker must pass. Set `options` so that it writes somewhere else than to real data; by default it gets
    a temporary folder."""

    def test_a_run_is_there_in_full_when_it_was_written(self) -> None:
        with self.experiment() as experiment:
            self.check_known(experiment, {})
            self.write(made_run(), experiment)
            self.check_known(experiment, {"r1-0": DIGESTS[0]})
            self.write(made_summary(), experiment)
            self.check_known(experiment, {"r1-0": DIGESTS[0], SUMMARY: DIGESTS[0]})

    def test_a_run_that_is_written_again_replaces_the_earlier_one(self) -> None:
        with self.experiment() as experiment:
            for digest in (*DIGESTS, DIGESTS[1]):
                self.write(replace(made_run(), digest=digest), experiment)
                self.write(replace(made_summary(), digest=digest), experiment)
            self.check_known(experiment, {"r1-0": DIGESTS[1], SUMMARY: DIGESTS[1]})

    def test_a_run_that_was_cut_short_is_not_there_and_is_written_by_the_next_call(self) -> None:
        """Writes a run in a process that ends in the middle of its steps."""
        with self.experiment() as experiment:
            self.component.check(experiment, self.chosen())
            try:
                ask(self.component, write_half, str(experiment.folder), dict(self.options))
            except ChildError:
                self.check_known(experiment, {})
            else:
                self.broken("`write` does not go through the values of a run's series")
            self.write(made_run(), experiment)
            self.check_known(experiment, {"r1-0": DIGESTS[0]})

    def test_experiments_are_apart(self) -> None:
        with self.experiment() as experiment:
            other = replace(experiment, name="another")
            self.write(made_run(), experiment)
            self.check_known(other, {})
            self.write(replace(made_run(), digest=DIGESTS[1]), other)
            self.check_known(experiment, {"r1-0": DIGESTS[0]})

    def test_any_names_and_numbers_are_taken(self) -> None:
        """Writes names with any characters, a run that failed before its first step, and numbers that are not finite."""
        odd = Series([0, 1, 2], [float("nan"), float("inf"), 1e30], [BEGUN] * 3)
        hostile = replace(
            made_run(),
            name=HOSTILE,
            strategy=HOSTILE,
            tags={**made_run().tags, "task": HOSTILE, "strategy": HOSTILE},
            settings={HOSTILE: HOSTILE, "method.r": 8, "a": HOSTILE, "flag": True, "f1 (a)": 1, "f1 a": 2},
            scores={f"test/{HOSTILE}": 0.5, "test/f1 (a)": 0.1, "test/f1 a": 0.2},
            series={f"train/{HOSTILE}": odd, "train/loss": odd},
            failure=HOSTILE,
            text=HOSTILE,
        )
        empty = TrackedRun("r1-1", DIGESTS[0], "a:1", "a", BEGUN, BEGUN, failure="out of memory")
        with self.experiment(HOSTILE.replace("\n", "")) as experiment:
            for run in (hostile, empty):
                self.write(run, experiment)
            self.check_known(experiment, {"r1-0": DIGESTS[0], "r1-1": DIGESTS[0]})

    def test_a_place_that_cannot_be_written_to_is_refused(self) -> None:
        self.ready()
        with temporary_folder() as folder:
            Tree(folder).write(folder / "file", b"")
            experiment = TrackedExperiment("tried", folder / "file" / "tracked")
            try:
                self.component.check(experiment, self.chosen())
            except (BakeoffError, OSError):
                return
            try:
                self.component.write(made_run(), experiment, self.chosen())
            except (BakeoffError, OSError) as error:
                self.broken(f"`check` accepts a place to which `write` cannot write: {error}")
        raise SkipTest("it does not write into the experiment's folder")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def experiment(self, name: str = "tried") -> AbstractContextManager[TrackedExperiment]:
        """A context with an experiment whose folder for trackers does not exist yet."""
        self.ready()
        return made_experiment(name)

    def write(self, run: TrackedRun, experiment: TrackedExperiment) -> None:
        """Checks that the experiment can be written to, and writes a run."""
        with redirect_stdout(sys.stderr):  # as an export does
            self.component.check(experiment, self.chosen())
            try:
                self.component.write(run, experiment, self.chosen())
            except Exception as error:  # as the author's code has it
                self.broken(f"`write` fails: {type(error).__name__}: {error}")
            shown = self.component.shown(experiment, self.chosen())
        if not isinstance(shown, str) or not shown:
            self.broken("`shown` must tell in a few words where runs are seen")

    def check_known(self, experiment: TrackedExperiment, known: Mapping[str, str]) -> None:
        found = dict(self.component.written(experiment, self.chosen()))
        if found != dict(known):
            self.broken(f"`written` gives {found}; it should be {dict(known)}")


@contextmanager
def made_experiment(name: str) -> Iterator[TrackedExperiment]:
    """A context with an experiment in a temporary folder."""
    with temporary_folder() as folder:
        yield TrackedExperiment(name, folder / "tracked")


def made_run(values: Sequence[float] | None = None) -> TrackedRun:
    """A run with more steps than trackers take in one call. values: of its loss."""
    steps = range(MADE_STEPS)
    times = [BEGUN + step for step in steps]
    return TrackedRun(
        key="r1-0",
        digest=DIGESTS[0],
        name="full:0",
        strategy="full",
        begun=BEGUN,
        ended=BEGUN + MADE_STEPS,
        tags={"kind": "run", "task": "tickets", "model": "tiny", "strategy": "full", "seed": "0"},
        settings={"learning_rate": 1e-3, "epochs": 3, "method": "lora", "method.bias": "none", "fused": False},
        scores={"test/accuracy": 0.75, "cost/train_seconds": 2.5},
        series={
            "train/loss": Series(steps, [1 / (step + 1) for step in steps] if values is None else values, times),
            "evaluation/dev/accuracy": Series([1, 2], [0.5, 0.75], times[:2]),
        },
    )


def made_summary() -> TrackedRun:
    run = made_run()
    text = "# tried\n\n| strategy | accuracy |\n|---|---|\n| full | 0.75 |\n"
    page = {"report.html": "<!doctype html><title>tried</title><p>full: 0.75</p>"}
    return TrackedRun(
        key=SUMMARY,
        digest=DIGESTS[0],
        name=SUMMARY,
        strategy=SUMMARY,
        begun=run.begun,
        ended=run.ended,
        tags={"kind": SUMMARY},
        scores={"test/accuracy/full": 0.75},
        text=text,
        files=page,
    )


class Deadly(Sequence[float]):
    """Values whose reader's process ends in the middle."""

    def __len__(self) -> int:
        return MADE_STEPS

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[float]: ...
    def __getitem__(self, at: int | slice) -> float | Sequence[float]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(MADE_STEPS))]
        if at == MADE_STEPS - 200:
            os._exit(9)
        if at >= MADE_STEPS:
            raise IndexError
        return 1 / (at + 1)

    def __iter__(self) -> Iterator[float]:
        return (self[at] for at in range(MADE_STEPS))


def write_half(component: Any, folder: str, options: Mapping[str, Any]) -> None:
    """Begins to write a run, in a process that ends meanwhile."""
    experiment = TrackedExperiment("tried", Path(folder))
    component.write(made_run(Deadly()), experiment, component.Options.model_validate(dict(options)))
