"""Optimizers and losses of plugins in a whole experiment: run, tables, report, and what is said when their code changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from end_to_end.experiments import call, records, say_otherwise, write_spec
from end_to_end.test_sharding import HEAD

STRATEGIES = {
    "adamw": {"trainer": "torch-loop"},
    "lion": {"trainer": "torch-loop", "recipe": {"optimizer": {"name": "lion", "beta1": 0.8}}},
    "focal": {"trainer": "torch-loop", "recipe": {"loss": "focal"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    done = call("run", write_spec(folder, STRATEGIES, head=HEAD, seeds=2), folder=folder)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return folder


def test_every_verb_that_reads_records_reads_those_of_plugins_parts(folder: Path) -> None:
    for verb in ("table", "report", "verify", "plan", "check", "disk"):
        done = call(verb, folder if verb in ("table", "report", "verify", "disk") else folder / "spec.yaml", folder=folder)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (verb, done.stderr)
    again = call("run", folder / "spec.yaml", "--json", folder=folder)
    assert (again.returncode, json.loads(again.stdout)["done_now"]) == (0, 0)
    found = records(folder)
    assert {name.partition("/")[0] for name, record in found.items() if "optimizer" in record["made_from"]["code"]} == {"lion"}
    assert found["lion/0"]["weights"] != found["adamw/0"]["weights"] != found["focal/0"]["weights"]
    (group,) = json.loads(call("table", folder, "--json", folder=folder).stdout)["groups"]
    assert {"optimizer", "loss function"} <= {*group["differing"]}


@pytest.mark.parametrize(("strategy", "kind"), [("lion", "optimizer"), ("focal", "loss")])
def test_code_of_a_part_that_changed_between_runs_is_told(folder: Path, strategy: str, kind: str) -> None:
    record = records(folder)[f"{strategy}/1"]
    path, digest = folder / "records" / record["id"] / "record.json", record["made_from"]["code"][kind]
    say_otherwise(path, digest, digest[::-1])
    try:
        warnings = json.loads(call("table", folder, "--json", folder=folder).stdout)["warnings"]
        (told,) = [warning for warning in warnings if warning["name"] == "software-changed"]
        assert f"{kind} {strategy} (version " in told["what"]
    finally:
        say_otherwise(path, digest[::-1], digest)
