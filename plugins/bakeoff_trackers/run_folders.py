"""Trackers that write files: a folder for each run, and in it a mark that is written last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from bakeoff.plugin import BakeoffError, TrackedExperiment, TrackedRun, Tree, read_json, read_regular, shown_path

MARK: Final = "bakeoff.json"
"""Says which run is in a folder: `experiment`, `key` and `digest`."""
MOST_OF_A_MARK: Final = 2**20
LONGEST_NAME: Final = 100
"""How many characters of a name its folder's name has."""


class Found(NamedTuple):
    """A run that is there in full."""

    folder: Path
    digest: str


def root_of(folder: str | None, experiment: TrackedExperiment, name: str) -> Path:
    """The folder that a tracker writes to, made if it is missing. folder: as the user named it; None for NAME in the
    experiment's own. Raises OSError, BakeoffError."""
    if folder is None:
        place = experiment.made_folder() / name
        return Tree(experiment.folder).make(place)
    place = Path(folder).absolute()
    try:
        return Tree(place).make(place)
    except OSError as error:
        raise BakeoffError(f"--folder: {shown_path(place)} cannot be written to: {error.strerror}") from None


def place_of(folder: str | None, experiment: TrackedExperiment, name: str) -> Path:
    """The same folder, whether it exists or not."""
    return experiment.folder / name if folder is None else Path(folder).absolute()


def found_in(root: Path, pattern: str, experiment: TrackedExperiment) -> Iterator[tuple[str, Found]]:
    """(key, run) of each run of the experiment that is there in full. pattern: of their folders, below `root`."""
    for path in sorted(root.glob(f"{pattern}/{MARK}")):
        try:
            mark = read_json(read_regular(path, at_most=MOST_OF_A_MARK))
        except (OSError, ValueError):  # being replaced, or damaged: then it is written again
            continue
        if isinstance(mark, dict) and mark.get("experiment") == experiment.name:
            yield str(mark.get("key")), Found(path.parent, str(mark.get("digest")))


def write_mark(tree: Tree, folder: Path, run: TrackedRun, experiment: TrackedExperiment) -> None:
    """Says that the folder has the whole run."""
    mark = {"experiment": experiment.name, "key": run.key, "digest": run.digest}
    tree.write(folder / MARK, f"{json.dumps(mark)}\n".encode(), synced=False)


def folder_name(name: str) -> str:
    """A name as that of a folder: letters, digits and `._@=,+-`. Where other characters were replaced, or the name is long, a
    part of its hash stands at its end, so that no two names become one."""
    plain = re.sub(r"[^A-Za-z0-9._@=,+-]+", "-", name).lstrip(".-")[:LONGEST_NAME]
    return (
        plain
        if plain and plain == name
        else f"{plain or 'name'}-{sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}"
    )
