"""`bakeoff report` and its neighbours on a terminal and in folders that are not as they should be."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import MRPC_ON_HUB, drawn_answers, make_attempt, make_folder, run_id
from core.calling import Call
from messages import tells

from bakeoff.analysis.summary.spent import ATTEMPTS, FAILED, REPLACED, REPORTED
from bakeoff.cli.report import WARNED
from bakeoff.records.record_files import dump
from bakeoff.records.store import Store
from bakeoff.text.numbers import duration

LABELS = np.arange(300) % 3 // 2
GATE = {"quality": "-1.0 points"}


def made(folder: Path, *names: str, **keywords: object) -> Path:
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(names, 1)}
    return make_folder(folder, answers, LABELS, **keywords)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path / "made", "trainer-api", "manual-loop", gate=GATE)


def bakeoff(*arguments: str | Path, stdout: int) -> tuple[int, str]:
    """The command in a process of its own: its exit code and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", "from bakeoff.cli import main; main()", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def spoil(folder: Path) -> None:
    for record in folder.glob("records/*/record.json"):
        record.write_text("{")


@pytest.mark.slow
def test_a_reader_that_has_gone_does_not_change_the_verdict(folder: Path, tmp_path: Path, call: Call) -> None:
    other = made(tmp_path / "other", "trainer-api", "manual-loop", gate=GATE)
    (other / "records" / "plan.json").write_text((folder / "records" / "plan.json").read_text())
    for verb in (["gate", folder, "--against", other], ["report", folder, "--strict"]):
        expected, _, _ = call(*verb)
        assert expected in (3, 4)  # neither 0 nor 1, which a crash would give
        reading, writing = os.pipe()
        os.close(reading)
        assert bakeoff(*verb, stdout=writing)[0] == expected
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("verb", ["report", "table", "rescore"])
def test_output_that_cannot_be_written_is_one_line(folder: Path, verb: str) -> None:
    with Path("/dev/full").open("w") as full:
        code, err = bakeoff(verb, folder, stdout=full.fileno())
    assert (code, err.count("\n")) == (2, 1)
    assert os.strerror(errno.ENOSPC) in err


def test_a_file_in_place_of_a_folder_is_named(folder: Path, tmp_path: Path, call: Call) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert call("report", file) == (2, "", f"{file} is a file; give the folder of an experiment\n")
    assert call("report", folder, "--into", file) == (2, "", f"{file} is a file, not a folder to write into\n")


def test_what_cannot_be_written_is_named_by_its_own_name(folder: Path, call: Call) -> None:
    (folder / "report.html").mkdir()
    code, out, err = call("report", folder)
    assert (code, out) == (2, "")
    assert tells(err, f"{folder / 'report.html'} ", os.strerror(errno.EISDIR))


def test_a_table_that_cannot_be_saved_is_shown_all_the_same(folder: Path, call: Call) -> None:
    (folder / "table.md").mkdir()
    code, out, err = call("table", folder)
    assert code == 2
    assert tells(err, f"{folder / 'table.md'} ", os.strerror(errno.EISDIR))
    assert out.startswith("mrpc\n")


def test_strict_fails_where_nothing_could_be_compared_and_the_damage_is_told(folder: Path, call: Call) -> None:
    spoil(folder)
    code, out, err = call("report", folder, "--strict")
    assert (code, err.splitlines()[-1]) == (4, "--strict: nothing could be compared")
    assert (out.count("damaged and left out"), err.count("damaged and left out")) == (0, 6)
    assert (folder / "table.md").read_text().count("**damaged and left out") == 6
    assert call("report", folder)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_record_that_may_not_be_read_is_told_and_left_out(folder: Path, call: Call) -> None:
    run = next(folder.glob("records/r1-*"))
    run.chmod(0)
    try:
        code, out, _ = call("report", folder)
    finally:
        run.chmod(stat.S_IRWXU)
    assert code == 0
    assert tells(" ".join(out.split()), "", f"{run.name}/record.json ", os.strerror(errno.EACCES))


def test_results_of_rows_that_are_gone_are_cleared_away_and_nobody_elses(tmp_path: Path, call: Call) -> None:
    hub = {"hub_datasets": {"glue/mrpc": MRPC_ON_HUB}}
    into, before = tmp_path / "into", made(tmp_path / "before", "trainer-api", "old-name", **hub)
    assert call("report", before, "--into", into)[0] == 0
    (into / ".eval_results" / "theirs.yaml").write_text("value: 1\n")
    assert call("report", made(tmp_path / "after", "trainer-api", "new-name", **hub), "--into", into)[0] == 0
    names = {path.stem.split("minilm-")[-1] for path in into.glob(".eval_results/*.yaml")}
    assert names == {"trainer-api", "new-name", "theirs"}
    assert call("report", made(tmp_path / "own rows", "trainer-api"), "--into", into)[0] == 0
    assert [path.stem for path in into.glob(".eval_results/*.yaml")] == ["theirs"]


