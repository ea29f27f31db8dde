"""`hf-trainer` with `as_shipped: true` is the Trainer of transformers as a user makes it, and what that does otherwise is seen.

A user's Trainer is made here with no line of ours but the random streams. The official scripts stand beside it in
`tests/end_to_end/test_official_scripts.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from peers.imposer import imposed

from bakeoff.analysis.flags.recipes import contradictions
from bakeoff.analysis.recipes import differences, side_by_side
from bakeoff.errors import SpecError
from bakeoff.parity.trace import Trace, trace
from bakeoff.parity.verdict import compare
from bakeoff.records.schema import LossScale, Record
from bakeoff.training.data import weights_sha256

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
SHIPPED = "{name: hf-trainer, as_shipped: true}"
RECIPE = "epochs: 2, batch_size: 4, learning_rate: 1e-3, max_grad_norm: 0.45"
FORTY_FOUR = {"task": "{name: planted/sentences, size: 44}"}
SHORT_GROUP = RECIPE.replace("batch_size: 4", "batch_size: 24, micro_batch_size: 8")
"""Of 44 examples: 8 + 8 + 8, then 8 + 8 + 4."""


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted is installed, as far as the registry can tell."""
    monkeypatch.syspath_prepend(PLANTED)


def requests(folder: Path, trainer: str, recipe: str, **rest: Any) -> dict[str, Any]:
    from bakeoff_planted_bench import plan_of, requests_of

    return requests_of(plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", **rest), data=folder)


def ready(request: Any) -> tuple[Any, Any]:
    """A strategy put together, and its traced job."""
    import bakeoff_planted_bench

    return bakeoff_planted_bench.ready(request)


def traced(folder: Path, trainer: str, recipe: str, **rest: Any) -> tuple[Trace, str]:
    """What a strategy did, and the hash of its weights at the end."""
    assembly, job = ready(requests(folder, trainer, recipe, **rest)["one"])
    seen = trace(assembly, job)
    assert not seen.trouble
    return seen, weights_sha256(job.model.state_dict().items())


def by_a_user(folder: Path, recipe: str, arguments: dict[str, Any], **rest: Any) -> tuple[list[float], str]:
    """The same by a Trainer that somebody makes: losses of the steps, and the hash of the weights at the end."""
    from transformers import Trainer, TrainingArguments

    job = ready(requests(folder, SHIPPED, recipe, **rest)["one"])[1]
    given = TrainingArguments(
        output_dir=str(folder / "user"),
        num_train_epochs=2,
        learning_rate=1e-3,
        max_grad_norm=0.45,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        **arguments,
    )
    rows = [{name: value for name, value in row.items() if name != "row"} for row in job.examples]
    with imposed() as seen:
        Trainer(model=job.model, args=given, train_dataset=rows, data_collator=job.prepared.collate).train()
    return seen.losses, weights_sha256(job.model.state_dict().items())


def made(folder: Path, trainer: str, recipe: str, **rest: Any) -> Record:
    """The record of a real run."""
    from bakeoff.training.worker import perform

    place = folder / "run"
    place.mkdir()
    record = perform(requests(folder, trainer, recipe, **rest)["one"], place)
    assert record.status == "ok", record.failure
    return record


def own_rows(folder: Path, kind: str) -> dict[str, str]:
    """A task of numbers, or of sets of labels."""
    labels: list[Any] = [n / 7 for n in range(14)] if kind == "regression" else [["a"], ["a", "b"], []] * 5
    rows = [json.dumps({"text": f"{'tea ' * (n % 5)}{n}", "label": label}) for n, label in enumerate(labels)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    files = "train: rows.jsonl, test: rows.jsonl, text: text, label: label"
    named = ", labels: [a, b]" if kind == "multilabel" else ""
    return {"task": f"{{name: table, {files}, kind: {kind}{named}}}"}


TWO_BY_TWO = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "plain": (RECIPE, {"per_device_train_batch_size": 4}, {}),
    "accumulated": (f"{RECIPE}, micro_batch_size: 2", TWO_BY_TWO, {}),
    "short last group": (SHORT_GROUP, {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 3}, FORTY_FOUR),
    "smoothed, accumulated": (
        f"{RECIPE}, micro_batch_size: 2, label_smoothing: 0.1",
        {**TWO_BY_TWO, "label_smoothing_factor": 0.1},
        {},
    ),
    "sgd": (
        f"{RECIPE}, optimizer: sgd, momentum: 0.9, fused: false",
        {"per_device_train_batch_size": 4, "optim": "sgd", "optim_args": "momentum=0.9"},
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_takes_the_steps_of_a_users_trainer_to_the_bit(tmp_path: Path, name: str) -> None:
    recipe, arguments, rest = CASES[name]
    losses, weights = by_a_user(tmp_path, recipe, arguments, **rest)
    seen, ours = traced(tmp_path, SHIPPED, recipe, **rest)
    assert [step.loss for step in seen.steps] == losses
    assert ours == weights
    assert len(losses) == (4 if rest else 12)


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_the_loss_is_the_models_own_whatever_the_kind_of_task(tmp_path: Path, kind: str) -> None:
    recipe, rest = f"{RECIPE}, micro_batch_size: 2", own_rows(tmp_path, kind)
    losses, weights = by_a_user(tmp_path, recipe, TWO_BY_TWO, **rest)
    seen, ours = traced(tmp_path, SHIPPED, recipe, **rest)
    assert ([step.loss for step in seen.steps], ours) == (losses, weights)
    assert losses[0] == pytest.approx(sum(seen.steps[0].pass_losses), rel=1e-6)


def test_without_accumulation_it_is_the_exact_trainer_and_the_manual_loop(tmp_path: Path) -> None:
    shipped, exact, loop = (traced(tmp_path, trainer, RECIPE)[0] for trainer in (SHIPPED, "hf-trainer", "torch-loop"))
    for other in (exact, loop):
        assert compare(shipped, other).identical


# --- what it does otherwise is seen --------------------------------------------------------------------------------------

ONCE, TWICE, THRICE = [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]
SCALES = {
    "accumulated": (f"{RECIPE}, micro_batch_size: 2", {}, TWICE, ONCE),
    "short last group": (SHORT_GROUP, FORTY_FOUR, THRICE, [2.5, 5.0]),
    "smoothed, accumulated": (f"{RECIPE}, micro_batch_size: 2, label_smoothing: 0.1", {}, ONCE, ONCE),
    "plain": (RECIPE, {}, ONCE, ONCE),
}
"""Of 22 examples the last batch has two: one micro-batch."""


@pytest.mark.parametrize("name", SCALES)
def test_how_the_shipped_trainer_scales_loss_and_gradients_is_recorded(tmp_path: Path, name: str) -> None:
    recipe, rest, whole, short = SCALES[name]
    record = made(tmp_path, SHIPPED, recipe, **rest)
    scale = record.observed.loss_scale
    assert scale.loss == pytest.approx(whole, rel=1e-5)
    assert scale.gradient == pytest.approx(whole, rel=1e-5)
    assert scale.short == pytest.approx(short, rel=1e-5)
    assert record.trainer_owns == (["loss"] if "micro_batch_size" in recipe else [])
    assert not record.trainer_notes
    assert not contradictions(record), "it says that it owns the loss, or does what the recipe says"


@pytest.mark.parametrize("trainer", ["hf-trainer", "torch-loop", "fast-loop"])
def test_trainers_that_follow_the_recipe_are_seen_to(tmp_path: Path, trainer: str) -> None:
    scale = made(tmp_path, trainer, SHORT_GROUP, **FORTY_FOUR).observed.loss_scale
    for seen in (scale.loss, scale.gradient, scale.short):
        assert seen == pytest.approx(ONCE, rel=1e-5)
    assert scale.steps == 3, "of four: the first is watched only where it is the only one"


@pytest.mark.parametrize(
    ("fault", "recipe", "whole", "short", "told"),
    [
        ("own-loss", RECIPE, TWICE, [], "loss and gradients 2 times"),
        ("summed", SHORT_GROUP, THRICE, [2.5, 5.0], "loss and gradients 3 times, gradients of short batches 2.5 to 5 times"),
        ("even", SHORT_GROUP, ONCE, [5 / 6, 5 / 3], "gradients of short batches 0.833 to 1.67 times"),
    ],
)
def test_whoever_scales_otherwise_without_saying_so_did_not_follow_the_recipe(
    tmp_path: Path, fault: str, recipe: str, whole: list[float], short: list[float], told: str
) -> None:
    record = made(tmp_path, f"{{name: planted-loop, fault: {fault}}}", recipe, **FORTY_FOUR)
    assert not record.trainer_owns
    assert record.observed.loss_scale.gradient == pytest.approx(whole, rel=1e-5)
    assert record.observed.loss_scale.short == pytest.approx(short, rel=1e-5)
    assert contradictions(record) == [f"{told} those of the mean over each batch were seen"]


def scaled(record: Record, scale: LossScale | None) -> Record:
    return record.model_copy(update={"observed": record.observed.model_copy(update={"loss_scale": scale})})


def test_another_scale_is_a_confounder_though_the_trainer_is_under_test(tmp_path: Path) -> None:
    exact = made(tmp_path, "torch-loop", RECIPE)
    twice = scaled(exact, LossScale(steps=5, loss=TWICE, gradient=TWICE))

    def facts(one: Record, other: Record, *under_test: str) -> list[tuple[str, str, str, bool]]:
        rows = side_by_side({"one": [one], "other": [other]})
        found = differences(rows["one"], rows["other"], under_test)
        return [(fact.subject, fact.first, fact.second, fact.declared) for fact in found]

    told = "loss and gradients 2 times those of the mean over each batch"
    assert facts(twice, exact, "trainer") == [("loss", told, "the mean over each batch", False)]
    assert facts(scaled(exact, None), twice, "trainer") == [("loss", "the mean over each batch", told, False)], "nobody looked"
    assert facts(twice, exact, "loss") == [("loss", told, "the mean over each batch", True)]
    assert not facts(exact, scaled(exact, LossScale(steps=1, loss=[0.997, 1.004], gradient=[1.0, 1.0])))


# --- what is said before -------------------------------------------------------------------------------------------------

ACCUMULATED = "{epochs: 1, batch_size: 24, micro_batch_size: 8}"


def plan_of(folder: Path, trainer: str, recipe: str) -> Any:
    from bakeoff_planted_bench import plan_of

    return plan_of(folder, f"{{one: {{trainer: {trainer}}}, two: {{trainer: {trainer}, method: head-only}}}}", recipe=recipe)


@pytest.mark.parametrize(
    ("recipe", "times"),
    [
        (ACCUMULATED, "3 times as large"),
        ("{epochs: 1, batch_size: 8, processes: 2}", "2 times as large"),
        ("{epochs: 1, batch_size: 8, micro_batch_size: 4, processes: 2}", "4 times as large"),
        ("{epochs: 1, batch_size: 8, micro_batch_size: 4, label_smoothing: 0.1}", "depends on the model"),
    ],
)
def test_a_note_tells_once_what_the_shipped_trainer_would_do(tmp_path: Path, recipe: str, times: str) -> None:
    ((note, names),) = plan_of(tmp_path, "hf-trainer", recipe).notes.items()
    assert names == ["one", "two"]
    assert times in note
    assert "as_shipped: true" in note
    assert not plan_of(tmp_path, SHIPPED, recipe).notes
    assert not plan_of(tmp_path, "torch-loop", recipe).notes


@pytest.mark.parametrize("recipe", ["{epochs: 1}", "{epochs: 1, batch_size: 8, micro_batch_size: 8}"])
def test_no_note_where_the_shipped_trainer_does_the_same(tmp_path: Path, recipe: str) -> None:
    assert not plan_of(tmp_path, "hf-trainer", recipe).notes


def test_the_note_stands_in_the_record_and_in_the_verdict_of_parity(tmp_path: Path) -> None:
    recipe = f"{RECIPE}, micro_batch_size: 2"
    (note,) = made(tmp_path, "hf-trainer", recipe).trainer_notes
    assert note.startswith("micro_batch_size 2 of 4: hf-trainer uses the exact mean")
    exact, loop, shipped = (traced(tmp_path, trainer, recipe)[0] for trainer in ("hf-trainer", "torch-loop", SHIPPED))
    same = compare(exact, loop)
    assert (same.identical, same.notes) == (True, [f"one: {note}"])
    other = compare(loop, shipped)
    assert (other.differs_at, other.differs_in) == (1, "loss")
    assert other.likely_causes == ["one adds up the mean losses of 2 micro-batches: loss and gradients are 2 times too large"]


# --- what it cannot do ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "key", "why"),
    [
        ("{epochs: 1, weight_decay_exempt: []}", "weight_decay_exempt", "and nothing else"),
        ("{epochs: 1, bias_correction: false}", "bias_correction", "without bias correction"),
        ("{epochs: 1, optimizer: sgd}", "fused", "say `fused: false`"),
        ("{epochs: 1, batch_size: 7, processes: 2}", "batch_size", "2 do not divide 7"),
        ("{epochs: 1, batch_size: 9, micro_batch_size: 3, processes: 2}", "micro_batch_size", "2 do not divide 3"),
    ],
)
def test_what_the_shipped_trainer_has_no_argument_for_is_refused(tmp_path: Path, recipe: str, key: str, why: str) -> None:
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, SHIPPED, recipe)
    (problem, *rest) = refused.value.problems
    assert not rest or len(rest) == 1, "once for each strategy"
    assert "'hf-trainer' (strategy 'one')" in problem.message
    assert why in problem.message
    plan_of(tmp_path, "hf-trainer", recipe)


def test_a_method_with_rates_of_its_own_keeps_them(tmp_path: Path) -> None:
    """As where a user hands an optimizer to the Trainer."""
    strategies = f"{{one: {{trainer: {SHIPPED}, method: layer-decay}}, two: {{trainer: torch-loop, method: layer-decay}}}}"
    from bakeoff_planted_bench import plan_of, traces_of

    one, two = traces_of(plan_of(tmp_path, strategies, recipe=f"{{{RECIPE}}}")).values()
    assert compare(one, two).identical
    assert len(one.steps[0].learning_rates) > 1


def test_the_option_leaves_ids_alone_where_it_is_not_given(tmp_path: Path) -> None:
    ids = [
        plan_of(tmp_path, trainer, "{epochs: 1}").runs[0].id
        for trainer in ("hf-trainer", "{name: hf-trainer, as_shipped: false}", SHIPPED)
    ]
    assert ids[0] == ids[1] != ids[2]
