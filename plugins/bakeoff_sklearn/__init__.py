"""Trainers whose models are no torch modules: `tfidf-logistic`, `setfit-style`, `knn` and `majority`.

The first three use scikit-learn. None of them trains an encoder: compared with them, fine-tuning shows what it is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from bakeoff.plugin import (
    Answer,
    EstimatorTrainer,
    Example,
    Options,
    OwnModelJob,
    OwnModelTrainer,
    Recipe,
    Supports,
    Trainer,
    hookimpl,
    no_duplicates,
)

NEEDS = {"sklearn": "sklearn"}
OF_EMBEDDINGS = Supports(
    kinds=None, recipe_keys=frozenset({"train_examples", "max_length", "padding"}), methods=frozenset({"full"})
)

Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LinearOptions(Options):
    """Options of a linear model whose regularisation strength C is chosen from several values by the error on held-out
    rows."""

    C: Annotated[list[Strength], AfterValidator(no_duplicates), AfterValidator(sorted), Field(min_length=1)] = Field(
        [0.1, 1.0, 10.0, 100.0],
        description="Inverse strengths of the L2 penalty to choose from, as in scikit-learn; a single one is not searched.",
    )
    choose_on: Literal["dev", "train"] = Field(
        "dev", description="Rows that C is chosen on: dev, where it has labels, else every fifth row of train; or always these."
    )


class LinearTrainer(EstimatorTrainer):
    """Logistic regression on features of the examples; in a multi-label task one for each label, in a regression ridge
    regression.

    Of the values of C, the one with the smallest mean error on held-out rows (`choose_on`) is taken: wrong answers in a
    classification, wrong labels of an example in a multi-label task, the absolute error in a regression. Of equals, the
    smallest C. The model is then fitted to all rows of train, and to no others.
    """

    needs: ClassVar[dict[str, str]] = NEEDS
    Options = LinearOptions

    def estimator(self, job: OwnModelJob, options: LinearOptions) -> Any:
        """The transformer that turns `inputs` into features; it never sees labels. Here it changes nothing."""
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer()

    def fitted(self, inputs: Any, targets: Any, job: OwnModelJob, options: LinearOptions) -> Any:
        from sklearn.pipeline import make_pipeline

        from bakeoff_sklearn.linear import best_linear_model

        encoder = self.estimator(job, options)
        features = encoder.fit_transform(inputs)
        return make_pipeline(encoder, best_linear_model(self, encoder, features, targets, job, options))


class TfidfOptions(LinearOptions):
    """Options of `tfidf-logistic`."""

    words: Annotated[int, Field(ge=1, le=5)] = Field(
        2, description="Longest run of words that is a feature; 1 for words alone."
    )
    characters: bool = Field(
        False, description="Runs of 2 to 4 characters within words are features too; several times as dear."
    )
    min_rows: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1, description="A run of words or characters in fewer training texts than this is no feature."
    )


class TfidfLogistic(LinearTrainer):
    """TF-IDF of words and pairs of words, with logarithmic counts, and a linear model: the usual baseline in papers.

    Of two texts a and b the features are both vectors, |a - b|, a * b and their cosine, with one vocabulary. The two vectors
    alone would not tell a linear model whether the texts are alike.
    """

    name = "tfidf-logistic"
    summary = "TF-IDF of words with logistic regression (ridge for numbers), C chosen on dev; no pretrained model."
    version = "1"
    Options = TfidfOptions
    supports = OwnModelTrainer.supports

    def depends_on_seed(self, recipe: Recipe, options: TfidfOptions) -> bool:
        return False

    def inputs(self, examples: Sequence[Example], job: OwnModelJob, options: TfidfOptions) -> list[tuple[str, ...]]:
        return [tuple(example.texts[column] for column in job.text_columns) for example in examples]

    def estimator(self, job: OwnModelJob, options: TfidfOptions) -> Any:
        from bakeoff_sklearn.features import TfidfFeatures

        return TfidfFeatures(words=options.words, characters=options.characters, min_rows=options.min_rows)


class SetFitStyle(LinearTrainer):
    """The second half of SetFit (Tunstall et al., 2022): a logistic head on the embeddings of a sentence encoder.

    The first half, contrastive tuning of the encoder, does not take place. Embeddings have length 1; of two texts u and v the
    features are u, v, |u - v| and u * v, as in InferSent (Conneau et al., 2017).

    The trainer depends on the seed as far as the model does: parts of an encoder that its checkpoint lacks are drawn by the
    seed.
    """

    name = "setfit-style"
    summary = "Logistic head on frozen, normalised embeddings (of two texts with |u-v|, u*v); the encoder is not tuned."
    version = "1"
    supports = OF_EMBEDDINGS
    uses_model = True

    def inputs(self, examples: Sequence[Example], job: OwnModelJob, options: LinearOptions) -> Any:
        from bakeoff_sklearn.features import embedded

        return embedded(examples, job)


class NeighboursOptions(Options):
    """Options of `knn`."""

    k: Annotated[int, Field(ge=1, le=10_000)] = Field(
        10, description="How many neighbours answer; all rows of train, where there are fewer."
    )


class NearestNeighbours(EstimatorTrainer):
    """Answers by the k nearest rows of train, by the features of `setfit-style`: by their votes, or in a regression by the
    mean of their numbers."""

    name = "knn"
    summary = "k nearest neighbours by frozen, normalised embeddings (of two texts by |u-v| and u*v too); nothing is trained."
    version = "1"
    needs: ClassVar[dict[str, str]] = NEEDS
    Options = NeighboursOptions
    supports = OF_EMBEDDINGS
    uses_model = True

    def inputs(self, examples: Sequence[Example], job: OwnModelJob, options: NeighboursOptions) -> Any:
        from bakeoff_sklearn.features import embedded

        return embedded(examples, job)

    def estimator(self, job: OwnModelJob, options: NeighboursOptions) -> Any:
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        made_by = KNeighborsClassifier if job.kind.has_labels else KNeighborsRegressor
        return made_by(n_neighbors=min(options.k, len(job.train)), algorithm="brute")


class Majority(OwnModelTrainer):
    """The majority baseline as a trainer: every row gets one answer, the most frequent label of train, or in a regression the
    mean of its numbers (`Kind.majority`)."""

    name = "majority"
    summary = "The most frequent label of train (or set of labels, or the mean of its numbers) for every row."
    version = "1"

    def depends_on_seed(self, recipe: Recipe, options: Options) -> bool:
        return False

    def fit_own(self, job: OwnModelJob, options: Options) -> Any:
        labels = [job.kind.read_answer(example.label, job.labels) for example in job.train]
        return job.kind.named(job.kind.majority(np.asarray(labels)), job.labels)

    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Options) -> Sequence[Answer]:
        return [Answer(example.id, model) for example in examples]


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [TfidfLogistic(), SetFitStyle(), NearestNeighbours(), Majority()]
