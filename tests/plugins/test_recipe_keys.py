"""What each key of a recipe does, in the trainers that follow it; what cannot be done is refused in a sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from messages import tells

from bakeoff.contracts.trainer import Supports
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.machine import hardware
from bakeoff.parity.trace import Trace, trace
from bakeoff.runner.preflight import Preflight

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
TRAINERS = ("torch-loop", "hf-trainer")
NO_DROPOUT = "{name: tiny-bert, dropout: 0.0}"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted is installed, as far as the registry can tell."""
    monkeypatch.syspath_prepend(PLANTED)


def requests(folder: Path, trainer: str, recipe: str, **rest: Any) -> dict[str, Any]:
    from bakeoff_planted_bench import plan_of, requests_of

    return requests_of(plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", **rest))


def ready(request: Any) -> tuple[Any, Any]:
    """A strategy put together, and its traced job."""
    import bakeoff_planted_bench

    return bakeoff_planted_bench.ready(request)


def trained(folder: Path, trainer: str, recipe: str, **rest: Any) -> tuple[Trace, Any]:
    """A whole training: what was seen, and the job with the trained model."""
    assembly, job = ready(requests(folder, trainer, recipe, **rest)["one"])
    seen = trace(assembly, job)
    assert not seen.trouble
    return seen, job


def run(folder: Path, recipe: str) -> Any:
    """The record of a run by torch-loop."""
    from bakeoff.training.worker import perform

    (folder / "run").mkdir()
    return perform(requests(folder, "torch-loop", recipe)["one"], folder / "run")


def fresh(folder: Path, name: str) -> Path:
    """A new folder."""
    (folder / name).mkdir()
    return folder / name


# --- accumulation --------------------------------------------------------------------------------------------------------

ACCUMULATED = "epochs: 2, batch_size: 24, learning_rate: 0.05, optimizer: sgd, momentum: 0.9, max_grad_norm: 0.8"
"""Of 44 examples: 24, then 8 + 8 + 4, twice."""
FORTY_FOUR = {"task": "{name: planted/sentences, size: 44}", "model": NO_DROPOUT}


def distance(folder: Path, trainer: str, micro_batch_size: int = 8, recipe: str = ACCUMULATED) -> float:
    """The largest departure of a training in micro-batches from torch-loop's in one piece: of losses and gradient norms at each
    step, and of the final weights, each relative."""
    import torch

    whole, one_piece = trained(folder, "torch-loop", recipe, **FORTY_FOUR)
    parts, several = trained(folder, trainer, f"{recipe}, micro_batch_size: {micro_batch_size}", **FORTY_FOUR)
    assert [step.passes for step in whole.steps] == [[24], [20]] * 2
    assert [step.passes for step in parts.steps] == [[8, 8, 8], [8, 8, 4]] * 2
    pairs = [
        (getattr(a, name), getattr(b, name))
        for a, b in zip(whole.steps, parts.steps, strict=True)
        for name in ("loss", "unclipped_norm", "norm")
    ]
    flat = [torch.cat([p.detach().flatten() for p in job.model.parameters()]) for job in (one_piece, several)]
    return max(*(abs(a - b) / a for a, b in pairs), float((flat[0] - flat[1]).norm() / flat[0].norm()))


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_batch_in_micro_batches_is_the_batch_in_one_piece_at_dropout_0(tmp_path: Path, trainer: str) -> None:
    assert distance(tmp_path, trainer) < 1e-5


@pytest.mark.parametrize("fault", ["summed", "even"])
def test_wrong_weights_of_micro_batches_are_seen_so(tmp_path: Path, fault: str) -> None:
    """The test above fails for what transformers' Trainer does by itself."""
    assert distance(tmp_path, f"{{name: planted-loop, fault: {fault}, }}", recipe=ACCUMULATED) > 1e-3


@pytest.mark.parametrize("trainer", TRAINERS)
def test_adam_takes_the_same_losses_and_norms_in_micro_batches(tmp_path: Path, trainer: str) -> None:
    """Weights are not compared: where a gradient is zero but for rounding (`key.bias`), Adam makes a step of the noise."""
    recipe = "epochs: 2, batch_size: 24, learning_rate: 1e-3, max_grad_norm: none"
    whole, _ = trained(tmp_path, trainer, recipe, **FORTY_FOUR)
    parts, _ = trained(tmp_path, trainer, f"{recipe}, micro_batch_size: 8", **FORTY_FOUR)
    for a, b in zip(whole.steps, parts.steps, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-5)
        assert b.norm == pytest.approx(a.norm, rel=1e-4)


# --- one key each --------------------------------------------------------------------------------------------------------

SHORT = "epochs: 1, batch_size: 4, learning_rate: 1e-3"


@pytest.mark.parametrize("trainer", [*TRAINERS, "fast-loop"])
def test_min_steps_repeats_epochs_as_max_steps_does(tmp_path: Path, trainer: str) -> None:
    """Of 44 rows in batches of 16, an epoch has 3 steps: to the bit the same training, learning rates included."""
    recipe = "batch_size: 16, learning_rate: 1e-3, warmup: 0.25"
    least, _ = trained(tmp_path, trainer, f"{recipe}, epochs: 1, min_steps: 8", **FORTY_FOUR)
    exactly, _ = trained(tmp_path, trainer, f"{recipe}, max_steps: 8", **FORTY_FOUR)
    assert len(least.steps) == 8
    assert least.steps == exactly.steps
    enough, _ = trained(tmp_path, trainer, f"{recipe}, epochs: 2, min_steps: 4", **FORTY_FOUR)
    assert len(enough.steps) == 6


def test_min_steps_are_the_same_steps_by_the_loop_and_by_transformers_trainer(tmp_path: Path) -> None:
    recipe = "epochs: 1, min_steps: 7, batch_size: 16, learning_rate: 1e-3"
    loop, _ = trained(tmp_path, "torch-loop", recipe, **FORTY_FOUR)
    trainer, _ = trained(tmp_path, "hf-trainer", recipe, **FORTY_FOUR)
    assert len(loop.steps) == 7
    assert [(step.loss, step.norm, step.passes) for step in loop.steps] == [
        (step.loss, step.norm, step.passes) for step in trainer.steps
    ]


def test_gradient_checkpointing_changes_no_bit_dropout_included(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path, "torch-loop", SHORT)
    forgetful, job = trained(tmp_path, "torch-loop", f"{SHORT}, gradient_checkpointing: true")
    assert any(getattr(module, "gradient_checkpointing", False) for module in job.model.modules())
    assert plain.steps == forgetful.steps


def test_uncorrected_adam_uses_its_moments_as_they_are(tmp_path: Path) -> None:
    """One step by hand: moments (1 - beta) g and (1 - beta2) g^2, rate / (sqrt + eps) on them, weight decay apart."""
    import torch

    for fused in ("true", "false"):
        recipe = (
            f"max_steps: 1, batch_size: 4, learning_rate: 1e-3, bias_correction: false, fused: {fused}, max_grad_norm: none"
        )
        before = ready(requests(tmp_path, "torch-loop", recipe)["one"])[1].model.state_dict()
        gradients: dict[str, Any] = {}
        assembly, job = ready(requests(tmp_path, "torch-loop", recipe)["one"])
        for name, parameter in job.model.named_parameters():
            parameter.register_post_accumulate_grad_hook(
                lambda p, name=name, kept=gradients: kept.__setitem__(name, p.grad.detach().clone())
            )
        seen = trace(assembly, job)
        assert [group.bias_correction for group in seen.groups] == [False] * len(seen.groups)
        for name, parameter in job.model.named_parameters():
            first, second = 0.1 * gradients[name], 0.001 * gradients[name] ** 2
            expected = before[name] - 1e-3 * first / (second.sqrt() + 1e-8)
            torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-7)


