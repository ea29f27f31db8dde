"""Features of examples that have one text or two. Imports scikit-learn and SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
import scipy.sparse as sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from bakeoff.plugin import DataError, Example, OwnModelJob

WORD = r"(?u)\b\w+\b"
"""Pattern of a word. Words of one letter count too, which scikit-learn's own pattern leaves out."""


class TfidfFeatures(TransformerMixin, BaseEstimator):
    """Turns n examples, tuples of one text or two, into a sparse matrix (n, width) of TF-IDF features."""

    def __init__(self, *, words: int, characters: bool, min_rows: int) -> None:
        self.words, self.characters, self.min_rows = words, characters, min_rows

    def fit(self, rows: Sequence[tuple[str, ...]], targets: Any = None) -> Self:
        shared = {"sublinear_tf": True, "min_df": self.min_rows}
        parts = [TfidfVectorizer(token_pattern=WORD, ngram_range=(1, self.words), **shared)]
        if self.characters:
            parts.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **shared))
        try:
            self.union_ = make_union(*parts).fit(list(chain.from_iterable(rows)))
        except ValueError:  # an empty vocabulary
            where = f"in {self.min_rows} texts or more" if self.min_rows > 1 else "of letters or digits"
            raise DataError(f"tfidf-logistic finds no word {where} in the {len(rows):,} rows of train") from None
        return self

    def transform(self, rows: Sequence[tuple[str, ...]]) -> Any:
        sides = [self.union_.transform(list(side)) for side in zip(*rows, strict=True)]
        return paired(*sides) if len(sides) == 2 else sides[0]


def paired(a: Any, b: Any) -> Any:
    """[a, b, |a - b|, a * b, cosine] for sparse matrices a and b, (n, width), whose rows have length 1: (n, 4 * width + 1)."""
    product = a.multiply(b).tocsr()
    return sparse.hstack([a, b, abs(a - b), product, sparse.csr_matrix(product.sum(axis=1))], format="csr")


def embedded(examples: Sequence[Example], job: OwnModelJob) -> np.ndarray:
    """Embeddings of the examples' texts by the frozen encoder, scaled to length 1, (n, width); for two texts u and v [u, v, |u
    - v|, u * v], (n, 4 * width)."""
    sides = [of_length_one(job.embeddings(examples, column)) for column in job.text_columns]
    if len(sides) == 1:
        return sides[0]
    u, v = sides
    return np.hstack([u, v, np.abs(u - v), u * v])


def of_length_one(vectors: np.ndarray) -> np.ndarray:
    """The vectors, (n, width), each divided by its length; vectors of zeros stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
