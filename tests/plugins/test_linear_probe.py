"""The probe: features encoded once, the head solved for, and a record that says that no steps were taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from plugins.families import built

from bakeoff.errors import ModelError, SpecError

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
PROBE = "{trainer: linear-probe, method: head-only}"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


def run(folder: Path, strategy: str = PROBE, **rest: Any) -> Any:
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    request = requests_of(plan_of(folder, f"{{one: {strategy}}}", **rest))["one"]
    (folder / "run").mkdir()
    return perform(request, folder / "run")


def test_a_probe_leaves_a_record_without_steps(tmp_path: Path) -> None:
    record = run(tmp_path)
    assert record.status == "ok", record.failure
    assert record.observed is None
    assert record.cost.steps == 0
    assert record.trainer_owns == ["loss", "order", "randomness", "steps"]
    assert record.randomness == "trainer"
    assert record.weights.parameters_trainable == 66
    assert pq.read_table(tmp_path / "run" / "steps.parquet").num_rows == 0
    assert set(record.requested.recipe) == {"max_length", "padding", "precision"}, "the rest is not in effect nor in the id"


def test_a_probe_is_the_same_run_under_any_shared_recipe_for_steps(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    ids = {
        plan_of(tmp_path, f"{{one: {PROBE}}}", recipe=recipe).runs[0].id
        for recipe in ("{epochs: 3}", "{max_steps: 7, learning_rate: 1e-3, warmup: 0.1}")
    }
    assert len(ids) == 1


def test_step_keys_of_its_own_are_refused(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    with pytest.raises(SpecError, match=r"spec\.yaml:5:\d+: .*learning_rate.*'linear-probe'"):
        plan_of(tmp_path, "{one: {trainer: linear-probe, method: head-only, recipe: {learning_rate: 1e-3}}}")


def test_a_method_that_trains_more_than_the_head_is_refused(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    with pytest.raises(SpecError, match="trainer 'linear-probe'"):
        plan_of(tmp_path, "{one: {trainer: linear-probe}}")


def test_a_head_of_several_layers_is_refused_by_name() -> None:
    from bakeoff.contracts.recipe import Recipe
    from bakeoff_fast_loop.linear_probe import LinearProbe

    with pytest.raises(ModelError, match=r"DistilBertForSequenceClassification has pre_classifier \(Linear\), classifier"):
        LinearProbe().check_model(built("distilbert").model, Recipe())
    LinearProbe().check_model(built("bert").model, Recipe())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("family", "places", "quick"), [("bert", False, True), ("bert", True, False), ("albert", False, False)]
)
def test_features_are_what_the_models_own_head_reads(family: str, places: bool, quick: bool, precision: str) -> None:
    """Quickly where fast-loop knows the model and all of its inputs; `places` are one that it does not know."""
    import torch

    from bakeoff.contracts.recipe import Recipe
    from bakeoff.machine.hardware import BF16_FLAGS, cpu_flags
    from bakeoff.training.flops import Counter
    from bakeoff_fast_loop.probe import encode_features, final_linear

    if precision == "bf16" and not BF16_FLAGS & cpu_flags():
        pytest.skip("this processor has no bfloat16 arithmetic")
    model = built(family).model
    rows = [{"input_ids": list(range(5, 5 + length)), "labels": length % 2} for length in (9, 3, 12, 7)]

    class Bench:
        examples, device, recipe = rows, torch.device("cpu"), Recipe(precision=precision)

        def __init__(self) -> None:
            self.model = model

        @staticmethod
        def autocast() -> Any:
            return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

        @staticmethod
        def collate(examples: Any) -> dict[str, Any]:
            ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row["input_ids"]) for row in examples], batch_first=True)
            labels = torch.tensor([row["labels"] for row in examples])
            inputs = {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}
            return inputs | ({"position_ids": torch.arange(ids.shape[1]).expand_as(ids)} if places else {})

    read: list[Any] = []
    watched = Counter()
    watched.start()
    features, labels = encode_features(Bench())  # type: ignore[arg-type]
    watched.stop()
    own = Counter()
    own.start()
    with final_linear(model).register_forward_pre_hook(lambda module, inputs: read.append(inputs[0])), torch.no_grad():
        for row in sorted(rows, key=lambda row: -len(row["input_ids"])):  # type: ignore[arg-type]
            model(input_ids=torch.tensor([row["input_ids"]]))
    own.stop()
    assert features == pytest.approx(torch.cat(read).numpy(), abs=1e-5 if precision == "fp32" else 0.02)
    rounded = torch.from_numpy(features).to(torch.bfloat16).double().numpy()
    assert (features == rounded).all() == (precision == "bf16")
    assert labels.tolist() == [0, 1, 1, 1]
    assert (0.4 * own.flops < watched.flops < own.flops) is quick, (
        "a part of the last layer is left out, and what is done is counted"
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_gives_the_regressions_probabilities(classes: int) -> None:
    import torch
    from sklearn.linear_model import LogisticRegression

    from bakeoff_fast_loop.probe import final_linear, solve_head

    model = built("bert", num_labels=classes).model
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=200)
    features = generator.normal(size=(200, 16)) + labels[:, None] * 0.5
    solve_head(model, features, labels, l2=0.5)
    with torch.no_grad():
        ours = final_linear(model)(torch.from_numpy(features).float()).softmax(1).numpy()
    oracle = LogisticRegression(C=2.0, max_iter=10_000, tol=1e-8).fit(features, labels)
    assert ours == pytest.approx(oracle.predict_proba(features), abs=1e-4)


def test_a_label_that_training_never_had_is_never_given() -> None:
    import torch

    from bakeoff_fast_loop.probe import final_linear, solve_head

    model = built("bert", num_labels=3).model
    generator = np.random.default_rng(0)
    features = generator.normal(size=(50, 16))
    solve_head(model, features, generator.integers(2, size=50) * 2, l2=1.0)
    given = final_linear(model)(torch.from_numpy(features).float()).argmax(1)
    assert set(given.tolist()) == {0, 2}


def test_more_regularisation_makes_smaller_weights(tmp_path: Path) -> None:
    import torch

    from bakeoff_fast_loop.probe import final_linear, solve_head

    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=100)
    features = generator.normal(size=(100, 16)) + labels[:, None]
    norms = []
    for l2 in (0.01, 1.0, 100.0):
        model = built("bert").model
        solve_head(model, features, labels, l2=l2)
        norms.append(float(torch.linalg.vector_norm(final_linear(model).weight.detach())))
    assert norms == sorted(norms, reverse=True)


def test_the_encoder_stays_as_it_was_and_the_head_moves(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of, ready, requests_of

    assembly, job = ready(requests_of(plan_of(tmp_path, f"{{one: {PROBE}}}"))["one"])
    model = job.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assembly.trainer.fit(job, assembly.options)
    moved = {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}
    assert moved == {"classifier.weight", "classifier.bias"}


def test_a_probe_sees_only_the_examples_that_the_recipe_leaves_it(tmp_path: Path) -> None:
    probe = "{trainer: linear-probe, method: head-only, recipe: {train_examples: 10}}"
    for name in ("whole", "few"):
        (tmp_path / name).mkdir()
    whole, few = run(tmp_path / "whole"), run(tmp_path / "few", probe)
    assert few.status == "ok", few.failure
    assert few.cost.flops < 0.6 * whole.cost.flops
    assert few.weights.final_sha256 != whole.weights.final_sha256
