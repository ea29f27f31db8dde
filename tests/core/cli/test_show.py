"""`bakeoff show task`: the look at the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from core.calling import Call

TOY = ("show", "task", "toy", "--option", "size=20", "--model", "tiny-bert")


def test_a_task_is_shown_with_all_that_one_looks_for_first(call: Call) -> None:
    code, out, err = call(*TOY, "--json")
    assert (code, err) == (0, "")
    look = json.loads(out)
    assert look["columns"] == {"id": "str", "first": "str", "second": "str", "label": "int", "start": "str"}
    assert look["labels"] == ["different", "same"]
    train, test = look["splits"]["train"], look["splits"]["test"]
    assert (train["examples"], train["labels"], train["majority_baseline"]) == (20, {"different": 7, "same": 13}, None)
    assert test["majority_baseline"]["accuracy"] == pytest.approx(20 / 30)
    assert sum(test["slices"]["start"].values()) == 30
    lengths = list(train["tokens"]["quantiles"].values())
    assert list(train["tokens"]["quantiles"]) == ["50%", "90%", "95%", "99%"]
    assert lengths == sorted(lengths)
    assert lengths[-1] <= train["tokens"]["longest"]
    assert (look["model"], look["max_length"], train["tokens"]["share_cut"]) == ("tiny-bert", 128, 0.0)
    assert [example["id"] for example in look["examples"]] == ["train-0", "train-1", "train-2"]


def test_people_get_tables(call: Call) -> None:
    code, out, err = call(*TOY, "--examples", "1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("toy: ")
    assert "train 20 7 (35 %) 13 (65 %)" in [" ".join(line.split()) for line in lines]
    assert any(line.startswith("majority baseline: ") for line in lines)
    assert "example 1 of train: different (train-0)" in lines
    assert "example 2 of train" not in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("toi",), "no task 'toi'; did you mean 'toy'?"),
        (("toy", "--option", "sise=20"), "--option: sise: no key 'sise'; did you mean 'size'?"),
        (("toy", "--option", "size=1"), "--option: size: must be 4 or more; got 1"),
        (("toy", "--option", "size"), "--option: expected KEY=VALUE; got 'size'"),
        (("toy", "--option", "size=5", "--option", "size=6"), "--option: size is given twice"),
        (("toy", "--option", "shade=!!python/name:os.system"), "shade: YAML tags are not allowed"),
        (("toy", "--option", "missing=true"), "the toy box is empty"),
        (("toy", "--model", "tiny-brt"), "no model 'tiny-brt'; did you mean 'tiny-bert'?"),
        (("toy", "--model", "hub"), "--model-option: path: this key is needed"),
        (("toy", "--model", "hub", "--model-option", "path=/no/such"), "/no/such"),
        (("toy", "--data", "/no/such"), "--data: no folder "),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_code_2(call: Call, arguments: tuple[str, ...], line: str) -> None:
    code, out, err = call("show", "task", *arguments)
    assert (code, out) == (2, "")
    assert line in err
    assert len(err.splitlines()) == 1


def test_only_tasks_are_shown_so_far(call: Call) -> None:
    code, _, err = call("show", "model", "minilm")
    assert code == 2
    assert "No such command 'model'" in err


def test_rows_are_written_for_who_predicts_elsewhere_without_the_labels_that_are_reported(call: Call, tmp_path: Path) -> None:
    code, out, err = call("show", "task", "toy", "--option", "size=20", "--rows", tmp_path / "rows")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"wrote {tmp_path / 'rows' / 'train.jsonl'}: 20 rows"
    rows = {path.stem: list(map(json.loads, path.read_text().splitlines())) for path in (tmp_path / "rows").iterdir()}
    assert {split: set(found[0]) - {"split", "id", "first", "second"} for split, found in rows.items()} == {
        "train": {"label"},
        "dev": {"label"},
        "test": set(),
    }
    assert {row["label"] for row in rows["train"]} == {"same", "different"}
    assert rows["test"][0]["split"] == "test"
    code, out, err = call("show", "task", "toy", "--option", "size=20", "--rows", tmp_path / "rows")
    assert (code, out) == (2, "")
    assert "not empty" in err
