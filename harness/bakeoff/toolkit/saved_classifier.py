"""Saves a text classifier so that transformers and peft can load it without Bakeoff, and loads it with these libraries.

An adapter that peft can merge into the weights is saved merged, as one plain model. Otherwise (prompts, prefixes) the model
goes to `base/` and the adapter to `adapter/`; the folder itself then has no model, so that nobody loads the base model alone
by mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakeoff.files import Tree
from bakeoff.toolkit.last_token import read_last_attended, reads_last_token

BASE, ADAPTER = "base", "adapter"

PLAIN = """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this one
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
"""

ADAPTED = f"""\
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this one
base = AutoModelForSequenceClassification.from_pretrained(f"{{folder}}/{BASE}")
model = PeftModel.from_pretrained(base, f"{{folder}}/{ADAPTER}").eval()
tokenizer = AutoTokenizer.from_pretrained(f"{{folder}}/{BASE}")
"""


def save_classifier(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes the model (as safetensors) and its tokenizer into the folder. The model is changed in place and can't be used
    afterwards.

    model: a transformers classifier, with or without an adapter of peft in it or around it.
    """
    plain = merged(model) if hasattr(model, "peft_config") else model
    place = folder if plain is not None else folder / BASE
    if plain is None:
        for config in model.peft_config.values():
            config.base_model_name_or_path = f"../{BASE}"  # it was a folder of this machine, or the model before its training
        model.save_pretrained(folder / ADAPTER, save_embedding_layers=False)  # `base` holds the embeddings
        Tree(folder).remove(folder / ADAPTER / "README.md")  # peft's template, with nothing filled in
        plain = unwrapped(model.get_base_model(), merge=False)
    plain.save_pretrained(place)
    tokenizer.save_pretrained(place)


def how_to_load(folder: Path, texts: Sequence[str], *, template: str | None = None, note: str = "") -> str:
    """Python code that loads what `save_classifier` wrote and predicts one example. texts: names of the text columns; template:
    makes a prompt of them; note: a line about its answers."""
    given = ", ".join(f"[{name!r}]" for name in texts)
    if template is not None:
        note = " ".join(filter(None, [note, "Texts that are too long were shortened within the prompt."]))
        given = f"[{template!r}.format({', '.join(f'{name}={name!r}' for name in texts)})]"
    ask = f'inputs = tokenizer({given}, truncation=True, padding=True, return_tensors="pt")\nlogits = model(**inputs).logits\n'
    return (ADAPTED if (folder / ADAPTER).is_dir() else PLAIN) + ask + (note and f"# {note}\n")


def model_place(folder: Path) -> Path:
    """The folder into which `save_classifier` wrote the model and its tokenizer: `folder` itself, or `base/` in it if there is
    an adapter."""
    return folder / BASE if (folder / ADAPTER).is_dir() else folder


def load_saved(folder: Path, device: Any) -> Any:
    """The model that `save_classifier` wrote, on the device, in evaluation mode; a decoder reads the last attended token, as it
    did in training."""
    model = _loaded(folder, device)
    classifier = model.get_base_model() if hasattr(model, "get_base_model") else model
    if reads_last_token(classifier):
        read_last_attended(classifier)
    return model


def _loaded(folder: Path, device: Any) -> Any:
    """As transformers and peft load it."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(model_place(folder), use_safetensors=True, local_files_only=True)
    if (folder / ADAPTER).is_dir():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder / ADAPTER, local_files_only=True)
    return model.eval().to(device)


def answers_of_saved(folder: Path, texts: Sequence[Sequence[str]], device: Any) -> Any:
    """Loads what `save_classifier` wrote and returns its logits, float32 (n, n_outputs), for one or two columns of n texts."""
    import torch
    from transformers import AutoTokenizer

    model = _loaded(folder, device)
    tokenizer = AutoTokenizer.from_pretrained(model_place(folder), local_files_only=True)
    columns = [list(column) for column in texts]
    batch = tokenizer(*columns, truncation=True, padding=True, return_tensors="pt").to(device)
    with torch.no_grad():
        return model(**batch).logits.float().cpu().numpy()


def merged(model: Any) -> Any | None:
    """The transformers model with all adapters merged into its weights; None if peft can't merge them.

    peft's own `merge_and_unload` (0.21) is not used: except for LORA, ADALORA and HIRA it raises if a head of several layers,
    such as RoBERTa's, was trained whole, and for LN_TUNING it leaves the head wrapped.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer

    if isinstance(model, PeftModel) and not isinstance(model.base_model, BaseTuner):  # prompts and prefixes
        return None
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    try:
        for layer in layers:
            layer.merge()
    except (NotImplementedError, RuntimeError, ValueError):
        for layer in layers:
            if layer.merged:
                layer.unmerge()
        return None
    return unwrapped(model.get_base_model() if isinstance(model, PeftModel) else model, merge=True)


def unwrapped(model: Any, *, merge: bool) -> Any:
    """The transformers model without peft's wrappers; modules that were trained whole take the place of the originals. merge:
    whether to merge adapters into the weights."""
    plain = _unwrap(model, merge=merge)
    if hasattr(plain, "peft_config"):
        del plain.peft_config
    plain._hf_peft_config_loaded = False  # else transformers saves an adapter and leaves the model out
    return plain


def _unwrap(module: Any, *, merge: bool) -> Any:
    from peft.tuners.tuners_utils import BaseTunerLayer

    if hasattr(module, "unload_and_optionally_merge_module"):  # modules trained whole, and layers that unload their own way
        return module.unload_and_optionally_merge_module(merge=merge, safe_merge=False, adapter_names=None)
    if isinstance(module, BaseTunerLayer):
        return module.get_base_layer()
    for name, child in module.named_children():
        if (plain := _unwrap(child, merge=merge)) is not child:
            setattr(module, name, plain)
    return module
