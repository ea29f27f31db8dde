"""What strategies get wrong, for the page: precision and recall by label, confusion matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.label_results import Confused, LabelScores
from bakeoff.text.numbers import per_cent, with_decimals

MOST_LINES: Final = 300
"""About how many lines the table by label has at most: one for each label and strategy."""
MOST_MATRICES: Final = 12
SHADES: Final = 8
"""How many shades a matrix's cells have, by their share of the row's examples."""


@dataclass(frozen=True)
class ConfusionMatrix:
    """The confusion matrix of one strategy, a mean over its runs, as text: rows are labels, columns are answers."""

    strategy: str
    rows: list[tuple[str, list[tuple[str, str, str]], str]]
    """(label, a cell for each answer, recall); a cell is (examples, their share of the label's, CSS class)."""
    precision: list[str]
    """Of each answer, below its column."""


@dataclass(frozen=True)
class Labels:
    """How strategies do on each label, and which labels they confuse."""

    lines: list[tuple[str, int, list[tuple[str, str, str]]]]
    """(label, number of its examples, [(strategy, precision, recall)])."""
    left_out: int
    """How many labels have no line."""
    matrices: list[ConfusionMatrix]
    columns: list[str]
    """The labels above the matrices' columns."""
    confused: list[Confused]
    """Frequent mistakes: a label, and the one that is answered in its place."""


def labels_of(group: ComparisonGroup) -> Labels | None:
    """How the group's strategies do on each label; None where answers are not labels."""
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
