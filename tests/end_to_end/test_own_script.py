"""Scripts of one's own, run for real: what they do wrong ends their own runs, and an edit reaches no plan that began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, records, time_is_up, write_spec

from bakeoff.machine.processes import lives

pytestmark = pytest.mark.slow

HEAD = """
name: scripts
tasks: [{name: toy, size: 20}]
recipe: {learning_rate: 1e-3}
strategies:
"""
SCRIPT = """
import json, os, sys, time
predict, out, steps, how, place = sys.argv[1:]
answers = [{"id": json.loads(line)["id"], "answer": LABEL} for line in open(predict)]
if how == "unknown":
    answers[1]["answer"] = "nonsense"
elif how == "fewer":
    del answers[0]
elif how == "chatty":
    for _ in range(300):
        print("y" * 1_000_000)
elif how == "endless":
    open(place, "w").write(str(os.getpid()))
    time.sleep(1000)
elif how == "edits":
    open(place, "w").write("raise SystemExit(9)")
if how != "silent":
    open(out, "w").writelines(json.dumps(one) + "\\n" for one in answers)
    open(steps, "w").write(json.dumps({"step": 0, "loss": 0.5}) + "\\n")
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))  # what is trusted is remembered there
    (tmp_path / "made").mkdir()
    path = tmp_path / "made" / "train.py"
    path.write_text(SCRIPT.replace("LABEL", repr("LABEL")))
    return path


def strategy(how: str, place: Path | str = "-") -> dict[str, Any]:
    run = ["python", "train.py", "{predict}", "{predictions}", "{steps}", how, str(place)]
    return {"trainer": {"name": "command", "run": run, "code": ["train.py"], "claims": ["learning_rate"]}}


def with_label(script: Path, folder: Path) -> None:
    """The task's first label in place of LABEL."""
    from bakeoff.contracts.registry import load_registry

    task = load_registry().get("task", "toy").component
    script.write_text(script.read_text().replace("'LABEL'", repr(task.info(task.Options()).labels[0])))


def test_what_scripts_do_wrong_ends_their_own_runs_each_with_one_sentence(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_label(script, tmp_path)
    marker = tmp_path / "pid"
    ways = {how: strategy(how, marker) for how in ("well", "unknown", "fewer", "silent", "chatty", "endless")}
    path = write_spec(script.parent, ways, head=HEAD, run_timeout=1000.0)
    assert call("run", path, folder=tmp_path).returncode == 2  # not trusted
    assert not (script.parent / "records").exists()
    time_is_up(monkeypatch, lambda run: marker.exists())
    call("run", path, "--trust", folder=tmp_path)
    found = {name.partition("/")[0]: record for name, record in records(script.parent).items()}
    told = {name: (record["failure"] or {}).get("message", "") for name, record in found.items()}
    assert {name for name, record in found.items() if record["status"] == "ok"} == {"well", "chatty"}
    assert "line 2 of predictions.jsonl" in told["unknown"]
    assert "nonsense" in told["unknown"]
    assert "1 row of" in told["fewer"]
    assert "was not written" in told["silent"]
    assert found["endless"]["failure"]["reason"] == "timed out"
    assert not lives(int(marker.read_text()))
    folder = script.parent / "records" / found["chatty"]["id"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2**20
    assert found["well"]["claims"] == {"learning_rate": 1e-3}
    assert (found["well"]["timed"], found["well"]["predicted"], found["well"]["used_dev"]) == ("process", "answers", False)
    steps = pq.read_table(script.parent / "records" / found["well"]["id"] / "reported_steps.parquet")
    assert steps.to_pydict() == {"step": [0], "loss": [0.5], "learning_rate": [None]}
    assert call("verify", script.parent, folder=tmp_path).returncode == 0


def test_an_edit_while_a_plan_runs_has_no_effect_on_it_and_is_another_contestant(script: Path, tmp_path: Path) -> None:
    with_label(script, tmp_path)
    path = write_spec(script.parent, {"mine": strategy("edits", script)}, head=HEAD, seeds=2)
    call("run", path, "--trust", folder=tmp_path)
    first = records(script.parent)
    assert [record["status"] for record in first.values()] == ["ok", "ok"]
    assert script.read_text() == "raise SystemExit(9)"
    again = call("run", path, folder=tmp_path)
    assert again.returncode == 2  # what is trusted is the code that was read
    assert call("run", path, "--trust", folder=tmp_path).returncode != 0
    made = {path.parent.name: json.loads(path.read_text()) for path in script.parent.glob("records/r1-*/record.json")}
    edited = [record for name, record in made.items() if name not in {one["id"] for one in first.values()}]
    assert len(made) == 4
    assert all("exit code 9" in record["failure"]["message"] for record in edited)
