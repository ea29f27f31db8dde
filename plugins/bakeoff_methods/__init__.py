"""Methods: which parameters train, and how."""

from __future__ import annotations

from bakeoff.plugin import Method, hookimpl


@hookimpl
def bakeoff_methods() -> list[Method]:
    from bakeoff_methods.all_parameters import Full, LayerDecay, Reinit
    from bakeoff_methods.some_parameters import BitFit, HeadOnly, LastLayers

    return [Full(), HeadOnly(), BitFit(), LastLayers(), LayerDecay(), Reinit()]
