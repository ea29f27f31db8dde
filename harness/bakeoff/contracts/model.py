"""What a model tells of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bakeoff.contracts.component import Component
from bakeoff.contracts.task import Paths, Row, TaskInfo
from bakeoff.errors import PluginError

HeadOrigin = Literal["new", "by name", "by position", "replaced"]
"""Where the layer that gives the logits comes from.

`new`: random numbers, since the checkpoint has none. `by name`: the checkpoint, its labels matched with the task's. `by
position`: the checkpoint, its outputs taken for the task's labels in their order. `replaced`: random numbers, since the
checkpoint's has other labels.
"""


Batch = tuple[int, ...]


SAME_LOGITS = 1e-3
"""Two ways through one model give the same logits where they differ by no more than this times the largest logit, or times 1
where all are smaller: rounding in fp32 moves logits by about 1e-6 of the largest, a mistake by far more."""


def same_logits(difference: float, largest: float) -> bool:
    """Whether rounding explains the difference, the largest of two sets of logits whose largest absolute value is `largest`."""
    return difference <= SAME_LOGITS * max(1.0, largest)  # False for NaN


@dataclass(frozen=True)
class Encoding:
    """How a recipe wants text encoded."""

    max_length: int
    padding: Literal["longest", "max_length"]


class Prepared(ABC):
    """A model's way from rows to tensors and back; needs no weights."""

    @abstractmethod
    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        """Text columns -> one mapping an example (`input_ids` and so on, lists of numbers, unpadded)."""

    def encoding_key(self) -> str | None:
        """All that `encode` hangs on beside the texts, as text; then its rows, lists of whole numbers, are made once and kept.

        None where that can't be told: then each run encodes anew.
        """
        return None

    def tokenizer_key(self) -> str | None:
        """All that `encode` and `collate` hang on beside the texts, the recipe and the versions of libraries, as text.

        Runs whose models have other keys are never averaged. None where that can't be told.
        """
        return None

    @abstractmethod
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Encoded examples, with `labels` where there are any -> tensors (batch, length); a label is a number, or for
        multi-label a list of 0.0 and 1.0. Must be pure."""

    @abstractmethod
    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        """Logits (batch, n_outputs) of a collated batch without `labels`, already on the model's device."""

    def save(self, model: Any, folder: Path, labels: Sequence[str]) -> None:
        """Writes the trained model so that others can load it without bakeoff, as `keep: final` asks; `labels` are their names.

        Raises PluginError where that can't be done.
        """
        raise PluginError("this model does not know how to save itself: leave out `keep: final`")

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        """Loads what `save` wrote as somebody without bakeoff would; its logits (examples, n_outputs), an array of float32.

        With it the harness makes sure that a kept model gives the recorded predictions. Raises PluginError where that can't
        be done.
        """
        raise PluginError("this model knows how to save itself but not how to load what it saved: leave out `keep: final`")

    def how_to_load(self, folder: Path) -> str:
        """Lines of Python that load what `save` wrote and ask it one example: they go into the model's card."""
        return ""


@dataclass(frozen=True)
class Built:
    """A model ready to be adapted."""

    model: Any
    newly_initialised: tuple[str, ...]
    """Parameters that came from no checkpoint, by name."""
    head: HeadOrigin | None = None
    """Where the layer that gives the logits comes from; None where the model does not tell."""
    cautions: tuple[str, ...] = ()
    """Sentences on what nothing could decide (which label is which), said to the user before any run."""


class Model(Component):
    """What is fine-tuned, with its tokenizer."""

    kind = "model"

    def resolved(self, options: Any, places: Paths) -> Any:
        """The options as this machine needs them: a path that is relative to the experiment file, made whole. What all other
        methods get; ids and records keep the options as they were written. Raises ModelError where a path can't be meant.
        """
        return options

    def check_available(self, options: Any) -> None:
        """A look, within 3 s, whether the weights can be had; raises ModelError that says what is missing."""

    def files(self, options: Any) -> Mapping[str, Sequence[Path]] | None:
        """The files that the model is made from, found without reading or downloading them, by what they hold: `weights`,
        `tokenizer`, `configuration`; raises ModelError where they can't be had.

        As `Task.files`: `{}` for a model that reads none, None where it does not tell.
        """
        return None

    @abstractmethod
    def prepare(self, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        """The tokenizer's part."""

    @abstractmethod
    def build(self, task: TaskInfo, options: Any) -> Built:
        """The model with a fresh head; called after seeding. Safetensors only, remote code never."""
