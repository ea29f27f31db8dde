"""The version of the contract with plugins, and the new names of what earlier versions called otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bakeoff.errors import PluginError

CONTRACT_VERSION: Final = 2
"""Increased when plugins that follow the present contract would stop working. A plugin's module may say for which version it
was written: `BAKEOFF_CONTRACT = 2`."""

RENAMED: Final[Mapping[str, str]] = {
    "Places": "Paths",
    "kept_table": "cached_table",
    "different": "no_duplicates",
    "unknown": "did_you_mean",
    "MOST_LABELS_AT_ONCE": "MULTILABEL.max_labels",
    "TaskKind": "Kind",
    "decay_groups": "weight_decay_groups",
    "in_hub_cache": "hub_snapshot",
}
"""Name in `bakeoff.plugin` under contract 1 -> its name now."""

RENAMED_METHODS: Final[Mapping[str, str]] = {
    "locate": "check_available",
    "examine": "check_model",
    "floor": "majority_baseline",
    "evaluating": "fast_inference",
    "sources": "source_versions",
    "parts": "ratio_terms",
}
"""Method of a component or metric under contract 1 -> its name now."""


def refuse_old_methods(thing: Any) -> None:
    """Raises PluginError if a component or metric defines a method under its old name, which is no longer called."""
    own = type(thing)
    for old, new in RENAMED_METHODS.items():
        if callable(getattr(own, old, None)) and hasattr(own, new):
            raise PluginError(f"{own.__name__}.{old} is now {new}: rename it (contract {CONTRACT_VERSION}, see CHANGELOG.md)")


def refuse_old_contract(plugin: Any) -> None:
    """Raises PluginError if a plugin's module declares another version of the contract."""
    written = getattr(plugin, "BAKEOFF_CONTRACT", CONTRACT_VERSION)
    if written != CONTRACT_VERSION:
        raise PluginError(
            f"it is written for contract {written}, and this Bakeoff has contract {CONTRACT_VERSION}: CHANGELOG.md lists "
            "what changed"
        )
