"""What several verbs begin with: an experiment file read and resolved, and where things lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.cli.output import tell
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.machine.distributions import REMEDY, several_builds
from bakeoff.machine.hardware import SOFTWARE
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.runner.changes import LARGE, Changes, changes, look_at_files, untold
from bakeoff.spec.document import Document, read_document
from bakeoff.text.values import command
from bakeoff.text.words import shown_path

if TYPE_CHECKING:
    from bakeoff.records.experiment import Experiment


def open_experiment(path: Path) -> tuple[Document, Plan]:
    """The file and its plan; raises SpecError with everything that is wrong. A distribution that is installed twice is told."""
    document = read_document(path)
    registry = load_registry()
    for clause in doubly_installed(registry):
        tell(f"caution: {clause}; {REMEDY}")
    return document, resolve(document, registry)


def doubly_installed(registry: Registry) -> list[str]:
    """A clause for each distribution, of the libraries that train or of a plugin, that is installed in several versions."""
    return several_builds(sorted({*SOFTWARE, *registry.distributions}))


def again(verb: str, spec: Path, into: Path | None, data: Path | None, *options: str) -> str:
    """The command line of a verb for the same experiment: what was given to this one is given to that one too."""
    given = {"--into": into, "--data": data}
    return command(verb, spec, *(word for key, path in given.items() if path is not None for word in (key, path)), *options)


def look_for_changes(
    plan: Plan, store: Store, spec: Path, data: Path | None, into: Path | None = None
) -> tuple[Changes, list[str]]:
    """What changed since the plan's runs were recorded, as far as files tell within a second; and what is to be said of it."""
    records, _ = store.read_all([run.id for run in (*plan.trials, *plan.runs)])
    if not records:
        return Changes({}, 0, ()), []
    try:
        places = find_places(data, spec)
    except BakeoffError as error:
        if data is not None:
            raise
        return Changes({}, 0, ()), [f"not compared with what is recorded: {error}"]
    sources = look_at_files(plan, places, at_most=LARGE)
    found = changes(plan, {record.id: record for record in records}, sources)
    lines = found.sentences(plan)
    if found.files:
        lines.append(
            f"whether rows or weights are others, `{again('check', spec, into, data, '--build')}` and "
            f"`{again('run', spec, into, data)}` find out; the latter stops then"
        )
    lines += [f"not compared with what is recorded: {clause}" for clause in (*sources.unseen, *untold(found.untold))]
    return found, lines


def require_text(path: Path) -> None:
    """Raises BakeoffError for a path whose bytes are no text in this system's encoding: a worker is told paths in JSON."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise BakeoffError(
            f"{shown_path(path.absolute())}: its name is no text in this system's encoding ({sys.getfilesystemencoding()}): "
            "set LC_ALL=C.UTF-8, or rename it"
        ) from None


def tell_changed_sources(*experiments: Experiment) -> None:
    """Names on standard error what changed of the sources that records were made from, as far as it can be seen."""
    for experiment in experiments:
        for number, path in enumerate(map(Path, experiment.spec_paths)):
            tell_changes(path, experiment.records_of(number))


def tell_changes(spec: Path, records: Mapping[str, Record]) -> None:
    """Of the records of one folder, by run id, whose experiment file is `spec`. Where that is gone, is wrong, or names what is
    not installed or not here, nothing is said: records can be read without their sources."""
    with suppress(BakeoffError, OSError):
        plan = resolve(read_document(spec), load_registry())
        sources = look_at_files(plan, find_places(None, spec), at_most=LARGE)
        for sentence in changes(plan, records, sources).sentences(plan):
            tell(f"{shown_path(spec)}: {sentence}")


def find_places(data: Path | None, spec: Path | None = None) -> Paths:
    """`--data`, else BAKEOFF_DATA; the cache is BAKEOFF_CACHE, else bakeoff's folder in the user's cache; and the experiment
    file's folder, else the one that one is in."""
    named = data or (Path(os.environ["BAKEOFF_DATA"]) if os.environ.get("BAKEOFF_DATA") else None)
    if named is not None and not named.is_dir():
        source = "--data" if data else "BAKEOFF_DATA"
        raise BakeoffError(f"{source}: no folder {shown_path(named)}")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("BAKEOFF_CACHE") or home / "bakeoff")
    beside = spec.parent if spec else Path()
    for path in filter(None, (named, cache, spec)):
        require_text(path)
    return Paths(named.resolve() if named else None, cache.absolute(), beside.absolute())
