"""Engines: what starts the worker processes of an experiment on other machines, such as a cluster's scheduler."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from bakeoff.contracts.component import Component

NUMBER: Final = "{number}"
"""The word of a batch's command line that stands for the number of a job."""


@dataclass(frozen=True)
class Needs:
    """What each job of a batch needs."""

    threads: int
    """CPU threads."""
    gpus: int = 0
    memory: int | None = None
    """Main memory in bytes; None where that is not known."""
    seconds: int | None = None
    """The time limit of a job, in seconds; None for no limit."""
    at_once: int | None = None
    """The most jobs of the batch that may run at the same time; None for no limit."""


@dataclass(frozen=True)
class EngineJob:
    """One process that makes some runs, one after another."""

    number: int
    """From 0, within its batch."""
    runs: tuple[str, ...]
    """Names of its runs, for people."""
    log: Path
    """File for what it prints; its folder exists."""


@dataclass(frozen=True)
class JobBatch:
    """Jobs that are submitted together. They share a folder, and depend on one another in nothing."""

    name: str
    """For the engine's own lists: letters, digits, `.`, `_` and `-`."""
    folder: Path
    """An existing folder of the batch's own, which the engine may write files of its own to; all nodes see it."""
    directory: Path
    """The working directory of the jobs."""
    words: tuple[str, ...]
    """The command line of each job, with `NUMBER` in place of its number."""
    jobs: tuple[EngineJob, ...]
    needs: Needs
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that all processes of the batch get, whatever else the engine gives them."""
    then: tuple[str, ...] = ()
    """A command line to be performed, in the same directory, when all the jobs have ended, however they ended; empty for none.
    What it prints goes to `then.log` in the folder."""

    def words_of(self, job: EngineJob) -> list[str]:
        """The job's command line."""
        return [str(job.number) if word == NUMBER else word for word in self.words]


@dataclass(frozen=True)
class JobState:
    """What an engine knows of a job."""

    state: Literal["waiting", "running", "gone"]
    """`gone`: it has ended, was cancelled, or is unknown to the engine."""
    reason: str = ""
    """What it waits for, where it runs, or how it ended, in the engine's words; may be empty."""


class Engine(Component):
    """Starts jobs on other machines, or later on this one; chosen by `bakeoff submit --to NAME`.

    It owns nothing of the experiment: a job is a command line, and whether its runs are made is seen from their records. Its
    options are those of the command line: `--partition main` for a field `partition`.
    """

    kind = "engine"
    needs_time: ClassVar[bool] = False
    """Whether every job must have a time limit."""

    @abstractmethod
    def check(self, needs: Needs, options: Any) -> None:
        """Raises BakeoffError, within 5 seconds, if the engine can't be reached, or can never give what these options and needs
        ask for; the message says what to do."""

    @abstractmethod
    def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
        """Submits all jobs; yields, each time that some are submitted, the number of each -> its handle, a text by which this
        engine finds the job again from another process. Raises BakeoffError where the engine refuses; what was yielded before
        stays submitted."""

    def preview(self, batch: JobBatch, options: Any) -> str:
        """What would be submitted, as text for `--dry-run`."""
        return "\n".join(" ".join(batch.words_of(job)) for job in batch.jobs)

    @abstractmethod
    def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
        """The state of each of these jobs. Raises BakeoffError if the engine can't be asked; a job that it does not know is
        `gone`."""

    @abstractmethod
    def cancel(self, handles: Sequence[str], options: Any) -> None:
        """Asks these jobs to end, so that their runs are recorded as interrupted, and takes waiting ones back. Jobs that are
        gone are no error. Raises BakeoffError if the engine can't be asked."""
