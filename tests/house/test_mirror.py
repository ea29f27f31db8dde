"""Tests mirror the house: the name of a test file says which module, or which package, it tests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS, HOUSE = ROOT / "tests" / "core", ROOT / "harness" / "bakeoff"

OF_SEVERAL = {
    "analysis/test_advice": "what one warning advises, no other may reproach: all warnings together",
    "analysis/test_calibration_records": "statistics on the published records: how often a verdict errs",
    "statistics/test_crossing_worlds": "what is said of curves that cross never, once and more often, in drawn worlds",
    "statistics/test_detectable": "what a design promises from true variances it keeps in drawn worlds",
    "statistics/test_calibration_searches": "how often tuned strategies are told apart that are equal, in drawn worlds",
    "analysis/test_ranges": "no figure that can't be, in any output",
    "analysis/test_units": "metrics that are no share, from the margin to every output",
    "analysis/test_varied_rows": "rows of a key that varies: pairs, families, ranks, looks and answers at each value",
    "analysis/test_unlike_rows": "commands and the Python API answer alike",
    "cli/test_hints": "what any message tells to write works when it is pasted",
    "kinds/test_every_kind": "what all kinds promise",
    "records/test_altered_files": "every verb names an altered file",
    "records/test_damage": "every reader names a damaged Parquet file",
    "records/test_fuzz": "every kind of file, damaged at random",
    "records/test_odd_files": "what is no plain file where one should be, for every reader",
    "records/test_strangers_folders": "every verb in a folder full of links",
    "statistics/test_looks_worlds": "experiments with declared looks, simulated in full",
    "report/test_hostile_names": "hostile names in every output of the terminal, in tables and in files",
    "report/test_hostile_pages": "hostile names on every page and card",
}
"""Test files of no single module, each with what it is about."""


def names_of(package: Path) -> set[str]:
    """What a test of a package may be called: after the package, or after a module, alone or with what it lies in before it."""
    found = {package.name}
    for module in package.rglob("*.py"):
        parts = [package.name, *module.relative_to(package).with_suffix("").parts]
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found |= {"_".join(parts[start:]) for start in range(len(parts))}
    return found


def test_every_test_file_is_named_after_what_it_tests() -> None:
    astray = []
    for path in TESTS.rglob("test_*.py"):
        place = path.relative_to(TESTS).with_suffix("")
        package = HOUSE.joinpath(*place.parts[:-1])
        named = place.name.removeprefix("test_") in names_of(package)
        if named == (place.as_posix() in OF_SEVERAL):
            astray.append(place.as_posix())
    assert astray == [], "named after no module of that package, or listed though it is"


def test_every_listed_file_is_there() -> None:
    assert [place for place in OF_SEVERAL if not (TESTS / f"{place}.py").is_file()] == []


def test_no_two_test_files_have_one_name() -> None:
    counts = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in counts.items() if count > 1] == []
