"""Several builds of one distribution on the path: the imported one counts, and the user is told."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from core.calling import HOOK, TASK, Call
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.machine import hardware
from bakeoff.machine.distributions import builds, installed_version, several_builds

Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Lays a build of `twice` into a folder that comes first on the path; gives the folder."""

    def make(version: str, folder: str, *, source: str | None = "x = 1\n", editable: Path | None = None, **entry: str) -> Path:
        place = tmp_path / folder
        info = place / f"twice-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
        record = ""
        if source is not None:
            (place / "twice.py").write_text(source)
            record = f"twice.py,,{len(source)}\n"
        (info / "RECORD").write_text(record)
        if editable is not None:
            url = {"url": editable.as_uri(), "dir_info": {"editable": True}}
            (info / "direct_url.json").write_text(json.dumps(url))
        if entry:
            (info / "entry_points.txt").write_text("[bakeoff]\n" + "".join(f"{name} = {at}\n" for name, at in entry.items()))
        monkeypatch.syspath_prepend(place)
        return place

    monkeypatch.delitem(sys.modules, "twice", raising=False)
    return make


def test_one_build_seen_twice_on_the_path_is_one(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    place = build("1.0", "here")
    monkeypatch.syspath_prepend(str(place))
    assert [found.version for found in builds("twice")] == ["1.0"]
    assert several_builds(["twice", "nothing-of-that-name"]) == []
    assert installed_version("twice") == "1.0"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        installed_version("nothing-of-that-name")


def test_of_two_folders_the_first_on_the_path_is_imported(build: Build) -> None:
    build("1.0", "site")
    user = build("0.9", "user")
    assert installed_version("twice") == "0.9"
    (clause,) = several_builds(["twice"])
    assert tells(clause, "", "twice ", "2 versions: ", f"0.9 in {user} ", "1.0 in")
    assert clause.endswith("; imported is 0.9")


def test_an_editable_install_is_not_taken_for_the_stale_copy_whose_metadata_come_first(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "work" / "src"
    sources.mkdir(parents=True)
    (sources / "twice.py").write_text("x = 2\n")
    build("1.1", "site", source=None, editable=tmp_path / "work")
    stale = build("1.0", "user")
    monkeypatch.syspath_prepend(sources)  # as a .pth file, or PYTHONPATH
    assert importlib.metadata.version("twice") == "1.0"
    assert installed_version("twice") == "1.1"
    assert hardware.software(["twice"])["twice"] == "1.1"
    (clause,) = several_builds(["twice"])
    assert tells(clause, "", f"1.0 in {stale} ", f"1.1 in {tmp_path / 'work'}; ", "1.1")


@pytest.mark.parametrize("order", [("1.0", "2.0"), ("2.0", "1.0")])
def test_of_two_records_in_one_folder_that_counts_whose_files_are_there(build: Build, order: tuple[str, str]) -> None:
    sources = {"1.0": "x = 1\n", "2.0": "x = 'two'\n"}
    for version in order:
        (build(version, f"{version}", source=sources[version]))
    site = build("3.0", "site", source=None)
    (site / "twice-3.0.dist-info" / "METADATA").unlink()  # only a folder
    for version in order:
        info = next((site.parent / version).glob("*.dist-info"))
        info.rename(site / info.name)
        (site.parent / version / "twice.py").unlink()
    (site / "twice.py").write_text(sources["2.0"])
    assert len(builds("twice")) == 2
    assert installed_version("twice") == "2.0"


def test_records_name_the_imported_build_of_a_plugin_and_check_tells(build: Build, tmp_path: Path, call: Call) -> None:
    build("1.0", "site", source=TASK + HOOK, colours="twice")
    build("2.0", "user", source=TASK + HOOK, colours="twice")
    found = load_registry()
    assert found.get("task", "colours").origin.version == "2.0"
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: tried\nreport_on: test\ntasks: [colours]\nmodels: [tiny-bert]\nstrategies: {loop: {trainer: torch-loop}}\n"
    )
    code, out, err = call("check", spec)
    assert (code, err.count("caution: twice ")) == (0, 1), out + err


def test_metadata_that_were_left_behind_do_not_hide_a_plugin(build: Build, tmp_path: Path, call: Call) -> None:
    build("2.0", "site", source=TASK + HOOK, colours="twice")
    build("1.0", "left", source=None)  # no entry points, and first on the path
    assert load_registry().get("task", "colours").origin.version == "2.0"
    spec = tmp_path / "spec.yaml"
    spec.write_text("name: t\ntasks: [colour]\nmodels: [tiny-bert]\nstrategies: {a: {trainer: torch-loop}}\n")
    code, _, err = call("check", spec)
    assert code == 2
    assert "installed in 2" in err, "it may be why a name is unknown"


def test_damaged_metadata_beside_a_build_are_no_build(build: Build) -> None:
    build("1.0", "site")
    damaged = build("0.5", "damaged", source=None)
    (damaged / "twice-0.5.dist-info" / "METADATA").write_bytes(b"\xff\xfe\x00")
    assert [found.version for found in builds("twice")] == ["1.0"]
    assert several_builds(["twice"]) == []
