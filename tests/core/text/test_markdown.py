"""Tables and sentences in Markdown: whatever a name is, a renderer makes text of it, and all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from builders import EVERYTHING, HOSTILE, MARKDOWN, Renamer, hostile_folder
from core.calling import Call
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bakeoff.text.markdown import Column, as_markdown, grid, item, paragraph, prose
from bakeoff.text.words import one_line

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
"""HTML is on; links without brackets are looked for in what it leaves as text, as GitHub does after rendering."""

ALIVE = re.compile(
    r"(?i)https?://|ftp://|www\.|mailto:|xmpp:|[\w.+-]+@[\w-]+\.\w|(?<!\w)@\w|\w@[0-9a-f]{7}|#\d|\bgh-\d|\$"
    r"|:\w*[a-z][\w-]*:|:[+-]1:|:100:"
)


def inlines(tokens: list[Token]) -> Iterator[Token]:
    yield from (token for token in tokens if token.type == "inline")


def shown(inline: Token) -> str:
    """What a reader reads."""
    return "".join(" " if part.type in ("softbreak", "hardbreak") else part.content for part in inline.children or ())


def alive(inline: Token) -> list[str]:
    """What a renderer would make more of in text that is no code."""
    told = {"code_inline": "\0", "softbreak": " "}
    text = "".join(told.get(part.type, part.content) for part in inline.children or ())
    return ALIVE.findall(text)


def kinds(tokens: list[Token]) -> Counter[str]:
    """How many tokens of each kind there are; code and text may stand for each other."""
    parts = [part.type for token in tokens for part in (token, *(token.children or ()))]
    return Counter(kind for kind in parts if kind not in ("text", "text_special", "code_inline", "softbreak"))


PLACES = {
    "a heading": lambda text: [f"# {as_markdown(text)}"],
    "a paragraph": lambda text: paragraph(as_markdown(text)),
    "the middle of a paragraph": lambda text: paragraph(f"{'word ' * 23}{as_markdown(text)} {'more ' * 30}".strip()),
    "an item": lambda text: item(as_markdown(text)),
    "a cell": lambda text: grid([Column("strategy", [as_markdown(text), "b"], "left"), Column("n", ["1", "2"])]),
    "a title": lambda text: grid([Column(as_markdown(text), ["a", "b"], "left"), Column("n", ["1", "2"])]),
}


@cache
def rendered(text: str, place: str) -> list[Token]:
    return GITHUB.parse("\n".join(PLACES[place](text)) + "\n")


def broken(text: str, place: str) -> list[str]:
    """What is wrong with how it is rendered there."""
    tokens, plain = rendered(text, place), kinds(rendered("plain", place))
    found = [] if kinds(tokens) == plain else [f"{kinds(tokens) - plain}, lacks {plain - kinds(tokens)}"]
    found += [f"alive: {one}" for inline in inlines(tokens) for one in alive(inline)]
    if not any(one_line(text) in shown(inline) for inline in inlines(tokens)):
        found.append("; ".join(map(shown, inlines(tokens))))
    return found


@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_text_and_all_of_it(place: str) -> None:
    names = (*HOSTILE, "a ##", "#", ":-:", "-:", "a\n:-: b", "(see https://evil.example/a_(b).)")
    assert {text: found for text in names if (found := broken(text, place))} == {}


@given(
    st.lists(
        st.sampled_from([*MARKDOWN, "a", " ", "`", "|", "\\", "<", "*", "_", "~", "#", "-", "[", "]", "(", "&", "!", ":"]),
        max_size=6,
    ),
    st.sampled_from(sorted(PLACES)),
)
def test_pieces_of_such_names_are_text_too(pieces: list[str], place: str) -> None:
    text = "".join(pieces)
    assert not one_line(text) or broken(text, place) == []


ORDINARY = (
    *("trainer-api", "f1 (spam)", "recall@10", "C++", "a_b_c", "50 % of 3 < 4", "12:30:45", "2026-11-23T08:51:39+00:00"),
    *("S1: told", "glue/mrpc · minilm", "Processor @ 2.80GHz", "it's", 'a "word"', "e.g. this", "no. 1", "1,000 ± 3"),
)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert as_markdown(text) == text


def pages_of(call: Call, place: Path, names: Sequence[str]) -> dict[str, list[Token]]:
    """What every verb that writes Markdown says of an experiment of such names, rendered."""
    here, there = (hostile_folder(place / side, Renamer(names)) for side in ("here", "there"))
    pages = {
        "table": call("table", here, "--all")[1],
        "beside": call("table", here, "--beside", there)[1],
        "gate": call("gate", here, "--against", there, "--summary", place / "summary.md")[1],
        "rescore": call("rescore", here, "--metric", "accuracy", "--slices", "--calibration")[1],
    }
    assert call("report", here, there, "--into", place / "both")[0] == 0
    pages |= {"both": (place / "both" / "table.md").read_text("utf-8")}
    pages |= {"table.md": (here / "table.md").read_text("utf-8"), "summary": (place / "summary.md").read_text("utf-8")}
    return {name: GITHUB.parse(page) for name, page in pages.items()}


NAMES = {"all in each": [EVERYTHING], **{first: (*HOSTILE[first:], *HOSTILE[:first]) for first in range(10, 130, 20)}}


MARKS = {"all in each": [], 10: pytest.mark.slow, 70: pytest.mark.slow}


@pytest.mark.parametrize("which", [pytest.param(key, marks=MARKS.get(key, pytest.mark.long)) for key in NAMES])
def test_whole_pages_hold_no_more_than_with_ordinary_names(call: Call, tmp_path: Path, which: str | int) -> None:
    plain, hostile = (pages_of(call, tmp_path / place, names) for place, names in (("p", ["p"]), ("h", NAMES[which])))
    for name, page in hostile.items():
        there, usual = kinds(page), kinds(plain[name])
        assert [one for inline in inlines(page) for one in alive(inline)] == [], name
        assert [kind for kind in NEVER if there[kind]] == [], name
        assert [there[kind] for kind in STRUCTURE] == [usual[kind] for kind in STRUCTURE], name
        assert usual["heading_open"] > 0, name


NEVER = ("link_open", "image", "html_inline", "html_block", "fence", "code_block", "hr", "blockquote_open", "s_open", "em_open")
STRUCTURE = ("heading_open", "table_open", "strong_open", "bullet_list_open", "ordered_list_open", "th_open", "tr_open")


def test_looks_to_write_into_a_file_stay_code_and_other_text_in_backticks_does_not() -> None:
    looks = "Declare looks (`seeds: {looks: [3, 5, 8], first: 5}`)."
    assert prose(looks) == looks
    assert prose("`seeds: {looks: [a](b)}`").count("\\`") == 2
