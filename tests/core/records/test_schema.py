"""Records, plans and control runs of the current schema are read, and say where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import make_control, make_folder_of, make_record, sealed

from bakeoff.errors import DamageError, StoreError
from bakeoff.records.record_files import dump, read_part
from bakeoff.records.schema import SCHEMA_VERSION, UNSEALED, Control, Declared, Record
from bakeoff.records.store import Store

PUBLISHED = sorted(Path(__file__).parents[3].glob("results/quickstart/records/*/record.json"))
HERE = Path("record.json")

PLAN: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "name": "mrpc",
    "question": "",
    "spec_file": "spec.yaml",
    "baseline": "a",
    "report_on": "test",
    "margin": {"points": 1.0},
    "gate": {},
    "imported": [],
    "trials": {},
    "history": [],
    "searches": {},
    "seal": UNSEALED,
    "under_test": [],
    "runs": [{"id": "r1-0", "task": "t", "model": "m", "strategy": "a", "seed": 3}],
}


def read(kind: type[Any], content: Any) -> Any:
    """The plain data as a file, with the checksum that its schema version asks for."""
    return read_part(kind, sealed(content), HERE)


def test_what_is_written_is_read_back() -> None:
    record = make_record("a", 0)
    found = read_part(Record, dump(record), HERE)
    assert found.model_copy(update={"seal": record.seal}) == record
    assert found.seal != record.seal


@pytest.mark.parametrize("change", [{"train": None}, {"evaluate": None}, {"lunch": 1.0}])
def test_the_seconds_of_a_record_are_those_of_all_phases(change: dict[str, float | None]) -> None:
    plain = json.loads(dump(make_record("a", 0)))
    seconds = plain["cost"]["phase_seconds"] | change
    plain["cost"]["phase_seconds"] = {name: value for name, value in seconds.items() if value is not None}
    with pytest.raises(DamageError, match=rf"cost\.phase_seconds: .*'{next(iter(change))}'"):
        read(Record, plain)


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "a/../b", "a/b/c/d", ".hidden", "", "a\nb"])
def test_a_record_names_no_file_outside_its_folder(name: str) -> None:
    plain = json.loads(dump(make_record("a", 0))) | {"files": {name: "0"}}
    with pytest.raises(DamageError, match=r"record\.json is damaged: files"):
        read(Record, plain)


@pytest.mark.parametrize("run_id", ["../r1-0", "r1-0/..", "", "x", "r1-A"])
def test_a_run_is_named_by_a_folders_name_and_nothing_else(run_id: str) -> None:
    with pytest.raises(DamageError, match="id"):
        read(Record, json.loads(dump(make_record("a", 0))) | {"id": run_id})
    with pytest.raises(DamageError, match=r"runs\.0\.id"):
        read(Declared, PLAN | {"runs": [PLAN["runs"][0] | {"id": run_id}]})


def unsealed(part: Any) -> Any:
    return part.model_copy(update={"seal": UNSEALED})


def test_an_altered_score_is_seen(tmp_path: Path) -> None:
    (record,) = [make_record("a", 0)]
    folder = make_folder_of(tmp_path / "e", [record])
    path = folder / "records" / record.id / "record.json"
    assert Store(folder).read(record.id).scores == record.scores
    value = str(record.scores["test"]["accuracy"])
    assert value in path.read_text()
    path.write_text(path.read_text().replace(value, "0.99"))
    with pytest.raises(DamageError, match="was altered"):
        Store(folder).read(record.id)


def test_a_record_behind_a_symbolic_link_is_none(tmp_path: Path) -> None:
    record = make_record("a", 0)
    folder = make_folder_of(tmp_path / "e", [record])
    place = folder / "records" / record.id
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamageError, match="is a symbolic link"):
        Store(folder).read(record.id)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"data": 5}, "data"),
        ({"data": {"metrics": 5}}, "data.kind"),
        ({"data": {"metrics": [5]}}, "data.kind"),
        ({"status": "well"}, "status"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_damaged_record_says_where(change: dict[str, Any], where: str) -> None:
    with pytest.raises(DamageError, match=rf"record\.json is damaged: {where}"):
        read(Record, json.loads(dump(make_record("a", 0))) | change)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"looks": [2, 5]}, r"looks\.0"),
        ({"looks": [3, 5, 5]}, "looks: each look has more seeds than the one before; 5 follows 5"),
        ({"looks": list(range(3, 24))}, "looks"),
        ({"ranks": True}, "ranks"),
    ],
)
def test_looks_rise_from_at_least_three_seeds(change: dict[str, Any], where: str) -> None:
    assert read(Declared, PLAN | {"looks": [3, 5], "ranks": True}).looks == [3, 5]
    with pytest.raises(DamageError, match=where):
        read(Declared, PLAN | change)


def test_a_plan_without_looks_has_a_fixed_number_of_seeds() -> None:
    declared = read(Declared, PLAN)
    assert (declared.looks, declared.ranks) == ([], False)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", True, None, 1.0])
def test_versions_that_nobody_wrote_are_refused_as_such(version: Any) -> None:
    with pytest.raises(StoreError, match=f"schema version .*reads {SCHEMA_VERSION}"):
        read(Declared, PLAN | {"schema_version": version})


def test_a_control_run_is_read_back() -> None:
    control = make_control(peak_flops={"fp32": 1e11})
    assert unsealed(read_part(Control, dump(control), HERE)) == unsealed(control)
