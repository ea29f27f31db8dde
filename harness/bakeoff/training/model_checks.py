"""What a model is asked before any run: whether its weights are numbers, whether it can read all texts that it will be given,
and whether its answer to a text depends on the other texts of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np

from bakeoff.contracts.model import Prepared, same_logits
from bakeoff.contracts.task import Row
from bakeoff.errors import ModelError
from bakeoff.text.numbers import significant
from bakeoff.text.words import quoted
from bakeoff.training.evaluation import predict
from bakeoff.training.extremes import Extremes, Text, find_extremes, length_of, of_length, shortened
from bakeoff.training.record_writer import message_of

TYPES = "token_type_embeddings"
MASK = "attention_mask"


@dataclass(frozen=True)
class ModelCheck:
    """A model, and all rows that it will be given.

    `prepared` collates as the recipe wants it, `plain` without more padding than a batch needs; `rows` are encoded, by split;
    `name_of(split, number)` is what a person calls a row.
    """

    model: Any
    prepared: Prepared
    plain: Prepared
    rows: Mapping[str, Sequence[Row]]
    name_of: Callable[[str, int], str]
    device: Any

    def run(self) -> None:
        """Raises ModelError for the first thing that would make a run fail, or its answers wrong."""
        require_finite(self.model)
        extremes = self.extremes
        self.require_tokens(extremes)
        self.require_known(extremes)
        self.model.to(self.device)
        try:
            self.require_same_alone(extremes)
            self.require_answers(extremes)
            self.require_answers_in_training(extremes)
        finally:
            self.model.to("cpu")  # where the method finds it

    @cached_property
    def extremes(self) -> Extremes:
        return find_extremes(self.rows, self.end)

    @property
    def config(self) -> Any:
        """Of the part that reads text; None for a model that is not of transformers."""
        config: Any = getattr(self.model, "config", None)
        return config.get_text_config() if hasattr(config, "get_text_config") else config

    @property
    def end(self) -> int | None:
        end = getattr(self.config, "eos_token_id", None)
        return end if isinstance(end, int) else None

    def named(self, text: Text) -> str:
        return f"row {quoted(self.name_of(text.split, text.number))} of {text.split}"

    def token(self, number: int) -> str:
        """The token of that number, as its tokenizer writes it."""
        tokenizer = getattr(self.prepared, "tokenizer", None)
        return quoted(str(tokenizer.convert_ids_to_tokens(number))) if tokenizer is not None else str(number)

    # --- what can be told without asking it ------------------------------------------------------------------------------

    def require_tokens(self, extremes: Extremes) -> None:
        if extremes.shortest is not None and length_of(extremes.shortest) == 0:
            raise ModelError(
                f"its tokenizer makes no token of {self.named(extremes.shortest)}: leave such rows out, or fill in a text; "
                "where the text is not empty, the tokenizer does not belong to it"
            )

    def require_known(self, extremes: Extremes) -> None:
        """Every number that the tokenizer gives has its row in the model's embeddings; on a CUDA device, one without would end
        the process."""
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

    # --- what it has to be asked -----------------------------------------------------------------------------------------

    def require_same_alone(self, extremes: Extremes) -> None:
        """Two texts of unlike length, alone and together: the same logits, in fp32 and without dropout."""
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
                f"its answer depends on the other texts of a batch: logits of one text alone and beside another differ by "
                f"{significant(away, 2)}, where the largest is {significant(largest, 2)}. {self.reason()}"
            )
        known = self.reason(known_only=True)  # some attentions are made for rows of one length: then padding may count
        if known and not same_logits(away := float(np.abs(alone - unpadded).max()), largest):
            raise ModelError(
                f"its answer depends on the padding: logits of one text with and without it differ by "
                f"{significant(away, 2)}, where the largest is {significant(largest, 2)}. {known}"
            )

    def require_answers(self, extremes: Extremes) -> None:
        """To the texts with the highest numbers, and to those with the fewest and the most tokens that end a text."""
        if len(extremes.ends) > 1:
            fewest, most = min(extremes.ends), max(extremes.ends)
            try:
                predict(self.prepared, self.model, [text.row for text in extremes.ends.values()], self.device)
            except Exception as error:
                end = self.token(self.end or 0)
                raise ModelError(
                    f"it needs the token {end}, which ends a text, equally often in all texts: {fewest} times in "
                    f"{self.named(extremes.ends[fewest])}, {most} times in {self.named(extremes.ends[most])}. Take {end} out "
                    f"of the texts ({message_of(error)})"
                ) from error
        if extremes.highest:
            self.answers([text for _, text in extremes.highest.values()], self.prepared)

    def require_answers_in_training(self, extremes: Extremes) -> None:
        """Some take lengths in training that they don't take else: Reformer only multiples of its chunks."""
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
                    f"its model does not answer to {self.named(text)} ({length_of(text):,} tokens) while it trains, though it "
                    f"does else: {message_of(error)}. If it asks for rows of one length, say `padding: max_length` and that "
                    "length as max_length"
                ) from error
            finally:
                self.model.eval()

    def answers(self, texts: Sequence[Text], prepared: Prepared) -> Any:
        """Logits (texts, n_outputs); raises ModelError where the model gives none."""
        try:
            return predict(prepared, self.model, [text.row for text in texts], self.device)
        except Exception as error:  # a model of any author
            longest = max(texts, key=length_of) if texts and "input_ids" in texts[0].row else None
            asked = f" to {self.named(longest)} ({length_of(longest):,} tokens)" if longest is not None else ""
            why = f" {reason}" if len(texts) > 1 and (reason := self.reason(known_only=True)) else ""
            if longest is not None and (most := self.most_tokens(longest, prepared)):
                why = f" It answers to texts of {most:,} tokens and not of {most + 1:,}: say `max_length: {most}` at most"
            raise ModelError(f"its model does not answer{asked}: {message_of(error)}.{why}") from error

    def most_tokens(self, failed: Text, prepared: Prepared) -> int:
        """The longest text to which it answers, by bisection; 0 where it is not the length that it failed on.

        Asked by forms of the shortest text, for what it failed on may be a token.
        """
        shortest = self.extremes.shortest or failed

        def does(length: int) -> bool:
            try:
                predict(self.plain, self.model, [of_length(shortest, length).row], self.device)
            except Exception:
                return False
            return True

        few, many = length_of(shortest), int(prepared.collate([failed.row])["input_ids"].shape[1])  # with all of its padding
        if many <= few or not does(few) or does(many):
            return 0
        while many - few > 1:
            half = (few + many) // 2
            few, many = (half, many) if does(half) else (few, half)
        return few

    def reason(self, *, known_only: bool = False) -> str:
        """What of its settings explains that padding changes answers, and the cure."""
        tokenizer, config = getattr(self.prepared, "tokenizer", None), self.config
        if (
            tokenizer is not None
            and MASK not in tokenizer.model_input_names
            and MASK in signature(self.model.forward).parameters
        ):
            return (
                f"Its tokenizer tells it no padding: let tokenizer_config.json name {MASK} among its model_input_names, beside "
                f"{', '.join(tokenizer.model_input_names)}"
            )
        if tokenizer is not None and config is not None:
            pad, theirs = tokenizer.pad_token_id, getattr(config, "pad_token_id", None)
            shown = f"{pad} ({self.token(pad)})"
            if theirs is None:
                return (
                    f"Its config.json names no pad_token_id, and its head looks for the last token that is no padding: write "
                    f'"pad_token_id": {pad} into it, which is the tokenizer\'s ({self.token(pad)})'
                )
            if theirs != pad:
                return (
                    f"Its tokenizer pads with {shown}, its config.json says pad_token_id {theirs} ({self.token(theirs)}): let "
                    f"config.json say {pad}"
                )
            if tokenizer.padding_side == "left":
                return 'Its tokenizer pads on the left: let tokenizer_config.json say "padding_side": "right"'
            if tokenizer.padding_side == "right" and not known_only:
                return (
                    'If its head reads the last place of a row, let tokenizer_config.json say "padding_side": "left"; if its '
                    "attention goes over the padding too, `padding: max_length` in the recipe makes all rows alike"
                )
        return "" if known_only else "Mask the padding"


