"""The peft library's types: what trains, what is said of what does not exist, and what is kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugins.checkpoints import SHAPES, model_of
from plugins.families import FAMILIES, batch, built
from plugins.test_methods import adapt, trained
from pydantic import ValidationError
from safetensors.torch import save

from bakeoff.errors import ModelError, PluginError
from bakeoff.plugin import Built, head_names
from bakeoff.training.record_writer import trained_bytes
from bakeoff_peft import TAKES_TEXT, LoraOptions, PeftOptions

TYPES: dict[str, dict[str, Any]] = {
    "lora": {"type": "LORA", "config": {"r": 2}},
    "dora": {"type": "LORA", "config": {"r": 2, "use_dora": True}},
    "ia3": {"type": "IA3"},
}
TARGETS: dict[str, dict[str, Any]] = {
    "distilbert": {"target_modules": ["q_lin", "v_lin"]},
    "mpnet": {"target_modules": ["q", "v"]},
    "electra": {"target_modules": ["query", "value"]},
}
"""Where peft has no targets of its own for the architecture."""


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_and_the_head_train_on_every_family(family: str, kind: str) -> None:
    config = TYPES[kind].get("config", {}) | TARGETS.get(family, {})
    if kind == "ia3" and family in TARGETS:
        config["feedforward_modules"] = []
    adaptation = adapt("peft", built(family), type=TYPES[kind]["type"], config=config)
    names = trained(adaptation)
    heads = {name for name in names if "modules_to_save" in name}
    assert heads, "the head is trained whole"
    assert {name for name in names - heads if "lora_" not in name and "ia3_" not in name} == set()
    logits = adaptation.model(**batch()).logits
    logits.sum().backward()
    assert all(parameter.grad is not None for name, parameter in adaptation.model.named_parameters() if name in heads)


def test_where_peft_has_no_targets_the_linear_maps_to_choose_from_are_named() -> None:
    with pytest.raises(ModelError, match="lin1, lin2, pre_classifier"):
        adapt("peft", built("distilbert"), type="LORA")


@pytest.mark.parametrize("family", sorted(SHAPES.keys() - {"ibert"}))  # its linear layers are of its own kind
def test_lora_adapts_linear_layers_of_every_family_and_none_of_its_head(family: str) -> None:
    from peft.tuners.lora import LoraLayer

    model = model_of(family)
    prefix = f"{model.base_model_prefix}."
    fresh = tuple(name for name, _ in model.named_parameters() if not name.startswith(prefix) or "pooler" in name)
    made = Built(model, fresh)
    trains = head_names(made)
    head = {name.rpartition(".")[0] for name in trains}
    adaptation = adapt("lora", made, r=2)
    adapted = {
        name.removeprefix("base_model.model.")
        for name, module in adaptation.model.named_modules()
        if isinstance(module, LoraLayer)
    }
    assert adapted
    assert not adapted & head
    names = {name.removeprefix("base_model.model.").replace("modules_to_save.default.", "") for name in trained(adaptation)}
    assert {name for name in names if "lora_" not in name} == trains, "the head trains, and nothing else"


def test_a_family_without_linear_layers_is_told_to_name_its_targets() -> None:
    model = model_of("ibert")
    with pytest.raises(ModelError, match=r"^IBertForSequenceClassification .*`target_modules`"):
        adapt("lora", Built(model, ("classifier.dense.weight",)), r=2)


def test_for_ln_tuning_the_norms_are_named() -> None:
    with pytest.raises(ModelError, match=r"target_modules, to names such as LayerNorm$"):
        adapt("peft", built("bert"), type="LN_TUNING")


def test_every_part_of_a_head_of_several_modules_trains() -> None:
    names = trained(adapt("lora", built("distilbert"), r=2, target_modules=["q_lin"]))
    assert {part for name in names for part in name.split(".") if "classifier" in part} == {"pre_classifier", "classifier"}


def test_without_the_task_type_the_head_would_stay_random_and_that_is_an_error() -> None:
    with pytest.raises(PluginError, match="method 'peft'"):
        adapt("peft", built("bert"), type="LORA", config={"task_type": "FEATURE_EXTRACTION", "modules_to_save": None})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"type": "LORRA"}, "no peft type 'LORRA'; did you mean 'LORA'?"),
        ({"type": "LORA", "config": {"rank": 8}}, "no setting of peft's LoraConfig 'rank'"),
        (
            {"type": "LORA", "config": {"target_modules": ["query", "valu"]}},
            "BertForSequenceClassification: no module 'valu'; did you mean 'value'?",
        ),
        ({"type": "LORA", "config": {"r": 0}}, "`r` should be a positive integer"),
    ],
)
def test_what_peft_does_not_have_is_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError) as error:
        adapt("peft", built("bert"), **options)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_targets_that_match_nothing_are_answered_with_the_modules_there_are() -> None:
    with pytest.raises(ModelError) as error:
        adapt("lora", built("bert"), target_modules=["q_proj"])
    assert str(error.value).startswith("BertForSequenceClassification: no module 'q_proj'")
    assert "key" in str(error.value)
    assert "query" in str(error.value)


@pytest.mark.parametrize("wrong", [{"r": 0}, {"r": -1}, {"alpha": 0.0}, {"dropout": 1.0}, {"target_modules": []}, {"k": 2}])
def test_loras_options_are_checked_without_the_library(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoraOptions.model_validate(wrong)


def test_what_is_kept_on_disk_is_what_peft_itself_would_save(tmp_path: Path) -> None:
    model = adapt("lora", built("bert", hidden_size=64, num_attention_heads=4), r=8).model
    model.save_pretrained(tmp_path)
    saved = (tmp_path / "adapter_model.safetensors").stat().st_size
    assert trained_bytes(model) == pytest.approx(saved, rel=0.10), "the names differ, the numbers do not"
    trained = {name: tensor.contiguous() for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert trained_bytes(model) == len(save(trained)), "by arithmetic, what safetensors would write"


OUTSIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt_tuning_init_state_dict_path": (
        "MULTITASK_PROMPT_TUNING",
        {"prompt_tuning_init": "EXACT_SOURCE_TASK", "prompt_tuning_init_state_dict_path": "PLACE", "num_virtual_tokens": 2},
    ),
    "megatron_core": ("LORA", {"megatron_config": {"a": 1}, "megatron_core": "evil"}),
    "tokenizer_name_or_path": (
        "PROMPT_TUNING",
        {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "a", "tokenizer_name_or_path": "PLACE"},
    ),
    "shadow_model": ("SHADOW", {"shadow_model": "PLACE"}),
    "first": ("XLORA", {"adapters": {"first": "PLACE"}}),
    "cache_file": ("LORA", {"init_lora_weights": "corda", "corda_config": {"cache_file": "PLACE"}}),
    "base_model_name_or_path": ("LORA", {"base_model_name_or_path": "PLACE"}),
    "base_model_class": ("LORA", {"auto_mapping": {"base_model_class": "evil", "parent_library": "evil"}}),
    "tokenizer_kwargs": ("PROMPT_TUNING", {"tokenizer_kwargs": ["PLACE"]}),
    "of_a_later_peft": ("LORA", {"of_a_later_peft": [{"of_a_later_peft": "PLACE"}]}),
}


@pytest.mark.parametrize("key", OUTSIDE)
def test_no_setting_of_peft_names_a_file_a_module_or_another_model(key: str, tmp_path: Path) -> None:
    kind, config = OUTSIDE[key]
    text = json.dumps(config).replace("PLACE", str(tmp_path / "planted"))
    with pytest.raises(ValidationError, match=f"{key} must not be a text"):
        PeftOptions.model_validate({"type": kind, "config": json.loads(text)})


def test_every_setting_of_peft_that_takes_text_was_looked_at() -> None:
    """Of an allowed setting the installed peft may not have made a path; those that load something are told by their names."""
    import dataclasses

    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    there = {field.name for config in PEFT_TYPE_TO_CONFIG_MAPPING.values() for field in dataclasses.fields(config)}
    loading = {name for name in there if any(part in name for part in ("path", "file", "_core", "shadow_model", "mapping"))}
    assert {"prompt_tuning_init_state_dict_path", "tokenizer_name_or_path", "megatron_core"} <= loading
    assert loading.isdisjoint(TAKES_TEXT)
    assert {"adapters", "revision", "peft_version", "tokenizer_kwargs"}.isdisjoint(TAKES_TEXT)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("LORA", {"r": 2, "target_modules": ["query"], "init_lora_weights": "gaussian", "bias": "lora_only", "use_dora": True}),
        ("LORA", {"r": 2, "rank_pattern": {"query": 4}, "layers_pattern": "layer", "layers_to_transform": [0]}),
        ("LORA", {"r": 2, "target_modules": "all-linear", "loftq_config": {}}),
        ("ROAD", {"variant": "road_1", "group_size": 4, "target_modules": ["query"]}),
        ("PEANUT", {"r": 2, "act_fn": "relu", "target_modules": ["query"]}),
        ("ADALORA", {"init_r": 4, "total_step": 100}),
    ],
)
def test_settings_of_the_update_itself_are_taken(kind: str, config: dict[str, Any]) -> None:
    assert adapt("peft", built("bert"), type=kind, config=config).model.peft_config["default"].peft_type == kind
