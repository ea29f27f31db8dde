"""Features of examples from a classifier's encoder: the vector that the head is given, or the mean of the hidden states over
the tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bakeoff.errors import ModelError
from bakeoff.toolkit.model_structure import body_of


def head_modules(model: Any) -> list[tuple[str, Any]]:
    """(name, module) of each module outside the encoder that has parameters of its own. Raises ModelError if the model has no
    encoder."""
    prefix, _ = body_of(model)
    return [
        (name, module)
        for name, module in model.named_modules()
        if not f"{name}.".startswith(f"{prefix}.") and next(module.parameters(recurse=False), None) is not None
    ]


@contextmanager
def head_inputs(model: Any) -> Iterator[list[Any]]:
    """A context that collects what the head is given in each of the model's forward passes: it yields a list that gets a
    tensor (batch, width), float32, on the CPU, for each pass.

    The head is the module outside the encoder that is called first. Raises ModelError if it is given anything but one vector
    for each example.
    """
    heads, seen, called = head_modules(model), [], []
    what = type(model).__name__
    if not heads:
        raise ModelError(f"{what} has no head with parameters, so that there are no features to take from it")

    def note(module: Any, inputs: Any) -> None:
        called.append(inputs[0])

    def take(module: Any, inputs: Any, output: Any) -> None:
        shapes = [tuple(given.shape) for given in called[:1]]
        if not shapes or len(shapes[0]) != 2:
            got = f"gets {shapes[0]}, not one vector for each example" if shapes else "was not called"
            raise ModelError(f"the head of {what} ({heads[0][0]}) {got}, so that there are no features to take from it")
        seen.append(called[0].detach().float().cpu())
        called.clear()

    hooks = [head.register_forward_pre_hook(note) for _, head in heads]
    hooks.append(model.register_forward_hook(take))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def mean_states(model: Any) -> Iterator[list[Any]]:
    """A context that collects the mean of the encoder's last hidden states over the tokens of each example, in each of the
    model's forward passes: it yields a list that gets a tensor (batch, width), float32, on the CPU, for each pass.

    The model must be called with its inputs by name. Raises ModelError if the encoder returns anything but one vector for each
    token.
    """
    seen: list[Any] = []
    masks: list[Any] = []
    _, body = body_of(model)

    def note(module: Any, inputs: Any, named: dict[str, Any]) -> None:
        masks[:] = [named.get("attention_mask")]

    def take(module: Any, inputs: Any, output: Any) -> None:
        states = output[0].detach().float()
        if states.ndim != 3:
            raise ModelError(f"{type(body).__name__} returns {tuple(states.shape)}, not a vector for each token")
        weights = states.new_ones(states.shape[:2]) if masks[0] is None else masks[0].to(states)
        seen.append(((states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)).cpu())

    hooks = [model.register_forward_pre_hook(note, with_kwargs=True), body.register_forward_hook(take)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
