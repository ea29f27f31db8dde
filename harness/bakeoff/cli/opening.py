"""What several verbs begin with: an experiment file read and resolved, and where things lie."""

from __future__ import annotations

import os
from pathlib import Path

from bakeoff.components import Places
from bakeoff.document import Document, read_document
from bakeoff.errors import BakeoffError, shown_path
from bakeoff.plan import Plan
from bakeoff.registry import load_registry
from bakeoff.resolution import resolve


def open_experiment(path: Path) -> tuple[Document, Plan]:
    """The file and its plan; raises SpecError with everything that is wrong."""
    document = read_document(path)
    return document, resolve(document, load_registry())


def find_places(data: Path | None, spec: Path | None = None) -> Places:
    """`--data`, else BAKEOFF_DATA; the cache is BAKEOFF_CACHE, else bakeoff's folder in the user's cache; and the experiment
    file's folder, else the one that one is in."""
    named = data or (Path(os.environ["BAKEOFF_DATA"]) if os.environ.get("BAKEOFF_DATA") else None)
    if named is not None and not named.is_dir():
        source = "--data" if data else "BAKEOFF_DATA"
        raise BakeoffError(f"{source}: no folder {shown_path(named)}")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("BAKEOFF_CACHE") or home / "bakeoff")
    beside = spec.parent if spec else Path()
    return Places(named.resolve() if named else None, cache.absolute(), beside.absolute())
