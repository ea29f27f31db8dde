"""Applies a recipe to the training split, and method and recipe to the model, before the trainer gets them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from bakeoff.contracts.method import Adaptation, Method, ParameterGroup
from bakeoff.contracts.model import Built
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.returned import described, required, required_texts
from bakeoff.errors import DataError, ModelError, PluginError
from bakeoff.machine.random_streams import stream_seed
from bakeoff.text.words import quoted
from bakeoff.toolkit.model_structure import head_names
from bakeoff.training.data import Columns


def training_rows(split: Columns, recipe: Recipe, *, seed: tuple[int, int]) -> Columns:
    """The columns of the rows to train on, in the order of the split. seed: (seed, replicate). Raises DataError if the split
    has fewer rows than `train_examples`."""
    there = len(split["label"])
    require_examples(recipe, there)
    return split if recipe.train_examples is None else taken(split, rows_of(recipe, there, seed))


def rows_of(recipe: Recipe, there: int, seed: tuple[int, int]) -> Sequence[int]:
    """The row numbers, ascending, of the `train_examples` rows to train on, of `there` rows: the first ones, or the first of a
    random order. In both a smaller selection is a subset of a larger one. seed: (seed, replicate)."""
    examples = there if recipe.train_examples is None else recipe.train_examples
    return range(min(examples, there)) if recipe.subset == "first" else drawn_rows(there, examples, seed)


def drawn_rows(there: int, examples: int, seed: tuple[int, int]) -> list[int]:
    """The row numbers, ascending, of `examples` rows drawn from `there` rows; of all rows if there are fewer. seed: (seed,
    replicate)."""
    generator = np.random.Generator(np.random.PCG64(stream_seed(*seed, "subset")))
    return sorted(generator.permutation(there)[:examples].tolist())


def taken(split: Columns, rows: Sequence[int]) -> Columns:
    """The columns with only these rows. rows: row numbers."""
    return Columns({name: [values[row] for row in rows] for name, values in split.items()})


def require_examples(recipe: Recipe, there: int) -> None:
    """Raises DataError where the training split has fewer rows than the recipe's `train_examples`."""
    if recipe.train_examples is not None and recipe.train_examples > there:
        raise DataError(f"train_examples {recipe.train_examples:,} is more than the {there:,} rows of the training split")


def make_ready(method: Method, built: Built, options: Any, recipe: Recipe) -> Adaptation:
    """The model, adapted by the method and then by the recipe. Raises ModelError or PluginError where that is not possible."""
    head = head_of(built)  # before the method renames or wraps parameters
    adaptation: Adaptation = required(method.adapt(built, options, recipe), Adaptation, of=f"method '{method.name}': `adapt`")
    if recipe.frozen_embeddings:
        adaptation = freeze_embeddings(adaptation)
    if recipe.gradient_checkpointing:
        checkpoint_gradients(adaptation.model)
    require_promises(adaptation, head, method.name)
    return adaptation


def head_of(built: Built) -> frozenset[str]:
    """Names of newly initialised parameters beside a pretrained body, which must train; empty for a model without a body."""
    try:
        return head_names(built)
    except ModelError:  # a model of another structure: what came from no checkpoint
        names = {name for name, _ in built.model.named_parameters()}
        fresh = names & set(built.newly_initialised)
        return frozenset(fresh if fresh != names else ())


def require_promises(adaptation: Adaptation, head: Iterable[str], method: str) -> None:
    """Raises PluginError if a parameter of the head would not train, or if the parameter groups do not hold exactly the
    trainable parameters. head: names of its parameters before adapting. method: its name in messages."""
    of = f"method '{method}': `adapt`"
    if not hasattr(adaptation.model, "named_parameters") or isinstance(adaptation.model, type):
        raise PluginError(f"{of}: `model` is {described(adaptation.model)}; it must be a torch module")
    required(adaptation.groups, tuple, of=f"{of}: `groups`", verb="is", must="a tuple of bakeoff.plugin.ParameterGroup")
    for group in adaptation.groups:
        required(group, ParameterGroup, of=f"{of}: a group", verb="is")
        required_texts(group.names, of=f"{of}: `names` of a group", verb="is")
    trainable = {name for name, parameter in adaptation.model.named_parameters() if parameter.requires_grad}
    if idle := sorted(name for name in head if not any(within(name, other) for other in trainable)):
        more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
        raise PluginError(
            f"method '{method}' does not train the head, which has random weights: {idle[0]}{more}: set `requires_grad` of "
            "the names in `built.newly_initialised`, and put them into a group"
        )
    grouped = [name for group in adaptation.groups for name in group.names]
    if len(grouped) != len(trainable) or set(grouped) != trainable:
        raise PluginError(f"method '{method}': {_odd_group(grouped, trainable, {*dict(adaptation.model.named_parameters())})}")
    for group in adaptation.groups:
        if not all(0 <= value < math.inf for value in (group.lr_scale, group.weight_decay)):
            raise PluginError(
                f"method '{method}': the group of {group.names[0] if group.names else 'no parameter'} has lr_scale "
                f"{group.lr_scale} and weight_decay {group.weight_decay}: give finite numbers, 0 or more"
            )


def _odd_group(grouped: Sequence[str], trainable: Set[str], known: Set[str]) -> str:
    """How the names in the groups differ from the parameters that train, and what to do: the message after the method's name.
    known: names of all parameters."""
    for name in grouped:
        if name not in known:
            return (
                f"a group names {quoted(name)}, and the adapted model has no such parameter: name those of the model returned"
            )
        if name not in trainable:
            return f"a group names {name}, which is frozen: set its `requires_grad`, or leave it out of the groups"
        if grouped.count(name) > 1:
            return f"{name} stands in the groups {grouped.count(name)} times: put each parameter into one group"
    lacking = min(trainable - set(grouped))
    return f"{lacking} requires a gradient and is in no group: freeze it, or put it into one"


def within(name: str, wrapped: str) -> bool:
    """Whether `wrapped` is `name` with parts inserted, as wrapping a module does."""
    parts = iter(wrapped.split("."))
    return all(part in parts for part in name.split("."))


def freeze_embeddings(adaptation: Adaptation) -> Adaptation:
    """Freezes all embeddings (words, positions, token types), whatever the method trains. Raises ModelError if none trains."""
    from torch.nn import Embedding

    frozen = set()
    for module_name, module in adaptation.model.named_modules():
        if isinstance(module, Embedding) and module.weight.requires_grad:
            module.weight.requires_grad_(False)
            frozen.add(f"{module_name}.weight")
    if not frozen:
        raise ModelError("frozen_embeddings: no embedding of this model trains with this method")
    kept = (tuple(name for name in group.names if name not in frozen) for group in adaptation.groups)
    groups = tuple(replace(group, names=names) for group, names in zip(adaptation.groups, kept, strict=True) if names)
    return replace(adaptation, groups=groups)


def checkpoint_gradients(model: Any) -> None:
    """Makes layers recompute their activations in the backward pass, with the same dropout masks: gradients stay identical."""
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise ModelError(f"gradient_checkpointing: {type(model).__name__} does not support it")
    name = "activation_checkpointing_enable"  # before transformers 5.23: gradient_checkpointing_enable
    enable = getattr(model, name, None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
