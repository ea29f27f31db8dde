"""What every trainer owes the job, and what is said of one that does not pay; the built-in ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from messages import tells

from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.trainer import Signal
from bakeoff.parity.trace import TracedJob

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
BUILT_IN = ("torch-loop", "hf-trainer", "fast-loop")


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted is installed, as far as the registry can tell."""
    monkeypatch.syspath_prepend(PLANTED)


def record_of(folder: Path, strategy: str, **rest: Any) -> Any:
    """The record of one run, made by the worker's main line in this process."""
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    request = requests_of(plan_of(folder, f"{{one: {strategy}}}", **rest))["one"]
    (folder / "run").mkdir()
    return perform(request, folder / "run")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("one-more", "called begin_step(12), and the job has 12 steps, 0 to 11"),
        ("one-fewer", "after 11 steps, and the job asked for 12"),
        ("dropped-batch", "after 11 steps, and the job asked for 12"),
        ("swallow", "swallowed an exception of the job: PluginError: "),
    ],
)
def test_a_trainer_that_breaks_its_promise_is_an_error_with_its_plugins_name(tmp_path: Path, fault: str, sentence: str) -> None:
    record = record_of(tmp_path, f"{{trainer: {{name: planted-loop, fault: {fault}}}}}")
    assert record.status == "failed"
    assert record.failure.reason == "error"
    assert tells(record.failure.message, "trainer 'planted-loop' ", "'planted' of bakeoff-planted 1.0) ")
    assert sentence in record.failure.message
    assert not record.scores, "no row without the steps that were asked for"


def test_a_trainer_that_raises_is_a_record_with_the_place(tmp_path: Path) -> None:
    record = record_of(tmp_path, "{trainer: {name: planted-loop, fault: raises}}")
    assert (record.status, record.failure.phase) == ("failed", "train")
    assert tells(record.failure.message, "ValueError: ", "(bakeoff_planted.py:")


@pytest.mark.parametrize("trainer", BUILT_IN)
def test_a_loss_that_is_not_finite_is_divergence(tmp_path: Path, trainer: str) -> None:
    recipe = "{epochs: 2, batch_size: 4, learning_rate: 1e30, max_grad_norm: none}"
    record = record_of(tmp_path, f"{{trainer: {trainer}}}", recipe=recipe)
    assert (record.status, record.failure.reason) == ("failed", "diverged")
    assert tells(record.failure.message, "the loss ", "not finite", "step 2 of 12")


@pytest.mark.parametrize("trainer", BUILT_IN)
@pytest.mark.parametrize("limit", [1, 6, 7], ids=["first-step", "end-of-epoch", "inside-an-epoch"])
def test_the_built_in_trainers_stop_when_told(tmp_path: Path, trainer: str, limit: int) -> None:
    from bakeoff_planted_bench import plan_of, traces_of

    trace = traces_of(plan_of(tmp_path, f"{{one: {{trainer: {trainer}}}}}"), limit=limit)["one"]
    assert len(trace.steps) == limit
    assert not trace.trouble


@pytest.mark.parametrize("trainer", BUILT_IN)
def test_the_built_in_trainers_stop_at_the_end_of_an_epoch_when_told(
    tmp_path: Path, trainer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`end_epoch` may say STOP where `end_step` did not."""
    from bakeoff_planted_bench import plan_of, traces_of

    monkeypatch.setattr(TracedJob, "end_epoch", lambda job: Signal.STOP)
    trace = traces_of(plan_of(tmp_path, f"{{one: {{trainer: {trainer}}}}}"))["one"]
    assert len(trace.steps) == 6


@pytest.mark.parametrize("model_name", ["tiny-bert", "minilm"])
def test_weight_decay_groups_are_the_trainer_apis_own(tmp_path: Path, model_name: str) -> None:
    """`full` splits parameters as `Trainer.get_decay_parameter_names` does, by its defaults."""
    from transformers import Trainer, TrainingArguments

    from bakeoff.plugin import weight_decay_groups

    registry = load_registry()
    registered = registry.get("model", model_name).component
    if registered.missing_extras():
        pytest.skip(f"{model_name} needs bakeoff[{', '.join(registered.missing_extras())}]")
    task = registry.get("task", "planted/sentences").component
    model = registered.build(task.info(task.Options()), registered.Options()).model
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    theirs = Trainer(model=model, args=arguments).get_decay_parameter_names(model)
    decayed, spared = weight_decay_groups(model, Recipe(weight_decay=0.01))
    assert set(decayed.names) == set(theirs)
    assert set(decayed.names) | set(spared.names) == {name for name, _ in model.named_parameters()}
    assert (decayed.weight_decay, spared.weight_decay) == (0.01, 0.0)


@pytest.mark.slow
def test_two_trainers_that_draw_dropout_from_the_harness_are_paired_by_seed_and_one_with_its_own_is_not(tmp_path: Path) -> None:
    from bakeoff.analysis.pairing import streams_of, why_not_paired

    trainers = ("torch-loop", "hf-trainer", "fast-loop")
    for name in trainers:
        (tmp_path / name).mkdir()
    records = [record_of(tmp_path / name, f"{{trainer: {name}}}") for name in trainers]
    assert [record.randomness for record in records] == ["harness", "harness", "trainer"]
    loop, api, fast = ({record.requested.seed: streams_of(record)} for record in records)
    assert why_not_paired(loop, api) == ""
    assert why_not_paired(loop, fast) == "a dropout stream that is not known to be shared"
