"""Names that a stranger may give to anything, and experiments in which everything that can have a name has such a one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from builders import Runs, drawn_answers, failed, make_control, make_declaration, make_observed, make_runs, run_id, write_run
from pydantic import BaseModel, ValidationError

from bakeoff.contracts.unit import Unit
from bakeoff.records.experiment import Predictions
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    Attempt,
    Change,
    Chosen,
    Control,
    Declared,
    EarlierDeclaration,
    Imported,
    Kept,
    Record,
    Search,
    Selection,
    TrialRun,
)
from bakeoff.records.store import Store

TERMINAL = (
    *("\x1b]0;owned\x07title", "\x1b[2J\x1b[31mred", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x1bcreset"),
    *("\x9b31mC1", "\x90dcs\x9c", "\x85next", "over\rwritten", "back\x08\x08space", "two\nlines", "\x0b\x0cfeed", "\x7fdel"),
    *("a\u2028b\u2029c", "\u202egnol", "\u2066isolate\u2069", "\u200fmark", "zero\u200bwidth\ufeff", "soft\xadhyphen"),
    *(
        "\U000e0041tag",
        "\u3164filler",
        "nbsp\xa0here",
        "\ue000private",
        "[red]rich[/red]",
        "[link=https://evil.example]x[/link]",
    ),
)
"""What drives a terminal, or hides in it."""

COMMANDS = (
    "::error file=x::owned",
    "  ::add-mask::x",
    "##[error]owned",
    "##vso[task.setvariable variable=x]owned",
    "%0A::error::x",
)
"""What a service that runs workflows would obey."""

FORMULAS = (
    *("=1+1", '=HYPERLINK("https://evil.example";"x")', "@SUM(1)", "+1+1", "-2+3", "-rising", "\t=1", "\r=1", " =1", "'=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "a;=1+1", "a; @x", 'a;"=1', "'", "\\x3d", "'\\n", "\u200b=1"),
)
"""What a spreadsheet would compute, here or where semicolons stand between cells; and what could be taken for an escape."""

MARKDOWN = (
    *(
        "# heading",
        "heading #",
        "> quote",
        "- item",
        "1. one",
        "===",
        "| cell |",
        "`code`",
        "```fence",
        "a`b|c",
        "    indented",
    ),
    *("[x](https://evil.example)", "![x](https://evil.example/x.png)", "[x]: https://evil.example", "<https://evil.example>"),
    *("https://evil.example", "(http://evil.example)", "x:https://evil.example", "www.evil.example", "ftp://evil.example"),
    *(
        "someone@evil.example",
        "mailto:x@evil.example",
        "xmpp:x@evil.example",
        "@everyone",
        "(@team)",
        "/@team",
        "owner@deadbeef",
    ),
    *("#1", "GH-1", "gh-1", "owner/repo#1", "(#1)", "$math$", "$a b$", "$$", "a$b`c`$d", ":smile:", ":+1:", "[^1]", "[ ] todo"),
    *("**bold**", "__bold__", "_it_", "~~gone~~", "https://a|b", "@a`b", "w\\ww.evil.example", "https\\://evil.example", "\\"),
)
"""What Markdown, GitHub's above all, would make more of than text."""

MARKUP = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- x", "</style></title>", "\"'><svg onload=alert(1)>"),
    *("&copy;", "&#64;x", "{{ 7*7 }}{% x %}", "javascript:alert(1)", "\\input{/etc/passwd}", "\\write18{x}", "%&_^~{}#$", "--"),
    *(
        "---\nlicense: evil",
        "--- !x",
        "!!python/object/apply:os.system [x]",
        "a: b",
        "*alias",
        "&anchor x",
        "- {id: evil}",
        "'\"",
    ),
)
"""HTML, templates, LaTeX, YAML."""

EVERYTHING = (
    "=1;=2\x1b]0;x\x07\u202e\x9b\u3164\n::error::\n# [x](https://evil.example) ![x](www.evil.example) @team a@evil.example #1 "
    "$m$ :smile: <img src=x onerror=alert(1)> <!-- `c` | *d* __e__ ~~f~~ &copy; \\write18{x} %&_^{}#$ ##[error] [red]g[/red] "
    "{{ 7*7 }}\n---\nlicense: evil"
)
"""All of it in one name: wherever text stands as it was given, it is seen."""

HOSTILE = (*TERMINAL, *COMMANDS, *FORMULAS, *MARKDOWN, *MARKUP)

Model = TypeVar("Model", bound=BaseModel)

LABELS = np.arange(120) % 3 // 2

KEPT = {"classification", "2026-11-23T08:51:39+00:00"}
"""Texts that no stranger could change without ending in an error at once."""


class Renamer:
    """Gives every text another name, each a hostile one, beginning at number `first`; one text has one name."""

    def __init__(self, names: Sequence[str], first: int = 0) -> None:
        self.names, self.numbers, self.given = names, count(first), dict[str, str]()
        self.tried: dict[tuple[type[BaseModel], str], bool] = {}

    def __call__(self, text: str) -> str:
        if text not in self.given:
            self.given[text] = f"{self.names[next(self.numbers) % len(self.names)]} {text}".rstrip()
        return self.given[text]

    def everywhere(self, model: Model) -> Model:
        """The model with every text and every key renamed that may be another: found by trying, once for each text."""
        plain = json.loads(model.model_dump_json())
        for text in dict.fromkeys(texts_of(plain)):
            if text in KEPT or not text or self.tried.get((type(model), text)) is False:
                continue
            renamed = renamed_in(plain, text, self(text))
            if (type(model), text) not in self.tried:
                self.tried[type(model), text] = is_valid(type(model), renamed)
            plain = renamed if self.tried[type(model), text] else plain
        return type(model).model_validate(plain)