def test_the_checklist_tells_what_all_runs_took_and_what_is_unknown(tmp_path: Path, call: Call) -> None:
    """Made, failed, repeated and replaced runs: 2 x 708 s, one unknown, 30 s, and another 708 s."""
    folder = made(tmp_path / "made", "trainer-api", "lost", failing={"lost": [0, 1, 2]}, licences={"minilm": "MIT"})
    store = Store(folder)
    first, second, third = (store.read(run_id("trainer-api", seed)) for seed in range(3))
    again = first.model_copy(update={"attempts": [make_attempt(seconds=30.0)]})
    (store.records / first.id / "record.json").write_bytes(dump(again))
    (store.records / third.id).rename(store.records / f".replaced-{third.id}-0123abcd")
    assert call("report", folder)[0] == 0
    assert not (folder / "checklist.md").exists()
    code, out, _ = call("report", folder, "--checklist")
    assert (code, "checklist.md" in out) == (0, True)
    page = (folder / "checklist.md").read_text(encoding="utf-8")
    kinds = {cells[1].strip(): [cell.strip() for cell in cells[2:5]] for cells in tables(page, of=5)}
    assert kinds[REPORTED] == ["2", duration(2 * 708), "–"]
    assert kinds[FAILED] == ["3", duration(0), "3"]
    assert kinds[ATTEMPTS] == ["1", "30 s", "–"]
    assert kinds[REPLACED] == ["1", duration(708), "–"]
    assert kinds["all"] == ["7", duration(3 * 708 + 30), "3"]
    assert "**minilm**: MIT" in page
    assert ("| trained on |" in page, "| selected on |" in page) == (True, False)
    unknown = page.partition("## What the records do not tell")[2]
    assert tells(unknown, "", "glue/mrpc", "publish", "3 runs", "glue/mrpc")
    assert second.data is not None
    assert f"{second.data.splits['test'].examples} " in page


def tables(page: str, *, of: int) -> list[list[str]]:
    """The cells of every row of the tables with so many columns."""
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return [cells for cells in rows if len(cells) == of]


def test_of_several_groups_each_flag_says_which(tmp_path: Path, call: Call) -> None:
    rows = ("trainer-api", "manual-loop")
    folders = [
        made(tmp_path / task, *rows, name=task, records={row: {"task": task} for row in rows}) for task in ("one", "two")
    ]
    code, out, _ = call("report", *folders, "--into", tmp_path / "into", "--json")
    assert code == 0
    groups = [warning["group"] for warning in json.loads(out)["warnings"] if warning["name"] == "few-seeds"]
    assert sorted(groups) == ["one · minilm", "two · minilm"]


def test_strategies_of_several_experiments_are_pooled_on_request(tmp_path: Path, call: Call) -> None:
    one = made(tmp_path / "one", "trainer-api", "manual-loop", name="one")
    two = made(tmp_path / "two", "trainer-api", "other", name="two", seeds={"trainer-api": [3, 4, 5]})
    code, out, err = call("report", one, two, "--pool", "--into", tmp_path / "into", "--json")
    assert (code, err) == (0, "")
    comparison = json.loads(out)
    (group,) = comparison["groups"]
    assert {row["strategy"]: len(row["seeds"]) for row in group["rows"]} == {"trainer-api": 6, "manual-loop": 3, "other": 3}
    assert {pair["verdict"] for pair in group["to_baseline"]} == {"withheld"}
    (again,) = [line for line in comparison["facts"]["commands"] if line.startswith("bakeoff report ")]
    assert "--pool" in again.split()
    assert call("report", one, "--pool")[0] == 2
    alone = made(tmp_path / "alone", "third", name="alone")
    code, _, err = call("report", one, alone, "--pool", "--into", tmp_path / "into")
    assert (code, err.count("--pool")) == (0, 1)


def test_lines_are_as_wide_as_the_terminal(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.chdir(folder.parent)
    _, out, _ = call("report", folder.name)
    assert 50 < max(map(len, out.splitlines())) <= 60


def test_strict_lets_pass_what_is_allowed_and_tells_the_names_of_an_old_code(folder: Path, call: Call) -> None:
    code, out, _ = call("report", folder, "--json")
    names = [warning["name"] for warning in json.loads(out)["warnings"]]
    assert names
    assert call("report", folder, "--strict")[0] == WARNED
    assert call("report", folder, "--strict", *(word for name in names for word in ("--allow", name)))[0] == 0
    for old, now in (("S4", "unequal-budgets"), ("s8", "machine-changed and software-changed")):
        code, _, err = call("report", folder, "--allow", old)
        assert (code, err.strip()) == (2, f"{old} is now {now}")
    assert call("report", folder, "--allow", "few-seed")[0] == 2
