"""A kind of task is one file: no other code asks which kind it has before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.kinds import KINDS

ROOT = Path(__file__).parents[2]
HOME = ROOT / "harness" / "bakeoff" / "kinds"
OBJECTS = {name for kind in KINDS.values() for name in (type(kind).__name__, type(kind).__name__.upper())}
"""`Regression` and `REGRESSION`."""
LOOKUPS = {"get", "kind_named", "isinstance", "issubclass", "startswith", "endswith", "removeprefix", "setdefault", "pop"}
DECLARED = "kinds"
"""What a metric scores, or a trainer trains: `kinds = frozenset({...})` declares names and compares none."""


def sources() -> list[Path]:
    return [
        path
        for shelf in ("harness", "plugins", "tasks")
        for path in sorted((ROOT / shelf).rglob("*.py"))
        if not path.is_relative_to(HOME)
    ]


def names_a_kind(node: ast.AST | None) -> bool:
    """Whether the expression is a kind's name or object, or holds one in a list, a tuple, a set or a mapping's keys."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str) and value in KINDS
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in OBJECTS:
            return True
        case ast.Attribute(value=owner):
            return names_a_kind(owner)  # CLASSIFICATION.name
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return any(map(names_a_kind, parts))
        case ast.Dict(keys=keys):
            return any(map(names_a_kind, keys))
        case ast.Call(args=parts) if ast.unparse(node.func) in {"frozenset", "set", "tuple", "list"}:
            return any(map(names_a_kind, parts))
    return False


def asks(source: str) -> Iterator[int]:
    """The line of each place that compares, matches or looks up a kind."""
    tree = ast.parse(source)
    declared = {
        id(inner)
        for node in ast.walk(tree)
        for value in [
            node.value if isinstance(node, ast.keyword) and node.arg == DECLARED else None,
            node.value if isinstance(node, ast.Assign | ast.AnnAssign) and DECLARED in _targets(node) else None,
        ]
        if value is not None
        for inner in ast.walk(value)
    }
    for node in ast.walk(tree):
        if id(node) in declared:
            continue
        match node:
            case ast.Compare():
                found = any(map(names_a_kind, [node.left, *node.comparators]))
            case ast.MatchValue(value=value):
                found = names_a_kind(value)
            case ast.MatchClass(cls=cls):
                found = names_a_kind(cls)
            case ast.Dict() | ast.List() | ast.Tuple() | ast.Set():
                found = names_a_kind(node) and not isinstance(getattr(node, "ctx", None), ast.Store)
            case ast.Subscript(slice=place):
                found = names_a_kind(place)
            case ast.Call(func=called, args=parts):
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                found = name in LOOKUPS and any(map(names_a_kind, parts))
            case _:
                found = False
        if found:
            yield node.lineno if hasattr(node, "lineno") else node.value.lineno  # type: ignore[attr-defined]


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    return {ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_asks_which_kind_a_task_is_of(path: Path) -> None:
    lines = sorted(set(asks(path.read_text(encoding="utf-8"))))
    assert lines == [], "give the class Kind a method or attribute for what differs, and ask the kind"


@pytest.mark.parametrize(
    "planted",
    [
        'if info.kind == "regression": pass',
        'smooth = "classification" != kind.name',
        'several = kind in ("regression", "multilabel")',
        'known = {"regression": 1, **others}',
        'known["multilabel"]',
        'known.get("classification", 0)',
        'match kind:\n    case "multilabel": pass',
        "match kind:\n    case Multilabel(): pass",
        'NUMERIC = frozenset({"regression"})',
        "if info.kind is REGRESSION: pass",
        "if info.kind.name == REGRESSION.name: pass",
        "isinstance(kind, Regression)",
        "words = {MULTILABEL: 'sets'}",
        'kind_named("regression").majority(labels)',
        'kind: Literal["classification", "regression"]',
    ],
)
def test_code_that_asks_is_found(planted: str) -> None:
    assert list(asks(planted))


@pytest.mark.parametrize(
    "allowed",
    [
        'Supports(kinds=frozenset({"classification"}))',
        'kinds: frozenset[str] = frozenset({"classification", "multilabel"})',
        "TaskInfo(kind=CLASSIFICATION if labels else REGRESSION)",
        "metric.kinds is not None and kind.name not in metric.kinds",
        'raise ValueError("say `kind: regression`")',
        "kind = kind_named(options.kind) if options.kind else CLASSIFICATION",
    ],
)
def test_what_declares_a_kind_is_no_question(allowed: str) -> None:
    assert not list(asks(allowed))
