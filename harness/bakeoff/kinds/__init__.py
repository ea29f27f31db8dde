"""The kinds of task, each in a file of its own: classification, regression, multi-label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bakeoff.contracts.kind import Kind
from bakeoff.kinds.classification import CLASSIFICATION
from bakeoff.kinds.multilabel import MULTILABEL
from bakeoff.kinds.regression import REGRESSION

__all__ = ["CLASSIFICATION", "KINDS", "MULTILABEL", "REGRESSION", "Kind", "KindName", "kind_named"]

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CLASSIFICATION, REGRESSION, MULTILABEL)}

if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[tuple(KINDS)]
"""The name of a kind, as a field of a pydantic model."""


def kind_named(name: str) -> Kind:
    """The kind of task with this name. Raises KeyError for other names; names in files are validated before, as `KindName`."""
    return KINDS[name]
