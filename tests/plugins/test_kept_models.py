"""What is kept of every method, and of every type of peft: it loads with transformers and peft alone and answers as before."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import setuptools  # noqa: F401 - peft imports it for BOFT, which fails where distutils was imported before it
from plugins.kept import INFO, TEXTS, answers, classifier, kept_form, trained
from plugins.test_methods import adapt

from bakeoff.errors import BakeoffError, ModelError, PluginError
from bakeoff.plugin import Encoding, TextEncoder
from bakeoff.runner.preflight import require_answer
from bakeoff.toolkit.saved_classifier import how_to_load
from bakeoff.training.kept_model import keep, require_keepable
from bakeoff.training.preparation import head_of

METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "head-only": {},
    "bitfit": {},
    "last-layers": {"k": 1},
    "layer-decay": {},
    "reinit": {},
}
LORA: dict[str, Any] = {"r": 2}
PROMPT: dict[str, Any] = {"num_virtual_tokens": 4}
MERGED: dict[str, dict[str, Any]] = {
    "LORA": LORA,
    "ADALORA": {"total_step": 100},
    "ADAMSS": {},
    "BEFT": {},
    "BOFT": {},
    "C3A": {"block_size": 4},
    "DEFT": {},
    "DELORA": {},
    "FOURIERFT": {"n_frequency": 20},
    "FROD": {},
    "GLORA": {},
    "GRALORA": {},
    "HIRA": {},
    "HRA": {},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {},
    "LOHA": {},
    "LOKR": {},
    "MISS": {"r": 4},
    "OFT": {},
    "OSF": {},
    "PEANUT": {},
    "PSOFT": {"r": 4},
    "PVERA": {},
    "RANDLORA": {},
    "ROAD": {"group_size": 4},
    "SHIRA": {"r": 2},
    "SUPERTUNING": {},
    "TINYLORA": {},
    "UNILORA": {},
    "VBLORA": {"vector_length": 8, "num_vectors": 16, "topk": 2, "r": 2},
    "VERA": {},
    "WAVEFT": {"n_frequency": 20},
}
"""Types whose adapter becomes a part of the model's own weights, with settings that suit a hidden size of 16."""
BESIDE: dict[str, dict[str, Any]] = {
    "CARTRIDGE": PROMPT,
    "LILY": {},
    "PREFIX_TUNING": PROMPT,
    "PROMPT_TUNING": PROMPT,
    "P_TUNING": {**PROMPT, "encoder_hidden_size": 8},
}
"""Types whose adapter is kept beside the model."""
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ADAPTION_PROMPT": ({"adapter_len": 4, "adapter_layers": 2}, "peft type ADAPTION_PROMPT cannot be put on"),
    "CPT": ({}, "only supports task_type = CAUSAL_LM"),
    "MULTITASK_PROMPT_TUNING": ({**PROMPT, "num_tasks": 1}, "its forward pass fails"),
    "POLY": ({}, "its forward pass fails"),
    "SHADOW": ({}, "its forward pass fails"),
    "TRAINABLE_TOKENS": ({"token_indices": [5, 6]}, "does not train the head"),
    "XLORA": ({"adapters": {}}, "XLORA"),
}
"""Types that no classifier of BERT's kin can be trained with: `check --build` says so, whether the model is kept or not."""

VARIANTS: dict[str, dict[str, Any]] = {
    "dora": {**LORA, "use_dora": True},
    "rslora": {**LORA, "use_rslora": True},
    "biases": {**LORA, "bias": "all"},
    "pissa": {**LORA, "init_lora_weights": "pissa"},
    "olora": {**LORA, "init_lora_weights": "olora"},
    "embeddings": {**LORA, "target_modules": ["word_embeddings", "query"]},
    "new words": {**LORA, "trainable_token_indices": [5, 6]},
    "whole embeddings": {**LORA, "modules_to_save": ["classifier", "word_embeddings"]},
    "other ranks": {**LORA, "rank_pattern": {"query": 4}, "alpha_pattern": {"value": 3}},
    "some layers": {**LORA, "layers_to_transform": [1]},
}
"""Of LORA."""

