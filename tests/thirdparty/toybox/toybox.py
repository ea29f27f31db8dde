"""A toy task that needs no data, and trainers, a model and a tracker that go wrong on purpose, each in one way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bakeoff.plugin import (
    CLASSIFICATION,
    F1,
    Accuracy,
    BakeoffError,
    Built,
    DataError,
    Encoding,
    Model,
    Options,
    Paths,
    Signal,
    Task,
    TaskInfo,
    TextEncoder,
    TrackedExperiment,
    TrackedRun,
    Tracker,
    Trainer,
    TrainingJob,
    Tree,
    hookimpl,
    read_json,
    read_regular,
)
from bakeoff_tiny_models import TinyBert, TinyOptions

WORDS = ("red", "green", "blue", "dog", "cat", "house", "tree", "river", "stone", "cloud", "table", "window")


class ToyOptions(Options):
    """Its size."""

    size: Annotated[int, Field(ge=4, le=10_000)] = 60
    missing: bool = False
    shade: str = "plain"


class Toy(Task):
    """Are the two lists of words the same?"""

    name = "toy"
    summary = "Pairs of word lists: the same or not."
    version = "1"
    Options = ToyOptions

    def info(self, options: ToyOptions) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("first", "second"),
            labels=("different", "same"),
            positive="same",
            n_outputs=2,
            metrics=(Accuracy(), F1()),
            primary_metric="accuracy",
            splits=("train", "dev", "test"),
            labelled_splits=("train", "dev", "test"),
            slice_columns=("start",),
        )

    def load(self, options: ToyOptions, places: Paths) -> dict[str, Any]:
        from datasets import Dataset

        if options.missing:
            raise DataError("the toy box is empty")
        splits = {}
        for name, rows in (("train", options.size), ("dev", 20), ("test", 30)):
            draw = random.Random(f"{name}/{options.shade}")  # noqa: S311
            first = [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(rows)]
            labels = [int(row % 3 > 0) for row in range(rows)]
            second = [text if label else " ".join(draw.choices(WORDS, k=4)) for text, label in zip(first, labels, strict=True)]
            splits[name] = Dataset.from_dict(
                {
                    "id": [f"{name}-{row}" for row in range(rows)],
                    "first": first,
                    "second": second,
                    "label": labels,
                    "start": [text.split()[0] for text in first],
                }
            )
        return splits


WARM, COLD = ("sunny", "kind", "bright", "sweet"), ("rainy", "harsh", "dull", "sour")


class TemperOptions(Options):
    """How much there is to learn from, and how often the label lies."""

    size: Annotated[int, Field(ge=16, le=10_000)] = 320
    noise: Annotated[float, Field(ge=0, lt=0.5)] = 0.15


class Temper(Task):
    """Are there more warm words than cold ones? A tiny model learns it in a second, and not quite."""

    name = "temper"
    summary = "Lines of warm, cold and other words; some labels lie."
    version = "1"
    Options = TemperOptions

    def info(self, options: TemperOptions) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("line",),
            labels=("cold", "warm"),
            positive="warm",
            n_outputs=2,
            metrics=(Accuracy(), F1()),
            primary_metric="accuracy",
            splits=("train", "test"),
            labelled_splits=("train", "test"),
        )

    def load(self, options: TemperOptions, places: Paths) -> dict[str, Any]:
        from datasets import Dataset

        splits = {}
        for name, rows in (("train", options.size), ("test", 200)):
            draw = random.Random(f"temper/{name}")  # noqa: S311
            lines = [draw.choices(WARM + COLD + WORDS[:4], k=7) for _ in range(rows)]
            balance = [sum((word in WARM) - (word in COLD) for word in line) for line in lines]
            labels = [int(warmth > 0) if draw.random() >= options.noise else int(warmth <= 0) for warmth in balance]
            splits[name] = Dataset.from_dict(
                {"id": [f"{name}-{row}" for row in range(rows)], "line": list(map(" ".join, lines)), "label": labels}
            )
        return splits


class ToyFile(Task):
    """Lines of `text,label` from rows.csv: a file that somebody may edit."""

    name = "toy-file"
    summary = "Lines of a file."
    version = "1"

    def info(self, options: Options) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("text",),
            labels=("no", "yes"),
            positive="yes",
            n_outputs=2,
            metrics=(Accuracy(), F1()),
            primary_metric="accuracy",
            splits=("train", "test"),
            labelled_splits=("train", "test"),
        )

    def load(self, options: Options, places: Paths) -> dict[str, Any]:
        from datasets import Dataset

        assert places.data is not None
        lines = [line.split(",") for line in (places.data / "rows.csv").read_text().splitlines()]
        return {
            name: Dataset.from_dict(
                {
                    "id": [f"{name}-{row}" for row in range(len(lines))],
                    "text": [text for text, _ in lines],
                    "label": [int(label) for _, label in lines],
                }
            )
            for name in ("train", "test")
        }


def steps(job: TrainingJob, *, count: int | None = None, learning_rate: float | None = None) -> None:
    """A plain loop over `count` steps, default as many as the job allows."""
    import torch

    optimizer = torch.optim.AdamW(job.parameter_groups(), lr=learning_rate or job.recipe.learning_rate)
    if learning_rate:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
    done, epoch = 0, 0
    while done < (count or job.total_steps):
        for rows in job.batches(epoch):
            if done == (count or job.total_steps):
                return
            job.begin_step(done)
            inputs = job.collate([job.examples[row] for row in rows])
            loss = job.loss(job.model(input_ids=inputs["input_ids"]).logits, inputs["labels"])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if job.end_step(done, loss.detach()) is Signal.STOP:
                return
            done += 1
        epoch += 1


class WrongOptions(Options):
    """Where a marker is left, so that a second attempt can go well, or that the training is known to have begun."""

    marker: str = ""


class Planted(Trainer):
    """One way to go wrong."""

    version = "1"
    Options = WrongOptions

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.summary = summary

    def fit(self, job: TrainingJob, options: WrongOptions) -> None:
        match self.name:
            case "raises":
                raise ZeroDivisionError("a bug\nin two lines")
            case "exits":
                print("last words of a plugin", flush=True)
                os._exit(7)
            case "segfaults":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "sleeps":
                job.begin_step(0)
                Path(options.marker).touch()
                time.sleep(600)
            case "one-short":
                steps(job, count=job.total_steps - 1)
            case "diverges":
                steps(job, learning_rate=1e30)
            case "out-of-memory":
                import torch

                torch.empty(2**50, device=job.device)  # a quadrillion numbers
            case "swallows":
                try:
                    job.begin_step(5)
                except Exception:
                    return
            case "flaky":
                if not Path(options.marker).exists():
                    Path(options.marker).touch()
                    raise RuntimeError("the first attempt")
                steps(job)
            case "leaves-children":
                for _ in range(2):
                    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(90)"], start_new_session=True)
                steps(job)
            case "right" | "evaluates-otherwise":
                steps(job)

    @contextmanager
    def fast_inference(self, model: Any) -> Iterator[None]:
        if self.name != "evaluates-otherwise":
            yield
            return
        model.classifier.weight.data *= 1.5
        yield
        model.classifier.weight.data /= 1.5


class FragileOptions(Options):
    """What goes wrong, at the second time alone: the first is the try before any run."""

    fault: str
    marker: str
    """A file with a dot for each time so far."""


class Fragile(Model):
    """A tiny classifier that is not kept as it should be."""

    name = "fragile"
    summary = "A tiny BERT whose keeping goes wrong in one way."
    version = "1"
    Options = FragileOptions

    def prepare(self, task: TaskInfo, options: FragileOptions, encoding: Encoding) -> TextEncoder:
        prepared = Breaking(TinyBert().prepare(task, TinyOptions(), encoding).tokenizer, task, encoding)
        prepared.options = options
        return prepared

    def build(self, task: TaskInfo, options: FragileOptions) -> Built:
        return TinyBert().build(task, TinyOptions())


class Breaking(TextEncoder):
    """Does what its options say."""

    options: FragileOptions

    def save(self, model: Any, folder: Path, labels: Any) -> None:
        super().save(model, folder, labels)
        with Path(self.options.marker).open("a+") as stream:
            stream.write(".")
            if stream.tell() != 2:
                return
        match self.options.fault:
            case "raises":
                raise ZeroDivisionError("a bug\nin two lines")
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleeps":
                time.sleep(600)
            case "answers otherwise":
                model.classifier.weight.data *= 2
                super().save(model, folder, labels)
            case "odd name":
                (folder / "my notes.txt").touch()
            case "forgets":
                (folder / "model.safetensors").unlink()


class NotesOptions(Options):
    """What goes wrong, and after how many runs."""

    trouble: Literal["none", "refuses", "raises", "hangs", "exits", "prints"] = "none"
    after: int = 0


class Notes(Tracker):
    """Notes of each run in a JSON file. `written.txt` has a line for each call of `write`."""

    name = "notes"
    summary = "A JSON file for each run."
    version = "1"
    Options = NotesOptions

    def check(self, experiment: TrackedExperiment, options: NotesOptions) -> None:
        if options.trouble == "refuses":
            raise BakeoffError("the service is closed")
        experiment.made_folder()

    def written(self, experiment: TrackedExperiment, options: NotesOptions) -> dict[str, str]:
        found = [read_json(read_regular(path)) for path in experiment.folder.glob("*.json")]
        return {run["key"]: run["digest"] for run in found if run["experiment"] == experiment.name}

    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: NotesOptions) -> None:
        folder = experiment.made_folder()
        if len([*folder.glob("*.json")]) >= options.after:
            self.make_trouble(options.trouble)
        with (folder / "written.txt").open("a") as log:
            log.write(f"{run.name}\n")
        noted = {
            "experiment": experiment.name,
            "key": run.key,
            "digest": run.digest,
            "name": run.name,
            "strategy": run.strategy,
            "tags": dict(run.tags),
            "scores": dict(run.scores),
            "steps": {name: len(series.steps) for name, series in run.series.items()},
            "failure": run.failure,
            "text": run.text,
            "files": dict(run.files),
        }
        name = sha256(f"{experiment.name}|{run.key}".encode()).hexdigest()
        Tree(folder).write(folder / f"{name}.json", json.dumps(noted).encode())

    def make_trouble(self, trouble: str) -> None:
        match trouble:
            case "raises":
                raise ZeroDivisionError("a bug\nin two lines")
            case "hangs":
                time.sleep(600)
            case "exits":
                os._exit(3)
            case "prints":
                os.write(1, b"exported to notes: nonsense\n")
                print("no result")


@hookimpl
def bakeoff_trackers() -> list[Tracker]:
    return [Notes()]


@hookimpl
def bakeoff_models() -> list[Model]:
    return [Fragile()]


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Toy(), Temper(), ToyFile()]


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [
        Planted("raises", "Raises."),
        Planted("exits", "Ends the process."),
        Planted("segfaults", "Dies by a signal."),
        Planted("sleeps", "Takes too long."),
        Planted("one-short", "Takes a step too few."),
        Planted("diverges", "Diverges."),
        Planted("out-of-memory", "Runs out of memory."),
        Planted("swallows", "Swallows an exception of the job."),
        Planted("flaky", "Fails the first time."),
        Planted("evaluates-otherwise", "Predicts by other weights than it trained."),
        Planted("leaves-children", "Leaves processes behind, in sessions of their own."),
        Planted("right", "Does nothing wrong."),
    ]