def require_finite(model: Any) -> None:
    """Raises ModelError where a parameter holds NaN or infinity, or most matrices nothing but zeros."""
    import torch

    parameters = list(model.named_parameters())
    if odd := [name for name, parameter in parameters if not bool(torch.isfinite(parameter).all())]:
        raise ModelError(
            f"its weights hold NaN or infinity in {len(odd)} of {len(parameters)} tensors, first {odd[0]}: take another copy "
            "of the checkpoint, or export it anew (in fp16 numbers beyond 65,504 become infinity)"
        )
    matrices = [(name, parameter) for name, parameter in parameters if parameter.ndim > 1]
    zero = [name for name, parameter in matrices if not bool(parameter.any())]
    if len(zero) * 2 > len(matrices):
        raise ModelError(
            f"of its {len(matrices)} matrices {len(zero)} are all zero, first {zero[0]}: nothing can be learnt "
            "from these weights; take another copy of the checkpoint"
        )


def words_of(model: Any) -> int | None:
    """How many words its embeddings hold; None where it does not tell."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    size = getattr(table, "num_embeddings", None)
    if size is None and getattr(getattr(table, "weight", None), "ndim", 0) == 2:  # I-BERT's is a class of its own
        size = len(table.weight)
    return size if isinstance(size, int) else None


def types_of(model: Any) -> int | None:
    """How many types of tokens it knows; None where it has no table of them."""
    sizes = [
        module.num_embeddings
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == TYPES and hasattr(module, "num_embeddings")
    ]
    return min(sizes, default=None)
