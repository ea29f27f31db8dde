"""Records of every schema version are read, and say where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from core.table_records import make_experiment, make_record, sealed

from bakeoff.errors import DamageError, StoreError
from bakeoff.records.schema import MOST_NEW, SCHEMA_VERSION, Control, Declared, Kept, MadeFrom, Record
from bakeoff.records.store import Store
from bakeoff.records.versions import dump, read_part
from bakeoff.training.record_writer import capped

PUBLISHED = sorted(Path(__file__).parents[3].glob("results/quickstart/records/*/record.json"))
HERE = Path("record.json")

FIRST: dict[str, Any] = {
    "schema_version": 1,
    "name": "mrpc",
    "question": "",
    "spec_file": "spec.yaml",
    "baseline": "a",
    "report_on": "test",
    "margin": 1.0,
    "under_test": [],
    "runs": [{"id": "r1-0", "task": "t", "model": "m", "strategy": "a", "seed": 3}],
}
"""A declaration as it was written under schema version 1."""


def fifth_version(record: Record) -> dict[str, Any]:
    """The record as schema version 5 wrote it."""
    old: dict[str, Any] = json.loads(dump(record))
    old["asked"], old["remarks"] = old.pop("requested"), old.pop("process_notes")
    if old["data"]:
        old["data"]["floor"], old["data"]["sources"] = old["data"].pop("majority_baseline"), old["data"].pop("source_versions")
    return old | {"schema_version": 5}


def fourth_version(record: Record) -> dict[str, Any]:
    """The record as schema version 4 wrote it."""
    old = fifth_version(record)
    for key in ("made_from", "largest_logit", "kept", "remarks"):
        del old[key]
    (old["weights"] or {}).pop("head", None)
    (old["data"] or {}).pop("silent", None)
    del old["environment"]["instructions"]
    return old | {"schema_version": 4}


def third_version(record: Record) -> dict[str, Any]:
    """The record as schema version 3 wrote it."""
    old = fourth_version(record)
    for key in ("attempts", "resumed_at", "seal"):
        del old[key]
    del old["environment"]["jobs"]
    return old | {"schema_version": 3}


def second_version(record: Record) -> dict[str, Any]:
    """The record as schema version 2 wrote it."""
    old = third_version(record)
    for part, keys in (("weights", ["trained_bytes"]), ("cost", ["flops", "flops_note"])):
        for key in keys if old[part] else []:
            del old[part][key]
    for group in (old["observed"] or {}).get("groups", []):
        del group["lr_scale"]
    return old | {"schema_version": 2}


def first_version(record: Record) -> dict[str, Any]:
    """The record as schema version 1 wrote it."""
    old = second_version(record)
    for key in ("selection", "evaluation_difference"):
        del old[key]
    del old["data"]["overlap"]
    for metric in old["data"]["metrics"]:
        del metric["version"]
    return old | {"schema_version": 1}


def read(kind: type[Any], content: Any) -> Any:
    """The plain data as a file, with the checksum that its schema version asks for."""
    return read_part(kind, sealed(content), HERE)


def named_by_class(record: Record) -> Record:
    """The record with the class in its F1's name, as a newer Bakeoff reads and writes it."""
    assert record.data is not None
    name = f"f1 ({record.data.labels[1]})"

    def renamed(splits: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return {
            split: {name if key == "f1" else key: score for key, score in scores.items()} for split, scores in splits.items()
        }

    metrics = [
        facts.model_copy(update={"name": name, "label": 1}) if facts.name == "f1" else facts for facts in record.data.metrics
    ]
    data = record.data.model_copy(update={"metrics": metrics, "majority_baseline": renamed(record.data.majority_baseline)})
    return record.model_copy(update={"data": data, "scores": renamed(record.scores)})


@pytest.mark.parametrize("version", [first_version, second_version, third_version, fourth_version])
def test_f1_of_an_older_record_says_of_which_class_it_is(version: Any) -> None:
    record = read(Record, version(make_record("a", 0)))
    assert list(record.scores["test"]) == ["accuracy", "f1 (equivalent)"]
    assert list(record.data.majority_baseline["test"]) == ["accuracy", "f1 (equivalent)"]
    assert [(facts.name, facts.label) for facts in record.data.metrics] == [("accuracy", None), ("f1 (equivalent)", 1)]


def test_f1_as_the_primary_metric_of_an_older_record_too_and_other_kinds_are_left_alone() -> None:
    old = fourth_version(make_record("a", 0))
    primary = read(Record, old | {"data": old["data"] | {"primary_metric": "f1"}})
    assert primary.data.primary_metric == "f1 (equivalent)"
    assert "f1" in read(Record, old | {"data": old["data"] | {"kind": "multilabel"}}).scores["test"]


def test_published_records_of_version_1_are_read() -> None:
    assert PUBLISHED
    for path in PUBLISHED:
        assert json.loads(path.read_bytes())["schema_version"] == 1
        record = read_part(Record, path.read_bytes(), path)
        assert record.schema_version == SCHEMA_VERSION
        assert (record.selection, record.evaluation_difference) == (None, None)
        assert record.data is not None
        assert record.data.overlap is None, "nobody counted: not the same as none"
        assert {metric.version for metric in record.data.metrics} == {"1"}


def test_a_record_of_version_1_says_what_it_said() -> None:
    record = make_record("a", 0)
    data = named_by_class(record).data
    assert data is not None
    data = data.model_copy(update={"overlap": None})
    cost = record.cost.model_copy(update={"flops_note": "not counted (schema version 2)"}) if record.cost else None
    environment = record.environment.model_copy(update={"jobs": None})
    unknown = {"evaluation_difference": None, "data": data, "cost": cost, "environment": environment, "seal": ""}
    assert read(Record, first_version(record)) == named_by_class(record).model_copy(update=unknown)


def test_a_record_of_version_2_has_no_count_of_operations_and_no_sizes() -> None:
    record = read(Record, second_version(make_record("a", 0)))
    assert (record.cost.flops, record.weights.trained_bytes) == (None, None)
    assert record.cost.flops_note == "not counted (schema version 2)", "not the same as a run that could not be counted"


def test_a_record_of_version_3_was_one_attempt_and_says_nothing_of_others_beside_it() -> None:
    record = read(Record, third_version(make_record("a", 0)))
    assert (record.attempts, record.resumed_at, record.environment.jobs, record.seal) == ([], [], None, "")


def test_a_record_of_version_4_does_not_know_what_it_was_made_from() -> None:
    known = make_record("a", 0).model_copy(update={"made_from": MadeFrom(weights="w", task_files={}, code={"task": "c"})})
    assert read(Record, fourth_version(known)).made_from == MadeFrom()


def test_a_record_of_version_4_does_not_know_what_nobody_looked_at() -> None:
    made = make_record("a", 0)
    made = made.model_copy(update={"environment": made.environment.model_copy(update={"instructions": "AVX2"})})
    assert read_part(Record, dump(made), HERE).environment.instructions == "AVX2"
    assert read(Record, fourth_version(made)).environment.instructions is None
    assert read(Record, fourth_version(made)).largest_logit is None
    made = made.model_copy(update={"kept": Kept(reason="no space", difference=None)})
    assert read_part(Record, dump(made), HERE).kept == made.kept
    assert read(Record, fourth_version(made)).kept is None
    assert made.weights is not None
    made = made.model_copy(update={"weights": made.weights.model_copy(update={"head": "by name"})})
    assert read_part(Record, dump(made), HERE).weights.head == "by name"
    assert read(Record, fourth_version(made)).weights.head is None


NAMES = [f"layer.{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (NAMES[:5], NAMES[:5]),
        (NAMES[:6], [*NAMES[:5], "and 1 more"]),
        (NAMES, [*NAMES[:5], "and 15 more"]),
        ([*NAMES, "and 21 more"], [*NAMES[:5], "and 36 more"]),
    ],
)
def test_a_record_of_version_4_names_no_more_new_parameters_than_one_of_today(names: list[str], found: list[str]) -> None:
    old = fourth_version(make_record("a", 0))
    old["weights"]["newly_initialised"] = names
    assert read(Record, old).weights.newly_initialised == found
    assert capped([f"layer.{number}" for number in range(41)], MOST_NEW) == [*NAMES[:5], "and 36 more"]


