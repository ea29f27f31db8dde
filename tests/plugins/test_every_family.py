"""Every family that transformers classifies texts with: it trains, or `check --build` refuses it by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugins.checkpoints import POSITIONS, SHAPES, WIDTH, WORDS, model_of, save, tokenizer_of

from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.runner.preflight import Preflight
from bakeoff.runner.settings import Settings, request_of
from bakeoff.spec.document import read_document

SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim"), WIDTH),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 32),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("head_dim", "d_kv", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 8),
    **dict.fromkeys(("num_local_experts", "n_routed_experts", "num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "n_group", "topk_group"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), POSITIONS),
    "vocab_size": WORDS,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
"""What makes most configurations tiny, where they have such a setting."""
OTHERS: dict[str, str] = {
    "layoutlmv2": "it needs detectron2, which is no package of PyPI",
    "perceiver": "its latents are large whatever these settings say",
    **dict.fromkeys(
        ("luke", "modernvbert", "ultravbert", "gemma3", "qwen3_5", "t5gemma", "t5gemma2"), "it has these settings in parts"
    ),
    **dict.fromkeys(("cohere_compass_text", "gpt_neo", "zamba", "zamba2"), "it lists its layers one by one"),
    **dict.fromkeys(("falcon", "layoutlmv3", "lilt", "mistral4"), "these settings contradict each other there"),
}
"""Family that these settings don't make a model of -> why."""


def other_families() -> list[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    return sorted(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.keys() - SHAPES.keys())


def small_model(family: str) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    usual = AutoConfig.for_model(family)
    config = AutoConfig.for_model(family, **{name: value for name, value in SMALL.items() if hasattr(usual, name)})
    with torch.device("meta"):  # some would fill the memory
        size = sum(one.numel() for one in AutoModelForSequenceClassification.from_config(config).parameters())
    assert size < 20_000_000
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config)


ONE_LENGTH = {"fnet", "mobilebert", "nystromformer", "reformer"}
"""Families whose answers to a text depend on the padding: they are refused, unless all rows have one length."""


def problems_of(folder: Path) -> list[str]:
    """What `check --build` says of two steps of a training of the checkpoint in `model`."""
    rows = ["w7 w9,no", "w9 w8 w7 w6 w5,yes", "w11 w12 w13,no", "w20 w6 w30,yes"] * 3
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    (folder / "spec.yaml").write_text(
        "name: family\ntasks: [{name: table, train: rows.csv, text: text, label: label, split: {test: 25%}}]\n"
        "models: [{name: hub, path: model}]\nrecipe: {max_steps: 2, batch_size: 4, max_length: 32}\n"
        "strategies: {one: {trainer: torch-loop}}\nseeds: 1\n",
        encoding="utf-8",
    )
    plan = resolve(read_document(folder / "spec.yaml"), load_registry())
    from bakeoff.contracts.task import Paths

    settings = Settings(paths=Paths(None, folder / "cache", folder), device="cpu", threads=1)
    preflight = Preflight([request_of(run, settings) for run in plan.runs], rehearsed=True)
    preflight.try_all()
    return [sentence for _, _, sentence in preflight.problems]


@pytest.mark.long
@pytest.mark.parametrize("family", other_families())
def test_every_other_family_trains_or_is_refused_in_a_sentence(family: str, tmp_path: Path) -> None:
    if family in OTHERS:
        pytest.skip(OTHERS[family])
    small_model(family).save_pretrained(tmp_path / "model")
    tokenizer_of("bert").save_pretrained(tmp_path / "model")
    for sentence in problems_of(tmp_path):
        assert (len(sentence.splitlines()), "Traceback" in sentence) == (1, False)


@pytest.mark.long
@pytest.mark.parametrize("family", sorted(SHAPES))
def test_the_families_of_the_other_tests_train(family: str, tmp_path: Path) -> None:
    if family == "qwen2":
        pytest.skip("its tokenizer splits bytes, and the one of these tests words: tests/plugins/test_decoders.py trains it")
    save(tmp_path / "model", model_of(family), family)
    problems = problems_of(tmp_path)
    assert [("padding: max_length" in sentence) for sentence in problems] == ([True] if family in ONE_LENGTH else [])
