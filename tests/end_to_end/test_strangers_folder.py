"""`bakeoff run` in a folder full of links that lead out: the runs are made, and what the links lead to stays as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from core.calling import everything
from end_to_end.experiments import call, records, write_spec
from messages import tells

from bakeoff.files import HOST

LOOP = {"manual-loop": {"trainer": "torch-loop"}}


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.slow
def test_a_run_is_made_among_links_and_nothing_outside_changes(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", LOOP, checkpoint_every=1, seeds=2)
    assert call("run", spec, folder=tmp_path).returncode == 0
    first, second = sorted(path.name for path in (tmp_path / "e" / "records").glob("r1-*"))
    outside = Path(shutil.copytree(tmp_path / "e", tmp_path / "outside"))
    (outside / "step").mkdir()
    for name in ("state.json", "manifest.json", "state.safetensors"):
        (outside / "step" / name).write_text("{}")
    there, before = tmp_path / "e" / "records", everything(outside)

    shutil.rmtree(there / first)
    (there / first).symlink_to(outside / "records" / first)
    shutil.rmtree(there / second)
    (there / f".checkpoints-{second}").mkdir()
    for steps in (1, 2, 5, 99):
        (there / f".checkpoints-{second}" / f"step-{steps:09d}").symlink_to(outside / "step")
    (there / f".tmp-{first}-{HOST}-{dead_process()}-0123abcd").symlink_to(outside / "step")
    (there / f".claim-{second}").symlink_to(outside / "step" / "state.json")
    (there / "plan.json").unlink()
    (there / "plan.json").symlink_to(outside / "records" / "plan.json")
    (tmp_path / "e" / f".tmp-table.md-{HOST}-{dead_process()}-0123abcd").symlink_to(outside / "spec.yaml")

    spec = write_spec(tmp_path / "e", LOOP, checkpoint_every=1, seeds=3)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert tells(answer.stderr.splitlines()[-1], "", f".claim-{second} ", "symbolic link")
    assert everything(outside) == before
    (there / f".claim-{second}").unlink()
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert everything(outside) == before
    assert len(records(tmp_path / "e")) == 3
    assert all(not path.is_symlink() for path in there.iterdir() if not path.name.startswith(".replaced-"))
    assert not [path.name for path in there.iterdir() if path.name.startswith((".tmp-", ".claim-", ".checkpoints-"))]
    assert len(json.loads((there / "plan.json").read_text())["runs"]) == 3


@pytest.mark.parametrize("place", ["records", "records/.checkpoints-r1-0123456789abcdef", "dangling"])
def test_a_run_is_refused_in_one_line_where_its_files_would_lie_behind_a_link(place: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", LOOP, checkpoint_every=1)
    outside = tmp_path / "outside"
    (outside / "step-000000001").mkdir(parents=True)
    (outside / "step-000000001" / "state.json").write_text("{}")
    link = tmp_path / "e" / place.replace("dangling", "records")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "nowhere" if place == "dangling" else outside)
    before = everything(outside)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    (line,) = [line for line in answer.stderr.splitlines() if "symbolic link" in line]
    assert tells(line, "", f"{link} ", "symbolic link")
    assert everything(outside) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_run_is_made_in_a_named_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "e").symlink_to("disk")
    spec = write_spec(tmp_path / "spec", LOOP, checkpoint_every=1, keep="final")
    answer = call("run", spec, "--into", tmp_path / "e", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(tmp_path / "disk").values()
    assert record["status"] == "ok"
    assert record["kept"]["reason"] is None
