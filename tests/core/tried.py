"""Components of a made-up plugin `mine`, tried as `bakeoff check --build` tries them, in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.registry import Origin, Registered, Registry, load_registry
from bakeoff.records.provenance import origin_of
from bakeoff.records.schema import Requested
from bakeoff.runner import preflight
from bakeoff.training.request import Request

BROKEN = Path(__file__).parents[1] / "thirdparty" / "broken-components"
sys.path.insert(0, str(BROKEN))
try:
    import broken_components as right
finally:
    sys.path.remove(str(BROKEN))

RECIPE = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "max_length": 32}


def changed(kind: type, **methods: Any) -> Any:
    """One of the right components, with other methods."""
    return type("Mine", (kind,), {"name": "mine", **methods})()


def tried(cache: Path, *components: Any, recipe: dict[str, Any] | None = None, **more: Any) -> list[tuple[str, str]]:
    """(what a problem belongs to, message) of one run of these components: by default lines, tiny-bert, full, torch-loop.

    more: `select` of the run, `package` of the plugin, and `keep` and `checkpoint_every` of the request.
    """
    package = more.pop("package", "")
    mine = {"task": right.Greetings(), **{component.kind: component for component in components}}
    known = {(one.component.kind, one.component.name): one for one in load_registry().all()}
    known |= {(kind, one.name): Registered(one, Origin("mine", "mine", "1.0"), package) for kind, one in mine.items()}
    registry = Registry(known)
    defaults = {"task": "", "model": "tiny-bert", "method": "full", "trainer": "torch-loop"}
    found = {kind: registry.get(kind, mine[kind].name if kind in mine else name) for kind, name in defaults.items()}
    parts: Any = {kind: origin_of(Configured(one, one.component.Options())) for kind, one in found.items()}
    labels: Any = {"experiment": "x", "strategy": "one", "task_label": "lines", "model_label": "tiny"}
    select = more.pop("select", "last-epoch")
    requested = Requested(**labels, **parts, recipe={**RECIPE, **(recipe or {})}, seed=0, replicate=0, select=select)
    request = Request(id="r1-0000000000000000", requested=requested, data=None, cache=cache, device="cpu", threads=1, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "load_registry", lambda: registry)
        tries = preflight.Preflight([request], rehearsed=True)
        tries.try_all()
    return [(kind, message) for kind, _, message in tries.problems]