def test_label_smoothing_spreads_a_share_over_all_labels(tmp_path: Path) -> None:
    import torch

    _, job = ready(requests(tmp_path, "torch-loop", f"{SHORT}, label_smoothing: 0.2")["one"])
    logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.25]]), torch.tensor([0, 1])
    target = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    expected = -(target * logits.log_softmax(-1)).sum(-1).mean()
    assert float(job.loss(logits, labels)) == pytest.approx(float(expected), rel=1e-6)


def test_weights_of_labels_multiply_each_rows_loss_and_the_mean_is_over_rows(tmp_path: Path) -> None:
    import torch

    for wanted in ("balanced", "{'no': 3.0}"):
        _, job = ready(requests(tmp_path, "torch-loop", f"{SHORT}, class_weights: {wanted}")["one"])
        counts = torch.bincount(torch.tensor([int(label) for label in job.labels]))
        weights = len(job.labels) / (2 * counts) if wanted == "balanced" else torch.tensor([3.0, 1.0])
        logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.25], [0.1, 0.2]]), torch.tensor([0, 1, 1])
        each = -logits.log_softmax(-1)[torch.arange(3), labels]
        assert float(job.loss(logits, labels)) == pytest.approx(float((weights[labels] * each).mean()), rel=1e-6)
        parts = [job.loss(logits[:2], labels[:2]) * 2 / 3, job.loss(logits[2:], labels[2:]) / 3]
        assert float(sum(parts)) == pytest.approx(float(job.loss(logits, labels)), rel=1e-6), "exact in micro-batches"
        assert wanted != "balanced" or float(weights[torch.tensor(job.labels)].mean()) == pytest.approx(1.0)


