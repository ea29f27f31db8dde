"""The libraries whose documentation is read: their folders and versions, found without importing them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakeoff.plugin import DataError, installed_version, read_regular

DISTRIBUTIONS: Mapping[str, str] = {
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sympy": "sympy",
}
"""A library's module -> the distribution that installs it."""

_SKIPPED_FOLDERS = frozenset({"tests", "externals", "_external", "_vendored", "_vendor"})
"""Folders that are not read: tests have little documentation, and vendored code belongs to other libraries."""


@dataclass(frozen=True)
class Library:
    """An installed library; its name is that of its distribution."""

    name: str
    version: str
    folder: Path


def installed_libraries(distributions: Mapping[str, str] = DISTRIBUTIONS) -> list[Library]:
    """The installed libraries whose docstrings are the data. Raises DataError that names those that are not installed."""
    found, missing = [], []
    for module, distribution in sorted(distributions.items()):
        spec = importlib.util.find_spec(module)  # a top-level name: finding it runs none of its code
        try:
            version = installed_version(distribution)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if spec is None or not spec.submodule_search_locations or version is None:
            missing.append(distribution)
        else:
            found.append(Library(distribution, version, Path(spec.submodule_search_locations[0])))
    if missing:
        raise DataError(
            f"docstrings reads the documentation of installed libraries, and {', '.join(missing)} cannot be found; "
            "install bakeoff[docstrings]"
        )
    return found


def source_files(library: Library) -> Iterator[tuple[str, bytes]]:
    """Yields (path from the library's parent with '/', content) of every Python source outside tests, sorted by path."""
    paths = []
    for folder, folders, names in os.walk(library.folder):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        paths += [Path(folder, name) for name in names if name.endswith(".py")]
    by_name = {path.relative_to(library.folder.parent).as_posix(): path for path in paths}
    for name in sorted(by_name):
        yield name, read_regular(by_name[name])
