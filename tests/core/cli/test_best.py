"""`bakeoff best`: the recommended strategy's median run by dev, its kept model, or what makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import clean_answers, make_folder
from builders.experiments import LABELS
from builders.records import sha256
from core.calling import Call
from messages import tells

from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE, KeptModel, Record
from bakeoff.records.store import Store

COLLAPSED = 2
CARD = "# A card\n\n\x1b[2Jgone\n"


def made(folder: Path, **keywords: Any) -> Path:
    good = clean_answers(accuracy=0.9, seeds=6, seed=2)
    good[COLLAPSED] = 0
    answers = {"poor": clean_answers(accuracy=0.6, seeds=6, seed=1), "good": good}
    return make_folder(folder, answers, LABELS, split="dev", report_on="dev", **keywords)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path / "e")


def asked(call: Call, folder: Path) -> tuple[int, dict[str, Any]]:
    code, out, _ = call("best", folder, "--json")
    answer = json.loads(out)
    (found,) = answer["best"]
    assert (answer["format"], answer["ok"]) == (1, code == 0)
    return code, found


def rewritten(folder: Path, run_id: str, *, model: dict[str, str], **changes: Any) -> Record:
    """The record with other fields, and files of a kept model."""
    store = Store(folder)
    place, record = store.records / run_id, store.read(run_id)
    for name, text in model.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    files = record.files | {name: sha256(text) for name, text in model.items()}
    record = record.model_copy(update={"files": files, **changes})
    (place / RECORD_FILE).write_bytes(dump(record))
    return record


def test_the_median_by_dev_of_the_runs_that_learned_is_chosen_of_two_the_worse(
    call: Call, folder: Path, tmp_path: Path
) -> None:
    code, found = asked(call, folder)
    scores = {
        one.requested.seed: one.scores["dev"]["accuracy"]
        for one in Store(folder).read_all()[0]
        if one.requested.strategy == "good"
    }
    learned = sorted((score, seed) for seed, score in scores.items() if seed != COLLAPSED)
    assert (code, found["take"], found["of_runs"], found["split"]) == (1, "good", 5, "dev")
    assert (found["score"], found["seed"], found["run"]) == (*learned[2], f"good:{learned[2][1]}")
    even = made(tmp_path / "even", failing={"good": [learned[4][1]]})
    assert asked(call, even)[1]["seed"] == learned[1][1], "of four the second"


def test_where_it_was_not_kept_the_command_that_makes_it_is_told(call: Call, folder: Path) -> None:
    _, found = asked(call, folder)
    spec = folder / Store(folder).declared().spec_file
    again = f"`bakeoff run {spec} --only {found['run']} --retry unkept`"
    assert tells(found["what_to_do"], "the run's model ", f"`keep: final` into {spec}, ", again)
    assert again in call("best", folder)[1]
    rewritten(folder, found["id"], model={}, kept=KeptModel(reason="no \x1b room", difference=None))
    code, found = asked(call, folder)
    assert (code, tells(found["what_to_do"], "the run's model ", "kept: no \x1b ", f"room; {again}")) == (1, True)
    assert "no \\x1b room" in call("best", folder)[1]


def test_a_kept_model_is_shown_with_its_card(call: Call, folder: Path) -> None:
    run_id = asked(call, folder)[1]["id"]
    rewritten(folder, run_id, model={"model/README.md": CARD, "model/model.safetensors": "weights"})
    code, found = asked(call, folder)
    assert (code, found["model_folder"]) == (0, str(folder / "records" / run_id / "model"))
    code, out, _ = call("best", folder)
    lines = out.splitlines()
    assert (code, lines[-3:]) == (0, ["# A card", "", "\\x1b[2Jgone"])
    assert f"model: {folder / 'records' / run_id / 'model'}" in lines
    (folder / "records" / run_id / "model" / "model.safetensors").write_text("others")
    code, out, err = call("best", folder)
    assert (code, out, "was altered" in err) == (2, "", True)


def test_where_nothing_is_recommended_nothing_is_chosen(call: Call, tmp_path: Path) -> None:
    few = make_folder(tmp_path / "few", {"a": clean_answers(seeds=2, seed=1), "b": clean_answers(seeds=2)}, LABELS)
    code, found = asked(call, few)
    assert (code, found["take"], found["run"], found["model_folder"]) == (1, None, None, None)
    assert call("best", few)[1].strip() != ""


def test_without_a_score_on_dev_no_median_is_chosen(call: Call, tmp_path: Path) -> None:
    answers = {"poor": clean_answers(accuracy=0.6, seed=1), "good": clean_answers()}
    code, found = asked(call, make_folder(tmp_path / "e", answers, LABELS))
    assert (code, found["take"], found["run"]) == (1, "good", None)
    assert tells(found["what_to_do"], "no run of good ", "score on dev")
