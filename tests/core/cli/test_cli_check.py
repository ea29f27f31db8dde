"""`bakeoff check` and `bakeoff plan` as a user calls them: lines, exit codes, and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from builders import failed, lasting, make_record
from core.calling import Call
from end_to_end import experiments
from messages import tells

from bakeoff.cli.inputs import open_experiment
from bakeoff.machine import hardware
from bakeoff.planning.runs import Run
from bakeoff.records import provenance
from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration
from bakeoff.text.numbers import duration

SPEC = """\
name: toy
tasks: [{name: docstrings, size: 100}]
models: [tiny-bert]
strategies:
  loop: {trainer: torch-loop}
  api: {trainer: hf-trainer}
seeds: 2
"""
COUNTED = "2 strategies x 1 task x 1 model x 2 seeds = 4 runs"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "toy" / "spec.yaml"
    path.parent.mkdir()
    path.write_text(SPEC, encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_file_is_counted(call: Call, spec: Path) -> None:
    code, out, err = call("check", spec)
    assert (code, err) == (0, "")
    assert tells(out, f"{spec}: 2 strategies", "4 runs")


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
def test_bad_files_end_with_code_2_one_line_each_and_nothing_written(call: Call, spec: Path, verb: str) -> None:
    spec.write_text(SPEC.replace("toy", "<b>").replace("seeds: 2", "seeds: -1\nmargin: .nan"), encoding="utf-8")
    before = contents(spec.parent)
    code, out, err = call(verb, spec)
    assert (code, out) == (2, "")
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        [f"{spec}:1:1", "name"],
        [f"{spec}:7:1", "seeds"],
        [f"{spec}:8:1", "margin"],
    ]
    assert contents(spec.parent) == before
    assert list(spec.parent.iterdir()) == [spec]


@pytest.mark.parametrize("content", [b"", b"- a", b"\x00\xff", b"a: [", b"a: 1\na: 2\n", b"[" * 1_000_001])
def test_what_is_no_experiment_file_ends_with_code_2(call: Call, spec: Path, content: bytes) -> None:
    spec.write_bytes(content)
    code, out, err = call("check", spec)
    assert (code, out) == (2, "")
    assert err.startswith(f"{spec}:")
    assert "Traceback" not in err
    assert list(spec.parent.iterdir()) == [spec]


def test_a_missing_file_and_a_folder_without_one_end_with_code_2(call: Call, tmp_path: Path) -> None:
    assert call("check", tmp_path / "no.yaml") == (2, "", f"{tmp_path}/no.yaml: no such file\n")
    code, out, err = call("check", tmp_path)
    assert (code, out) == (2, "")
    assert tells(err, "no experiment file", str(tmp_path), "bakeoff init")


def test_a_folder_stands_for_its_experiment_file(call: Call, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = call("check", spec)
    assert call("check", spec.parent) == named
    monkeypatch.chdir(spec.parent)
    assert call("plan")[0] == 0
    (spec.parent / "other.yml").write_text(SPEC, encoding="utf-8")
    code, out, err = call("plan")
    assert (code, out) == (2, "")
    assert tells(err, "2 experiment files", "other.yml", "spec.yaml")


@pytest.mark.parametrize("verb", ["check", "plan", "schema"])
def test_nothing_that_trains_is_loaded(spec: Path, verb: str) -> None:
    arguments = [verb] if verb == "schema" else [verb, str(spec)]
    code = (
        "import sys; from bakeoff.cli import bakeoff; "
        f"bakeoff.main({arguments!r}, standalone_mode=False); "
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[]"


def own_rows(spec: Path, *, model: str = "tiny-bert", split: str = "test") -> None:
    task = f"{{name: table, train: a.csv, {split}: b.csv, text: q, label: y}}"
    spec.write_text(SPEC.replace("{name: docstrings, size: 100}", task).replace("tiny-bert", model), encoding="utf-8")


def test_check_and_plan_look_for_data_and_models_where_run_would(call: Call, spec: Path) -> None:
    """`check` refuses what `run` refuses, at the place of the task or model; `plan` names it and lists the runs."""
    own_rows(spec, model="{name: hub, path: ./nowhere}")
    (spec.parent / "a.csv").write_text("q,y\na,0\nb,1\n")
    code, out, err = call("check", spec)
    assert (code, out) == (2, "")
    task, model = err.splitlines()
    assert tells(task, f"{spec}:2:9: tasks[0]: ", "'b.csv'", str(spec.parent))
    assert tells(model, f"{spec}:3:10: models[0]: ", str(spec.parent / "nowhere"))
    assert call("run", spec)[::2] == (2, f"{err}"), "the same lines, before anything is loaded"
    code, out, _ = call("plan", spec)
    assert code == 0
    assert out.count(" to do ") == 4
    assert [line.removeprefix("not here: ") for line in out.splitlines() if line.startswith("not here: ")] == [task, model]


def test_files_are_looked_for_in_the_data_folder_too(call: Call, spec: Path) -> None:
    own_rows(spec)
    data = spec.parent / "data"
    data.mkdir()
    for name in ("a.csv", "b.csv"):
        (data / name).write_text("q,y\na,0\nb,1\n")
    assert call("check", spec)[0] == 2
    assert call("check", spec, "--data", data)[0] == 0
    for verb in ("check", "plan"):
        code, out, err = call(verb, spec, "--data", spec.parent / "nowhere")
        assert (code, out) == (2, "")
        assert tells(err, "--data: no folder ", str(spec.parent / "nowhere"))


def test_what_is_recorded_whole_needs_no_files(call: Call, spec: Path) -> None:
    own_rows(spec)
    store = Store(spec.parent)
    for run in open_experiment(spec)[1].runs:
        assert call("check", spec)[0] == 2
        record(run, store, 1.0)
    code, out, _ = call("check", spec)
    assert code == 0
    assert tells(out, "not compared with ", "'a.csv'")


def test_a_component_that_does_not_answer_in_time_is_named(call: Call, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr("bakeoff_tiny_models.TinyBert.check_available", lambda *_: answered.wait(60))
    monkeypatch.setattr("bakeoff.runner.availability.LOOK_SECONDS", 0.1)
    code, out, err = call("check", spec)
    answered.set()
    assert (code, err) == (0, "")
    assert tells(out, "not checked: ", "'tiny-bert'", "--build")


def test_a_component_that_raises_anything_else_is_named_with_its_owner(
    call: Call, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff_tiny_models.TinyBert.check_available", lambda *_: [][0])
    code, _, err = call("check", spec)
    assert code == 2
    assert tells(err, f"{spec}:3:10: models[0]: ", "'tiny-bert' (plugin ", "check_available", "IndexError", "ModelError")


def test_json_has_every_problem_with_its_place(call: Call, spec: Path) -> None:
    own_rows(spec)
    code, out, err = call("check", spec, "--json")
    found = json.loads(out)
    assert (code, err, found["format"], found["ok"]) == (2, "", 1, False)
    assert [(one["file"], one["line"], one["column"], one["key"]) for one in found["problems"]] == [
        (str(spec), 2, 9, "tasks[0]")
    ]
    code, out, err = call("check", spec, "--json", "--data", spec.parent / "nowhere")
    (problem,) = json.loads(out)["problems"]
    assert (code, err, problem["line"], problem["key"]) == (2, "", 0, "")
    spec.write_text(SPEC)
    code, out, err = call("check", spec, "--json")
    found = json.loads(out)
    assert (code, err, found["problems"], found["ok"]) == (0, "", [], True)
    assert (found["experiment"], found["fewest_runs"], found["most_runs"]) == ("toy", 4, 4)
    assert found["outlook"]


def test_the_default_split_to_report_on_names_the_key_where_it_is_missing(call: Call, spec: Path) -> None:
    own_rows(spec, split="dev")
    code, _, err = call("check", spec)
    assert code == 2
    assert tells(err, f"{spec}:2:9: tasks[0]: task 'table': ", "'test' by default", "`report_on: dev`")
    spec.write_text(spec.read_text() + "report_on: test\n")
    assert tells(call("check", spec)[2], f"{spec}:8:1: report_on: ")


def test_check_build_loads_and_builds_and_writes_nothing(spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace("{name: docstrings, size: 100}", "{name: toy, size: 20}"), encoding="utf-8")
    answer = experiments.call("check", spec, "--build", folder=tmp_path)
    assert (answer.returncode, answer.stdout.partition(";")[0]) == (0, f"{spec}: {COUNTED}")
    spec.write_text(SPEC.replace("{name: docstrings, size: 100}", "{name: toy, missing: true}"), encoding="utf-8")
    answer = experiments.call("check", spec, "--build", folder=tmp_path)
    assert answer.returncode == 2
    assert tells(answer.stderr.splitlines()[-1], f"{spec}:2:9: tasks[0]: ", "toy box")
    assert list(spec.parent.iterdir()) == [spec]


@pytest.mark.slow
def test_check_build_names_the_strategy_whose_trainer_ends_the_process(spec: Path, tmp_path: Path) -> None:
    own = SPEC.replace("{name: docstrings, size: 100}", "{name: toy, size: 20}").replace("hf-trainer", "segfaults")
    spec.write_text(own, encoding="utf-8")
    answer = experiments.call("check", spec, "--build", folder=tmp_path)
    assert answer.returncode == 2
    assert tells(answer.stderr.splitlines()[-1], f"{spec}:6:3: strategies.api: ", "'segfaults' took two steps", "SIGSEGV")
    assert list(spec.parent.iterdir()) == [spec]


def test_check_build_refuses_a_margin_below_one_example_of_the_reported_split(spec: Path, tmp_path: Path) -> None:
    """The toy task has a test split of 30 rows: one is worth 3.33 points."""
    small = SPEC.replace("{name: docstrings, size: 100}", "{name: toy, size: 20}")
    for margin, code in (("3.3", 2), ("3.334", 0), ("{points: 3.3}", 2)):
        spec.write_text(f"{small}margin: {margin}\n", encoding="utf-8")
        answer = experiments.call("check", spec, "--build", folder=tmp_path)
        assert answer.returncode == code, (margin, answer.stderr)
        if code:
            line = spec.read_text().splitlines().index(f"margin: {margin}") + 1
            assert answer.stderr.splitlines()[-1].startswith(f"{spec}:{line}:1: margin: ")
            assert "3.334 points" in answer.stderr


# --- plan ----------------------------------------------------------------------------------------------------------------


def record(run: Run, store: Store, seconds: float, *, hardware_class: str = "", fails: str = "") -> None:
    """A record of the run that nobody trained; `fails`: for this reason."""
    made = failed(make_record(), fails, "it is gone") if fails else make_record()
    here = provenance.environment((), threads=hardware.usable_threads()).hardware
    environment = made.environment.model_copy(update={"hardware": hardware_class or here})
    cost = lasting(made.cost, seconds) if made.cost else None
    update = {"id": run.id, "requested": run.requested, "environment": environment, "cost": cost}
    folder = store.records / run.id
    folder.mkdir(parents=True)
    (folder / RECORD_FILE).write_bytes(dump(made.model_copy(update=update)))


def planned(call: Call, spec: Path, *more: str | Path) -> dict[str, Any]:
    code, out, err = call("plan", spec, "--json", *more)
    assert (code, err) == (0, "")
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_a_plan_without_records_knows_no_times(call: Call, spec: Path) -> None:
    before = contents(spec.parent)
    answer = planned(call, spec)
    assert answer["left"] == {"runs": 4, "seconds": 0, "unknown": 4}
    assert {run["state"] for run in answer["runs"]} == {"to do"}
    _, out, _ = call("plan", spec)
    assert tells(out.splitlines()[-1], "4 runs; 4 left", "unknown length")
    assert contents(spec.parent) == before


def test_times_are_the_median_of_like_runs_of_the_folder(call: Call, spec: Path) -> None:
    store = Store(spec.parent)
    more = spec.with_name("more.yaml")
    more.write_text(SPEC.replace("seeds: 2", "seeds: 5"), encoding="utf-8")
    loops = [run for run in open_experiment(more)[1].runs if run.strategy.name == "loop"]
    for run, seconds in zip(loops[1:], (10.0, 30.0, 20.0, 900.0), strict=True):
        record(run, store, seconds, hardware_class="elsewhere" if seconds == 900 else "")
    states = {(run["strategy"], run["seed"]): (run["state"], run["seconds"]) for run in planned(call, spec)["runs"]}
    assert states == {
        ("loop", 0): ("to do", 20.0),
        ("loop", 1): ("recorded", 10.0),
        ("api", 0): ("to do", None),
        ("api", 1): ("to do", None),
    }
    _, out, _ = call("plan", spec)
    assert tells(out.splitlines()[-1], "4 runs; 3 left", "20 s", "2 runs of unknown length")
    assert len({line.index("to do") for line in out.splitlines() if "to do  " in line}) == 1


def test_where_the_folder_has_no_like_run_those_beside_it_tell(call: Call, spec: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "spec.yaml"
    other.parent.mkdir()
    other.write_text(SPEC.replace("name: toy", "name: other").replace("seeds: 2", "seeds: [7]"), encoding="utf-8")
    document, plan = open_experiment(other)
    store = Store(other.parent)
    store.declare(declaration(document, plan))
    for run in plan.runs:
        record(run, store, 60.0)
    assert planned(call, spec)["left"] == {"runs": 4, "seconds": 240.0, "unknown": 0}
    record(open_experiment(spec)[1].runs[0], Store(spec.parent), 5.0)  # its own folder's record counts for more
    assert planned(call, spec)["left"] == {"runs": 3, "seconds": 125.0, "unknown": 0}
    assert planned(call, spec, "--into", other.parent)["left"]["runs"] == 4


def test_failed_and_damaged_records_are_told(call: Call, spec: Path) -> None:
    runs = open_experiment(spec)[1].runs
    store = Store(spec.parent)
    record(runs[0], store, 5.0, fails="crashed")
    record(runs[1], store, 5.0)
    (store.records / runs[1].id / RECORD_FILE).write_text("{")
    code, out, _ = call("plan", spec)
    assert code == 0
    assert f"{runs[0].title}: failed: crashed: " in out
    assert f"{runs[1].title}: damaged: " in out
    assert tells(out, "", "1 failed run", f"`bakeoff run {spec} --retry failed`")


def test_an_interrupted_run_is_still_to_do(call: Call, spec: Path) -> None:
    store = Store(spec.parent)
    for run, reason in zip(open_experiment(spec)[1].runs, ("interrupted", "crashed"), strict=False):
        record(run, store, 5.0, fails=reason)
    found = planned(call, spec)
    assert [run["state"] for run in found["runs"]] == ["to do", "failed", "to do", "to do"]
    assert found["left"]["runs"] == 3
    _, out, _ = call("plan", spec)
    assert "1 failed run recorded" in out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (45.2, "45 s"), (89.9, "90 s"), (660, "11 min"), (7500, "2 h 05 min"), (360000, "100 h 00 min")],
)
def test_durations_are_said_as_a_person_would(seconds: float, text: str) -> None:
    assert duration(seconds) == text
