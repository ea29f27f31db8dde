"""`select: best-on-dev`, with real worker processes: the training is the same, and the best epoch's state is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, records, write_spec

PLUGIN = Path(__file__).parents[1] / "thirdparty" / "bakeoff-questions"
QUESTIONS = """
name: questions
tasks: [{name: questions, pairs: 100, marks: true}]
models: [tiny-bert]
recipe: {epochs: 4, batch_size: 16, learning_rate: 3e-3, max_length: 32}
strategies:
"""
"""Learnt within four epochs, and not in the same one by every seed."""

LOOP = {"manual-loop": {"trainer": "torch-loop"}}
Both = tuple[Path, Path]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One experiment judged by its last epoch, and by its best."""
    last, best = tmp_path_factory.mktemp("last-epoch"), tmp_path_factory.mktemp("best-on-dev")
    specs = {
        last: write_spec(last, LOOP, head=QUESTIONS, seeds=2),
        best: write_spec(
            best, {"trainer-api": {"trainer": "hf-trainer"}, **LOOP}, head=QUESTIONS, seeds=2, select="best-on-dev"
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLUGIN)
        for folder, spec in specs.items():
            answer = call("run", spec, "--threads", "1", folder=folder)
            assert answer.returncode == 0, answer.stderr
        yield last, best


def losses(folder: Path, record: dict[str, Any]) -> list[float]:
    return pq.read_table(folder / "records" / record["id"] / "steps.parquet")["loss"].to_pylist()  # type: ignore[no-any-return]


def test_looking_does_not_disturb_the_training(both: Both) -> None:
    last, best = both
    for name, record in records(last).items():
        selected = records(best)[name]
        assert losses(last, record) == losses(best, selected), name
        assert record["observed"] == selected["observed"]
        assert record["selection"] is None


def test_every_epochs_end_is_evaluated_once_whichever_trainer(both: Both) -> None:
    found = records(both[1])
    for seed in (0, 1):
        api, loop = found[f"trainer-api/{seed}"], found[f"manual-loop/{seed}"]
        assert api["selection"] == loop["selection"]
        assert api["weights"] == loop["weights"]
        assert losses(both[1], api) == losses(both[1], loop)
        assert (api["selection"]["split"], api["selection"]["evaluations"]) == ("dev", 4)


def test_the_first_best_epoch_is_what_the_record_tells_of(both: Both) -> None:
    last, best = records(both[0]), records(both[1])
    chosen = []
    for name, final in last.items():
        record = best[name]
        selection = record["selection"]
        scores = selection["scores"]
        assert len(scores) == 4
        assert selection["chosen_epoch"] == scores.index(max(scores)) + 1
        assert record["scores"]["dev"]["accuracy"] == max(scores)
        assert scores[-1] == final["scores"]["dev"]["accuracy"], "the last look is at the training's end"
        same = record["weights"]["final_sha256"] == final["weights"]["final_sha256"]
        assert same == (selection["chosen_epoch"] == 4)
        assert 0.0 < selection["discordance"] < 1.0
        assert 0.0 < selection["optimism"] < 0.2
        assert (both[1] / "records" / record["id"] / "record.json").stat().st_size <= 8192
        chosen.append(selection["chosen_epoch"])
    assert len(set(chosen)) == 2, "the recipe of this test no longer shows anything"


def test_looks_count_as_evaluation_and_phases_add_up(both: Both) -> None:
    for record in records(both[1]).values():
        phases, total = record["cost"]["phase_seconds"], record["cost"]["total_seconds"]
        assert sum(phases.values()) == pytest.approx(total, rel=0.01)
        steps = pq.read_table(both[1] / "records" / record["id"] / "steps.parquet")["seconds"].to_pylist()
        assert steps == sorted(steps)
        assert steps[-1] <= phases["train"]


def test_a_trainer_that_does_not_say_where_epochs_end_cannot_be_selected_on(tmp_path: Path) -> None:
    strategies = {"silent": {"trainer": "right"}, "short": {"trainer": "right", "recipe": {"max_steps": 2}}}
    answer = call("run", write_spec(tmp_path, strategies, select="best-on-dev"), "--threads", "1", folder=tmp_path)
    assert answer.returncode == 1
    found = records(tmp_path)
    assert "end_epoch() after 0 of the 1 epochs" in found["silent/0"]["failure"]["message"]
    assert found["silent/0"]["selection"] is None
    within = found["short/0"]["selection"]
    found = [within[key] for key in ("evaluations", "chosen_epoch", "discordance", "optimism")]
    assert found == [1, 1, 0.0, 0.0], "only the final state"


TOY = """
name: toy
tasks: [{name: toy, size: 24}]
models: [tiny-bert]
recipe: {epochs: 4, batch_size: 8, learning_rate: 1e-3, max_length: 32, evaluate_every: 5}
strategies:
"""
"""12 steps, of which an epoch has 3."""


def test_dev_is_evaluated_after_so_many_steps_whichever_trainer(tmp_path: Path) -> None:
    strategies = {
        "loop": {"trainer": "torch-loop"},
        "api": {"trainer": "hf-trainer"},
        "fast": {"trainer": "fast-loop"},
        "epochs": {"trainer": "torch-loop", "recipe": {"evaluate_every": None}},
    }
    done = call("run", write_spec(tmp_path, strategies, head=TOY, select="best-on-dev"), "--threads", "1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    evaluations = {name: record["selection"]["evaluations"] for name, record in found.items()}
    assert evaluations == {"loop/0": 3, "api/0": 3, "fast/0": 3, "epochs/0": 4}, "after 5, 10 and all 12 steps"
    assert found["loop/0"]["selection"] == found["api/0"]["selection"]
    assert found["loop/0"]["weights"] == found["api/0"]["weights"]
    assert found["loop/0"]["observed"] == found["epochs/0"]["observed"], "it disturbs no step"
    assert losses(tmp_path, found["loop/0"]) == losses(tmp_path, found["epochs/0"])


def test_evaluations_need_a_choice_that_they_are_for(tmp_path: Path) -> None:
    answer = call("check", write_spec(tmp_path, LOOP, head=TOY), folder=tmp_path)
    assert (answer.returncode, "evaluate_every" in answer.stderr, "best-on-dev" in answer.stderr) == (2, True, True)


def test_another_metric_of_the_task_may_choose(tmp_path: Path) -> None:
    lines = [f"w{number % 7} tea {number % 3},{'no' if number % 4 else 'yes'}" for number in range(60)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    head = TOY.replace(
        "{name: toy, size: 24}",
        "{name: table, train: rows.csv, text: text, label: label, split: {dev: 30%, test: 20%}, metrics: [accuracy, macro_f1]}",
    ).replace("learning_rate: 1e-3", "learning_rate: 5e-3")
    strategies = {"primary": {"trainer": "torch-loop"}, "other": {"trainer": "torch-loop", "recipe": {"select_by": "macro_f1"}}}
    done = call("run", write_spec(tmp_path, strategies, head=head, select="best-on-dev"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    primary, other = found["primary/0"], found["other/0"]
    assert (primary["selection"]["metric"], other["selection"]["metric"]) == ("accuracy", "macro_f1")
    assert other["scores"]["dev"]["macro_f1"] == max(other["selection"]["scores"])
    assert primary["scores"]["dev"]["accuracy"] == max(primary["selection"]["scores"])
    page = (tmp_path / "table.md").read_text()
    assert "select_by" in page, "rows differ in it, and it is told"
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "rows.csv").write_bytes((tmp_path / "rows.csv").read_bytes())
    wrong = {"one": {"trainer": "torch-loop", "recipe": {"select_by": "macro_f2"}}}
    refused = call("check", write_spec(tmp_path / "wrong", wrong, head=head, select="best-on-dev"), folder=tmp_path)
    assert (refused.returncode, "there is accuracy, macro_f1" in refused.stderr) == (2, True)
