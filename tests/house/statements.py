"""Counts the statements of the syntax tree, docstrings left out: `python tests/house/statements.py` prints them by shelf.

The house had 22,371 before its rooms were ordered (commit abb31da).
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

SHELVES = ("harness", "plugins", "tasks")


def statements(source: str) -> int:
    """Of one module, docstrings and other bare strings left out."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    return sum(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes)


def counted(root: Path) -> dict[str, int]:
    """Shelf -> the statements of all its modules."""
    return {
        shelf: sum(statements(path.read_text(encoding="utf-8")) for path in sorted((root / shelf).rglob("*.py")))
        for shelf in SHELVES
    }


if __name__ == "__main__":
    found = counted(Path(__file__).parents[2])
    sys.stdout.write(
        "".join(f"{shelf:8} {number:6,}\n" for shelf, number in {**found, "together": sum(found.values())}.items())
    )
