"""The placeholders of a command (`{train}`, `{learning_rate}`): their names, and filling them in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bakeoff.plugin import Recipe, did_you_mean

FILES: Final = {
    "train": "rows to train on, with labels",
    "dev": "rows of dev, with labels, to stop or to choose by",
    "predict": "rows of all splits to predict, without labels",
    "predictions": "where the script writes its answers",
    "recipe": "recipe, task, seed and device as JSON",
    "steps": "where it may write its steps",
    "work": "a folder for its files, which survives when a run is tried again",
}
"""Placeholder that stands for the path of a file or folder -> what is in there."""
NUMBERS: Final = {
    "seed": "one integer below 2^32",
    "port": "a free port, for torchrun and accelerate",
    "threads": "threads that the run may use",
    "device": "cpu or cuda",
}
NEEDED: Final = ("predict", "predictions")
PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
KNOWN: Final = (*FILES, *NUMBERS, *Recipe.model_fields)


def placeholders(words: Iterable[str]) -> list[str]:
    """The placeholders in these words of a command, each once, in order."""
    return list(dict.fromkeys(name for word in words for name in PLACEHOLDER.findall(word)))


def checked_command(words: Sequence[str]) -> Sequence[str]:
    """The words of the command, unchanged. Raises ValueError for an unknown placeholder, a missing one, or a word that cannot
    be handed to a process."""
    if not words or not words[0]:
        raise ValueError("the first word must be a program: [python, train.py, ...]")
    for word in words:
        if "\0" in word:
            raise ValueError("a word of a command must not contain a NUL character")
    found = placeholders(words)
    for name in found:
        if name not in KNOWN:
            raise ValueError(did_you_mean("placeholder", name, KNOWN))
    if missing := [name for name in NEEDED if name not in found]:
        raise ValueError(
            f"the command needs {{{missing[0]}}}, the path of the file{' with' if missing[0] == 'predict' else ''} "
            f"{FILES[missing[0]]}: add it as an argument"
        )
    return words


def filled(words: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The words of the command with their placeholders filled in; numbers are written as Python prints them."""
    return [PLACEHOLDER.sub(lambda match: str(values[match[1]]), word) for word in words]