def test_drawn_by_weight_every_label_comes_as_often_and_every_trainer_gets_the_same_batches(tmp_path: Path) -> None:
    recipe = "epochs: 40, batch_size: 8, sampling: weighted"
    _, job = ready(requests(tmp_path, "torch-loop", recipe)["one"])
    rows = [row for epoch in range(40) for batch in job.batches(epoch) for row in batch]
    assert len(rows) == 40 * len(job.examples)
    assert [len(job.batches(epoch)) for epoch in range(3)] == [-(-len(job.examples) // 8)] * 3
    shares = [sum(int(job.labels[row]) == label for row in rows) / len(rows) for label in (0, 1)]
    assert shares == pytest.approx([0.5, 0.5], abs=4 * (0.25 / len(rows)) ** 0.5)
    assert job.batches(0) != job.batches(1)
    orders = {
        name: [step.rows for step in trained(tmp_path, name, "max_steps: 4, batch_size: 8, sampling: weighted")[0].steps]
        for name in ("torch-loop", "hf-trainer", "fast-loop")
    }
    assert orders["torch-loop"] == orders["hf-trainer"] == orders["fast-loop"]


def test_a_data_seed_orders_the_rows_and_leaves_head_and_dropout_to_the_seed(tmp_path: Path) -> None:
    def seen(seed: int, recipe: str) -> tuple[Any, ...]:
        request = requests(tmp_path, "torch-loop", f"{SHORT}{recipe}")["one"]
        asked = request.requested.model_copy(update={"seed": seed})
        assembly, job = ready(request.model_copy(update={"requested": asked}))
        steps = trace(assembly, job).steps
        return [step.rows for step in steps], [step.random_given for step in steps], assembly.head_sha256

    (rows, streams, head), (other_rows, other_streams, other_head) = (seen(seed, ", data_seed: 5") for seed in (0, 1))
    assert rows == other_rows
    assert head != other_head
    assert not {*streams} & {*other_streams}
    assert seen(0, "")[0] != rows
    assert seen(0, "")[1:] == (streams, head)


def test_batches_of_like_length_have_every_row_once_and_little_padding(tmp_path: Path) -> None:
    def padding(recipe: str) -> tuple[list[int], int]:
        _, job = ready(requests(tmp_path, "torch-loop", recipe, **FORTY_FOUR)["one"])
        batches = job.batches(0)
        lengths = [[len(job.examples[row]["input_ids"]) for row in batch] for batch in batches]
        return sorted(row for batch in batches for row in batch), sum(max(own) * len(own) - sum(own) for own in lengths)

    rows, grouped = padding("epochs: 1, batch_size: 4, group_by_length: true")
    assert rows == list(range(44))
    assert grouped < padding("epochs: 1, batch_size: 4")[1]


def test_schedules_go_as_their_names_say(tmp_path: Path) -> None:
    def rates(schedule: str, trainer: str = "torch-loop") -> list[float]:
        recipe = f"max_steps: 10, batch_size: 4, learning_rate: 1.0e-3, warmup: 2, scheduler: {schedule}"
        return [step.learning_rates[0] / 1e-3 for step in trained(tmp_path, trainer, recipe)[0].steps]

    restarts = rates("cosine_with_restarts, cycles: 2")
    assert restarts[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert restarts[6] == pytest.approx(1.0), "from the peak again"
    assert restarts[3:6] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 4)) for step in (1, 2, 3)])
    falling = rates("inverse_sqrt")
    assert falling[2:] == pytest.approx([(2 / step) ** 0.5 for step in range(2, 10)])
    stable = rates("warmup_stable_decay, decay: 4")
    assert stable[2:6] == pytest.approx([1.0] * 4)
    assert stable[6:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 4)) for step in range(4)])
    for schedule in ("cosine_with_restarts, cycles: 2", "inverse_sqrt", "warmup_stable_decay, decay: 0.4"):
        assert rates(schedule, "hf-trainer") == pytest.approx(rates(schedule))


