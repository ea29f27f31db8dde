"""Checkpoints set against the model that their config.json describes: what is missing, what has other names, trained heads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from messages import tells
from plugins.checkpoints import config_of, edit, model_of, rename, save

from bakeoff.kinds import REGRESSION
from bakeoff.plugin import Built, ModelError, head_names, load_classifier
from bakeoff_hub_models import HubModel, HubOptions

BODIES = {
    "albert": "MaskedLM",
    "bart": "Seq2SeqLM",
    "bert": "MaskedLM",
    "deberta-v2": "MaskedLM",
    "distilbert": "MaskedLM",
    "electra": "MaskedLM",
    "gpt2": "CausalLM",
    "llama": "CausalLM",
    "modernbert": "MaskedLM",
    "mpnet": "MaskedLM",
    "qwen2": "",
    "roberta": "",
    "t5": "Seq2SeqLM",
    "xlnet": "",
}
"""Family -> the head that a checkpoint of it usually has."""


def load(folder: Path, labels: tuple[str, ...] = ("no", "yes"), *, seed: int = 0, **options: Any) -> Built:
    import torch

    torch.manual_seed(seed)
    return load_classifier(folder, task_info(labels), **options)


# --- what a checkpoint lacks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", BODIES)
def test_a_pretrained_model_lacks_the_tasks_head_and_a_pooler_at_most(family: str, tmp_path: Path) -> None:
    built = load(save(tmp_path, model_of(family, head=BODIES[family]), family))
    prefix = f"{built.model.base_model_prefix}."
    assert built.head == "new"
    assert any(not name.startswith(prefix) for name in built.newly_initialised)
    assert {name for name in built.newly_initialised if name.startswith(prefix)} <= {
        f"{prefix}pooler.{name}" for name in ("dense.weight", "dense.bias", "weight", "bias")
    }
    assert built.cautions == ()


@pytest.mark.parametrize(
    ("family", "key", "part"),
    [
        ("bert", "num_hidden_layers", "bert.encoder.layer.2, bert.encoder.layer.3, bert.encoder.layer.4, bert.encoder.layer.5"),
        ("roberta", "num_hidden_layers", "roberta.encoder.layer.2"),
        ("electra", "num_hidden_layers", "electra.encoder.layer.2"),
        ("gpt2", "n_layer", "transformer.h.2"),
        ("llama", "num_hidden_layers", "model.layers.2"),
        ("t5", "num_layers", "transformer.encoder.block.2"),
    ],
)
def test_layers_that_the_checkpoint_lacks_are_refused_by_name(family: str, key: str, part: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    edit(folder / "config.json", **{key: 6})
    with pytest.raises(ModelError) as caught:
        load(folder)
    message = str(caught.value)
    assert tells(message, f"the weights of {folder} ", "lack ")
    assert f": {part}" in message
    assert "allow_new: [" in message
    assert "\n" not in message


@pytest.mark.parametrize(("family", "head"), [("bart", "CausalLM"), ("t5", "TextEncoding")])
def test_half_a_model_is_refused(family: str, head: str, tmp_path: Path) -> None:
    """T5's encoder alone has no decoder; BART's language model has no encoder."""
    folder = save(tmp_path, model_of(family, head=head), family)
    with pytest.raises(ModelError, match=r"lack \d+ of the \d+ tensors .*coder"):
        load(folder)


def test_what_may_be_new_is_new_by_name(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert", head="MaskedLM"), "bert")
    edit(folder / "config.json", num_hidden_layers=3)
    built = load(folder, allow_new=["bert.encoder.layer.2"])
    new = {name for name in built.newly_initialised if name.startswith("bert.encoder.")}
    assert new == {name for name, _ in built.model.named_parameters() if name.startswith("bert.encoder.layer.2.")}
    assert new < head_names(built), "what starts from random numbers trains with every method"
    edit(folder / "config.json", num_hidden_layers=4)
    with pytest.raises(ModelError, match=r"lack 16 of the .*: bert.encoder.layer.3. "):
        load(folder, allow_new=["bert.encoder.layer.2"])


def test_what_is_not_missing_cannot_be_allowed(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert"), "bert")
    with pytest.raises(ModelError, match=r"^allow_new: no part 'bert.encoder' among the parts that the weights of .* lack$"):
        load(folder, allow_new=["bert.encoder"])
    edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"'bert.encodr.layer.2'; .*'bert.encoder.layer.2'\?"):
        load(folder, allow_new=["bert.encodr.layer.2"])


def test_what_may_be_new_is_no_part_of_the_id_of_a_run_that_does_not_say_it() -> None:
    from bakeoff.contracts.configured import identity

    assert identity(HubOptions(path="a/b")) == {"path": "a/b", "revision": None}
    assert identity(HubOptions(path="a/b", allow_new=["x"], adapter="ignore"))["allow_new"] == ["x"]


def test_layers_that_the_configuration_leaves_out_are_told(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("roberta", num_hidden_layers=4), "roberta")
    edit(folder / "config.json", num_hidden_layers=2)
    (caution,) = load(folder).cautions[-1:]
    assert caution.startswith(f"2 layers of {folder} are not used")
    assert caution.endswith("the first is roberta.encoder.layer.2")


# --- names that somebody's wrapper has changed ---------------------------------------------------------------------------

WRAPPED = {
    "torch.compile": (lambda name: f"_orig_mod.{name}", "'_orig_mod'", "model._orig_mod.save_pretrained"),
    "one compiled part": (
        lambda name: name.replace("bert.encoder.", "bert.encoder._orig_mod."),
        "'_orig_mod'",
        "model._orig_mod.save_pretrained",
    ),
    "DataParallel": (lambda name: f"module.{name}", "'module'", "model.module.save_pretrained"),
    "FSDP": (
        lambda name: name.replace("encoder.layer.", "encoder.layer._fsdp_wrapped_module."),
        "'_fsdp_wrapped_module'",
        "with its full state dict",
    ),
    "both": (lambda name: f"_orig_mod.module.{name}", "'_orig_mod.module.'", "Save the inner model"),
    "sentence-transformers": (
        lambda name: f"0.auto_model.{name.removeprefix('bert.')}",
        "'0.auto_model.'",
        "Save the inner model",
    ),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_weights_that_were_saved_out_of_a_wrapper_are_told_as_that(case: str, tmp_path: Path) -> None:
    change, part, cure = WRAPPED[case]
    folder = save(tmp_path, model_of("bert"), "bert")
    rename(folder, change)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"the weights of {folder} ")
    assert part in str(caught.value)
    assert cure in str(caught.value)
    assert "another model" not in str(caught.value)


def test_another_models_weights_are_told_as_that(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert"), "bert")
    config_of("roberta").save_pretrained(folder)
    with pytest.raises(ModelError, match="another model: none"):
        load(folder)


# --- heads that come trained ---------------------------------------------------------------------------------------------


def logits(model: Any) -> Any:
    import torch

    end = model.config.eos_token_id or 2  # which BART and T5 read
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([[5, 6, 7, end], [9, 8, 5, end]])).logits


@pytest.mark.parametrize(
    "family", ["albert", "bart", "bert", "deberta-v2", "distilbert", "gpt2", "qwen2", "roberta", "t5", "xlnet"]
)
def test_a_trained_heads_outputs_become_the_tasks_labels_by_name(family: str, tmp_path: Path) -> None:
    original = model_of(family, num_labels=3)
    folder = save(tmp_path, original, family, labels=["entailment", "neutral", "contradiction"])
    built = load(folder, ("contradiction", "entailment", "neutral"))
    assert (built.head, built.newly_initialised, built.cautions) == ("by name", (), ())
    assert logits(built.model).equal(logits(original)[:, [2, 0, 1]])
    assert built.model.config.id2label == {0: "contradiction", 1: "entailment", 2: "neutral"}


@pytest.mark.parametrize(
    "names",
    [["NOT_EQUIVALENT", "Equivalent"], ["not-equivalent ", "EQUIVALENT"], ["not equivalent", "equivalent"]],
)
def test_names_are_alike_but_for_case_blanks_and_punctuation(names: list[str], tmp_path: Path) -> None:
    original = model_of("bert")
    folder = save(tmp_path, original, "bert", labels=names)
    same, turned = load(folder, ("not_equivalent", "equivalent")), load(folder, ("equivalent", "not_equivalent"))
    assert same.head == turned.head == "by name"
    assert logits(same.model).equal(logits(original))
    assert logits(turned.model).equal(logits(original).flip(1))


@pytest.mark.parametrize("names", [["LABEL_0", "LABEL_1"], ["0", "1"], ["label 0", "label 1"]])
def test_outputs_without_names_keep_their_positions_with_a_caution(names: list[str], tmp_path: Path) -> None:
    original = model_of("roberta")
    built = load(save(tmp_path, original, "roberta", labels=names), ("negative", "positive"))
    assert built.head == "by position"
    assert logits(built.model).equal(logits(original))
    assert "negative, positive" in built.cautions[0]
    assert "id2label" in built.cautions[0]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["happy", "sad"], ("negative", "positive")),
        (["LABEL_1", "LABEL_0"], ("negative", "positive")),
        (["negative", "neutral"], ("negative", "positive")),
        (["Positive", "positive "], ("positive", "Positive!")),
        (["1.0", "2.0"], ("10", "20")),
    ],
)
def test_a_head_that_was_trained_for_other_labels_is_replaced(
    names: list[str], labels: tuple[str, ...], tmp_path: Path
) -> None:
    folder = save(tmp_path, model_of("roberta"), "roberta", labels=names)
    built, again, other = load(folder, labels), load(folder, labels), load(folder, labels, seed=1)
    assert built.head == "replaced"
    assert built.newly_initialised == ("classifier.out_proj.bias", "classifier.out_proj.weight")
    state = [each.model.state_dict() for each in (built, again, other)]
    weight, kept = "classifier.out_proj.weight", "classifier.dense.weight"
    assert state[0][weight].equal(state[1][weight])
    assert not state[0][weight].equal(state[2][weight])
    assert float(state[0][weight].std()) < 0.1, "the library's own start, not the trained one"
    assert state[0][kept].equal(model_of("roberta").state_dict()[kept])
    assert built.model.config.id2label == dict(enumerate(labels))


def test_a_head_of_another_number_of_labels_is_replaced(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("t5", num_labels=3), "t5", labels=["a", "b", "c"])
    built = load(folder, ("a", "b"))
    assert built.head == "replaced"
    assert built.newly_initialised == ("classification_head.out_proj.bias", "classification_head.out_proj.weight")


def test_a_head_for_a_number_is_kept_for_a_number(tmp_path: Path) -> None:
    original = model_of("electra", num_labels=1)
    built = load_classifier(save(tmp_path, original, "electra"), task_info((), kind=REGRESSION))
    assert (built.head, built.cautions, built.newly_initialised) == ("by position", (), ())
    loaded, saved = built.model.state_dict(), original.state_dict()  # where tensors lie may change the last bit of a logit
    assert loaded.keys() == saved.keys()
    assert all(loaded[name].equal(saved[name]) for name in saved)


def test_a_head_half_of_which_is_missing_is_replaced_whole(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert"), "bert", labels=["no", "yes"])
    rename(folder, lambda name: name.replace("classifier.weight", "unknown.weight"))
    built = load(folder)
    assert (built.head, built.newly_initialised) == ("replaced", ("classifier.bias", "classifier.weight"))


@pytest.mark.parametrize("labels", [("ham", "spam"), ("spam", "ham")])
@pytest.mark.parametrize("numbers", [{"ham": 0, "spam": 1}, {"ham": 0, "spam": 0}])
def test_a_head_whose_names_contradict_each_other_is_replaced_with_a_caution(
    numbers: dict[str, int], labels: tuple[str, ...], tmp_path: Path
) -> None:
    folder = save(tmp_path, model_of("bert"), "bert", labels=["spam", "ham"])
    edit(folder / "config.json", label2id=numbers)
    built = load(folder, labels)
    assert (built.head, built.newly_initialised) == ("replaced", ("classifier.bias", "classifier.weight"))
    assert "id2label" in built.cautions[0]
    assert "label2id" in built.cautions[0]


def test_names_that_say_nothing_do_not_contradict_real_ones(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert"), "bert", labels=["spam", "ham"])
    edit(folder / "config.json", label2id={"LABEL_0": 0, "LABEL_1": 1})
    assert load(folder, ("ham", "spam")).head == "by name"


@pytest.mark.parametrize("named", [["ham", "spam"], ["ham", "spam", "other"]])
def test_a_trained_head_under_another_name_is_left_out_with_a_caution(named: list[str], tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert", num_labels=len(named)), "bert", labels=named)
    rename(folder, lambda name: name.replace("classifier.", "score."))
    built = load(folder, ("ham", "spam"))
    assert built.head == "new"
    assert "score.bias" in built.cautions[0]
    assert "ham, spam" in built.cautions[0]


@pytest.mark.parametrize("head", ["MaskedLM", "PreTraining", ""])
def test_the_head_of_pretraining_is_left_out_without_a_word(head: str, tmp_path: Path) -> None:
    assert load(save(tmp_path, model_of("bert", head=head), "bert")).cautions == ()


# --- adapters ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and an adapter of it, saved into one folder."""
    folder = tmp_path_factory.mktemp("adapted")
    from peft import LoraConfig, TaskType, get_peft_model

    save(folder, model_of("bert"), "bert", labels=["no", "yes"])
    adapter = get_peft_model(model_of("bert"), LoraConfig(task_type=TaskType.SEQ_CLS, init_lora_weights=False))
    adapter.save_pretrained(folder)
    edit(folder / "adapter_config.json", base_model_name_or_path="acme/tiny")
    return folder


