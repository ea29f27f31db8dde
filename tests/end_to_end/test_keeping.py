"""`keep: final` from end to end: a model gives the recorded predictions or is told as not kept, and the scores stand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, environment, records, start, time_is_up, wait_until, write_spec
from messages import tells
from toybox import Toy

from bakeoff.machine import hardware

LOOP = {"loop": {"trainer": "torch-loop"}}
ANSWERS = """
import sys, json
import numpy as np
exec(open(sys.argv[1]).read())
texts = json.load(open(sys.argv[2]))
np.save(sys.argv[3], model(**tokenizer(*texts, truncation=True, padding=True, return_tensors="pt")).logits.detach().numpy())
"""


def answers_by_the_card(kept: Path, texts: list[list[str]]) -> Any:
    """What somebody gets who has the folder, its card, transformers and peft: in a process that can't import bakeoff."""
    block = (kept / "README.md").read_text().split("```python\n")[1].split("```")[0]
    beside = kept.parent
    (beside / "card.py").write_text("import sys\nsys.modules['bakeoff'] = None\n" + block)
    (beside / "ask.py").write_text(ANSWERS)
    (beside / "texts.json").write_text(json.dumps(texts))
    command = [sys.executable, *(str(beside / name) for name in ("ask.py", "card.py", "texts.json", "answers.npy"))]
    subprocess.run(command, cwd=kept, check=True, capture_output=True, env=environment(beside) | {"HF_HUB_OFFLINE": "1"})
    return np.load(beside / "answers.npy")


PREFIX = {"name": "peft", "type": "PREFIX_TUNING", "config": {"num_virtual_tokens": 4}}
NORMS = {"name": "peft", "type": "LN_TUNING", "config": {"target_modules": ["LayerNorm"]}}
STRATEGIES: dict[str, Any] = {
    "fast": {"trainer": "fast-loop"},
    "probe": {"trainer": "linear-probe", "method": "head-only"},
    "prefix": {"trainer": "hf-trainer", "method": PREFIX},
    "norms": {"trainer": "torch-loop", "method": NORMS},
}


@pytest.mark.slow
def test_every_strategy_s_chosen_state_is_kept_and_its_card_loads_it(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", STRATEGIES, keep="final", select="best-on-dev", report_on="test")
    spec.write_text(spec.read_text().replace("epochs: 2", "epochs: 4"))
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    found = records(tmp_path / "e")
    assert any(record["selection"]["chosen_epoch"] < 4 for record in found.values()), "none has an earlier state to keep"
    assert all(record["kept"]["reason"] is None and record["kept"]["difference"] < 1e-4 for record in found.values())
    assert call("verify", tmp_path / "e", folder=tmp_path).stdout.startswith("4 of 4 records are undamaged\n")
    assert all(path.stat().st_size <= 8192 for path in (tmp_path / "e").glob("records/r1-*/record.json"))
    assert "model/model.safetensors" in found["norms/0"]["files"]
    assert "model/adapter/adapter_model.safetensors" in found["prefix/0"]["files"]
    folder = tmp_path / "e" / "records" / found["prefix/0"]["id"]
    rows = Toy().load(Toy.Options(size=20), None)["test"].to_dict()  # type: ignore[arg-type]
    table = pq.read_table(folder / "predictions.parquet").to_pandas()
    recorded = np.stack(table[table["split"] == "test"].set_index("id").loc[rows["id"]]["logits"])
    np.testing.assert_allclose(answers_by_the_card(folder / "model", [rows["first"], rows["second"]]), recorded, atol=1e-5)


HEAD = "name: toy\ntasks: [{name: toy, size: 20}]\nrecipe: {epochs: 1, batch_size: 8, max_length: 32}\nstrategies:\n"
FAULTS = {
    "raises": "ZeroDivisionError: a bug in two lines (toybox.py:",
    "dies": "the run's process ended while saving it: killed by SIGKILL",
    "answers otherwise": "loaded again, it gives other predictions: logits differ by up to",
    "odd name": "its `save` wrote 'model/my notes.txt'",
    "forgets": "OSError: ",
}


def fragile(folder: Path, faults: Any) -> list[dict[str, str]]:
    """A model for each fault."""
    return [{"name": "fragile", "fault": fault, "marker": str(folder / fault)} for fault in faults]


@pytest.mark.slow
def test_a_model_that_can_t_be_kept_leaves_the_scores_and_is_told(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"models": fragile(tmp_path, FAULTS), "report_on": "test"}
    spec = write_spec(tmp_path / "e", LOOP, head=HEAD, keep="final", **keys)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 1, answer.stderr
    assert "5 runs: 5" in answer.stdout
    folders = {record["requested"]["model"]["options"].get("fault"): record for record in all_records(tmp_path / "e")}
    for fault, words in FAULTS.items():
        record = folders[fault]
        assert (record["status"], record["failure"]) == ("ok", None), fault
        assert record["scores"]["test"]["accuracy"] > 0
        assert record["kept"]["reason"].startswith(words)
        assert not (tmp_path / "e" / "records" / record["id"] / "model").exists()
        assert words.split("(")[0].split("'")[0] in answer.stderr
    assert call("verify", tmp_path / "e", folder=tmp_path).stdout.startswith("5 of 5 records are undamaged\n")
    told = call("table", tmp_path / "e", "--all", folder=tmp_path).stdout
    assert told.count("model not kept: loop:0, 1 of 1: ") == 5
    assert call("report", tmp_path / "e", folder=tmp_path).returncode == 0
    assert "model not kept" in (tmp_path / "e" / "report.html").read_text()

    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 1
    assert "5 recorded runs" in again.stderr
    third = call("run", spec, "--retry", "unkept", folder=tmp_path)
    assert third.returncode == 0, third.stderr
    for record in all_records(tmp_path / "e"):
        assert record["kept"]["reason"] is None
        assert "model/model.safetensors" in record["files"]
        before = folders[record["requested"]["model"]["options"]["fault"]]
        assert (record["scores"], record["weights"]) == (before["scores"], before["weights"])
    assert "model not kept" not in call("table", tmp_path / "e", "--all", folder=tmp_path).stdout


def all_records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "records").glob("r1-*/record.json"))]


