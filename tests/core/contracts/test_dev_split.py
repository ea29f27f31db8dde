"""A split to select on, carved out of train by the rows' ids: stable, nested, in the run's id, and used for choosing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from end_to_end.experiments import call, records, write_spec

from bakeoff.contracts.dev_split import place_of
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import DataError, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.plugin import Paths
from bakeoff.spec.document import read_document

HERE = Paths(None, Path("/nowhere"))


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
    with pytest.raises(DataError, match="0% leaves 8"):
        ids("train 0%", size=8)


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
