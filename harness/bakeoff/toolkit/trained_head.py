"""The trained head of a checkpoint: its outputs are matched with the task's labels by name, or it is replaced by a new head.

Only the layer that computes the logits depends on the labels: its tensors are those whose shape contains the number of labels.
Layers before it in the head (RoBERTa's `classifier.dense`) are kept.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.model import HeadOrigin
from bakeoff.contracts.task import TaskInfo
from bakeoff.text.words import quoted

UNNAMED = re.compile(r"(?:label[ _-]?)?(\d+)", re.IGNORECASE)
"""Matches label names without a meaning: the placeholders of transformers (LABEL_0), and numbers."""


@dataclass(frozen=True)
class FittedHead:
    """What was done with a checkpoint's head."""

    origin: HeadOrigin
    new: frozenset[str] = frozenset()
    """Names of tensors that got new random weights although the checkpoint had them."""
    caution: str = ""
    """A sentence for the user if it is uncertain whether the head's labels are the task's; else empty."""


def fit_head(model: Any, task: TaskInfo, *, missing: set[str], mismatched: set[str], where: str) -> FittedHead:
    """Puts the head's outputs into the order of the task's labels, or gives the head new random weights (by torch's
    generator). Returns what was done.

    missing: names of tensors that the checkpoint lacks. mismatched: names of tensors that it has in another shape. where: the
    checkpoint's name in messages.
    """
    prefix = f"{model.base_model_prefix}."
    outside = {name for name in model.state_dict() if not name.startswith(prefix)}
    if outside and outside <= missing:  # as with every pretrained model that is no classifier: no need to look closer
        return FittedHead("new")
    outputs = output_axes(model)
    if outputs.keys() <= missing | mismatched:
        return FittedHead("replaced" if outputs.keys() & mismatched else "new")
    config = model.config
    doubt = contradiction(config.id2label, config.label2id or {})
    names = [str(config.id2label.get(number, "")) for number in range(task.n_outputs)]
    config.id2label = dict(enumerate(task.labels)) if task.labels else config.id2label
    config.label2id = {label: number for number, label in config.id2label.items()}
    if outputs.keys() & (missing | mismatched):
        return replaced(model, outputs)
    if doubt and task.labels:
        caution = f"the trained head of {where} is made anew: its config.json {doubt}; correct that, and it is kept"
        return replaced(model, outputs, caution=caution)
    if not task.labels:  # a number: one output, which can mean nothing else
        return FittedHead("by position")
    if (order := order_of(names, task.labels)) is not None:
        reorder(model, outputs, order)
        return FittedHead("by name")
    if all((found := UNNAMED.fullmatch(name)) and int(found[1]) == number for number, name in enumerate(names)):
        return FittedHead(
            "by position",
            caution=f"the trained head of {where} names no labels ({names[0]}, ...): they are taken for the task's in their "
            f"order, {first_labels(task.labels)}; name them in its config.json (id2label), and they are matched by name",
        )
    return replaced(model, outputs)


def output_axes(model: Any) -> dict[str, int]:
    """Name of each tensor whose shape depends on the number of labels -> the axis of the labels."""
    import torch

    config = copy.deepcopy(model.config)
    config.num_labels += 1
    with torch.device("meta"):  # shapes without memory; no random number is drawn
        wider = type(model)(config).state_dict()
    shapes = {name: (tensor.shape, wider[name].shape) for name, tensor in model.state_dict().items()}
    return {
        name: next(axis for axis in range(len(here)) if here[axis] != there[axis])
        for name, (here, there) in shapes.items()
        if here != there
    }


def order_of(names: Sequence[str], labels: Sequence[str]) -> list[int] | None:
    """For each label, the index of its name in `names`; if need be, case, blanks, punctuation and Unicode normalisation are
    ignored.

    None unless names and labels match one to one.
    """
    for spelt in (str, _plain):
        theirs, ours = [spelt(name) for name in names], [spelt(label) for label in labels]
        if len(set(ours)) == len(ours) and sorted(theirs) == sorted(ours):
            return [theirs.index(label) for label in ours]
    return None


def reorder(model: Any, outputs: dict[str, int], order: Sequence[int]) -> None:
    """Moves output `order[i]` to position i in every tensor of `outputs`."""
    import torch

    if list(order) == sorted(order):
        return
    state = model.state_dict()
    with torch.no_grad():
        for name, axis in outputs.items():
            state[name].copy_(state[name].index_select(axis, torch.tensor(order)))


def contradiction(names: Mapping[int, str], numbers: Mapping[str, int]) -> str:
    """A clause if the configuration's `id2label` and `label2id` give a label different numbers; else empty."""
    for number, name in names.items():
        if numbers.get(name, number) != number and list(names.values()).count(name) == 1:
            return f"contradicts itself (id2label calls output {number} {quoted(name)}, label2id output {numbers[name]})"
    return ""


def replaced(model: Any, outputs: dict[str, int], *, caution: str = "") -> FittedHead:
    """Gives the layer that computes the logits new random weights. outputs: the names of its tensors."""
    owners = dict.fromkeys(name.rpartition(".")[0] for name in outputs)
    for owner in owners:
        start_anew(model, model.get_submodule(owner))
    return FittedHead("replaced", new=frozenset(outputs), caution=caution)


def start_anew(model: Any, module: Any) -> None:
    """Gives the module's own parameters new random weights by transformers' initialisation, after removing the marks of loaded
    tensors, which it would skip."""
    for tensor in module.parameters(recurse=False):
        tensor._is_hf_initialized = False
    model._init_weights(module)


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\W_]+", unicodedata.normalize("NFKC", name).casefold())).strip()


def first_labels(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
