"""Installed distributions. If several builds of one distribution are on the path, the one that Python imports counts; that
need not be the one whose metadata are found first."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

from bakeoff.text.values import listed
from bakeoff.text.words import escaped, shown_path

REMEDY = "uninstall it until none is left, then install it once"
"""The advice of messages about a distribution that is installed in several builds."""


def installed_version(name: str) -> str:
    """The version of the build that is imported, found without importing it. Raises
    `importlib.metadata.PackageNotFoundError`."""
    return imported_build(name).version


def imported_build(name: str) -> Distribution:
    """The build that is imported, found without importing it. Raises `importlib.metadata.PackageNotFoundError`."""
    found = builds(name)
    return importlib.metadata.distribution(name) if len(found) < 2 else _imported(found)


def several_builds(names: Iterable[str]) -> list[str]:
    """A clause for each of these distributions that is installed in several versions: which versions, where, and which one is
    imported."""
    clauses = []
    for name in names:
        if len(found := builds(name)) > 1:
            places = listed([f"{escaped(build.version)} in {shown_path(_folder(build))}" for build in found])
            clauses.append(
                f"{name} is installed in {len(found)} versions: {places}; imported is {escaped(_imported(found).version)}"
            )
    return clauses


def builds(name: str) -> list[Distribution]:
    """The installed builds of a distribution, in the order of the path, one for each version; builds with unreadable metadata
    are left out.

    Metadata are read only if there are several builds, because this is called for every distribution that a run uses.
    """
    found = list(importlib.metadata.distributions(name=name))
    if len(found) < 2:
        return found
    by_version: dict[str, Distribution] = {}
    for build in found:
        by_version.setdefault(_version(build), build)
    return [build for version, build in by_version.items() if version]


def _version(build: Distribution) -> str:
    """The build's version; empty if it can't be read."""
    try:
        return build.version or ""
    except Exception:  # importlib.metadata has no word for damaged files: each Python raises something else
        return ""


def _imported(found: list[Distribution]) -> Distribution:
    """The build that Python imports, of several of one distribution: the one in whose folder Python finds the module; of
    several in that folder, the one whose files are there."""
    places = [place for module in _modules(found) if (place := _place_of(module)) is not None]
    owners = [build for build in found if any(_owns(build, place) for place in places)]
    return max(owners or found, key=_fit)


def _modules(found: Iterable[Distribution]) -> list[str]:
    """Names of the top-level modules of these builds, from their metadata."""
    names: list[str] = []
    for build in found:
        names += (build.read_text("top_level.txt") or "").split()
        names += [entry.value.partition(":")[0].partition(".")[0] for entry in build.entry_points]
        files = [file.parts for file in build.files or ()]
        names += [parts[0] for parts in files if len(parts) == 2 and parts[1] == "__init__.py"]
        names += [parts[0].removesuffix(".py") for parts in files if len(parts) == 1 and parts[0].endswith(".py")]
        names.append(build.name.replace("-", "_"))
    return [name for name in dict.fromkeys(names) if name.isidentifier()]


def _place_of(module: str) -> Path | None:
    """The file from which the module was, or would be, imported; None if there is none."""
    origin = getattr(sys.modules.get(module), "__file__", None)
    if origin is None and module not in sys.modules:
        try:
            spec = find_spec(module)
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec is not None and spec.has_location else None
    return Path(origin).resolve() if origin else None


def _folder(build: Distribution) -> Path:
    """The folder into which the build is installed; for an editable install, the folder of its sources."""
    return _sources(build) or Path(str(build.locate_file(""))).resolve()


def _sources(build: Distribution) -> Path | None:
    """The source folder of an editable install (PEP 610); None for others."""
    try:
        direct = json.loads(build.read_text("direct_url.json") or "{}")
        url = urlparse(direct["url"]) if direct.get("dir_info", {}).get("editable") else None
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return Path(unquote(url.path)).resolve() if url is not None and url.scheme == "file" else None


def _owns(build: Distribution, place: Path) -> bool:
    if (sources := _sources(build)) is not None:
        return place.is_relative_to(sources)
    return _folder(build) == (place.parent.parent if place.name == "__init__.py" else place.parent)


def _fit(build: Distribution) -> float:
    """The share of the build's Python files whose size is what its metadata say; 0 if they say none."""
    sizes = {Path(str(build.locate_file(file))): file.size for file in build.files or () if file.suffix == ".py"}
    known = {path: size for path, size in sizes.items() if size is not None}
    there = sum(path.is_file() and path.stat().st_size == size for path, size in known.items())
    return there / len(known) if known else 0.0
