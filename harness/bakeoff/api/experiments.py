"""Opens and runs experiments that a Python program gives: the work of the functions of `bakeoff.api`, and what `bakeoff.run`
returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from bakeoff.api.building import safe
from bakeoff.api.comparisons import Comparisons
from bakeoff.api.results import Results
from bakeoff.api.rows import FOLDER, GivenRows, note_of_other_rows, other_rows, with_rows
from bakeoff.cli import run as command
from bakeoff.cli.data_folders import NOT_TOLD, DataFolders
from bakeoff.cli.inputs import Called, find_paths, indexed_store, plan_of, require_text
from bakeoff.cli.progress import make_progress
from bakeoff.cli.trust import agreed
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import StoreError
from bakeoff.files import Tree, temporary_folder
from bakeoff.machine.caller import as_a_guest
from bakeoff.machine.hardware import usable_threads
from bakeoff.machine.surroundings import prepare_surroundings
from bakeoff.planning.runs import Plan
from bakeoff.planning.selection import select
from bakeoff.records.ownership import require_owner
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration
from bakeoff.runner.settings import Settings
from bakeoff.spec.document import Document
from bakeoff.spec.given import Given, document_of, is_given
from bakeoff.text.words import shown_path

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Opened:
    """An experiment that a program gave, resolved, with the folders that belong to it."""

    document: Document
    plan: Plan
    store: Store
    paths: Paths
    rows: GivenRows | None
    """The rows that were given as `data`; None where the tasks read files or a built-in data set."""
    called: Called
    """How the experiment is named on a command line once it is stored, for the commands that messages advise."""

    @contextmanager
    def readable(self) -> Iterator[Paths]:
        """A context in which the given rows lie in a temporary folder; gives the paths by which they are found."""
        with temporary_folder() as folder:
            if self.rows is None:
                yield self.paths
            else:
                self.rows.store(folder)
                yield replace(self.paths, given=folder)


def open_given(spec: Given, data: object, into: str | Path | None) -> Opened:
    """Reads and resolves an experiment, and takes its rows; stores nothing. spec, data, into: as for `bakeoff.run`. Raises
    SpecError with all errors, DataError for rows that can't be stored."""
    prepare_surroundings()
    read = document_of(spec)
    folders = _folders(data)
    rows = with_rows(read, data, load_registry()) if data is not None and folders == NOT_TOLD else None
    document = rows.document if rows else read
    plan = plan_of(document)
    paths = find_paths(folders, None if is_given(read) else read.path)
    results = Path(into) if into is not None else Path(plan.spec.name) if is_given(document) else read.path.parent
    require_text(results)
    command.require_own_name(document.path)
    if rows is not None and not is_given(read) and results.resolve() == read.path.resolve().parent:
        raise StoreError(
            f"{shown_path(read.path)} does not name the rows that were passed as data=, so their results cannot lie "
            "beside it; give another folder by into="
        )
    stored = results / document.path.name if is_given(document) else read.path
    called = Called(stored, None if stored.parent == results else results, folders)
    return Opened(document, plan, indexed_store(results), paths, rows, called)


def _folders(data: object) -> DataFolders:
    """The folders of datasets, if `data` is a path, or a mapping from names to paths; else NOT_TOLD."""
    if isinstance(data, str | PurePath):
        return DataFolders(Path(data))
    if isinstance(data, Mapping) and data and all(isinstance(path, str | PurePath) for path in data.values()):
        return DataFolders(None, {str(name): Path(path) for name, path in data.items()})
    return NOT_TOLD


def agreed_here(document: Document, plan: Plan, *, trust: bool) -> str:
    """The hash of the commands that the program agrees to by `trust`, for `Settings.trusted`; the user is not asked. Raises
    BakeoffError where nobody has agreed."""
    return agreed(document, plan, trust=trust, remedy="pass trust=True", may_ask=False)