def refusals(folder: Path, recipe: str) -> list[Any]:
    """What `check --build` would say, of the file or of the runs."""
    try:
        return problems_of(folder, recipe)
    except SpecError as error:
        return error.problems


@pytest.mark.parametrize(
    "recipe",
    [
        "cycles: 2",
        "decay: 0.5",
        "class_weights: {}",
        "class_weights: {'no': 0}",
        "class_weights: {noo: 2.0}",
        "class_weights: heavy",
        "sampling: all",
        "max_steps: 10, warmup: 8, scheduler: warmup_stable_decay, decay: 0.5",
        "max_steps: 10, warmup: 11",
    ],
)
def test_what_cannot_be_is_refused_before_training(recipe: str, tmp_path: Path) -> None:
    assert refusals(tmp_path, recipe)
    assert not refusals(tmp_path, SHORT)


def test_a_polynomial_schedule_ends_at_0(tmp_path: Path) -> None:
    seen, _ = trained(
        tmp_path, "torch-loop", "max_steps: 5, batch_size: 4, learning_rate: 1e-3, scheduler: polynomial, power: 2.0"
    )
    rates = [step.learning_rates[0] for step in seen.steps]
    assert rates == pytest.approx([1e-3 * (1 - step / 5) ** 2 for step in range(5)])


def test_few_examples_are_drawn_by_the_seed_nested_and_recorded(tmp_path: Path) -> None:
    def texts(examples: int, seed: int = 0) -> list[tuple[int, ...]]:
        request = requests(tmp_path, "torch-loop", f"{SHORT}, train_examples: {examples}")["one"]
        asked = request.requested.model_copy(update={"seed": seed})
        job = ready(request.model_copy(update={"requested": asked}))[1]
        return [tuple(row["input_ids"]) for row in job.examples]

    whole = ready(requests(tmp_path, "torch-loop", SHORT)["one"])[1]
    everything = [tuple(row["input_ids"]) for row in whole.examples]
    few, more = texts(6), texts(15)
    assert len(few) == 6
    assert set(few) < set(more) < set(everything)
    assert few == [text for text in everything if text in few], "in the split's order"
    assert texts(6, seed=1) != few
    record = run(tmp_path, f"{SHORT}, train_examples: 6")
    assert record.status == "ok"
    assert (record.requested.recipe["train_examples"], record.observed.examples_seen) == (6, 6)
    assert record.observed.optimizer_steps == 2


