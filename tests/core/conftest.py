"""What the tests of the core share."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from core.calling import Call, Install

from bakeoff.cli import main


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a distribution of one module and puts it on the path; gives its folder."""

    def make(name: str, source: str, *, plugin: str = "", entry_points: str = "", metadata: str | None = None) -> Path:
        folder = tmp_path / name
        module = name.replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        default = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        if metadata != "":
            (info / "METADATA").write_text(default if metadata is None else metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points or f"[bakeoff]\n{plugin or name} = {module}\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return folder

    return make


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command in this process: (exit code, stdout, stderr)."""

    def perform(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bakeoff", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return perform
