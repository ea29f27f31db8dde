"""Tests assert codes, fields, numbers and names: few of them hold a message to five or more words in a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from messages import tells

TESTS = Path(__file__).parents[1]
FIVE_WORDS = re.compile(r"(?:\S+\s+){4}\S+")
MOST = 280
"""410 of 5,110 before `messages.tells`, 264 of 5,479 with it; the rest are above all tables and names with blanks."""


def texts(node: ast.AST) -> Iterator[str]:
    """The strings in it, one word in place of each value of an f-string."""
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in part.values)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def assertions(source: str) -> Iterator[ast.AST]:
    """What is asserted: conditions without their messages, and what errors are expected."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.raises", "raises"):
            yield node


def wordy(source: str) -> list[int]:
    """The lines of assertions on five or more words in a row."""
    return [
        node.lineno
        for node in assertions(source)
        if any(FIVE_WORDS.search(text) for text in texts(node))  # type: ignore[attr-defined]
    ]


def test_few_assertions_are_on_sentences() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in wordy(path.read_text(encoding="utf-8"))
    ]
    assert len(found) <= MOST, "use messages.tells: " + ", ".join(found)


def test_a_sentence_is_found() -> None:
    said = 'assert said == f"{path}: no file of that name", "the message may be long as it likes"'
    assert wordy(said) == [1]
    assert wordy('with pytest.raises(E, match="one two three four five"):\n    pass') == [1]
    assert wordy('assert tells(said, f"{path}: ", "no file"), "the message may be long as it likes"') == []


def test_a_message_tells_its_parts_in_their_order_behind_its_beginning() -> None:
    said = "a.csv:3: column 'q1' is empty, as in 1 other row"
    assert tells(said, "a.csv:3: ", "'q1'", "1 other")
    assert tells(said, "", "'q1'")
    for start, *parts in (("csv:3: ",), ("a.csv:3: ", "1 other", "'q1'"), ("a.csv:3: ", "'q2'"), ("", "'q1'", "'q1'")):
        assert not tells(said, start, *parts)
    assert not tells(None, "")
