"""The folder of a run while its process fills it: hashes of its files, emptying it, and refusing what a record can't list."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import PluginError
from bakeoff.files import KINDS, Tree, temporary_name
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.records.schema import FILE_NAME, LONGEST_FILE_NAME, OUTPUT_FILE, RECORD_FILE, TRACEBACK_FILE, Requested
from bakeoff.text.words import quoted


def hashes_of(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of each file of a run, except its record and its output."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: sha256_of(path) for name, path in files.items() if name not in {RECORD_FILE, OUTPUT_FILE}}


def clear(folder: Path) -> None:
    """Empties the folder of a run, except for its output and traceback; files that can't be removed stay."""
    tree = Tree(folder)
    for name in tree.names(folder):
        path = folder / name
        with suppress(OSError):
            if name in {OUTPUT_FILE, TRACEBACK_FILE} and stat.S_ISREG(path.lstat().st_mode):
                continue
            tree.move(path, gone := folder / temporary_name("left"))  # by that name it is known as left by a run
            tree.remove_folder(gone)


def require_plain(folder: Path, requested: Requested) -> None:
    """Raises PluginError if a plugin left anything in its run's folder but regular files with permitted names."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (what := _oddity(path, name)) is None:
            continue
        who = f"trainer {requested.trainer.name} of {requested.trainer.distribution}, or another plugin of the run, made it"
        raise PluginError(f"{quoted(name)} in the run's folder is {what}; {who}, and a record may have regular files only")


def _oddity(path: Path, name: str) -> str | None:
    """Why a record can't list a path; None for a regular file with a permitted name, and for a folder that is not empty."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        if name == RECORD_FILE:
            return "a folder in the place of the record"
        return None if any(path.iterdir()) else "an empty folder"
    if not stat.S_ISREG(mode):
        return KINDS.get(stat.S_IFMT(mode), "no plain file")
    fits = FILE_NAME.fullmatch(name) and len(name) <= LONGEST_FILE_NAME
    return None if fits else "a file with a name that no record can hold"
