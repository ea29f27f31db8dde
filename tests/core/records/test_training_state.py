"""A checkpoint whose checksums are right and whose optimizer or scheduler is another's: the file in it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from messages import tells
from safetensors.torch import load_file, save_file
from stress.kinds_of_files import make_checkpoint, seal_checkpoint, use_checkpoint

from bakeoff.errors import RunError

FACTS, TENSORS = "state.json", "state.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_checkpoint(place := tmp_path_factory.mktemp("whole"))
    return place


def scheduler(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(place: Path) -> None:
        plain = json.loads((place / FACTS).read_bytes())
        change(plain["scheduler"])
        (place / FACTS).write_text(json.dumps(plain))

    return apply


def number(index: str, name: str) -> Callable[[Path], None]:
    """One more number that the optimizer keeps."""

    def apply(place: Path) -> None:
        plain = json.loads((place / FACTS).read_bytes())
        plain["optimizer"].setdefault(index, {})[name] = 1
        (place / FACTS).write_text(json.dumps(plain))

    return apply


def tensor(name: str) -> Callable[[Path], None]:
    """The first tensor of the optimizer under another name."""

    def apply(place: Path) -> None:
        tensors = load_file(place / TENSORS)
        tensors[name] = tensors.pop("optimizer/0/exp_avg")
        save_file(tensors, place / TENSORS)

    return apply


@pytest.mark.parametrize(
    ("damage", "file", "why"),
    [
        (scheduler(lambda plain: plain.pop("last_epoch")), FACTS, "'last_epoch' is missing"),
        (scheduler(lambda plain: plain.update({"\x1b[2J": 1})), FACTS, "is not part of this scheduler's state"),
        (scheduler(lambda plain: plain.update(last_epoch="x")), FACTS, "last_epoch is 'x'"),
        (scheduler(lambda plain: plain.update(_last_lr=[])), FACTS, "_last_lr is '[]'"),
        (number("0", "exp_avg_sq"), FACTS, "'optimizer/0/exp_avg_sq' is of shape ()"),
        (number("999", "a"), FACTS, "'optimizer/999/a' belongs to no parameter"),
        (tensor("optimizer/2/step"), TENSORS, "'optimizer/2/step' is of shape"),
        (tensor("optimizer/-1/exp_avg"), TENSORS, "'optimizer/-1/exp_avg' belongs to no parameter"),
        (tensor("optimizer/first/exp_avg"), TENSORS, "'optimizer/first/exp_avg' belongs to no parameter"),
        (tensor("optimizer/7"), TENSORS, "'optimizer/7/' belongs to no parameter"),
        (tensor("optimizer"), TENSORS, "'optimizer//' belongs to no parameter"),
        (tensor("optimizer/\x1b[2J/\x00"), TENSORS, "belongs to no parameter"),
    ],
)
def test_the_file_is_named(whole: Path, tmp_path: Path, damage: Callable[[Path], None], file: str, why: str) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    place = tmp_path / "c" / "step-000000006"
    damage(place)
    seal_checkpoint(tmp_path, place / file)
    with pytest.raises(RunError) as caught:
        use_checkpoint(tmp_path, [])
    assert tells(str(caught.value), f"checkpoint {place} ", f"{file}: ")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
