"""Writes the records of an experiment to a tracker: what it has not yet, and what changed.

The cursor is what the tracker says that it has. So an export that was killed goes on, a second one writes nothing, and records
from before are filled in. A run has a claim while it is written, so that two exports at once do not write it together; nothing
depends on that, since a tracker keeps one run under a key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.tracker import SUMMARY, TrackedExperiment, TrackedRun, Tracker
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.records.publishing import Mark
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import STEPS_FILE, Record, Timing
from bakeoff.records.store import Store
from bakeoff.report.tracked import summary_digest, tracked_run
from bakeoff.text.words import first_line, shown_path
from bakeoff.version import __version__

FOLDER: Final = "tracked"
"""Where trackers that write files put them, in the experiment's folder."""


@dataclass
class Exported:
    """What passes over the records have done."""

    written: list[str] = field(default_factory=list)
    """Names of the runs that were written now."""
    already: int = 0
    """How many runs the tracker had as they are."""
    held: int = 0
    """How many runs another command is writing to the tracker, by the last pass."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each record that can't be read."""
    summary: bool = False
    """Whether the summary was written now."""


class Exporter:
    """An experiment, a tracker, and what is known of both by now."""

    def __init__(
        self, store: Store, tracker: Tracker, options: Any, *, takes: Callable[[str], bool] = lambda run_id: True
    ) -> None:
        """options: the tracker's. takes: whether a run is to be written, by its id. Raises StoreError if the folder has no
        experiment."""
        self.store, self.tracker, self.options, self.takes = store, tracker, options, takes
        self.experiment = TrackedExperiment(store.declared().name, (store.folder / FOLDER).absolute())
        self._had: dict[str, str] | None = None
        """Key -> digest of what the tracker has; None before it was asked."""
        self._seen: dict[str, Mark | None] = {}
        """Run id -> mark of the record that was written, or that can't be."""

    def export(self, done: Exported) -> None:
        """Writes the recorded runs that the tracker lacks, and adds to `done`. Raises BakeoffError if it can't be written
        to."""
        done.held = 0
        names = RunNames.declared(self.store.declared())
        with self._calling():
            if self._had is None:
                self.tracker.check(self.experiment, self.options)
                self._had = dict(self.tracker.written(self.experiment, self.options))
        for run_id in filter(names.by_id.__contains__, self.store.recorded_ids()):
            if self.takes(run_id) and self._seen.get(run_id) != (mark := self.store.mark(run_id)):
                self._take(run_id, mark, names, done)

    def _take(self, run_id: str, mark: Mark | None, names: RunNames, done: Exported) -> None:
        """Writes one run, unless the tracker has it, or it was interrupted and so is still to be made."""
        run: TrackedRun | None = None
        try:
            record = self.store.read(run_id)
            if self._has(run_id, record.seal):
                done.already += 1
            elif not record.was_interrupted:
                run = tracked_run(record, names, self.store.steps(record) if STEPS_FILE in record.files else None)
        except StoreError as error:
            if not self.store.occupied(run_id):  # it is being replaced
                return
            done.damaged.append(str(error))
        if run is not None:
            if not self._write(run):
                done.held += 1
                return
            done.written.append(run.name)
        self._seen[run_id] = mark

    def summarise(self, done: Exported, summary: Callable[[Mapping[str, Record], str], TrackedRun]) -> None:
        """Writes the summary, unless the tracker has it or there is no record. summary: makes it from run id -> record, and its
        digest."""
        declared = self.store.declared()
        records = {record.id: record for record in self.store.read_all({run.id for run in declared.runs})[0]}
        if not records:
            return
        seals = {run_id: record.seal for run_id, record in records.items()}
        digest = summary_digest([declared.seal, __version__, *self._measured()], seals)
        if not self._has(SUMMARY, digest):
            done.summary = self._write(summary(records, digest))

    def _measured(self) -> list[str]:
        """What else a comparison reads: control runs, and what `bakeoff time` measured."""
        timings: list[Timing] = []
        with suppress(StoreError):
            timings = self.store.timings()
        return [part.model_dump_json() for part in (*self.store.controls()[0], *timings)]

    def shown(self) -> str:
        """Where the runs can be seen."""
        with self._calling():
            return self.tracker.shown(self.experiment, self.options)

    def _has(self, key: str, digest: str) -> bool:
        return (self._had or {}).get(key) == digest

    def _write(self, run: TrackedRun) -> bool:
        """Writes a run. Returns whether it was written: not if another command is writing it."""
        with self._claimed(run.key) as ours:
            if ours:
                with self._calling():
                    self.tracker.write(run, self.experiment, self.options)
                if self._had is not None:
                    self._had[run.key] = run.digest
            return ours

    @contextmanager
    def _claimed(self, key: str) -> Iterator[bool]:
        """A context in which no other export writes the run; gives False if another one does. Where nothing can be written
        beside the records, there are no claims."""
        claims, name = self.store.claims, f"export-{self.tracker.name.replace('/', '-')}-{key}"
        try:
            ours = claimed = claims.take(name)
        except (OSError, StoreError):
            ours, claimed = True, False
        try:
            yield ours
        finally:
            if claimed:
                with suppress(OSError, StoreError):
                    claims.release(name)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """A context for calls of the tracker: what it prints is no result, and errors of the machine become one line."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except OSError as error:
            place = f"{shown_path(error.filename)}: " if isinstance(error.filename, str | Path) else ""
            raise BakeoffError(f"{place}{error.strerror or first_line(error)}") from error
