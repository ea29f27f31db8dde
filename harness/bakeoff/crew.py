"""Runs under way: started where there is room for them, watched, published; those of other processes waited for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from bakeoff.plan import Run
from bakeoff.process import WAIT_SECONDS
from bakeoff.record import Record
from bakeoff.records.provenance import Facts, as_plain
from bakeoff.spec import Spec
from bakeoff.store import Store
from bakeoff.supervision import Progress, Settings, Supervised, request_of

TOUCH_SECONDS = 10.0

ROOM = 1.2
"""How much more memory than the largest run took must be free before another one starts."""


TO_BE_RESUMED = {"interrupted", "crashed", "timed out", "out of memory"}
"""Failures after which another attempt goes on from a checkpoint: its steps were right as far as they went."""


@dataclass
class UnderWay:
    """A run that this process has claimed and started."""

    run: Run
    folder: Path
    place: int
    supervised: Supervised
    touched: float = field(default_factory=time.monotonic)


class Crew:
    """Up to `settings.jobs` runs at the same time."""

    def __init__(
        self, spec: Spec, store: Store, settings: Settings, progress: Progress, sources: Mapping[tuple[str, str], Facts]
    ) -> None:
        """`sources` are what runs of a task and a model, by their labels, are made from."""
        self.spec, self.store, self.settings, self.progress, self.sources = spec, store, settings, progress, sources
        self.under_way: list[UnderWay] = []
        self.largest = 0
        """Bytes of memory of the largest run so far."""
        self.short_of_memory = False

    def make(self, runs: Sequence[Run]) -> list[Record]:
        """The records of those of these runs that were not recorded yet; a run that other processes have claimed is waited
        for, and taken over when its owner dies."""
        todo = deque(run for run in runs if not self.store.has(run.id))
        elsewhere: list[Run] = []
        done: list[Record] = []
        waits = False
        try:
            while todo or elsewhere or self.under_way:
                while todo and self.has_room():
                    run = todo.popleft()
                    if not self.start(run) and self.store.find(run.id) is None:
                        elsewhere.append(run)
                if self.under_way:
                    done += self.look()
                elif elsewhere:
                    if not waits:
                        waits, many = True, f"{len(elsewhere)} run{'s' if len(elsewhere) > 1 else ''}"
                        self.progress.note(f"waiting for {many} that another process has claimed ...")
                    time.sleep(1.0)
                if not todo:
                    todo.extend(run for run in elsewhere if self.store.find(run.id) is None)
                    elsewhere.clear()
        except KeyboardInterrupt:
            self.interrupt()
            raise
        finally:
            for one in [*self.under_way]:
                self.let_go(one)
        return done

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
                f"only {free / 2**30:.1f} GiB of memory are free, and a run took {self.largest / 2**30:.1f}: the next one waits"
            )
        return False

    def start(self, run: Run) -> bool:
        """Whether the run is under way now; not where another process has it or has recorded it."""
        store = self.store
        if store.find(run.id) is not None or not store.claim(run.id):
            return False
        folder = None
        try:
            if store.find(run.id) is not None:  # recorded between the look and the claim
                store.release(run.id)
                return False
            if store.occupied(run.id):  # another process was interrupted at it
                store.set_aside(run.id)
            folder = store.begin(run.id)
            place = min(set(range(self.settings.jobs)) - {one.place for one in self.under_way})
            request = request_of(
                run,
                self.settings,
                place=place,
                attempts=store.attempts(run.id),
                sources=as_plain(self.sources.get((run.task.label, run.model.label), {})),
                keep=self.spec.keep,
                checkpoint_every=self.spec.checkpoint_every,
                checkpoints=store.checkpoints(run.id) if self.spec.checkpoint_every else None,
            )
            self.progress.begin(run)
            supervised = Supervised(run, folder, request, self.spec.run_timeout, self.progress, read=store.read_in)
            self.under_way.append(UnderWay(run, folder, place, supervised))
        except BaseException:
            if folder is not None:
                store.drop(folder)
            store.release(run.id)
            raise
        return True

    def look(self) -> list[Record]:
        """The records of the runs that have ended, after waiting a moment for a word of any."""
        wait([source for one in self.under_way for source in one.supervised.worker.sources()], timeout=WAIT_SECONDS)
        ended = []
        for one in [*self.under_way]:
            record = one.supervised.look()
            self.largest = max(self.largest, one.supervised.seen.memory)
            if record is not None:
                ended += self.publish(one, record)
            elif time.monotonic() - one.touched > TOUCH_SECONDS:
                self.store.touch(one.run.id)
                one.touched = time.monotonic()
        return ended

    def publish(self, one: UnderWay, record: Record) -> list[Record]:
        """The record, where it is the first of its run."""
        try:
            if not self.store.publish(one.folder, one.run.id):
                self.progress.note(f"{one.run.title}: another process recorded it first; that record stands")
                return []
            if record.failure is None or record.failure.reason not in TO_BE_RESUMED:
                self.store.drop_checkpoints(one.run.id)
            self.progress.end(one.run, record)
            return [record]
        finally:
            self.let_go(one)

    def interrupt(self) -> None:
        """Leaves a record of each run under way that says so: it is made again next time."""
        for one in [*self.under_way]:
            seconds = time.monotonic() - one.supervised.worker.started
            self.publish(one, one.supervised.stop("interrupted", f"stopped from outside after {seconds:.0f} s"))

    def let_go(self, one: UnderWay) -> None:
        one.supervised.worker.end()
        self.under_way.remove(one)
        self.store.drop(one.folder)
        self.store.release(one.run.id)
