"""The first steps of several commands: read and resolve an experiment file, find its folders, and see what changed since its
records."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from bakeoff.cli.data_folders import NOT_TOLD, DataFolders
from bakeoff.cli.output import print_damage, print_note
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.machine.distributions import REMEDY, several_builds
from bakeoff.machine.hardware import SOFTWARE
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.records.index import Index
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.runner.changes import LARGE, Changes, changes, look_at_files, not_compared
from bakeoff.spec.document import Document, read_document
from bakeoff.spec.user_configuration import read_configuration
from bakeoff.text.values import command
from bakeoff.text.words import shown_path

if TYPE_CHECKING:
    from bakeoff.records.experiment import Experiment


VERBS_OF_FILES = ("run", "plan", "check", "time")
"""The commands that tables advise and that take an experiment file, --into and --data."""


def open_experiment(path: Path) -> tuple[Document, Plan]:
    """Reads the file and resolves its plan. Raises SpecError with all errors. Warns of distributions installed several
    times."""
    document = read_document(path)
    return document, plan_of(document)


def plan_of(document: Document) -> Plan:
    """Resolves the plan of an experiment file that was read. Raises and warns as `open_experiment` does."""
    registry = load_registry()
    for clause in installed_twice(registry):
        print_note(f"caution: {clause}; {REMEDY}")
    return resolve(document, registry)


def installed_twice(registry: Registry) -> list[str]:
    """A clause for each distribution, of a training library or a plugin, that is installed in several versions."""
    return several_builds(sorted({*SOFTWARE, *registry.distributions}))


@dataclass(frozen=True)
class Called:
    """How a user named an experiment, for the commands that messages advise."""

    spec: Path
    into: Path | None = None
    data: DataFolders = NOT_TOLD

    def again(self, verb: str, *options: str) -> str:
        """The command line of a command for the same experiment, with the same --into and --data."""
        return command(verb, self.spec, *([] if self.into is None else ["--into", self.into]), *self.data.words, *options)

    def as_called(self, text: str, spec_paths: Iterable[PurePath]) -> str:
        """Rewrites commands in `text`: where a table advises a command on `spec_paths`, the copies of the experiment file in
        folders of records, it becomes one on `spec`, the file that the user named, with the same --into and --data. Only then
        are the files beside `spec`, or in the data folder, found."""
        for path in spec_paths:
            for verb in VERBS_OF_FILES:
                found = re.escape(command(verb, path))

                def again(match: re.Match[str], verb: str = verb) -> str:
                    return replace(self, into=None if match[1] else self.into).again(verb) + match[1]

                text = re.sub(rf"{found}(?![^\s`])((?: --into)?)", again, text)
        return text


def find_changes(plan: Plan, store: Store, paths: Paths, called: Called) -> tuple[Changes, list[str]]:
    """Which files changed since the plan's runs were recorded, as far as can be read within a second; and the same as
    sentences."""
    records, _ = store.read_all(plan.by_id)
    if not records:
        return Changes({}, 0, ()), []
    sources = look_at_files(plan, paths, at_most=LARGE)
    found = changes(plan, {record.id: record for record in records}, sources)
    lines = found.sentences(plan)
    if found.files:
        lines.append(
            f"changed files may still have the same rows or weights: `{called.again('check', '--build')}` tells; "
            f"`{called.again('run')}` stops if they differ"
        )
    return found, [*lines, *not_compared(sources, found)]


def require_text(path: Path) -> None:
    """Raises BakeoffError for a path that this system's encoding cannot write: workers receive paths in JSON."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise BakeoffError(
            f"{shown_path(path.absolute())}: its name is not text in this system's encoding ({sys.getfilesystemencoding()}); "
            "set LC_ALL=C.UTF-8, or rename it"
        ) from None


def note_troubles(*experiments: Experiment) -> None:
    """Prints, on standard error, which records can't be used, then which files and plugins changed since runs were recorded."""
    print_damage(*experiments)
    for experiment in experiments:
        for number, path in enumerate(map(Path, experiment.spec_paths)):
            note_changes(path, experiment.records_of(number))


def note_changes(spec: Path, records: Mapping[str, Record]) -> None:
    """Prints which files and plugins changed since the records of one folder (run id -> record). spec: their experiment
    file. Prints nothing if that file is missing, invalid, or names something that is not installed, since records can be
    read without it."""
    with suppress(BakeoffError, OSError):
        plan = resolve(read_document(spec), load_registry())
        sources = look_at_files(plan, find_paths(spec=spec), at_most=LARGE)
        for sentence in changes(plan, records, sources).sentences(plan):
            print_note(f"{shown_path(spec)}: {sentence}")


def cache_folder() -> Path:
    """The folder of cached files: $BAKEOFF_CACHE, else `bakeoff` in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("BAKEOFF_CACHE") or home / "bakeoff").absolute()


def indexed_store(folder: Path) -> Store:
    """The records of the experiment in `folder`, of which those that the user's index has are not read again."""
    return Store(folder, Index.of(folder / "records", cache_folder()))


def find_paths(data: DataFolders = NOT_TOLD, spec: Path | None = None) -> Paths:
    """The folders that a command uses. Data: --data, else $BAKEOFF_DATA; by name --data NAME=DIR, else the user's
    configuration. Cache: `cache_folder`. Beside: the folder of the experiment file `spec`,
    else the working directory. Raises BakeoffError if a data folder that the command line or BAKEOFF_DATA names does not
    exist, SpecError for a wrong configuration."""
    unnamed = data.unnamed or (Path(os.environ["BAKEOFF_DATA"]) if os.environ.get("BAKEOFF_DATA") else None)
    for path in filter(None, (unnamed, *data.named.values())):
        if not path.is_dir():
            whose = "BAKEOFF_DATA" if data.unnamed is None and path is unnamed else "--data"
            raise BakeoffError(f"{whose}: no folder {shown_path(path)}")
    named = {name: Path(path) for name, path in read_configuration().data.items()} | dict(data.named)
    cache = cache_folder()
    for path in filter(None, (unnamed, *named.values(), cache, spec)):
        require_text(path)
    return Paths(
        unnamed.resolve() if unnamed else None,
        cache,
        (spec.parent if spec else Path()).absolute(),
        named={name: path.resolve() for name, path in named.items()},
    )
