"""Runs under way: started where there is room for them, watched, published; those of other processes waited for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.worker_process import WAIT_SECONDS
from bakeoff.planning.runs import Run
from bakeoff.records.provenance import Facts, as_plain
from bakeoff.records.publishing import Mark, attempt_of
from bakeoff.records.schema import Attempt, Record
from bakeoff.records.store import Store
from bakeoff.runner.settings import Progress, Settings, request_of
from bakeoff.runner.supervisor import Supervised
from bakeoff.spec.experiment_file import Spec
from bakeoff.text.numbers import gibibytes, with_decimals

TOUCH_SECONDS = 10.0

ROOM = 1.2
"""How much more memory than the largest run took must be free before another one starts."""


TO_BE_RESUMED = {"interrupted", "crashed", "timed out", "out of memory"}
"""Failures after which another attempt goes on from a checkpoint: its steps were right as far as they went."""


@dataclass(frozen=True)
class Again:
    """A record of which was decided that its run is made again."""

    mark: Mark
    """Of the record: another that stands there by the time that the run begins is not meant."""
    why: str


@dataclass
class UnderWay:
    """A run that this process has claimed and started."""

    run: Run
    folder: Path
    place: int
    supervised: Supervised
    instead_of: Mark | None
    """What stands at the run's place, and is made again by this."""
    touched: float = field(default_factory=time.monotonic)


