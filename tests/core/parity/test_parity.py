"""`bakeoff parity`: identical strategies are called identical, and every planted difference is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from core.calling import Call
from messages import tells

from bakeoff.cli import bakeoff
from bakeoff.cli.parity import choose_pair, in_words
from bakeoff.contracts.fields import LARGEST_SEED
from bakeoff.errors import BakeoffError
from bakeoff.machine.hardware import BF16_FLAGS, cpu_flags
from bakeoff.parity.trace import Trace
from bakeoff.parity.verdict import Verdict, compare

PLANTED = Path(__file__).parents[2] / "thirdparty" / "planted"
SAME_RECIPE = "the experiment file asks both for"
OTHER_RECIPE = "the experiment file asks for it"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted is installed, as far as the registry can tell."""
    monkeypatch.syspath_prepend(PLANTED)


def verdict_of(folder: Path, first: str, second: str, *, limit: int | None = None, **rest: str) -> Verdict:
    """Two strategies, in YAML, traced in this process and compared."""
    from bakeoff_planted_bench import plan_of, traces_of

    traces = traces_of(plan_of(folder, f"{{one: {first}, two: {second}}}", **rest), limit=limit)
    return compare(*(Trace.model_validate_json(trace.model_dump_json()) for trace in traces.values()))


LOOP = "{trainer: torch-loop}"


def planted(fault: str) -> str:
    return f"{{trainer: {{name: planted-loop, fault: {fault}}}}}"


def changed(recipe: str) -> str:
    return f"{{trainer: torch-loop, recipe: {{{recipe}}}}}"