def test_frozen_embeddings_stand_still_and_are_in_no_group(tmp_path: Path) -> None:
    from torch.nn import Embedding

    assembly, job = ready(requests(tmp_path, "torch-loop", f"{SHORT}, frozen_embeddings: true")["one"])
    model = job.model
    tables = {id(module.weight): module.weight.detach().clone() for module in model.modules() if isinstance(module, Embedding)}
    assert len(tables) == 3, "words, positions, types of token"
    others = [parameter for parameter in model.parameters() if id(parameter) not in tables]
    assert sum(len(group["params"]) for group in job.parameter_groups()) == len(others)
    seen = trace(assembly, job)
    assert seen.trainable == sum(parameter.numel() for parameter in others)
    for parameter in model.parameters():
        if id(parameter) in tables:
            assert parameter.equal(tables[id(parameter)])


# --- what cannot be done -------------------------------------------------------------------------------------------------


def problems_of(folder: Path, recipe: str, **rest: Any) -> list[tuple[str, str, str]]:
    """The problems that `check --build` would report."""
    preflight = Preflight([requests(folder, "torch-loop", recipe, **rest)["one"]])
    preflight.try_all()
    return preflight.problems


def test_more_examples_than_there_are_is_an_error_before_and_in_a_run(tmp_path: Path) -> None:
    sentence = "train_examples 23 is more than the 22 rows of the training split"
    assert problems_of(tmp_path, f"{SHORT}, train_examples: 23") == [("strategy", "one", sentence)]
    record = run(tmp_path, f"{SHORT}, train_examples: 23")
    assert (record.status, record.failure.message) == ("failed", sentence)
    assert not problems_of(tmp_path, f"{SHORT}, train_examples: 22")


def test_the_preflight_encodes_the_rows_that_runs_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all seeds, and of the strategy that takes the most."""
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.runner import preflight as module
    from bakeoff.training.preparation import drawn_rows

    encoded: list[int] = []

    def counted(prepared: Any, task: Any, rows: Any, cache: Path) -> Any:
        encoded.append(len(rows["train"]["id"]))
        return encode_rows(prepared, task, rows, cache)

    encode_rows = module.encode_rows
    monkeypatch.setattr(module, "encode_rows", counted)

    def rows_encoded(seeds: list[tuple[int, int]], *recipes: str) -> int:
        strategies = ", ".join(
            f"s{number}: {{trainer: torch-loop, recipe: {{{recipe}}}}}" for number, recipe in enumerate(recipes)
        )
        plan = plan_of(tmp_path, f"{{{strategies}}}", recipe=f"{{{SHORT}}}")
        preflight = Preflight(list(requests_of(plan).values()), seeds=seeds)
        encoded.clear()
        preflight.try_all()
        assert not preflight.problems
        return encoded[0]

    both = len({*drawn_rows(22, 6, (0, 0)), *drawn_rows(22, 6, (1, 0))})
    assert 6 < both < 22
    assert rows_encoded([(0, 0)], "train_examples: 6") == 6
    assert rows_encoded([(0, 0), (1, 0)], "train_examples: 6") == both
    assert rows_encoded([(0, 0), (1, 0)], "train_examples: 2", "train_examples: 6") == both
    assert rows_encoded([(0, 0)], "train_examples: 2", "epochs: 1") == 22


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ("model name\t: Old\nflags\t\t: fpu avx2 avx512f\n", False),
        ("model name\t: New\nflags\t\t: fpu avx512_bf16\n", True),
        ("Features\t: fp asimd\n", False),
        ("Features\t: fp asimd bf16\n", True),
        (None, True),
    ],
    ids=["x86-without", "x86-with", "arm-without", "arm-with", "no-such-file"],
)
def test_bf16_is_refused_where_the_processor_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, known: bool
) -> None:
    flags = tmp_path / "cpuinfo"
    if content is not None:
        flags.write_text(content, encoding="utf-8")
    monkeypatch.setattr(hardware, "CPU_INFO", flags)
    hardware.require_precision("fp32", "cpu")
    problems = problems_of(tmp_path, f"{SHORT}, precision: bf16")
    if known:
        assert not problems
        return
    [(kind, name, sentence)] = problems
    assert (kind, name) == ("strategy", "one")
    assert sentence.startswith("precision bf16: ")
    assert tells(sentence, "", "bfloat16", "amx_bf16, avx512_bf16, bf16", "use fp32")
    record = run(tmp_path, f"{SHORT}, precision: bf16")
    assert (record.status, record.failure.message) == ("failed", sentence)


def test_fp16_is_refused_without_cuda_before_any_run(tmp_path: Path) -> None:
    [(kind, name, sentence)] = problems_of(tmp_path, f"{SHORT}, precision: fp16, fused: false")
    assert (kind, name) == ("strategy", "one")
    assert tells(sentence, "precision fp16: ", "CUDA", "cpu", "bf16 or fp32")


@pytest.fixture
def fp16_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scaled loss works on the CPU too, where nobody wants it."""
    monkeypatch.setattr(hardware, "require_precision", lambda precision, device: None)


