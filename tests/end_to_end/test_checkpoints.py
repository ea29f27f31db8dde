"""A run that is killed goes on from its last checkpoint and ends as if nothing had happened, to the bit."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from builders import sealed

from bakeoff.errors import SpecError
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.records.provenance import Facts
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.worker import perform

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
RECIPE = "epochs: 3, batch_size: 4, learning_rate: 1e-3, warmup: 2"
TRAINERS = ["hf-trainer", "torch-loop", "fast-loop"]


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


class Killed(KeyboardInterrupt):
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
    from bakeoff.training.job import Job

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


ALTERED: dict[str, Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]] = {
    "a digit of the manifest": lambda manifest, facts, tensors: manifest.update(steps=9),
    "no step": lambda manifest, facts, tensors: manifest.update(steps=-8),
    "steps as text": lambda manifest, facts, tensors: manifest.update(steps="8"),
    "another file": lambda manifest, facts, tensors: manifest["files"].update({"../x": "0" * 64}),
    "a shorter clock": lambda manifest, facts, tensors: facts["clock"].pop(),
    "a clock of words": lambda manifest, facts, tensors: facts["clock"].__setitem__(0, "noon"),
    "no clock": lambda manifest, facts, tensors: facts.pop("clock"),
    "other rows": lambda manifest, facts, tensors: facts["fed"][3].__setitem__(0, [0, 0, 0, 0]),
    "rows below zero": lambda manifest, facts, tensors: facts["fed"][3][0].__setitem__(0, -1),
    "more epochs": lambda manifest, facts, tensors: facts.update(epochs_ended=3),
    "an observer ahead": lambda manifest, facts, tensors: facts["observer"].update(steps=9),
    "rates that are none": lambda manifest, facts, tensors: facts["observer"].update(learning_rates=None),
    "a norm of a step to come": lambda manifest, facts, tensors: facts["observer"]["norms"].update({"12": 1.0}),
    "operations of no step": lambda manifest, facts, tensors: facts["operations"].update({"first": 1}),
    "resumed in the future": lambda manifest, facts, tensors: facts.update(resumed_at=[99]),
    "seconds of no phase": lambda manifest, facts, tensors: facts["others"]["seconds"].update(lunch=1.0),
    "seconds without end": lambda manifest, facts, tensors: facts["others"]["seconds"].update(train=1e300),
    "a best of no evaluation": lambda manifest, facts, tensors: facts["others"].update(best={"scores": [0.5], "best": 3}),
    "something more": lambda manifest, facts, tensors: facts.update(more=1),
    "a weight of another shape": lambda manifest, facts, tensors: tensors.update(
        {name: tensor[:1].clone() for name, tensor in tensors.items() if name.endswith("classifier.weight")}
    ),
    "weights in half": lambda manifest, facts, tensors: tensors.update(
        {name: tensor.half() for name, tensor in tensors.items() if name.startswith("model/")}
    ),
    "no weights": lambda manifest, facts, tensors: [tensors.pop(name) for name in [*tensors] if name.startswith("model/")],
    "a loss more": lambda manifest, facts, tensors: tensors.update(losses=tensors["losses"].repeat(2)),
    "strange tensors": lambda manifest, facts, tensors: tensors.update(other=tensors["losses"].clone()),
}


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The checkpoints of a run that was killed after its 8th step, at steps 6 and 8."""
    folder = tmp_path_factory.mktemp("halted")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLANTED)
        killed_at(9, request(folder, "torch-loop"), folder / "killed", patch)
        yield folder / "checkpoints"


def seal_again(place: Path, manifest: dict[str, Any]) -> None:
    manifest["files"] |= {name: sha256_of(place / name) for name in ("state.json", "state.safetensors")}
    (place / "manifest.json").write_bytes(sealed(manifest))


