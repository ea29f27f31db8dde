"""The contract of a model: how it reads texts, how it is built, saved and loaded."""

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
"""Where the layer that computes the logits comes from.

`new`: random weights, since the checkpoint has no such layer. `by name`: the checkpoint, its labels matched with the task's by
name. `by position`: the checkpoint, its outputs taken for the task's labels in their order. `replaced`: random weights, since
the checkpoint's layer is for other labels.
"""

Batch = tuple[int, ...]
"""Numbers of the rows of train that one optimizer step is made of."""

SAME_LOGITS = 1e-3
"""The largest difference between two computations of the same logits, relative to the largest absolute logit or to 1, whichever
is more. Rounding in fp32 changes logits by about 1e-6 of the largest, a mistake by far more."""


def same_logits(difference: float, largest: float) -> bool:
    """Whether rounding explains `difference`, the largest of two sets of logits whose largest absolute value is `largest`."""
    return difference <= SAME_LOGITS * max(1.0, largest)  # False for NaN


@dataclass(frozen=True)
class Encoding:
    """How the recipe asks for texts to be encoded; lengths are in tokens."""

    max_length: int
    padding: Literal["longest", "max_length"]


class Prepared(ABC):
    """How a model turns texts into tensors, and how it is asked, saved and loaded. Made without weights."""

    @abstractmethod
    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        """Text columns, each (n,) -> n mappings, one an example: `input_ids` and so on, unpadded lists of numbers."""

    def encoding_key(self) -> str | None:
        """A text that holds everything that `encode` depends on, other than its argument. With it, encoded rows (lists of whole
        numbers, then) are kept in the cache; with None, the default, each run encodes anew."""
        return None

    def tokenizer_key(self) -> str | None:
        """A text that holds everything that `encode` and `collate` depend on, other than the texts, the recipe and the versions
        of libraries. Runs with different keys are never averaged. None, the default, where it is not known."""
        return None

    @abstractmethod
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Encoded examples -> tensors (batch, length) on the CPU, and `labels` where the examples have them: (batch,) numbers,
        or (batch, n_outputs) of 0.0 and 1.0 for multi-label. The result must depend on the argument alone."""

    @abstractmethod
    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        """Logits, (batch, n_outputs), of a collated batch without `labels` that is on the model's device."""

    def save(self, model: Any, folder: Path, labels: Sequence[str]) -> None:
        """For `keep: final`: writes the trained model so that it can be loaded without Bakeoff. `labels` are the labels' names.

        Raises PluginError where that is not possible.
        """
        raise PluginError("this model does not know how to save itself: leave out `keep: final`")

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        """Loads what `save` wrote, as it would be loaded without Bakeoff, and gives its logits of the text columns: a float32
        array (n, n_outputs).

        The harness compares them with the recorded predictions. Raises PluginError where that is not possible.
        """
        raise PluginError("this model knows how to save itself but not how to load what it saved: leave out `keep: final`")

    def how_to_load(self, folder: Path) -> str:
        """Python code, for the model's card, that loads what `save` wrote and predicts one example."""
        return ""


@dataclass(frozen=True)
class Built:
    """A model that was built, before a method adapts it."""

    model: Any
    newly_initialised: tuple[str, ...]
    """Names of the parameters that came from no checkpoint."""
    head: HeadOrigin | None = None
    """Where the layer that computes the logits comes from; None where it is not known."""
    cautions: tuple[str, ...] = ()
    """Sentences for the user, shown before any run, on what could not be decided, such as which label is which."""


class Model(Component):
    """A model that can be fine-tuned, with its tokenizer."""

    kind = "model"

    def resolved(self, options: Any, places: Paths) -> Any:
        """The options with paths made absolute that are relative to the experiment file. All other methods get these; ids and
        records keep the options as they were written. Raises ModelError where a path can't be meant.
        """
        return options

    def check_available(self, options: Any) -> None:
        """Checks within 3 s that the weights are available. Raises ModelError that says what is missing."""

    def files(self, options: Any) -> Mapping[str, Sequence[Path]] | None:
        """`weights`, `tokenizer` and `configuration` -> the files that hold them, found without reading or downloading them.
        Raises ModelError where they are not available.

        As in `Task.files`: `{}` for a model that reads no files, None where they are not known.
        """
        return None

    @abstractmethod
    def prepare(self, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        """The tokenizer, for this task's text columns. Raises ModelError where there is none that can be used."""

    @abstractmethod
    def build(self, task: TaskInfo, options: Any) -> Built:
        """The model with `task.n_outputs` outputs, in fp32. Called after seeding, so that random weights follow from the seed.

        Reads only safetensors and never runs remote code. Raises ModelError where the model can't be built.
        """
