"""The contract suite: the built-in components keep every promise, and each wrong one breaks the one it was made to break."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.own_model import OwnModelTrainer
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.testing import (
    BrokenPromiseError,
    Contract,
    EngineContract,
    LossContract,
    MethodContract,
    ModelContract,
    OptimizerContract,
    OwnModelContract,
    TaskContract,
    TrackerContract,
    TrainerContract,
)

CONTRACTS: dict[str, type[Contract]] = {
    "task": TaskContract,
    "model": ModelContract,
    "method": MethodContract,
    "trainer": TrainerContract,
    "optimizer": OptimizerContract,
    "loss": LossContract,
    "engine": EngineContract,
    "tracker": TrackerContract,
}
COLUMNS = {"text": ["text", "other"], "label": "same"}
OPTIONS: dict[str, dict[str, Any]] = {
    "docstrings": {"size": 64},
    "hub-dataset": {"path": "nowhere/at-all", "revision": "0" * 40, "train": "a.parquet", **COLUMNS},
    "hub": {"path": "nowhere/at-all"},
    "last-layers": {"k": 1},
    "peft": {"type": "IA3"},
    "table": {"train": "train.csv", "test": "test.jsonl", **COLUMNS},
}
DATA = {"table": Path(__file__).parents[2] / "thirdparty" / "rows"}
BROKEN = Path(__file__).parents[2] / "thirdparty" / "broken-components"
OF_OTHERS = {"command", "imported"}
"""Trainers whose answers come from a script or a file have tests of their own."""
BUILT_IN = [
    registered.component
    for registered in load_registry().all()
    if registered.origin.distribution == "bakeoff" and registered.component.name not in OF_OTHERS
]


LONG = "test_it_follows_the_recipe_keys_that_it_claims"
"""A promise of trainers that takes up to 20 seconds."""


def promises(contract: type[Contract]) -> list[str]:
    return sorted(name for name in dir(contract) if name.startswith("test_"))


SLOW_TO_START = {"mlflow", "wandb"}
"""Trackers that take seconds for each of their promises."""


def marks_of(component: Any, promise: str) -> list[pytest.MarkDecorator]:
    if component.name in SLOW_TO_START:
        return [pytest.mark.slow]
    if promise != LONG:
        return []
    return [pytest.mark.slow if component.name in {"hf-trainer", "torch-loop"} else pytest.mark.long]


def suite_of(component: Any) -> type[Contract]:
    return OwnModelContract if isinstance(component, OwnModelTrainer) else CONTRACTS[component.kind]


def contract_of(component: Any) -> type[Contract]:
    base = suite_of(component)
    given = {"component": component, "options": OPTIONS.get(component.name, {}), "data": DATA.get(component.name)}
    return type(base.__name__, (base,), given)


@pytest.mark.parametrize(
    ("component", "promise"),
    [
        pytest.param(component, promise, marks=marks_of(component, promise))
        for component in BUILT_IN
        for promise in promises(suite_of(component))
    ],
    ids=lambda value: value.removeprefix("test_") if isinstance(value, str) else f"{value.kind}-{value.name}",
)
def test_the_built_in_components_keep_every_promise(component: Any, promise: str) -> None:
    getattr(contract_of(component)(), promise)()


@pytest.fixture
def wrong_component(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One of them, by its class; its module can be imported here, and in child processes."""
    monkeypatch.syspath_prepend(BROKEN)
    import broken_components

    return getattr(broken_components, request.param)()


def _wrong() -> list[Any]:
    sys.path.insert(0, str(BROKEN))
    try:
        import broken_components
    finally:
        sys.path.remove(str(BROKEN))
    return [
        pytest.param(type(component).__name__, promise, marks=[pytest.mark.slow] if promise == LONG else [])
        for component, promise in broken_components.WRONG
    ]


@pytest.mark.parametrize(("wrong_component", "promise"), _wrong(), indirect=["wrong_component"])
def test_a_wrong_component_breaks_the_promise_that_it_was_made_to_break(wrong_component: Any, promise: str) -> None:
    with pytest.raises((BrokenPromiseError, BakeoffError)) as error:
        getattr(contract_of(wrong_component)(), promise)()
    sentence = str(error.value)
    assert sentence.startswith(f"{wrong_component.kind} {wrong_component.name!r} (")
    assert "broken_components.py:" in sentence


@pytest.mark.long
@pytest.mark.parametrize(("wrong_component", "promise"), _wrong(), indirect=["wrong_component"])
def test_a_wrong_component_breaks_no_other_promise(wrong_component: Any, promise: str) -> None:
    assert list(contract_of(wrong_component).broken_promises()) == [promise]
