"""Answers to rows, from whoever gave them: the one place where they are checked and turned into what predictions.parquet has.

Trainers that own their model, scripts, and files of predictions made elsewhere all go through `read_answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.kind import Kind
from bakeoff.contracts.own_model import Answer
from bakeoff.contracts.returned import described
from bakeoff.errors import DataError
from bakeoff.text.numbers import count
from bakeoff.text.values import spelt
from bakeoff.text.words import did_you_mean, quoted

SHOWN: Final = 3
"""How many rows without an answer a message names."""


@dataclass(frozen=True)
class Answered:
    """The checked answers to the rows of a split."""

    logits: NDArray[np.float32]
    """(n, n_outputs), in the order of the rows; `Kind.answers` turns them into the answers that were given."""
    scored: bool
    """Whether the logits were made from probabilities that were given, so that these may be used."""


def read_answers(
    given: Iterable[Answer],
    ids: Sequence[Hashable],
    kind: Kind,
    labels: Sequence[str],
    *,
    of: str,
    row: Callable[[Any], str] = "row {}".format,
    place: Callable[[int], str] = lambda number: "",
) -> Answered:
    """Checks answers to the rows with these ids, each of which must have exactly one, and turns them into logits.

    of: whose answers they are, and to what; messages begin with it. row: how messages name the row with an id. place: where
    the answer with this number, from 0, stands (`line 3`), if the answer does not say it itself; empty for answers that were
    never in a file. Raises DataError with one sentence for the first answer that is wrong, and where rows have none.
    """
    n_outputs = kind.n_outputs(len(labels))
    number_of = {one: number for number, one in enumerate(ids)}
    logits = np.empty((len(ids), n_outputs), dtype=np.float32)
    first: dict[Hashable, int] = {}
    scored: dict[bool, int] = {}
    for number, one in enumerate(given):
        at = place(number) or (one.place if isinstance(one, Answer) else "")
        here = f"{of}, {at}" if at else of
        if not isinstance(one, Answer):
            raise DataError(f"{here}: the answer is {described(one)}; it must be a bakeoff.plugin.Answer")
        if not _is_id(one.id) or one.id not in number_of:
            raise DataError(f"{here}: {row(one.id) if _is_id(one.id) else described(one.id)} was not asked for")
        if one.id in first:
            before = f"; its first answer is in {place(first[one.id])}" if at else ""
            raise DataError(f"{here}: {row(one.id)} is answered twice{before}")
        first[one.id] = number
        try:
            answer = kind.read_answer(one.answer, labels)
        except ValueError as error:
            raise DataError(f"{here}: the answer to {row(one.id)} {error}") from None
        scored.setdefault(one.scores is not None, number)
        try:
            logits[number_of[one.id]] = (
                kind.logits_of(answer, n_outputs)
                if one.scores is None
                else kind.logits_of_scores(scores_of_all(one.scores, labels), answer)
            )
        except ValueError as error:
            raise DataError(f"{here}: the answer to {row(one.id)} {error}") from None
    if missing := [one for one in ids if one not in first]:
        more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
        told = ", ".join(row(one) for one in missing[:SHOWN])
        raise DataError(f"{of}: {count(len(missing), 'row')} of {len(ids):,} without an answer: {told}{more}; answer each once")
    if len(scored) > 1:
        bare = next(one for one, number in first.items() if number == scored[False])
        raise DataError(f"{of}: {row(bare)} is answered without scores, and others with: give scores of all rows, or of none")
    return Answered(logits, scored=True in scored)


def scores_of_all(scores: Any, labels: Sequence[str]) -> list[float]:
    """The probabilities of the labels, in the task's order. scores: label -> probability, as given. Raises ValueError, whose
    text ends a sentence that begins `the answer to row 3`."""
    if not isinstance(scores, Mapping):
        raise ValueError(f"has scores that are {described(scores)}, and must be a mapping: label -> probability")
    for label in scores:
        if label not in labels:
            raise ValueError(f"has a score of an unknown label: {did_you_mean('label', str(label), labels)}")
    if missing := [label for label in labels if label not in scores]:
        raise ValueError(f"has no score of label {quoted(missing[0])}: give those of all labels, or none")
    for label in labels:
        score = scores[label]
        if not isinstance(score, Real) or isinstance(score, bool) or not 0 <= float(score) <= 1:
            told = spelt(float(score)) if isinstance(score, float) else described(score)
            raise ValueError(f"has {told} as the score of label {quoted(label)}, which must be a number from 0 to 1")
    return [float(scores[label]) for label in labels]


def _is_id(value: Any) -> bool:
    """Whether the value can be an id: a text, or an integer other than True and False."""
    return isinstance(value, str | Integral) and not isinstance(value, bool)
