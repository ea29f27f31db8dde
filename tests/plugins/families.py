"""Small random classifiers of the encoder families that people fine-tune."""

from __future__ import annotations

from typing import Any

from bakeoff.plugin import Built

FAMILIES = ("bert", "roberta", "distilbert", "electra", "mpnet")
SHAPE = {"vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
DISTILBERT = {"vocab_size": 99, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}


def small(family: str, **changes: Any) -> Any:
    """A classifier of three layers and two labels, weights random from torch's generator."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    shape = DISTILBERT if family == "distilbert" else SHAPE | ({"embedding_size": 8} if family == "electra" else {})
    config = AutoConfig.for_model(family, **(shape | {"num_labels": 2, "max_position_embeddings": 64} | changes))
    return AutoModelForSequenceClassification.from_config(config)


def built(family: str, **changes: Any) -> Built:
    """The same as if its body had come from a checkpoint and its head had not."""
    model = small(family, **changes)
    prefix = f"{model.base_model_prefix}."
    return Built(model, tuple(name for name, _ in model.named_parameters() if not name.startswith(prefix)))


def batch(rows: int = 3, length: int = 9) -> dict[str, Any]:
    """Token numbers and a mask with padding, without labels."""
    import torch

    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        mask[row, length - row :] = 0
    return {"input_ids": torch.randint(5, 99, (rows, length), generator=generator), "attention_mask": mask}
