"""Writes the proposed experiment file, with a comment on each line that a user may want to change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bakeoff.drafting.proposal import BATCH, Length, Outlook, Schedule, Sizes, Way
from bakeoff.text.numbers import per_cent
from bakeoff.text.values import listed, spelt, yaml_value
from bakeoff.text.words import escaped

COMMENTS_FROM: Final = 38
"""The column in which comments begin, unless a line is longer."""
WARMUP: Final = 0.1

Entry = tuple[str, Any, str]
"""A key, its value, and a comment or an empty text."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """All that the experiment file says."""

    name: str
    made_from: str
    """The command line that drafted the file."""
    question: str
    task: Sequence[Entry]
    """The entries of the task; the first is its name."""
    model: Any
    """The name of the model, or a mapping with its options."""
    trainer: str
    ways: Sequence[Way]
    length: Length
    bf16: bool
    """Whether this machine multiplies in bf16, which is about twice as fast."""
    schedule: Schedule
    report_on: str
    outlook: Outlook


class Plain(str):
    """A text that is YAML already, and is written as it stands."""

    __slots__ = ()


def experiment_text(draft: Draft) -> str:
    """The text of the experiment file."""
    return "\n".join(_lines(draft)) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    steps, looks = draft.schedule.training, draft.schedule.looks
    yield f"# Drafted by `{escaped(draft.made_from)}`. Change what you like: `bakeoff check` finds"
    yield "# what is wrong, `bakeoff plan` tells what there is to train, `bakeoff run` trains and goes on where it stopped."
    yield f"name: {draft.name}"
    yield f"question: {yaml_value(draft.question)}"
    yield from _task(draft.task)
    other = "or any encoder: {name: hub, path: google-bert/bert-base-uncased}"
    yield _line("models: [" + yaml_value(draft.model) + "]", other if isinstance(draft.model, str) else "")
    yield _line("recipe:", "what all strategies share")
    if steps.epochs is None:
        yield _line(
            f"  max_steps: {steps.max_steps}", f"in place of epochs, each of which has {-(-steps.rows // BATCH):,} steps"
        )
    else:
        yield _line(f"  epochs: {steps.epochs}", f"about {steps.steps:,} steps")
    yield f"  batch_size: {BATCH}"
    cut = f"; about {per_cent(draft.length.cut)} of the texts are longer, and cut" if draft.length.cut >= 0.005 else ""
    yield _line(f"  max_length: {draft.length.max_length}", f"tokens{cut}")
    yield _line(f"  warmup: {WARMUP}", "of the steps")
    if draft.bf16:
        yield _line("  precision: bf16", "faster on this processor; fp32 where there is none like it")
    yield _line("strategies:", "what is compared, each at a learning rate that is usual for it")
    for way in draft.ways:
        method = f", method: {yaml_value(way.method)}" if way.method else ""
        rate = f"{way.learning_rate:.0e}".replace("e-0", "e-")
        yield _line(f"  {way.name}: {{trainer: {draft.trainer}{method}, recipe: {{learning_rate: {rate}}}}}", way.about)
    yield _line(f"baseline: {draft.ways[0].name}", "the others are compared with it")
    numbers = listed(map(str, looks))
    yield _line(
        f"seeds: {{looks: {yaml_value(list(looks))}}}", f"judged after {numbers} seeds; comparisons once decided get no more"
    )
    yield _line(f"report_on: {draft.report_on}", f"{draft.outlook.rows:,} rows")
    yield _line(
        f"margin: {spelt(draft.outlook.margin)}",
        "points: what so many rows can show; set what would not matter to you before the first run",
    )
    yield _line("keep: none", "`final` keeps each trained model, to use it")


def _task(entries: Sequence[Entry]) -> Iterator[str]:
    if len(entries) == 1:
        yield f"tasks: [{yaml_value(entries[0][1])}]"
        return
    yield "tasks:"
    for number, (key, value, comment) in enumerate(entries):
        text = value if isinstance(value, Plain) else yaml_value(value)
        yield _line(f"{'    ' if number else '  - '}{key}: {text}", comment)


def _line(text: str, comment: str = "") -> str:
    return f"{text:<{COMMENTS_FROM - 2}}  # {escaped(comment)}" if comment else text


def written_shares(sizes: Sizes) -> str:
    """The shares that are held out, as YAML: `{dev: 10%, test: 20%}`."""
    return f"{{{', '.join(f'{split}: {share}' for split, share in sizes.shares.items())}}}"


def experiment_name(stem: str) -> str:
    """A name for an experiment, made from the name of its data: letters, digits, `.`, `_` and `-`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60].strip("-._")
    return name or "experiment"