TARGETS = {
    "bert": ["query", "value"],
    "deberta-v2": ["query_proj", "value_proj"],
    "distilbert": ["q_lin", "v_lin"],
    "gpt2": ["c_attn"],
    "llama": ["q_proj", "v_proj"],
    "modernbert": ["Wqkv"],
    "roberta": ["query", "value"],
    "t5": ["q", "v"],
}
NORMS = {
    "distilbert": "output_layer_norm",
    "gpt2": "ln_1",
    "llama": "input_layernorm",
    "modernbert": "mlp_norm",
    "t5": "layer_norm",
}
WORDS = {"gpt2": "wte", "llama": "embed_tokens", "modernbert": "tok_embeddings", "t5": "shared"}
"""The module of the token embeddings, where it is not word_embeddings."""
WITHOUT_BIASES = ("llama", "modernbert", "t5")
"""Families whose target modules have no bias: what BEFT trains can't become a part of the model's weights there."""
SILENT = pytest.mark.filterwarnings("ignore")
"""peft warns of much, and none of it is the test's."""
QUICK = ("LORA", "IA3", "LN_TUNING", "OFT", "LILY", "PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING")
OFTEN = ("llama",)
"""Families that CI tries with every type, half a minute each; `make test-long` tries the others."""
REFUSALS = ("cannot be put on", "its forward pass fails", "refuses its settings", "does not train the head")


def settings(family: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The type's settings with the family's target modules, where the type has any."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known = {field.name for field in dataclasses.fields(PEFT_TYPE_TO_CONFIG_MAPPING[kind])}
    if kind == "LN_TUNING":
        return {"target_modules": [NORMS.get(family, "LayerNorm")]}
    if kind == "TRAINABLE_TOKENS":
        return {"target_modules": [WORDS.get(family, "word_embeddings")], **given}
    named = "target_modules" in known and kind != "ADAPTION_PROMPT"
    return {"target_modules": TARGETS[family], **given} if named else given


def keep_after_noise(folder: Path, family: str, method: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    """What `check --build` does with `keep: final`; the form in which the model was kept, and asked again."""
    import torch

    built, encoder = classifier(family)
    head, device, forms = head_of(built), torch.device("cpu"), []
    ask = TextEncoder.answers_of_saved

    def answers_of_saved(self: TextEncoder, place: Path, *rest: Any) -> Any:
        forms.append(kept_form(place))
        assert str(folder) not in "".join(path.read_text() for path in place.rglob("*.json")), "a place of this machine"
        return ask(self, place, *rest)

    monkeypatch.setattr(TextEncoder, "answers_of_saved", answers_of_saved)
    model = adapt(method, built, **options).model
    require_answer(encoder, model, encoder.encode(TEXTS), INFO.n_outputs, device)
    require_keepable(model, encoder, INFO, TEXTS, device, head=head, cache=folder)
    assert list(folder.iterdir()) == []
    (form,) = forms
    return form


@SILENT
@pytest.mark.parametrize(("family", "kind"), [*(("roberta", kind) for kind in QUICK), ("bert", "LN_TUNING"), ("bert", "LORA")])
def test_an_adapter_is_kept_so_that_it_answers_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, kind: str
) -> None:
    config = settings(family, kind, (MERGED | BESIDE)[kind])
    form = keep_after_noise(tmp_path, family, "peft", monkeypatch, type=kind, config=config)
    assert form == ("merged" if kind in MERGED else "adapter")


@SILENT
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_trained_itself_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    assert keep_after_noise(tmp_path, "roberta", method, monkeypatch, **METHODS[method]) == "merged"


@SILENT
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_lora_may_train_beside_its_update_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    config = {"target_modules": TARGETS["roberta"], **VARIANTS[variant]}
    assert keep_after_noise(tmp_path, "roberta", "peft", monkeypatch, type="LORA", config=config) == "merged"


def test_of_every_type_of_peft_it_is_known_how_it_is_kept_or_that_it_is_refused() -> None:
    from peft import PeftType

    assert {kind.value for kind in PeftType} == set(MERGED) | set(BESIDE) | set(REFUSED)


@SILENT
@pytest.mark.parametrize("kind", REFUSED)
def test_types_that_can_t_be_trained_are_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    given, words = REFUSED[kind]
    with pytest.raises((ModelError, PluginError), match=words):
        keep_after_noise(tmp_path, "bert", "peft", monkeypatch, type=kind, config=settings("bert", kind, given))


@SILENT
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow if name in OFTEN else pytest.mark.long) for name in TARGETS]
)
def test_every_type_on_every_family_is_kept_or_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    logging.disable(logging.WARNING)
    said: list[str] = []
    found: dict[str, list[str]] = {"merged": [], "adapter": [], "refused": []}
    given = MERGED | BESIDE | {kind: config for kind, (config, _) in REFUSED.items()}
    for kind, config in given.items():
        with monkeypatch.context() as patch:
            try:
                form = keep_after_noise(tmp_path, family, "peft", patch, type=kind, config=settings(family, kind, config))
            except BakeoffError as error:
                said.append(f"{kind}: {error}")
                form = "refused"
            found[form].append(kind)
    for method, options in METHODS.items():
        if method == "bitfit" and family in WITHOUT_BIASES:  # it is refused
            continue
        with monkeypatch.context() as patch:
            assert keep_after_noise(tmp_path, family, method, patch, **options) == "merged"
    logging.disable(logging.NOTSET)
    print(family, {form: len(kinds) for form, kinds in found.items()})
    assert [sentence for sentence in said if not any(words in sentence for words in REFUSALS)] == []
    assert set(found["merged"]) <= set(MERGED)
    assert set(found["adapter"]) - set(BESIDE) == ({"BEFT"} if family in WITHOUT_BIASES else set())
    if family in {"bert", "roberta", "llama"}:
        assert set(found["refused"]) == set(REFUSED)