def run(
    spec: Given,
    *,
    data: object,
    into: str | Path | None,
    only: str | Sequence[str],
    trust: bool,
    progress: bool,
    **more: Any,
) -> Finished:
    """As `bakeoff.run`."""
    opened = open_given(spec, data, into)
    names = [only] if isinstance(only, str) else list(only)
    document, plan, store = opened.document, select(opened.plan, names, opened.store.find), opened.store
    jobs, threads = more["jobs"], more["threads"]
    more["trusted"] = agreed_here(document, plan, trust=trust)
    more["threads"] = threads or max(1, usable_threads() // jobs)
    require_owner(store, declaration(document, plan), document.path, document.content)
    notes = notes_of_other_rows(opened)
    with as_a_guest(), make_progress(shown=progress) as hears, stored(opened) as paths:
        for note in notes:
            hears.note(note)
        settings = Settings(paths=paths, **more)
        outcome = command.make(document, plan, store, settings, hears)
    return Finished(command.finish(outcome, plan, store, only=names), store.folder)


def notes_of_other_rows(opened: Opened) -> list[str]:
    """A caution if the folder has records of runs on other rows than the given ones; else empty."""
    store = opened.store
    splits = other_rows(opened.document, store.folder / opened.document.path.name) if opened.rows else []
    recorded = len(store.read_all()[0]) if splits else 0
    return [note_of_other_rows(splits, recorded, store.folder)] if recorded else []


@contextmanager
def stored(opened: Opened) -> Iterator[Paths]:
    """A context in which the given rows lie in the folder of the results; gives the paths by which they are found. If it ends
    by an error before the plan is written, the rows are removed again."""
    if opened.rows is None:
        yield opened.paths
        return
    store = opened.store
    before = {name for name in ("", *opened.rows.tables) if (store.folder / name).exists()}
    opened.rows.store(store.folder)
    try:
        yield replace(opened.paths, given=store.folder.absolute())
    finally:
        if not store.plan_file.is_file():
            tree = Tree(store.folder)
            for name in opened.rows.tables.keys() - before:
                tree.remove(store.folder / name)
            tree.remove_empty(store.folder / FOLDER)
            if "" not in before:
                Tree(store.folder.parent).remove_empty(store.folder)


@dataclass(frozen=True, repr=False)
class Finished:
    """The result of `bakeoff.run`: what the call has done, and the tables of all that is recorded by now."""

    finished: command.Finished
    folder: Path
    """The folder of records and tables."""

    @property
    def complete(self) -> bool:
        """Whether every run succeeded, and kept its model if the experiment says `keep: final`."""
        return self.finished.complete

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        return self.finished.summary

    @cached_property
    def results(self) -> Results:
        """What `bakeoff.load` returns for the folder: runs, predictions and steps."""
        return Results(self.finished.reading.experiment)

    @cached_property
    def comparison(self) -> Comparisons:
        """What `bakeoff.compare` returns for the results."""
        return Comparisons(self.finished.reading.comparison)

    @property
    def recommendation(self) -> str:
        """As `Comparisons.recommendation`."""
        return self.comparison.recommendation

    @property
    def answer(self) -> str:
        """As `Comparisons.answer`."""
        return self.comparison.answer

    @property
    def runs(self) -> pd.DataFrame:
        """As `Results.runs`."""
        return self.results.runs

    @property
    def leaderboard(self) -> pd.DataFrame:
        """As `Comparisons.leaderboard`."""
        return self.comparison.leaderboard

    @property
    def pairs(self) -> pd.DataFrame:
        """As `Comparisons.pairs`."""
        return self.comparison.pairs

    @property
    def warnings(self) -> pd.DataFrame:
        """As `Comparisons.warnings`."""
        return self.comparison.warnings

    def __repr__(self) -> str:
        return f"{self.summary}\n\n{self.comparison!r}"

    def _repr_html_(self) -> str:
        where = f"<p>{safe(self.summary)}; records and tables are in <code>{safe(self.folder)}</code></p>"
        return f"{where}\n{self.comparison._repr_html_()}"
