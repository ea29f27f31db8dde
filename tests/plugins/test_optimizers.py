"""Lion and Adafactor: their steps against the formulas, in every trainer that takes them, and across a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from messages import tells

from bakeoff.errors import SpecError
from bakeoff.parity.trace import Trace, trace

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
RECIPE = "epochs: 2, batch_size: 4, learning_rate: 1e-3, weight_decay: 0.1, warmup: 2"
NO_DROPOUT = "{name: tiny-bert, dropout: 0.0}"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


def plan_of(folder: Path, optimizer: str, *, trainer: str = "torch-loop", recipe: str = RECIPE, **keys: Any) -> Any:
    import bakeoff_planted_bench

    strategies = f"{{one: {{trainer: {trainer}}}}}"
    return bakeoff_planted_bench.plan_of(folder, strategies, recipe=f"{{{recipe}, optimizer: {optimizer}}}", **keys)


def trained(folder: Path, optimizer: str, **rest: Any) -> tuple[Trace, Any]:
    import bakeoff_planted_bench

    plan = plan_of(folder, optimizer, **rest)
    assembly, job = bakeoff_planted_bench.ready(bakeoff_planted_bench.requests_of(plan)["one"])
    seen = trace(assembly, job)
    assert not seen.trouble
    return seen, job


def weights(job: Any) -> Any:
    import torch

    return torch.cat([parameter.detach().flatten() for parameter in job.model.parameters()])


def test_lion_is_the_paper_s_algorithm() -> None:
    import torch

    from bakeoff_optimizers.lion import LionSteps

    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = LionSteps([{"params": [weight], "lr": 0.1, "weight_decay": 0.5}], lr=9.0, betas=(0.9, 0.99))
    expected, momentum = weight.detach().double(), torch.zeros(3, dtype=torch.float64)
    for gradient in ([0.3, -0.1, 0.0], [-3.0, 0.2, 1.0], [0.1, 0.1, -4.0]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        g = torch.tensor(gradient, dtype=torch.float64)
        expected = expected - 0.1 * ((0.9 * momentum + 0.1 * g).sign() + 0.5 * expected)
        momentum = 0.99 * momentum + 0.01 * g
    assert torch.allclose(weight.detach().double(), expected, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["lion", "{name: lion, beta1: 0.8}", "adafactor", "{name: adafactor, beta1: 0.9}"])
def test_the_loop_and_transformers_trainer_take_the_same_steps(tmp_path: Path, optimizer: str) -> None:
    loop, _ = trained(tmp_path, optimizer)
    trainer, _ = trained(tmp_path, optimizer, trainer="hf-trainer")
    assert loop.steps == trainer.steps
    plain, _ = trained(tmp_path, "adamw")
    assert loop.optimizer != plain.optimizer
    assert [step.loss for step in loop.steps[2:]] != [step.loss for step in plain.steps[2:]]


def test_adafactor_is_the_trainer_s_own(tmp_path: Path) -> None:
    """Against `TrainingArguments(optim="adafactor")`: the same class with the same settings."""
    import torch
    from transformers import Trainer, TrainingArguments

    _, job = trained(tmp_path, "adafactor")
    arguments = TrainingArguments(
        output_dir=str(tmp_path), optim="adafactor", learning_rate=1e-3, weight_decay=0.1, use_cpu=True
    )
    made_as, settings = Trainer.get_optimizer_cls_and_kwargs(arguments, torch.nn.Linear(2, 2))
    ours = job.make_optimizer(job.parameter_groups())
    theirs = made_as(job.parameter_groups(), **settings)
    assert type(ours) is type(theirs)
    assert [{**group, "params": 0} for group in ours.param_groups] == [{**group, "params": 0} for group in theirs.param_groups]


def test_the_fast_loop_takes_an_elementwise_optimizer_and_no_other(tmp_path: Path) -> None:
    loop, one = trained(tmp_path, "lion", model=NO_DROPOUT)
    fast, other = trained(tmp_path, "lion", trainer="fast-loop", model=NO_DROPOUT)
    for a, b in zip(loop.steps, fast.steps, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-3)
    assert float((weights(one) - weights(other)).norm() / weights(one).norm()) < 1e-2, "signs of near-zero updates may differ"
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, "adafactor", trainer="fast-loop")
    assert tells(str(refused.value), "", "recipe.optimizer", "'adafactor'", "torch-loop")


@pytest.mark.parametrize("optimizer", ["lion", "adafactor"])
def test_a_run_that_is_killed_ends_with_the_same_weights(
    tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakeoff_planted_bench import requests_of

    from bakeoff.training.job import Job
    from bakeoff.training.worker import perform

    asked = requests_of(plan_of(tmp_path, optimizer, checkpoint_every=2))["one"]
    asked = asked.model_copy(update={"checkpoint_every": 2, "checkpoints": tmp_path / "checkpoints"})
    (tmp_path / "whole").mkdir()
    whole = perform(asked.model_copy(update={"checkpoints": tmp_path / "others"}), tmp_path / "whole")
    begin = Job.begin_step

    def stop(self: Any, number: int) -> None:
        if number == 7:
            raise KeyboardInterrupt
        begin(self, number)

    (tmp_path / "cut").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Job, "begin_step", stop)
        with pytest.raises(KeyboardInterrupt):
            perform(asked, tmp_path / "cut")
    (tmp_path / "again").mkdir()
    again = perform(asked, tmp_path / "again")
    assert again.resumed_at == [6]
    assert again.weights.final_sha256 == whole.weights.final_sha256


def test_its_record_tells_it_with_its_options_and_its_code(tmp_path: Path) -> None:
    from bakeoff_planted_bench import requests_of

    from bakeoff.analysis.recipes import effective_recipe
    from bakeoff.training.worker import perform

    (tmp_path / "run").mkdir()
    record = perform(requests_of(plan_of(tmp_path, "{name: lion, beta1: 0.8}"))["one"], tmp_path / "run")
    assert record.requested.recipe["optimizer"] == {"name": "lion", "version": "1", "options": {"beta1": 0.8, "beta2": 0.99}}
    assert record.made_from.code.keys() == {"task", "model", "method", "trainer", "optimizer"}
    assert record.observed.optimizer == "LionSteps"
    found = effective_recipe([record])
    assert found["optimizer"] == "lion (beta1 0.8, beta2 0.99)"
    assert "eps" not in found
    from bakeoff.analysis.flags.recipes import contradictions

    assert contradictions(record) == [], "its betas are no contradiction to the recipe's"


WRONG = {
    "an unknown name": ("lyon", "recipe.optimizer", "'lion'"),
    "another tool's word": ("AdamW", "recipe.optimizer", "`optimizer: adamw`"),
    "an unknown option": ("{name: lion, beta: 0.9}", "recipe.optimizer.beta", "'beta2'"),
    "an option out of range": ("{name: lion, beta1: 1.5}", "recipe.optimizer.beta1", "less than 1"),
    "as records have it": ("{name: lion, version: '1', options: {}}", "recipe.optimizer.options"),
    "options of a built-in one": ("{name: sgd, momentum: 0.9}", "recipe.optimizer", "recipe keys"),
    "an extra that is not there": ("adamw-8bit", "recipe.optimizer", "bakeoff[bitsandbytes]"),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_optimizer_is_told_at_its_place(tmp_path: Path, wrong: str) -> None:
    written, *words = WRONG[wrong]
    if "bitsandbytes" in words[-1]:
        try:
            import bitsandbytes  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("bitsandbytes is installed")
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, written)
    assert tells(str(refused.value), "", *words)


def test_a_loop_with_an_optimizer_of_its_own_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff_planted_bench import ready, requests_of

    import bakeoff_torch_loop
    from bakeoff.errors import PluginError

    def own(job: Any) -> Any:
        import torch

        return torch.optim.AdamW(job.parameter_groups(), lr=1e-3)

    monkeypatch.setattr(bakeoff_torch_loop, "make_optimizer", own)
    _, job = ready(requests_of(plan_of(tmp_path, "lion"))["one"])
    with job.observer, job.watched():
        bakeoff_torch_loop.TorchLoop().fit(job, None)
    with pytest.raises(PluginError, match="AdamW"):
        job.check()
