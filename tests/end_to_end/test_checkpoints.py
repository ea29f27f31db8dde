"""A run that is killed goes on from its last checkpoint and ends as if nothing had happened, to the bit."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bakeoff.checkpoint import Checkpoints
from bakeoff.errors import SpecError
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.records.provenance import Facts
from bakeoff.worker import perform

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
RECIPE = "epochs: 3, batch_size: 4, learning_rate: 1e-3, warmup: 2"
TRAINERS = ["hf-trainer", "torch-loop", "fast-loop"]


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def request(folder: Path, trainer: str, recipe: str = RECIPE, **keys: Any) -> Any:
    from bakeoff_planted_bench import plan_of, requests_of

    plan = plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", **keys)
    return requests_of(plan)["one"].model_copy(update={"checkpoint_every": 2, "checkpoints": folder / "checkpoints"})


def run(asked: Any, folder: Path) -> Any:
    folder.mkdir()
    return perform(asked, folder)


def killed_at(step: int, asked: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run until it begins this step (0, 1, ...)."""
    from bakeoff.job import Job

    begin = Job.begin_step

    def stop(self: Any, number: int) -> None:
        if number == step:
            raise Killed
        begin(self, number)

    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Job, "begin_step", stop)
        with pytest.raises(Killed):
            perform(asked, folder)


def same(one: Any, other: Any, folders: tuple[Path, Path]) -> None:
    """All that does not depend on time."""
    for record in (one, other):
        assert record.status == "ok", record.failure
    assert one.weights == other.weights
    assert one.scores == other.scores
    assert one.observed == other.observed
    assert one.selection == other.selection
    assert (one.cost.steps, one.cost.flops) == (other.cost.steps, other.cost.flops)
    first, second = (pq.read_table(folder / "steps.parquet").drop_columns(["seconds"]) for folder in folders)
    assert first.equals(second)
    assert pq.read_table(folders[0] / "predictions.parquet").equals(pq.read_table(folders[1] / "predictions.parquet"))


