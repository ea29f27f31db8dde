"""Starts runs while there is memory for them, watches them, and publishes their records. Runs that other processes are making
are waited for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from bakeoff.errors import StoreError
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.worker_process import WAIT_SECONDS
from bakeoff.planning.runs import Run
from bakeoff.records.provenance import Facts, as_plain
from bakeoff.records.publishing import Mark, attempt_of
from bakeoff.records.schema import Attempt, Record
from bakeoff.records.store import Store
from bakeoff.runner.settings import Progress, Settings, request_of
from bakeoff.runner.supervisor import Supervisor
from bakeoff.spec.experiment_file import Spec
from bakeoff.text.numbers import count, gibibytes, with_decimals

CLAIM_SECONDS = 10.0
"""Seconds after which the claim of a run is renewed."""
MEMORY_FACTOR = 1.2
"""Another run starts only if this many times the memory of the largest run so far is free."""
RESUMABLE = {"interrupted", "crashed", "timed out", "out of memory"}
"""Failures after which another attempt continues from a checkpoint: the steps up to it were right."""


@dataclass(frozen=True)
class Rerun:
    """A recorded run that is made anew."""

    mark: Mark
    """The mark of the record that is to be replaced. If another record stands there when the run begins, that one stays."""
    why: str


@dataclass
class Active:
    """A run that this process has claimed and started."""

    run: Run
    folder: Path
    place: int
    """The run's number, from 0, among those that run at the same time; it decides which devices the run takes."""
    supervisor: Supervisor
    instead_of: Mark | None
    """The mark of the record that this run replaces; None if there is none."""
    claimed: float = field(default_factory=time.monotonic)
    """When the run's claim was last renewed, by `time.monotonic()`."""


