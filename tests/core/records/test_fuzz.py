"""Strangers' and damaged files: read right, or refused in a line that names the file, never a traceback."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from stress.every_file import Fuzz, Kind
from stress.fuzz import fuzz_specs
from stress.kinds_of_files import files_below, kinds

from bakeoff.errors import BakeoffError


@pytest.mark.timeout(300)
@pytest.mark.parametrize("files", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_experiment_files_end_without_a_traceback(files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ends = fuzz_specs(tmp_path, files)
    assert not (tmp_path / "pwned").exists()
    assert min(ends.values()) >= files // 300, f"both ends are met: {ends}"  # about one in forty can be planned


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    return Fuzz(tmp_path_factory.mktemp("fuzz"), kinds())


def test_50_damaged_files_of_every_kind_are_read_right_or_named(fuzz: Fuzz) -> None:
    ends = fuzz.run(50)
    assert ends.faults == []
    assert min(ends.counts["refused"], ends.counts["told"], ends.counts["as before"]) > 5, ends.counts


@pytest.mark.parametrize("cases", [pytest.param(200, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_other_damaged_files_each_time_are_read_right_or_named(fuzz: Fuzz, cases: int) -> None:
    """A fault begins with the seed that repeats its case (see `stress.every_file`)."""
    ends = fuzz.run(cases, seed=random.SystemRandom().randrange(10**9))
    assert ends.faults == []


def test_the_fuzz_finds_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that check nothing, that hang, that name nothing, that print what drives a terminal."""
    monkeypatch.setattr("stress.every_file.LONGEST_SECONDS", 0.2)

    def make(folder: Path) -> None:
        (folder / "a.json").write_text(json.dumps({"figures": [1, 2, 3]}))

    def raw(folder: Path, warnings: list[str]) -> Any:
        return json.loads((folder / "a.json").read_bytes())

    def hanging(folder: Path, warnings: list[str]) -> Any:
        return [time.sleep(1)] if "figures" not in (folder / "a.json").read_text() else ""

    def nameless(folder: Path, warnings: list[str]) -> Any:
        if (folder / "a.json").read_bytes() != (tmp_path / "whole" / "nameless" / "a.json").read_bytes():
            warnings.append("beware\x1b[2J")
            raise BakeoffError("something is wrong")

    found = {}
    for name, use in (("raw", raw), ("nameless", nameless), ("hanging", hanging)):
        kind = Kind(name, make, use, lambda folder: [folder / "a.json"], checked=True)
        found[name] = "\n".join(Fuzz(tmp_path, [kind]).run(30, seed=1).faults)
    assert "JSONDecodeError" in found["raw"]
    assert "another answer without" in found["raw"]
    assert "is not named" in found["nameless"]
    assert "not printable" in found["nameless"]
    assert "over 0.2 s" in found["hanging"]


def test_a_case_is_repeated_by_its_seed(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "a.json").write_text(json.dumps({"figures": [1, 2, 3]}))

    contents = []
    for root in ("one", "two"):

        def use(folder: Path, warnings: list[str]) -> Any:
            contents.append([path.read_bytes() for path in folder.iterdir() if path.is_file()])

        Fuzz(tmp_path / root, [Kind("a", make, use, files_below("*.json"))]).run(20, seed=5)
    half = len(contents) // 2
    assert contents[:half] == contents[half:]
    assert len({str(content) for content in contents}) > 10
