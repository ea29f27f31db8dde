"""Trainers that own their model: one answers by the words of the training rows, of any kind of task; one by features."""

from __future__ import annotations

import math
import os
import random
import signal
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bakeoff.plugin import Answer, Example, Options, OwnModelJob, OwnModelTrainer, Recipe, Supports, hookimpl


class RoteOptions(Options):
    """What it tells, what it asks for, and what goes wrong."""

    scores: bool = False
    dev: bool = False
    dice: bool = False
    """Whether its answers are drawn by numpy's and Python's global generators, as libraries do."""
    fault: Literal["none", "leaves out", "doubles", "strange", "unknown id", "nan", "bare", "dies once", "seed"] = "none"
    watch: str = ""
    """A file that gets a line for each thing it was given."""


class Rote(OwnModelTrainer):
    """The answer is the label whose training rows share the most words with the text; a number is their mean."""

    name = "rote"
    summary = "Answers by the words of the training rows."
    version = "1"
    Options = RoteOptions

    def depends_on_seed(self, recipe: Recipe, options: RoteOptions) -> bool:
        return options.dice

    def fit_own(self, job: OwnModelJob, options: RoteOptions) -> Any:
        done = job.folder / "counted"
        if options.watch:
            given = {example.label for split in job.splits.values() for example in split}
            with Path(options.watch).open("a") as stream:
                stream.write(f"{job.seed} {len(job.train)} {given} {done.exists()}\n")
        if options.dev:
            assert all(example.label is not None for example in job.dev() or ())
        done.write_text("yes")
        if options.fault == "dies once" and not (mark := job.folder / "mark").exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        shares: dict[str, list[Any]] = defaultdict(list)
        for example in job.train:
            for word in " ".join(example.texts.values()).split():
                shares[word].append(example.label)
        return shares, job.train[0].label

    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: RoteOptions) -> list[Answer]:
        shares, usual = model
        answers = []
        for example in examples:
            seen = [label for word in " ".join(example.texts.values()).split() for label in shares.get(word, ())] or [usual]
            answers.append(self.answer(example, seen, job, options))
        return spoilt(answers, options.fault)

    def answer(self, example: Example, seen: list[Any], job: OwnModelJob, options: RoteOptions) -> Answer:
        if not job.kind.has_labels:
            return Answer(example.id, float(np.mean(seen)))
        if options.dice:
            drawn = np.random.randint(7) + random.randrange(5)  # noqa: S311
            return Answer(example.id, job.labels[drawn % len(job.labels)])
        if job.kind.several_labels:
            shares = {name: sum(name in one for one in seen) / len(seen) for name in job.labels}
            return Answer(example.id, [name for name, p in shares.items() if p > 0.5], shares if options.scores else None)
        shares = {name: seen.count(name) / len(seen) for name in job.labels}
        return Answer(example.id, max(shares, key=lambda name: shares[name]), shares if options.scores else None)


def spoilt(answers: list[Answer], fault: str) -> list[Answer]:
    """The answers with a fault."""
    first = answers[0]
    match fault:
        case "leaves out":
            return answers[1:]
        case "doubles":
            return [*answers, first]
        case "strange":
            return [Answer(first.id, "sam"), *answers[1:]]
        case "unknown id":
            return [Answer(-1, first.answer), *answers]
        case "nan":
            return [Answer(first.id, first.answer, {"different": math.nan, "same": 1.0}), *answers[1:]]
        case "bare":
            return [Answer(first.id, first.answer), *answers[1:]]
    return answers


class NearestMean(OwnModelTrainer):
    """The label whose training rows have the nearest mean of features."""

    name = "nearest-mean"
    summary = "Answers by the frozen model's features."
    version = "1"
    uses_model: ClassVar[bool] = True
    supports = Supports(recipe_keys=frozenset({"train_examples", "max_length", "padding"}), methods=frozenset({"full"}))

    def fit_own(self, job: OwnModelJob, options: Options) -> Any:
        features = job.features(job.train)
        return {
            name: features[[number for number, one in enumerate(job.train) if one.label == name]].mean(axis=0)
            for name in job.labels
        }

    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Options) -> list[Answer]:
        features = job.features(examples)
        names = list(model)
        away = np.stack([np.linalg.norm(features - model[name], axis=1) for name in names])
        return [Answer(one.id, names[nearest]) for one, nearest in zip(examples, away.argmin(axis=0), strict=True)]


@hookimpl
def bakeoff_trainers() -> list[OwnModelTrainer]:
    return [Rote(), NearestMean()]
