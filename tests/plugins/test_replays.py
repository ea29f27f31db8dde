"""fast-loop on CUDA: the plain forward and backward pass as graphs. What is not the recording is tested on the CPU too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from plugins.families import FAMILIES, small
from torch import nn

from bakeoff.contracts.model import Built
from bakeoff.kinds import CLASSIFICATION
from bakeoff.plugin import Recipe
from bakeoff.training.fed_batches import Examples, StepSchedule
from bakeoff.training.job import Callbacks, Job
from bakeoff_fast_loop import FastLoop
from bakeoff_fast_loop.replayed import Replays, Widths, replayed
from bakeoff_methods import Full
from bakeoff_torch_loop import TorchLoop

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
NO_DROPOUT |= {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}
LENGTHS = (9, 5, 17, 1, 33, 30, 2, 16, 40, 3, 12)


@pytest.fixture(autouse=True)
def _replayed_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU too, where nothing is recorded."""
    monkeypatch.setattr("bakeoff_fast_loop.loop.passes_of", replayed)


class Padded:
    """What a job needs of a model's preparation."""

    def collate(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in examples)
        rows = [row["input_ids"] + [1] * (width - len(row["input_ids"])) for row in examples]
        mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in examples]
        labels = torch.tensor([row["labels"] for row in examples])
        return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask), "labels": labels}


def trained(
    trainer: Any, device: str, recipe: dict[str, Any], *, lengths: tuple[int, ...] = LENGTHS, model: Any = None, **rest: Any
) -> Job:
    """The job of a whole training on random texts of these lengths."""
    torch.manual_seed(0)
    model = model or small("bert", pad_token_id=1, **NO_DROPOUT)
    draw = torch.Generator().manual_seed(1)
    encoded = [{"input_ids": torch.randint(5, 99, (length,), generator=draw).tolist()} for length in lengths]
    wanted = Recipe(**({"epochs": 2, "batch_size": 4, "learning_rate": 1e-3} | recipe))
    adaptation = Full().adapt(Built(model.to(device), ()), Full.Options(), wanted)
    examples = Examples(encoded, [number % 2 for number in range(len(lengths))])
    schedule = StepSchedule(len(examples), wanted, (0, 0))
    prepared: Any = Padded()
    job = Job(adaptation, prepared, examples, schedule, mean_loss=CLASSIFICATION.mean_loss, device=torch.device(device), **rest)
    with job.watched(), job.observer:
        trainer.fit(job, trainer.Options())
    job.check()
    return job


def weights(job: Job) -> Any:
    return torch.cat([parameter.detach().flatten() for parameter in job.model.parameters()])


def check_same_training(plain: Job, fast: Job, tolerance: float) -> None:
    assert fast.step_losses() == pytest.approx(plain.step_losses(), rel=tolerance)
    assert float((weights(fast) - weights(plain)).norm() / weights(plain).norm()) < tolerance
    assert fast.fed.order_sha256(len(fast.losses)) == plain.fed.order_sha256(len(plain.losses))


