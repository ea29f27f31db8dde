"""What is published under results/ is whole, was made by this code, and holds nobody else's sentences."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bakeoff.cli.report import files_of
from bakeoff.cli.table import read as read_folders
from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.planning.search import settled
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.report.text.csv_json import write_csv
from bakeoff.report.text.table_md import write_page
from bakeoff.spec.document import read_document

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
HARNESS_SHARE = {"cpu": 0.01, "cuda": 0.3}
"""The most of a training that may be the harness's. On CUDA its looks at losses and gradients wait for what the device was
given before, and that is counted: 2 % of torch-loop's 30 s, 26 % of the 6.5 s of a loop that runs far ahead of the device."""
SHORT = 0.2
"""Seconds that may be the harness's whatever the length of a training."""

TEXTS = {".md", ".csv", ".json", ".yaml", ".html", ".tex"}
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
EXPERIMENTS = sorted(path.parents[1] for path in RESULTS.glob("*/records/plan.json"))
NOT_MADE = [path.parent for path in sorted(RESULTS.glob("*/spec.yaml")) if path.parent not in EXPERIMENTS]
"""Experiments whose files were committed before their runs are made."""


def read(folder: Path) -> list[Record]:
    records, damaged = Store(folder).read_all()
    assert not damaged
    return records


