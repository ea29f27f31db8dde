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
"""Where the weights of the layer that computes the logits come from.

`new`: random, because the checkpoint has no such layer. `by name`: from the checkpoint, its labels matched with the task's by
name. `by position`: from the checkpoint, its outputs assigned to the task's labels in order. `replaced`: random, because the
checkpoint's layer has other labels.
"""

Batch = tuple[int, ...]
"""Indices into train of the rows of one optimizer step."""

SAME_LOGITS = 1e-3
"""The largest difference between two computations of the same logits that rounding explains, relative to the largest
absolute logit (at least 1). Rounding in fp32 changes logits by about 1e-6 of the largest; a mistake changes them by far
more."""


def same_logits(difference: float, largest: float) -> bool:
    """Whether rounding explains the largest difference between two sets of logits. largest: the largest absolute logit of
    both."""
    return difference <= SAME_LOGITS * max(1.0, largest)  # False for NaN


@dataclass(frozen=True)
class Encoding:
    """How texts are to be encoded, as the recipe says; lengths are in tokens."""

    max_length: int
    padding: Literal["longest", "max_length"]


class Prepared(ABC):
    """Encodes texts for a model, computes its logits, and saves and loads it. It is created before the weights are read."""

    @abstractmethod
    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        """Encodes text columns, each (n,), into n mappings, one for each example: `input_ids` and so on, as lists without
        padding."""

    def prompts(self, columns: Mapping[str, Sequence[str]]) -> list[str] | None:
        """The prompts (n,) that a template makes of text columns, each (n,), as `bakeoff show task` shows them; None, the
        default, where the texts are given as they are."""
        return None

    def encoding_key(self) -> str | None:
        """A text that identifies everything `encode` depends on except its argument; None, the default, if that is unknown.

        With a key, encoded rows are cached (their values must be lists of whole numbers); without one, every run encodes anew.
        """
        return None

    def tokenizer_key(self) -> str | None:
        """A text that identifies everything `encode` and `collate` depend on except texts, recipe and versions of libraries.

        Runs with different keys are never averaged. None, the default, if it is unknown.
        """
        return None

    @abstractmethod
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Pads encoded examples into tensors (batch, length) on the CPU, with `labels` if the examples have them: (batch,)
        numbers, or (batch, n_outputs) of 0.0 and 1.0 for multi-label. The result must depend on the argument alone."""

    @abstractmethod
    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        """Computes logits, (batch, n_outputs). batch: from `collate`, without `labels`, on the model's device."""

    def save(self, model: Any, folder: Path, labels: Sequence[str]) -> None:
        """Writes the trained model for `keep: final`, so that it can be loaded without Bakeoff. labels: the labels' names.

        Raises PluginError if this model cannot be saved.
        """
        raise PluginError(
            "this model cannot be saved: its subclass of `Prepared` has no method `save`; write one, or leave out `keep: final`"
        )

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        """Loads what `save` wrote, without Bakeoff's code, and returns its logits for the text columns: float32, (n,
        n_outputs).

        The harness compares them with the recorded predictions. Raises PluginError if this model cannot be loaded.
        """
        raise PluginError(
            "this model, once saved, cannot be loaded: its subclass of `Prepared` has no method `answers_of_saved(folder, "
            "columns, device)`; write one, or leave out `keep: final`"
        )

    def answers_differ(self, model: Any, example: Row) -> bool:
        """Whether the trained model, once saved and loaded without Bakeoff's code, answers this encoded example otherwise; such
        examples are left out when `answers_of_saved` is compared with the recorded predictions. False by default."""
        return False

    def load_saved(self, folder: Path, device: Any) -> Any:
        """Loads the model that `save` wrote to the folder, onto the device, as `predict` takes it; for `bakeoff predict`.

        Raises PluginError if this model cannot be loaded.
        """
        raise PluginError("Bakeoff can't load this saved model (no method `load_saved`): load it as its model card says")

    def how_to_load(self, folder: Path) -> str:
        """Python code for the model card that loads what `save` wrote and predicts one example; empty for none."""
        return ""


@dataclass(frozen=True)
class Built:
    """A model with its weights, before a method adapts it."""

    model: Any
    newly_initialised: tuple[str, ...]
    """Names of the parameters that no checkpoint holds, so that they start from random values."""
    head: HeadOrigin | None = None
    """Where the layer that computes the logits comes from; None where it is not known."""
    cautions: tuple[str, ...] = ()
    """Sentences shown to the user before any run about what is uncertain, such as which output belongs to which label."""
    commit: str | None = None
    """The commit of the hub's repository that the weights were loaded from; None for weights from elsewhere."""


class Model(Component):
    """A model that can be fine-tuned, with its tokenizer."""

    kind = "model"

    def resolved(self, options: Any, places: Paths) -> Any:
        """The options with paths relative to the experiment file made absolute.

        All other methods get these; run ids and records keep the options as written. Raises ModelError for a path that cannot
        be valid.
        """
        return options

    def check_available(self, options: Any) -> None:
        """Checks within 3 s that the weights are available. Raises ModelError that says what is missing."""

    def check_task(self, task: TaskInfo, options: Any) -> None:
        """Checks, without reading any file, that the model with these options suits the task. Raises ModelError; the default
        accepts every task."""

    def files(self, options: Any) -> Mapping[str, Sequence[Path]] | None:
        """`weights`, `tokenizer` and `configuration` -> the files that hold them, found without reading or downloading them.

        As in `Task.files`: `{}` for a model that reads no files, None where the files are unknown. Raises ModelError where they
        are not available.
        """
        return None

    @abstractmethod
    def prepare(self, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        """Prepares the tokenizer for this task's text columns. Raises ModelError where no usable tokenizer is found."""

    def prepare_saved(self, folder: Path, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        """Like `prepare`, for a trained model that was saved to `folder`, whose own tokenizer may lie there."""
        return self.prepare(task, options, encoding)

    @abstractmethod
    def build(self, task: TaskInfo, options: Any) -> Built:
        """Builds the model with `task.n_outputs` outputs, in fp32. It is called after seeding, so random weights follow from
        the seed.

        Must read weights only from safetensors, and must not run remote code. Raises ModelError where the model can't be built.
        """
