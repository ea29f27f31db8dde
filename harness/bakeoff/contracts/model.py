"""What a model tells of itself."""

from __future__ import annotations

from typing import Literal

HeadOrigin = Literal["new", "by name", "by position", "replaced"]
"""Where the layer that gives the logits comes from.

`new`: random numbers, since the checkpoint has none. `by name`: the checkpoint, its labels matched with the task's. `by
position`: the checkpoint, its outputs taken for the task's labels in their order. `replaced`: random numbers, since the
checkpoint's has other labels.
"""
