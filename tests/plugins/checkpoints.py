"""Folders of tiny pretrained models of many families, with tokenizers made on the spot, as `save_pretrained` leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WIDTH, WORDS, POSITIONS = 16, 60, 40
COMMON = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
GPT2 = {"n_embd": WIDTH, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
BART = {"d_model": WIDTH} | {
    f"{side}_{key}": value
    for side in ("encoder", "decoder")
    for key, value in {"layers": 2, "attention_heads": 2, "ffn_dim": 32}.items()
}
T5 = {"d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
SHAPES: dict[str, dict[str, Any]] = {
    "albert": COMMON | {"embedding_size": 8},
    "bart": BART,
    "bert": COMMON,
    "big_bird": COMMON | {"block_size": 4, "num_random_blocks": 1},
    "biogpt": COMMON,
    "bloom": {"hidden_size": WIDTH, "n_layer": 2, "n_head": 2},
    "canine": COMMON | {"local_transformer_stride": 4, "downsampling_rate": 2, "num_hash_buckets": 64},
    "ctrl": {"n_embd": WIDTH, "n_layer": 2, "n_head": 2, "dff": 32, "n_positions": POSITIONS},
    "deberta-v2": COMMON | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    "distilbert": {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": COMMON | {"embedding_size": 8},
    "eurobert": COMMON | {"num_key_value_heads": 2},
    "flaubert": {"emb_dim": WIDTH, "n_layers": 2, "n_heads": 2},
    "fnet": COMMON,
    "funnel": {"d_model": WIDTH, "block_sizes": [1, 1], "n_head": 2, "d_head": 8, "d_inner": 32},
    "gemma": COMMON | {"num_key_value_heads": 2, "head_dim": 8},
    "gpt2": GPT2,
    "gptj": GPT2 | {"rotary_dim": 4},
    "ibert": COMMON,
    "llama": COMMON | {"num_key_value_heads": 2},
    "longformer": COMMON | {"attention_window": [4, 4]},
    "mobilebert": COMMON | {"embedding_size": WIDTH, "intra_bottleneck_size": 8, "true_hidden_size": 8},
    "modernbert": COMMON,
    "mpnet": COMMON,
    "mpt": {"d_model": WIDTH, "n_layers": 2, "n_heads": 2, "max_seq_len": POSITIONS},
    "nystromformer": COMMON,
    "openai-gpt": GPT2,
    "opt": {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 32,
        "word_embed_proj_dim": WIDTH,
    },
    "qwen2": COMMON | {"num_key_value_heads": 2},
    "qwen3": COMMON | {"num_key_value_heads": 2, "head_dim": 8},
    "reformer": {
        "attn_layers": ["local", "lsh"],
        "axial_pos_shape": [5, POSITIONS // 5],
        "axial_pos_embds_dim": [WIDTH // 2, WIDTH // 2],
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
        "attention_head_size": 8,
        "feed_forward_size": 32,
        "hidden_size": WIDTH,
        "num_attention_heads": 2,
        "num_buckets": 2,
        "hash_seed": 0,
    },
    "roberta": COMMON | {"type_vocab_size": 1},
    "roformer": COMMON | {"embedding_size": 8},
    "t5": T5,
    "xlm-roberta": COMMON | {"type_vocab_size": 1},
    "xlm": {"emb_dim": WIDTH, "n_layers": 2, "n_heads": 2},
    "xlnet": {"d_model": WIDTH, "n_layer": 2, "n_head": 2, "d_inner": 32},
}
"""Family -> what makes its configuration tiny."""
STYLES = {
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    "roberta": ("<s>", "<pad>", "</s>", "<unk>"),
    "t5": ("<pad>", "</s>", "<unk>"),
    "gpt": ("<unk>", "<pad>", "</s>"),
    "xlnet": ("<unk>", "<pad>", "<cls>", "<sep>"),
}
"""Style of tokenizer -> its special tokens, the first with number 0."""
TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "t5": ("$A </s>", "$A </s> $B </s>"),
    "xlnet": ("$A <sep> <cls>", "$A <sep> $B <sep> <cls>"),
}
STYLE_OF = {
    **dict.fromkeys(("roberta", "xlm-roberta", "mpnet", "bart", "ibert", "longformer"), "roberta"),
    **dict.fromkeys(
        ("gpt2", "llama", "qwen2", "qwen3", "gemma", "opt", "biogpt", "bloom", "ctrl", "gptj", "mpt", "openai-gpt"), "gpt"
    ),
    "t5": "t5",
    "xlnet": "xlnet",
}
"""Of the others: bert."""


def config_of(family: str, **changes: Any) -> Any:
    """Tiny; its pad, end and other tokens are those of the family's tokenizer here."""
    from transformers import AutoConfig

    style = STYLE_OF.get(family, "bert")
    special = {name: number for number, name in enumerate(STYLES[style])}
    tokens = {"pad_token_id": special.get("[PAD]", special.get("<pad>"))}
    if "</s>" in special:
        tokens["eos_token_id"] = special["</s>"]
    shape = {"vocab_size": WORDS, "max_position_embeddings": POSITIONS, **SHAPES[family], **tokens, **changes}
    if family in {"bloom", "ctrl", "funnel", "gpt2", "gptj", "mpt", "openai-gpt", "xlnet", "t5"}:
        del shape["max_position_embeddings"]
    if family == "canine":  # it reads code points
        del shape["vocab_size"]
    return AutoConfig.for_model(family, **shape)


def model_of(family: str, *, head: str = "SequenceClassification", seed: int = 0, **changes: Any) -> Any:
    """With weights from the seed, larger than a library's start, so that answers to unlike texts differ."""
    import torch
    import transformers

    torch.manual_seed(seed)
    made = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel").from_config(config_of(family, **changes))
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    return made.eval()


def tokenizer_of(family: str, **changes: Any) -> Any:
    """One token a word: `w4`, `w5`, ... up to the last of the model's embeddings; special tokens come first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    style = STYLE_OF.get(family, "bert")
    special = STYLES[style]
    words = [*special, *(f"w{number}" for number in range(len(special), WORDS))]
    unknown = next(name for name in special if "unk" in name.lower())
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if style in TEMPLATES:
        single, pair = TEMPLATES[style]
        named = [(name, number) for number, name in enumerate(special)]
        made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=named)
    roles = {"unk_token": unknown, "pad_token": next(name for name in special if "pad" in name.lower())}
    roles |= {"eos_token": "</s>"} if "</s>" in special else {}
    roles |= {"cls_token": special[2], "sep_token": special[3]} if style in {"bert", "xlnet"} else {}
    side = "left" if style == "xlnet" else "right"
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if style == "bert" else ["input_ids", "attention_mask"]
    settings = {"padding_side": side, "model_input_names": inputs, **roles, **changes}
    return PreTrainedTokenizerFast(tokenizer_object=made, **settings)


def save(folder: Path, model: Any, family: str, *, labels: Sequence[str] | None = None, **tokenizer: Any) -> Path:
    """As `save_pretrained` leaves them; `labels` are the names that config.json gives to the outputs."""
    if labels is not None:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: number for number, label in enumerate(labels)}
    model.save_pretrained(folder)
    tokenizer_of(family, **tokenizer).save_pretrained(folder)
    return folder


def edit(path: Path, **changes: object) -> None:
    """Sets keys of a JSON file; None takes one away."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def rename(folder: Path, new_name: Callable[[str], str]) -> None:
    """Gives the tensors of a saved model other names."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    state = {new_name(name): tensor.clone() for name, tensor in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})
