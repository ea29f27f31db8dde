"""Records are read once in a command, and what is not as its record says is named and never used."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import drawn_answers, make_folder
from core.calling import Call, counted_parses
from messages import tells

from bakeoff import compare, load
from bakeoff.errors import DamageError
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE
from bakeoff.records.store import Store

ROOT = Path(__file__).parents[3]
LABELS = np.arange(300) % 3 // 2
BASELINE, ROW = "trainer-api", "manual-loop"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two strategies whose predictions are equal at every seed."""
    same = drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=1)
    return make_folder(tmp_path / "made", {BASELINE: same, ROW: same}, LABELS, gate={"quality": "-1.0 points"})


def alter(folder: Path, strategy: str = ROW, seed: int = 0) -> Path:
    """Swaps the answers of two examples with one label, one right and one wrong: every score stays what it is."""
    records = Store(folder).read_all()[0]
    record = next(record for record in records if (record.requested.strategy, record.requested.seed) == (strategy, seed))
    path = folder / "records" / record.id / PREDICTIONS_FILE
    table = pq.read_table(path)
    rows = table.to_pylist()
    right = [int(np.argmax(row["logits"])) == row["label"] for row in rows]
    one = right.index(True)
    other = next(n for n, row in enumerate(rows) if not right[n] and row["label"] == rows[one]["label"])
    rows[one]["logits"], rows[other]["logits"] = rows[other]["logits"], rows[one]["logits"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return path


def test_altered_predictions_of_equal_score_are_left_out(folder: Path) -> None:
    (pair,) = compare(load(folder)).comparison.groups[0].to_baseline
    assert (pair.finding, pair.seeds) == ("identical", (3, 3))
    path = alter(folder)
    comparison = compare(load(folder)).comparison
    (pair,) = comparison.groups[0].to_baseline
    assert (pair.first, pair.seeds, pair.paired) == (ROW, (2, 3), False)
    assert [warning.name for warning in comparison.warnings if str(path) in warning.what] == ["missing-runs"]
    (damaged,) = comparison.damaged
    assert tells(damaged, f"{path} was altered: ", "checksum in its record")


def test_every_verb_that_reads_predictions_names_the_altered_file(folder: Path, tmp_path: Path, call: Call) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    path = alter(folder)
    said = f"damaged and left out: {path} was altered: it does not match the checksum in its record"
    for words, expected in [
        (("table", folder), 0),
        (("report", folder, "--strict"), 4),
        (("rescore", folder), 0),
        (("rescore", folder, "--json"), 0),
        (("gate", folder, "--against", other), 3),
        (("gate", other, "--against", folder), 3),
    ]:
        code, out, err = call(*words)
        assert (code, err.count(said)) == (expected, 1), words
        assert tells(err, "", f"`bakeoff run {folder}/spec.yaml` ")
        if words[0] not in ("report", "table"):  # these print one screen, and the whole into table.md
            assert " ".join(said.split()) in " ".join(out.split()), words
    assert f"**{said}**" in " ".join((folder / "table.md").read_text().split())
    assert said in (folder / "report.html").read_text()
    group = json.loads(call("table", folder, "--json")[1])["groups"][0]
    assert [len(row["scores"]["test"]["accuracy"]["seeds"]) for row in group["rows"]] == [3, 2], (
        "scores and intervals of the same runs"
    )


def test_what_was_altered_after_it_was_loaded_is_not_used(folder: Path) -> None:
    before, results = load(folder), load(folder)
    assert before.predictions().equals(results.predictions())
    path = alter(folder)
    compared = compare(results).comparison  # by the answers that were loaded
    assert [pair.finding for pair in compared.groups[0].to_baseline] == ["identical"]
    with pytest.raises(DamageError, match=f"{path.parent.name}/{PREDICTIONS_FILE} was altered"):
        results.predictions()
    (damaged,) = results.experiment.unusable
    assert tells(damaged, f"{path} was altered: ", "checksum in its record")


def test_altered_steps_are_named_and_their_curve_is_left_out(tmp_path: Path, call: Call) -> None:
    folder = quickstart(tmp_path)
    path = next(folder.glob(f"records/*/{STEPS_FILE}"))
    table = pq.read_table(path)
    losses = [loss / 2 for loss in table["loss"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("loss"), "loss", pa.array(losses)), path)
    code, _, err = call("report", folder)
    assert (code, err.count(f"not used: {path} was altered: it does not match the checksum in its record")) == (0, 1)
    with pytest.raises(DamageError, match="was altered"):
        load(folder).steps()


def test_a_record_without_a_file_has_none_to_name(folder: Path, call: Call) -> None:
    assert call("report", folder)[2] == ""


def quickstart(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "results" / "quickstart", tmp_path / "quickstart"))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    return counted_parses(monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "{}/spec.yaml"),
        ("plan", "{}/spec.yaml"),
        ("plan", "{}/spec.yaml", "--resolve", "1"),
        ("report", "{}"),
        ("verify", "{}"),
    ],
    ids=lambda words: " ".join(words[:1] + words[2:3]),
)
def test_a_command_parses_each_record_once(tmp_path: Path, call: Call, parsed: Counter[str], words: tuple[str, ...]) -> None:
    folder = quickstart(tmp_path)
    shutil.copytree(folder, tmp_path / "beside")  # `plan` looks for like runs there, too
    assert call(*(word.format(folder) for word in words))[0] == 0
    assert set(parsed) == {path.parent.name for path in folder.glob(f"records/*/{RECORD_FILE}")}
    once = 2 if words[-2:] == ("--resolve", "1") else 1  # a file of its own in each folder
    assert set(parsed.values()) == {once}


def test_a_record_that_was_replaced_meanwhile_is_read_again(folder: Path, parsed: Counter[str]) -> None:
    store = Store(folder)
    run_id = store.recorded_ids()[0]
    first = store.read(run_id)
    assert store.read(run_id) is first
    path = folder / "records" / run_id / RECORD_FILE
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert store.read(run_id) is not first
    assert parsed[run_id] == 2
    path.parent.rename(folder / "records" / f".replaced-{run_id}-0123abcd")
    assert store.attempts() == {}
    assert parsed[run_id] == 2, "it lies elsewhere, and is the same file"
