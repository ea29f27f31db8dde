"""Random numbers: a separate stream for each purpose, all derived from the run's seed."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any


def stream_seed(seed: int, replicate: int, stream: str, *position: int) -> int:
    """The seed (63 bits) of the random stream with this name, for a run's seed and replicate, at a position such as a step.
    Streams and replicates are independent of each other."""
    text = "/".join(map(str, (seed, replicate, stream, *position)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def restart_random(seed: int) -> None:
    """Seeds every global generator that a model or trainer may use: torch (all devices), numpy, random."""
    import random

    import numpy as np
    import torch

    cuda: Any = torch.cuda
    if cuda.is_initialized() or not accelerator_is_there():
        # The same as below without a look at the call stack, which torch keeps for a device yet to come (0.5 ms).
        torch.default_generator.manual_seed(seed)
        if cuda.is_initialized():
            cuda.manual_seed_all(seed)
    else:
        torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@lru_cache(maxsize=1)
def accelerator_is_there() -> bool:
    """Whether torch finds an accelerator; the answer is cached, because CUDA has to ask its driver."""
    import torch

    return bool(torch.accelerator.is_available())
