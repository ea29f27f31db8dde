"""What tests share: the package of toy components on the path, here and in child processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

TOYBOX = str(Path(__file__).parent / "thirdparty" / "toybox")

sys.path.insert(0, TOYBOX)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # here: models are small, and two tests may be under way
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script: tests interrupt what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TOYBOX, os.environ.get("PYTHONPATH")]))

LONGEST = (
    *("test_other_processors", "test_official_scripts", "test_stress", "test_own_data", "test_quickstart", "test_aa"),
    *("test_examples", "test_two_commands", "test_changed", "test_bitwise", "test_run", "test_processes", "test_cli_new"),
)
"""Files that take a minute or more: begun first, they leave no worker alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
