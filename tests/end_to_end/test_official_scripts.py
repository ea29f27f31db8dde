"""Hugging Face's official example scripts, unchanged, take the same steps as `hf-trainer` and `torch-loop` on the same rows."""

from __future__ import annotations

import os
from typing import Any

import pytest
from end_to_end.test_bitwise import mrpc
from peers.scripts import CASES, EXACT, FOLDER, LOOP, ROUNDING, SHIPPED, beside

from bakeoff.machine.hardware import usable_threads

IN_CI = {"plain"}
"""The others take minutes more."""

EQUAL_WEIGHTS = {"label smoothing"}
"""The harness smooths labels by torch's formula, the Trainer by its own: losses differ in rounding, and not the weights."""
ROUNDED = {"label smoothing", "accumulation, label smoothing"}
TIMES = {"accumulation, 2 of 2": 2, "accumulation, short last group": 3, "two processes": 2}
"""How many times as large loss and gradients of the shipped Trainer are."""


def cases_of(trainer: str) -> list[Any]:
    """The names of the cases with that trainer, as parameters of a test."""
    names = [case.name for case in CASES if trainer in case.trainers]
    return [pytest.param(name, marks=pytest.mark.slow if name in IN_CI else pytest.mark.long) for name in names]


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Case -> what was measured of it; of those that the selected tests ask for."""
    if not os.environ.get("BAKEOFF_PEERS") or not all((FOLDER / case.script).is_file() for case in CASES):
        pytest.skip("BAKEOFF_PEERS names no folder with the official scripts (run_glue.py ...)")
    mrpc()
    asked = {item.callspec.params["case"] for item in request.session.items if item.path == request.path}
    cases = [case for case in CASES if case.name in asked and case.processes <= usable_threads()]
    return {found["case"]: found for found in beside(cases, tmp_path_factory.mktemp("scripts"))}


def found(measured: dict[str, dict[str, Any]], case: str, trainer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if case not in measured:
        pytest.skip("two processes need two cores")
    return measured[case], measured[case]["beside"][trainer]


@pytest.mark.parametrize("case", cases_of(SHIPPED))
def test_as_shipped_is_the_script_to_the_bit(measured: dict[str, dict[str, Any]], case: str) -> None:
    script, ours = found(measured, case, SHIPPED)
    assert ours["equal_losses"] == script["steps"] >= 4
    assert ours["weights_equal"]
    assert ours["accuracy"] == script["accuracy"]
    assert ours["loss_scale"]["gradient"] == pytest.approx([TIMES.get(case, 1)] * 2, rel=1e-4)


@pytest.mark.parametrize("trainer", [EXACT, LOOP])
@pytest.mark.parametrize("case", cases_of(EXACT))
def test_the_exact_trainer_and_the_manual_loop_are_the_script_where_it_is_exact(
    measured: dict[str, dict[str, Any]], case: str, trainer: str
) -> None:
    script, ours = found(measured, case, trainer)
    assert ours["loss_scale"]["gradient"] == pytest.approx([1, 1], rel=1e-4)
    if case in TIMES:
        assert script["first_loss"] / ours["first_loss"] == pytest.approx(TIMES[case], rel=0.01)
        assert not ours["weights_equal"]
        assert ours["equal_losses"] == 0
    elif case in ROUNDED:
        assert ours["largest_difference"] < ROUNDING
        assert ours["weights_equal"] or case not in EQUAL_WEIGHTS
    else:
        assert ours["equal_losses"] == script["steps"]
        assert ours["weights_equal"]
        assert ours["accuracy"] == script["accuracy"]


@pytest.mark.parametrize("case", [pytest.param("no Trainer", marks=pytest.mark.slow)])
def test_the_script_without_a_trainer_is_the_manual_loop(measured: dict[str, dict[str, Any]], case: str) -> None:
    script, ours = found(measured, case, LOOP)
    assert (ours["equal_losses"], ours["weights_equal"]) == (script["steps"], True)
    assert ours["accuracy"] == script["accuracy"]
