"""Files of records altered by a byte or more: each must be named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from end_to_end.experiments import call, write_spec
from stress.invariants import damaged
from stress.scene import STRATEGIES

from bakeoff.errors import DamageError
from bakeoff.records.store import Store


def damage(folder: Path, times: int, *, seed: int) -> dict[str, Any]:
    """One file of a record altered, again and again: how often `verify`'s check names it."""
    draw = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing
    spec = write_spec(folder, STRATEGIES, seeds=1)
    assert call("run", spec, "--threads", "1", folder=folder).returncode == 0
    store, named = Store(folder), 0
    files = sorted(path for path in store.records.glob("r1-*/*") if path.name != "output.txt")
    for _ in range(times):
        path = draw.choice(files)
        content = path.read_bytes()
        at, length = draw.randrange(len(content)), draw.choice([1, 1, 10, len(content)])
        change = draw.choice([b"", bytes([content[at] ^ draw.randrange(1, 256)]) + content[at + 1 : at + length]])
        path.write_bytes(content[:at] + change + content[at + length :])
        try:
            store.check(path.parent.name)
        except DamageError as error:
            named += path.name in str(error)
        path.write_bytes(content)
    assert not damaged(folder)
    return {"alterations": times, "named": named}
