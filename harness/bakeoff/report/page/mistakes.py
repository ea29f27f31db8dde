"""What strategies get wrong, for the page: precision and recall by label, confusion matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.label_results import Confused, LabelScores
from bakeoff.text.numbers import per_cent, with_decimals

MOST_LINES: Final = 300
"""Lines in the table by label."""
MOST_MATRICES: Final = 12
SHADES: Final = 8
"""Shades of a matrix's cells, by the share of the row's examples."""


@dataclass(frozen=True)
class ConfusionMatrix:
    """One strategy's, over labels; means over its runs."""

    strategy: str
    rows: list[tuple[str, list[tuple[str, str, str]], str]]
    """(label, [(examples, share of the row's, class)], recall)."""
    precision: list[str]


@dataclass(frozen=True)
class Labels:
    """What strategies make of each label."""

    lines: list[tuple[str, int, list[tuple[str, str, str]]]]
    """(label, its examples, [(strategy, precision, recall)])."""
    left_out: int
    """Labels beyond the lines."""
    matrices: list[ConfusionMatrix]
    columns: list[str]
    """Of the matrices: labels."""
    confused: list[Confused]


def labels_of(group: ComparisonGroup) -> Labels | None:
    """None where answers are no labels."""
    found = group.by_label
    if found is None:
        return None
    shown = max(1, MOST_LINES // len(found.scores))
    lines = [
        (
            label,
            found.examples[number],
            [(own.strategy, _hundredths(own.precision[number]), _hundredths(own.recall[number])) for own in found.scores],
        )
        for number, label in enumerate(found.labels[:shown])
    ]
    return Labels(
        lines=lines,
        left_out=len(found.labels) - len(lines),
        matrices=[_matrix(own, found.labels) for own in found.scores[:MOST_MATRICES] if own.confusion],
        columns=found.labels,
        confused=found.confused,
    )


def _matrix(own: LabelScores, labels: list[str]) -> ConfusionMatrix:
    rows = []
    for number, label in enumerate(labels):
        counts = own.confusion[number]
        whole = sum(counts)
        cells = []
        for place, count in enumerate(counts):
            share = count / whole if whole else 0.0
            kind = "right" if place == number else "wrong"
            cells.append(
                (with_decimals(count, 0 if count.is_integer() else 1), per_cent(share), f"{kind} s{int(share * SHADES + 0.5)}")
            )
        rows.append((label, cells, _hundredths(own.recall[number])))
    return ConfusionMatrix(own.strategy, rows, [_hundredths(one) for one in own.precision])


def _hundredths(share: float | None) -> str:
    return with_decimals(None if share is None else 100 * share, 1)
