"""The model `tiny-bert`: a BERT with random weights that trains in seconds, for tests and for trying a plugin."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from bakeoff.plugin import Built, Encoding, Model, Options, TaskInfo, TextEncoder, hookimpl


class TinyOptions(Options):
    """Options of `tiny-bert`: its size."""

    hidden_size: Annotated[int, Field(ge=4, le=512)] = Field(32, description="Width of its layers; a multiple of `heads`.")
    layers: Annotated[int, Field(ge=1, le=12)] = Field(2, description="How many layers it has.")
    heads: Annotated[int, Field(ge=1, le=16)] = Field(2, description="Attention heads of each layer.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="Dropout of hidden states and of attention.")

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of heads {self.heads}")
        return self


class TinyBert(Model):
    """A BERT of the given size, with random weights that follow from the run's seed."""

    name = "tiny-bert"
    summary = "A tiny BERT with random weights (2 layers, hidden size 32), for tests."
    version = "1"
    Options = TinyOptions

    def files(self, options: TinyOptions) -> dict[str, list[Path]]:
        return {}

    def prepare(self, task: TaskInfo, options: TinyOptions, encoding: Encoding) -> TextEncoder:
        return TextEncoder(_tokenizer(), task, encoding)

    def build(self, task: TaskInfo, options: TinyOptions) -> Built:
        from transformers import BertConfig, BertForSequenceClassification

        config = BertConfig(
            vocab_size=len(_vocabulary()),
            hidden_size=options.hidden_size,
            num_hidden_layers=options.layers,
            num_attention_heads=options.heads,
            intermediate_size=4 * options.hidden_size,
            hidden_dropout_prob=options.dropout,
            attention_probs_dropout_prob=options.dropout,
            max_position_embeddings=512,
            num_labels=task.n_outputs,
        )
        model = BertForSequenceClassification(config)
        return Built(model, tuple(sorted(name for name, _ in model.named_parameters())))


def _vocabulary() -> list[str]:
    """The tokenizer's vocabulary: word pieces of one character and of two lower-case letters, at the start of words and within
    them."""
    letters = string.ascii_lowercase
    pieces = list(letters + string.digits) + [first + second for first in letters for second in letters]
    return [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *string.punctuation,
        *pieces,
        *("##" + piece for piece in pieces),
    ]


def _tokenizer() -> Any:
    from transformers import BertTokenizerFast

    return BertTokenizerFast(vocab={token: number for number, token in enumerate(_vocabulary())}, do_lower_case=True)


@hookimpl
def bakeoff_models() -> list[Model]:
    return [TinyBert()]