class Scheduler:
    """Makes runs, up to `settings.jobs` of them at the same time."""

    def __init__(
        self,
        spec: Spec,
        store: Store,
        settings: Settings,
        progress: Progress,
        *,
        sources: Mapping[tuple[str, str], Facts],
        reruns: Mapping[str, Rerun],
    ) -> None:
        """sources: labels of task and model -> the data and weights that their runs are made from. reruns: run id -> how to
        replace its record."""
        self.spec, self.store, self.settings, self.progress = spec, store, settings, progress
        self.sources, self.reruns = sources, reruns
        self.active: list[Active] = []
        self.elsewhere: list[Run] = []
        """Runs that another process has claimed."""
        self.largest = 0
        """Memory of the largest run so far, in bytes."""
        self.short_of_memory = False

    def make(self, runs: Sequence[Run], *, waits: bool = True) -> list[Record]:
        """Makes those of the runs that are due, and returns the records that this process made. A run that another process has
        claimed is waited for, and taken over if that process dies; with `waits=False` it is left to that process."""
        todo = deque(run for run in runs if self.is_due(run))
        done: list[Record] = []
        told = False
        try:
            while todo or self.elsewhere or self.active:
                while todo and self.has_room():
                    run = todo.popleft()
                    if not self.start(run) and self.is_due(run):
                        self.elsewhere.append(run)
                if self.active:
                    done += self.poll()
                elif self.elsewhere and not waits:
                    self.elsewhere.clear()
                elif self.elsewhere:
                    if not told:
                        told = True
                        self.progress.note(f"waiting for {count(len(self.elsewhere), 'run')} that another process makes ...")
                    time.sleep(1.0)
                if not todo:
                    todo.extend(run for run in self.elsewhere if self.is_due(run))
                    self.elsewhere.clear()
        except BaseException as error:  # an interrupt may come out of an import as another exception
            if is_interrupt(error):
                self.interrupt()
            raise
        finally:
            for one in [*self.active]:
                self.release(one)
        return done

    def find(self, run_id: str) -> Record | None:
        """The run's record, if it need not be made again; None if there is none, or if it is to be replaced, is damaged, or
        was interrupted."""
        rerun = run_id in self.reruns and self.is_rerun(run_id, self.store.mark(run_id))
        return None if rerun else self.store.find(run_id)

    def is_rerun(self, run_id: str, mark: Mark | None) -> bool:
        """Whether the record with this mark is to be replaced."""
        return run_id in self.reruns and self.reruns[run_id].mark == mark

    @property
    def to_replace(self) -> set[str]:
        """Ids of the recorded runs that are still to be made anew."""
        return {run_id for run_id in self.reruns if self.is_rerun(run_id, self.store.mark(run_id))}

    def is_due(self, run: Run) -> bool:
        return self.find(run.id) is None

    def has_room(self) -> bool:
        """Whether another run may start: fewer than `settings.jobs` are active, and memory is free for it."""
        if not self.active:
            return True
        if len(self.active) >= self.settings.jobs:
            return False
        free = psutil.virtual_memory().available
        if free > MEMORY_FACTOR * self.largest:
            return True
        if not self.short_of_memory:
            self.short_of_memory = True
            self.progress.note(
                f"only {gibibytes(free)} of memory are free, and a run took {gibibytes(self.largest)}: the next run waits"
            )
        return False

    def start(self, run: Run) -> bool:
        """Claims and starts a run. Returns False if another process has claimed or recorded it."""
        store = self.store
        store.require_place()
        if not store.claims.take(run.id):
            return False
        folder = None
        try:
            if not self.is_due(run):  # another process has recorded it since
                store.claims.release(run.id)
                return False
            instead_of, folder = store.mark(run.id), store.begin(run.id)
            place = min(set(range(self.settings.jobs)) - {one.place for one in self.active})
            request = request_of(
                run,
                self.settings,
                place=place,
                attempts=self.attempts(run),
                sources=as_plain(self.sources.get((run.task.label, run.model_label), {})),
                keep=self.spec.keep,
                checkpoint_every=self.spec.checkpoint_every,
                checkpoints=store.checkpoints(run.id).absolute() if self.leaves_files(run) else None,
            )
            self.progress.begin(run)
            supervisor = Supervisor(run, folder, request, self.spec.run_timeout, self.progress, read=store.read_in)
            self.active.append(Active(run, folder, place, supervisor, instead_of))
        except BaseException:  # whatever it is, nothing of a run that did not start may stay
            if folder is not None:
                store.drop(folder)
            store.claims.release(run.id)
            raise
        if self.is_rerun(run.id, instead_of):
            self.progress.note(f"{run.title}: {self.reruns[run.id].why}; archived once it is rerun")
        return True

    def leaves_files(self, run: Run) -> bool:
        """Whether an attempt leaves files for the next one: checkpoints, or files of a trainer that owns its model."""
        return bool(self.spec.checkpoint_every) or run.strategy.owns_model

    def attempts(self, run: Run) -> list[Attempt]:
        """Earlier attempts at this run, oldest first: those whose records were archived, and the one whose record stands."""
        known = self.store.attempts().get(run.id, [])
        with suppress(StoreError):
            last = attempt_of(self.store.read(run.id)) if self.store.has(run.id) else None
            known += [last] if last is not None else []
        return known

    def poll(self) -> list[Record]:
        """Waits a moment for messages of the active runs, handles them, and returns the records of the runs that have
        ended."""
        wait([each for one in self.active for each in one.supervisor.worker.waitables()], timeout=WAIT_SECONDS)
        self.store.require_place()
        ended = []
        for one in [*self.active]:
            record = one.supervisor.poll()
            self.largest = max(self.largest, one.supervisor.seen.memory)
            if record is not None:
                ended += self.publish(one, record)
            elif time.monotonic() - one.claimed > CLAIM_SECONDS:
                one.claimed = time.monotonic()
                if not self.owns(one):
                    ended += self.yield_run(one)
        return ended

    def publish(self, one: Active, record: Record) -> list[Record]:
        """Publishes the record of a run that has ended, and returns it in a list; an empty list if another process's record,
        or its run, counts instead."""
        title = one.run.title
        try:
            if record.failure is not None and not self.owns(one):
                self.hand_over(one)
                return []
            stands = self.store.publish(one.folder, one.run.id, instead_of=one.instead_of)
            if record.failure is None and not stands:
                self.progress.note(f"{title}: another process recorded it first, and its record is kept")
                return []
            self.progress.end(one.run, record)
            if not stands:
                self.progress.note(f"{title}: the record that was there is kept")
            return [record]
        finally:
            self.release(one)

    def owns(self, one: Active) -> bool:
        """Whether this process still holds the run's claim. A claim that was removed, and that no process has taken, is taken
        again."""
        claims, run_id = self.store.claims, one.run.id
        return claims.renew(run_id) or (self.store.mark(run_id) == one.instead_of and claims.take(run_id))

    def yield_run(self, one: Active) -> list[Record]:
        """Ends a run whose claim is lost, and hands it over. A record that is complete by now is published all the same, and
        returned in a list."""
        record = one.supervisor.stop("interrupted", "another process has taken it over")
        if record.failure is None:
            return self.publish(one, record)
        self.hand_over(one)
        return []

    def hand_over(self, one: Active) -> None:
        """Leaves a run to another process, which has taken over its claim while this process was suspended."""
        self.progress.note(f"{one.run.title}: another process has taken it over while this one was suspended")
        self.elsewhere.append(one.run)
        self.release(one)

    def interrupt(self) -> None:
        """Records each active run as interrupted, so that the next `bakeoff run` makes it again. A run whose record can't be
        written is made again too."""
        for one in [*self.active]:
            seconds = time.monotonic() - one.supervisor.worker.started
            with suppress(OSError):
                record = one.supervisor.stop("interrupted", f"stopped from outside after {with_decimals(seconds, 0)} s")
                self.publish(one, record)

    def release(self, one: Active) -> None:
        """Ends the run's process, and removes its folder and its claim. Its checkpoints are removed too, unless another
        attempt will continue from them."""
        if one not in self.active:
            return
        self.active.remove(one)
        try:
            one.supervisor.worker.end()
            self.store.drop(one.folder)
            left = self.store.find(one.run.id) if self.store.mark(one.run.id) != one.instead_of else None
            if left is not None and (left.failure is None or left.failure.reason not in RESUMABLE):
                self.store.drop_checkpoints(one.run.id)
        finally:
            self.store.claims.release(one.run.id)
