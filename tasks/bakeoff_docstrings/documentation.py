"""Finds the documented functions in Python source by `ast`: nothing is imported or run."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SUMMARY_WORDS = 20
PARAGRAPH_WORDS = 32
"""Texts are cut after this many words; most pairs then fit in 64 tokens, which keeps an epoch short on a CPU."""

_FEWEST_SUMMARY_WORDS = 4
_FEWEST_PARAGRAPH_WORDS = 10
_LEAST_SHARE_OF_WORDS = 0.75
"""A paragraph with a smaller share of plain words is taken for a formula, a path or a table."""

_PROSE_SECTIONS = frozenset({"", "notes", "explanation", "description", "extended summary", "details", "discussion"})
"""Section headings (numpydoc's and sympy's) under which running text is expected; "" is the text before the first heading."""

_HEADING = re.compile(r"([A-Z][A-Za-z ]*):?\n *(?:={3,}|-{3,}|~{3,})\s*$")
_LIST_TABLE_OR_CODE = re.compile(
    r"^\s*(?:>>>|\.\.|[-*+|:#]|\d+[.)]\s|[\w*, ]+ : )"  # the last: a parameter's line, `x, y : int`
    r"|^\s|[%{}|]|::|={3,}|-{3,}|:math:",  # braces and per cent signs: templates that the library fills in at run time
    re.MULTILINE,
)
_ROLE = re.compile(r":[a-z:]+:`~?([^`<]*)(?:<[^`]*>)?`")
_REFERENCE = re.compile(r"\s*\[[\w.]+\]_")
_WORD = re.compile(r"\(?[A-Za-z][a-z'’-]*[.,;:)]*")


@dataclass(frozen=True)
class Documented:
    """A function's qualified name, its summary and its first paragraph of prose, both cut to length."""

    function: str
    summary: str
    paragraph: str


def documented_functions(source: bytes) -> list[Documented]:
    """The functions and methods, nested and async ones too, whose docstring has a summary and prose.

    Of several definitions with one name (branches, overloads, a property and its setter) the first with prose is taken. The
    list is empty for source that this Python can't parse.
    """
    if b"def " not in source or (b'"""' not in source and b"'''" not in source):
        return []  # nearly all the time of reading goes into parsing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes are no concern of who reads a dataset
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # null bytes: ValueError; deep nesting: the last two
        return []
    found: dict[str, Documented] = {}
    for name, docstring in _docstrings(tree.body, ""):
        documented = _documented(name, docstring)
        if documented is not None:
            found.setdefault(name, documented)
    return list(found.values())


def _docstrings(body: Sequence[ast.AST], prefix: str) -> Iterator[tuple[str, str]]:
    """Yields (qualified name, docstring) of functions, in the order of the source. Expressions are not searched."""
    for node in body:
        inside = prefix
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inside = f"{prefix}{node.name}."
            if not isinstance(node, ast.ClassDef) and (docstring := ast.get_docstring(node, clean=False)):
                yield inside[:-1], docstring
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            if block in node._fields:
                yield from _docstrings(getattr(node, block), inside)


def _documented(name: str, docstring: str) -> Documented | None:
    blocks = [block for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)) if block]
    if len(blocks) < 2 or not (summary := _prose(blocks[0], _FEWEST_SUMMARY_WORDS)):
        return None
    for paragraph in _paragraphs(blocks[1:]):
        return Documented(name, _cut(summary, SUMMARY_WORDS), _cut(paragraph, PARAGRAPH_WORDS))
    return None


def _paragraphs(blocks: list[str]) -> Iterator[str]:
    section = ""
    for block in blocks:
        text, lines = block, block.split("\n", 2)
        if heading := _HEADING.match("\n".join(lines[:2])):
            section, text = heading[1].strip().lower(), "".join(lines[2:])
        if section in _PROSE_SECTIONS and (prose := _prose(text, _FEWEST_PARAGRAPH_WORDS)):
            yield prose


def _prose(block: str, fewest_words: int) -> str | None:
    """A block as one line without markup; None if it is a list, a table, code, a formula or too short."""
    plain = _REFERENCE.sub("", _ROLE.sub(r"\1", block))
    if _LIST_TABLE_OR_CODE.search(plain):
        return None
    words = plain.replace("`", "").replace("*", "").split()
    if len(words) < fewest_words or not words[0][0].isupper():
        return None
    plain_words = sum(_WORD.fullmatch(word) is not None for word in words)
    return " ".join(words) if plain_words >= _LEAST_SHARE_OF_WORDS * len(words) else None


def _cut(text: str, words: int) -> str:
    return " ".join(text.split()[:words])
