"""What a benchmark found, for whoever reads it."""

from __future__ import annotations

from typing import Any


def say(capsys: Any, text: str) -> None:
    """Past pytest's capture: a benchmark is run to be read."""
    with capsys.disabled():
        print(f"\n{text}")
