"""Names of other tools, and ours in the wrong place, lead to what to write."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import parse_document
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.other_names import RULES, VALUES, Home, meant_by, plain
from bakeoff.spec.strategy import Strategy

INSTALLED = load_registry()
GOOD = {
    "name": "toy",
    "tasks": "[docstrings]",
    "models": "[tiny-bert]",
    "strategies": "{a: {trainer: torch-loop}, b: {trainer: hf-trainer}}",
}


def problems_of(**keys: str) -> list[str]:
    text = "\n".join(f"{key}: {value}" for key, value in (GOOD | keys).items())
    try:
        resolve(parse_document(text, "spec.yaml"), INSTALLED)
    except SpecError as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.parametrize("line", ["seed: nan", "num_gpus: 'inf'", "per_device_train_batch_size: 1e999"])
def test_what_is_no_number_of_anything_is_answered_all_the_same(line: str) -> None:
    key, _, value = line.partition(": ")
    assert problems_of(**{key: value})


PLACES = {
    "at the top": lambda line: {line.partition(": ")[0]: line.partition(": ")[2]},
    "in the recipe": lambda line: {"recipe": f"{{{line}}}"},
    "in a strategy": lambda line: {"strategies": f"{{a: {{trainer: torch-loop, {line}}}}}"},
    "in a strategy's recipe": lambda line: {"strategies": f"{{a: {{trainer: torch-loop, recipe: {{{line}}}}}}}"},
    "in a trainer": lambda line: {"strategies": f"{{a: {{trainer: {{name: torch-loop, {line}}}}}}}"},
    "in a method": lambda line: {"strategies": f"{{a: {{trainer: torch-loop, method: {{name: full, {line}}}}}}}"},
    "in a task": lambda line: {"tasks": f"[{{name: docstrings, {line}}}]"},
    "in a model": lambda line: {"models": f"[{{name: tiny-bert, {line}}}]"},
}
"""Where a person may write a key -> what that makes of the file."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("line", "write"),
    [
        ("num_train_epochs: 4", "epochs: 4"),
        ("lr: 5e-5", "learning_rate: 5e-5"),
        ("seed: 42", "seeds: [42]"),
        ("per_device_train_batch_size: 16", "batch_size: 16"),
        ("gradient_accumulation_steps: 4", "batch_size: ..., micro_batch_size: ..."),
        ("fp16: true", "precision: fp16"),
        ("adam_epsilon: 1e-6", "eps: 1e-6"),
        ("report_to: wandb", "leave it out"),
        ("load_best_model_at_end: true", "select: best-on-dev"),
        ("warmup_ratio: 0.1", "warmup: 0.1"),
        ("warmup_steps: 100", "warmup: 100"),
        ("lr_scheduler_type: cosine", "scheduler: cosine"),
        ("optim: adamw_torch_fused", "optimizer: adamw"),
        ("max_seq_length: 64", "max_length: 64"),
        ("output_dir: here", "bakeoff run --into FOLDER"),
        ("gradient_clip_val: 0.5", "max_grad_norm: 0.5"),
        ("adam_beta2: 0.98", "betas: [0.9, 0.98]"),
        ("metric_for_best_model: eval_f1", "select_by: f1"),
    ],
)
def test_another_tools_name_leads_to_the_key_wherever_it_stands(place: str, line: str, write: str) -> None:
    (message,) = problems_of(**PLACES[place](line))
    assert message.startswith(f"no key '{line.partition(':')[0]}'")
    assert write in message


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("line", "write", "home"),
    [
        ("learning_rate: 1e-3", "recipe: {learning_rate: 1e-3}", ("in the recipe", "in a strategy's recipe")),
        ("seeds: 5", "seeds: 5", ("at the top",)),
        ("report_on: dev", "report_on: dev", ("at the top",)),
        ("method: lora", "method: lora", ("in a strategy",)),
        ("r: 8", "method: {name: lora, r: 8}", ()),
        ("Learning-Rate: 1e-3", "learning_rate", ()),
    ],
)
def test_a_key_of_ours_leads_to_where_it_belongs(place: str, line: str, write: str, home: tuple[str, ...]) -> None:
    messages = problems_of(**PLACES[place](line))
    if place in home:
        assert messages == []
    else:
        assert len(messages) == 1
        assert write in messages[0]


def test_an_option_beside_its_method_is_put_into_it() -> None:
    (message,) = problems_of(strategies="{a: {trainer: torch-loop, method: lora, r: 8}}")
    assert "{name: lora, r: 8}" in message


def test_batch_size_and_accumulation_are_put_together() -> None:
    messages = problems_of(recipe="{per_device_train_batch_size: 8, gradient_accumulation_steps: 4}")
    assert len(messages) == 2
    assert all("`batch_size: 32, micro_batch_size: 8`" in message for message in messages)


