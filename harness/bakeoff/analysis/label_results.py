"""Which mistakes strategies make, by label and by example, as frozen models; `mistakes.py` computes them."""

from __future__ import annotations

from pydantic import Field

from bakeoff.contracts.fields import Part


class LabelScores(Part):
    """A strategy's precision, recall and confusions by label: means over its runs."""

    strategy: str
    precision: list[float | None]
    """For each label: of the examples that are answered with it, the share that has it, 0 to 1; None where no run answers
    it."""
    recall: list[float | None]
    """For each label: of the examples that have it, the share that is answered with it, 0 to 1; None where no example has
    it."""
    confusion: list[list[float]] = Field(default_factory=list)
    """Confusion matrix, by label and answer: how many examples with the row's label a run answers with the column's, on
    average. Empty where an example may have several labels, and where there are too many labels."""


class Confused(Part):
    """A frequent mistake: examples with `label` that are answered with `answer`."""

    strategy: str
    label: str
    answer: str
    examples: float
    """How many such examples a run has, on average."""


class ByLabel(Part):
    """Scores and mistakes of all strategies, by label."""

    labels: list[str]
    examples: list[int]
    """How many examples have each label."""
    scores: list[LabelScores]
    confused: list[Confused]
    """Mistakes in which a label is taken for another, the most frequent first within a strategy; empty for two labels, whose
    matrix says it."""


class HardExample(Part):
    """An example and how many runs get it wrong."""

    id: str
    label: str
    """The right label, in words."""
    answer: str
    """The most frequent wrong answer, in words."""
    wrong: int
    runs: int
    others_wrong: int = 0
    """For an example that only one strategy gets wrong: how many runs of the others get it wrong, of `others`."""
    others: int = 0


class OnlyWrong(Part):
    """Examples that these strategies alone get wrong."""

    strategies: list[str]
    """One, or several whose answers are equal in all runs."""
    number: int
    examples: list[HardExample]
    """The first of them, those with the largest gap to the other strategies' shares of wrong runs coming first."""


class HardExamples(Part):
    """Examples that all strategies, or only one, get wrong: in more than half of its runs."""

    split: str
    number: int
    """How many examples all strategies get wrong."""
    of: int
    examples: list[HardExample]
    """The first of them, those that most runs get wrong coming first."""
    only: list[OnlyWrong]
    """What one strategy alone gets wrong, for each that has such examples; empty where all strategies answer alike."""