def test_a_failed_record_of_version_1_has_no_data_and_is_read() -> None:
    failure = {"status": "failed", "failure": {"reason": "crashed", "message": "gone", "phase": "load"}, "scores": {}}
    assert read(Record, first_version(make_record("a", 0)) | failure | {"data": None}).data is None


def test_a_declaration_of_version_1_has_no_gate_no_figures_and_no_history() -> None:
    declared = read(Declared, FIRST)
    assert (declared.gate, declared.imported, declared.trials, declared.history) == ({}, [], {}, [])
    assert declared.seeds == {"a": [3]}


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
        read(Declared, FIRST | {"runs": [FIRST["runs"][0] | {"id": run_id}]})


def unsealed(part: Any) -> Any:
    return part.model_copy(update={"seal": ""})


def test_an_altered_score_is_seen(tmp_path: Path) -> None:
    (record,) = [make_record("a", 0)]
    folder = make_experiment(tmp_path / "e", [record])
    path = folder / "records" / record.id / "record.json"
    assert Store(folder).read(record.id).scores == record.scores
    value = str(record.scores["test"]["accuracy"])
    assert value in path.read_text()
    path.write_text(path.read_text().replace(value, "0.99"))
    with pytest.raises(DamageError, match="was altered"):
        Store(folder).read(record.id)


