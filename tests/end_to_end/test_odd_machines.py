"""No home folder, no working directory, no short path for sockets, the longest names: it works, or one line says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.experiments import COMMAND, call, records, write_spec
from messages import tells

LOOP = {"manual-loop": {"trainer": "torch-loop"}}
LONGEST = 255
"""Bytes of a file's name on the file systems of Linux."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="users, folders and limits as Linux has them")


def as_nobody(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command for a user without an entry in the password file, who can read this checkout wherever it lies."""
    user = "54321"
    read_all = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    becoming = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *read_all, "--"]
    if subprocess.run([*becoming, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, to become another user")
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    return subprocess.run(
        [*becoming, *map(str, words)], env={**kept, **environment}, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def temporary() -> str:
    """A folder that everybody may write to, as /tmp is; pytest's own are closed to others."""
    folder = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
    Path(folder).chmod(0o1777)
    return folder


def test_without_home_and_password_entry_there_is_a_folder_of_ones_own(temporary: str) -> None:
    answer = as_nobody(*COMMAND, "show", "task", "glue/mrpc", TMPDIR=temporary)
    assert answer.returncode == 2, "there are no data here"
    assert len(answer.stderr.splitlines()) == 1
    assert (Path(temporary) / "bakeoff-54321").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_without_home_and_password_entry_runs_are_made(temporary: str) -> None:
    folder = Path(temporary)
    spec = write_spec(folder / "e", LOOP)
    spec.parent.chmod(0o777)
    answer = as_nobody(*COMMAND, "run", spec, "--threads", "1", "--no-control", TMPDIR=temporary)
    assert answer.returncode == 0, answer.stderr
    assert records(folder / "e")["manual-loop/0"]["status"] == "ok"
    assert not (Path.cwd() / "~").exists()


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_home_that_somebody_else_prepared_is_not_taken(temporary: str, kind: str) -> None:
    place = Path(temporary) / "bakeoff-54321"
    {"link": lambda: place.symlink_to(temporary), "open": lambda: place.mkdir(mode=0o777), "file": place.touch}[kind]()
    answer = as_nobody(*COMMAND, "plugins", TMPDIR=temporary)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "HOME" in answer.stderr


def test_a_deleted_working_directory_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD" && exec "$@"'
    answer = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "check", tmp_path / "spec.yaml"],  # noqa: S607
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert tells(answer.stderr, "the working directory ", "(`cd ~`)\n")


def test_a_temporary_folder_too_long_for_sockets_holds_no_sockets(tmp_path: Path) -> None:
    """In an interpreter of its own: the fork server of this one runs already."""
    long = tmp_path / ("t" * 100)
    long.mkdir()
    (tmp_path / "speech.py").write_text("def speak(say): say({'word': 1})\n")  # a worker imports no script
    script = (
        "from pathlib import Path; from speech import speak; from bakeoff.machine.worker_process import Worker\n"
        f"if __name__ == '__main__': print(Worker(speak, output=Path({str(tmp_path / 'out')!r})).listen())\n"
    )
    (tmp_path / "script.py").write_text(script)
    answer = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        env={**os.environ, "TMPDIR": str(long), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert answer.stdout == "[{'word': 1}]\n", answer.stderr
    assert not list(long.glob("pymp-*"))


@pytest.mark.parametrize("bytes_of_name", [pytest.param(200, marks=pytest.mark.slow), LONGEST - len(".yaml")])
def test_names_may_be_as_long_as_the_file_system_has_them(tmp_path: Path, bytes_of_name: int) -> None:
    spec = write_spec(tmp_path / "e", LOOP)
    spec = spec.rename(spec.with_name("s" * bytes_of_name + ".yaml"))
    into = tmp_path / ("i" * bytes_of_name)
    answer = call("run", spec, "--into", into, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert (into / spec.name).read_bytes() == spec.read_bytes()
    assert call("report", into, folder=tmp_path).returncode == 0
    assert call("verify", into, folder=tmp_path).returncode == 0


def test_a_name_that_is_too_long_leaves_nothing_behind(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", LOOP)
    answer = call("run", spec, "--into", tmp_path / "here" / ("i" * (LONGEST + 1)), folder=tmp_path)
    assert answer.returncode == 2
    assert "File name too long" in answer.stderr
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", ["table.md", "report.html"])
def test_an_experiment_file_that_results_would_replace_is_refused(tmp_path: Path, name: str) -> None:
    spec = write_spec(tmp_path / "e", LOOP)
    spec = spec.rename(spec.with_name(name))
    before = spec.read_bytes()
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert "rename the experiment file" in answer.stderr
    assert spec.read_bytes() == before
    assert [path.name for path in spec.parent.iterdir()] == [name]


def test_an_experiment_file_that_is_edited_while_its_runs_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.machine import hardware

    spec = write_spec(tmp_path / "e", LOOP)
    read, prepare = spec.read_bytes(), hardware.prepare_environment

    def edit(threads: int) -> None:
        prepare(threads)
        spec.write_text("name: something else\n", encoding="utf-8")

    monkeypatch.setattr(hardware, "prepare_environment", edit)
    answer = call("run", spec, "--into", tmp_path / "into", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "into" / "spec.yaml").read_bytes() == read
    spec.write_bytes(read)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert spec.read_text(encoding="utf-8") == "name: something else\n"
    assert "was edited meanwhile" in answer.stderr
