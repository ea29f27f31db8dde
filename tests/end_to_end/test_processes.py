"""`processes: 2`: one training in two processes is the training of one, and a rank that dies is a failed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import COMMAND, call, environment, records, start, wait_until, write_spec
from messages import tells

from bakeoff.errors import BakeoffError
from bakeoff.machine import hardware
from bakeoff.training.job import POLL_STEPS
from bakeoff.training.request import Request

UNEVEN = str(Path(__file__).parents[1] / "thirdparty" / "uneven")
HEAD = """
name: ranks
tasks: [{name: toy, size: 29}]
models: [{name: tiny-bert, dropout: 0.0}]
recipe: {epochs: 2, batch_size: 7, learning_rate: 0.1, optimizer: sgd, momentum: 0.9, max_grad_norm: 0.6, max_length: 32}
select: best-on-dev
report_on: test
strategies:
"""
"""29 examples in batches of 7: each epoch's last batch has one row, and one of two ranks none."""

ACCUMULATED = {"batch_size": 8, "micro_batch_size": 4}
"""8, 8, 8, and 4 + 1."""
STEPS = {"plain": 10, "accumulated": 8}
TRAINERS = ("torch-loop", "hf-trainer")
FAULTS = ("raises", "dies", "exits", "drifts")
DRIFTED = "trainer 'uneven' (plugin 'uneven' of uneven 1.0) left different weights on rank 1 than on rank 0"

CORES = hardware.usable_threads()
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="several processes for one run need Linux"),
    pytest.mark.skipif(CORES < 2, reason="two processes need two cores"),
]


@dataclass(frozen=True)
class Trained:
    """A finished experiment."""

    folder: Path
    records: dict[str, dict[str, Any]]

    def table(self, strategy: str, name: str) -> dict[str, list[Any]]:
        record = self.records[f"{strategy}/0"]
        assert record["status"] == "ok", record["failure"]
        columns: dict[str, list[Any]] = pq.read_table(self.folder / "records" / record["id"] / f"{name}.parquet").to_pydict()
        return columns

    def watched(self, strategy: str, rank: int) -> dict[str, Any]:
        """What the rank had at the end of training: its weights, and the first draw of each step."""
        import torch

        kept: dict[str, Any] = torch.load(self.folder / "watched" / strategy / f"{rank}.pt")
        return kept


@pytest.fixture(scope="module", autouse=True)
def _uneven() -> Any:
    """The plugin with a trainer whose ranks differ is installed, here and in child processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(UNEVEN)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [UNEVEN, os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Both trainers in two processes beside torch-loop in one, plain and accumulated; and the faults."""
    folder = tmp_path_factory.mktemp("processes")
    strategies: dict[str, Any] = {}

    def add(name: str, trainer: str, processes: int, **recipe: Any) -> None:
        strategies[name] = {
            "trainer": {"name": "uneven", "of": trainer, "watch": str(folder / "watched" / name)},
            "recipe": {"processes": processes, **recipe},
        }

    for kind, recipe in (("plain", {}), ("accumulated", ACCUMULATED)):
        add(f"{kind}-one", "torch-loop", 1, **recipe)
        for trainer in TRAINERS:
            add(f"{kind}-{trainer}", trainer, 2, **recipe)
    if has_bf16():
        add("bf16-one", "torch-loop", 1, precision="bf16")
        add("bf16-torch-loop", "torch-loop", 2, precision="bf16")
    for fault in FAULTS:
        strategies[fault] = {"trainer": {"name": "uneven", "fault": fault}, "recipe": {"processes": 2}}
    strategies["diverges"] = {"trainer": "torch-loop", "recipe": {"processes": 2, "learning_rate": 1e30, "batch_size": 1}}
    answer = call("run", write_spec(folder, strategies, head=HEAD), "--threads", str(CORES), folder=folder)
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    return Trained(folder, records(folder))


def has_bf16() -> bool:
    return bool(hardware.BF16_FLAGS & hardware.cpu_flags())


# --- the same training ---------------------------------------------------------------------------------------------------

