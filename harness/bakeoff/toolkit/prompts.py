"""A template that makes one prompt of an example's texts, as instruct models expect it."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.errors import ModelError
from bakeoff.text.values import listed
from bakeoff.text.words import did_you_mean, quoted


def checked_template(template: str) -> str:
    """The template unchanged. Raises ValueError where it has no place for a text, or anything else in braces. For use in a
    pydantic validator."""
    if not places_of(template):
        raise ValueError("the template has no place for a text: name a text column of the task in braces, {sentence}")
    return template


def places_of(template: str) -> list[str]:
    """The text columns that the template names. Raises ValueError for braces that name none."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f"the template can't be read ({error}): write {{{{ and }}}} for braces of its own") from None
    for name, form, conversion in parts:
        if not (name or "").isidentifier() or form or conversion:
            raise ValueError(
                "in braces, the template names a text column of the task and nothing else, {sentence}; a column whose name is "
                "no identifier must be renamed"
            )
    return list(dict.fromkeys(str(name) for name, *_ in parts))


class Template:
    """Puts the text columns of a task into a template, and shortens texts whose prompt would be too long."""

    def __init__(self, template: str, columns: Sequence[str]) -> None:
        """Raises ModelError where the template leaves a text column out, or names another column."""
        places = places_of(template)
        if strange := [name for name in places if name not in columns]:
            raise ModelError(f"template: {did_you_mean('text column', strange[0], columns)}")
        if lacking := [name for name in columns if name not in places]:
            needed = listed([f"{{{name}}}" for name in lacking])
            raise ModelError(f"template: {quoted(template)} leaves a text out: it has no {needed}")
        self.template = template

    def prompts(self, columns: Mapping[str, Sequence[str]], tokenizer: Any, most: int) -> list[str]:
        """The prompt of each example, of at most `most` tokens, special tokens included.

        Of a prompt that is too long the longest text loses tokens at its end, as often as it takes; what the template itself
        says stays. Raises ModelError where the template alone is too long.
        """
        rows = [dict(zip(columns, texts, strict=True)) for texts in zip(*columns.values(), strict=True)]
        made = [self.template.format(**row) for row in rows]
        lengths = [len(ids) for ids in tokenizer(made, truncation=False, padding=False)["input_ids"]] if made else []
        return [
            prompt if length <= most else self._shortened(row, tokenizer, most, length)
            for prompt, row, length in zip(made, rows, lengths, strict=True)
        ]

    def _shortened(self, row: dict[str, str], tokenizer: Any, most: int, length: int) -> str:
        texts = dict(row)
        while length > most:
            ends = {
                name: [
                    end for _, end in tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
                ]
                for name, text in texts.items()
            }
            if not any(ends.values()):
                raise ModelError(
                    f"template: its own words are {length} tokens, without any text, and `max_length` is {most}: shorten it, "
                    "or allow longer inputs"
                )
            kept = shortened_to({name: len(own) for name, own in ends.items()}, length - most)
            cut = {name: text[: ends[name][kept[name] - 1]] if kept[name] else "" for name, text in texts.items()}
            if cut == texts:  # tokens of blanks end where the one before them does
                longest = max(texts, key=lambda name: len(texts[name]))
                cut[longest] = texts[longest][:-1]
            texts = cut
            length = len(tokenizer(self.template.format(**texts), truncation=False)["input_ids"])
        return self.template.format(**texts)


def shortened_to(lengths: Mapping[str, int], excess: int) -> dict[str, int]:
    """How many tokens each text keeps when `excess` are taken away one by one, each from the longest (of equals the first)."""
    left = dict(lengths)
    level = max(left.values())
    while excess > 0 and level > 0:
        longest = [name for name, length in left.items() if length == level]
        below = max((length for length in left.values() if length < level), default=0)
        each, rest = divmod(min(excess, len(longest) * (level - below)), len(longest))
        for number, name in enumerate(longest):
            left[name] -= each + (number < rest)
        excess -= each * len(longest) + rest
        level = max(left.values())
    return left
