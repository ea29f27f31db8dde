"""A limit on what a model's configuration may ask for: the weights beside it say how large the model is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bakeoff.errors import ModelError
from bakeoff.text.numbers import significant
from bakeoff.toolkit.model_folder import Stored

NUMBERS_A_BYTE = 4
"""The most weights that a byte of a file holds, two bits each."""
NEW_NUMBERS = 2**24
"""So many weights may be new: heads, and parts that start from random numbers, as `allow_new` says."""
NEW_TENSORS = 2_000


@contextmanager
def building_at_most(stored: Stored, shown: str) -> Iterator[None]:
    """While a model is built from its configuration: raises ModelError as soon as it holds far more than was stored.

    Libraries build on the meta device first, where a weight takes no memory; what would take hours, or fill the memory once
    the weights are made, ends here. Modules tell torch of every parameter and buffer that they get.
    """
    from torch.nn.modules import module

    most_numbers = NUMBERS_A_BYTE * stored.bytes + NEW_NUMBERS
    most_tensors = 2 * stored.tensors + NEW_TENSORS
    numbers = tensors = 0

    def count(owner: Any, name: str, tensor: Any) -> None:
        nonlocal numbers, tensors
        if tensor is None or tensor.device.type != "meta":  # the weights themselves come later, in their place
            return
        numbers, tensors = numbers + math.prod(tensor.shape), tensors + 1
        if numbers > most_numbers or tensors > most_tensors:
            raise ModelError(
                f"the config.json of {shown} asks for a far larger model than its weights are of, {stored.tensors:,} tensors "
                f"in {stored.bytes:,} bytes: at {name} of {type(owner).__name__} it has {tensors:,} "
                f"with {significant(numbers, 3)} numbers"
            )

    hooks = [
        module.register_module_parameter_registration_hook(count),
        module.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
