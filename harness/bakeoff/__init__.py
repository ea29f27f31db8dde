"""Bakeoff fine-tunes models in several ways and reports which way is better, by how much, at what cost, and how sure that is.

From Python, `load` reads records and `compare` compares them: `from bakeoff import load, compare`. Authors of plugins import
from `bakeoff.plugin`. Both functions are imported on first use, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.version import __version__ as __version__

if TYPE_CHECKING:
    from bakeoff.api.comparisons import compare as compare
    from bakeoff.api.results import load as load

FUNCTIONS = {"load": "bakeoff.api.results", "compare": "bakeoff.api.comparisons"}
"""Public function -> its module."""


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