class Crew:
    """Up to `settings.jobs` runs at the same time."""

    def __init__(
        self,
        spec: Spec,
        store: Store,
        settings: Settings,
        progress: Progress,
        *,
        sources: Mapping[tuple[str, str], Facts],
        again: Mapping[str, Again],
    ) -> None:
        """`sources` are what runs of a task and a model, by their labels, are made from; `again` says which recorded runs, by
        id, are made again."""
        self.spec, self.store, self.settings, self.progress = spec, store, settings, progress
        self.sources, self.again = sources, again
        self.under_way: list[UnderWay] = []
        self.elsewhere: list[Run] = []
        """Runs that another process has claimed."""
        self.largest = 0
        """Bytes of memory of the largest run so far."""
        self.short_of_memory = False

    def make(self, runs: Sequence[Run]) -> list[Record]:
        """The records of those of these runs that were due, as this process made them; a run that other processes have claimed
        is waited for, and taken over when its owner dies."""
        todo = deque(run for run in runs if self.is_due(run))
        done: list[Record] = []
        waits = False
        try:
            while todo or self.elsewhere or self.under_way:
                while todo and self.has_room():
                    run = todo.popleft()
                    if not self.start(run) and self.is_due(run):
                        self.elsewhere.append(run)
                if self.under_way:
                    done += self.look()
                elif self.elsewhere:
                    if not waits:
                        waits, many = True, f"{len(self.elsewhere)} run{'s' if len(self.elsewhere) > 1 else ''}"
                        self.progress.note(f"waiting for {many} that another process has claimed ...")
                    time.sleep(1.0)
                if not todo:
                    todo.extend(run for run in self.elsewhere if self.is_due(run))
                    self.elsewhere.clear()
        except BaseException as error:
            if is_interrupt(error):
                self.interrupt()
            raise
        finally:
            for one in [*self.under_way]:
                self.let_go(one)
        return done

    def find(self, run_id: str) -> Record | None:
        """The run's record that stays; None where there is none, or where what stands there is to be made again, is damaged, or
        was interrupted."""
        again = self.again.get(run_id)
        if again is not None and again.mark == self.store.mark(run_id):
            return None
        return self.store.find(run_id)

    def is_due(self, run: Run) -> bool:
        return self.find(run.id) is None

    def has_room(self) -> bool:
        """Whether another run may start: a place is free, and memory for one more like the largest so far."""
        if not self.under_way:
            return True
        if len(self.under_way) >= self.settings.jobs:
            return False
        import psutil

        free = psutil.virtual_memory().available
        if free > ROOM * self.largest:
            return True
        if not self.short_of_memory:
            self.short_of_memory = True
            self.progress.note(
                f"only {gibibytes(free)} of memory are free, and a run took {gibibytes(self.largest)}: the next one waits"
            )
        return False

    def start(self, run: Run) -> bool:
        """Whether the run is under way now; not where another process has it or has recorded it."""
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
            place = min(set(range(self.settings.jobs)) - {one.place for one in self.under_way})
            request = request_of(
                run,
                self.settings,
                place=place,
                attempts=self.attempts(run),
                sources=as_plain(self.sources.get((run.task.label, run.model.label), {})),
                keep=self.spec.keep,
                checkpoint_every=self.spec.checkpoint_every,
                checkpoints=store.checkpoints(run.id).absolute() if self.spec.checkpoint_every else None,
            )
            self.progress.begin(run)
            supervised = Supervised(run, folder, request, self.spec.run_timeout, self.progress, read=store.read_in)
            self.under_way.append(UnderWay(run, folder, place, supervised, instead_of))
        except BaseException:
            if folder is not None:
                store.drop(folder)
            store.claims.release(run.id)
            raise
        if run.id in self.again and self.again[run.id].mark == instead_of:
            self.progress.note(f"{run.title}: {self.again[run.id].why}; set aside once it is made again")
        return True

    def attempts(self, run: Run) -> list[Attempt]:
        """At this run so far, oldest first: those that were set aside, and what stands there."""
        known = self.store.attempts().get(run.id, [])
        with suppress(StoreError):
            last = attempt_of(self.store.read(run.id)) if self.store.has(run.id) else None
            known += [last] if last is not None else []
        return known

    def look(self) -> list[Record]:
        """The records of the runs that have ended, after waiting a moment for a word of any."""
        wait([each for one in self.under_way for each in one.supervised.worker.waitables()], timeout=WAIT_SECONDS)
        self.store.require_place()
        ended = []
        for one in [*self.under_way]:
            record = one.supervised.look()
            self.largest = max(self.largest, one.supervised.seen.memory)
            if record is not None:
                ended += self.publish(one, record)
            elif time.monotonic() - one.touched > TOUCH_SECONDS:
                one.touched = time.monotonic()
                if not self.owns(one):
                    self.leave(one)
        return ended

    def publish(self, one: UnderWay, record: Record) -> list[Record]:
        """The record, where it is the run's now, or failed beside a better one."""
        title = one.run.title
        try:
            if record.failure is not None and not self.owns(one):
                self.leave(one)
                return []
            stands = self.store.publish(one.folder, one.run.id, instead_of=one.instead_of)
            if record.failure is None and not stands:
                self.progress.note(f"{title}: another process recorded it first; that record stands")
                return []
            self.progress.end(one.run, record)
            if not stands:
                self.progress.note(f"{title}: the record that is there stands")
            return [record]
        finally:
            self.let_go(one)

    def owns(self, one: UnderWay) -> bool:
        """Whether the run is this process's still. A claim that somebody has removed, and nobody taken over, is made again."""
        claims, run_id = self.store.claims, one.run.id
        return claims.keep(run_id) or (self.store.mark(run_id) == one.instead_of and claims.take(run_id))

    def leave(self, one: UnderWay) -> None:
        """Leaves a run to the process that has taken it over, while this one was suspended: whatever it came to here, that one
        makes it."""
        self.progress.note(f"{one.run.title}: another process has taken it over; it is left to that one")
        self.elsewhere.append(one.run)
        self.let_go(one)

    def interrupt(self) -> None:
        """Leaves a record of each run under way that says so: it is made again next time, and also where there was no room for
        that record."""
        for one in [*self.under_way]:
            seconds = time.monotonic() - one.supervised.worker.started
            with suppress(OSError):
                self.publish(
                    one, one.supervised.stop("interrupted", f"stopped from outside after {with_decimals(seconds, 0)} s")
                )

    def let_go(self, one: UnderWay) -> None:
        """Ends what is left of a run here. Its checkpoints go once a record stands that nobody will go on from."""
        if one not in self.under_way:
            return
        self.under_way.remove(one)
        try:
            one.supervised.worker.end()
            self.store.drop(one.folder)
            left = self.store.find(one.run.id) if self.store.mark(one.run.id) != one.instead_of else None
            if left is not None and (left.failure is None or left.failure.reason not in TO_BE_RESUMED):
                self.store.drop_checkpoints(one.run.id)
        finally:
            self.store.claims.release(one.run.id)