def test_the_unspoilt_loop_is_identical_to_both_built_in_trainers(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of, traces_of

    plan = plan_of(tmp_path, f"{{one: {LOOP}, two: {{trainer: hf-trainer}}, three: {planted('none')}}}")
    one, two, three = traces_of(plan).values()
    for other in (two, three):
        verdict = compare(one, other)
        assert verdict.identical, in_words(verdict)
        assert (verdict.identical_steps, verdict.compared_steps, verdict.differs_at) == (12, 12, None)
        assert not verdict.likely_causes + verdict.also_different
        assert tells(
            in_words(verdict)[0], f"one and {other.strategy}: identical", "12 steps", "gradient norms", "weights", "to the bit"
        )
    assert {step.norm == step.unclipped_norm for step in one.steps} == {True, False}, "clipping must bite at some steps"


TRAINER_FAULTS = [
    ("seed", 1, "random state", "different random stream (seed) for dropout: two reseeds"),
    ("order", 1, "batch", "different data order: two takes the job's batches in an order of its own"),
    (
        "clip",
        1,
        "gradient norm",
        f"clipping: one clips gradients at 0.45 (%, two does not clip (%; {SAME_RECIPE} max_grad_norm",
    ),
    ("eps", 2, "weights", f"eps: 1e-8 in one, 1e-6 in two; {SAME_RECIPE} eps 1e-8"),
    ("weight-decay", 2, "weights", "weight decay: 0.01 on 88,864 of 89,794 parameters in one, 0.01 on 89,794 of 89,794%in two"),
    ("dropped-batch", 3, "batch", "two skipped batch 3 of the job's order"),
    ("drop-last", 6, "batch", "two skipped batch 6 of the job's order, the short last one of its epoch"),
    (
        "scheduler-twice",
        2,
        "learning rate",
        "the scheduler of two is stepped twice per step: its rate at step n is that of one",
    ),
    ("no-zero-grad", 2, "gradient norm before clipping", "the gradients of the step before may not have been cleared"),
    ("own-loss", 1, "loss", "the loss is computed differently"),
    (
        "one-more",
        13,
        "number of steps",
        "two: trainer 'planted-loop' (plugin 'planted' of bakeoff-planted 1.0) called begin_step(12), and the job has 12 steps",
    ),
    (
        "one-fewer",
        12,
        "number of steps",
        "two: trainer 'planted-loop' (% returned from `fit` after 11 steps, and the job asked for 12",
    ),
    ("swallow", 13, "number of steps", "two: trainer 'planted-loop' (% swallowed an exception of the job: PluginError"),
    ("raises", 4, "number of steps", "two: ValueError: out of tea (bakeoff_planted.py:"),
]


def matches(text: str, pattern: str) -> bool:
    """`%` stands for anything."""
    at = 0
    for part in pattern.split("%"):
        if (found := text.find(part, at)) < 0:
            return False
        at = found + len(part)
    return True


@pytest.mark.parametrize(("fault", "step", "what", "cause"), TRAINER_FAULTS, ids=[case[0] for case in TRAINER_FAULTS])
def test_a_fault_of_a_trainer_is_named(tmp_path: Path, fault: str, step: int, what: str, cause: str) -> None:
    verdict = verdict_of(tmp_path, LOOP, planted(fault))
    assert not verdict.identical
    assert (verdict.differs_at, verdict.differs_in) == (step, what)
    assert len(verdict.likely_causes) == 1, verdict.likely_causes
    assert matches(verdict.likely_causes[0], cause), verdict.likely_causes


ACCUMULATED = "{epochs: 2, batch_size: 12, micro_batch_size: 4, learning_rate: 1e-3, max_grad_norm: none}"
"""22 examples: 4 + 4 + 4, then 4 + 4 + 2."""

WEIGHING = [
    ("summed", 1, "loss", "two adds up the mean losses of 3 micro-batches: loss and gradients are 3 times too large"),
    ("even", 2, "loss", "two gives the micro-batches of 4 + 4 + 2 rows equal weights"),
    ("draws", 1, "random state", "draws random numbers, between the forward passes of a step"),
]


@pytest.mark.parametrize("first", [LOOP, "{trainer: hf-trainer}"], ids=["torch-loop", "hf-trainer"])
@pytest.mark.parametrize(("fault", "step", "what", "cause"), WEIGHING, ids=[case[0] for case in WEIGHING])
def test_micro_batches_weighed_wrongly_are_named(
    tmp_path: Path, first: str, fault: str, step: int, what: str, cause: str
) -> None:
    verdict = verdict_of(tmp_path, first, planted(fault), recipe=ACCUMULATED)
    assert (verdict.differs_at, verdict.differs_in) == (step, what)
    assert len(verdict.likely_causes) == 1, verdict.likely_causes
    assert cause in verdict.likely_causes[0]


def test_a_batch_with_fewer_micro_batches_than_the_others_is_weighed_by_its_own(tmp_path: Path) -> None:
    """What `even` gets right: 4 + 4 of 4 each; it is identical there, and to the built-in trainers."""
    recipe = ACCUMULATED.replace("12", "16").replace("epochs: 2", "epochs: 1, train_examples: 20")  # 4 x 4, then 4
    verdict = verdict_of(tmp_path, "{trainer: hf-trainer}", planted("even"), recipe=recipe)
    assert verdict.identical, in_words(verdict)


RECIPE_CHANGES = [
    ("max_grad_norm: none", 1, "gradient norm", f"does not clip (%{OTHER_RECIPE}: max_grad_norm 0.45 against none"),
    ("max_grad_norm: 0.4", 1, "gradient norm", "one clips gradients at 0.45 (%, two clips gradients at 0.4"),
    ("eps: 1e-6", 2, "weights", f"eps: 1e-8 in one, 1e-6 in two; {OTHER_RECIPE}: eps 1e-8 against 1e-6"),
    ("weight_decay: 0.5", 2, "weights", f"weight decay: 0.01 on 88,864 of 89,794%in one, 0.5 on 88,864%{OTHER_RECIPE}"),
    ("weight_decay_exempt: []", 2, "weights", "0.01 on 89,794 of 89,794 parameters in two"),
    ("fused: false", 2, "weights", f"fused kernel: true in one, torch's default in two; {OTHER_RECIPE}"),
    ("betas: [0.8, 0.999]", 2, "weights", "betas: [0.9, 0.999] in one, [0.8, 0.999] in two"),
    ("batch_size: 5", 1, "batch", f"different batch size: 4 rows in one, 5 in two; {OTHER_RECIPE}: batch_size 4 against 5"),
    ("padding: max_length", 1, "batch", "different padding: to % tokens in one, to 128 in two"),
    ("max_length: 8", 1, "batch", f"the same rows, encoded differently; {OTHER_RECIPE}: max_length 128 against 8"),
    ("learning_rate: 5e-3", 2, "learning rate", "different learning rate: it peaks at 1e-3 in one, at 5e-3 in two"),
    ("warmup: 4", 2, "learning rate", "different warm-up: the peak is at step 3 in one, at 5 in two"),
    (
        "scheduler: cosine",
        4,
        "learning rate",
        "different scheduler: the rate falls in a line in one, falls along a curve in two",
    ),
    ("scheduler: constant", 4, "learning rate", "different scheduler: the rate falls in a line in one, stays in two"),
    ("scheduler: polynomial, power: 2.0", 4, "learning rate", f"falls along a curve in two; {OTHER_RECIPE}: scheduler linear"),
    ("label_smoothing: 0.1", 1, "loss", f"computed differently; {OTHER_RECIPE}: label_smoothing 0 against 0.1"),
    ("precision: bf16", 1, "loss", f"computed differently; {OTHER_RECIPE}: precision fp32 against bf16"),
    ("optimizer: sgd, momentum: 0.9", 2, "weights", "optimizer: AdamW in one, SGD in two"),
    ("bias_correction: false", 2, "weights", "bias correction: true in one, false in two"),
    (
        "micro_batch_size: 2",
        1,
        "batch",
        f"different micro-batches: 4 rows in one, 2 + 2 rows in two; {OTHER_RECIPE}: micro_batch_size",
    ),
    ("train_examples: 20", 1, "batch", f"different examples to train on; {OTHER_RECIPE}: train_examples none against 20"),
    ("frozen_embeddings: true", 0, "initial weights", f"{OTHER_RECIPE}: frozen_embeddings false against true"),
    ("epochs: 3", 4, "learning rate", "falls at a different pace (12 steps planned in one, 18 in two)"),
]


def fused_rounds_like_plain() -> bool:
    """Whether ten steps of AdamW on 10,000 numbers end with the same bits by both kernels: a matter of the instruction set."""
    import torch

    ends = []
    for fused in (True, False):
        torch.manual_seed(0)
        weights = torch.nn.Parameter(torch.randn(10_000))
        optimizer = torch.optim.AdamW([weights], lr=1e-3, fused=fused)
        for _ in range(10):
            weights.grad = torch.randn(10_000)
            optimizer.step()
        ends.append(weights.detach().clone())
    return torch.equal(*ends)


@pytest.mark.parametrize(
    ("recipe", "step", "what", "cause"), RECIPE_CHANGES, ids=[case[0].replace(" ", "") for case in RECIPE_CHANGES]
)
def test_a_change_of_the_recipe_is_named(tmp_path: Path, recipe: str, step: int, what: str, cause: str) -> None:
    if "bf16" in recipe and not BF16_FLAGS & cpu_flags():
        pytest.skip("this processor has no bfloat16 arithmetic")
    if "fused" in recipe and fused_rounds_like_plain():
        pytest.skip("the fused and the plain AdamW round alike with this processor's instructions")
    verdict = verdict_of(tmp_path, LOOP, changed(recipe))
    assert not verdict.identical
    assert verdict.differs_in == what
    assert verdict.differs_at is not None
    assert verdict.differs_at >= step if what == "weights" else verdict.differs_at == step  # rounding may hide it a while
    assert len(verdict.likely_causes) == 1, verdict.likely_causes
    assert matches(verdict.likely_causes[0], cause), verdict.likely_causes


def test_other_seed_streams_are_told_apart(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, LOOP, "{same_as: one, replicate: 1}")
    assert (verdict.differs_at, verdict.differs_in) == (0, "initial weights")
    assert f"(seed); {OTHER_RECIPE}: replicate 0 against 1" in verdict.likely_causes[0]
    assert "jobs themselves differ" in verdict.also_different[0]
    assert "different random stream" in verdict.also_different[1]


def test_stopping_early_leaves_the_learning_rates_of_the_whole_run(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of, traces_of

    plan = plan_of(tmp_path, "{one: {trainer: hf-trainer}, two: {trainer: torch-loop}}")
    whole, short = traces_of(plan), traces_of(plan, limit=5)
    for name in ("one", "two"):
        assert len(short[name].steps) == 5
        assert not short[name].trouble
        assert short[name].steps == whole[name].steps[:5]


def test_a_trainer_that_does_not_stop_when_told_is_found_out(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, LOOP, planted("deaf"), limit=4)
    assert (verdict.identical_steps, verdict.differs_at) == (4, 5)
    assert "trainer 'planted-loop'" in verdict.likely_causes[0]
    assert "after the signal" in verdict.likely_causes[0]


def test_the_same_divergence_on_both_sides_is_identical_and_said(tmp_path: Path) -> None:
    recipe = "{epochs: 2, batch_size: 4, learning_rate: 1e30, max_grad_norm: none}"
    verdict = verdict_of(tmp_path, LOOP, "{trainer: hf-trainer}", recipe=recipe)
    assert verdict.identical, in_words(verdict)
    assert verdict.compared_steps < verdict.total_steps
    assert all("the loss was not finite" in text for text in verdict.also_different)


def test_a_trace_is_what_a_run_does(tmp_path: Path) -> None:
    """The trace prepares its job as a run does: same start, same end, by the run's own record."""
    from bakeoff_planted_bench import plan_of, requests_of, traces_of

    from bakeoff.training.worker import perform

    plan = plan_of(tmp_path, "{one: {trainer: torch-loop}}")
    (tmp_path / "run").mkdir()
    record = perform(requests_of(plan)["one"], tmp_path / "run")
    trace = traces_of(plan)["one"]
    assert record.weights is not None
    assert record.weights.initial_sha256.startswith(trace.initial_weights)
    assert record.weights.final_sha256.startswith(trace.steps[-1].weights)
    assert record.observed is not None
    assert record.observed.groups == trace.groups


def test_the_pair_is_the_baseline_and_another_unless_named(tmp_path: Path) -> None:
    from bakeoff_planted_bench import plan_of

    plan = plan_of(tmp_path, f"{{a: {LOOP}, b: {changed('eps: 1e-6')}, c: {changed('eps: 1e-7')}}}\nbaseline: b")
    assert [run.strategy.name for run in choose_pair(plan, None, None)] == ["b", "a"]
    assert [run.strategy.name for run in choose_pair(plan, "c,a", 7)] == ["c", "a"]
    assert choose_pair(plan, "c,a", 7)[0].seed == 7
    with pytest.raises(BakeoffError, match="no strategy 'd'"):
        choose_pair(plan, "a,d", None)
    for names in ("a", "a,a", "a,b,c"):
        with pytest.raises(BakeoffError, match="name two different strategies"):
            choose_pair(plan, names, None)


@pytest.mark.parametrize("seed", ["2147483648", "-1", "9" * 4000])
def test_a_seed_that_no_run_can_have_is_refused_in_one_line(tmp_path: Path, seed: str) -> None:
    from bakeoff_planted_bench import plan_of

    plan_of(tmp_path, f"{{one: {LOOP}, api: {{trainer: hf-trainer}}}}")
    answer = CliRunner().invoke(bakeoff, ["parity", str(tmp_path / "spec.yaml"), "--seed", seed])
    assert answer.exit_code == 2
    (told,) = (line for line in answer.output.splitlines() if line.startswith("Error: "))
    assert tells(told, "Error: ", "'--seed'", f"{seed} ", f"<={LARGEST_SEED}.")


@pytest.mark.slow
def test_the_command_answers_in_words_json_and_exit_code(tmp_path: Path, call: Call) -> None:
    """End to end: worker processes find the planted plugin through its dist-info."""
    from bakeoff_planted_bench import plan_of

    plan_of(tmp_path, f"{{one: {LOOP}, api: {{trainer: hf-trainer}}, two: {planted('clip')}}}")
    environment = {**os.environ, "PYTHONPATH": str(PLANTED)}

    def parity(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from bakeoff.cli import main; main()", "parity", str(tmp_path / "spec.yaml")]
        return subprocess.run(
            [*command, "--device", "cpu", "--threads", "1", *options], env=environment, capture_output=True, text=True
        )

    same = parity("--steps", "3")
    assert (same.returncode, same.stderr.count("tracing ")) == (0, 2)
    assert tells(same.stdout, "one and api: identical", "3 steps (batches,")
    different = parity("--strategies", "one,two", "--json")
    assert different.returncode == 1, different.stderr
    verdict = json.loads(different.stdout)
    assert (verdict["identical"], verdict["differs_at"], verdict["differs_in"]) == (False, 1, "gradient norm")
    assert verdict["observed"]["one"]["clipped_at"] == "0.45"
    assert verdict["observed"]["two"]["clipped_at"] == "never"
    code, out, err = call("parity", tmp_path / "spec.yaml", "--strategies", "one,tow")
    assert (code, out) == (2, "")
    assert "'two'?" in err
    assert not [path for path in tmp_path.iterdir() if path.name != "spec.yaml"], "nothing is recorded"