def some_steps(trainer: str) -> Iterator[int]:
    """Three at random, the same ones every time."""
    yield from random.Random(trainer).sample(range(3, 18), 3)  # noqa: S311 - nobody is to be kept from guessing them


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(
    ("recipe", "keys"),
    [
        (RECIPE, {}),
        (RECIPE + ", micro_batch_size: 2, optimizer: sgd, momentum: 0.9", {}),
        (
            RECIPE + ", scheduler: cosine, bias_correction: false, weight_decay: 0.1",
            {"select": "best-on-dev", "task": "{name: toy, size: 20}"},
        ),
    ],
    ids=["plain", "accumulated", "best on dev"],
)
def test_a_killed_run_ends_as_the_uninterrupted_one(
    trainer: str, recipe: str, keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(tmp_path, trainer, recipe, **keys)
    whole = run(asked.model_copy(update={"checkpoint_every": None, "checkpoints": None}), tmp_path / "whole")
    total = whole.cost.steps
    for number, step in enumerate(some_steps(trainer)):
        shutil.rmtree(tmp_path / "checkpoints", ignore_errors=True)
        at = 3 + step % (total - 3)
        killed_at(at, asked, tmp_path / f"killed-{number}", monkeypatch)
        again = run(asked, tmp_path / f"again-{number}")
        assert again.resumed_at == [at // 2 * 2]
        same(whole, again, (tmp_path / "whole", tmp_path / f"again-{number}"))


def test_killed_twice_and_at_an_epochs_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(tmp_path, "hf-trainer")
    whole = run(asked.model_copy(update={"checkpoint_every": None, "checkpoints": None}), tmp_path / "whole")
    per_epoch = whole.cost.steps // 3
    killed_at(per_epoch, asked, tmp_path / "one", monkeypatch)
    killed_at(2 * per_epoch, asked, tmp_path / "two", monkeypatch)
    again = run(asked, tmp_path / "again")
    assert again.resumed_at == [per_epoch // 2 * 2, 2 * per_epoch // 2 * 2]
    same(whole, again, (tmp_path / "whole", tmp_path / "again"))
    assert again.cost.total_seconds > sum(
        sum(json.loads(path.read_bytes())["others"]["seconds"].values())
        for path in [sorted((tmp_path / "checkpoints").glob("*/state.json"))[0]]
    ), "what the killed attempts took until their checkpoints is counted"


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = request(tmp_path, "torch-loop")
    whole = run(asked.model_copy(update={"checkpoint_every": None, "checkpoints": None}), tmp_path / "whole")
    killed_at(9, asked, tmp_path / "killed", monkeypatch)
    places = sorted((tmp_path / "checkpoints").iterdir())
    assert [place.name for place in places] == ["step-000000006", "step-000000008"]
    content = (places[-1] / name).read_bytes()
    (places[-1] / name).write_bytes(content[: len(content) // 2])
    again = run(asked, tmp_path / "again")
    assert again.resumed_at == [6]
    assert "step-000000008 is damaged" in capsys.readouterr().out
    same(whole, again, (tmp_path / "whole", tmp_path / "again"))


FACTS: Facts = {
    ("rows", "train"): ("rows", "file"),
    ("labels", ""): ("labels",),
    ("weights", ""): ("weights", None),
    ("software", "torch"): ("2.13.0",),
    ("hardware", ""): ("a laptop",),
}


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        (("rows", "train"), ("other rows", "file"), "the rows of train"),
        (("labels", ""), ("renamed",), "the names of labels"),
        (("weights", ""), ("other weights", None), "the weights"),
        (("software", "torch"), ("2.14.0",), "torch"),
        (("hardware", ""), ("a desktop",), "the hardware"),
    ],
)
def test_a_checkpoint_of_other_things_is_left_alone(key: Any, value: Any, what: str, tmp_path: Path) -> None:
    import torch

    mine = Checkpoints(tmp_path / "c", 2, made_by=FACTS)
    for steps in (2, 4):
        mine.save(steps, {"a": torch.ones(3)}, {"x": steps})
    saved = mine.newest()
    assert saved is not None
    assert (saved.steps, saved.tensors["a"].tolist(), saved.facts["x"]) == (4, [1, 1, 1], 4)
    notes: list[str] = []
    others = Checkpoints(tmp_path / "c", 1, made_by={**FACTS, key: value}, note=notes.append)
    assert others.newest() is None
    assert [note.rpartition(": ")[2] for note in notes] == [what, what]
    for steps in (1, 2, 3):
        others.save(steps, {"a": torch.zeros(3)}, {})
    left = [int(place.name[-9:]) for place in others.places()]
    assert left == [2, 3, 4], "its own newest two, and what is another's"
    found = Checkpoints(tmp_path / "c", 1, made_by={**FACTS, key: value}).newest()
    assert found is not None
    assert found.steps == 3


def test_a_checkpoint_that_does_not_say_what_it_was_made_from_is_not_used(tmp_path: Path) -> None:
    import torch

    mine = Checkpoints(tmp_path / "c", 2, made_by=FACTS)
    mine.save(2, {"a": torch.ones(3)}, {})
    place = tmp_path / "c" / "step-000000002"
    facts = json.loads((place / "state.json").read_bytes()) | {"made_by": {"software": {"torch": "2.13.0"}}}
    (place / "state.json").write_text(json.dumps(facts))
    manifest = json.loads((place / "manifest.json").read_bytes())
    manifest["files"]["state.json"] = sha256_of(place / "state.json")
    (place / "manifest.json").write_text(json.dumps(manifest))
    notes: list[str] = []
    assert Checkpoints(tmp_path / "c", 2, made_by=FACTS, note=notes.append).newest() is None
    assert "it does not say what it was made from" in notes[0]


def test_no_pickle_is_read_and_no_link_followed(tmp_path: Path) -> None:
    import pickle

    import torch

    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "executed",)

    mine = Checkpoints(tmp_path / "c", 2, made_by={})
    mine.save(2, {"a": torch.ones(3)}, {})
    mine.save(4, {"a": torch.ones(3)}, {})
    (tmp_path / "c" / "step-000000004" / "state.safetensors").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "c" / "step-000000006").symlink_to(tmp_path / "c" / "step-000000002")
    saved = mine.newest()
    assert saved is not None
    assert saved.steps == 2
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "state.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_state_is_read_from_plain_files_only(name: str, kind: str, tmp_path: Path) -> None:
    import torch

    notes: list[str] = []
    mine = Checkpoints(tmp_path / "c", 2, made_by={}, note=notes.append)
    for steps in (2, 4):
        mine.save(steps, {"a": torch.ones(3)}, {})
    path = tmp_path / "c" / "step-000000004" / name
    path.rename(tmp_path / "elsewhere")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    saved = mine.newest()
    assert saved is not None
    assert saved.steps == 2
    assert len(notes) == 1


def test_a_trainer_that_cannot_go_on_is_refused(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    with pytest.raises(SpecError, match=r"spec\.yaml:\d+:\d+: checkpoint_every: .*cannot go on from one"):
        plan_of(tmp_path, "{one: {trainer: right}}", checkpoint_every=2)
