"""The materials with which models, methods and trainers are tested: made-up texts, a tiny model, and a training job in this
process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from bakeoff.contracts.component import Component
from bakeoff.contracts.configured import Configured
from bakeoff.contracts.metrics import Accuracy
from bakeoff.contracts.model import Built, Encoding, Model, Prepared
from bakeoff.contracts.registry import Origin, Registered
from bakeoff.contracts.task import Paths, Task, TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import PluginError
from bakeoff.files import temporary_folder
from bakeoff.kinds import CLASSIFICATION
from bakeoff.machine import random_streams
from bakeoff.parity.trace import TracedJob, train_under
from bakeoff.records.provenance import origin_of
from bakeoff.records.schema import Requested
from bakeoff.testing.contract import installed
from bakeoff.training.assembly import assemble
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.data import weights_sha256
from bakeoff.training.request import Request

if TYPE_CHECKING:
    from datasets import Dataset

TINY, REFERENCE = ("model", "tiny-bert"), ("trainer", "torch-loop")
"""Kind and name of the model with which methods and trainers are tested, and of the loop to which trainers are compared."""

FIRST = ("a red kite", "rain since noon", "we walk home", "the lamp is lit", "seven grey stones", "bread and tea", "she hums")
SECOND = ("over the wide field", "on the roof", "by the old mill road", "again", "under ice", "for the two of us", "a tune")
LABELS = ("no", "yes", "perhaps")
COLUMNS = {
    "first": [f"{text} {number}" for number, text in enumerate(FIRST * 2)],
    "second": [*SECOND, *reversed(SECOND)],
}
"""14 pairs of texts: in batches of 5, the last batch of an epoch has 4."""
LABEL_NUMBERS = [number * 5 % 7 % 3 for number in range(len(COLUMNS["first"]))]
ENCODING = Encoding(max_length=32, padding="longest")


def sample_info(columns: Sequence[str] = ("first", "second")) -> TaskInfo:
    """The `info` of a classification task of made-up texts with three labels."""
    return TaskInfo(
        kind=CLASSIFICATION,
        text_columns=tuple(columns),
        labels=LABELS,
        n_outputs=len(LABELS),
        metrics=(Accuracy(),),
        primary_metric="accuracy",
        splits=("train", "test"),
        labelled_splits=("train", "test"),
    )


class SampleTask(Task):
    """A task of the 14 pairs, which are both its training and its test split."""

    name, summary, version = "sample", "14 made-up pairs of texts", "1"

    def info(self, options: Any) -> TaskInfo:
        return sample_info()

    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        from datasets import Dataset

        rows = range(len(LABEL_NUMBERS))
        return {
            split: Dataset.from_dict({"id": [f"{split} {row}" for row in rows], **COLUMNS, "label": LABEL_NUMBERS})
            for split in sample_info().splits
        }


def examples_of(prepared: Prepared) -> list[dict[str, Any]]:
    """The 14 pairs, encoded by the model, each with its label as `labels`."""
    return [{**row, "labels": label} for row, label in zip(prepared.encode(COLUMNS), LABEL_NUMBERS, strict=True)]


def seeded(seed: int, action: Callable[..., Any], *arguments: Any) -> Any:
    """Seeds all random generators, then calls the action and returns its result."""
    random_streams.restart_random(random_streams.stream_seed(seed, 0, "init"))
    return action(*arguments)


def random_state() -> bytes:
    """The state of torch's generator on the CPU."""
    import torch

    return bytes(torch.get_rng_state().numpy().tobytes())


def sha256_of(model: Any) -> str:
    """SHA-256 over all weights of the model."""
    return weights_sha256(model.state_dict().items())


def tiny() -> Model:
    """The model `tiny-bert`. Skips the test if it is not installed."""
    return _of(TINY)  # type: ignore[no-any-return]


def reference() -> Trainer:
    """The trainer `torch-loop`, with which trainers are compared. Skips the test if it is not installed."""
    return _of(REFERENCE)  # type: ignore[no-any-return]


def built_tiny(seed: int = 0) -> Built:
    """A tiny model with random weights from the seed. The state of the random generators is left as building it leaves
    them."""
    built: Built = seeded(seed, tiny().build, sample_info(), tiny().Options())
    return built


class BenchJob(TracedJob):
    """A traced job that also counts the texts that the model received although they are not training examples."""

    def __init__(self, *given: Any, **rest: Any) -> None:
        super().__init__(*given, **rest)
        self.foreign_texts = 0
        self.model.register_forward_pre_hook(self._count_foreign_texts, with_kwargs=True)

    def _count_foreign_texts(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids, mask = kwargs.get("input_ids", args[0] if args else None), kwargs.get("attention_mask")
        if ids is None or mask is None or ids.dim() != 2:
            return
        texts = [tuple(row[kept.bool()].tolist()) for row, kept in zip(ids, mask, strict=True)]
        self.foreign_texts += sum(text not in self.row_of for text in texts)


def bench_job(
    recipe: Mapping[str, Any],
    *,
    method: str,
    trainer: Trainer | None = None,
    options: Any = None,
    seed: int = 0,
    dropout: float = 0.0,
    limit: int | None = None,
    checkpoints: Path | None = None,
    note: Callable[[str], None] = lambda line: None,
    lr_scales: tuple[float, ...] = (),
    made_as: type[BenchJob] = BenchJob,
) -> BenchJob:
    """A job that trains a tiny model on the 14 pairs of this module, assembled as `bakeoff run` assembles it.

    trainer: the trainer under test, with its `options`; None for torch-loop. lr_scales: replace the learning-rate factors of
    the method's parameter groups. limit: the most steps. note: called with each line for the user. checkpoints: a folder for
    checkpoints, None for none.
    """
    import torch

    trainer = trainer or reference()
    parts = {
        "task": configured(SampleTask()),
        "model": configured(tiny(), dropout=dropout),
        "method": configured(_of(("method", method))),
        "trainer": replace(configured(trainer), options=options or trainer.Options()),
    }
    labels: Any = dict.fromkeys(("experiment", "strategy", "task_label", "model_label"), "sample")
    origins: Any = {kind: origin_of(part) for kind, part in parts.items()}
    requested = Requested(**labels, **origins, recipe=dict(recipe), seed=seed, replicate=0, select="last-epoch")
    with temporary_folder() as cache:
        threads = torch.get_num_threads()
        request = Request(id="r1-0000000000000000", requested=requested, data=None, cache=cache, device="cpu", threads=threads)
        run = assemble(request, parts)
    if lr_scales:
        groups = (replace(group, lr_scale=scale) for group, scale in zip(run.adaptation.groups, lr_scales, strict=False))
        run = replace(run, adaptation=replace(run.adaptation, groups=tuple(groups)))
    store = Checkpoints(checkpoints, 3, made_by={}, note=note) if checkpoints else None
    return run.job(made_as, limit=limit, checkpoints=store, trainer=f"trainer '{trainer.name}'")


def configured(component: Component, **options: Any) -> Configured:
    """The component with these options, as a run gets it from the registry."""
    return Configured(Registered(component, Origin("sample", "bakeoff", "0")), component.Options.model_validate(options))


def train(job: BenchJob, trainer: Trainer, options: Any) -> Exception | None:
    """Lets the trainer train, with one thread, which is fastest for so small a model. Returns the trainer's error, if any."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train_under(job, trainer, options)
    finally:
        torch.set_num_threads(before)


@functools.cache
def _of(key: tuple[str, str]) -> Any:
    try:
        return installed(*key)
    except PluginError as error:
        raise SkipTest(f"the contract suite needs {' '.join(key)}: {error}") from None
