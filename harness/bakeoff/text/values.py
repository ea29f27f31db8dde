"""Values, commands and lists as text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final, TypeVar

from bakeoff.text.words import escaped, is_shown, quoted_whole

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def utc_now() -> str:
    """The time now as records write it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def spelt(value: Any) -> str:
    """A value as a person writes it: 5e-5, yes, none, 0.9 / 0.999, f1 (spam)."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        usual, scientific = f"{value:.6g}", re.sub(r"\.?0*e([+-])0*", r"e\1", f"{value:.5e}").replace("e+", "e")
        return scientific if len(scientific) < len(usual) else usual
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return " / ".join(map(spelt, value)) or "nothing"
    if isinstance(value, dict) and value.keys() == {"name", "version", "options"}:  # a component: focal (gamma 2)
        name = value["name"] if value["version"] == "1" else f"{value['name']} {value['version']}"
        return f"{name} ({options_in_words(value['options'])})" if value["options"] else str(name)
    if isinstance(value, dict) and isinstance(name := value.get("name"), str):  # a metric with its class: f1 (spam)
        return f"{name} ({', '.join(spelt(entry) for key, entry in value.items() if key != 'name')})"
    if isinstance(value, dict):
        return " / ".join(f"{key} {spelt(entry)}" for key, entry in value.items()) or "nothing"
    return str(value)


def options_in_words(options: Mapping[str, Any]) -> str:
    """Options, recipe keys or the values of a search as text: `r 8, dropout none`."""
    return ", ".join(f"{key} {spelt(value)}" for key, value in options.items())


PLAIN_WORD: Final = re.compile(r"[A-Za-z]\w*(?:[./-]\w+)*", re.ASCII)
WORDS_OF_YAML: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that some version of YAML reads as a Boolean or null, so they need quotes."""


def yaml_value(value: Any) -> str:
    """A value as YAML on one line: `[a, "it's"]`, `{name: f1, positive: 'yes'}`, `1e-05`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_value(key)}: {yaml_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    word = str(value)
    return word if PLAIN_WORD.fullmatch(word) and word.lower() not in WORDS_OF_YAML else quoted_whole(word)


def command(verb: str, *words: object) -> str:
    """A command line to paste into a shell: `bakeoff run 'my files/spec.yaml' --retry failed`.

    A path that begins with a hyphen is prefixed by `./`; control characters are escaped as bash and zsh read them.
    """
    return " ".join(map(shell_word, ["bakeoff", verb, *words]))


def shell_word(word: object) -> str:
    text = f"./{word}" if isinstance(word, PurePath) and str(word).startswith("-") else str(word)
    if is_shown(text):
        return shlex.quote(text)
    backslashed = {"'": "\\'", "\\": "\\\\"}
    return "$'" + "".join(backslashed.get(one) or escaped(one) for one in text) + "'"


def seeds_spelt(seeds: Sequence[int]) -> str:
    """Seeds as text, consecutive ones joined: `0 to 4, 17`."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """Key -> its values, both in order of appearance."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def shortened(parts: Iterable[str], most: int | None = None) -> list[str]:
    """The first `most` parts, and a count in place of the others: `3 more`. A single other part is kept: never `1 more`."""
    words = list(parts)
    return words if most is None or len(words) <= most + 1 else [*words[:most], f"{len(words) - most:,} more"]


def listed(parts: Iterable[str], *, most: int | None = None) -> str:
    """A list as text: `a`, `a and b`, `a, b and c`; of more than `most` parts the first ones and a count, as in
    `shortened`."""
    words = shortened(parts, most)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