def is_valid(model: type[BaseModel], plain: Any) -> bool:
    try:
        model.model_validate(plain)
    except ValidationError:
        return False
    return True


def texts_of(plain: Any) -> Iterator[str]:
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            yield key
            yield from texts_of(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from texts_of(value)


def renamed_in(plain: Any, old: str, new: str) -> Any:
    if isinstance(plain, str):
        return new if plain == old else plain
    if isinstance(plain, Mapping):
        return {new if key == old else key: renamed_in(value, old, new) for key, value in plain.items()}
    return [renamed_in(value, old, new) for value in plain] if isinstance(plain, list) else plain


def runs_and_plan(rename: Renamer) -> tuple[Runs, Declared]:
    """Four strategies, one of which fails, on one task with one model: all that has a name has a hostile one."""
    slices = {"topic": ["art" if number % 2 else "war" for number in range(len(LABELS))]}
    names = ("first", "second", "third", "lost")
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(names)}
    records = {"second": {"owns": ["the loss"], "recipe": {"learning_rate": 2e-5}, "hardware": "another machine"}}
    runs = []
    for record, predictions in make_runs(answers, LABELS, slices=slices, records=records):
        if record.requested.strategy == "lost":
            record, predictions = failed(record, message="the device is gone"), {}
        runs.append((rename.everywhere(fuller(record)), renamed_predictions(predictions, rename)))
    declared = make_declaration(
        [record for record, _ in runs],
        name="mrpc",
        baseline=rename("first"),
        report_on=rename("test"),
        under_test=["the weather"],
        searches=search_of(rename),
        trials={rename("second"): 12},
        metrics={rename("glue/mrpc"): rename("accuracy")},
        gate={"quality": "-1.0 points"},
        imported=[
            Imported(name="theirs", source="a page", split=rename("test"), scores={rename("accuracy"): 0.7}, seeds=1, task=None)
        ],
        history=[
            EarlierDeclaration(
                when="2026-11-23T08:51:39+00:00",
                seeds={"first": [0]},
                recorded=1,
                changes=[Change(what="baseline", before="a", after="b")],
            )
        ],
    )
    kept = set(rename.given.values())
    return runs, _renamed_but(declared, kept, rename)


def fuller(record: Record) -> Record:
    """With what most runs lack."""
    attempt = Attempt(started=STARTED, reason="crashed", phase="train", total_seconds=1, train_seconds=1, steps=1)
    more: dict[str, Any] = {"attempts": [attempt], "trainer_notes": ["it clips"]}
    more["environment"] = record.environment.model_copy(update={"instructions": "AVX2"})
    if record.data is not None:
        first, second = record.data.metrics
        units = [
            metric.model_copy(update={"unit": Unit(name=name, low=0.0)}) for metric, name in ((first, "miles"), (second, "s"))
        ]
        more["data"] = record.data.model_copy(update={"metrics": units})
    if record.status == "ok":
        more |= {"observed": make_observed(), "kept": Kept(reason="no room", difference=None)}
        more["selection"] = Selection(split="test", evaluations=1, chosen_epoch=1, scores=[0.5], discordance=0.1)
    return record.model_copy(update=more)


STARTED = "2026-11-23T08:51:39+00:00"


def search_of(rename: Renamer) -> dict[str, Search]:
    """A search whose trials are still to be made, but for a choice that is declared."""
    task, model, values = rename("glue/mrpc"), rename("minilm"), {rename("trainer.l2"): rename("tiny")}
    trial = TrialRun(id=run_id("third", 1000), task=task, model=model, seed=1000, values=values)
    chosen = Chosen(task=task, model=model, values=values)
    grid = {key: [value] for key, value in values.items()}
    return {rename("third"): Search(grid=grid, seeds=[1000], choose="best mean on dev", trials=[trial], chosen=[chosen])}


def _renamed_but(declared: Declared, kept: set[str], rename: Renamer) -> Declared:
    """The declaration with those texts renamed that are not yet."""
    given = dict(rename.given)
    rename.given |= {name: name for name in kept}
    try:
        return rename.everywhere(declared)
    finally:
        rename.given = given


def renamed_predictions(predictions: Mapping[str, Predictions], rename: Renamer) -> dict[str, Predictions]:
    return {
        rename(split): replace(
            found,
            slices={rename(column): tuple(map(rename, values)) for column, values in found.slices.items()},
        )
        for split, found in predictions.items()
    }


def control(rename: Renamer, moment: Any) -> Control:
    names: dict[str, Any] = {"hardware": rename("AMD EPYC, 2 threads"), "peak_flops": {rename("fp32"): 1e9}}
    return make_control(1.0 if moment == "before" else 2.0, moment=moment, spread=0.5, **names)


def hostile_folder(folder: Path, rename: Renamer) -> Path:
    """The experiment as `bakeoff run` writes one."""
    store = Store(folder)
    store.records.mkdir(parents=True)
    runs, declared = runs_and_plan(rename)
    for record, predictions in runs:
        write_run(store, record, predictions)
    store.plan_file.write_bytes(dump(declared))
    for moment in ("before", "after"):
        (store.records / f"control-one-{moment}.json").write_bytes(dump(control(rename, moment)))
    return folder
