"""The JSON Schema, asked by an independent validator, and `check` give the same answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bakeoff.contracts.component import TITLED
from bakeoff.contracts.hookspecs import SPEC_KINDS
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import parse_document, read_document
from bakeoff.spec.json_schema import DRAFT, experiment_schema

ROOT = Path(__file__).parents[3]
INSTALLED = load_registry()
SCHEMA = experiment_schema(registered.component for registered in INSTALLED.all())
VALIDATOR = Draft202012Validator(SCHEMA)

GOOD = """\
name: toy
tasks: [docstrings]
models: [tiny-bert]
recipe: {}
strategies: {a: {trainer: torch-loop}}
"""


def changed(line: str) -> str:
    key = line.split(":")[0]
    return "\n".join([*(old for old in GOOD.splitlines() if not old.startswith(f"{key}:")), line])


def is_accepted(text: str) -> bool:
    try:
        resolve(parse_document(text, "spec.yaml"), INSTALLED)
    except SpecError:
        return False
    return True


def is_valid(text: str) -> bool:
    return bool(VALIDATOR.is_valid(parse_document(text, "spec.yaml").data))


def test_it_is_a_schema_of_its_draft() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DRAFT == Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_reference_leads_somewhere() -> None:
    references = {part.split('"')[0] for part in json.dumps(SCHEMA).split('"$ref": "#/$defs/')[1:]}
    assert references <= SCHEMA["$defs"].keys()


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*/spec.yaml")), ids=lambda path: path.parent.name)
def test_published_experiments_are_valid(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(read_document(path).data)) == []


@pytest.mark.parametrize(
    "line",
    [
        "recipe: {}",
        "question: Which?",
        "tasks: [{name: docstrings, size: 100}, {name: glue/mrpc, metrics: [f1]}]",
        "models: [{name: tiny-bert, layers: 3, dropout: 0}, {name: hub, path: a/b, revision: null}, minilm]",
        "recipe: {max_grad_norm: none}",
        "recipe: {max_grad_norm: null}",
        "recipe: {max_grad_norm: 0.5, warmup: 100, weight_decay_exempt: []}",
        "recipe: {warmup: 0.1, betas: [0.9, 0.98], fused: false}",
        "recipe: {max_steps: 10}",
        "recipe: {epochs: 0.5}",
        "recipe: {max_steps: 10, epochs: null}",
        "recipe: {max_steps: null, epochs: 2}",
        "strategies: {a: {trainer: torch-loop, method: full, recipe: {max_steps: 5, max_grad_norm: none}}}",
        "strategies: {a: {trainer: {name: torch-loop}, method: null}, b: {same_as: a, replicate: 1}}",
        "strategies: {a: {trainer: torch-loop}}\nbaseline: a",
        "seeds: 5",
        "seeds: [3, 1, 4]",
        "strategies: {a: {trainer: torch-loop}, b: {same_as: a, replicate: 1}}\nseeds: {looks: [3, 5, 8, 12, 20]}",
        "strategies: {a: {trainer: torch-loop}, b: {same_as: a, replicate: 1}}\n"
        "seeds: {looks: [3, 5], first: 100, ranks: true}",
        "margin: 2",
        "margin: {points: 2}",
        "margin: {accuracy: 0.5}",
        "under_test: [trainer, recipe.learning_rate, software]",
        "report_on: dev\nselect: last-epoch\nkeep: none\nrun_timeout: 60.5",
        "select: best-on-dev",
        "strategies: {a: {trainer: torch-loop, trials: 12}, b: {same_as: a, replicate: 1}}",
        "gate: {quality: -1.0 points, train_seconds: +10%, evaluate_seconds: + 5 %, total_seconds: +0%, peak_memory: +12.5%}",
        "gate: {quality: -1 point}",
        "gate: {quality: -1 accuracy}",
        "gate: {quality: [-1 points]}",
        "gate: {}",
        "imported: [{name: a, source: chapter 3, split: dev, scores: {accuracy: 0.85, f1: 1}, seeds: 3, task: docstrings}]",
        "imported: [{name: a course, source: chapter 3, split: dev, scores: {accuracy: 0.85}}]",
    ],
)
def test_what_check_accepts_is_valid(line: str) -> None:
    assert is_accepted(changed(line))
    assert list(VALIDATOR.iter_errors(parse_document(changed(line), "spec.yaml").data)) == []


@pytest.mark.parametrize(
    "line",
    [
        "name: a/b",
        "name: a.",
        "name: 5",
        "names: a",
        f"question: {'a' * 501}",
        "tasks: []",
        "tasks: docstrings",
        "tasks: [docstring]",
        "tasks: [{size: 100}]",
        "tasks: [{name: docstrings, size: 3}]",
        "tasks: [{name: docstrings, layers: 3}]",
        "tasks: [tiny-bert]",
        "models: [hub]",
        "models: [{name: hub}]",
        "models: [{name: tiny-bert, dropout: 1}]",
        "recipe: {epochs: 0}",
        "recipe: {epochs: null}",
        "recipe: {epochs: 1, max_steps: 1}",
        "recipe: {epoch: 1}",
        "recipe: {max_grad_norm: no}",
        "recipe: {max_grad_norm: 0}",
        "recipe: {warmup: 1.5}",
        "recipe: {warmup: -1}",
        "recipe: {fused: yes}",
        "recipe: {betas: [0.9]}",
        "recipe: {scheduler: none}",
        "recipe: []",
        "strategies: {}",
        "strategies: {a: torch-loop}",
        "strategies: {a: {}}",
        "strategies: {a/b: {trainer: torch-loop}}",
        "strategies: {a: {trainer: torch-lop}}",
        "strategies: {a: {trainer: torch-loop, method: ful}}",
        "strategies: {a: {trainer: torch-loop, recipe: {epoch: 1}}}",
        "strategies: {a: {trainer: torch-loop, recipe: {learning_rate: 0}}}",
        "strategies: {a: {trainer: torch-loop, replicate: -1}}",
        "strategies: {a: {trainer: torch-loop}, b: {same_as: a, trainer: torch-loop}}",
        "strategies: {a: {trainer: torch-loop}, b: {same_as: a, recipe: {epochs: 1}}}",
        "seeds: 0",
        "seeds: []",
        "seeds: [1, 1]",
        "seeds: {}",
        "seeds: {looks: 5}",
        "seeds: {looks: [2, 5]}",
        "seeds: {look: [3, 5]}",
        "seeds: {looks: [3, 5], first: -1}",
        "seeds: {looks: [3, 5], ranks: 1}",
        "seeds: [-1]",
        "seeds: two",
        "margin: 0",
        "under_test: [losses]",
        "select: best",
        "report_on: a b",
        "run_timeout: 0",
        "select: best-on-test",
        "strategies: {a: {trainer: torch-loop, trials: 0}}",
        "strategies: {a: {trainer: torch-loop, trials: few}}",
        "strategies: {a: {trainer: torch-loop}, b: {same_as: a, replicate: 1, trials: 2}}",
        "gate: {quality: -1.0}",
        "gate: {quality: 1.0 points}",
        "gate: {quality: -1.0%}",
        "gate: {quality: null}",
        "gate: {train_seconds: 10%}",
        "gate: {train_seconds: -10%}",
        "gate: {train_seconds: +10}",
        "gate: {qualty: -1 points}",
        "gate: -1 points",
        "imported: {name: a}",
        "imported: [{name: a, source: b, split: dev}]",
        "imported: [{name: a, source: b, split: dev, scores: {}}]",
        "imported: [{name: a, source: b, split: dev, scores: {accuracy: high}}]",
        "imported: [{name: a, source: b, split: dev, scores: {accuracy: 0.5}, seeds: 0}]",
        "imported: [{name: '', source: b, split: dev, scores: {accuracy: 0.5}}]",
        "imported: [{name: a, source: b, split: dev, scores: {accuracy: 0.5}, url: c}]",
        f"imported: [{{name: {'a' * 81}, source: b, split: dev, scores: {{accuracy: 0.5}}}}]",
    ],
)
def test_what_is_wrong_is_refused_by_both(line: str) -> None:
    assert not is_accepted(changed(line))
    assert not is_valid(changed(line))


def test_all_recipe_keys_and_components_are_told_to_editors() -> None:
    definitions = SCHEMA["$defs"]
    assert (
        set(definitions["Recipe"]["properties"]) == set(definitions["RecipeChanges"]["properties"]) == set(Recipe.model_fields)
    )
    assert not any("default" in key for key in definitions["RecipeChanges"]["properties"].values())
    known = [registered.component for registered in INSTALLED.all()]
    for component in [one for one in known if one.kind in SPEC_KINDS]:
        own = definitions[f"{component.kind}:{component.name.replace('/', '.')}"]
        title = {"title"} if component.kind in TITLED else set()
        assert set(own["properties"]) == {"name", *title, *component.Options.model_fields}
        assert own["additionalProperties"] is False


def keys_in(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each key of a mapping that the schema describes, with what it says of it; not those of conditions."""
    if isinstance(schema, list):
        for item in schema:
            yield from keys_in(item, path)
    elif isinstance(schema, dict):
        yield from ((".".join([*path, name]), told) for name, told in schema.get("properties", {}).items())
        for word, part in schema.items():
            if word not in ("if", "then", "else", "not"):
                yield from keys_in(part, (*path, word))


def test_every_key_has_a_description() -> None:
    """Which an editor shows: of the file, of strategies, and of every component that comes with Bakeoff."""
    ours = [one.component for one in INSTALLED.all() if one.origin.distribution == "bakeoff"]
    found = dict(keys_in(experiment_schema(ours)))
    assert {"name", "$defs.Recipe.epochs", "$defs.Strategy.trainer", "$defs.method:lora.r"} <= found.keys()
    assert [key for key, told in found.items() if not (isinstance(told, dict) and told.get("description"))] == []


def test_every_component_is_offered_by_name_with_what_it_is() -> None:
    for kind in SPEC_KINDS:
        offered = {one["const"]: one["description"] for one in SCHEMA["$defs"][kind]["anyOf"] if "const" in one}
        known = [registered.component for registered in INSTALLED.all() if registered.component.kind == kind]
        bare = [one for one in known if not any(field.is_required() for field in one.Options.model_fields.values())]
        assert offered == {component.name: component.summary for component in bare}


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_examples_are_valid(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(read_document(path).data)) == []
