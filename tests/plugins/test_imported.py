"""Runs that were made elsewhere: files of predictions are checked before any run, and take part in a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call as run_here
from end_to_end.experiments import records
from messages import tells

import bakeoff
from bakeoff.cli.inputs import find_paths, open_experiment
from bakeoff.errors import SpecError
from bakeoff.planning.runs import Plan
from bakeoff.runner.preflight import Preflight
from bakeoff.runner.settings import Settings, request_of

SPEC = """\
name: imports
tasks: [{name: toy, size: 20}]
models: [tiny-bert]
recipe: {epochs: 1, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies: {mine: {trainer: torch-loop}}
seeds: 2
imported_runs:
"""
Rows = list[dict[str, Any]]


def right() -> Rows:
    """Predictions for every row of the task `toy`, with some errors."""
    sizes = {"dev": 20, "test": 30}
    return [
        {"split": split, "id": f"{split}-{row}", "answer": "same" if row % 3 > 0 or row % 9 == 0 else "different"}
        for split, number in sizes.items()
        for row in range(number)
    ]


def write(path: Path, rows: Rows) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text("".join(",".join(map(str, line)) + "\n" for line in [list(rows[0]), *(row.values() for row in rows)]))


def experiment(folder: Path, *runs: str, head: str = SPEC) -> Path:
    path = folder / "spec.yaml"
    path.write_text(head + "".join(f"  - {{{run}}}\n" for run in runs))
    return path


def plan_of(spec: Path) -> Plan:
    return open_experiment(spec)[1]


def scored(rows: Rows) -> Rows:
    return [row | {"scores": {"same": 0.75 if row["answer"] == "same" else 0.25}} for row in rows]


def complete(rows: Rows) -> Rows:
    for row in rows:
        row["scores"]["different"] = 1 - row["scores"]["same"]
    return rows


def but(number: int, **changes: Any) -> Rows:
    """The right predictions, one of them changed."""
    return [row | (changes if place == number else {}) for place, row in enumerate(right())]


def problems(folder: Path, rows: Rows, name: str) -> Iterator[str]:
    """What the check before any run says of a file."""
    write(folder / name, rows)
    spec = experiment(folder, f"strategy: theirs, seed: 0, predictions: {name}")
    settings = Settings(paths=find_paths(spec=spec), device="cpu", threads=1)
    runs = [run for run in plan_of(spec).runs if run.strategy.name == "theirs"]
    tries = Preflight([request_of(run, settings) for run in runs])
    tries.try_all()
    return (message for _, _, message in tries.problems)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.csv"])
def test_right_predictions_pass_the_check_before_any_run_in_every_format(tmp_path: Path, name: str) -> None:
    assert [*problems(tmp_path, right() if name == "a.csv" else complete(scored(right())), name)] == []


@pytest.mark.parametrize(
    ("rows", "parts"),
    {
        "another task's ids": ([row | {"id": f"x{row['id']}"} for row in right()], ("a.parquet, row 0", "'xdev-0'")),
        "another split": (but(3, split="test"), ("row 3", "'dev-3'", "'dev'", "'test'")),
        "an unknown split": (but(3, split="tset"), ("row 3", "'tset'", "'test'")),
        "half the rows": (right()[:35], ("'test'", "15 rows of 30", "test-15")),
        "twice": ([*right(), right()[4]], ("row 50", "'dev-4'", "row 4")),
        "an unknown label": (but(3, answer="smae"), ("row 3", "dev-3", "'smae'", "'same'")),
        "nothing": (but(3, answer=None), ("row 3", "'answer'")),
        "scores of one label": (scored(right()), ("row 0", "'different'")),
    }.values(),
)  # fmt: skip
def test_wrong_predictions_are_one_sentence_with_what_and_where(tmp_path: Path, rows: Rows, parts: tuple[str, ...]) -> None:
    (message,) = problems(tmp_path, rows, "a.parquet")
    assert len(message.splitlines()) == 1
    assert tells(message, "", *parts), message


@pytest.mark.parametrize(
    ("runs", "place", "parts"),
    [
        (("strategy: mine, seed: 0, predictions: a.csv",), "imported_runs[0].strategy", ("'mine'",)),
        (
            ("strategy: x, seed: 0, predictions: a.csv", "strategy: x, seed: 0, predictions: b.csv"),
            "imported_runs[1].seed",
            ("'x'", "seed 0"),
        ),
        (
            ("strategy: x, seed: 0, predictions: a.csv", "strategy: x, seed: 1, predictions: copy.csv"),
            "imported_runs[1].predictions",
            ("imported_runs[0]",),
        ),
        (("strategy: x, seed: 0, predictions: gone.csv",), "imported_runs[0].predictions", ("gone.csv", "No such file")),
        (("strategy: x, seed: 0, predictions: out.csv",), "imported_runs[0].predictions", ("out.csv", "leads away")),
        (("strategy: x, seed: 0, predictions: ../a.csv",), "imported_runs[0].predictions", ("below the folder",)),
        (("strategy: x, seed: 0, predictions: a.csv, task: tyo",), "imported_runs[0].task", ("'tyo'",)),
    ],
)
def test_what_is_wrong_in_the_experiment_file_is_told_at_its_place(
    tmp_path: Path, runs: tuple[str, ...], place: str, parts: tuple[str, ...]
) -> None:
    for name, content in (("a.csv", "1"), ("b.csv", "2"), ("copy.csv", "1")):
        (tmp_path / name).write_text(content)
    (tmp_path / "out.csv").symlink_to(Path(__file__))
    spec = experiment(tmp_path, *runs)
    done = run_here("check", spec, folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert tells(done.stderr, f"{spec}:", place, *parts)


def test_a_run_is_its_file_and_its_seeds_are_its_own(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    both = plan_of(experiment(tmp_path, "strategy: x, seed: 5, predictions: a.csv", "strategy: x, seed: 9, predictions: b.csv"))
    assert [(run.strategy.name, run.seed) for run in both.runs] == [("mine", 0), ("mine", 1), ("x", 5), ("x", 9)]
    alone = plan_of(experiment(tmp_path, "strategy: x, seed: 5, predictions: a.csv"))
    assert alone.runs[-1].id == both.runs[-2].id
    (tmp_path / "a.csv").write_text("other")
    edited = plan_of(experiment(tmp_path, "strategy: x, seed: 5, predictions: a.csv"))
    assert edited.runs[-1].id != alone.runs[-1].id
    looks = SPEC.replace("seeds: 2", "seeds: {looks: [3, 6]}")
    spec = experiment(tmp_path, "strategy: x, seed: 5, predictions: a.csv", head=looks)
    with pytest.raises(SpecError, match="looks"):
        plan_of(spec)


def test_the_files_of_an_experiment_without_a_file_lie_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", right())
    text = SPEC + "  - {strategy: x, seed: 5, predictions: a.csv}\n"
    assert bakeoff.check(text).summary.startswith("spec: 2 strategies")


@pytest.mark.slow
def test_imported_runs_stand_beside_others_in_a_comparison_without_times(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", complete(scored(right())))
    write(tmp_path / "b.jsonl", complete(scored(but(25, answer="different"))))
    runs = ("strategy: theirs, seed: 0, predictions: a.parquet", "strategy: theirs, seed: 7, predictions: b.jsonl")
    spec = experiment(tmp_path, *runs)
    done = run_here("run", spec, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    made = records(tmp_path)
    assert {name: record["predicted"] for name, record in made.items() if name.startswith("theirs")} == {
        "theirs/0": "scores",
        "theirs/7": "scores",
    }
    assert made["theirs/0"]["requested"]["model"] is None
    correct = sum(row["answer"] == ("same" if number % 3 > 0 else "different") for number, row in enumerate(right()[20:]))
    assert made["theirs/0"]["scores"]["test"]["accuracy"] == pytest.approx(correct / 30)
    found = bakeoff.compare(bakeoff.load(tmp_path))
    assert set(found.leaderboard["strategy"]) >= {"mine", "theirs"}
    assert "varies over seeds" not in done.stdout + (tmp_path / "table.md").read_text()
    assert "made-elsewhere" in set(found.warnings["name"])
    again = run_here("run", spec, folder=tmp_path)
    assert "4 runs are recorded" in again.stdout
