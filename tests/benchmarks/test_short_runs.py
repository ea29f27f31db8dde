"""A short experiment beside the official script: 20 steps of MiniLM on MRPC, with one seed and with four."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from benchmarks.timing import say
from end_to_end.experiments import environment, records
from peers.scripts import FOLDER, GLUE, METRIC, Rows, model_folder, write_rows

ROUNDS = 3
SEEDS = (1, 4)
GOALS = {1: 1.0, 4: 0.8}
"""Seeds -> seconds of `bakeoff run` over those of the script, called as often as there are seeds."""
MEMORY_GOAL = 1.2
EVERY = 0.1
"""Seconds between two looks at the memory."""

SPEC = """
name: short
tasks: [{name: table, train: train.csv, dev: dev.csv, text: [sentence1, sentence2], label: label}]
models: [minilm]
recipe: {max_steps: 20, batch_size: 8, learning_rate: 5e-5, max_length: 128}
strategies: {trainer-api: {trainer: hf-trainer}}
report_on: dev
"""


def script(seed: int, folder: Path) -> list[str]:
    """The official script with the same rows and recipe; it evaluates, and saves the model, as it does by default."""
    options = f"--model_name_or_path {model_folder()} --train_file train.csv --validation_file dev.csv --do_train --do_eval"
    options += " --max_steps 20 --per_device_train_batch_size 8 --learning_rate 5e-5 --max_seq_length 128 --use_cpu"
    options += f" --pad_to_max_length False --report_to none --save_strategy no --output_dir {folder}/out-{seed} --seed {seed}"
    return [sys.executable, str(FOLDER / GLUE), *options.split()]


def measured(commands: Sequence[Sequence[str]], folder: Path, variables: dict[str, str]) -> dict[str, float]:
    """Seconds of the commands one after another, and the highest memory of a command's process tree in MiB, in which pages that
    processes share count once."""
    peak = [0.0]
    began = time.perf_counter()
    for command in commands:
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
            looks = threading.Thread(target=watch, args=(process.pid, peak))
            looks.start()
            code = process.wait()
            looks.join()
        assert code == 0, (folder / "output.txt").read_text()[-2000:]
    return {"seconds": time.perf_counter() - began, "peak_mib": peak[0]}


def watch(pid: int, peak: list[float]) -> None:
    while psutil.pid_exists(pid):
        total = 0
        try:
            tree = psutil.Process(pid)
            for process in [tree, *tree.children(recursive=True)]:
                total += process.memory_full_info().pss
        except psutil.Error:
            pass
        peak[0] = max(peak[0], total / 2**20)
        time.sleep(EVERY)


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not str(FOLDER) or not (FOLDER / GLUE).is_file(), reason="BAKEOFF_PEERS names no folder of run_glue.py")
@pytest.mark.skipif("BAKEOFF_DATA" not in os.environ, reason="BAKEOFF_DATA names no folder of the official MRPC files")
def test_a_short_experiment_takes_no_longer_than_the_official_script(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goals: GOALS in seconds, and MEMORY_GOAL in memory."""
    write_rows(tmp_path / "rows", Rows(None, None))
    found: dict[str, list[dict[str, float]]] = {}
    peers = {
        **environment(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hub"),
        "TOKENIZERS_PARALLELISM": "false",
    }

    def turns() -> None:
        for turn in range(ROUNDS):
            for seeds in SEEDS:
                for way in ("script", "bakeoff"):
                    folder = tmp_path / f"{way}-{seeds}-{turn}"
                    (folder / "accuracy").mkdir(parents=True)
                    (folder / "accuracy/accuracy.py").write_text(METRIC)
                    for name in ("train.csv", "dev.csv"):
                        (folder / name).write_bytes((tmp_path / "rows" / name).read_bytes())
                    (folder / "spec.yaml").write_text(f"{SPEC}seeds: {seeds}\n")
                    ours = [[sys.executable, "-m", "bakeoff", "run", "spec.yaml"]]
                    commands = ours if way == "bakeoff" else [script(seed, folder) for seed in range(seeds)]
                    found.setdefault(f"{way} {seeds}", []).append(measured(commands, folder, peers))
                    assert way == "script" or len(records(folder)) == seeds

    benchmark.pedantic(turns, rounds=1)
    shown: dict[str, Any] = {
        name: {what: [round(one[what], 1) for one in each] for what in each[0]} for name, each in found.items()
    }
    for seeds, goal in GOALS.items():
        for what in ("seconds", "peak_mib"):
            pairs = zip(found[f"bakeoff {seeds}"], found[f"script {seeds}"], strict=True)
            ratios = sorted(ours[what] / theirs[what] for ours, theirs in pairs)
            shown[f"ratio of {what}, {seeds} seeds"] = {
                "median": round(statistics.median(ratios), 2),
                "all": [round(ratio, 2) for ratio in ratios],
                "goal": {"seconds": goal, "peak_mib": MEMORY_GOAL}.get(what),
            }
    benchmark.extra_info.update(shown)
    say(capsys, json.dumps(shown, indent=1))
