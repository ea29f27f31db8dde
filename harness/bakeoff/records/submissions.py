"""What was submitted to engines (clusters): the jobs with their handles, and how each of them ended.

A submission is a folder `submitted/NUMBER` beside the records: `submission.json`, and for each job `job-N.json`, which the job
itself writes on its node, and `job-N.log`, what it printed. Git ignores all of it, since it names hosts and paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import Tree, read_regular
from bakeoff.text.words import shown_path

FOLDER: Final = "submitted"
THEN: Final = "then"
"""Names the command that follows all jobs of a submission, in its command line and files."""
FILE: Final = "submission.json"
CANCELLED: Final = "cancelled.json"
MOST_BYTES: Final = 2**28
"""The largest size of a submission's file in bytes; a job takes some 100 and its runs 25 each."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SubmittedJob(_Part):
    """One job of a submission."""

    number: int
    runs: list[str]
    """Ids of its runs."""
    handle: str = ""
    """By which the engine finds it; empty if it was not submitted."""


class Submission(_Part):
    """Jobs that one call of `bakeoff submit` submitted."""

    format: Literal[1] = 1
    engine: str
    options: dict[str, Any]
    """The engine's options."""
    folder: str
    """The absolute path of the submission's folder when it was made: a copy of the folder has no jobs."""
    begun: str
    """Date and time, ISO 8601, UTC."""
    phase: str
    """What the runs are: `trials`, `look 2 of 5`, or `runs`."""
    jobs: list[SubmittedJob] = Field(min_length=1)
    asked: list[str] = []
    """The words of `bakeoff submit` with which the same was asked for, but for the experiment's own."""

    def with_handles(self, handles: Mapping[int, str]) -> Submission:
        """A copy with the handles (number of the job -> handle) of jobs that were submitted now."""
        jobs = [job.model_copy(update={"handle": handles.get(job.number, job.handle)}) for job in self.jobs]
        return self.model_copy(update={"jobs": jobs})


class JobNote(_Part):
    """What a job writes of itself, when it begins and when it ends."""

    format: Literal[1] = 1
    host: str
    begun: str
    """Date and time, ISO 8601, UTC."""
    ended: str | None = None
    """None while it runs, and for a job that was killed."""
    code: int | None = None
    """Exit code of `bakeoff run`; minus the number of the signal if one ended it."""
    reason: str = ""
    """The end of what it printed, if it did not end well."""


class Cancelled(_Part):
    """That jobs of a submission were cancelled: no other phase follows them."""

    format: Literal[1] = 1
    when: str
    """Date and time, ISO 8601, UTC."""
    jobs: list[int]
    """The numbers of the jobs that waited or ran then."""


class Submissions:
    """The submissions of one experiment."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        """folder: of the experiment, the tree's root."""
        self.tree, self.folder = tree, folder / FOLDER

    def all(self) -> Iterator[tuple[Path, Submission]]:
        """Yields each submission with its folder, the newest first, without those that a copied folder brought with it. Raises
        DamageError for one that can't be read."""
        for number in sorted(self._numbers(), reverse=True):
            place = self.folder / str(number)
            with suppress(FileNotFoundError):  # a submission that was killed before its first job
                submission = read_submission(place)
                if Path(submission.folder) == place.resolve():
                    yield place, submission

    def next_folder(self) -> Path:
        """The folder that the next submission gets."""
        return self.folder / str(max(self._numbers(), default=0) + 1)

    def begin(self) -> Path:
        """Makes the folder of a new submission."""
        self.tree.make(self.folder)
        self.tree.write(self.folder / ".gitignore", b"*\n", synced=False)
        return self.tree.make_fresh(self.next_folder())

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and path.name.isascii()]

    def write(self, place: Path, submission: Submission) -> None:
        self.tree.write(place / FILE, _content(submission))

    def write_cancelled(self, place: Path, cancelled: Cancelled) -> None:
        """Notes that a submission was cancelled, now or by an earlier call too."""
        if (before := cancelled_in(place)) is not None:
            cancelled = cancelled.model_copy(update={"jobs": sorted({*before.jobs, *cancelled.jobs})})
        self.tree.write(place / CANCELLED, _content(cancelled))


Kind = TypeVar("Kind", bound=_Part)


def read_submission(place: Path) -> Submission:
    """The submission in a folder. Raises FileNotFoundError if it has none, DamageError if it can't be used."""
    return _read(Submission, place / FILE)


def cancelled_in(place: Path) -> Cancelled | None:
    """How the submission in a folder was cancelled; None if it was not, or that can't be read."""
    with suppress(FileNotFoundError, StoreError):
        return _read(Cancelled, place / CANCELLED)
    return None


def note_of(place: Path, number: int | None) -> JobNote | None:
    """What a job has written of itself; None if it wrote nothing, or nothing that can be read. number: None for the command
    that follows all jobs."""
    with suppress(FileNotFoundError, StoreError):
        return _read(JobNote, _note_file(place, number))
    return None


def write_note(place: Path, number: int | None, note: JobNote) -> None:
    """Writes a job's note into the submission's folder. number: as in `note_of`. Raises OSError."""
    Tree(place).write(_note_file(place, number), _content(note), synced=False)


def log_file(place: Path, number: int) -> Path:
    """The file with what a job printed."""
    return place / f"job-{number}.log"


def _note_file(place: Path, number: int | None) -> Path:
    return place / (f"{THEN}.json" if number is None else f"job-{number}.json")


def _content(part: _Part) -> bytes:
    return f"{part.model_dump_json(indent=1, ensure_ascii=True)}\n".encode()


def _read(kind: type[Kind], path: Path) -> Kind:
    try:
        return kind.model_validate_json(read_regular(path, at_most=MOST_BYTES))
    except FileNotFoundError:
        raise
    except (ValidationError, ValueError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DamageError(f"{shown_path(path)} is not what Bakeoff writes there ({why}); remove its folder") from None
    except OSError as error:
        raise StoreError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
