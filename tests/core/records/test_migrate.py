"""`bakeoff migrate` brings the files of every earlier schema to the current one, and nothing else reads them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_control, make_folder, make_record, make_run, sealed, write_run
from core.calling import Call
from messages import tells

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import HOST, Tree
from bakeoff.records.load import load_experiment
from bakeoff.records.migrate import migrate
from bakeoff.records.ownership import require_owner
from bakeoff.records.publishing import REPLACED
from bakeoff.records.record_files import dump, read_part
from bakeoff.records.schema import (
    MOST_NEW,
    RECORD_FILE,
    SCHEMA_VERSION,
    UNSEALED,
    Control,
    Declared,
    KeptModel,
    MadeFrom,
    Record,
    capped,
)
from bakeoff.records.store import Store
from bakeoff.records.upgrades import upgraded

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


# --- files as earlier schemas had them ---


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


VERSIONS: Mapping[int, Callable[[Record], dict[str, Any]]] = {
    1: first_version,
    2: second_version,
    3: third_version,
    4: fourth_version,
    5: fifth_version,
}
ADDED_TO_PLANS = {2: ("gate", "imported", "trials", "history"), 3: ("searches",), 5: ("seal", "metrics")}
LABELS = np.array([0, 1] * 15)


def old_plan(plan: dict[str, Any], version: int) -> dict[str, Any]:
    """A plan as that schema version wrote it."""
    gone = {key for since, keys in ADDED_TO_PLANS.items() if since > version for key in keys}
    margin = plan["margin"]["points"] if version < 5 else plan["margin"]
    return {key: value for key, value in plan.items() if key not in gone} | {"schema_version": version, "margin": margin}


def old_control(version: int) -> dict[str, Any]:
    """A control run as that schema version wrote it; there were none in version 1."""
    gone = {key for since, key in ((3, "peak_flops"), (5, "seal")) if since > version}
    control = make_control(peak_flops={"fp32": 1e11}).model_dump(mode="json")
    return {key: value for key, value in control.items() if key not in gone} | {"schema_version": version}


def make_old(folder: Path, version: int) -> Path:
    """An experiment of two strategies and two seeds whose files have this schema version."""
    rows = {
        name: np.tile(np.where(np.arange(30) < right, LABELS, 1 - LABELS), (2, 1)) for name, right in (("a", 20), ("b", 25))
    }
    make_folder(folder, rows, LABELS)
    records = folder / "records"
    for record in Store(folder).read_all()[0]:
        (records / record.id / RECORD_FILE).write_bytes(sealed(VERSIONS[version](record)))
    plan = json.loads((records / "plan.json").read_bytes())
    (records / "plan.json").write_bytes(sealed(old_plan(plan, version)))
    if version > 1:
        (records / "control-s-before.json").write_bytes(sealed(old_control(version)))
    return folder


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_old(tmp_path / "old", request.param)


@pytest.fixture
def third(tmp_path: Path) -> Path:
    return make_old(tmp_path / "third", 3)


def contents(folder: Path) -> dict[str, str]:
    """Path -> hash of all files in a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def not_ours(files: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if not name.endswith(".json")}


def numbers(folder: Path) -> dict[str, Any]:
    """Id -> the scores of its record file, without the names of metrics, and the checksums of weights and files."""
    found = {}
    for path in folder.glob("records/r1-*/record.json"):
        plain = json.loads(path.read_bytes())
        scores = {split: list(scores.values()) for split, scores in plain["scores"].items()}
        found[plain["id"]] = (scores, plain["weights"]["final_sha256"], plain["files"])
    return found


# --- a folder ------------------------------------------------------------------------------------------------------------


def test_all_files_of_a_folder_are_migrated_and_no_number_changes(old: Path, call: Call) -> None:
    before, known = contents(old), numbers(old)
    version = json.loads((old / "records" / "plan.json").read_bytes())["schema_version"]
    code, out, _ = call("migrate", old)
    controls = " and 1 control run" if version > 1 else ""
    join = "," if controls else " and"
    assert code == 0
    assert tells(out, f"{old}: 4 records{join} plan.json{controls} ", f"schema {version} to {SCHEMA_VERSION}\n")
    after = contents(old)
    assert not_ours(after) == not_ours(before)
    assert after.keys() == before.keys()
    assert not set(after.items()) & set(before.items() - not_ours(before).items())
    assert numbers(old) == known
    experiment = load_experiment([old])
    assert (len(experiment.records), len(experiment.controls), experiment.damaged) == (4, int(version > 1), ())
    assert all(Store(old).check(run_id) for run_id in known)
    code, out, _ = call("migrate", old)
    assert code == 0
    assert tells(out, "nothing to do: ", f"{old} has schema {SCHEMA_VERSION}\n")
    assert contents(old) == after


@pytest.mark.parametrize("command", [["table"], ["report"], ["verify"], ["rescore"], ["table", "--json"]], ids=" ".join)
def test_any_other_command_names_this_one(third: Path, call: Call, command: list[str]) -> None:
    verb, *options = command
    code, out, err = call(verb, third, *options)
    assert (code, out) == (2, "")
    assert tells(err, f"{third}/", f" has schema 3; convert its folder to schema {SCHEMA_VERSION}: bakeoff migrate {third}\n")


