"""The code that a command runs: found beside the experiment file, hashed into the run's id, and copied before anything runs.

code: [train.py, lib/]   ->   CACHE/code/SHA256/train.py, CACHE/code/SHA256/lib/...
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from bakeoff.plugin import DataError, PluginError, Tree, quoted, read_regular, shown_path

MOST_BYTES: Final = 64 * 2**20
MOST_FILES: Final = 5_000
SKIPPED: Final = frozenset({"__pycache__", ".git", ".venv", ".ipynb_checkpoints"})
"""Folders that hold no code, and are left out."""


def checked_path(text: str) -> str:
    """Checks a path of the option `code`: it must be relative, and stay below the experiment file's folder; whether it exists
    is checked later. Returns it without needless parts (`./lib/` as `lib`). Raises ValueError for any other path."""
    path = PurePosixPath(text)
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise ValueError(f"{quoted(text)} must be a file or folder below the folder of the experiment file, such as lib/")
    return path.as_posix()


def read_code(names: Sequence[str], beside: Path) -> dict[str, bytes]:
    """Path of each file of the code, relative to the experiment file's folder -> its content. names: files and folders of
    `code`; beside: that folder.

    Raises PluginError if a file is missing or no regular file, and for more than 64 MiB or 5,000 files.
    """
    found: dict[str, bytes] = {}
    room = MOST_BYTES
    for name in _files(names, beside):
        try:
            content = read_regular(beside / name, at_most=MOST_BYTES)
        except FileNotFoundError:
            raise PluginError(f"code: there is no {shown_path(name)} beside the experiment file") from None
        except OSError as error:
            raise PluginError(f"code: {shown_path(name)}: {error.strerror}") from None
        found[name] = content
        room -= len(content)
        if room < 0 or len(found) > MOST_FILES:
            raise PluginError(
                f"code: more than {MOST_BYTES // 2**20} MiB or {MOST_FILES:,} files (the last: {shown_path(name)}): name the "
                "files that the command runs, not a folder that holds data too"
            )
    return found


def _files(names: Sequence[str], beside: Path) -> Iterator[str]:
    for name in names:
        if not (beside / name).is_dir():
            yield name
            continue
        for folder, folders, files in os.walk(beside / name):
            folders[:] = sorted(set(folders) - SKIPPED)
            for file in sorted(files):
                if not file.endswith(".pyc"):
                    yield (Path(folder) / file).relative_to(beside).as_posix()


def digest_of(code: Mapping[str, bytes]) -> str:
    """SHA-256 over the paths and contents of all files."""
    whole = hashlib.sha256()
    for name in sorted(code):
        whole.update(f"{len(os.fsencode(name))} {len(code[name])} ".encode() + os.fsencode(name) + code[name])
    return whole.hexdigest()


def kept_code(names: Sequence[str], digest: str, *, beside: Path, cache: Path) -> Path:
    """The folder in the cache with the copy of the code that has this hash; the copy is made if there is none.

    Raises DataError if there is no copy and the code has changed since it was hashed.
    """
    place = cache / "code" / digest
    if _is_copy(place, digest):
        return place
    code = read_code(names, beside)
    if digest_of(code) != digest:
        raise DataError(
            f"code: changed since the experiment file was read ({', '.join(map(shown_path, names))}), so this would be another "
            "contestant; start the command again"
        )
    _write(code, place)
    return place


def _is_copy(place: Path, digest: str) -> bool:
    if not place.is_dir():
        return False
    try:
        return digest_of(read_code(sorted(one.name for one in place.iterdir()), place)) == digest
    except PluginError:
        return False


def _write(code: Mapping[str, bytes], folder: Path) -> None:
    tree = Tree(folder)
    for name, content in code.items():
        tree.make((folder / name).parent)
        tree.write(folder / name, content, synced=False)


def lay_out(source: Path, folder: Path, digest: str) -> None:
    """Writes the cached copy of the code into the folder in which a run works. Raises DataError if the copy does not have this
    hash."""
    code = read_code(sorted(one.name for one in source.iterdir()), source)
    if digest_of(code) != digest:
        raise DataError(f"code: the copy at {shown_path(source)} was changed; delete it, and start the command again")
    _write(code, folder)
