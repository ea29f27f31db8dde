"""Whole experiments on a CUDA device, where there is one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from end_to_end.experiments import call, records, start, wait_until, write_spec

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

LOOPS = {
    "trainer-api": {"trainer": "hf-trainer"},
    "manual-loop": {"trainer": "torch-loop"},
    "fast": {"trainer": "fast-loop"},
    "fast-bf16": {"trainer": "fast-loop", "recipe": {"precision": "bf16"}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cuda")
    answer = call("run", write_spec(folder, LOOPS, select="best-on-dev"), folder=folder, control=True)
    assert answer.returncode == 0, answer.stderr
    return folder


def test_a_record_says_on_what_it_ran_and_what_that_took(finished: Path) -> None:
    for record in records(finished).values():
        environment, cost = record["environment"], record["cost"]
        assert environment["device"] == "cuda"
        assert environment["hardware"] == torch.cuda.get_device_name()
        assert 0 < cost["peak_device_memory_bytes"] < torch.cuda.get_device_properties(0).total_memory
        assert cost["flops"] > 0
        assert cost["energy_joules"] is None or cost["energy_joules"] > 0
        print(
            record["requested"]["strategy"],
            {key: cost[key] for key in cost if "memory" in key or "energy" in key},
            cost["flops"],
        )


def test_the_loops_agree(finished: Path) -> None:
    """The plain ones to the bit; fast-loop meets other masks, since its batches are wider, and starts from the same weights."""
    found = records(finished)
    manual, trainer, *fast = (found[f"{name}/0"] for name in ("manual-loop", "trainer-api", "fast", "fast-bf16"))
    assert trainer["weights"] == manual["weights"]
    assert trainer["scores"] == manual["scores"]
    for record in fast:
        assert record["weights"]["initial_sha256"] == manual["weights"]["initial_sha256"]
        assert record["scores"]["dev"]["accuracy"] == pytest.approx(manual["scores"]["dev"]["accuracy"], abs=0.3)


def test_parity_sees_the_same_steps(tmp_path: Path) -> None:
    strategies: dict[str, Any] = {name: LOOPS[name] for name in ("trainer-api", "manual-loop")}
    answer = call("parity", write_spec(tmp_path, strategies), "--device", "cuda", folder=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "identical for 6 steps" in answer.stdout


def test_fast_loop_is_seen_by_parity_too(tmp_path: Path) -> None:
    head = "name: toy\ntasks: [{name: toy, size: 20}]\nmodels: [{name: tiny-bert, dropout: 0.0}]\n"
    head += "recipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3, max_length: 32}\nstrategies:\n"
    strategies: dict[str, Any] = {name: LOOPS[name] for name in ("manual-loop", "fast")}
    answer = call("parity", write_spec(tmp_path, strategies, head=head), "--device", "cuda", folder=tmp_path)
    assert answer.returncode in {0, 1}, answer.stderr
    assert "manual-loop and fast: " in answer.stdout


def test_a_lack_of_the_devices_memory_is_a_record(tmp_path: Path) -> None:
    answer = call("run", write_spec(tmp_path, {"out-of-memory": {"trainer": "out-of-memory"}}), folder=tmp_path)
    assert answer.returncode == 1
    (record,) = records(tmp_path).values()
    assert record["failure"]["reason"] == "out of memory"
    assert record["environment"]["device"] == "cuda"


def test_more_processes_or_jobs_than_devices_are_refused(tmp_path: Path) -> None:
    more = torch.cuda.device_count() + 1
    strategies = {"many": {"trainer": "torch-loop", "recipe": {"processes": more}}}
    answer = call("run", write_spec(tmp_path, strategies), folder=tmp_path)
    assert answer.returncode == 2
    assert "CUDA device" in answer.stderr
    answer = call("run", write_spec(tmp_path, {"one": {"trainer": "torch-loop"}}), "--jobs", str(more), folder=tmp_path)
    assert answer.returncode == 2
    assert f"--jobs {more}" in answer.stderr


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    head = "name: toy\ntasks: [{name: toy, size: 20}]\nmodels: [tiny-bert]\n"
    head += "recipe: {epochs: 400, batch_size: 8, learning_rate: 1e-3, max_length: 32}\nstrategies:\n"
    spec = write_spec(tmp_path, {"fast": LOOPS["fast"]}, head=head, checkpoint_every=20)
    process = start("run", spec, folder=tmp_path)
    wait_until(lambda: list(tmp_path.rglob("*.safetensors")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(tmp_path).values()
    assert record["observed"]["optimizer_steps"] == 1200
    assert record["resumed_at"], "it went on from a checkpoint"