def test_a_record_behind_a_symbolic_link_is_none(tmp_path: Path) -> None:
    record = make_record("a", 0)
    folder = make_experiment(tmp_path / "e", [record])
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
def test_a_damaged_record_of_version_1_says_where(change: dict[str, Any], where: str) -> None:
    with pytest.raises(DamageError, match=rf"record\.json is damaged: {where}"):
        read(Record, first_version(make_record("a", 0)) | change)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", True, None, 1.0])
def test_versions_that_nobody_wrote_are_refused_as_such(version: Any) -> None:
    with pytest.raises(StoreError, match=f"schema version .*; this bakeoff reads 1 to {SCHEMA_VERSION}"):
        read(Declared, FIRST | {"schema_version": version})


def test_a_control_run_has_no_version_1() -> None:
    control = Control(
        session="s",
        moment="before",
        started="2026-11-23T08:51:39+00:00",
        hardware="h",
        threads=1,
        milliseconds=5.0,
        spread=0.1,
        repetitions=20,
        peak_flops={"fp32": 1e11},
    )
    assert unsealed(read_part(Control, dump(control), HERE)) == unsealed(control)
    with pytest.raises(StoreError, match="schema version"):
        read(Control, control.model_dump() | {"schema_version": 1})
    second = {key: value for key, value in control.model_dump().items() if key not in {"peak_flops", "seal"}}
    assert read(Control, second | {"schema_version": 2}) == control.model_copy(update={"peak_flops": {}, "seal": ""})


def test_an_experiment_of_version_1_is_read_whole(tmp_path: Path) -> None:
    record = make_record("a", 0)
    folder = make_experiment(tmp_path / "old", [record])
    (folder / "records" / record.id / "record.json").write_text(json.dumps(first_version(record)))
    (folder / "records" / "plan.json").write_text(json.dumps(FIRST))
    records, damaged = Store(folder).read_all()
    assert ([one.id for one in records], damaged) == ([record.id], [])
    assert Store(folder).declared().name == "mrpc"