@pytest.mark.usefixtures("fp16_anywhere")
def test_fp16_trains_nearly_as_fp32_does(tmp_path: Path) -> None:
    half, _ = trained(tmp_path, "torch-loop", f"{SHORT}, precision: fp16, fused: false", model=NO_DROPOUT)
    plain, _ = trained(tmp_path, "torch-loop", SHORT, model=NO_DROPOUT)
    assert [step.loss for step in half.steps] == pytest.approx([step.loss for step in plain.steps], rel=1e-2)
    assert [step.norm for step in half.steps] == pytest.approx([step.norm for step in plain.steps], rel=5e-2), "unscaled"


@pytest.mark.usefixtures("fp16_anywhere")
def test_a_step_whose_gradients_overflow_is_skipped_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bakeoff.training import job as module

    def scaler(device: Any, precision: str) -> Any:
        return torch.amp.GradScaler(device.type, init_scale=2.0**60, backoff_factor=2.0**-50)

    monkeypatch.setattr(module, "loss_scaler", scaler)
    seen, job = trained(tmp_path, "torch-loop", f"{SHORT}, precision: fp16, fused: false, scheduler: linear")
    assert job.observer.skipped == [0]
    assert job.observed().optimizer_steps == len(seen.steps) - 1
    rates = job.observer.learning_rates
    assert job.observed().warmup_steps == 0
    assert rates[0] == rates[1] > rates[2], "the schedule waits for the step that was skipped"
    assert seen.steps[0].weights == seen.initial_weights != seen.steps[1].weights
    with pytest.raises(SpecError, match="fused: false"):
        requests(tmp_path, "torch-loop", f"{SHORT}, precision: fp16")


@pytest.mark.long
def test_a_compiled_model_takes_the_same_steps(tmp_path: Path) -> None:
    try:
        hardware.require_compiler("cpu")
    except BakeoffError as error:
        pytest.skip(str(error))
    plain = run(fresh(tmp_path, "plain"), SHORT)
    compiled = run(fresh(tmp_path, "compiled"), f"{SHORT}, torch_compile: true")
    assert compiled.status == plain.status == "ok"
    assert compiled.scores == plain.scores
    assert (compiled.cost.flops, plain.cost.flops is None) == (None, False)
    assert compiled.observed.loss_scale is not None, "the loss is watched where the trainer asks for it"


