"""One module says in what two runs differ: nobody else compares what they were made from, or the machines that made them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SHELVES = [Path(__file__).parents[2] / shelf for shelf in ("harness", "plugins", "tasks")]
OWNER = "records/provenance.py"
FACTS = {
    *("fingerprint", "fingerprints", "made_from", "task_files", "model_files", "tokenizer_sha256"),
    *("hardware", "software", "processor", "instructions", "accelerator"),
}
"""Fields of records whose comparison answers "is it the same data?" or "the same machine?"."""


def is_fact(node: ast.AST) -> bool:
    """Whether an expression is such a field, an item of one, or looks one up."""
    if isinstance(node, ast.Attribute):
        return node.attr in FACTS
    if isinstance(node, ast.Subscript):
        return is_fact(node.value)
    looked_up = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
    return looked_up and is_fact(node.func.value)


def compared(node: ast.AST) -> list[ast.expr]:
    """The expressions that a node compares with others: operands of == and !=, what is looked for by `in`, members of a set."""
    if isinstance(node, ast.Compare):
        both = isinstance(node.ops[0], ast.Eq | ast.NotEq)
        return [node.left, *node.comparators] if both else [node.left] if isinstance(node.ops[0], ast.In | ast.NotIn) else []
    if isinstance(node, ast.SetComp):
        return [node.elt]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset", "Counter"):
        return [part.elt for part in node.args if isinstance(part, ast.GeneratorExp)]
    return []


def comparisons(tree: ast.AST) -> Iterator[int]:
    """Lines where such a field is compared."""
    yield from (node.lineno for node in ast.walk(tree) if isinstance(node, ast.expr) and any(map(is_fact, compared(node))))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a.data.splits[s].fingerprint == b.data.splits[s].fingerprint", True),
        ("record.environment.hardware != 'H200'", True),
        ("one.environment.hardware in names", True),
        ("here.software.get(name) != there.software.get(name)", True),
        ("here.software['torch'] == '2.13'", True),
        ("len({record.environment.processor for record in records}) > 1", True),
        ("set(record.environment.instructions for record in records)", True),
        ("record.made_from == other.made_from", True),
        ("environment.instructions is None", False),
        ("'torch' in environment.software", False),
        ("record.scores == other.scores", False),
    ],
)
def test_a_comparison_is_found(code: str, found: bool) -> None:
    assert bool(list(comparisons(ast.parse(code)))) == found


def test_provenance_alone_compares_what_runs_were_made_from_and_where() -> None:
    found = [
        f"{path.relative_to(shelf)}:{line}"
        for shelf in SHELVES
        for path in sorted(shelf.rglob("*.py"))
        if not path.as_posix().endswith(OWNER)
        for line in comparisons(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == [], "ask records.provenance.differences"
