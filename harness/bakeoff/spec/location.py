"""Finds the experiment file, or the experiment's folder, given either of the two."""

from __future__ import annotations

import re
from pathlib import Path

from bakeoff.errors import BakeoffError
from bakeoff.files import read_regular
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path

ENDINGS = (".yaml", ".yml")
KEYS = re.compile(rb"^(tasks|models|strategies|baseline|under_test)[ \t]*:", re.MULTILINE)
"""A file with two of these at the start of a line is an experiment file, even where it is no valid YAML."""
READ = 200_000
"""A file of more bytes than this is not taken for an experiment file."""
LISTED = 20
"""How many experiment files a message names."""


def experiment_file(path: Path) -> Path:
    """The path itself unless it is a folder; of a folder the only experiment file in it. Raises BakeoffError where there is
    none, or several, which are listed."""
    if not path.is_dir():
        return path
    found = experiment_files(path)
    if len(found) == 1:
        return found[0]
    where = "this folder" if path == Path() else shown_path(path)
    if not found:
        raise BakeoffError(
            f"no experiment file in {where} (one ends in .yaml and has the keys tasks, models and strategies); `bakeoff init "
            "DATA` writes one for your rows"
        )
    names = listed([shown_path(one) for one in found], most=LISTED)
    raise BakeoffError(f"{len(found)} experiment files in {where}: name one of {names}")


def experiment_files(folder: Path) -> list[Path]:
    """The experiment files in a folder, sorted by name. Raises BakeoffError if it can't be read."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != ".")
    except OSError as error:
        raise BakeoffError(f"{shown_path(folder)}: cannot be read: {error.strerror}") from None
    return [path for path in paths if _is_experiment(path)]


def experiment_folder(path: Path) -> Path:
    """The path itself unless it is an experiment file; then the folder that the file is in."""
    return path.parent if path.suffix.lower() in ENDINGS and path.is_file() else path


def _is_experiment(path: Path) -> bool:
    try:
        return len(set(KEYS.findall(read_regular(path, at_most=READ)))) > 1
    except OSError:
        return False
