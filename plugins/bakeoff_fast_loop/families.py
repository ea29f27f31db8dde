"""Finds the parts of a classifier for each supported family of encoders, by transformers' names.

Post-norm encoders (Vaswani et al., 2017) whose classifier reads the first token of a text, and ModernBERT (Warner et al.,
2024), a pre-norm encoder whose classifier may read the mean instead. Models that are not in `FAMILIES` are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from bakeoff.plugin import ModelError

LEAST_POSITIONS = 512
"""Rotary positions are computed at least up to here."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """The modules of one layer: attention and feed-forward network, each followed by dropout, residual and norm."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    heads: int
    attention_dropout: float
    output: nn.Module
    output_dropout: float
    output_norm: nn.LayerNorm
    up: nn.Module
    activation: Callable[[Any], Any]
    down: nn.Module
    down_dropout: float
    down_norm: nn.LayerNorm

    def modules(self) -> tuple[nn.Module, ...]:
        """All modules of the layer that may train."""
        maps = (self.query, self.key, self.value, self.output, self.up, self.down)
        return *maps, self.output_norm, self.down_norm


@dataclass(frozen=True, kw_only=True)
class GatedBlock:
    """The modules of one layer of a pre-norm encoder: norm and attention, norm and gated feed-forward network."""

    first_norm: nn.LayerNorm | None
    """None in the first layer, whose input is normed already."""
    joined: nn.Module
    """Queries, keys and values as one linear map."""
    heads: int
    rotary: Rotary
    window: int | None
    """How far away a token may be that is attended to, in tokens; None for all."""
    attention_dropout: float
    output: nn.Module
    output_dropout: float
    second_norm: nn.LayerNorm
    up: nn.Module
    activation: Callable[[Any], Any]
    inner_dropout: float
    down: nn.Module

    def modules(self) -> tuple[nn.Module, ...]:
        """All modules of the layer that may train."""
        norms = (self.second_norm,) if self.first_norm is None else (self.first_norm, self.second_norm)
        return self.joined, self.output, self.up, self.down, *norms


class Rotary:
    """The cosines and sines of the rotary positions of one kind of layer, computed once for each position."""

    def __init__(self, module: Any, kind: str) -> None:
        self.module, self.kind = module, kind
        self.tables: tuple[Any, Any] | None = None

    def __call__(self, columns: Any) -> tuple[Any, Any]:
        """(T,) positions -> cosines and sines, each (T, 1, 1, half a head), float32."""
        needed = int(columns.max()) + 1
        if self.tables is None or len(self.tables[0]) < needed:
            places = torch.arange(max(needed, LEAST_POSITIONS), device=columns.device)[None]
            both = self.module(torch.empty(0, device=columns.device), places, self.kind)
            cosines, sines = (one[0].chunk(2, -1)[0].detach() for one in both)  # both halves are equal
            self.tables = cosines, sines
        return self.tables[0][columns][:, None, None], self.tables[1][columns][:, None, None]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """The parts of a classifier: embeddings, layers and head. `classify` is the head: it maps hidden states of first tokens,
    (batch, 1, hidden), to logits."""

    words: nn.Module
    positions: nn.Module | None
    types: nn.Module | None
    first_position: int
    norm: nn.LayerNorm
    dropout: float
    project: nn.Module | None
    relative: Any
    """The module whose `compute_position_bias` gives MPNet's bias of attention by distance; None for other families."""
    blocks: tuple[Block, ...] | tuple[GatedBlock, ...]
    classify: Callable[[Any], Any]
    pool: Literal["first", "mean"] = "first"
    """Which state of a text the head gets: that of its first token, or the mean over its tokens."""
    final_norm: nn.Module | None = None
    """Of the states that the last layer leaves, before the head reads them; None after a layer that ends in a norm."""

    @property
    def pre_norm(self) -> bool:
        return isinstance(self.blocks[0], GatedBlock)


def encoder_of(model: Any) -> Encoder:
    """The `Encoder` of a classifier, with or without peft adapters: its embeddings, layers and head. Raises ModelError for an
    unsupported model."""
    if any(getattr(config, "is_prompt_learning", False) for config in getattr(model, "peft_config", {}).values()):
        raise ModelError("fast-loop can't train prompts of peft: it arranges the texts' tokens itself; torch-loop can")
    network = model.get_base_model() if hasattr(model, "get_base_model") else model
    name = type(network).__name__
    if type(network).__module__.partition(".")[0] != "transformers" or name not in FAMILIES:
        known = ", ".join(sorted(family.removesuffix("ForSequenceClassification") for family in FAMILIES))
        raise ModelError(f"fast-loop does not support {name}: it supports the encoders {known}; torch-loop trains any")
    if getattr(network.config, "is_decoder", False):
        raise ModelError(
            f"fast-loop does not support {name} as a decoder (is_decoder): in fast-loop a token sees those after it too; use "
            "torch-loop"
        )
    if hooked := [name for name, part in network.named_modules() if name and (part._forward_hooks or part._forward_pre_hooks)]:
        raise ModelError(
            f"fast-loop does not support forward hooks (first: {hooked[0]}), because it would not call them; torch-loop does"
        )
    return FAMILIES[name](network)


def bert(model: Any) -> Encoder:
    body = model.bert
    return _like_bert(body, classify=lambda first: model.classifier(model.dropout(body.pooler(first))))


def roberta(model: Any) -> Encoder:
    body = model.roberta
    return _like_bert(body, classify=model.classifier, first_position=body.embeddings.padding_idx + 1)


