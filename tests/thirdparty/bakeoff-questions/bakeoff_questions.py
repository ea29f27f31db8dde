"""A task and a method for bakeoff, in one module: is this line a question?

"will the baker sing at night" is one, "the baker will sing at night" is none: the same words, only their order tells.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

from pydantic import Field

from bakeoff.plugin import (
    CLASSIFICATION,
    F1,
    Accuracy,
    Adaptation,
    Method,
    Options,
    Paths,
    Task,
    TaskInfo,
    hookimpl,
    weight_decay_groups,
)

if TYPE_CHECKING:
    from datasets import Dataset

WHO = ("the baker", "a sailor", "my teacher", "the old dog", "our neighbour", "everybody")
WILL = ("will", "can", "may", "should")
DO = ("sing", "wait", "dance", "sleep", "laugh")
WHERE = ("at night", "in the garden", "by the river", "after dinner")
LABELS = ("statement", "question")


class QuestionsOptions(Options):
    """What a spec may write beside the name: `{name: questions, pairs: 200}`."""

    pairs: Annotated[int, Field(ge=40, le=480)] = 480
    marks: bool = Field(False, description="Keep the '?' and '.' at the end, which makes it easy.")


class Questions(Task):
    """Pairs of a question and a statement made of the same words; a pair never crosses splits."""

    name = "questions"
    summary = "Is this line a question? Made-up lines in which only the order of words tells."
    version = "1"
    Options = QuestionsOptions

    def info(self, options: QuestionsOptions) -> TaskInfo:
        splits = ("train", "dev", "test")
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("line",),
            labels=LABELS,
            n_outputs=len(LABELS),
            metrics=(Accuracy(), F1()),
            primary_metric="accuracy",
            positive="question",
            splits=splits,
            labelled_splits=splits,
        )

    def load(self, options: QuestionsOptions, places: Paths) -> dict[str, Dataset]:
        from datasets import Dataset  # here, so that `bakeoff plugins` need not wait for it

        pairs = sorted(product(WHO, WILL, DO, WHERE), key=mixed)
        splits: dict[str, list[dict[str, Any]]] = {"train": [], "dev": [], "test": []}
        for number, (who, will, do, where) in enumerate(pairs[: options.pairs]):
            split = {8: "dev", 9: "test"}.get(number % 10, "train")
            lines = (f"{who} {will} {do} {where}", f"{will} {who} {do} {where}")
            for label, line in enumerate(lines):
                mark = ".?"[label] if options.marks else ""
                splits[split].append({"id": f"{number}-{LABELS[label]}", "line": line + mark, "label": label})
        return {name: Dataset.from_list(rows) for name, rows in splits.items()}


def mixed(pair: tuple[str, ...]) -> int:
    """An order that looks random and is the same on every machine and in every Python."""
    return crc32(" ".join(pair).encode())


class FrozenEmbeddings(Method):
    """Everything trains but the embeddings."""

    name = "frozen-embeddings"
    summary = "Full fine-tuning, but the embeddings stay as they are."
    version = "1"

    def adapt(self, built: Any, options: Options, recipe: Any) -> Adaptation:
        for name, parameter in built.model.named_parameters():
            parameter.requires_grad_("embeddings" not in name)
        return Adaptation(built.model, weight_decay_groups(built.model, recipe))  # the head is among them: it always trains


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Questions()]


@hookimpl
def bakeoff_methods() -> list[Method]:
    return [FrozenEmbeddings()]
