"""The command that a message advises installs an extra in the way in which the distribution was installed."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from bakeoff.machine import installing
from bakeoff.machine.installing import install_command

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lays a distribution `tool` onto the path, and gives the words of the command that installs its extra `more`."""

    def made(origin: Any = None, installer: str = "pip", *, active: bool = True, pip: bool = True) -> list[str]:
        info = tmp_path / "site/tool-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n")
        (info / "INSTALLER").write_text(installer + "\n")
        if origin is not None:
            (info / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
        monkeypatch.syspath_prepend(str(info.parent))
        prefix = tmp_path / "env"
        (prefix / "bin").mkdir(parents=True)
        for name in ("pip", "python"):
            (prefix / "bin" / name).touch(mode=0o755)
        monkeypatch.setattr(sys, "prefix", str(prefix if active else tmp_path / "another"))
        monkeypatch.setattr(sys, "executable", str(prefix / "bin/python"))
        monkeypatch.setenv("PATH", str(prefix / "bin"))
        if not pip:
            monkeypatch.setattr(installing, "find_spec", lambda name: None)
        return shlex.split(install_command("tool[more]"))

    return made


def test_from_an_index(command: Any) -> None:
    assert command() == ["pip", "install", "tool[more]"]


def test_from_a_checkout_with_and_without_constraints(command: Any, tmp_path: Path) -> None:
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    origin = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    assert command(origin) == ["pip", "install", "-e", f"{checkout}[more]"]
    (checkout / "constraints.txt").touch()
    assert shlex.split(install_command("tool[more]"))[2:] == ["-c", f"{checkout}/constraints.txt", "-e", f"{checkout}[more]"]


def test_from_a_wheel_that_is_there_and_from_one_that_is_gone(command: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "tool-1.0-py3-none-any.whl"
    wheel.touch()
    origin = {"url": wheel.as_uri(), "archive_info": {}}
    assert command(origin) == ["pip", "install", f"tool[more] @ {wheel.as_uri()}"]
    wheel.unlink()
    assert shlex.split(install_command("tool[more]")) == ["pip", "install", "tool[more]"]


def test_from_a_repository(command: Any) -> None:
    origin = {"url": "https://example.org/tool", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    assert command(origin)[-1] == f"tool[more] @ git+https://example.org/tool@{COMMIT}"


def test_an_environment_that_uv_made(command: Any) -> None:
    assert command(installer="uv") == ["uv", "pip", "install", "tool[more]"]


@pytest.mark.parametrize(("pip", "start"), [(True, ["-m", "pip", "install"]), (False, ["pip", "install", "--python"])])
def test_an_environment_that_is_not_the_shells_is_named(command: Any, pip: bool, start: list[str]) -> None:
    words = command(active=False, pip=pip)
    assert [word for word in words if word in start] == start
    assert sys.executable in words


@pytest.mark.parametrize("origin", ["not JSON", "[]", "{}"])
def test_a_damaged_origin_is_taken_for_the_index(command: Any, origin: str) -> None:
    assert command(origin) == ["pip", "install", "tool[more]"]


def test_what_is_not_installed_comes_from_the_index(command: Any) -> None:
    command()
    assert shlex.split(install_command("absent[x]")) == ["pip", "install", "absent[x]"]