# --- the same answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_without_dropout_is_that_of_torch_loop(family: str, device: str) -> None:
    def model() -> Any:
        torch.manual_seed(0)
        return small(family, pad_token_id=1, **NO_DROPOUT)

    plain, fast = (trained(trainer, device, {}, model=model()) for trainer in (TorchLoop(), FastLoop()))
    check_same_training(plain, fast, 1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "recipe",
    [
        {"micro_batch_size": 2},
        {"optimizer": "sgd", "momentum": 0.9},
        {"bias_correction": False, "max_grad_norm": 0.1, "weight_decay": 0.1},
        {"label_smoothing": 0.1, "scheduler": "cosine", "warmup": 2, "max_grad_norm": None},
        {"fused": True},
    ],
    ids=lambda recipe: next(iter(recipe)),
)
def test_every_recipe_is_followed(recipe: dict[str, Any], device: str) -> None:
    plain, fast = (trained(trainer, device, recipe) for trainer in (TorchLoop(), FastLoop()))
    check_same_training(plain, fast, 1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_bf16_departs_from_torch_loops_by_rounding_only(device: str) -> None:
    plain, fast = (trained(trainer, device, {"precision": "bf16"}) for trainer in (TorchLoop(), FastLoop()))
    check_same_training(plain, fast, 0.02)


@pytest.mark.parametrize("device", DEVICES)
def test_a_parameter_that_no_logit_depends_on_stays_as_it_is(device: str) -> None:
    def model() -> Any:
        torch.manual_seed(0)
        made = small("bert", pad_token_id=1, **NO_DROPOUT)
        made.aside = nn.Linear(3, 3)
        return made

    jobs = [trained(trainer, device, {"weight_decay": 0.5}, model=model()) for trainer in (TorchLoop(), FastLoop())]
    check_same_training(*jobs, 1e-4)
    assert jobs[1].model.aside.weight.equal(model().aside.weight.to(device))


@pytest.mark.parametrize("device", DEVICES)
def test_an_evaluation_between_epochs_sees_what_was_trained_and_training_goes_on(device: str) -> None:
    seen: dict[str, list[float]] = {"torch-loop": [], "fast-loop": []}
    tokens = torch.arange(5, 29).view(2, 12)

    def attention(trainer: Any, model: Any) -> Callable[[], None]:
        def evaluate() -> None:
            model.eval()
            with torch.no_grad(), trainer.fast_inference(model):
                seen[trainer.name] += model(input_ids=tokens.to(device)).logits.flatten().tolist()
            model.train()

        return evaluate

    jobs = []
    for trainer in (TorchLoop(), FastLoop()):
        torch.manual_seed(0)
        model = small("bert", pad_token_id=1, **NO_DROPOUT)
        jobs.append(
            trained(trainer, device, {"epochs": 3}, model=model, callbacks=Callbacks(evaluate=attention(trainer, model)))
        )
    check_same_training(*jobs, 1e-4)
    assert len(seen["torch-loop"]) == 2 * 4
    assert seen["fast-loop"] == pytest.approx(seen["torch-loop"], abs=1e-4)


def test_each_parameter_is_a_tensor_of_its_own_again() -> None:
    model = trained(FastLoop(), "cpu", {}).model
    first, second, *_ = model.parameters()
    before = second.detach().clone()
    first.data.zero_()
    assert second.equal(before)
    assert first.untyped_storage().nbytes() == first.numel() * first.element_size()


# --- what is recorded ----------------------------------------------------------------------------------------------------


@NEEDS_CUDA
def test_dropout_of_a_replay_is_that_of_torch_loop_at_every_step() -> None:
    """Where widths agree the masks do: they come from the step's own seed, and no step sees those of another."""
    jobs = []
    for trainer in (TorchLoop(), FastLoop()):
        torch.manual_seed(0)
        model = small("bert", pad_token_id=1, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.0)
        jobs.append(trained(trainer, "cuda", {"epochs": 5}, model=model, lengths=(16,) * 8))
    check_same_training(*jobs, 1e-3)
    assert len(set(jobs[1].step_losses())) == 10


@NEEDS_CUDA
def test_the_same_batch_meets_another_mask_at_each_step_and_the_same_from_the_same_seed() -> None:
    torch.manual_seed(0)
    model = small("bert", hidden_dropout_prob=0.3).cuda().train()
    replays = Replays(lambda inputs: model(**inputs).logits, model, [])
    inputs = {"input_ids": torch.arange(5, 37).view(2, 16)}
    with torch.no_grad():
        torch.manual_seed(5)
        first, second = replays(inputs).clone(), replays(inputs).clone()
        torch.manual_seed(5)
        again = replays(inputs).clone()
    assert not first.equal(second)
    assert first.equal(again)


@NEEDS_CUDA
def test_recording_leaves_gradients_and_the_random_stream_alone() -> None:
    model = small("bert", hidden_dropout_prob=0.3).cuda().train()
    total = torch.full((1,), 3.0, device="cuda")

    def add(inputs: Any) -> Any:
        return total.add_(model(**inputs).logits.sum().detach())

    torch.manual_seed(5)
    before = torch.cuda.get_rng_state()
    replays = Replays(add, model, [total])
    replays.record({"input_ids": torch.arange(5, 37).view(2, 16)})
    assert total.item() == 3.0
    assert torch.cuda.get_rng_state().equal(before)


@NEEDS_CUDA
def test_what_cannot_be_recorded_is_refused_by_name() -> None:
    from bakeoff.errors import ModelError

    class Looks(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * float(x.sum())  # a look at a value waits for the device

    model = Looks(3, 3).cuda()
    with pytest.raises(ModelError, match=r"can't record Looks as a CUDA graph: (?!.*previous error)"):
        Replays(lambda inputs: model(inputs["x"]), model, [])({"x": torch.ones(2, 3)})


@pytest.mark.parametrize("device", DEVICES)
def test_operators_are_counted_as_in_torch_loop(device: str) -> None:
    jobs = [trained(trainer, device, {"epochs": 5}, lengths=(16,) * 8) for trainer in (TorchLoop(), FastLoop())]
    (plain, _), (fast, _) = (job.flops() for job in jobs)
    assert plain
    assert fast == pytest.approx(plain, rel=0.01)


@NEEDS_CUDA
def test_one_graph_serves_all_batches_of_a_shape() -> None:
    model = small("bert").cuda().eval()
    widths, replays = Widths(model), Replays(lambda inputs: model(**inputs).logits, model, [])
    with torch.no_grad():
        for length in (17, 20, 32, 33):
            ids = torch.full((2, length), 7)
            replays(widths.widen({"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
    assert len(replays.recordings) == 2


@pytest.mark.parametrize(("width", "longest", "expected"), [(17, 512, 32), (32, 512, 32), (17, 20, 20), (17, 0, 17)])
def test_widths_are_few_and_never_more_than_the_model_can_take(width: int, longest: int, expected: int) -> None:
    model = small("bert", pad_token_id=9)
    model.config.max_position_embeddings = longest
    ids, labels = torch.full((3, width), 5), torch.zeros(3, width)
    wide = Widths(model).widen({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
    assert wide["input_ids"].tolist() == [[5] * width + [9] * (expected - width)] * 3
    assert wide["attention_mask"].tolist() == [[1] * width + [0] * (expected - width)] * 3
    assert wide["labels"] is labels


def test_without_a_mask_nothing_is_padded() -> None:
    ids = torch.full((3, 17), 5)
    assert Widths(small("bert")).widen({"input_ids": ids})["input_ids"] is ids


@NEEDS_CUDA
def test_after_training_no_recording_holds_memory() -> None:
    def held() -> int:
        torch.cuda.synchronize()
        return int(torch.cuda.memory_allocated())

    trained(FastLoop(), "cuda", {})
    before = held()
    job = trained(FastLoop(), "cuda", {}, lengths=(5, 20, 40, 60, 9, 33, 50, 64))
    del job
    assert held() - before < 2**20