BOTH_KINDS = [(kind, trainer) for kind in STEPS for trainer in TRAINERS]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trainer"), BOTH_KINDS)
def test_losses_and_gradient_norms_are_those_of_one_process(trained: Trained, kind: str, trainer: str) -> None:
    one, two = trained.table(f"{kind}-one", "steps"), trained.table(f"{kind}-{trainer}", "steps")
    assert len(one["loss"]) == len(two["loss"]) == STEPS[kind]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    assert two["learning_rate"] == one["learning_rate"]
    assert min(one["grad_norm"]) < 0.5, "clipping would hide gradients of another size if it bit at every step"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trainer"), BOTH_KINDS)
def test_final_weights_are_those_of_one_process_on_every_rank(trained: Trained, kind: str, trainer: str) -> None:
    import torch

    one = trained.watched(f"{kind}-one", 0)["weights"]
    ranks = [trained.watched(f"{kind}-{trainer}", rank)["weights"] for rank in (0, 1)]
    for name, tensor in one.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        assert torch.allclose(ranks[0][name], tensor, rtol=1e-4, atol=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trainer"), BOTH_KINDS)
def test_predictions_are_complete_in_order_and_those_of_one_process(trained: Trained, kind: str, trainer: str) -> None:
    one, two = trained.table(f"{kind}-one", "predictions"), trained.table(f"{kind}-{trainer}", "predictions")
    assert two["id"] == one["id"] == [f"dev-{row}" for row in range(20)] + [f"test-{row}" for row in range(30)]
    assert two["label"] == one["label"]
    assert np.asarray(two["logits"]) == pytest.approx(np.asarray(one["logits"]), rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trainer"), BOTH_KINDS)
def test_the_record_speaks_of_the_whole_batch(trained: Trained, kind: str, trainer: str) -> None:
    one, two = trained.records[f"{kind}-one/0"], trained.records[f"{kind}-{trainer}/0"]
    for key in ("data_order_sha256", "examples_seen", "tokens_seen", "optimizer_steps"):
        assert two["observed"][key] == one["observed"][key], key
    assert two["observed"]["examples_seen"] == 2 * 29
    assert two["weights"]["initial_sha256"] == one["weights"]["initial_sha256"]
    assert two["scores"] == one["scores"]
    assert two["selection"] is not None
    assert {**two["selection"], "scores": None} == {**one["selection"], "scores": None}
    assert two["cost"]["peak_memory_bytes"] > 1.5 * one["cost"]["peak_memory_bytes"], "of both processes"


@pytest.mark.slow
def test_random_streams_differ_between_ranks(trained: Trained) -> None:
    one = trained.watched("plain-one", 0)["draws"]
    first, second = (trained.watched("plain-torch-loop", rank)["draws"] for rank in (0, 1))
    assert first == one, "rank 0 draws as one process does"
    assert len(first) == len(second) == STEPS["plain"]
    assert not set(first) & set(second)


@pytest.mark.slow
@pytest.mark.skipif(not has_bf16(), reason="this processor has no bfloat16 arithmetic")
def test_bf16_is_the_training_of_one_process_to_its_precision(trained: Trained) -> None:
    one, two = trained.table("bf16-one", "steps"), trained.table("bf16-torch-loop", "steps")
    assert two["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert two["loss"] != trained.table("plain-torch-loop", "steps")["loss"]


@pytest.mark.slow
def test_two_processes_and_one_with_all_their_threads_are_of_one_hardware_class(trained: Trained) -> None:
    one, two = (trained.records[f"plain-{name}/0"]["environment"] for name in ("one", "torch-loop"))
    assert (two["hardware"], two["threads"]) == (one["hardware"], one["threads"]), "else their times were not compared"
    row = next(line for line in (trained.folder / "table.md").read_text().splitlines() if line.startswith("| plain-torch-loop"))
    head = next(line for line in (trained.folder / "table.md").read_text().splitlines() if line.startswith("| strategy"))
    cells = dict(zip(*([cell.strip() for cell in line.split("|")] for line in (head, row)), strict=True))
    assert cells["processes"] == "2"


@pytest.mark.slow
def test_nothing_is_left_of_the_ranks_rooms(trained: Trained) -> None:
    for name, record in trained.records.items():
        there = {path.name for path in (trained.folder / "records" / record["id"]).iterdir()}
        left = there - {"record.json"}
        allowed = {"traceback.txt"} if record["status"] == "failed" else {"steps.parquet", "predictions.parquet"}
        assert left <= {"output.txt", *allowed}, name


@pytest.mark.slow
def test_the_worker_alone_starts_the_ranks_too(trained: Trained, tmp_path: Path) -> None:
    record = trained.records["plain-torch-loop/0"]
    request = Request(id=record["id"], requested=record["requested"], data=None, cache=tmp_path, device="cpu", threads=CORES)
    (tmp_path / "request.json").write_text(request.model_dump_json())
    command = [*COMMAND, "worker", tmp_path / "request.json", tmp_path / "out"]
    subprocess.run(command, env=environment(tmp_path), check=True, timeout=300)
    again = json.loads((tmp_path / "out" / "record.json").read_text())
    assert again["weights"] == record["weights"], "the same bits"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"record.json", *record["files"]}


# --- what goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "reason", "message"),
    [
        ("raises", "error", "rank 1: ValueError: out of tea (uneven.py:"),
        ("dies", "crashed", "rank 1: killed by SIGKILL"),
        ("exits", "crashed", "rank 1: exit code 3"),
        ("drifts", "error", DRIFTED),
        ("diverges", "diverged", "the loss was not finite at step "),
    ],
)
def test_a_rank_that_goes_wrong_is_a_failed_run_with_its_reason(
    trained: Trained, strategy: str, reason: str, message: str
) -> None:
    record = trained.records[f"{strategy}/0"]
    assert record["status"] == "failed"
    assert record["failure"]["reason"] == reason
    assert record["failure"]["message"].startswith(message)
    assert record["failure"]["phase"] == {"drifts": "save"}.get(strategy, "train")
    assert not record["scores"]


@pytest.mark.slow
def test_divergence_stops_all_ranks_at_the_same_step(trained: Trained) -> None:
    assert trained.records["diverges/0"]["cost"]["steps"] == POLL_STEPS


def ranks_of(word: str) -> list[int]:
    """Living processes that were started with the word in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.long
def test_no_rank_outlives_the_command_or_the_time_that_a_run_may_take(tmp_path: Path) -> None:
    strategies = {"sleeps": {"trainer": {"name": "uneven", "fault": "sleeps"}, "recipe": {"processes": 2}}}
    process = start("run", write_spec(tmp_path, strategies, head=HEAD), folder=tmp_path)
    phases = (tmp_path / "records").glob
    wait_until(lambda: [path.read_text() for path in phases(".tmp-*/ranks/phase-*")].count("train") == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    word = f"BAKEOFF_CACHE={tmp_path}"
    wait_until(lambda: not ranks_of(word), seconds=30)
    again = start("run", write_spec(tmp_path, strategies, head=HEAD, run_timeout=8.0), folder=tmp_path)
    again.communicate()  # in a process of its own, whose ranks are told by its environment
    assert again.returncode == 1
    record = records(tmp_path)["sleeps/0"]
    assert record["failure"]["reason"] == "timed out"
    wait_until(lambda: not ranks_of(word), seconds=10)
    assert {path.name for path in (tmp_path / "records" / record["id"]).iterdir()} <= {"record.json", "output.txt"}


def test_more_processes_than_cores_are_refused_by_number() -> None:
    with pytest.raises(BakeoffError, match=rf"^processes 1000: .* {CORES} usable core"):
        hardware.require_processes(1000, "cpu")
    hardware.require_processes(CORES, "cpu")
    with pytest.raises(BakeoffError, match=r"^processes 2: .*Linux"):
        hardware.require_processes(2, "mps")


def test_more_processes_than_cores_stop_before_the_first_run(tmp_path: Path) -> None:
    from bakeoff.contracts.registry import load_registry
    from bakeoff.contracts.task import Paths
    from bakeoff.planning.resolver import resolve
    from bakeoff.runner.preflight import Preflight
    from bakeoff.runner.settings import Settings, request_of
    from bakeoff.spec.document import read_document

    spec = write_spec(tmp_path, {"many": {"trainer": "torch-loop", "recipe": {"processes": 1000}}}, head=HEAD)
    (run,) = resolve(read_document(spec), load_registry()).runs
    preflight = Preflight([request_of(run, Settings(paths=Paths(None, tmp_path), device="cpu"))])
    preflight.try_all()
    ((kind, name, message),) = preflight.problems
    assert (kind, name) == ("strategy", "many")
    assert tells(message, "processes 1000: ", "usable core")