def electra(model: Any) -> Encoder:
    return _like_bert(model.electra, classify=model.classifier)


def _like_bert(body: Any, *, classify: Callable[[Any], Any], first_position: int = 0) -> Encoder:
    embeddings = body.embeddings
    return Encoder(
        words=embeddings.word_embeddings,
        positions=embeddings.position_embeddings,
        types=embeddings.token_type_embeddings,
        first_position=first_position,
        norm=embeddings.LayerNorm,
        dropout=embeddings.dropout.p,
        project=getattr(body, "embeddings_project", None),
        relative=None,
        blocks=tuple(
            Block(
                query=layer.attention.self.query,
                key=layer.attention.self.key,
                value=layer.attention.self.value,
                heads=layer.attention.self.num_attention_heads,
                attention_dropout=layer.attention.self.dropout.p,
                output=layer.attention.output.dense,
                output_dropout=layer.attention.output.dropout.p,
                output_norm=layer.attention.output.LayerNorm,
                **_perceptron(layer),
            )
            for layer in body.encoder.layer
        ),
        classify=classify,
    )


def _perceptron(layer: Any) -> dict[str, Any]:
    return {
        "up": layer.intermediate.dense,
        "activation": layer.intermediate.intermediate_act_fn,
        "down": layer.output.dense,
        "down_dropout": layer.output.dropout.p,
        "down_norm": layer.output.LayerNorm,
    }


def distilbert(model: Any) -> Encoder:
    body = model.distilbert

    def classify(first: Any) -> Any:
        return model.classifier(model.dropout(nn.functional.relu(model.pre_classifier(first[:, 0]))))

    return Encoder(
        words=body.embeddings.word_embeddings,
        positions=body.embeddings.position_embeddings,
        types=None,
        first_position=0,
        norm=body.embeddings.LayerNorm,
        dropout=body.embeddings.dropout.p,
        project=None,
        relative=None,
        blocks=tuple(
            Block(
                query=layer.attention.q_lin,
                key=layer.attention.k_lin,
                value=layer.attention.v_lin,
                heads=layer.attention.n_heads,
                attention_dropout=layer.attention.dropout.p,
                output=layer.attention.out_lin,
                output_dropout=0.0,
                output_norm=layer.sa_layer_norm,
                up=layer.ffn.lin1,
                activation=layer.ffn.activation,
                down=layer.ffn.lin2,
                down_dropout=layer.ffn.dropout.p,
                down_norm=layer.output_layer_norm,
            )
            for layer in body.transformer.layer
        ),
        classify=classify,
    )


def mpnet(model: Any) -> Encoder:
    body = model.mpnet
    return Encoder(
        words=body.embeddings.word_embeddings,
        positions=body.embeddings.position_embeddings,
        types=None,
        first_position=body.embeddings.padding_idx + 1,
        norm=body.embeddings.LayerNorm,
        dropout=body.embeddings.dropout.p,
        project=None,
        relative=body.encoder,
        blocks=tuple(
            Block(
                query=layer.attention.attn.q,
                key=layer.attention.attn.k,
                value=layer.attention.attn.v,
                heads=layer.attention.attn.num_attention_heads,
                attention_dropout=layer.attention.attn.dropout.p,
                output=layer.attention.attn.o,
                output_dropout=layer.attention.dropout.p,
                output_norm=layer.attention.LayerNorm,
                **_perceptron(layer),
            )
            for layer in body.encoder.layer
        ),
        classify=model.classifier,
    )


def modernbert(model: Any) -> Encoder:
    body, config = model.model, model.config
    kinds = [layer.attention_type for layer in body.layers]
    scaled = [kind for kind in body.rotary_emb.rope_type.values() if kind != "default"]
    if scaled:
        raise ModelError(f"fast-loop does not support rotary positions of type {scaled[0]}; use torch-loop")
    rotaries = {kind: Rotary(body.rotary_emb, kind) for kind in set(kinds)}
    return Encoder(
        words=body.embeddings.tok_embeddings,
        positions=None,
        types=None,
        first_position=0,
        norm=body.embeddings.norm,
        dropout=body.embeddings.drop.p,
        project=None,
        relative=None,
        blocks=tuple(
            GatedBlock(
                first_norm=None if isinstance(layer.attn_norm, nn.Identity) else layer.attn_norm,
                joined=layer.attn.Wqkv,
                heads=config.num_attention_heads,
                rotary=rotaries[kind],
                window=config.sliding_window if kind == "sliding_attention" else None,
                attention_dropout=layer.attn.attention_dropout,
                output=layer.attn.Wo,
                output_dropout=getattr(layer.attn.out_drop, "p", 0.0),
                second_norm=layer.mlp_norm,
                up=layer.mlp.Wi,
                activation=layer.mlp.act,
                inner_dropout=layer.mlp.drop.p,
                down=layer.mlp.Wo,
            )
            for layer, kind in zip(body.layers, kinds, strict=True)
        ),
        classify=lambda read: model.classifier(model.drop(model.head(read[:, 0]))),
        final_norm=body.final_norm,
        pool="mean" if config.classifier_pooling == "mean" else "first",
    )


FAMILIES: dict[str, Callable[[Any], Encoder]] = {
    "BertForSequenceClassification": bert,
    "RobertaForSequenceClassification": roberta,
    "DistilBertForSequenceClassification": distilbert,
    "ElectraForSequenceClassification": electra,
    "MPNetForSequenceClassification": mpnet,
    "ModernBertForSequenceClassification": modernbert,
}
