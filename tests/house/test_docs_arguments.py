"""docs/coming-from-run-glue.md has every argument of the installed transformers and of the official scripts."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from peers.arguments import SCRIPTS, arguments, meant, page

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-run-glue.md"
PEERS = os.environ.get("BAKEOFF_PEERS")


def test_every_argument_of_transformers_has_an_answer() -> None:
    assert len(arguments()) > 100
    assert [name for name in arguments() if meant(name) is None] == []


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: python -m peers.arguments, in tests/"


@pytest.mark.skipif(PEERS is None, reason="BAKEOFF_PEERS names no folder with the official scripts")
@pytest.mark.parametrize("script", ["run_glue.py", "run_classification.py"])
def test_the_scripts_have_no_other_arguments(script: str) -> None:
    tree = ast.parse((Path(PEERS or "") / script).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Arguments")]
    names = {node.target.id for one in classes for node in one.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert len(names) > 15
    assert names <= {*SCRIPTS}
