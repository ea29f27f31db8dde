"""A file that is no YAML is told in words, at the line to mend, which is shown."""

from __future__ import annotations

import pytest
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import parse_document


def only_problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_document(text, "s.yaml")
    (problem,) = caught.value.problems
    assert str(problem).isprintable()
    return str(problem)


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("name: toy\n  tasks: [a]\n", "2:3", "indented by 2 spaces, and line 1 above it, by no spaces"),
        ("name: toy\nstrategies:\n    a: {trainer: x}\n  b: {trainer: y}\n", "4:3", "by no spaces or 4 spaces"),
        ("name: toy\nstrategies:\n  a: x\n# why\n\n   b: y\n", "6:4", "indented by 3 spaces, and line 3 above it, by 2 spaces"),
        ("name: toy\nstrategies:\n\ta: {trainer: x}\n", "3:1", "indent by spaces"),
        ("name:\ttoy\ntasks: [a]\n", "1:6", "put a blank here, not a tab"),
        ("name:toy\ntasks: [a]\n", "1:5", "`name: toy`"),
        ("name: toy\ntasks:[a]\nmodels: [b]\n", "2:6", "`tasks: [a]`"),
        ("name: toy\nrecipe:\n  epochs:3\n  batch_size: 8\n", "3:9", "`epochs: 3`"),
        ("name: toy\nrecipe\n  epochs: 3\n", "2:1", "put a colon after the key: `recipe:`"),
        ("name: toy\nseeds 3\nmargin: 1\n", "2:1", "put a colon after the key: `seeds:`"),
        ("name: toy\ntasks: [a, b\nmodels: [c]\n", "2:8", "add `]`"),
        ("name: toy\nrecipe: {epochs: 3\n", "2:9", "add `}`"),
        ("name: toy\ntasks: [a]]\n", "2:11", "one `]` too many"),
        ("name: toy\nrecipe: {epochs: 3 batch_size: 8}\n", "2:20", "a comma is missing before 'batch_size'"),
        ("name: toy\nquestion: 'What is it?\ntasks: [a]\n", "2:11", "never closed"),
        ("name: toy\nquestion: 'It's good'\n", "2:15", "write a quote twice"),
        ("name: toy\nquestion: Which is better: a or b?\n", "2:26", "put quotes around all of it"),
        ("name: toy\nmargin: %5\n", "2:9", "can't begin with %"),
        ("name: toy\nmodels: *\n", "2:9", "can't begin with *"),
        ('name: toy\nquestion: "C:\\data"\n', "2:15", "use single quotes"),
        ("name: toy\nstrategies:\n  a: {trainer: x}\n  - b: {trainer: y}\n", "4:3", "take the `-` away"),
    ],
)
def test_the_line_to_mend_is_named_and_shown(text: str, place: str, told: str) -> None:
    line = only_problem(text)
    assert line.startswith(f"s.yaml:{place}: ")
    assert told in line
    assert "; the line reads " in line
    assert "not YAML" not in line


def test_an_equals_sign_is_no_colon() -> None:
    text = "# a file\nname = toy\ntasks = [a]\n"
    assert tells(only_problem(text), "s.yaml:2:1: ", "`=`", "`name: toy`")


def test_what_is_yaml_and_yet_a_slip_is_told_too() -> None:
    lists = "tasks:\n  -docstrings\nmodels:\n  - tiny-bert\n    - minilm\n"
    text = f"name: toy\n{lists}recipe: {{epochs:3}}\nstrategies:\n\u00a0\u00a0a: {{}}\n"
    with pytest.raises(SpecError) as caught:
        resolve(parse_document(text, "s.yaml"), load_registry())
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert "blank after each `-`" in found["tasks"]
    assert "the same column" in found["models[0]"]
    assert "`epochs: 3`" in found["recipe.epochs:3"]
    assert "no-break space" in found["'\\xa0\\xa0a'"]