def test_what_compiles_needs_a_compiler_and_is_not_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.contracts.registry import load_registry
    from bakeoff.parity.trace import trace_strategy

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    [(_, name, sentence)] = problems_of(tmp_path, f"{SHORT}, torch_compile: true")
    assert (name, tells(sentence, "torch_compile: ", "g++")) == ("one", True)
    request = requests(tmp_path, "torch-loop", f"{SHORT}, torch_compile: true")["one"]
    with pytest.raises(BakeoffError, match="torch_compile"):
        trace_strategy(request, 2, load_registry())
    with pytest.raises(SpecError, match="torch_compile"):
        requests(tmp_path, "fast-loop", f"{SHORT}, torch_compile: true")


def test_the_first_rows_are_the_same_for_every_seed(tmp_path: Path) -> None:
    from bakeoff.contracts.recipe import Recipe
    from bakeoff.training.preparation import rows_of

    for subset, same in (("first", True), ("drawn", False)):
        recipe = Recipe(train_examples=6, subset=subset)
        rows = [list(rows_of(recipe, 22, (seed, 0))) for seed in (0, 1)]
        assert (rows[0] == rows[1]) == same
        assert (rows[0] == list(range(6))) == same
    seen, _ = trained(tmp_path, "torch-loop", f"{SHORT}, train_examples: 6, subset: first")
    assert {row for step in seen.steps for row in step.rows} == set(range(6)), "numbers among the rows trained on"


def test_an_automatic_length_holds_nearly_all_rows(tmp_path: Path) -> None:
    import numpy as np

    from bakeoff.training.input_length import enough_for

    lengths = np.array([10] * 990 + [30] * 10)
    assert enough_for(lengths) == 16, "990 of 1,000 rows have 10 tokens"
    assert enough_for(np.array([10] * 980 + [30] * 20)) == 32
    assert (enough_for(np.array([1])), enough_for(np.array([99999]))) == (8, 8192)
    record = run(tmp_path, f"{SHORT}, max_length: auto")
    assert record.requested.recipe["max_length"] == "auto"
    assert record.max_length is not None
    assert record.max_length % 8 == 0
    assert f"{record.max_length} tokens" in " ".join(record.trainer_notes)
    cut = run(fresh(tmp_path, "other"), f"{SHORT}, max_length: {record.max_length}")
    assert cut.weights.final_sha256 == record.weights.final_sha256
    few = run(fresh(tmp_path, "few"), f"{SHORT}, max_length: auto, train_examples: 4")
    assert few.max_length == record.max_length, "by all rows of the split"


def test_an_automatic_length_is_no_more_than_the_model_reads(tmp_path: Path) -> None:
    from bakeoff.training.worker import perform

    texts = "\n".join(f"{'tea ' * 900}{number},{number % 2}" for number in range(24))
    (tmp_path / "long.csv").write_text(f"text,label\n{texts}\n", encoding="utf-8")
    task = "{name: table, train: long.csv, text: text, label: label, split: {test: 25%}}"
    asked = requests(tmp_path, "torch-loop", "max_steps: 2, batch_size: 4, learning_rate: 1e-3, max_length: auto", task=task)
    request = asked["one"].model_copy(update={"beside": tmp_path})
    preflight = Preflight([request])
    preflight.try_all()
    assert not preflight.problems
    (tmp_path / "run").mkdir()
    record = perform(request, tmp_path / "run")
    assert (record.status, record.max_length) == ("ok", 512)


def test_a_model_that_cannot_answer_is_found_before_the_first_run(tmp_path: Path) -> None:
    """POLY's forward pass wants to be told the task, which no trainer does."""
    from bakeoff_planted_bench import plan_of, requests_of

    strategies = "{one: {trainer: torch-loop, method: {name: peft, type: POLY, config: {r: 2}}}}"
    preflight = Preflight([requests_of(plan_of(tmp_path, strategies, recipe=f"{{{SHORT}}}"))["one"]])
    preflight.try_all()
    [(kind, name, sentence)] = preflight.problems
    assert (kind, name) == ("strategy", "one")
    assert sentence.startswith("its forward pass fails: ")
    assert "task_ids" in sentence


