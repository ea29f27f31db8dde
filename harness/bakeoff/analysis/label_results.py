"""What strategies make of each label and of each example, as frozen models; `mistakes.py` computes them."""

from __future__ import annotations

from pydantic import Field

from bakeoff.contracts.fields import Part


class LabelScores(Part):
    """A strategy's answers by label: means over its runs, 0 to 1."""

    strategy: str
    precision: list[float | None]
    """Of each label, of the examples answered with it the share that has it; None where no run answers it."""
    recall: list[float | None]
    """Of the examples with the label the share answered with it; None where no example has it."""
    confusion: list[list[float]] = Field(default_factory=list)
    """Examples with the row's label that a run answers with the column's; empty where an example may have several labels, and
    of too many labels."""


class Confused(Part):
    """A frequent mistake."""

    strategy: str
    label: str
    answer: str
    examples: float
    """In a run."""


class ByLabel(Part):
    """What all strategies make of each label."""

    labels: list[str]
    examples: list[int]
    """With each label."""
    scores: list[LabelScores]
    confused: list[Confused]
    """Label taken for another, the most frequent first within a strategy; empty for two labels, whose matrix says it."""


class HardExample(Part):
    """An example and how many runs get it wrong."""

    id: str
    label: str
    """In words."""
    answer: str
    """The most frequent of the wrong ones."""
    wrong: int
    runs: int
    others_wrong: int = 0
    """Of the runs of the other strategies, where only one gets it wrong."""
    others: int = 0


class OnlyWrong(Part):
    """Examples that these strategies alone get wrong."""

    strategies: list[str]
    """One, or several whose answers are equal in all runs."""
    number: int
    examples: list[HardExample]
    """The clearest first."""


class HardExamples(Part):
    """Examples that all strategies, or only one, get wrong: in more than half of its runs."""

    split: str
    number: int
    """That all get wrong."""
    of: int
    examples: list[HardExample]
    """The first of these, those that most runs get wrong first."""
    only: list[OnlyWrong]
    """Nothing where all strategies answer alike."""
