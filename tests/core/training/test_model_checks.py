"""What a model is asked before any run, on tiny models of many families."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from messages import tells
from plugins.checkpoints import POSITIONS, WORDS, edit, model_of, save

from bakeoff.contracts.model import Encoding
from bakeoff.errors import ModelError
from bakeoff.plugin import load_classifier, load_tokenizer
from bakeoff.toolkit.model_structure import positions_of
from bakeoff.training.encoding import encode
from bakeoff.training.extremes import find_extremes
from bakeoff.training.model_checks import ModelCheck
from bakeoff_hub_models import HubModel, HubOptions

TEXTS = ["w7", "w9 w8 w7 w6 w5 w9 w8 w7 w6", "w11 w12 w13", "w20 w6 w30"]


def check(folder: Path, texts: Sequence[str] = TEXTS, *, max_length: int = 32, padding: Any = "longest") -> None:
    """As the preflight does it, all texts in one split."""
    import torch

    options = HubOptions(path=str(folder))
    prepared, plain = (HubModel().prepare(task_info(), options, Encoding(max_length, way)) for way in (padding, "longest"))
    ModelCheck(
        model=HubModel().build(task_info(), options).model,
        prepared=prepared,
        plain=plain,
        rows={"dev": encode(prepared, {"text": texts}, cache=folder / "cache", fingerprint=" ".join(texts))},
        name_of=lambda split, number: f"{split}-{number}",
        device=torch.device("cpu"),
    ).run()


def refusal(folder: Path, texts: Sequence[str] = TEXTS, **how: Any) -> str:
    with pytest.raises(ModelError) as caught:
        check(folder, texts, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- positions -----------------------------------------------------------------------------------------------------------

LIMITS = {
    **dict.fromkeys(("albert", "bart", "bert", "big_bird", "biogpt", "canine", "ctrl", "distilbert", "electra"), POSITIONS),
    **dict.fromkeys(("flaubert", "fnet", "gpt2", "gptj", "mobilebert", "nystromformer", "openai-gpt", "opt"), POSITIONS),
    **dict.fromkeys(("roformer", "xlm"), POSITIONS),
    **dict.fromkeys(("ibert", "longformer", "mpnet", "roberta"), POSITIONS - 2),
    **dict.fromkeys(("bloom", "deberta-v2", "funnel", "llama", "modernbert", "qwen2", "t5", "xlnet"), None),
}
"""I-BERT's, Longformer's, MPNet's and RoBERTa's padding token has number 1."""
PADDING_COUNTS = {"canine", "fnet", "mobilebert", "nystromformer"}
"""Their attention, convolutions or Fourier transforms go over the padding too."""


@pytest.mark.parametrize("family", LIMITS)
def test_the_number_of_positions_is_how_long_a_text_may_be(family: str) -> None:
    import torch

    model, most = model_of(family), LIMITS[family]
    assert positions_of(model) == most
    end = model.config.eos_token_id if model.config.is_encoder_decoder else 3

    def answers(length: int) -> bool:
        ids = torch.full((2, length), 7)
        ids[:, -1] = end
        try:
            with torch.no_grad():
                model(input_ids=ids, attention_mask=torch.ones_like(ids))
        except (IndexError, RuntimeError):
            return False
        return True

    assert answers(most or 3 * POSITIONS)
    assert most is None or not answers(most + 1)


def test_a_model_with_relative_positions_only_has_no_table_to_run_out_of() -> None:
    assert positions_of(model_of("deberta-v2", position_biased_input=True)) == POSITIONS


@pytest.mark.parametrize("family", ["ctrl", "mpt", "reformer"])
def test_a_text_too_long_is_refused_with_the_length_that_is_measured(family: str, tmp_path: Path) -> None:
    """Whether the limit lies in a table, in its configuration alone, or in how it cuts rows."""
    folder = save(tmp_path, model_of(family), family)
    long = " ".join(["w9"] * (POSITIONS + 5))
    cure = f"It accepts texts of {POSITIONS} tokens and not of {POSITIONS + 1}: use `max_length: {POSITIONS}` at most"
    assert refusal(folder, [*TEXTS, long], max_length=64).endswith(cure)
    assert refusal(folder, max_length=64, padding="max_length").endswith(cure)


def test_a_model_that_takes_other_lengths_in_training_is_refused_before_it(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("reformer"), "reformer")
    message = refusal(folder)
    assert "accepts otherwise: ValueError:" in message
    assert tells(message, "", "`padding: max_length`", "max_length")
    check(folder, max_length=POSITIONS, padding="max_length")


# --- alone and together --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(LIMITS.keys() - PADDING_COUNTS - {"flaubert", "gptj", "ibert", "qwen2"}))
def test_a_sound_model_of_any_family_passes(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    check(folder)
    check(folder, padding="max_length")


@pytest.mark.parametrize("family", ["gpt2", "roberta", "t5"])
def test_a_checkpoint_whose_outputs_have_no_names_passes(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    edit(folder / "config.json", return_dict=False)
    check(folder)


@pytest.mark.parametrize("family", sorted(PADDING_COUNTS - {"canine"}))
def test_attention_over_the_padding_is_refused_unless_all_rows_are_padded_alike(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    message = refusal(folder)
    assert tells(message, "its prediction ", "other texts")
    assert "`padding: max_length`" in message
    check(folder, padding="max_length")


@pytest.mark.parametrize("padding", ["longest", "max_length"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "opt", "biogpt"])
@pytest.mark.parametrize("pad_token_id", [2, None])
def test_another_pad_token_in_the_configuration_does_not_count(
    pad_token_id: int | None, family: str, padding: str, tmp_path: Path
) -> None:
    folder = save(tmp_path, model_of(family, pad_token_id=pad_token_id), family)
    check(folder, padding=padding)


@pytest.mark.parametrize("family", ["bert", "biogpt", "ctrl", "distilbert", "gpt2", "llama", "opt", "roberta"])
def test_texts_are_padded_on_the_right_where_positions_are_counted_and_of_decoders(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family, padding_side="left")
    assert load_tokenizer(folder).padding_side == "right"
    check(folder)


def test_the_side_of_the_padding_is_kept_where_the_head_reads_the_last_place(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("xlnet"), "xlnet", padding_side="left")
    assert load_tokenizer(folder).padding_side == "left"
    check(folder)


def test_a_head_that_reads_the_last_place_is_told_that_it_needs_padding_on_the_left(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("xlnet"), "xlnet", padding_side="right")
    assert '"padding_side": "left"' in refusal(folder)


def test_texts_of_one_length_are_compared_with_a_shorter_one(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("xlnet"), "xlnet", padding_side="right")
    assert "the other texts" in refusal(folder, ["w5 w6 w7", "w8 w9 w10"])


# --- words, types, weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "ibert", "t5", "bart"])
def test_tokens_beyond_the_embeddings_are_refused_with_the_row(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family, vocab_size=WORDS - 10), family)
    message = refusal(folder, [*TEXTS, "w8 w55 w9"])
    assert tells(message, "its tokenizer ", "55 ('w55', row 'dev-4' of dev), ", "50 rows")
    assert "resize_token_embeddings" in message
    check(folder, TEXTS)  # nobody asks for the words that it lacks


def test_a_pad_token_beyond_the_embeddings_is_refused(tmp_path: Path) -> None:
    from plugins.checkpoints import tokenizer_of

    folder = save(tmp_path, model_of("gpt2"), "gpt2")
    tokenizer = tokenizer_of("gpt2")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    edit(folder / "config.json", pad_token_id=WORDS)
    assert tells(refusal(folder), f"its tokenizer gives token {WORDS} ('[PAD]', ", "embeddings")


def test_a_token_type_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("bert", type_vocab_size=1), "bert")
    options = HubOptions(path=str(folder))
    pair = task_info().__class__(**{**vars(task_info()), "text_columns": ("text", "other")})
    prepared = HubModel().prepare(pair, options, Encoding(32, "longest"))
    rows = prepared.encode({"text": TEXTS, "other": TEXTS})
    made = load_classifier(folder, pair).model
    with pytest.raises(ModelError, match=r"token type 1 \(row '0' of dev\), .* 1: "):
        ModelCheck(made, prepared, prepared, {"dev": rows}, lambda split, number: str(number), "cpu").run()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_weights_that_are_no_numbers_are_refused(value: str, tmp_path: Path) -> None:
    import torch

    model = model_of("roberta")
    with torch.no_grad():
        model.roberta.encoder.layer[1].output.dense.weight[3, 5] = float(value)
    message = refusal(save(tmp_path, model, "roberta"))
    assert tells(message, "its weights ", "NaN or infinity", "1 of ")
    assert "first roberta.encoder.layer.1.output.dense.weight" in message


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    import torch

    model = model_of("roberta")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    message = refusal(save(tmp_path, model, "roberta"))
    assert re.match(r"of its \d+ matrices \d+ .* first roberta\.embeddings\.word_embeddings\.weight", message)


# --- texts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_end_of_text_within_a_text_is_refused_with_its_row(family: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family)
    message = refusal(folder, [*TEXTS, "w5 </s> w6"])
    assert tells(message, "", "end-of-text token '</s>'", "1 times", "row 'dev-")
    assert "row 'dev-4'" in message


@pytest.mark.parametrize("family", ["roberta", "gpt2", "opt"])
def test_an_end_of_text_within_a_text_is_a_token_like_others_elsewhere(family: str, tmp_path: Path) -> None:
    check(save(tmp_path, model_of(family), family), [*TEXTS, "w5 </s> w6"])


def test_a_token_that_fails_is_not_taken_for_a_text_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.training.model_checks.words_of", lambda model: None)  # as of a model that does not tell
    folder = save(tmp_path, model_of("gpt2", vocab_size=WORDS - 10), "gpt2")
    message = refusal(folder, [*TEXTS, "w8 w55 w9 w9"])
    assert tells(message, "its forward pass ", "row 'dev-4' of dev (4 tokens): IndexError: ")
    assert "max_length" not in message


@pytest.mark.parametrize("padding", ["longest", "max_length"])
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_tokenizer_that_makes_no_mask_is_told_with_the_cure(family: str, padding: str, tmp_path: Path) -> None:
    folder = save(tmp_path, model_of(family), family, model_input_names=["input_ids"])
    assert tells(
        refusal(folder, padding=padding), "", "attention_mask ", "model_input_names ", "tokenizer_config.json, ", "input_ids"
    )


def test_a_text_without_any_token_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, model_of("gpt2"), "gpt2")
    assert tells(refusal(folder, [*TEXTS, "  "]), "its tokenizer ", "row 'dev-4' of dev: ")
    check(save(tmp_path / "bert", model_of("bert"), "bert"), [*TEXTS, "  "])  # it has [CLS] and [SEP]


def test_extremes_are_found_over_all_splits_and_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bakeoff.training.encoding.AT_ONCE", 3)
    folder = save(tmp_path, model_of("t5"), "t5")
    prepared = HubModel().prepare(task_info(), HubOptions(path=str(folder)), Encoding(32, "longest"))
    texts = {"train": [*["w5 w6"] * 7, "w9 w59 </s> w9"], "test": ["w5 w5 w5 w5 w5 w5", "", "w7"]}
    kept = {name: encode(prepared, {"text": part}, cache=folder, fingerprint=name) for name, part in texts.items()}
    plain = {name: prepared.encode({"text": part}) for name, part in texts.items()}
    for rows in (kept, plain):
        found = find_extremes(rows, 1)
        assert found.shortest is not None
        assert found.longest is not None
        assert (found.shortest.split, found.shortest.number) == ("test", 1)
        assert (found.longest.split, found.longest.number) == ("test", 0)
        assert found.highest["input_ids"][0] == 59
        assert (found.highest["input_ids"][1].split, found.highest["input_ids"][1].number) == ("train", 7)
        assert {count: text.number for count, text in found.ends.items()} == {1: 0, 2: 7}
        assert found.longest.row["input_ids"] == [5, 5, 5, 5, 5, 5, 1]
    assert (folder / "tokens").is_dir()