def test_a_run_is_not_made_again_in_place_of_an_old_record(third: Path) -> None:
    store = Store(third)
    with pytest.raises(StoreError, match="bakeoff migrate"):
        store.find(store.recorded_ids()[0])
    declared = read_part(Declared, (third / "records/plan.json").read_bytes(), HERE, upgrade=upgraded)
    with pytest.raises(StoreError, match="bakeoff migrate"):
        require_owner(store, declared, third / "spec.yaml", b"")


def test_an_altered_record_is_named_and_left_and_the_others_are_migrated(tmp_path: Path, call: Call) -> None:
    folder = make_old(tmp_path / "e", 4)
    path = sorted(folder.glob("records/r1-*/record.json"))[1]
    path.write_bytes(path.read_bytes().replace(b'"peak_memory_bytes": 1', b'"peak_memory_bytes": 2'))
    altered = path.read_bytes()
    code, out, _ = call("migrate", folder)
    assert code == 1
    assert out.splitlines()[0] == f"left as it is: {path} was altered: it does not match its own checksum"
    assert path.read_bytes() == altered
    records, damaged = Store(folder).read_all()
    assert len(records) == 3
    assert damaged == [f"{path} was altered: it does not match its own checksum"]
    code, out, _ = call("migrate", folder)
    assert "`bakeoff run` repeats" in out.splitlines()[2]
    assert code == 1
    assert tells(out.splitlines()[1], "nothing to do: ", f"{folder} has schema {SCHEMA_VERSION}")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_no_record_is_rid_of_its_checksum_by_calling_itself_older(tmp_path: Path, version: int) -> None:
    folder = make_old(tmp_path / "e", 5)
    path = next(folder.glob("records/r1-*/record.json"))
    plain = json.loads(path.read_bytes()) | {"schema_version": version}
    plain["scores"]["test"] = dict.fromkeys(plain["scores"]["test"], 1.0)
    path.write_bytes(json.dumps(plain).encode())
    (sentence,) = migrate(folder).left
    assert str(path) in sentence
    assert json.loads(path.read_bytes()) == plain


def test_a_folder_without_records_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not the folder of"):
        migrate(tmp_path)


def test_a_record_of_a_newer_schema_is_left(tmp_path: Path) -> None:
    folder = make_old(tmp_path / "e", 5)
    path = next(folder.glob("records/r1-*/record.json"))
    path.write_bytes(sealed(json.loads(path.read_bytes()) | {"schema_version": SCHEMA_VERSION + 1}))
    (sentence,) = migrate(folder).left
    assert tells(sentence, "", f"schema version '{SCHEMA_VERSION + 1}'; ", f"reads {SCHEMA_VERSION}")


