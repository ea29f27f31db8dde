"""Prompts that a template makes of texts: what stays when they are too long, what is refused, and what is kept and shown."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import task_info
from click.testing import CliRunner
from plugins.checkpoints import model_of, save
from pydantic import ValidationError

from bakeoff.cli.show import show
from bakeoff.contracts.model import Encoding
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import ModelError, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import parse_document
from bakeoff.toolkit.prompts import Template, shortened_to
from bakeoff_hub_models import HubModel, HubOptions

PAIR = replace(task_info(), text_columns=("first", "second"))
TEMPLATE = "w4 w5 {first} w6 {second} w10 w11"
WORDS = {"first": ["w20 w21", " ".join(["w20"] * 30), "w20"], "second": ["w30", "w30 w31", " ".join(["w30"] * 40)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"), model_of("llama"), "llama")


def encoder(folder: Path, *, most: int = 16, template: str = TEMPLATE, task: Any = PAIR) -> Any:
    return HubModel().prepare(task, HubOptions(path=str(folder), template=template), Encoding(most, "longest"))


def test_texts_are_shortened_at_their_end_and_the_templates_words_stay(folder: Path) -> None:
    made = encoder(folder)
    rows = [row["input_ids"] for row in made.encode(WORDS)]
    assert rows[0] == [4, 5, 20, 21, 6, 30, 10, 11]
    assert rows[1] == [4, 5, *[20] * 9, 6, 30, 31, 10, 11]
    assert rows[2] == [4, 5, 20, 6, *[30] * 10, 10, 11]
    both = made.encode({"first": [" ".join(["w20"] * 30)], "second": [" ".join(["w30"] * 31)]})[0]["input_ids"]
    assert len(both) == 16
    assert abs(both.count(20) - both.count(30)) <= 1, "of two long texts the longer loses tokens first"
    assert both[-2:] == [10, 11]


@pytest.mark.parametrize(
    ("lengths", "excess", "kept"),
    [
        ({"a": 9}, 4, {"a": 5}),
        ({"a": 9, "b": 4}, 3, {"a": 6, "b": 4}),
        ({"a": 9, "b": 4}, 7, {"a": 3, "b": 3}),
        ({"a": 5, "b": 5}, 3, {"a": 3, "b": 4}),
        ({"a": 2, "b": 1}, 9, {"a": 0, "b": 0}),
        ({"a": 0, "b": 0}, 1, {"a": 0, "b": 0}),
        ({"a": 900_000, "b": 900_001}, 1_799_000, {"a": 500, "b": 501}),
    ],
)
def test_the_longest_text_loses_a_token_at_a_time(lengths: dict[str, int], excess: int, kept: dict[str, int]) -> None:
    found = shortened_to(lengths, excess)
    assert sum(found.values()) == sum(kept.values())
    assert sorted(found.values()) == sorted(kept.values())


def test_tokens_of_blanks_alone_do_not_cost_a_text(folder: Path) -> None:
    """As a byte-level tokenizer that trims offsets has them: a blank of its own ends where the word before it does."""

    class Bytes:
        def __call__(self, texts: Any, **how: Any) -> dict[str, Any]:
            if isinstance(texts, list):
                return {"input_ids": [list(text) for text in texts]}
            ends = [len(texts[: number + 1].rstrip()) for number in range(len(texts))]
            return {"input_ids": list(texts), "offset_mapping": [(0, end) for end in ends]}

    made = Template("{text}!", ["text"])
    assert made.prompts({"text": ["ab  "]}, Bytes(), 4) == ["ab!"] or made.prompts({"text": ["ab  "]}, Bytes(), 4) == ["ab !"]
    assert made.prompts({"text": ["abcdef"]}, Bytes(), 4) == ["abc!"]


def test_a_template_without_any_text_that_fits_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="`max_length` is 4"):
        encoder(folder, most=4).encode(WORDS)


@pytest.mark.parametrize(
    "template", ["w4 w5", "w4 {} w5", "w4 {first!r}", "w4 {first:>9}", "w4 {first", "{first.upper}", "{0}"]
)
def test_what_is_no_template_is_refused_before_anything_is_read(template: str) -> None:
    with pytest.raises(ValidationError):
        HubOptions(path="x", template=template)


@pytest.mark.parametrize(("template", "told"), [("{first} w4", r"\{second\}"), ("{first} {secnd}", "'secnd'.*'second'")])
def test_a_template_that_does_not_fit_the_tasks_texts_is_refused(template: str, told: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=told):
        encoder(folder, template=template)


def test_check_says_so_at_the_models_place_without_reading_it() -> None:
    head = "name: t\ntasks: [toy]\nstrategies: {a: {trainer: torch-loop}}\n"
    model = "models: [{name: hub, path: /nowhere, template: 'Same? {first} {other}'}]\n"
    with pytest.raises(SpecError) as caught:
        resolve(parse_document(head + model, "spec.yaml"), load_registry())
    (problem,) = caught.value.problems
    assert str(problem).startswith("spec.yaml:4:10: models[0]: ")
    assert "'other'" in problem.message


def test_another_template_is_another_encoding_and_none_is_what_it_was(folder: Path) -> None:
    plain = HubModel().prepare(PAIR, HubOptions(path=str(folder)), Encoding(16, "longest"))
    keys = {made.encoding_key() for made in (plain, encoder(folder), encoder(folder, template="{first} w9 {second}"))}
    assert len(keys) == 3
    assert plain.prompts(WORDS) is None
    assert HubOptions(path="x", template=None) == HubOptions(path="x")


def test_what_is_kept_is_asked_with_the_same_prompts(folder: Path, tmp_path: Path) -> None:
    import torch

    made = encoder(folder)
    model = HubModel().build(PAIR, HubOptions(path=str(folder), template=TEMPLATE)).model.eval()
    with torch.no_grad():
        wanted = made.predict(model, made.collate(made.encode(WORDS))).numpy()
        one = made.predict(model, made.collate(made.encode({"first": ["w20"], "second": ["w30"]}))).numpy()
    made.save(model, tmp_path / "kept", ("no", "yes"))
    assert np.abs(made.answers_of_saved(tmp_path / "kept", WORDS, torch.device("cpu")) - wanted).max() < 1e-5
    code = (
        made.how_to_load(tmp_path / "kept").replace("first='first'", "first='w20'").replace("second='second'", "second='w30'")
    )
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*logits[0].tolist())"],
        cwd=tmp_path / "kept",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [float(word) for word in found.stdout.split()] == pytest.approx(one[0].tolist(), abs=1e-4)


def test_the_prompt_of_an_example_is_shown(folder: Path) -> None:
    template = "w4 {first} w5 {second}"
    options = ("--model", "hub", "--model-option", f"path={folder}", "--model-option", f'template="{template}"')
    answer = CliRunner().invoke(show, ["task", "toy", "--examples", "1", *options], catch_exceptions=False)
    lines = [line.strip() for line in answer.output.splitlines()]
    first, second = (next(line for line in lines if line.startswith(f"{name}: ")) for name in ("first", "second"))
    wanted = template.format(first=first.removeprefix("first: "), second=second.removeprefix("second: "))
    assert f"prompt: {wanted}" in lines


def test_a_template_does_not_begin_with_a_token_that_the_tokenizer_adds(tmp_path: Path) -> None:
    made = save(tmp_path / "roberta", model_of("roberta"), "roberta")
    with pytest.raises(ModelError) as refused:
        encoder(made, template="<s> w5 {first} w6 {second}")
    assert "<s>" in str(refused.value)
    assert encoder(made, template="w5 <s> {first} w6 {second}").encode(WORDS)
