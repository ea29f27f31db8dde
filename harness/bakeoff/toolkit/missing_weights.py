"""Refuses checkpoints that lack weights: only the task's head, and what `allow_new` names, may start from random values.

The task's head is whatever transformers' classifier has beyond the pretrained model (`AutoModel` of the same configuration),
together with the pretrained model's pooler, which checkpoints of masked language models lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff.errors import ModelError
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, quoted

POOLER = "pooler"
"""The name of the pooler in every architecture of transformers that has one."""
WRAPPERS = {
    "_orig_mod": ("torch.compile", "model._orig_mod.save_pretrained(FOLDER)"),
    "module": ("DataParallel or DistributedDataParallel", "model.module.save_pretrained(FOLDER)"),
    "_fsdp_wrapped_module": ("FSDP", "the inner model, with its full state dict"),
    "_checkpoint_wrapped_module": ("a wrapper for activation checkpointing", "the inner model"),
    "base_layer": ("peft", "model.merge_and_unload().save_pretrained(FOLDER)"),
}
"""Part that a wrapper adds to tensors' names -> (which wrapper adds it, what to save instead)."""


def require_pretrained(
    model: Any, fresh: Iterable[str], unused: Sequence[str], allow_new: Sequence[str] | None, *, where: str
) -> None:
    """Raises ModelError if parts of the pretrained model would start from random values.

    fresh: names of the model's tensors that the checkpoint lacks. unused: names of the checkpoint's tensors that the model
    lacks. allow_new: modules or tensors that may start from random values nevertheless. where: the checkpoint's name in
    messages.
    """
    lost = body_among(model, fresh)
    if lost and (sentence := wrapped(model, lost, unused)):
        raise ModelError(f"the weights of {where} {sentence}")
    parts = whole_parts(lost, model.state_dict())
    kept = [part for part in allow_new or () if not any(_within(name, part) for name in lost)]
    if kept:
        named = did_you_mean("part", kept[0], parts) if parts else f"no part {quoted(kept[0])}"
        raise ModelError(f"allow_new: {named} among the parts that the weights of {where} lack")
    left = [name for name in lost if not any(_within(name, part) for part in allow_new or ())]
    if not left:
        return
    names = [name for name in model.state_dict() if name.startswith(f"{model.base_model_prefix}.")]
    if len(lost) == len(names):
        raise ModelError(
            f"the weights of {where} belong to another model: none of them fits the pretrained part of {type(model).__name__}"
        )
    parts = whole_parts(left, model.state_dict())
    shown = ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if len(parts) > 4 else "")
    raise ModelError(
        f"the weights of {where} lack {len(left)} of the {len(names)} tensors that its config.json describes: {shown}. Only "
        "the task's head may start from random numbers: use the config.json that belongs to these weights, or say what may be "
        f"new: `allow_new: {yaml_value([*(allow_new or ()), *parts])}`"
    )


def body_among(model: Any, names: Iterable[str]) -> list[str]:
    """Those of the names that belong to the pretrained model, sorted, without poolers."""
    prefix = f"{model.base_model_prefix}."
    body = {name for name in names if name.startswith(prefix) and not name.startswith(f"{prefix}{POOLER}.")}
    return sorted(body & pretrained_names(model)) if body else []


def pretrained_names(model: Any) -> set[str]:
    """Names of the classifier's tensors that `AutoModel` of the same configuration also has, as the classifier names them."""
    import torch
    from transformers import AutoModel

    prefix = f"{model.base_model_prefix}."
    try:
        with torch.device("meta"):  # shapes without memory; no random number is drawn
            return {f"{prefix}{name}" for name in AutoModel.from_config(model.config).state_dict()}
    except Exception:  # their code over somebody's configuration: then all of the body counts as pretrained
        return {name for name in model.state_dict() if name.startswith(prefix)}


def wrapped(model: Any, lost: Sequence[str], unused: Sequence[str]) -> str:
    """A clause that says how to repair a checkpoint that was saved from inside a wrapper, which changed the tensors' names;
    empty for others. lost: names of tensors that the checkpoint lacks; unused: those of its tensors that the model lacks."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    prefix = f"{model.base_model_prefix}."
    families = {f"{name.replace('-', '_')}." for name in MODEL_MAPPING_NAMES}  # theirs is another model, not a wrapper
    wanted = {*lost, *(name.removeprefix(prefix) for name in lost)}
    for wrapper, (owner, cure) in WRAPPERS.items():
        hidden = [name for name in unused if wrapper in name.split(".") and _without(name, wrapper) in wanted]
        if hidden:
            return (
                f"were saved from inside {owner}: {len(hidden)} names contain {quoted(wrapper)}, first {quoted(hidden[0])}. "
                f"Save {cure}, or take {quoted(f'{wrapper}.')} out of the names"
            )
    for name in unused[:100]:
        parts = name.split(".")
        for length in range(1, len(parts)):
            front = ".".join(parts[:length]) + "."
            if ".".join(parts[length:]) in wanted and front not in families:
                hidden = [other for other in unused if other.startswith(front) and other.removeprefix(front) in wanted]
                return (
                    f"have {quoted(front)} before {len(hidden)} names, first {quoted(hidden[0])}: they were saved from a "
                    f"model that contains this one. Save the inner model, or remove {quoted(front)} from the names"
                )
    return ""


def unused_layers(model: Any, unused: Iterable[str]) -> list[str]:
    """Layers of the checkpoint that the model lacks, because its config.json names fewer: `bert.encoder.layer.6`, ..."""
    names = set(model.state_dict())
    prefix = f"{model.base_model_prefix}."
    found: dict[str, None] = {}
    for name in unused:
        full = name if name.startswith(prefix) else f"{prefix}{name}"
        parts = full.split(".")
        for place, part in enumerate(parts):
            if part.isdigit() and ".".join([*parts[:place], "0", *parts[place + 1 :]]) in names:
                found[".".join(parts[: place + 1])] = None
    return sorted(found, key=lambda layer: (layer.rpartition(".")[0], int(layer.rpartition(".")[2])))


def whole_parts(names: Sequence[str], everything: Mapping[str, Any]) -> list[str]:
    """Of these tensors' names, in the model's order: a module's name in place of its tensors if all of them are among the
    names. everything: the model's tensors by name."""
    chosen = set(names)
    counts: dict[str, list[int]] = {}
    for name in everything:
        parts = name.split(".")
        for length in range(1, len(parts)):
            count = counts.setdefault(".".join(parts[:length]), [0, 0])
            count[0] += name in chosen
            count[1] += 1
    found: dict[str, None] = {}
    for name in everything:
        if name not in chosen:
            continue
        parts = name.split(".")
        whole = (".".join(parts[:length]) for length in range(1, len(parts)))
        found[next((part for part in whole if counts[part][0] == counts[part][1]), name)] = None
    return list(found)


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _without(name: str, wrapper: str) -> str:
    return ".".join(part for part in name.split(".") if part != wrapper)