def test_what_can_t_be_kept_is_refused_before_any_run(tmp_path: Path) -> None:
    models = fragile(tmp_path, ("raises", "answers otherwise", "odd name"))
    for model in models:
        Path(model["marker"]).write_text(".")
    spec = write_spec(tmp_path / "e", LOOP, head=HEAD, models=models, report_on="test", keep="final")
    for command in (("check", "--build"), ("run",)):
        answer = call(*command, spec, folder=tmp_path)
        for model in models:
            Path(model["marker"]).write_text(".")
        assert answer.returncode == 2
        lines = [line for line in answer.stderr.splitlines() if "its model can't be kept, which `keep: final` requires" in line]
        assert len(lines) == 3, answer.stderr
        assert "ZeroDivisionError: a bug" in lines[0]
    assert not (tmp_path / "e" / "records").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["timed out", pytest.param("interrupted", marks=pytest.mark.long)])
def test_what_ends_a_run_over_its_model_leaves_the_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    keys: dict[str, Any] = {"models": fragile(tmp_path, ("sleeps",)), "report_on": "test", "keep": "final", "run_timeout": 600}
    spec = write_spec(tmp_path / "e", LOOP, head=HEAD, **keys)
    saving = (tmp_path / "e" / "records").glob
    if how == "interrupted":
        process = start("run", spec, folder=tmp_path)
        wait_until(lambda: list(saving(".tmp-*/model/tokenizer.json")))
        process.send_signal(signal.SIGINT)
        code, err = process.wait(180), process.communicate()[1]
    else:
        time_is_up(monkeypatch, lambda _: bool(list(saving(".tmp-*/model/tokenizer.json"))))
        answer = call("run", spec, folder=tmp_path)
        code, err = answer.returncode, answer.stderr
    assert code == (130 if how == "interrupted" else 1), err
    (record,) = all_records(tmp_path / "e")
    assert (record["status"], record["failure"]) == ("ok", None)
    assert record["kept"]["reason"].startswith(f"{how}: ")
    assert record["scores"]["test"]["accuracy"] > 0
    assert call("verify", tmp_path / "e", folder=tmp_path).stdout.startswith("1 of 1 records are undamaged\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or hardware.usable_threads() < 2, reason="two processes need Linux and two cores")
def test_of_two_processes_the_first_keeps_the_model_and_may_die_of_it(tmp_path: Path) -> None:
    head = HEAD.replace("epochs: 1", "epochs: 1, processes: 2")
    models = ["tiny-bert", *fragile(tmp_path, ("dies", "raises"))]
    spec = write_spec(tmp_path / "e", LOOP, head=head, models=models, report_on="test", keep="final")
    answer = call("run", spec, "--threads", "2", folder=tmp_path)
    assert answer.returncode == 1, answer.stderr
    found = {record["requested"]["model"]["options"].get("fault"): record for record in all_records(tmp_path / "e")}
    assert {record["status"] for record in found.values()} == {"ok"}
    assert found[None]["kept"]["reason"] is None
    assert "model/model.safetensors" in found[None]["files"]
    assert tells(found["dies"]["kept"]["reason"], "rank 0: ", "SIGKILL")
    assert found["raises"]["kept"]["reason"].startswith("ZeroDivisionError")
    assert found["dies"]["scores"] == found["raises"]["scores"] == found[None]["scores"]
    assert not (tmp_path / "e" / "records" / found["dies"]["id"] / "model").exists()
