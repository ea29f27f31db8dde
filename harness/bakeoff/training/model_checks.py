"""Checks a model before any run: its weights are finite, it accepts all texts that it will get, and its prediction for a
text does not depend on the other texts in the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np

from bakeoff.contracts.model import Prepared, same_logits
from bakeoff.contracts.task import Row
from bakeoff.errors import ModelError, PluginError
from bakeoff.text.numbers import significant
from bakeoff.text.words import quoted
from bakeoff.training.evaluation import predict
from bakeoff.training.extremes import Extremes, Text, find_extremes, length_of, of_length, shortened
from bakeoff.training.record_writer import message_of

TYPES = "token_type_embeddings"
MASK = "attention_mask"


@dataclass(frozen=True)
class ModelCheck:
    """Checks a model on the most extreme of all rows that it will get; `run` makes all checks.

    prepared: encodes texts, and pads them as the recipe asks. plain: the same, but pads only to the longest text of a batch.
    rows: split -> encoded rows. name_of(split, number): names a row in messages.
    """

    model: Any
    prepared: Prepared
    plain: Prepared
    rows: Mapping[str, Sequence[Row]]
    name_of: Callable[[str, int], str]
    device: Any

    def run(self) -> None:
        """Raises ModelError for the first thing that would make a run fail or its predictions wrong."""
        require_finite_weights(self.model)
        extremes = self.extremes
        self.require_tokens(extremes)
        self.require_known(extremes)
        self.model.to(self.device)
        try:
            self.require_same_alone(extremes)
            self.require_answers(extremes)
            self.require_answers_in_training(extremes)
        finally:
            self.model.to("cpu")  # where the method expects it

    @cached_property
    def extremes(self) -> Extremes:
        """The rows on which the model is most likely to fail; the checks below are made on them."""
        return find_extremes(self.rows, self.end)

    @property
    def config(self) -> Any:
        """The configuration of the text encoder; None for a model that is not from transformers."""
        config: Any = getattr(self.model, "config", None)
        return config.get_text_config() if hasattr(config, "get_text_config") else config

    @property
    def end(self) -> int | None:
        """The id of the end-of-text token; None if there is none, or several."""
        end = getattr(self.config, "eos_token_id", None)
        return end if isinstance(end, int) else None

    def named(self, text: Text) -> str:
        return f"row {quoted(self.name_of(text.split, text.number))} of {text.split}"

    def token(self, number: int) -> str:
        """The token with this id, as the tokenizer writes it, for messages; the id for a model without a tokenizer."""
        tokenizer = getattr(self.prepared, "tokenizer", None)
        return quoted(str(tokenizer.convert_ids_to_tokens(number))) if tokenizer is not None else str(number)

    # --- checks without a forward pass -----------------------------------------------------------------------------------

    def require_tokens(self, extremes: Extremes) -> None:
        if extremes.shortest is not None and length_of(extremes.shortest) == 0:
            raise ModelError(
                f"its tokenizer makes no token of {self.named(extremes.shortest)}: leave such rows out, or fill in a text; "
                "where the text is not empty, the tokenizer is not the right one for this model"
            )

    def require_known(self, extremes: Extremes) -> None:
        """Raises ModelError if the tokenizer gives an id without a row in the model's embeddings; on a CUDA device that
        would end the process."""
        tables = {"input_ids": words_of(self.model), "token_type_ids": types_of(self.model)}
        for name, size in tables.items():
            if size is None or name not in extremes.highest:
                continue
            highest, text = extremes.highest[name]
            where = self.named(text)
            pad = getattr(getattr(self.prepared, "tokenizer", None), "pad_token_id", None)
            if name == "input_ids" and pad is not None and pad > highest:
                highest, where = pad, "its padding"
            if highest < size:
                continue
            if name == "token_type_ids":
                raise ModelError(
                    f"its tokenizer gives token type {highest} ({where}), and the model knows {size}: take the tokenizer that "
                    "belongs to the model, or leave token_type_ids out of its model_input_names (tokenizer_config.json)"
                )
            raise ModelError(
                f"its tokenizer gives token {highest} ({self.token(highest)}, {where}), and the model's embeddings have {size} "
                "rows: take the tokenizer that belongs to the model or, where words were added, save the model again after "
                "model.resize_token_embeddings(len(tokenizer))"
            )

    # --- checks by forward passes ----------------------------------------------------------------------------------------

    def require_same_alone(self, extremes: Extremes) -> None:
        """Raises ModelError unless two texts of different length get the same logits alone and together, in fp32 without
        dropout."""
        if extremes.shortest is None or extremes.longest is None:
            return
        texts = [extremes.shortest, extremes.longest]
        if length_of(texts[0]) == length_of(texts[1]):
            texts = [shortened(texts[0]), texts[1]]
        unpadded = np.concatenate([self.answers([text], self.plain) for text in texts])
        alone = np.concatenate([self.answers([text], self.prepared) for text in texts])
        together = self.answers(texts, self.prepared)
        largest = float(np.abs(alone).max())
        if not np.isfinite([*unpadded, *alone, *together]).all():
            raise ModelError("its logits are not finite before any training: its weights are too large, or damaged")
        if not same_logits(away := float(np.abs(alone - together).max()), largest):
            raise ModelError(
                f"its prediction depends on the other texts of a batch: logits of a text alone and in a batch differ by "
                f"{significant(away, 2)}, where the largest is {significant(largest, 2)}. {self.reason()}"
            )
        known = self.reason(known_only=True)  # some attentions need rows of one length: there padding may count
        if known and not same_logits(away := float(np.abs(alone - unpadded).max()), largest):
            raise ModelError(
                f"its prediction depends on the padding: logits of a text with and without it differ by "
                f"{significant(away, 2)}, where the largest is {significant(largest, 2)}. {known}"
            )

    def require_answers(self, extremes: Extremes) -> None:
        """Raises ModelError unless the model accepts the texts with the highest ids, and a batch of the texts with the fewest
        and the most end-of-text tokens."""
        if len(extremes.ends) > 1:
            fewest, most = min(extremes.ends), max(extremes.ends)
            try:
                predict(self.prepared, self.model, [text.row for text in extremes.ends.values()], self.device)
            except Exception as error:
                end = self.token(self.end or 0)
                raise ModelError(
                    f"its forward pass fails unless all texts have the end-of-text token {end} equally often: it stands "
                    f"{fewest} times in {self.named(extremes.ends[fewest])}, {most} times in "
                    f"{self.named(extremes.ends[most])}. Where {end} is written within a text of the data, take it out "
                    f"({message_of(error)})"
                ) from error
        if extremes.highest:
            self.answers([text for _, text in extremes.highest.values()], self.prepared)

    def require_answers_in_training(self, extremes: Extremes) -> None:
        """Raises ModelError if the model fails in training mode on a length that it accepts in evaluation mode, as Reformer
        does: in training it needs multiples of its chunk length."""
        import torch

        if extremes.shortest is None or extremes.longest is None:
            return
        for text in (extremes.shortest, extremes.longest):
            batch = self.prepared.collate([text.row, text.row])
            self.model.train()
            try:
                with torch.no_grad():
                    self.prepared.predict(self.model, {name: tensor.to(self.device) for name, tensor in batch.items()})
            except Exception as error:  # a model of any author
                raise ModelError(
                    f"in training mode, its forward pass fails on {self.named(text)} ({length_of(text):,} tokens), which it "
                    f"accepts otherwise: {message_of(error)}. If it needs all rows to have a certain length, use "
                    "`padding: max_length` and set `max_length` to that length"
                ) from error
            finally:
                self.model.eval()

    def answers(self, texts: Sequence[Text], prepared: Prepared) -> Any:
        """Logits (texts, n_outputs). Raises ModelError if the forward pass fails."""
        try:
            return predict(prepared, self.model, [text.row for text in texts], self.device)
        except PluginError:  # it says what is wrong with what the model returned
            raise
        except Exception as error:  # a model of any author
            longest = max(texts, key=length_of) if texts and "input_ids" in texts[0].row else None
            which = f" on {self.named(longest)} ({length_of(longest):,} tokens)" if longest is not None else ""
            why = f" {reason}" if len(texts) > 1 and (reason := self.reason(known_only=True)) else ""
            if longest is not None and (most := self.most_tokens(longest, prepared)):
                why = f" It accepts texts of {most:,} tokens and not of {most + 1:,}: use `max_length: {most}` at most"
            raise ModelError(f"its forward pass fails{which}: {message_of(error)}.{why}") from error

    def most_tokens(self, failed: Text, prepared: Prepared) -> int:
        """The length in tokens of the longest text that the model accepts, by bisection; 0 if the length is not why it failed.

        failed: the text that it failed on. It tries longer forms of the shortest text, since the model may have failed on a
        token of the other.
        """
        shortest = self.extremes.shortest or failed

        def accepts(length: int) -> bool:
            try:
                predict(self.plain, self.model, [of_length(shortest, length).row], self.device)
            except Exception:  # a model of any author, which may refuse a length in any way
                return False
            return True

        few, many = length_of(shortest), int(prepared.collate([failed.row])["input_ids"].shape[1])  # with its padding
        if many <= few or not accepts(few) or accepts(many):
            return 0
        while many - few > 1:
            half = (few + many) // 2
            few, many = (half, many) if accepts(half) else (few, half)
        return few

    def reason(self, *, known_only: bool = False) -> str:
        """Sentences on the setting that explains why padding changes predictions, and how to correct it. known_only: empty if
        no setting is known to be wrong, in place of general advice."""
        tokenizer, config = getattr(self.prepared, "tokenizer", None), self.config
        if (
            tokenizer is not None
            and MASK not in tokenizer.model_input_names
            and MASK in signature(self.model.forward).parameters
        ):
            return (
                f"Its tokenizer marks no padding: add {MASK} to model_input_names in tokenizer_config.json, beside "
                f"{', '.join(tokenizer.model_input_names)}"
            )
        if tokenizer is not None and config is not None:
            pad, theirs = tokenizer.pad_token_id, getattr(config, "pad_token_id", None)
            shown = f"{pad} ({self.token(pad)})"
            if theirs is None:
                return (
                    f"Its config.json has no pad_token_id, and its head needs the last token that is no padding: add "
                    f'"pad_token_id": {pad} to it, which is the tokenizer\'s ({self.token(pad)})'
                )
            if theirs != pad:
                return (
                    f"Its tokenizer pads with {shown}, its config.json has pad_token_id {theirs} ({self.token(theirs)}): set "
                    f"it to {pad} in config.json"
                )
            if tokenizer.padding_side == "left":
                return 'Its tokenizer pads on the left: set "padding_side": "right" in tokenizer_config.json'
            if tokenizer.padding_side == "right" and not known_only:
                return (
                    'If its head reads the last token of a row, set "padding_side": "left" in tokenizer_config.json; if its '
                    "attention includes the padding, use `padding: max_length` in the recipe, so that all rows have one length"
                )
        return "" if known_only else "Mask the padding"


def require_finite_weights(model: Any) -> None:
    """Raises ModelError where a parameter holds NaN or infinity, or most matrices nothing but zeros."""
    import torch

    parameters = list(model.named_parameters())
    if odd := [name for name, parameter in parameters if not bool(torch.isfinite(parameter).all())]:
        raise ModelError(
            f"its weights hold NaN or infinity in {len(odd)} of {len(parameters)} tensors, first {odd[0]}: take another copy "
            "of the checkpoint, or export it again (in fp16, numbers beyond 65,504 become infinity)"
        )
    matrices = [(name, parameter) for name, parameter in parameters if parameter.ndim > 1]
    zero = [name for name, parameter in matrices if not bool(parameter.any())]
    if len(zero) * 2 > len(matrices):
        raise ModelError(
            f"of its {len(matrices)} matrices {len(zero)} are all zero, first {zero[0]}: nothing can be learned "
            "from these weights; take another copy of the checkpoint"
        )


def words_of(model: Any) -> int | None:
    """How many token ids the model's embeddings have; None where that is unknown."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    size = getattr(table, "num_embeddings", None)
    if size is None and getattr(getattr(table, "weight", None), "ndim", 0) == 2:  # I-BERT has its own class
        size = len(table.weight)
    return size if isinstance(size, int) else None


def types_of(model: Any) -> int | None:
    """How many token types the model's embeddings have; None for a model without token types."""
    sizes = [
        module.num_embeddings
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == TYPES and hasattr(module, "num_embeddings")
    ]
    return min(sizes, default=None)
