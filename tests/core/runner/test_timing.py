"""`bakeoff time` with real processes: what it measures, what it leaves out, and what is left when it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from end_to_end.experiments import COMMAND, TOY, call, environment, start, wait_until, write_spec

from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.records.schema import timed_digest
from bakeoff.records.store import Store
from bakeoff.runner.timing import timed_groups, undecided
from bakeoff.spec.document import read_document

LOOP = {"trainer": "torch-loop"}
HEAD = TOY.replace("size: 20", "size: 200").replace("epochs: 2", "epochs: 1")


def timed(
    folder: Path, strategies: dict[str, Any], *more: str, head: str = HEAD, **keys: Any
) -> subprocess.CompletedProcess[str]:
    spec = write_spec(folder, strategies, head=head, **keys)
    return call("time", spec, "--threads", "1", "--budget", "0.5", "--within", "60", *more, folder=folder)


@pytest.mark.long
def test_each_kind_of_strategy_is_timed_and_one_that_fails_is_told(tmp_path: Path) -> None:
    answer = timed(
        tmp_path,
        {
            "loop": LOOP,
            "again": {**LOOP, "replicate": 1},
            "hot": {**LOOP, "recipe": {"learning_rate": 1e-4}},
            "fast": {"trainer": "fast-loop"},
            "probe": {"trainer": "linear-probe", "method": "head-only"},
            "two-steps": {**LOOP, "recipe": {"epochs": None, "max_steps": 2}},
            "short": {**LOOP, "recipe": {"epochs": None, "max_steps": 7}},
            "bug": {"trainer": "raises"},
            "gone": {"trainer": "exits"},
        },
    )
    assert answer.returncode == 1, answer.stderr
    (timing,) = Store(tmp_path).timings()
    found = {name: one for one in timing.timed for name in one.strategies}
    assert found.keys() == {"loop", "again", "hot", "fast", "probe", "two-steps", "short"}
    assert found["loop"] is found["again"] is found["hot"], "trains as long, so it is timed once"
    assert {name: (one.whole, one.steps) for name, one in found.items() if name not in ("again", "hot")} == {
        "loop": (False, 25),
        "fast": (False, 25),
        "probe": (True, 1),
        "two-steps": (True, 1),
        "short": (False, 7),
    }
    for one in timing.timed:
        assert any(one.step_seconds), one.strategies
        assert any(one.batch_seconds), one.strategies
        assert one.fixed_seconds.keys() == {"import", "load", "encode", "build", "warm-up", "evaluate", "save"}
        assert min(one.fixed_seconds[phase] for phase in ("load", "build", "save")) > 0
        assert one.batches == (4 if one is found["fast"] else 3), "dev, test, and one again, in its own way and not"
        assert one.peak_memory_bytes > 2**26
    assert timing.baseline == "loop"
    assert "not timed: toy · tiny-bert: bug: ZeroDivisionError: a bug in two lines (toybox.py:" in answer.stdout
    assert "not timed: toy · tiny-bert: gone: its process ended: exit code 7: last words of a plugin" in answer.stdout
    assert "timed whole, from the beginning of the training to its end: probe, two-steps" in answer.stdout
    assert list(Store(tmp_path).records.iterdir()) == [Store(tmp_path).costs_file], "nothing else is left"
    assert call("verify", tmp_path, folder=tmp_path).returncode == 2, "no run is recorded"


@pytest.mark.long
def test_a_run_of_several_processes_takes_its_turns(tmp_path: Path) -> None:
    answer = timed(tmp_path, {"one": LOOP, "two": {**LOOP, "recipe": {"processes": 2}}}, select="best-on-dev", keep="final")
    assert answer.returncode == 0, answer.stderr
    (timing,) = Store(tmp_path).timings()
    assert [one.strategies for one in timing.timed] == [["one"], ["two"]]
    assert all(any(one.step_seconds) and any(one.batch_seconds) for one in timing.timed)
    assert [one.batches for one in timing.timed] == [1 + 1 + 1 + 1, 1 + 1 + 1 + 1], (
        "dev after the epoch and at the end, test, one again"
    )


@pytest.mark.slow
def test_a_baseline_that_fails_is_an_error_and_an_earlier_timing_stays(tmp_path: Path) -> None:
    assert timed(tmp_path, {"loop": LOOP}).returncode == 0
    before = Store(tmp_path).costs_file.read_bytes()
    answer = timed(tmp_path, {"bug": {"trainer": "raises"}, "loop": LOOP})
    assert answer.returncode == 2
    assert "bug, the baseline, can't be timed: ZeroDivisionError" in answer.stderr
    assert Store(tmp_path).costs_file.read_bytes() == before
    assert timed(tmp_path, {"other": LOOP}, "--into", str(tmp_path)).returncode == 0
    assert [timing.baseline for timing in Store(tmp_path).timings()] == ["other"], "the newest counts"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(
    "number", [*(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGTERM)), signal.SIGKILL]
)
def test_a_command_that_is_stopped_leaves_no_process_and_no_timing(number: signal.Signals, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"loop": LOOP, "fast": {"trainer": "fast-loop"}}, head=HEAD)
    command = start("time", spec, "--threads", "1", "--within", "0.1", folder=tmp_path)
    store = Store(tmp_path)
    wait_until(lambda: len(list(store.records.glob(".tmp-costs-*"))) == 2)
    family = psutil.Process(command.pid).children(recursive=True)
    time.sleep(2)  # whether they prepare or take turns by now makes no difference
    command.send_signal(number)
    _, stderr = command.communicate(timeout=60)
    assert command.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), stderr
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family), seconds=30)
    assert not store.costs_file.exists()
    if number != signal.SIGKILL:
        assert list(store.records.iterdir()) == []
    assert timed(tmp_path, {"loop": LOOP}).returncode == 0, "nothing is in its way"
    assert list(store.records.iterdir()) == [store.costs_file]


def test_two_commands_do_not_time_one_experiment_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.tree.make(store.records)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        claim = {"host": __import__("bakeoff.files", fromlist=["HOST"]).HOST, "process": other.pid}
        (store.records / ".claim-costs").write_text(json.dumps(claim))
        answer = timed(tmp_path, {"loop": LOOP})
    finally:
        other.kill()
        other.wait()
    assert answer.returncode == 2
    assert "another command times" in answer.stderr
    assert not store.costs_file.exists()


def test_it_does_not_time_into_another_experiments_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "spec.yaml").write_text("name: another\n")
    answer = timed(tmp_path / "here", {"loop": LOOP}, "--into", str(tmp_path / "there"))
    assert answer.returncode == 2
    assert "--into DIR" in answer.stderr


@pytest.mark.parametrize(("option", "value"), [("--within", "0"), ("--budget", "0"), ("--budget", "x")])
def test_options_that_make_no_sense_are_refused(option: str, value: str, tmp_path: Path) -> None:
    assert timed(tmp_path, {"loop": LOOP}, option, value).returncode == 2


def test_the_help_names_what_it_does() -> None:
    found = subprocess.run([*COMMAND, "time", "--help"], capture_output=True, text=True, env=environment(Path()), check=True)
    assert "costs.json" in found.stdout


def groups(folder: Path, text: str) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(text)
    return timed_groups(resolve(read_document(folder / "spec.yaml"), load_registry()))


def test_models_under_test_are_timed_together_as_they_are_compared(tmp_path: Path) -> None:
    text = (
        "name: m\ntasks: [toy]\nmodels: [tiny-bert, minilm]\n"
        "strategies: {loop: {trainer: torch-loop}, fast: {trainer: fast-loop}}\n"
    )
    apart = groups(tmp_path, text)
    assert [(group.model, group.baseline) for group in apart] == [("tiny-bert", "loop"), ("minilm", "loop")]
    (together,) = groups(tmp_path, text + "under_test: [model, trainer]\n")
    assert together.model == "tiny-bert / minilm"
    assert together.baseline == "loop · tiny-bert"
    assert [one.names for one in together.contenders] == [
        ("loop · tiny-bert",),
        ("fast · tiny-bert",),
        ("loop · minilm",),
        ("fast · minilm",),
    ]


def test_a_search_that_has_not_chosen_is_timed_with_its_first_configuration(tmp_path: Path) -> None:
    text = (
        "name: m\ntasks: [toy]\nmodels: [tiny-bert]\nstrategies:\n  loop: {trainer: torch-loop}\n"
        "  tuned: {trainer: torch-loop, search: {batch_size: [4, 16], seeds: [10]}}\n"
    )
    (tmp_path / "spec.yaml").write_text(text)
    plan = resolve(read_document(tmp_path / "spec.yaml"), load_registry())
    (group,) = timed_groups(plan)
    assert group.contenders[1].run.strategy.recipe.batch_size == 4
    assert undecided(plan, [group]) == ["tuned: timed with the first configuration, since the search has not chosen yet"]


def test_what_changes_no_cost_changes_no_digest(tmp_path: Path) -> None:
    text = "name: m\ntasks: [toy]\nmodels: [tiny-bert]\nrecipe: {RECIPE}\nstrategies: {loop: {trainer: torch-loop}}\n"

    def digest(recipe: str) -> str:
        ((contender,),) = (group.contenders for group in groups(tmp_path, text.replace("RECIPE", recipe)))
        assert contender.digest == timed_digest(contender.run.requested)
        return str(contender.digest)

    plain = digest("batch_size: 8")
    assert digest("learning_rate: 1e-3, warmup: 0.1, weight_decay: 0.1") == plain
    for other in ("batch_size: 16", "precision: bf16", "max_grad_norm: none", "epochs: 4", "max_length: 64"):
        assert digest(other) != plain