def test_embeddings_that_do_not_train_cannot_be_frozen(tmp_path: Path) -> None:
    from bakeoff.contracts.method import Adaptation
    from bakeoff.training.preparation import freeze_embeddings

    model = ready(requests(tmp_path, "torch-loop", SHORT)["one"])[1].model
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(BakeoffError, match="this model trains"):
        freeze_embeddings(Adaptation(model, ()))


def test_a_model_that_cannot_recompute_says_so() -> None:
    import torch

    from bakeoff.training.preparation import checkpoint_gradients

    with pytest.raises(BakeoffError, match="gradient_checkpointing: Linear"):
        checkpoint_gradients(torch.nn.Linear(2, 2))


def lines_of(folder: Path, recipe: str, strategies: str) -> list[str]:
    """The sentences of `check`, from the line number on."""
    from bakeoff_planted_bench import plan_of

    with pytest.raises(SpecError) as caught:
        plan_of(folder, strategies, recipe=recipe)
    return [str(problem).partition("spec.yaml:")[2] for problem in caught.value.problems]


BAD_RECIPES = [
    ("batch_size: 24, micro_batch_size: 7", "micro_batch_size 7 does not divide batch_size 24: 1, 2, 3, 4, 6, 8, 12, 24 do"),
    ("momentum: 0.9", "momentum has an effect only with `optimizer: sgd`: set that, or leave momentum out"),
    ("power: 2.0", "power has an effect only with `scheduler: polynomial`: set that, or leave power out"),
    (
        "optimizer: sgd, bias_correction: false",
        "bias_correction has an effect only with `optimizer: adamw`: set that, or leave bias_correction out",
    ),
    ("bias_correction: false, betas: [0.9, 0.999999]", "with bias_correction: false, betas must be 0.99999 or less"),
]


@pytest.mark.parametrize(("keys", "sentence"), BAD_RECIPES, ids=[keys for keys, _ in BAD_RECIPES])
def test_keys_that_go_ill_together_are_refused_in_the_shared_recipe_and_in_a_strategy(
    tmp_path: Path, keys: str, sentence: str
) -> None:
    assert lines_of(tmp_path, f"{{{keys}}}", "{one: {trainer: torch-loop}}") == [f"4:1: recipe: {sentence}"]
    [line] = lines_of(tmp_path, "{epochs: 1}", f"{{one: {{trainer: torch-loop, recipe: {{{keys}}}}}}}")
    assert line.startswith("5:")
    assert line.endswith(f"strategies.one.recipe: {sentence}")


def test_a_strategy_that_spoils_the_shared_recipe_is_told(tmp_path: Path) -> None:
    """Each part goes well alone."""
    strategies = "{one: {trainer: torch-loop}, two: {trainer: torch-loop, recipe: {optimizer: adamw}}}"
    [line] = lines_of(tmp_path, "{optimizer: sgd, momentum: 0.9}", strategies)
    assert line.endswith(
        "strategies.two.recipe: momentum has an effect only with `optimizer: sgd`: set that, or leave momentum out"
    )


def test_what_a_trainer_does_not_support_is_refused_where_it_stands_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakeoff_planted import PlantedLoop

    monkeypatch.setattr(
        PlantedLoop, "supports", Supports(recipe_keys=Supports().recipe_keys - {"micro_batch_size", "label_smoothing"})
    )
    own = "recipe: {micro_batch_size: 4, processes: 2}"
    lines = lines_of(
        tmp_path, "{batch_size: 8, precision: bf16, label_smoothing: 0.1}", f"{{one: {{trainer: planted-loop, {own}}}}}"
    )
    who = "trainer 'planted-loop' (strategy 'one')"
    assert lines == [
        f"4:25: recipe.precision: {who} trains in fp32, not in bf16",
        f"4:42: recipe.label_smoothing: {who} does not follow this key",
        f"5:52: strategies.one.recipe.micro_batch_size: {who} does not follow this key",
        f"5:73: strategies.one.recipe.processes: {who} trains in 1 process at most",
    ]
