"""Whether times may be compared: one class of hardware, and equally fast as far as control runs tell."""

from __future__ import annotations

import pytest
from builders import make_control, make_record

from bakeoff.analysis.machines import drift, why_no_time
from bakeoff.machine.hardware import hardware_class, processor
from bakeoff.records.schema import Record

HERE = "AMD EPYC, 2 threads"


def test_a_quiet_machine_is_no_reason() -> None:
    assert why_no_time([make_record()], [make_record()], [make_control(10.0), make_control(10.9, moment="after")]) == ""


def test_a_machine_that_slowed_down_is_a_reason_and_one_that_sped_up_too() -> None:
    for times in ((10.0, 11.5), (11.5, 10.0)):
        assert "15 %" in why_no_time([make_record()], [make_record()], [make_control(time) for time in times])


def test_hardware_is_asked_before_control_runs() -> None:
    reason = why_no_time([make_record()], [make_record(hardware="a Mac")], [make_control(10.0), make_control(20.0)])
    assert reason == f"the hardware differs: {HERE} against a Mac"


def test_a_side_made_on_two_machines_is_comparable_with_nothing_not_even_its_like() -> None:
    mixed = [make_record(seed=0), make_record(seed=1, hardware="a Mac")]
    assert why_no_time(mixed, mixed, []).startswith("the hardware differs: ")


def with_instructions(name: str | None, device: str = "cpu") -> Record:
    made = make_record()
    environment = made.environment.model_copy(update={"instructions": name, "device": device})
    return made.model_copy(update={"environment": environment})


def test_another_instruction_set_is_another_machine_where_both_are_known() -> None:
    sides = [[with_instructions("AVX512")], [with_instructions("AVX2")]]
    assert why_no_time(*sides, []) == "the instruction set differs: AVX512 against AVX2"
    assert why_no_time(sides[0], [with_instructions(None)], []) == ""
    assert why_no_time(sides[0], [with_instructions("AVX2", "cuda")], []) == ""


def test_one_control_run_says_nothing_of_drift() -> None:
    assert drift([make_control(10.0)], hardware=HERE) is None


@pytest.mark.parametrize("accelerator", ["", "NVIDIA H100"])
def test_a_run_of_several_processes_goes_by_the_control_runs_of_its_machine(accelerator: str) -> None:
    alone, together = (hardware_class(accelerator, threads=1, processes=count) for count in (1, 2))
    assert alone != together
    controls = [
        make_control(10.0, hardware=alone),
        make_control(13.0, hardware=alone),
        make_control(99.0, hardware="another machine"),
    ]
    assert drift(controls, hardware=together) == pytest.approx(0.3)


def test_control_runs_of_the_very_class_go_before_those_of_less_of_the_machine() -> None:
    own, less = (f"{processor()}, {threads}" for threads in ("2 threads", "1 thread"))
    controls = [make_control(time, hardware=name) for name, times in {own: (10, 10), less: (20, 40)}.items() for time in times]
    assert drift(controls, hardware=own) == 0.0


def test_times_on_one_thread_and_on_two_are_not_held_against_each_other() -> None:
    controls = [make_control(10.0, hardware="Xeon, 1 thread"), make_control(5.0, hardware="Xeon, 2 threads")]
    assert drift(controls, hardware="Xeon, 4 threads") is None


def timed(how: str) -> list[Record]:
    return [make_record(owns=["model"]).model_copy(update={"timed": how})]


def test_seconds_of_a_whole_process_stand_beside_totals_alone_and_those_of_nothing_beside_none() -> None:
    for of, process in (("train_seconds", False), ("evaluate_seconds", False), ("total_seconds", True)):
        assert (why_no_time(timed("process"), [make_record()], [], of=of) == "") is process
        assert "tell nothing" in why_no_time([make_record()], timed("nothing"), [], of=of)
    record = timed("process")[0]
    assert (record.train_seconds, record.evaluate_seconds) == (None, None)
    assert record.total_seconds is not None