def test_an_adapter_that_transformers_has_put_into_the_model_takes_no_trained_weight_away(tmp_path: Path) -> None:
    """Of such a model `save_pretrained` writes the adapter alone."""
    import torch
    from peft import LoraConfig

    built, encoder = classifier("bert")
    built.model.add_adapter(LoraConfig(r=2, target_modules=["query"]))
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.requires_grad_(True)
            parameter.add_(0.1 * torch.randn(parameter.shape))
    assert keep(trained(built.model, encoder), tmp_path / "model") < 1e-5
    assert kept_form(tmp_path / "model") == "merged"


SPOILT = ("lost head", "lost adapter", "bfloat16", "padding left", "shorter texts", "other padding", "nothing")


class Spoiling(TextEncoder):
    """Saves almost all that it should."""

    fault = ""

    def save(self, model: Any, folder: Path, labels: Any) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        if self.fault == "nothing":
            return
        if self.fault == "lost adapter":
            model = model.unload()
        super().save(model, folder, labels)
        weights = load_file(folder / "model.safetensors")
        if self.fault == "lost head":
            weights = {name: tensor for name, tensor in weights.items() if "score" not in name}
        if self.fault == "bfloat16":
            weights = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        for name, changes in {
            "padding left": ("tokenizer_config.json", {"padding_side": "left"}),
            "shorter texts": ("tokenizer_config.json", {"model_max_length": 12}),
            "other padding": ("config.json", {"pad_token_id": 7}),
        }.items():
            if name == self.fault:
                path, change = folder / changes[0], changes[1]
                path.write_text(json.dumps(json.loads(path.read_text()) | change))


@SILENT
@pytest.mark.parametrize("fault", SPOILT)
def test_what_does_not_answer_as_recorded_is_not_kept(tmp_path: Path, fault: str) -> None:
    """A decoder, whose answer hangs on where and how it is padded."""
    import torch

    built, encoder = classifier("gpt2")
    encoder = Spoiling(encoder.tokenizer, INFO, Encoding(24, "longest"))
    encoder.fault = fault
    model = adapt("peft", built, type="LORA", config={**LORA, "target_modules": TARGETS["gpt2"]}).model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    model.config.pad_token_id = encoder.tokenizer.pad_token_id
    with pytest.raises(PluginError, match=r"wrote no file|gives other predictions"):
        keep(trained(model, encoder), tmp_path / "model")
    assert list(tmp_path.iterdir()) == [], "nothing is left of it"


@SILENT
@pytest.mark.parametrize("kind", ["LORA", "PROMPT_TUNING"])
def test_the_card_s_lines_load_the_model(tmp_path: Path, kind: str) -> None:
    import torch

    built, encoder = classifier("bert")
    model = adapt("peft", built, type=kind, config=settings("bert", kind, (MERGED | BESIDE)[kind])).model
    wanted = answers(model, encoder)
    encoder.save(model, tmp_path, ("no", 'ye"s\n'))
    lines = how_to_load(tmp_path, ("one", 'the "other"\n')).replace('folder = "."', f"folder = {str(tmp_path)!r}")
    found: dict[str, Any] = {}
    exec(lines, found)  # noqa: S102 - our own lines
    assert found["logits"].shape == (1, 2)
    assert found["model"].config.id2label == {0: "no", 1: 'ye"s\n'}
    batch = found["tokenizer"](TEXTS["one"], TEXTS["two"], truncation=True, padding=True, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(found["model"](**batch).logits.numpy(), wanted, atol=1e-6)
    if kind == "PROMPT_TUNING":
        assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "../base"
        from transformers import AutoModelForSequenceClassification

        with pytest.raises(ValueError, match=r"config\.json"):
            AutoModelForSequenceClassification.from_pretrained(tmp_path, local_files_only=True)
