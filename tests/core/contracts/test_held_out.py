"""Splits held out of train: stable, apart in their texts, in the run's id, and used for reporting and choosing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, write_spec
from messages import tells
from pydantic import ValidationError

from bakeoff.contracts.held_out import place_of
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import DataError, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.plugin import Paths
from bakeoff.spec.document import read_document
from bakeoff.training.assembly import load
from bakeoff.training.data_checks import data_checks

HERE = Paths(None, Path("/nowhere"))


@pytest.mark.parametrize("share", ["train 0%", "train 00.00%", "train 100%", "dev 10%"])
def test_a_share_to_select_on_is_above_nothing(share: str) -> None:
    with pytest.raises(ValidationError):
        ids(share)


def ids(share: str, size: int = 400) -> dict[str, set[str]]:
    task = load_registry().get("task", "toy").component
    options = task.Options.model_validate({"size": size, "split": {"select": share}})
    return {name: set(rows["id"]) for name, rows in task.load(options, HERE).items()}


def test_shares_are_about_right_nested_and_leave_the_rest_to_train_on() -> None:
    small, large = ids("train 10%"), ids("train 25.5%")
    assert small["select"] < large["select"]
    assert 20 < len(small["select"]) < 60, "of 400 rows"
    assert 75 < len(large["select"]) < 130
    for splits in (small, large):
        assert splits["train"] | splits["select"] == {f"train-{row}" for row in range(400)}
        assert not splits["train"] & splits["select"]
        assert (len(splits["dev"]), len(splits["test"])) == (20, 30)


def test_a_rows_place_is_the_same_for_ever() -> None:
    assert place_of("train-0") == pytest.approx(PLACE, abs=1e-12)


PLACE = int("f14835adb20abfc8", 16) / 2**64
"""Of sha256("train-0"), as sha256sum has it."""


@pytest.mark.parametrize("name", ["toy", "glue/stsb"])
def test_a_task_can_be_pickled(name: str) -> None:
    task = load_registry().get("task", name).component
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own
    assert (again.name, again.info(again.Options()).splits) == (task.name, task.info(task.Options()).splits)
    assert again.Options().model_dump() == task.Options().model_dump()


def plan(folder: Path, task: str, **keys: str) -> list[str]:
    path = folder / "spec.yaml"
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    path.write_text(
        f"name: carved\ntasks: [{task}]\nmodels: [tiny-bert]\nrecipe: {{max_steps: 2}}\n"
        f"strategies: {{a: {{trainer: torch-loop}}}}\nseeds: 1\n{more}"
    )
    return [run.id for run in resolve(read_document(path), load_registry()).runs]


def test_what_is_carved_is_in_the_id_and_nothing_carved_is_the_run_that_it_was(tmp_path: Path) -> None:
    whole, ten, twenty = (
        plan(tmp_path, task)
        for task in ("toy", "{name: toy, split: {select: train 10%}}", "{name: toy, split: {select: train 20%}}")
    )
    assert len({*whole, *ten, *twenty}) == 3
    assert plan(tmp_path, "{name: toy}") == whole


def test_a_task_without_dev_can_be_selected_on_when_carved(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="labelled split 'dev'"):
        plan(tmp_path, "temper", select="best-on-dev")
    assert plan(tmp_path, "{name: temper, split: {select: train 10%}}", select="best-on-dev")


@pytest.mark.parametrize("share", ["10%", "train 100%", "train -1%", "dev 10%", "train ten%", "train 5"])
def test_shares_that_are_none_are_refused_with_their_place(share: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"spec\.yaml:2:\d+: tasks\[0\]\.split\.select: "):
        plan(tmp_path, f"{{name: toy, split: {{select: '{share}'}}}}")


def test_a_share_that_leaves_nothing_is_named() -> None:
    with pytest.raises(DataError, match="0 rows in select"):
        ids("train 0.01%", size=8)


# --- dev and test ------------------------------------------------------------------------------------------------------------


def made(
    folder: Path, rows: list[tuple[str, str]], split: dict[str, str], **keys: Any
) -> tuple[dict[str, set[str]], list[str]]:
    """(split -> its texts, what the data checks say) of rows (text, label)."""
    (folder / "a.csv").write_text("q,y\n" + "".join(f"{text},{label}\n" for text, label in rows))
    task = load_registry().get("task", "table").component
    options = task.Options.model_validate({"train": "a.csv", "text": "q", "label": "y", "split": split, **keys})
    loaded = load(task, options, Paths(folder, folder / "cache"))
    assert tuple(loaded.splits) == loaded.info.splits
    return {name: set(rows["q"]) for name, rows in loaded.splits.items()}, data_checks(loaded.info, loaded.splits)


def rows_of(size: int, first: int = 0) -> list[tuple[str, str]]:
    return [(f"text {row}", ("spam", "ham")[row % 3 > 0]) for row in range(first, first + size)]


BOTH = {"dev": "10%", "test": "20%"}


def test_rows_that_are_added_move_no_other_row(tmp_path: Path) -> None:
    before, _ = made(tmp_path, rows_of(400), BOTH)
    added = rows_of(300, first=1000)
    after, _ = made(tmp_path, [*added[:100], *rows_of(400), *added[100:]], BOTH)
    assert tuple(before) == ("train", "dev", "test")
    assert [before[name] == after[name] - {text for text, _ in added} for name in before] == [True] * 3
    assert 25 < len(before["dev"]) < 60
    assert 55 < len(before["test"]) < 105


def test_another_share_of_one_moves_no_row_between_the_others(tmp_path: Path) -> None:
    first, _ = made(tmp_path, rows_of(400), BOTH)
    more_dev, _ = made(tmp_path, rows_of(400), {**BOTH, "dev": "30%"})
    alone, _ = made(tmp_path, rows_of(400), {"test": "20%"})
    assert first["test"] == more_dev["test"] == alone["test"]
    assert first["dev"] < more_dev["dev"]
    assert tuple(alone) == ("train", "test")


def test_rows_with_the_same_text_are_in_one_split(tmp_path: Path) -> None:
    rows = [(spelling, label) for text, label in rows_of(120) for spelling in (text, text.upper(), text.replace(" ", "  "))]
    splits, said = made(tmp_path, rows, BOTH)
    texts = {name: {" ".join(text.lower().split()) for text in of} for name, of in splits.items()}
    assert sum(map(len, texts.values())) == 120
    assert not any("row of train" in line for line in said)


def test_the_deviation_from_size_and_shares_of_labels_is_said(tmp_path: Path) -> None:
    rows = [*rows_of(60), *[("rare", "odd")] * 3]
    _, said = made(tmp_path, rows, BOTH)
    (dev,), (test,) = ([line for line in said if line.startswith(name)] for name in ("dev: ", "test: "))
    assert tells(dev, "dev: ", "of 63 rows", " points", "'odd'")
    assert tells(test, "test: ", "of 63 rows", "20 %")
    _, said = made(tmp_path, [*rows_of(60), *[("rare", "odd")] * 3], {"test": "70%"})
    assert any(tells(line, "train: no row", "'odd'") for line in said), said
    numbers = [(f"text {row}", str(row / 2)) for row in range(200)]
    _, said = made(tmp_path, numbers, BOTH, kind="regression")
    assert any(tells(line, "test: ", "mean", "49.75") for line in said), said


def test_the_reported_split_follows_and_what_lacks_one_is_told_the_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,y\na,b\n")
    table = "name: table, train: a.csv, text: q, label: y"
    both, dev_alone = (f"{{{table}, split: {{{shares}}}}}" for shares in ("dev: 10%, test: 20%", "dev: 10%"))
    assert reported(tmp_path, both, select="best-on-dev") == "test"
    assert reported(tmp_path, dev_alone) == "dev"
    assert reported(tmp_path, both, report_on="dev") == "dev"
    for task, keys, place, key in (
        (table, {}, "2:9: tasks[0]: ", "split: {dev: 10%, test: 20%}"),
        (f"{table}, dev: a.csv", {}, "2:9: tasks[0]: ", "split: {test: 20%}"),
        (f"{table}, split: {{dev: 15%}}", {"report_on": "test"}, "6:1: report_on: ", "split: {dev: 15%, test: 20%}"),
        (f"{table}, split: {{test: 5.50 %}}", {"select": "best-on-dev"}, "6:1: select: ", "split: {dev: 10%, test: 5.5%}"),
    ):
        with pytest.raises(SpecError) as caught:
            reported(tmp_path, f"{{{task}}}", **keys)
        (problem,) = caught.value.problems
        assert tells(str(problem), f"{tmp_path}/spec.yaml:{place}", f"`{key}`"), str(problem)


def reported(folder: Path, task: str, **keys: str) -> str:
    path = folder / "spec.yaml"
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    path.write_text(
        f"name: x\ntasks: [{task}]\nmodels: [tiny-bert]\nseeds: 1\nstrategies: {{a: {{trainer: torch-loop}}}}\n{more}"
    )
    return resolve(read_document(path), load_registry()).spec.report_on


@pytest.mark.parametrize(
    ("split", "place"),
    [
        ("{dev: 10%, test: 90%}", "split"),
        ("{dev: 10%, select: train 5%}", "split"),
        ("{train: 70%, test: 30%}", "split"),
        ("{}", "split"),
        ("{dev: 0.1}", "split.dev"),
        ("{dev: 0.0%}", "split.dev"),
        ("{dev: '100%'}", "split.dev"),
        ("{tset: 10%}", "split.tset"),
        ("10%", "split"),
    ],
)
def test_what_is_no_split_is_refused_at_its_place(split: str, place: str, tmp_path: Path) -> None:
    task = f"{{name: table, train: a.csv, text: q, label: y, split: {split}}}"
    with pytest.raises(SpecError, match=rf"spec\.yaml:2:\d+: tasks\[0\]\.{place}: "):
        reported(tmp_path, task)


@pytest.mark.parametrize("task", ["toy", "glue/sst2"])
def test_a_split_that_the_task_has_is_not_made_again(task: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"tasks\[0\]\.split: .*'test' already"):
        reported(tmp_path, f"{{name: {task}, split: {{test: 20%}}}}")


def test_few_rows_that_leave_a_split_empty_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 rows in dev"):
        made(tmp_path, rows_of(3), {"dev": "1%", "test": "20%"})
    with pytest.raises(DataError, match=r"9 rows\b.*\b1 different text"):
        made(tmp_path, [("n/a", "spam"), ("N/A", "ham"), (" n/a", "ham")] * 3, BOTH)


def test_states_are_chosen_on_it_and_dev_stays_to_be_reported(tmp_path: Path) -> None:
    head = (
        "name: carved\ntasks: [{name: toy, size: 40, split: {select: train 30%}}]\nmodels: [tiny-bert]\n"
        "recipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3, max_length: 32}\n"
        "report_on: dev\nselect: best-on-dev\nstrategies:\n"
    )
    spec = write_spec(tmp_path / "e", {"a": {"trainer": "torch-loop"}}, head=head)
    answer = call("run", spec, "--threads", "1", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(tmp_path / "e").values()
    assert record["selection"]["split"] == "select"
    assert set(record["scores"]) == {"dev", "test", "select"}
    sizes = {name: split["examples"] for name, split in record["data"]["splits"].items()}
    assert sizes["train"] + sizes["select"] == 40
