"""The promises of an engine, checked by jobs that take seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest import SkipTest

from bakeoff.contracts.engine import NUMBER, EngineJob, JobBatch, Needs
from bakeoff.errors import BakeoffError
from bakeoff.files import read_regular, temporary_folder
from bakeoff.testing.contract import Contract

ANSWER_SECONDS: Final = 5
"""Within so many seconds `check` must say that an engine can't be reached."""
VARIABLE, VALUE = "BAKEOFF_TRIED", "a value; with $signs"
WRITES: Final = (
    "import os, sys, pathlib\n"
    "folder, number = sys.argv[1:]\n"
    f"told = os.getcwd() + chr(10) + os.environ.get({VARIABLE!r}, '')\n"
    "pathlib.Path(folder, 'made-' + number).write_text(told)\n"
    "print('printed by', number)"
)
"""What a job does: writes its working directory and a variable of its environment into a file."""
AFTER: Final = f"import os, sys\nfor number in range(3): os.stat(os.path.join(sys.argv[1], f'made-{{number}}'))\n{WRITES}"
"""What comes after three jobs does: the same, and fails if one of them has not written its file."""
SLEEPS: Final = "import time; time.sleep(600)"


class EngineContract(Contract):
    """Tests that every Engine must pass. They are skipped where its `check` says that it can't be reached."""

    seconds: ClassVar[int] = 60
    """How long the engine may take to start, or to end, a few jobs."""

    def test_it_performs_all_jobs_and_then_goes_on(self) -> None:
        """Checks that each job has its number, working directory and environment, and that `then` comes after all of them."""
        self.reached()
        with temporary_folder() as folder:
            batch = self.batch(folder, WRITES, 3, then=AFTER)
            handles = self.submitted(batch)
            if len({*handles}) != 3 or not all(isinstance(one, str) and one for one in handles):
                self.broken(f"`submit` gives the handles {handles} for 3 jobs; give each a text of its own")
            self.wait(lambda: self.states(handles) == ["gone"] * 3, f"3 short jobs have not ended within {self.seconds} s")
            self.wait((folder / "made-then").is_file, "what comes after the jobs was not performed, or before them")
            for name in ("made-0", "made-1", "made-2", "made-then"):
                where, value = text_of(folder / name).split("\n")
                if not Path(where).samefile(batch.directory):
                    self.broken(f"{name}: its working directory was {where}, not that of the batch")
                if value != VALUE:
                    self.broken(f"{name}: the batch's variable {VARIABLE} was {value!r} there, not {VALUE!r}")
            for job in batch.jobs:
                if not job.log.is_file() or f"printed by {job.number}" not in text_of(job.log):
                    self.broken(f"what job {job.number} printed is not in its log")

    def test_a_cancelled_job_ends_and_a_waiting_one_never_begins(self) -> None:
        self.reached()
        with temporary_folder() as folder:
            first = self.submitted(self.batch(folder, SLEEPS, 2, at_once=1))
            self.wait(
                lambda: sorted(self.states(first)) == ["running", "waiting"], "with `at_once=1` one of two jobs must wait"
            )
            self.component.cancel(first, self.chosen())
            self.wait(lambda: self.states(first) == ["gone"] * 2, f"cancelled jobs have not ended within {self.seconds} s")
            self.component.cancel(first, self.chosen())  # of jobs that are gone: no error

    def test_it_answers_soon_what_it_cannot_give(self) -> None:
        self.ready()
        began = time.monotonic()
        try:
            self.component.check(Needs(threads=100_000, seconds=600), self.chosen())
        except BakeoffError:
            if time.monotonic() - began > 2 * ANSWER_SECONDS:
                self.broken(f"`check` took over {2 * ANSWER_SECONDS} s to refuse; {ANSWER_SECONDS} s are the most")
            return
        self.broken("`check` accepts jobs of 100,000 threads; they would wait for ever without a word")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def reached(self) -> None:
        """Skips the test if the engine can't be reached."""
        self.ready()
        try:
            self.component.check(Needs(threads=1, seconds=600), self.chosen())
        except BakeoffError as error:
            raise SkipTest(str(error)) from None

    def batch(self, folder: Path, code: str, jobs: int, *, then: str = "", at_once: int | None = None) -> JobBatch:
        """Jobs that perform a piece of Python, with the folder and their numbers as arguments."""
        return JobBatch(
            name="bakeoff-tried",
            folder=folder,
            directory=folder.parent,
            words=(sys.executable, "-c", code, str(folder), NUMBER),
            jobs=tuple(EngineJob(number, (f"run {number}",), folder / f"job-{number}.log") for number in range(jobs)),
            needs=Needs(threads=1, seconds=600, at_once=at_once),
            environment={VARIABLE: VALUE},
            then=(sys.executable, "-c", then, str(folder), "then") if then else (),
        )

    def submitted(self, batch: JobBatch) -> list[str]:
        """Submits the jobs; returns their handles in order."""
        found: dict[int, str] = {}
        for handles in self.component.submit(batch, self.chosen()):
            found |= handles
        if found.keys() != {job.number for job in batch.jobs}:
            self.broken(f"`submit` gives handles of jobs {sorted(found)}; the batch has {len(batch.jobs)}")
        return [found[job.number] for job in batch.jobs]

    def states(self, handles: Sequence[str]) -> list[str]:
        said: Any = self.component.status(handles, self.chosen())
        if missing := [handle for handle in handles if handle not in said]:
            self.broken(f"`status` says nothing of {missing}; a job that the engine does not know is gone")
        return [said[handle].state for handle in handles]

    def wait(self, happened: Callable[[], bool], otherwise: str) -> None:
        """Waits until something has happened; breaks the promise with the sentence if it never does."""
        until = time.monotonic() + self.seconds
        while not happened():
            if time.monotonic() > until:
                self.broken(otherwise)
            time.sleep(0.1)


def text_of(path: Path) -> str:
    return read_regular(path).decode(errors="replace")
