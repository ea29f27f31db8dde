"""A helper, a constant and a tolerance of the rooms that train, compare and test have one definition."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("training", "parity", "testing")
LOOSE = {"allclose", "isclose", "assert_allclose", "assert_close"}
SCALARS = {
    "harness/bakeoff/parity/causes.py": "losses and learning rates",
    "harness/bakeoff/records/schema/observed.py": "seconds",
    "harness/bakeoff/testing/own_models.py": "probabilities, and answers of a regression, of trainers that own their model",
    "harness/bakeoff/testing/recipe_parts.py": "losses of rows, and weights",
    "harness/bakeoff/testing/tasks.py": "scores",
    "harness/bakeoff/testing/trainers.py": "losses, learning rates and gradient norms of two trainers",
    "harness/bakeoff/training/observer.py": "gradient norms",
}
"""Who compares numbers with a tolerance of its own -> which; none of them are logits or predictions."""


def names_of(source: str) -> Iterator[str]:
    """The functions, classes and constants that a module defines."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_name_is_defined_in_two_modules() -> None:
    places: dict[str, list[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / "harness" / "bakeoff" / room).glob("*.py")):
            for name in set(names_of(path.read_text(encoding="utf-8"))) - {"__all__"}:
                places.setdefault(name, []).append(f"{room}/{path.name}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_tolerance_of_equal_logits_has_one_definition() -> None:
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for shelf in ("harness", "plugins", "tasks")
        for path in (ROOT / shelf).rglob("*.py")
    }
    assert [path for path, source in sources.items() if "SAME_LOGITS" in names_of(source)] == [
        "harness/bakeoff/contracts/model.py"
    ]
    loose = set()
    for path, source in sources.items():
        names = (
            node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in ast.walk(ast.parse(source))
        )
        if LOOSE & set(names):
            loose.add(path)
    assert loose == SCALARS.keys(), "compare logits by `same_logits`; name here what else is compared with a tolerance"
