"""Protects a program that calls Bakeoff, a script or a notebook: its main module, environment and signal handlers stay as they
are."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from bakeoff.machine import fork_server
from bakeoff.machine.signals import stopped_by_signals

_SWAPPING = threading.Lock()


@contextmanager
def without_main() -> Iterator[None]:
    """A context in which multiprocessing starts a child that does not import the main module of this program.

    The import would run a script from its top, up to the call that starts children; hence the guard `if __name__ ==
    "__main__"` that multiprocessing asks for. What a worker calls is in Bakeoff's modules, so it needs nothing from the
    script.
    """
    with _SWAPPING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def as_a_guest() -> Iterator[None]:
    """A context for what `bakeoff run` does, within another program. Afterwards environment variables and signal handlers are
    as they were, and a fork server that was started meanwhile has ended."""
    variables, server = dict(os.environ), fork_server.number()
    try:
        with stopped_by_signals():
            yield
    finally:
        if fork_server.number() != server:
            fork_server.stop()
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
