"""Bakeoff fine-tunes models in several ways and says which way is better, by how much, at what cost, and how sure one may be.

From Python, `load` reads records and `compare` compares them: `from bakeoff import load, compare`. Authors of plugins import
from `bakeoff.plugin`. Nothing is imported here, so that the command line starts at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakeoff.frames.comparisons import compare as compare
    from bakeoff.frames.results import load as load

__version__ = "0.1.0"

CALLED = {"load": "bakeoff.frames.results", "compare": "bakeoff.frames.comparisons"}
"""Modules of ours that are functions too when they are called, and where those functions are."""


class _Called(ModuleType):
    """`bakeoff.compare` is a package and `bakeoff.load` a module; calling them calls the function of that name."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(CALLED[name]), name)(*arguments, **keywords)


class _Package(ModuleType):
    """Sees the import system bind `load` and `compare` here, and makes them callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CALLED and isinstance(value, ModuleType):
            value.__class__ = _Called
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in CALLED:
            return import_module(f"{self.__name__}.{name}")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Package