@pytest.mark.parametrize(
    ("keys", "write"),
    [
        ({"models": "[bert-base-uncased]"}, "{name: hub, path: google-bert/bert-base-uncased}"),
        ({"models": "[answerdotai/ModernBERT-base]"}, "{name: hub, path: answerdotai/ModernBERT-base}"),
        ({"models": "[./folder]"}, "{name: hub, path: './folder'}"),
        ({"models": "[MiniLM]"}, "did you mean 'minilm'?"),
        ({"models": "minilm"}, "models: [minilm]"),
        ({"models": "minilm, tiny-bert"}, "models: [minilm, tiny-bert]"),
        ({"tasks": "{name: docstrings, size: 100}"}, "tasks: [{name: docstrings, size: 100}]"),
        ({"strategies": "[a, b]"}, "strategies: {NAME: {trainer: TRAINER}}"),
        ({"recipe": "{learning_rate: '5e-5'}"}, "learning_rate: 5e-5"),
        ({"model_name_or_path": "roberta-base"}, "models: [{name: hub, path: FacebookAI/roberta-base}]"),
        ({"model": "minilm"}, "models: [minilm]"),
        ({"strategies": "{a: {trainer: torch-loop, model_name: minilm}}"}, "models: [minilm]"),
        ({"dataset": "glue/mrpc"}, "tasks: [glue/mrpc]"),
        ({"tasks": "[tickets.csv]"}, "{name: table, train: tickets.csv, text: COLUMN, label: COLUMN}"),
        ({"tasks": "[{name: glue/mrpc, metric: f1}]"}, "metrics: [f1]"),
        ({"strategies": "{a: {trainer: torch-loop, method: Lora}}"}, "did you mean 'lora'?"),
        ({"recipe": "{precision: amp}"}, "precision: bf16"),
        ({"recipe": "{fp16: true}"}, "precision: fp16"),
        ({"recipe": "{loss: focal_loss}"}, "loss: focal"),
        ({"recipe": "{optim: adamw_bnb_8bit}"}, "optimizer: adamw-8bit"),
        ({"recipe": "{optim: adafactor}"}, "optimizer: adafactor"),
        ({"recipe": "{eval_steps: 50}"}, "evaluate_every: 50"),
        ({"recipe": "{optimizer: AdamW}"}, "optimizer: adamw"),
        ({"select": "best"}, "select: best-on-dev"),
        ({"keep": "true"}, "keep: final"),
        ({"report_on": "validation"}, "report_on: dev"),
        ({"under_test": "[lr]"}, "did you mean 'recipe.learning_rate'?"),
        ({"under_test": "[method.r]"}, "did you mean 'method'?"),
        ({"under_test": "trainer"}, "under_test: [trainer]"),
        ({"search": "{lr: [1e-3, 1e-4]}"}, "did you mean 'learning_rate'?"),
    ],
)
def test_values_and_components_of_other_tools_lead_to_ours(keys: dict[str, str], write: str) -> None:
    assert all(write in message for message in problems_of(**keys))
    assert problems_of(**keys)


@pytest.mark.parametrize("given", [True, 2, 0.5, "x", None, [1], {"a": {}}], ids=repr)
def test_what_the_table_says_to_write_exists(given: Any) -> None:
    """Whatever value stands there; a key that is written is one of ours, and no name of ours is in the table for itself (but
    for `model`, which is ours in a strategy and another tool's at the top level)."""
    assert RULES.keys() & {*Recipe.model_fields, *Spec.model_fields, *Strategy.model_fields} == {"model"}
    known = {"recipe": Recipe, "file": Spec, "strategy": Strategy}
    for name in RULES:
        assert name == plain(name)
        found = meant_by(name, given, {name: given})
        assert found is not None
        assert found.home in get_args(Home)
        assert found.write or found.note
        if found.home in known:
            assert found.write.partition(":")[0] in known[found.home].model_fields, name


def test_the_values_in_the_table_are_valid() -> None:
    for key in ("optimizer", "scheduler", "precision", "padding"):
        for value in set(VALUES[key].values()):
            Recipe.model_validate({key: value})
    with pytest.raises(ValidationError):
        Recipe.model_validate({"precision": "fp8"})


def test_a_part_of_an_epoch_is_taken_with_one_spelling() -> None:
    assert Recipe(epochs=0.5).epochs == 0.5
    assert Recipe(epochs=2.0) == Recipe(epochs=2)
    assert isinstance(Recipe(epochs=2.0).epochs, int)
    assert "above 0" in problems_of(recipe="{epochs: 0}")[0]
