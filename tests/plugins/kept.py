"""Classifiers with a tokenizer of their own, trained by noise, kept and asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builders import task_info
from plugins.families import small

from bakeoff.plugin import Built, Encoding, TextEncoder
from bakeoff.training.kept_model import Trained

SETTINGS: dict[str, dict[str, Any]] = {
    "t5": {"decoder_start_token_id": 0, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 2},
    "modernbert": {"pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 3, "cls_token_id": 3, "sep_token_id": 2},
}
WORDS = [f"w{number}" for number in range(90)]
TEXTS = {
    "one": [" ".join(WORDS[(row * 7 + place) % 90] for place in range(1 + row * 5 % 17)) for row in range(8)],
    "two": [" ".join(WORDS[(row * 11 + place) % 90] for place in range(1 + row * 3 % 13)) for row in range(8)],
}
"""Pairs of unlike length, some cut at 24 tokens."""
INFO = task_info(text_columns=("one", "two"))


def tokenizer(pad: int, end: int) -> Any:
    """Words by blanks, as `[CLS] one [SEP] two [SEP]`; padding and [SEP] have these numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    others = iter([number for number in range(99) if number not in {pad, end}])
    vocabulary = {"[PAD]": pad, "[SEP]": end, "[UNK]": next(others), "[CLS]": next(others)}
    vocabulary |= {word: next(others) for word in WORDS}
    one = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    one.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", end)]
    one.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A $B [SEP]", marks)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "sep", "cls")}
    return PreTrainedTokenizerFast(tokenizer_object=one, **names)


def classifier(family: str) -> tuple[Built, TextEncoder]:
    """A small random one, as if its body had come from a checkpoint, with its way from texts to tensors."""
    import torch

    torch.manual_seed(0)
    model = small(family, **SETTINGS.get(family, {}))
    pad, end = model.config.pad_token_id, model.config.eos_token_id
    model.config.pad_token_id = pad = 0 if pad is None else pad
    prefix = f"{model.base_model_prefix}."
    fresh = tuple(name for name, _ in model.named_parameters() if not name.startswith(prefix))
    words = tokenizer(pad, end if isinstance(end, int) and end < 99 else 2)
    return Built(model, fresh), TextEncoder(words, INFO, Encoding(24, "longest"))


def answers(model: Any, encoder: TextEncoder) -> Any:
    import torch

    with torch.no_grad():
        return encoder.predict(model.eval(), encoder.collate(encoder.encode(TEXTS))).numpy()


def kept_form(folder: Path) -> str:
    return "adapter" if (folder / "adapter").is_dir() else "merged"


def trained(model: Any, encoder: TextEncoder) -> Trained:
    """The model as it is, with what it answers."""
    import torch

    return Trained(model, encoder, INFO.labels, TEXTS, answers(model, encoder), torch.device("cpu"))
