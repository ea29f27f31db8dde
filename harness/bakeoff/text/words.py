"""Names and texts in messages: escaped, quoted, listed, and the nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]")
"""Characters that are invisible although Unicode classes them as letters or marks."""


def is_shown(text: str) -> bool:
    """Whether every character is visible: no line end, control, bidirectional or zero-width character."""
    return text.isprintable() and not HIDDEN.search(text)


def escaped(text: object) -> str:
    """Untrusted text in full, safe to print: controls, line ends, invisible characters and lone surrogates are escaped."""
    whole = str(text)
    if is_shown(whole):
        return whole
    return "".join(one if is_shown(one) else one.encode("unicode_escape").decode("ascii") for one in whole)


def one_line(text: object) -> str:
    """Untrusted text in full on one line, safe to print: white space, line ends included, becomes single blanks."""
    return escaped(" ".join(str(text).split()))


def quoted(text: object) -> str:
    """Untrusted text in quotation marks, safe to print: control characters are escaped, and it is cut at 80 characters."""
    shown = escaped(repr(str(text)))
    return shown if len(shown) <= 80 else shown[:76] + "...'"


def quoted_whole(text: object) -> str:
    """Untrusted text in full, safe to print, quoted as in YAML, so that an experiment file can contain it."""
    whole = str(text)
    if is_shown(whole) and "'" not in whole:
        return f"'{whole}'"
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(one) or escaped(one) for one in whole) + '"'


def shown_path(path: object) -> str:
    """A path in full, safe to print; `quoted` could cut off the file's name."""
    return escaped(path)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, safe to print; with the exception's type if there is no message, or only a
    key."""
    text = str(error).strip() or type(error).__name__
    text = f"{type(error).__name__}: {text}" if isinstance(error, LookupError) else text
    return escaped(text.splitlines()[0])


NUMBER: Final = re.compile(r"[-+]?[0-9][0-9.,_]*([eE][-+]?[0-9]+)?\s*%?")


SIGN: Final = re.compile(r"[-+<>=!]")


NEGATIONS: Final = frozenset({"un", "non", "not", "no", "in", "im", "ir", "dis", "anti"})


SHORT: Final = 2
"""If one of two names has at most so many letters, they count as near only with a similarity over 0.75."""


LONGEST: Final = 100
"""The longest name, in letters, that `nearest` compares with others."""


LISTED: Final = 30
"""How many valid names a message lists; the others are counted."""


def did_you_mean(what: str, name: str, valid: Iterable[str]) -> str:
    """A sentence about an unknown name, with the nearest valid name if there is one, else with the valid names."""
    names = sorted(valid)
    if (near := nearest(name, names)) is not None:
        return f"no {what} {quoted(name)}; did you mean {quoted_whole(near)}?"
    if not names:
        return f"no {what} {quoted(name)}; there is none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"no {what} {quoted(name)}; there is {', '.join(map(escaped, names[:LISTED]))}{more}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name that was probably meant, apart from case, separators or a typing error; None if none is near.

    Never near: numbers, names that differ in a number or sign (`>50K` and `<=50K`, `A-` and `A`), and opposites
    (`not_entailment` and `entailment`).
    """
    given = _letters(name)
    if NUMBER.fullmatch(name.strip()) or not 0 < len(given) <= LONGEST:
        return None
    known = {_letters(one): one for one in sorted(names, reverse=True) if _may_be_meant(given, _letters(one))}
    if given in known:
        return known[given]
    close = difflib.get_close_matches(given, sorted(known), n=1, cutoff=0.6)
    return known[close[0]] if close else None


def _letters(name: str) -> str:
    """A name in lower case without separators; a hyphen at either end is kept, because it is a sign."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)|[\s_]", "", name.casefold())


def _may_be_meant(given: str, known: str) -> bool:
    numbers, theirs = re.findall(r"\d+", given), re.findall(r"\d+", known)
    if numbers and theirs and numbers != theirs:
        return False
    if SIGN.findall(given) != SIGN.findall(known):
        return False
    shorter, longer = sorted((given, known), key=len)
    if longer.endswith(shorter) and longer.removesuffix(shorter) in NEGATIONS:
        return False
    return len(shorter) > SHORT or difflib.SequenceMatcher(None, given, known).ratio() > 0.75