def test_a_model_and_an_adapter_in_one_folder_are_refused_unless_it_is_said_which(with_adapter: Path) -> None:
    folder = with_adapter
    options = HubOptions(path=str(folder))
    for look in (lambda: HubModel().check_available(options), lambda: load(folder)):
        with pytest.raises(ModelError) as caught:
            look()
        assert tells(str(caught.value), f"{folder} ", "adapter of peft", "'acme/tiny',")
        assert "`adapter: ignore`" in str(caught.value)
    built = HubModel().build(task_info(), HubOptions(path=str(folder), adapter="ignore"))
    assert logits(built.model).equal(logits(model_of("bert")))
    assert not [name for name, _ in built.model.named_parameters() if "lora" in name]


def test_an_adapter_alone_is_told_as_that(with_adapter: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(with_adapter, tmp_path / "adapter"))
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    for adapter in (None, "ignore"):
        with pytest.raises(ModelError) as caught:
            HubModel().check_available(HubOptions(path=str(folder), adapter=adapter))
        assert "made for 'acme/tiny'" in str(caught.value)
        assert "merge_and_unload" in str(caught.value)


@pytest.mark.parametrize("beside", ["tokenizer.json", "config.json"])
def test_what_an_adapters_folder_holds_beside_it_makes_no_model_of_it(beside: str, with_adapter: Path, tmp_path: Path) -> None:
    """Trainer and AutoTrain leave tokenizer and configuration there."""
    for name in ("adapter_config.json", "adapter_model.safetensors", beside):
        shutil.copy(with_adapter / name, tmp_path)
    with pytest.raises(ModelError, match="made for 'acme/tiny'"):
        HubModel().check_available(HubOptions(path=str(tmp_path), adapter="ignore"))


