"""Decoders as classifiers: which token pads, which one the head reads, and what is kept of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import task_info
from plugins.checkpoints import edit, model_of, save
from pydantic import ValidationError

from bakeoff.contracts.model import Encoding
from bakeoff.errors import ModelError, PluginError
from bakeoff.plugin import Options, Recipe, load_classifier
from bakeoff.toolkit.last_token import reads_last_token
from bakeoff.training.kept_model import keep, trained_model
from bakeoff.training.preparation import make_ready
from bakeoff_hub_models import HubModel, HubOptions
from bakeoff_methods import Full
from bakeoff_peft import Lora, LoraOptions

DECODERS = ("biogpt", "bloom", "ctrl", "gpt2", "gptj", "llama", "mpt", "openai-gpt", "opt", "qwen2", "qwen3", "gemma")
TEXTS = ["w7 w8 w9 w10 w11", "w5 w6 </s>", "w9 </s> w9", "w8 w7 w6 w5 </s> </s>"]


def prepared(folder: Path, texts: Sequence[str] = TEXTS, **options: Any) -> tuple[Any, Any, list[Any]]:
    """(what encodes, the built model in evaluation mode, encoded texts)."""
    made = HubOptions(path=str(folder), **options)
    encoder = HubModel().prepare(task_info(), made, Encoding(32, "longest"))
    built = HubModel().build(task_info(), made)
    built.model.eval()
    return encoder, built, encoder.encode({"text": texts})


def asked(encoder: Any, model: Any, rows: list[Any]) -> Any:
    import torch

    with torch.no_grad():
        return encoder.predict(model, encoder.collate(rows))


@pytest.mark.parametrize("family", DECODERS)
def test_the_head_reads_the_last_attended_token_though_it_be_the_padding_token(family: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    folder, pad = save(tmp_path, model_of(family), family), 2
    rows = [[7, 8, 9, 10, 11], [5, 6, pad], [9, pad, 9], [8, 7, 6, 5, pad, pad]]
    ids = torch.tensor([[*row, *[pad] * (6 - len(row))] for row in rows])
    mask = torch.tensor([[*[1] * len(row), *[0] * (6 - len(row))] for row in rows])
    model = load_classifier(folder, task_info(), pad_token_id=pad).model.eval()
    plain = AutoModelForSequenceClassification.from_pretrained(folder, pad_token_id=pad).eval()
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask).logits
        states = getattr(plain, plain.base_model_prefix)(input_ids=ids, attention_mask=mask).last_hidden_state
        wanted = (plain.classifier if family == "ctrl" else plain.score)(states[torch.arange(4), mask.sum(1) - 1])
        alone = torch.cat([model(input_ids=ids[[row]], attention_mask=mask[[row]]).logits for row in range(4)])
        theirs = plain(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-4)
    apart = (theirs - wanted).abs().amax(1) > 1e-3
    assert apart.tolist() == [False, True, False, True], "transformers reads an earlier token"


def test_only_decoders_are_read_so() -> None:
    for family in DECODERS:
        assert reads_last_token(model_of(family)), family
    for family in ("bert", "modernbert", "t5", "bart", "xlnet", "deberta-v2", "albert"):
        assert not reads_last_token(model_of(family)), family


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_tokenizers_padding_token_wins_and_the_record_says_so(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    before = len(prepared(folder, ["w7"])[1].cautions)
    edit(folder / "config.json", pad_token_id=2)
    _, built, _ = prepared(folder, ["w7"])
    assert built.model.config.pad_token_id == 1
    assert len(built.cautions) == before + 1
    assert re.search(r"token 2 .*token 1 ", built.cautions[-1])


def test_earlier_tokens_are_not_cached_and_texts_are_padded_on_the_right(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("llama"), "llama", padding_side="left")
    encoder, built, rows = prepared(folder)
    assert not built.model.config.use_cache
    assert encoder.collate(rows)["attention_mask"][1].tolist()[:3] == [1, 1, 1]


def test_a_tokenizer_without_padding_names_the_option_and_the_option_what_is_wrong(tmp_path: Path) -> None:
    folder = save(tmp_path / "none", model_of("gpt2"), "gpt2", pad_token=None)
    with pytest.raises(ModelError, match=r"no padding token.*`pad_token: eos`"):
        prepared(folder)
    assert prepared(folder, pad_token="eos")[0].tokenizer.pad_token == "</s>"
    assert prepared(folder, pad_token="w9")[0].tokenizer.pad_token == "w9"
    with pytest.raises(ModelError, match=r"'</a>'.*'</s>'"):
        prepared(folder, pad_token="</a>")
    with pytest.raises(ValidationError):
        HubOptions(path="x", pad_token="")
    without = save(tmp_path / "neither", model_of("gpt2"), "gpt2", pad_token=None, eos_token=None)
    with pytest.raises(ModelError, match="`pad_token: <token>`"):
        prepared(without)
    with pytest.raises(ModelError, match="no end-of-text token"):
        prepared(without, pad_token="eos")


def kept(folder: Path, place: Path, *, texts: Sequence[str] = TEXTS, lora: bool = False) -> tuple[float, Any]:
    """The largest difference between a model's logits and those of what was kept of it; and its encoder."""
    encoder, built, rows = prepared(folder, texts, pad_token="eos")
    options = LoraOptions(r=2) if lora else None
    model = make_ready(Lora(), built, options, Recipe()).model.eval() if options else built.model
    logits = asked(encoder, model, rows).numpy()
    info = SimpleNamespace(predicted_splits=("dev",), text_columns=("text",), labels=("no", "yes"))
    task = SimpleNamespace(info=info, splits={"dev": {"text": list(texts)}})
    run = SimpleNamespace(
        task=task,
        encoded={"dev": rows},
        prepared=encoder,
        network=model,
        device="cpu",
        request=SimpleNamespace(headings=None),
    )
    return keep(trained_model(run, {"dev": logits}), place), encoder  # type: ignore[arg-type]


