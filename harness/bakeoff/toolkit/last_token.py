"""Decoders as classifiers: their head reads one token, and that token is the last one that the attention mask keeps.

transformers' classifiers (5.x, `GenericForSequenceClassification` and those beside it) look for the last token whose id is not
the padding token's, whatever the attention mask says. A text that itself ends in that token, as where the end-of-text token
pads, is then read one token too early.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any


def reads_last_token(model: Any) -> bool:
    """Whether the classifier is of transformers' decoders whose head reads the last token that is not padding."""
    if getattr(model.config, "is_encoder_decoder", False) or _head_of(model) is None:
        return False
    forwards = (inspect.unwrap(one.__dict__["forward"]) for one in type(model).__mro__ if "forward" in one.__dict__)
    return any("last_non_pad_token" in getattr(getattr(own, "__code__", None), "co_varnames", ()) for own in forwards)


def read_last_attended(model: Any) -> None:
    """Changes the classifier in place: its logits (B, n_outputs) are those at the last token that the attention mask keeps.

    The head gives logits at all T tokens, of which the model's `forward` picks one; each of them is replaced by those at the
    last attended token, so that whichever is picked is the right one. The class keeps its name, so that `save_pretrained`
    writes what transformers can load.
    """
    whole, head = type(model), _head_of(model)
    parameters = inspect.signature(whole.forward)
    kept: list[Any] = []

    @functools.wraps(whole.forward)
    def forward(self: Any, *args: Any, **named: Any) -> Any:
        kept[:] = [parameters.bind_partial(self, *args, **named).arguments.get("attention_mask")]
        try:
            return whole.forward(self, *args, **named)
        finally:
            kept.clear()

    def at_last(module: Any, inputs: Any, logits: Any) -> Any:
        import torch

        mask = kept[0] if kept else None
        if mask is None or logits.dim() != 3:
            return logits
        mask = mask[:, -logits.shape[1] :]  # peft's prefixes stand before the tokens, and have no logits
        last = (mask.shape[1] - 1 - mask.flip(1).argmax(1)).to(logits.device)  # (B,)
        own = logits[torch.arange(len(logits), device=logits.device), last]
        return own[:, None, :].expand_as(logits)

    own = {"forward": forward, "__module__": whole.__module__, "reads_last_attended": True}
    model.__class__ = type(whole.__name__, (whole,), own)
    head.register_forward_hook(at_last)


def is_changed(model: Any) -> bool:
    """Whether `read_last_attended` has changed the classifier, so that it may answer otherwise than transformers' own."""
    return getattr(type(model), "reads_last_attended", False)


def pad_with(model: Any, pad_token_id: int) -> None:
    """Gives the classifier's configuration the tokenizer's padding token. It is no `padding_idx` of the embeddings, so that it
    trains where it is a token of texts too."""
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = pad_token_id
        config.use_cache = False  # of earlier tokens, for generating text


def _head_of(model: Any) -> Any:
    """The linear map to the labels: `score` in most, `classifier` in CTRL."""
    return next((head for name in ("score", "classifier") if (head := getattr(model, name, None)) is not None), None)