LAYOUTS = {
    "a pickle": ("model.safetensors", "pytorch_model.bin"),
    "half precision": ("model.safetensors", "model.fp16.safetensors"),
    "parts": ("model.safetensors", "model.safetensors.index.json"),
    "a pickle beside parts": ("model.safetensors.index.json", "pytorch_model.bin"),
}
"""Other weights beside those that are read."""


@pytest.mark.parametrize("case", LAYOUTS)
def test_which_weights_are_read_is_said_where_a_folder_holds_two(case: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    read, unread = LAYOUTS[case]
    ours, other = model_of("bert", seed=1), model_of("bert", seed=2)
    folder = save(tmp_path, ours, "bert", labels=["no", "yes"])
    if read.endswith(".json"):
        (folder / "model.safetensors").unlink()
        ours.save_pretrained(folder, max_shard_size="5KB")
    if unread.endswith(".json"):
        other.save_pretrained(folder / "other", max_shard_size="5KB")
        for path in (folder / "other").glob("model*"):
            path.rename(folder / path.name)
    elif unread.endswith(".bin"):
        torch.save(other.state_dict(), folder / unread)
    else:
        save_file({name: tensor.half() for name, tensor in other.state_dict().items()}, folder / unread, {"format": "pt"})
    built = HubModel().build(task_info(), HubOptions(path=str(folder)))
    assert logits(built.model).equal(logits(ours))
    (caution,) = built.cautions
    assert tells(caution, f"{folder} ", f"{read} is read, ", f"{unread} is ignored")


def test_the_folder_within_that_is_a_model_is_named(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint-30", model_of("bert"), "bert")
    with pytest.raises(ModelError) as caught:
        HubModel().check_available(HubOptions(path=str(tmp_path)))
    assert tells(str(caught.value), f"the model folder {tmp_path} ", "config.json; ", f"{tmp_path}/checkpoint-30 ")


@pytest.mark.parametrize("family", ["bert", "llama", "modernbert"])
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_a_checkpoint_in_half_precision_is_trained_in_float32(family: str, kind: str, tmp_path: Path) -> None:
    import torch

    half = model_of(family).to(getattr(torch, kind))
    folder = save(tmp_path, half, family, labels=["no", "yes"])
    built = HubModel().build(task_info(), HubOptions(path=str(folder)))
    assert {parameter.dtype for parameter in built.model.parameters()} == {torch.float32}
    state = built.model.state_dict()
    assert half.state_dict().keys() == state.keys()
    assert all(state[name].equal(tensor.float()) for name, tensor in half.state_dict().items())
    assert built.newly_initialised == ()