def test_a_checkpoint_that_does_not_fit_its_run_is_named_though_its_checksums_fit(
    halted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All kinds in one training, which reads the last checkpoint again and again before it goes on from the one before."""
    from safetensors.torch import load_file, save_file

    from bakeoff.training.checkpoints import Checkpointing

    shutil.copytree(halted, tmp_path / "checkpoints")
    place = tmp_path / "checkpoints" / "step-000000008"
    notes: dict[str, list[str]] = {}
    whole = {path.name: path.read_bytes() for path in place.iterdir()}
    newest = Checkpointing._newest

    def each_kind(self: Any, checkpoints: Any) -> Any:
        for what, alter in ALTERED.items():
            for name, content in whole.items():
                (place / name).write_bytes(content)
            manifest, facts = (json.loads(whole[name]) for name in ("manifest.json", "state.json"))
            tensors = load_file(place / "state.safetensors")
            alter(manifest, facts, tensors)
            save_file(tensors, place / "state.safetensors")
            (place / "state.json").write_text(json.dumps(facts))
            seal_again(place, manifest)
            checkpoints.note = notes.setdefault(what, []).append
            found = newest(self, checkpoints)
            assert found is not None, what
            assert found.steps == 6, what
        return found

    monkeypatch.setattr(Checkpointing, "_newest", each_kind)
    again = run(request(tmp_path, "torch-loop"), tmp_path / "again")
    assert (again.status, again.resumed_at) == ("ok", [6]), again.failure
    assert notes.keys() == ALTERED.keys()
    for (note,) in notes.values():
        assert "step-000000008 is damaged" in note
        assert note.isprintable()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"[" * 100_000),
        ("manifest.json", b"{}"),
        ("manifest.json", b'{"steps": 4, "files": {}}'),
        ("state.json", b"{"),
        ("state.json", b"[]"),
        ("state.safetensors", b""),
        ("state.safetensors", b"\xff" * 64),
        ("state.safetensors", (50_000_000).to_bytes(8, "little") + b"[" * 100),
    ],
)
@pytest.mark.parametrize("fits", [True, False], ids=["right checksums", "wrong ones"])
def test_any_content_of_a_checkpoints_file_is_one_note(name: str, content: bytes, fits: bool, tmp_path: Path) -> None:
    import torch

    notes: list[str] = []
    mine = Checkpoints(tmp_path / "c", 2, made_by=FACTS, note=notes.append)
    for steps in (2, 4):
        mine.save(steps, {"a": torch.ones(3)}, {})
    place = tmp_path / "c" / "step-000000004"
    manifest = json.loads((place / "manifest.json").read_bytes())
    (place / name).write_bytes(content)
    if fits and name != "manifest.json":
        seal_again(place, manifest)
    saved = mine.newest()
    assert saved is not None
    assert saved.steps == 2
    (note,) = notes
    assert "step-000000004 is damaged" in note
    assert note.isprintable()


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "state.safetensors"])
def test_a_checkpoints_file_that_is_no_plain_file_is_neither_waited_for_nor_followed(name: str, tmp_path: Path) -> None:
    import torch

    notes: list[str] = []
    mine = Checkpoints(tmp_path / "c", 2, made_by=FACTS, note=notes.append)
    for steps in (2, 4):
        mine.save(steps, {"a": torch.ones(3)}, {})
    two, four = (tmp_path / "c" / f"step-00000000{step}" for step in (2, 4))
    (four / name).unlink()
    os.mkfifo(four / name)
    (two / name).rename(tmp_path / "elsewhere")
    (two / name).symlink_to(tmp_path / "elsewhere")
    assert mine.newest() is None
    assert [("a named pipe" in note, "symbolic link" in note) for note in notes] == [(True, False), (False, True)]


def test_damaged_checkpoints_count_for_none_of_those_that_are_kept(tmp_path: Path) -> None:
    """The newest by their numbers, they would have each whole one deleted as soon as it is written."""
    import torch

    mine = Checkpoints(tmp_path / "c", 1, made_by=FACTS)
    for steps in (8, 9):
        mine.save(steps, {"w": torch.zeros(1)}, {})
        (mine.folder / f"step-{steps:09d}" / "manifest.json").write_bytes(b"{")
    again = Checkpoints(tmp_path / "c", 1, made_by=FACTS)
    assert again.newest() is None
    again.save(1, {"w": torch.ones(1)}, {})
    found = Checkpoints(tmp_path / "c", 1, made_by=FACTS).newest()
    assert found is not None
    assert found.steps == 1


def test_a_checkpoint_of_an_older_bakeoff_is_left_with_a_note(tmp_path: Path) -> None:
    import torch

    notes: list[str] = []
    mine = Checkpoints(tmp_path / "c", 2, made_by=FACTS, note=notes.append)
    mine.save(2, {"a": torch.ones(3)}, {})
    path = tmp_path / "c" / "step-000000002" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["seal"]
    path.write_text(json.dumps(manifest))
    assert mine.newest() is None
    assert "no checksum of" in notes[0]


def test_an_optimizers_state_that_does_not_fit_blames_the_checkpoint(halted: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(halted, tmp_path / "checkpoints")
    for place in (tmp_path / "checkpoints").iterdir():
        tensors = load_file(place / "state.safetensors")
        tensors["optimizer/0/exp_avg"] = tensors["optimizer/0/exp_avg"].flatten()[:3].clone()
        save_file(tensors, place / "state.safetensors")
        seal_again(place, json.loads((place / "manifest.json").read_bytes()))
    record = run(request(tmp_path, "torch-loop"), tmp_path / "again")
    assert record.failure is not None
    place = tmp_path / "checkpoints" / "step-000000008"
    assert record.failure.message.startswith(
        f"checkpoint {place} is damaged: state.safetensors: 'optimizer/0/exp_avg' is of shape"
    )


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
    seal_again(place, manifest)
    notes: list[str] = []
    assert Checkpoints(tmp_path / "c", 2, made_by=FACTS, note=notes.append).newest() is None
    assert "does not say" in notes[0]


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

    with pytest.raises(SpecError, match=r"spec\.yaml:\d+:\d+: checkpoint_every: .*resume from a checkpoint"):
        plan_of(tmp_path, "{one: {trainer: right}}", checkpoint_every=2)
