"""Where messages send a reader: to pages that are there, by an address that an installed Bakeoff can tell too."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from bakeoff.version import DOCUMENTATION

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for shelf in ("harness", "plugins", "tasks") for path in (ROOT / shelf).rglob("*.py"))


def texts(source: str) -> list[str]:
    """The texts of a module, docstrings left out, with the name of a variable in place of its value: `{name}`."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found, parts = [], set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            found.append("".join(_part(value) for value in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
            found.append(node.value)
    return found


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else f"{{{ast.unparse(node.value)}}}"  # type: ignore[attr-defined]


def test_messages_name_pages_by_their_address_and_the_pages_are_there() -> None:
    pages = []
    for path in SOURCES:
        for text in texts(path.read_text(encoding="utf-8")):
            assert not re.search(r"(?<![/}\w])docs/[\w-]+\.md", text), (path.name, text)
            pages += re.findall(r"\{DOCUMENTATION\}/([\w-]+\.md)", text)
    assert "statistics.md" in pages
    assert all((ROOT / "docs" / page).is_file() for page in pages), pages


def test_the_address_is_the_projects() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls["Documentation"].replace("/tree/", "/blob/") == DOCUMENTATION
    assert DOCUMENTATION.startswith(urls["Source"] + "/")
