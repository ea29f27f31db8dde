"""How runs that are made here would differ from recorded ones, and what of that an experiment lets differ."""

from __future__ import annotations

import pytest
from builders import make_record
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.machine.hardware import hardware_class
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.runner.changes import Machine, differences_here
from bakeoff.runner.experiment import declaration, require_declared_hardware
from bakeoff.spec.document import Document, parse_document

HERE = hardware_class("", threads=2)
CPU = Machine(device="cpu", accelerator="", threads=2, instructions="AVX2", sources={})
GPU = Machine(device="cuda", accelerator="H100", threads=2, instructions="AVX2", sources={})


def planned(*lines: str) -> tuple[Document, Plan]:
    text = "\n".join(
        [
            "name: toy",
            "tasks: [docstrings]",
            "models: [tiny-bert]",
            "strategies: {one: {trainer: torch-loop}, two: {trainer: torch-loop, recipe: {processes: 2}}}",
            *lines,
        ]
    )
    document = parse_document(text, "spec.yaml")
    return document, resolve(document, load_registry())


@pytest.mark.parametrize(("declared", "counted"), [((), True), ((HERE, "H100"), False), ((HERE, "A100"), True)])
def test_declared_classes_of_hardware_are_no_difference(declared: tuple[str, ...], counted: bool) -> None:
    record, run = make_record(hardware="H100"), next(iter(planned()[1].by_id.values()))
    found = differences_here(run, record, CPU, declared)
    assert ("hardware" in {one.subject for one in found}) is counted
    assert "software" in {one.subject for one in found}


def test_a_run_on_hardware_that_is_not_declared_is_refused_in_one_line() -> None:
    document, plan = planned(f"hardware: ['{HERE}', H100]")
    require_declared_hardware(document, plan, CPU)
    with pytest.raises(SpecError) as refused:
        require_declared_hardware(document, plan, GPU)
    (line,) = refused.value.lines
    assert tells(line, "spec.yaml:5", "hardware", "'2 x H100'", f"'{HERE}'", "'H100'")
    document, plan = planned()
    require_declared_hardware(document, plan, GPU)


def test_the_declared_classes_stand_in_the_plan_and_change_no_id() -> None:
    with_hardware, without = (declaration(*planned(*lines)) for lines in ([f"hardware: ['{HERE}']"], []))
    assert (with_hardware.hardware, without.hardware) == ([HERE], [])
    assert [run.id for run in with_hardware.runs] == [run.id for run in without.runs]
