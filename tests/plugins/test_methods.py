"""Which parameters each method trains, on every family, and that nothing else moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from plugins.families import FAMILIES, built

from bakeoff.contracts.method import Adaptation, Method, ParameterGroup
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import ModelError, PluginError
from bakeoff.plugin import Built, Options, Recipe
from bakeoff.training.preparation import make_ready

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
HEADS = {
    "bert": {"classifier.weight", "classifier.bias"},
    "roberta": {"classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight", "classifier.out_proj.bias"},
    "distilbert": {"pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"},
    "electra": {"classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight", "classifier.out_proj.bias"},
    "mpnet": {"classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight", "classifier.out_proj.bias"},
}


def adapt(name: str, model: Built, **options: Any) -> Adaptation:
    method = load_registry().get("method", name).component
    return make_ready(method, model, method.Options.model_validate(options), Recipe())


def trained(adaptation: Adaptation) -> set[str]:
    return {name for name, parameter in adaptation.model.named_parameters() if parameter.requires_grad}


@pytest.fixture(scope="module")
def minilm() -> Any:
    from bakeoff_minilm import MiniLM

    return lambda: MiniLM().build(task_info(), Options())


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("full", {}, 22_713_986),
        ("layer-decay", {}, 22_713_986),
        ("reinit", {"k": 2}, 22_713_986),
        ("bitfit", {}, 26_882),
        ("head-only", {}, 770),
        ("lora", {"r": 8}, 74_498),
        ("peft", {"type": "LORA", "config": {"r": 8}}, 74_498),
    ],
)
def test_minilms_trainable_counts(minilm: Any, name: str, options: dict[str, Any], count: int) -> None:
    model = adapt(name, minilm(), **options).model
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == count


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_is_all_that_head_only_trains(family: str) -> None:
    assert trained(adapt("head-only", built(family))) == HEADS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_bitfit_trains_every_bias_and_the_head(family: str) -> None:
    adaptation = adapt("bitfit", built(family))
    biases = {name for name, _ in adaptation.model.named_parameters() if name.endswith(".bias")}
    assert len(biases) > 20
    assert trained(adaptation) == biases | HEADS[family]


@pytest.mark.parametrize("family", ["llama", "modernbert"])
def test_bitfit_is_refused_where_there_is_no_bias_to_train(family: str) -> None:
    from plugins.checkpoints import model_of

    model = model_of(family)
    head = tuple(name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}."))
    with pytest.raises(ModelError, match=type(model).__name__):
        adapt("bitfit", Built(model, head))


@pytest.mark.parametrize("family", FAMILIES)
def test_last_layers_trains_the_top_and_nothing_below(family: str) -> None:
    names = trained(adapt("last-layers", built(family), k=2))
    assert HEADS[family] <= names
    layers = {part for name in names for part in name.split(".") if part.isdigit()}
    assert layers == {"1", "2"}
    assert not [name for name in names if "embeddings" in name or "relative" in name]


def test_the_pooler_of_bert_trains_with_the_last_layers() -> None:
    assert "bert.pooler.dense.weight" in trained(adapt("last-layers", built("bert"), k=1))


@pytest.mark.parametrize("name", ["last-layers", "reinit"])
def test_more_layers_than_there_are_is_an_error_that_counts_them(name: str) -> None:
    with pytest.raises(ModelError, match="3 layers"):
        adapt(name, built("bert"), k=99)


@pytest.mark.parametrize("family", FAMILIES)
def test_layer_decay_scales_by_distance_from_the_top(family: str) -> None:
    adaptation = adapt("layer-decay", built(family), rate=0.5)
    scales = {name: group.lr_scale for group in adaptation.groups for name in group.names}
    assert {scales[name] for name in HEADS[family]} == {1.0}
    in_layers = {part: scale for name, scale in scales.items() for part in name.split(".") if part.isdigit()}
    assert in_layers == {"2": 0.5, "1": 0.25, "0": 0.125}
    low = {scale for name, scale in scales.items() if "embeddings" in name or "relative" in name}
    assert low == {0.0625}


def test_a_new_pooler_trains_with_every_method() -> None:
    model = built("bert")
    fresh = Built(model.model, (*model.newly_initialised, "bert.pooler.dense.weight", "bert.pooler.dense.bias"))
    assert trained(adapt("head-only", fresh)) == HEADS["bert"] | {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_reinit_draws_the_top_anew_from_the_seed_and_leaves_the_rest() -> None:
    import torch

    def states(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        torch.manual_seed(0)
        model = built("bert")
        for parameter in model.model.parameters():
            parameter.data += 0.5  # as training leaves them: biases and norms away from their start
            parameter._is_hf_initialized = True  # as loading leaves them
        before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
        torch.manual_seed(seed)
        return before, adapt("reinit", model, k=1).model.state_dict()

    before, after = states(1)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {name for name in after if ".layer.2." in name or "pooler" in name}
    assert torch.equal(after["bert.encoder.layer.2.output.LayerNorm.weight"], torch.ones(16))
    again, other = states(1)[1], states(2)[1]
    weight = "bert.encoder.layer.2.output.dense.weight"
    assert torch.equal(after[weight], again[weight])
    assert not torch.equal(after[weight], other[weight])


class Forgetful(Method):
    """Freezes the head, as peft does without a task type."""

    name = "forgetful"
    summary = "Trains one bias."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        for name, parameter in built.model.named_parameters():
            parameter.requires_grad_(name == "bert.pooler.dense.bias")
        return Adaptation(built.model, (ParameterGroup(("bert.pooler.dense.bias",), 1.0, 0.0),))


def test_a_head_that_stays_random_is_an_error_that_names_it() -> None:
    with pytest.raises(PluginError, match=r"classifier\.bias and 1"):
        make_ready(Forgetful(), built("bert"), Options(), Recipe())


class Boastful(Method):
    """Names a parameter in its groups that does not train."""

    name = "boastful"
    summary = "Forgets a group."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        return Adaptation(built.model, (ParameterGroup(("classifier.weight",), 1.0, 0.0),))


def test_groups_that_are_not_what_trains_are_an_error() -> None:
    with pytest.raises(PluginError, match=r"bert\.embeddings\.LayerNorm\.bias .* no group"):
        make_ready(Boastful(), built("bert"), Options(), Recipe())


TRAINERS = {"api": "hf-trainer", "loop": "torch-loop"}
METHODS = {
    "head-only": "{name: head-only}",
    "bitfit": "{name: bitfit}",
    "last-layers": "{name: last-layers, k: 1}",
    "layer-decay": "{name: layer-decay, rate: 0.5}",
    "reinit": "{name: reinit, k: 1}",
    "lora": "{name: lora, r: 2}",
    "dora": "{name: peft, type: LORA, config: {r: 2, use_dora: true}}",
    "ia3": "{name: peft, type: IA3}",
}


@pytest.mark.parametrize("method", METHODS)
def test_both_trainers_move_the_same_and_only_what_the_method_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.syspath_prepend(PLANTED)
    from bakeoff_planted_bench import nameless, plan_of, ready, requests_of, traces_of

    from bakeoff.parity.trace import trace

    rows = (f"{row}: {{trainer: {trainer}, method: {METHODS[method]}}}" for row, trainer in TRAINERS.items())
    plan = plan_of(tmp_path, f"{{{', '.join(rows)}}}")
    api, loop = traces_of(plan).values()
    assert nameless(api) == nameless(loop), "identical to the bit"
    assembly, job = ready(requests_of(plan)["loop"], 3)
    model = job.model
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    assert not trace(assembly, job).trouble
    moved = {name for name, tensor in model.named_parameters() if not tensor.equal(before[name])}
    may = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert moved <= may
    assert {name for name in may if "classifier" in name} <= moved, "the head always trains"


def test_layer_decays_rates_are_observed_at_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)
    from bakeoff_planted_bench import plan_of, traces_of

    trace = traces_of(plan_of(tmp_path, "{one: {trainer: torch-loop, method: {name: layer-decay, rate: 0.5}}}"))["one"]
    assert {group.lr_scale for group in trace.groups} == {1.0, 0.5, 0.25, 0.125}
    peak = max(max(step.learning_rates) for step in trace.steps)
    assert peak == pytest.approx(1e-3)
    assert trace.steps[2].learning_rates == pytest.approx([peak * scale for scale in (0.125, 0.25, 0.5, 1.0)])
