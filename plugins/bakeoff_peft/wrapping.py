"""Wraps a classifier with peft, whose import takes seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from peft import TaskType, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from torch import nn
from transformers.pytorch_utils import Conv1D

from bakeoff.plugin import Adaptation, Built, ModelError, Recipe, did_you_mean, first_line, head_names, weight_decay_groups


def wrap(built: Built, kind: str, settings: Mapping[str, Any], recipe: Recipe) -> Adaptation:
    """The model with an adapter of peft's type `kind`; the head is trained as well.

    Raises ModelError for a type, a setting or target modules that do not exist, and where peft can't wrap the model.
    """
    require_targets(built.model, settings.get("target_modules"))
    config = make_config(built, kind, settings)
    try:
        model = get_peft_model(built.model, config)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:  # peft's words for misfits
        what, why = f"peft type {kind} cannot be put on {type(built.model).__name__}", first_line(error)
        if "target_modules" in why and not settings.get("target_modules"):
            norms = kind == "LN_TUNING"
            there = {
                name.rpartition(".")[2]: None
                for name, module in built.model.named_modules()
                if (type(module).__name__.endswith("Norm") if norms else isinstance(module, nn.Linear | Conv1D))
            }
            why = f"peft has no default target modules for it: set target_modules, to names such as {', '.join(there)}"
        raise ModelError(f"{what}: {why}") from error
    return Adaptation(model, weight_decay_groups(model, recipe))


def default_targets(built: Built) -> list[str] | None:
    """The modules that LoRA adapts where nothing else is said: None where peft has targets for the family, else the full names
    of all linear layers but the head.

    peft's own `all-linear` is not used: it takes a head's inner layers for the encoder's (DistilBERT's, DeBERTa's), which start
    from random numbers and would stay frozen. Raises ModelError for a model without linear layers outside its head.
    """
    if getattr(getattr(built.model, "config", None), "model_type", "") in TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING:
        return None
    head = {name.rpartition(".")[0] for name in head_names(built)}
    found = [
        name for name, module in built.model.named_modules() if isinstance(module, nn.Linear | Conv1D) and name not in head
    ]
    if not found:
        raise ModelError(f"{type(built.model).__name__} has no linear layers outside its head: name `target_modules`")
    return found


def make_config(built: Built, kind: str, settings: Mapping[str, Any]) -> Any:
    """The type's config for sequence classification; the head is trained unless the settings say otherwise."""
    types = {str(getattr(name, "value", name)): config for name, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if kind not in types:
        raise ModelError(did_you_mean("peft type", kind, sorted(types)))
    known = {field.name for field in dataclasses.fields(types[kind]) if field.init}
    if strange := [key for key in settings if key not in known]:
        raise ModelError(did_you_mean(f"setting of peft's {types[kind].__name__}", strange[0], sorted(known)))
    defaults: dict[str, Any] = {"task_type": TaskType.SEQ_CLS}
    if "modules_to_save" in known:  # those within their parents that hold the head: `classifier`, and a `pooler` that is new
        prefix = f"{built.model.base_model_prefix}."
        defaults["modules_to_save"] = sorted({name.removeprefix(prefix).partition(".")[0] for name in head_names(built)})
    try:
        return types[kind](**{**defaults, **settings})
    except (ValueError, TypeError) as error:
        raise ModelError(f"peft's {types[kind].__name__} refuses its settings: {first_line(error)}") from error


def require_targets(model: Any, targets: Any) -> None:
    """Raises ModelError for a target with which no module's name ends; peft ignores it as long as another one matches."""
    names = [name for name, _ in model.named_modules()]
    for target in targets if isinstance(targets, list | tuple | set) else ():
        if not any(f".{name}".endswith(f".{target}") for name in names):
            endings = {ending for name in names if (ending := name.rpartition(".")[2]) and not ending.isdigit()}
            raise ModelError(f"{type(model).__name__}: {did_you_mean('module', str(target), sorted(endings))}")