@pytest.mark.parametrize("lora", [False, True])
def test_what_is_kept_answers_as_trained_where_texts_do_not_end_in_the_padding_token(lora: bool, tmp_path: Path) -> None:
    import torch

    folder = save(tmp_path / "given", model_of("llama"), "llama", pad_token=None)
    difference, encoder = kept(folder, tmp_path / "kept", lora=lora)
    assert difference < 1e-4
    assert "</s>" in encoder.how_to_load(tmp_path / "kept").splitlines()[-1]
    if not lora:
        _, built, rows = prepared(folder, pad_token="eos")
        again = encoder.load_saved(tmp_path / "kept", torch.device("cpu"))
        torch.testing.assert_close(asked(encoder, again, rows), asked(encoder, built.model, rows))


def test_a_model_that_is_read_elsewhere_at_every_text_is_not_kept(tmp_path: Path) -> None:
    folder = save(tmp_path / "given", model_of("llama"), "llama", pad_token=None)
    with pytest.raises(ModelError, match="otherwise"):
        kept(folder, tmp_path / "kept", texts=["w5 </s>", "w7 w8 </s>"])
    assert not (tmp_path / "kept").exists()


def test_attention_is_chosen_by_name_and_refused_where_a_family_lacks_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "llama", model_of("llama"), "llama")
    for wanted in ("eager", "sdpa"):
        options = HubOptions(path=str(folder), attn_implementation=wanted)
        HubModel().check_available(options)
        assert HubModel().build(task_info(), options).model.config._attn_implementation == wanted
    other = save(tmp_path / "deberta", model_of("deberta-v2"), "deberta-v2")
    with pytest.raises(ModelError, match=r"DebertaV2ForSequenceClassification.* has eager, not sdpa"):
        HubModel().check_available(HubOptions(path=str(other), attn_implementation="sdpa"))
    with pytest.raises(ModelError, match="sdpa"):
        HubModel().build(task_info(), HubOptions(path=str(other), attn_implementation="sdpa"))


def test_positions_that_are_counted_from_the_padding_token_keep_the_configurations(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("roberta"), "roberta")
    _, built, _ = prepared(folder, ["w7"], pad_token="w9")
    assert built.model.config.pad_token_id == 1
    assert built.model.roberta.embeddings.padding_idx == 1


def test_a_token_that_pads_trains_where_texts_have_it(tmp_path: Path) -> None:
    import torch

    folder = save(tmp_path, model_of("llama"), "llama", pad_token=None)
    encoder, built, rows = prepared(folder, ["w7 </s> w8"], pad_token="eos")
    logits = encoder.predict(built.model.train(), encoder.collate(rows))
    logits.sum().backward()
    assert float(built.model.get_input_embeddings().weight.grad[2].abs().sum()) > 0
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("token", ["eos", "w9"])
def test_a_kept_tokenizer_reads_texts_as_the_trained_one_did(token: str, tmp_path: Path) -> None:
    from bakeoff.plugin import saved_tokenizer
    from bakeoff.toolkit.text_encoder import TextEncoder

    folder = save(tmp_path / "given", model_of("gpt2"), "gpt2", pad_token=None)
    encoder, built, rows = prepared(folder, ["w9 w10 w7"], pad_token=token)
    encoder.save(built.model, tmp_path / "kept", ("no", "yes"))
    again = TextEncoder(saved_tokenizer(tmp_path / "kept"), task_info(), Encoding(32, "longest"))
    assert again.encode({"text": ["w9 w10 w7"]}) == rows
    assert again.tokenizer_key() == encoder.tokenizer_key()


def adapted(folder: Path, kind: str, **config: Any) -> tuple[Any, Any, list[Any]]:
    """(what encodes, a decoder with an adapter of peft, encoded texts)."""
    from bakeoff_peft import Peft, PeftOptions

    encoder, built, rows = prepared(folder, pad_token="eos")
    options = PeftOptions(type=kind, config=config)
    return encoder, make_ready(Peft(), built, options, Recipe()).model.eval(), rows


@pytest.mark.parametrize("kind", ["PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"])
def test_prompts_of_peft_on_a_decoder_are_read_at_the_last_attended_token(kind: str, tmp_path: Path) -> None:
    import torch

    folder = save(tmp_path, model_of("llama"), "llama", pad_token=None)
    encoder, model, rows = adapted(folder, kind, num_virtual_tokens=3)
    together = asked(encoder, model, rows)
    alone = torch.cat([asked(encoder, model, [row]) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)
    differ = [encoder.answers_differ(model, row) for row in rows]
    assert differ == ([False, True, False, True] if kind == "PREFIX_TUNING" else [True] * 4)


def test_a_model_is_not_refused_beforehand_for_texts_that_end_in_the_padding_token(tmp_path: Path) -> None:
    from bakeoff.training.kept_model import require_keepable

    folder = save(tmp_path / "given", model_of("llama"), "llama", pad_token=None)
    encoder, built, _ = prepared(folder, pad_token="eos")
    network = make_ready(Full(), built, Options(), Recipe()).model
    require_keepable(network, encoder, task_info(), {"text": TEXTS}, "cpu", head=("score.weight",), cache=tmp_path)
    encoder, model, _ = adapted(folder, "P_TUNING", num_virtual_tokens=3)
    with pytest.raises(PluginError, match="can't be kept"):
        require_keepable(model, encoder, task_info(), {"text": TEXTS}, "cpu", head=("score.weight",), cache=tmp_path)
