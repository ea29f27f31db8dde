"""The counter of statements counts what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from house.statements import counted, statements


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("", 0),
        ('"""A docstring."""', 0),
        ("x = 1\ny: int = 2", 2),
        ('def f():\n    """Says."""\n    return 1', 2),
        ("if a:\n    b()\nelse:\n    c()", 3),
        ('A = 1\n"""What it is."""', 1),
    ],
)
def test_statements_are_counted_without_docstrings(source: str, number: int) -> None:
    assert statements(source) == number


def test_every_shelf_is_counted() -> None:
    assert all(number > 1000 for number in counted(Path(__file__).parents[2]).values())
