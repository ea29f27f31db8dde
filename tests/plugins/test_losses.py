"""The focal loss, and what the recipe key `loss` does in every trainer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from messages import tells

from bakeoff.errors import PluginError, SpecError
from bakeoff.parity.trace import Trace, trace

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
RECIPE = "epochs: 2, batch_size: 4, learning_rate: 1e-3"
NO_DROPOUT = "{name: tiny-bert, dropout: 0.0}"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


def trained(folder: Path, recipe: str, trainer: str = "torch-loop", **keys: Any) -> tuple[Trace, Any]:
    import bakeoff_planted_bench

    plan = bakeoff_planted_bench.plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", **keys)
    assembly, job = bakeoff_planted_bench.ready(bakeoff_planted_bench.requests_of(plan)["one"])
    seen = trace(assembly, job)
    assert not seen.trouble
    return seen, job


def focal(logits: Any, targets: Any, gamma: float) -> Any:
    from bakeoff_losses import Focal, FocalOptions

    return Focal().losses(logits, targets, FocalOptions(gamma=gamma))


def test_focal_is_the_paper_s_formula() -> None:
    import torch

    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
    for gamma in (0.0, 0.5, 2.0):
        for row, (given, target) in enumerate(zip(logits, (0, 2), strict=True)):
            p = math.exp(float(given[target])) / sum(math.exp(float(logit)) for logit in given)
            found = focal(logits, torch.tensor([0, 2]), gamma)[row]
            assert float(found) == pytest.approx(-((1 - p) ** gamma) * math.log(p), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_gradients_of_a_row_that_is_certain_are_finite(gamma: float) -> None:
    import torch

    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma).sum().backward()
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("trainer", ["torch-loop", "hf-trainer", "fast-loop"])
def test_every_trainer_follows_it(tmp_path: Path, trainer: str) -> None:
    loop, _ = trained(tmp_path, f"{RECIPE}, loss: focal", model=NO_DROPOUT)
    seen, job = trained(tmp_path, f"{RECIPE}, loss: focal", trainer, model=NO_DROPOUT)
    assert [step.loss for step in seen.steps] == pytest.approx([step.loss for step in loop.steps], rel=1e-4)
    plain, _ = trained(tmp_path, RECIPE, trainer, model=NO_DROPOUT)
    assert seen.steps[0].loss < plain.steps[0].loss, "no row is certain at first, and each counts less"
    assert job.observed().loss_scale.gradient == pytest.approx([1.0, 1.0], abs=1e-3), "held against the loss that was asked for"


def test_gamma_0_is_the_default_loss(tmp_path: Path) -> None:
    flat, _ = trained(tmp_path, f"{RECIPE}, loss: {{name: focal, gamma: 0.0}}")
    plain, _ = trained(tmp_path, RECIPE)
    assert [step.loss for step in flat.steps] == pytest.approx([step.loss for step in plain.steps], rel=1e-4)


def test_micro_batches_and_class_weights_go_with_it(tmp_path: Path) -> None:
    recipe = "epochs: 1, batch_size: 8, learning_rate: 1e-3, loss: focal, class_weights: balanced"
    whole, _ = trained(tmp_path, recipe, model=NO_DROPOUT)
    parts, _ = trained(tmp_path, f"{recipe}, micro_batch_size: 2", model=NO_DROPOUT)
    assert [step.loss for step in parts.steps] == pytest.approx([step.loss for step in whole.steps], rel=1e-4)


WRONG = {
    "an unknown name": ("loss: fokal", "recipe.loss", "'focal'"),
    "a word of other tools": ("loss: cross_entropy", "recipe.loss", "`loss: default`"),
    "an unknown option": ("loss: {name: focal, gama: 2.0}", "recipe.loss.gama", "'gamma'"),
    "a value out of range": ("loss: {name: focal, gamma: -1.0}", "recipe.loss.gamma", "0 or more"),
    "label smoothing beside it": ("loss: focal, label_smoothing: 0.1", "recipe", "`loss: default`"),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_loss_is_told_at_its_place(tmp_path: Path, wrong: str) -> None:
    from bakeoff_planted_bench import plan_of

    written, *words = WRONG[wrong]
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, "{one: {trainer: torch-loop}}", recipe=f"{{{RECIPE}, {written}}}")
    assert tells(str(refused.value), "", *words)


@pytest.mark.parametrize("trainer", ["torch-loop", "{name: hf-trainer, as_shipped: true}"])
def test_it_is_refused_where_it_can_t_be_followed(tmp_path: Path, trainer: str) -> None:
    from bakeoff_planted_bench import plan_of

    (tmp_path / "rows.csv").write_text("text,stars\na,1.5\nb,2.0\n", encoding="utf-8")
    stars = "{name: table, train: rows.csv, test: rows.csv, text: text, label: stars, kind: regression}"
    task = stars if trainer == "torch-loop" else "planted/sentences"
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{RECIPE}, loss: focal}}", task=task, margin=0.1)
    assert "recipe.loss" in str(refused.value)


def test_a_loss_that_gives_one_number_for_all_rows_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff_losses import Focal

    losses = Focal.losses
    monkeypatch.setattr(Focal, "losses", lambda *given: losses(*given).mean())
    with pytest.raises((PluginError, AssertionError)) as raised:
        trained(tmp_path, f"{RECIPE}, loss: focal")
    assert tells(str(raised.value), "", "'focal'", "`losses`", "(batch,)")


def test_gamma_is_searched_and_each_value_has_its_own_runs(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    search = "{loss: [default, focal, {name: focal, gamma: 5.0}], seeds: 1}"
    plan = plan_of(tmp_path, "{one: {trainer: torch-loop}}", recipe=f"{{{RECIPE}}}", search=search, task="toy")
    assert len({run.id for run in plan.trials}) == 3
    assert [run.requested.recipe.get("loss") for run in plan.trials] == [
        None,
        {"name": "focal", "version": "1", "options": {"gamma": 2.0}},
        {"name": "focal", "version": "1", "options": {"gamma": 5.0}},
    ]