@pytest.fixture(params=EXPERIMENTS, ids=lambda path: path.name)
def experiment(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.mark.parametrize("folder", NOT_MADE, ids=lambda path: path.name)
def test_a_file_that_waits_for_its_runs_can_be_run_and_is_told_to_wait(folder: Path) -> None:
    assert resolve(read_document(folder / "spec.yaml"), load_registry()).runs
    told = (RESULTS / "README.md").read_text(encoding="utf-8").split("\n\n")
    assert any(f"]({folder.name})" in paragraph and "not made yet" in " ".join(paragraph.split()) for paragraph in told)


def test_every_run_that_the_experiment_file_asks_for_is_recorded_and_nothing_else(experiment: Path) -> None:
    plan = settled(resolve(read_document(experiment / "spec.yaml"), load_registry()), Store(experiment).find)
    assert not plan.waiting
    assert {run.id for run in (*plan.trials, *plan.runs)} == set(Store(experiment).recorded_ids())
    assert {record.status for record in read(experiment)} == {"ok"}


def test_records_and_their_files_are_whole(experiment: Path) -> None:
    for record in read(experiment):
        folder = experiment / "records" / record.id
        assert (folder / "record.json").stat().st_size <= 8192
        assert {path.name for path in folder.iterdir()} == {"record.json", *record.files}
        for name, digest in record.files.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_tables_and_reports_are_what_the_code_writes_from_the_records(
    experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make reports` calls it, from the project's root: the page names its folder."""
    monkeypatch.chdir(ROOT)
    reading = read_folders([experiment.relative_to(ROOT)])
    files = {
        "table.md": write_page(reading.comparison),
        "table.csv": write_csv(reading.comparison),
        **files_of(reading),
    }
    for name, text in files.items():
        difference = first_difference((experiment / name).read_text(encoding="utf-8"), text)
        assert not difference, f"{name} is not what the code writes (make reports): {difference}"
    assert {"report.html", "table.tex", "model-index.yaml"} <= files.keys()


def test_every_row_of_a_pages_tables_has_as_many_cells_as_its_head(experiment: Path) -> None:
    page = (experiment / "report.html").read_text(encoding="utf-8")
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) > 2
    for table in tables:
        widths = [
            sum(int((re.search(r"colspan=\"?(\d+)", cell) or [0, 1])[1]) for cell in re.findall(r"<t[hd]\b[^>]*>", row))
            for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        ]
        assert len({*widths}) <= 1, (table[:200], widths)


def first_difference(published: str, written: str) -> str:
    """Where two texts differ by more than the last digits of their numbers; empty where they don't.

    Processors and versions of numpy round sums differently, so numbers may differ by one part in 10^9, and by no more.
    """
    one, other = (NUMBER.split(text) for text in (published, written))
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left == right or (place % 2 and math.isclose(float(left), float(right), rel_tol=1e-9)):
            continue
        around = "".join(one[max(0, place - 6) : place])[-80:]
        return f"after {around!r}: {left[:80]!r} is published, {right[:80]!r} is written"
    return "" if len(one) == len(other) else f"{len(one) // 2} numbers are published, {len(other) // 2} are written"


def test_the_last_digits_of_numbers_may_differ_and_nothing_else() -> None:
    assert first_difference("a 0.8412515313 b", "a 0.8412515314 b") == ""
    for other in ("a 0.8412515413 b", "a 0.8412515313 c", "a 0.8412515313", "a 0.8412515313 b 1", "a -0.8412515313 b"):
        assert first_difference("a 0.8412515313 b", other), other


def test_what_is_published_has_no_more_digits_than_every_machine_agrees_on(experiment: Path) -> None:
    for name in ("table.csv", "model-index.yaml", "report.html", "table.md", "table.tex"):
        for number in NUMBER.findall((experiment / name).read_text(encoding="utf-8")):
            digits = re.sub(r"e.*|[-.]", "", number).lstrip("0")
            assert "." not in number or len(digits) <= 10, f"{name}: {number}"


def test_scores_follow_from_the_recorded_predictions(experiment: Path) -> None:
    for record in read(experiment):
        table = pq.read_table(experiment / "records" / record.id / "predictions.parquet").to_pandas()
        for split, scores in record.scores.items():
            rows = table[table["split"] == split]
            assert record.data is not None
            assert len(rows) == record.data.splits[split].examples
            predicted = [max(range(len(logits)), key=lambda label, logits=logits: logits[label]) for logits in rows["logits"]]
            truth = rows["label"].tolist()
            hits = sum(one == other == 1 for one, other in zip(predicted, truth, strict=True))
            assert scores["accuracy"] == pytest.approx(sum(map(int.__eq__, predicted, truth)) / len(truth))
            assert scores[f"f1 ({record.data.labels[1]})"] == pytest.approx(2 * hits / (sum(predicted) + sum(truth)))


def test_phases_add_up_and_the_harness_takes_its_share_and_no_more(experiment: Path) -> None:
    for record in read(experiment):
        assert record.cost is not None
        assert sum(record.cost.phase_seconds.values()) == pytest.approx(record.cost.total_seconds, rel=0.01)
        assert record.environment is not None
        share = HARNESS_SHARE[record.environment.device] * record.cost.train_seconds
        assert record.cost.harness_seconds < max(SHORT, share)


def test_records_hold_no_text_of_the_data(experiment: Path) -> None:
    """Every column is a number, or one of: split, id, a slice's value."""
    for path in experiment.glob("records/*/*.parquet"):
        schema = pq.read_schema(path)
        texts = {field.name for field in schema if "string" in str(field.type)}
        assert {name for name in texts if not name.startswith("slice:")} <= {"split", "id"}
        table = pq.read_table(path)
        for name in texts - {"id"}:
            assert len(set(table[name].to_pylist())) <= 20, f"{path}: {name} is no slice"


def test_no_sentence_of_mrpc_is_published() -> None:
    data = os.environ.get("BAKEOFF_DATA")
    if not data or not (Path(data) / "glue" / "MRPC").is_dir():
        pytest.skip("BAKEOFF_DATA names no folder with glue/MRPC: the sentences to look for are there")
    sentences = set()
    for name in ("train.tsv", "dev.tsv", "msr_paraphrase_test.txt"):
        for line in (Path(data) / "glue" / "MRPC" / name).read_text(encoding="utf-8-sig").split("\n")[1:]:
            sentences |= set(line.split("\t")[3:5])
    assert len(sentences) > 10_000
    published = [path for path in RESULTS.rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in published if path.suffix in TEXTS]
    for path in published:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            texts += [" ".join(table[field.name].to_pylist()) for field in table.schema if "string" in str(field.type)]
    assert len(texts) > 4
    everything = "\n".join(texts)
    words = everything.split()
    runs = set(zip(words, words[1:], words[2:], strict=False))

    def may_be_there(sentence: str) -> bool:
        """Told in a hundredth of the time of a search. Its first and last word may be parts of longer ones there, no other."""
        parts = sentence.split()
        return len(parts) < 5 or tuple(parts[1:4]) in runs

    assert all(may_be_there(everything[start : start + 200]) for start in range(1000, 1020))
    assert not [sentence for sentence in sentences if sentence and may_be_there(sentence) and sentence in everything]


# --- what the published experiments say ----------------------------------------------------------------------------------


def pairs(folder: Path) -> dict[int, dict[str, Record]]:
    found: dict[int, dict[str, Record]] = {}
    for record in read(folder):
        found.setdefault(record.requested.seed, {})[record.requested.strategy] = record
    return found


@pytest.mark.parametrize(("name", "steps"), [("mrpc-trainers", 1377), ("quickstart", 106)])
def test_both_trainers_ended_with_the_same_weights(name: str, steps: int) -> None:
    found = pairs(RESULTS / name)
    assert sorted(found) == [0, 1, 2]
    for both in found.values():
        api, loop = both["trainer-api"], both["manual-loop"]
        assert api.weights is not None
        assert api.weights == loop.weights
        assert api.scores == loop.scores
        assert {record.cost.steps for record in both.values() if record.cost} == {steps}
        frames: list[Any] = [
            pq.read_table(
                RESULTS / name / "records" / record.id / "steps.parquet", columns=["loss", "learning_rate", "grad_norm"]
            )
            for record in (api, loop)
        ]
        assert frames[0].equals(frames[1])


@pytest.mark.parametrize(
    ("name", "confounders"),
    [("course-2021", ["gradient clipping", "eps"]), ("course-today", ["gradient clipping", "weight decay"])],
)
def test_the_comparisons_of_the_course_are_confounded_and_say_by_what(name: str, confounders: list[str]) -> None:
    (group,) = read_folders([RESULTS / name]).comparison.groups
    (pair,) = group.to_baseline
    assert (pair.verdict, [fact.subject for fact in pair.confounders]) == ("confounded", confounders)
    assert [fact.subject for fact in pair.studied] == ["trainer"]
    assert f"course-loop against trainer-api is confounded by {' and '.join(confounders)}: " in pair.sentence
    for page in ("table.md", "report.html"):
        text = (RESULTS / name / page).read_text(encoding="utf-8")
        assert "†" in text
        assert f"confounded by {' and '.join(confounders)}" in " ".join(text.split())


def test_every_run_of_the_quickstart_is_ten_points_above_the_floor() -> None:
    for record in read(RESULTS / "quickstart"):
        assert record.data is not None
        for split, scores in record.scores.items():
            assert scores["accuracy"] >= record.data.majority_baseline[split]["accuracy"] + 0.10


def test_the_published_experiments_name_where_they_ran(experiment: Path) -> None:
    plan = json.loads((experiment / "records" / "plan.json").read_text(encoding="utf-8"))
    assert plan["spec_file"] == "spec.yaml"
    assert len({record.environment.hardware for record in read(experiment)}) == 1
    assert len({json.dumps(record.environment.software, sort_keys=True) for record in read(experiment)}) == 1


def test_equal_scores_have_a_standard_deviation_of_exactly_0() -> None:
    with (RESULTS / "learning-rates" / "table.csv").open(encoding="utf-8") as file:
        (collapsed,) = [row for row in csv.DictReader(file) if row["strategy"] == "rate-5e-5"]
    spreads = {
        column: collapsed[column] for column in collapsed if column.startswith(("test_", "dev_")) and column.endswith("_sd")
    }
    assert len(spreads) == 4
    assert set(spreads.values()) == {"0.0"}