# --- killed, or twice at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", range(6))
def test_a_killed_migration_leaves_whole_files_and_goes_on(third: Path, files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known, left, write = numbers(third), [files], Tree.write

    def killed(self: Tree, path: Path, content: bytes, **keywords: Any) -> None:
        if path.suffix == ".json" and not left[0]:
            raise KeyboardInterrupt
        write(self, path, content, **keywords)
        left[0] -= path.suffix == ".json"

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            migrate(third)
    assert numbers(third) == known
    with pytest.raises(StoreError, match="bakeoff migrate"):
        load_experiment([third])
    found = migrate(third)
    assert (found.records, found.left) == (max(0, 4 - files), [])
    assert len(load_experiment([third]).records) == 4
    assert list(third.rglob(".claim-*")) == []


def test_the_unfinished_file_of_a_killed_migration_is_removed(third: Path) -> None:
    record = next(third.glob("records/r1-*/record.json"))
    torn = record.with_name(f".tmp-record.json-{HOST}-4194999-0123abcd")
    torn.write_bytes(b"{")
    migrate(third)
    assert not torn.exists()


def test_a_run_at_which_another_command_is_stays_as_it_is(third: Path) -> None:
    other = Store(third)
    busy, *_ = other.recorded_ids()
    before = contents(third)
    assert other.claims.take(busy)
    found = migrate(third)
    (sentence,) = found.left
    assert (found.records, found.other_files) == (3, ["control-s-before.json"])
    assert busy in sentence
    assert contents(third)[f"records/{busy}/record.json"] == before[f"records/{busy}/record.json"]
    with pytest.raises(StoreError, match="bakeoff migrate"):
        Store(third).declared()
    other.claims.release(busy)
    found = migrate(third)
    assert (found.records, found.other_files, found.left) == (1, ["plan.json"], [])


def test_twice_at_once_nothing_is_lost(third: Path) -> None:
    known = numbers(third)
    with ThreadPoolExecutor(4) as pool:
        for found in [pool.submit(migrate, third) for _ in range(4)]:
            found.result()
    assert numbers(third) == known
    assert migrate(third).left == []
    assert len(load_experiment([third]).records) == 4
    assert not [path for path in third.rglob(".*") if path.name.startswith((".tmp-", ".claim-"))]


def test_what_was_set_aside_and_what_a_dead_command_left_is_migrated_too(third: Path) -> None:
    first, second, *_ = (third / "records" / run_id for run_id in Store(third).recorded_ids())
    aside, left = (
        first.with_name(f"{REPLACED}{first.name}-0123abcd"),
        second.with_name(f".tmp-{second.name}-{HOST}-4194999-0123abcd"),
    )
    shutil.copytree(first, aside)
    second.rename(left)
    assert migrate(third).records == 5
    assert Store(third).read_in(aside).id == first.name
    assert Store(third).recover() == [second.name]


# --- what is found out beside the file -----------------------------------------------------------------------------------


def test_a_plan_gets_the_primary_metrics_of_its_records_and_a_margin_in_points(third: Path) -> None:
    migrate(third)
    declared = Store(third).declared()
    assert (declared.metrics, declared.margin) == ({"glue/mrpc": "accuracy"}, {"points": 1.0})


def test_a_record_gets_the_largest_of_its_predicted_logits(third: Path) -> None:
    migrate(third)
    assert {record.largest_logit for record in Store(third).read_all()[0]} == {1.5}


def test_metrics_that_say_nothing_lose_their_figures(tmp_path: Path) -> None:
    folder, store = tmp_path / "e", Store(tmp_path / "e")
    store.records.mkdir(parents=True)
    record, splits = make_run("a", 0, [0, 1] * 15, [0] * 30)
    assert record.data is not None
    old_scores = {"test": {"accuracy": 0.5, "f1": 0.0}}
    data = record.data.model_copy(update={"silent": {}, "majority_baseline": old_scores})
    record = record.model_copy(update={"data": data, "scores": old_scores})
    write_run(store, record, splits)
    path = store.records / record.id / RECORD_FILE
    path.write_bytes(sealed(fourth_version(store.read(record.id))))
    assert migrate(folder).records == 1
    found = Store(folder).read(record.id)
    assert found.data is not None
    assert found.data.silent == {"test": {"f1 (label 1)": "no example has the label 'label 1'"}}
    assert (list(found.scores["test"]), list(found.data.majority_baseline["test"])) == (["accuracy"], ["accuracy"])


def test_a_metric_without_a_score_is_told_so() -> None:
    old = fourth_version(make_record("a", 0))
    del old["scores"]["test"]["f1"]
    assert read(Record, old).data.silent == {"test": {"f1 (equivalent)": "no score was recorded"}}


# --- one file ------------------------------------------------------------------------------------------------------------


def read(kind: type[Any], content: Any) -> Any:
    """The plain data as a file, with the checksum that its schema version asks for."""
    return read_part(kind, sealed(content), HERE, upgrade=upgraded)


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


def test_a_record_of_version_1_says_what_it_said() -> None:
    record = make_record("a", 0)
    data = named_by_class(record).data
    assert data is not None
    data = data.model_copy(update={"overlap": None})
    cost = record.cost.model_copy(update={"flops_note": "not counted (schema version 2)"}) if record.cost else None
    environment = record.environment.model_copy(update={"jobs": None})
    unknown = {"evaluation_difference": None, "data": data, "cost": cost, "environment": environment, "seal": UNSEALED}
    assert read(Record, first_version(record)) == named_by_class(record).model_copy(update=unknown)


def test_a_record_of_version_2_has_no_count_of_operations_and_no_sizes() -> None:
    record = read(Record, second_version(make_record("a", 0)))
    assert (record.cost.flops, record.weights.trained_bytes) == (None, None)
    assert record.cost.flops_note == "not counted (schema version 2)", "not the same as a run that could not be counted"


def test_a_record_of_version_3_was_one_attempt_and_says_nothing_of_others_beside_it() -> None:
    record = read(Record, third_version(make_record("a", 0)))
    assert (record.attempts, record.resumed_at, record.environment.jobs, record.seal) == ([], [], None, UNSEALED)


def test_a_record_of_version_4_does_not_know_what_it_was_made_from() -> None:
    known = make_record("a", 0).model_copy(update={"made_from": MadeFrom(weights="w", task_files={}, code={"task": "c"})})
    assert read(Record, fourth_version(known)).made_from == MadeFrom()


def test_a_record_of_version_4_does_not_know_what_nobody_looked_at() -> None:
    made = make_record("a", 0)
    made = made.model_copy(update={"environment": made.environment.model_copy(update={"instructions": "AVX2"})})
    assert read_part(Record, dump(made), HERE).environment.instructions == "AVX2"
    assert read(Record, fourth_version(made)).environment.instructions is None
    assert read(Record, fourth_version(made)).largest_logit is None
    made = made.model_copy(update={"kept": KeptModel(reason="no space", difference=None)})
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


def test_a_control_run_of_version_2_measured_no_products_and_none_is_of_version_1() -> None:
    assert read(Control, old_control(2)).peak_flops == {}
    with pytest.raises(DamageError, match="version 1"):
        read(Control, old_control(2) | {"schema_version": 1})


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
