"""What components of any author return is checked where they return it, and told by the method that returned it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core.tried import changed, right, tried
from messages import tells

from bakeoff.plugin import Adaptation, ParameterGroup, Recipe, TextEncoder, weight_decay_groups

GREETINGS, WRAPPED = right.Greetings(), right.Wrapped()


def task(**methods: Any) -> Any:
    return changed(right.Greetings, **methods)


def model(**methods: Any) -> Any:
    return changed(right.Wrapped, **methods)


def encoder(**methods: Any) -> Any:
    return model(encoder=type("Encoder", (TextEncoder,), methods))


def method(groups: Any) -> Any:
    """A method; `groups` makes its groups of the model."""
    return changed(right.Everything, adapt=lambda self, built, options, recipe: Adaptation(built.model, groups(built.model)))


def names(network: Any) -> tuple[str, ...]:
    return tuple(name for name, _ in network.named_parameters())


def group(network: Any, **more: Any) -> ParameterGroup:
    return ParameterGroup(**{"names": names(network), "lr_scale": 1.0, "weight_decay": 0.0, **more})


def frozen(network: Any) -> Any:
    network.bert.requires_grad_(False)
    return (group(network),)


def rows_of(split: Any) -> Any:
    return {name: list(rows) for name, rows in split.items()}


WRONG: dict[str, tuple[Any, str, str]] = {
    "load gives nothing": (task(load=lambda *_: None), "task", "task 'mine': `load` returned nothing (None); "),
    "load gives lists": (
        task(load=lambda self, options, places: rows_of(GREETINGS.load(options, places))),
        "task",
        "task 'mine': `load` returned a list for 'train'; ",
    ),
    "load raises": (task(load=lambda *_: [][0]), "task", "task 'mine' (plugin 'mine' of mine 1.0) could not be loaded: "),
    "a text is missing": (
        task(row=lambda self, split, number: {**GREETINGS.row(split, number), "line": None}),
        "task",
        "task 'mine', split 'train': row 'train-0' has nothing (None) in the text column 'line'",
    ),
    "texts are numbers": (
        task(row=lambda self, split, number: {**GREETINGS.row(split, number), "line": number}),
        "task",
        "task 'mine', split 'train': row 'train-0' has the int 0 in the text column 'line'",
    ),
    "versions are missing": (
        task(source_versions=lambda self: None),
        "task",
        "task 'mine': `source_versions` returned nothing (None); ",
    ),
    "prepare gives nothing": (model(prepare=lambda *_: None), "model", "model 'mine': `prepare` returned nothing (None); "),
    "build gives the model": (
        model(build=lambda self, info, options: WRAPPED.build(info, options).model),
        "model",
        "model 'mine': `build` returned a BertForSequenceClassification; it must be a bakeoff.plugin.Built",
    ),
    "new names are a text": (
        model(build=lambda self, info, options: replace(WRAPPED.build(info, options), newly_initialised="classifier")),
        "model",
        "model 'mine': `build`: `newly_initialised` is 'classifier'; ",
    ),
    "new names are invented": (
        model(build=lambda self, info, options: replace(WRAPPED.build(info, options), newly_initialised=("head.weight",))),
        "model",
        "model 'mine': `build` names 'head.weight' in `newly_initialised`, ",
    ),
    "encode gives fewer": (
        encoder(encode=lambda self, columns: TextEncoder.encode(self, columns)[:1]),
        "model",
        "the model's `encode` returned 1 rows for 8 texts; ",
    ),
    "encode gives columns": (
        encoder(encode=lambda self, columns: {"input_ids": [[1]]}),
        "model",
        "the model's `encode` returned a dict; ",
    ),
    "collate gives lists": (
        encoder(collate=lambda self, examples: {"input_ids": [row["input_ids"] for row in examples]}),
        "model",
        "the model's `collate`: 'input_ids' is a list; ",
    ),
    "collate drops labels": (
        encoder(
            collate=lambda self, examples: {
                name: value for name, value in TextEncoder.collate(self, examples).items() if name != "labels"
            }
        ),
        "strategy",
        "the model's `collate` returned no `labels`",
    ),
    "predict gives the output": (
        encoder(predict=lambda self, network, batch: network(**batch)),
        "model",
        "the model's `predict` returned a SequenceClassifierOutput; ",
    ),
    "predict gives one column": (
        encoder(predict=lambda self, network, batch: network(**batch).logits[:, 0]),
        "model",
        "the model's `predict` returned shape (1,) for 1 examples; ",
    ),
    "adapt gives nothing": (
        changed(right.Everything, adapt=lambda *_: None),
        "strategy",
        "method 'mine': `adapt` returned nothing (None); ",
    ),
    "adapt raises": (
        changed(right.Everything, adapt=lambda *_: [][0]),
        "strategy",
        "`adapt` of method 'mine' (plugin 'mine' of mine 1.0) failed: IndexError: ",
    ),
    "one group, no tuple": (method(group), "strategy", "method 'mine': `adapt`: `groups` is a ParameterGroup; "),
    "names of a group are a text": (
        method(lambda network: (group(network, names="classifier.weight"),)),
        "strategy",
        "method 'mine': `adapt`: `names` of a group is 'classifier.weight'; ",
    ),
    "an unknown name": (
        method(lambda network: (group(network, names=("head.weight",)),)),
        "strategy",
        "method 'mine': a group names 'head.weight', and the adapted model has no such parameter",
    ),
    "a frozen one": (method(frozen), "strategy", "method 'mine': a group names bert."),
    "twice": (
        method(lambda network: 2 * (group(network),)),
        "strategy",
        "method 'mine': bert.embeddings.word_embeddings.weight stands in the groups 2 times: ",
    ),
    "one left out": (
        method(lambda network: (group(network, names=names(network)[:-1]),)),
        "strategy",
        "method 'mine': classifier.bias requires a gradient and is in no group: ",
    ),
    "a negative rate": (
        method(lambda network: tuple(replace(one, lr_scale=-1.0) for one in weight_decay_groups(network, Recipe()))),
        "strategy",
        "method 'mine': the group of bert.embeddings.word_embeddings.weight has lr_scale -1.0 ",
    ),
    "no gradient": (
        changed(right.Beside),
        "strategy",
        "method 'mine': no gradient reached the parameters of its groups: ",
    ),
    "check_model raises": (
        changed(right.Loop, check_model=lambda *_: [][0]),
        "strategy",
        "`check_model` of trainer 'mine' (plugin 'mine' of mine 1.0) failed: IndexError: ",
    ),
    "notes are a text": (
        changed(right.Loop, notes=lambda *_: "a note"),
        "strategy",
        "trainer 'mine': `notes` returned 'a note'; ",
    ),
}
QUICK = ("load gives nothing", "build gives the model", "adapt gives nothing", "one group, no tuple")


@pytest.mark.parametrize("fault", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in WRONG])
def test_a_wrong_value_is_told_by_the_method_that_returned_it(fault: str, tmp_path: Path) -> None:
    component, kind, sentence = WRONG[fault]
    ((found, message),) = tried(tmp_path, component)
    assert found == kind
    assert tells(message, sentence), message


@pytest.mark.slow
def test_a_model_that_is_to_be_kept_must_be_saved_and_loaded(tmp_path: Path) -> None:
    for methods, sentence in (
        ({"save": lambda *_: None}, "its `save` wrote no file"),
        ({"answers_of_saved": lambda *_: None}, "its `answers_of_saved` returned nothing (None)"),
    ):
        ((kind, message),) = tried(tmp_path, encoder(**methods), keep="final")
        assert kind == "strategy"
        assert tells(message, "", "`keep: final`", sentence)


def test_a_metric_that_says_nothing_on_dev_can_t_stop_a_training() -> None:
    from bakeoff.contracts.metrics import F1, Accuracy
    from bakeoff.errors import DataError
    from bakeoff.runner.preflight import require_telling
    from bakeoff.training.data import Columns

    info = replace(
        GREETINGS.info(GREETINGS.Options()),
        metrics=(Accuracy(), F1("yes")),
        labels=("no", "yes"),
        n_outputs=2,
        splits=("train", "dev"),
        labelled_splits=("train", "dev"),
        primary_metric="accuracy",
    )
    require_telling(info, {"dev": Columns({"label": [0, 1, 1]})}, "f1 (yes)")
    with pytest.raises(DataError, match=r"f1 \(yes\)"):
        require_telling(info, {"dev": Columns({"label": [0, 0, 0]})}, "f1 (yes)")
