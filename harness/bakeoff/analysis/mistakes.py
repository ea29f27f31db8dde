"""Which mistakes strategies make: precision and recall of each label, which label is taken for which, and the examples that
all of them or only one gets wrong. Everything is over the runs that learned, on the split that is reported on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.label_results import ByLabel, Confused, HardExample, HardExamples, LabelScores, OnlyWrong
from bakeoff.analysis.outputs import Measured, SplitOutputs
from bakeoff.analysis.slices import label_name, mean_score
from bakeoff.contracts.metrics import Precision, Recall
from bakeoff.text.values import grouped

MOST_IN_MATRIX: Final = 20
"""With more labels there is no matrix, only the most frequent mistakes."""
MOST_FIGURES: Final = 2000
"""The most labels times strategies; where there are more, only the first strategies are told."""
MOST_CONFUSED: Final = 5
"""Up to so many mistakes of a strategy are listed."""
MOST_EXAMPLES: Final = 10
"""Up to so many examples are listed of those that all get wrong, and of those that only one strategy does."""


def by_label(outputs: SplitOutputs, strategies: Sequence[str], names: Sequence[str]) -> ByLabel | None:
    """Scores and mistakes of each strategy by label; None where answers are no labels, or the examples have no labels. names:
    those of all labels, in the order of their numbers."""
    kind, labels = outputs.kind, outputs.labels
    present = [name for name in strategies if name in outputs.answers][: max(1, MOST_FIGURES // max(1, len(names)))]
    if not (kind.has_labels and outputs.labelled and present):
        return None
    actual = [int(kind.has_label(labels, number).sum()) for number in range(len(names))]
    scores, confused = [], list[Confused]()
    for strategy in present:
        answers = outputs.answers[strategy]
        matrix = _confusion(outputs, answers, len(names))
        if matrix is not None and len(names) > 2:
            confused += _confused(strategy, matrix, names)
        shown = matrix is not None and len(names) <= MOST_IN_MATRIX
        precision, recall = [], []
        for number, name in enumerate(names):
            of_answers = Measured(Precision.numbered(number, name, kind), answers, labels)
            of_labels = Measured(Recall.numbered(number, name, kind), answers, labels)
            precision.append(mean_score(of_answers) if kind.has_label(answers, number).any() else None)
            recall.append(mean_score(of_labels) if actual[number] else None)
        counts = matrix.tolist() if matrix is not None and shown else []
        scores.append(LabelScores(strategy=strategy, precision=precision, recall=recall, confusion=counts))
    return ByLabel(labels=list(names), examples=actual, scores=scores, confused=confused)


def _confusion(outputs: SplitOutputs, answers: NDArray[np.generic], size: int) -> NDArray[np.float64] | None:
    """The (size, size) confusion matrix, right label by answer, as means over runs; None where an example may have several
    labels. answers: (K, N)."""
    actual, given = outputs.kind.slice_labels(outputs.labels), outputs.kind.slice_labels(answers)
    if actual is None or given is None:
        return None
    places = actual.astype(np.int64) * size + given.astype(np.int64)
    return np.bincount(places.ravel(), minlength=size * size).reshape(size, size) / len(answers)


def _confused(strategy: str, matrix: NDArray[np.float64], names: Sequence[str]) -> Iterator[Confused]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0.0)
    for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]:
        label, answer = divmod(int(place), len(names))
        if wrong[label, answer] > 0:
            yield Confused(strategy=strategy, label=names[label], answer=names[answer], examples=float(wrong[label, answer]))


def hard_examples(outputs: SplitOutputs, split: str, strategies: Sequence[str], names: Sequence[str]) -> HardExamples | None:
    """The examples that all strategies, or only one, get wrong; None where answers are no labels, or the examples have no
    labels. Strategies whose answers are equal in all runs count as one."""
    kind, labels = outputs.kind, outputs.labels
    present = [name for name in strategies if name in outputs.answers]
    if not (kind.has_labels and outputs.labelled and present):
        return None
    same = grouped((outputs.answers[name].tobytes(), name) for name in present)
    alike = list(same.values())
    answers = [outputs.answers[first] for first, *_ in alike]
    wrong = [np.asarray(kind.errors(own, labels) != 0) for own in answers]  # (K, N) each
    shares = np.stack([own.mean(axis=0) for own in wrong])  # (strategies, N)
    counts, runs = np.stack([own.sum(axis=0) for own in wrong]), np.array([len(own) for own in wrong])

    def example(place: int, side: Sequence[int], beside: Sequence[int]) -> HardExample:
        given = np.concatenate([answers[number][wrong[number][:, place], place] for number in side])
        values, often = np.unique(given, return_counts=True)
        return HardExample(
            id=outputs.ids[place],
            label=kind.label_in_words(labels[place], names),
            answer=kind.label_in_words(values[often.argmax()], names),
            wrong=int(counts[side, place].sum()),
            runs=int(runs[side].sum()),
            others_wrong=int(counts[beside, place].sum()),
            others=int(runs[beside].sum()),
        )

    everyone = list(range(len(alike)))
    by_all = np.flatnonzero((shares > 0.5).all(axis=0))
    by_all = by_all[np.argsort(-counts[:, by_all].sum(axis=0), kind="stable")]
    only = []
    for number, group in enumerate(alike if len(alike) > 1 else []):
        beside = [other for other in everyone if other != number]
        highest = shares[beside].max(axis=0)
        own = np.flatnonzero((shares[number] > 0.5) & (highest <= 0.5))
        own = own[np.argsort(highest[own] - shares[number, own], kind="stable")]
        shown = [example(int(place), [number], beside) for place in own[:MOST_EXAMPLES]]
        only.append(OnlyWrong(strategies=group, number=len(own), examples=shown))
    return HardExamples(
        split=split,
        number=len(by_all),
        of=len(labels),
        examples=[example(int(place), everyone, []) for place in by_all[:MOST_EXAMPLES]],
        only=[one for one in only if one.number],
    )


def label_names(names: Sequence[str], number: int) -> list[str]:
    """The names of the first `number` labels; of those that a record does not name, their numbers."""
    return [label_name(label, names) for label in range(number)]
