"""A recipe is validated by the one pass over an experiment file, and once where a process reads a request; then it is typed."""

from __future__ import annotations

import ast
from pathlib import Path

CORE = Path(__file__).parents[2] / "harness" / "bakeoff"
DOORS = {"spec/strategy.py", "spec/varied.py", "training/request.py"}
"""Of an experiment file, of the values of a key that varies, and of a worker."""


def validating(what: str) -> set[str]:
    """The modules that call `model_validate` of something called so, in whatever case; what is only there for tests of plugins
    left out."""
    return {
        path.relative_to(CORE).as_posix()
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("model_validate")
        and ast.unparse(node.func.value).rpartition(".")[2] in {what, what.lower()}
        and path.parent.name != "testing"
    }


def test_a_recipe_is_validated_at_doors_only() -> None:
    assert validating("Recipe") == DOORS


def test_options_have_one_wording() -> None:
    wording = "{key} {spelt(value)}"
    assert [path.name for path in CORE.rglob("*.py") if wording in path.read_text(encoding="utf-8")] == ["values.py"]


def test_options_of_a_component_are_validated_at_doors_only() -> None:
    given = {"contracts/from_words.py", "runner/submitting.py"}  # on a command line, now or at a submission
    doors = {"contracts/configured.py", "training/assembly.py", "records/load/metrics.py", *given}
    assert validating("Options") == doors
