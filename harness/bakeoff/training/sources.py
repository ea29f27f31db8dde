"""What a run is made from, told while task and model are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.model import Built, Prepared
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.errors import DataError
from bakeoff.machine.file_hashes import FileHashes, WatchedFiles, code_digest, digest_of, shortened
from bakeoff.records.provenance import differences, facts_of_data, facts_of_model, from_plain
from bakeoff.records.schema import Data, MadeFrom
from bakeoff.training.data import weights_sha256
from bakeoff.training.request import Request


def watched_task(task: Configured, places: Paths) -> WatchedFiles:
    """To be made before the task is loaded."""
    return WatchedFiles(partial(task.registered.component.files, task.options, places), FileHashes(places.cache))


def watched_model(model: Configured, cache: Path) -> WatchedFiles:
    """To be made before the tokenizer is loaded."""
    return WatchedFiles(partial(model.registered.component.files, model.options), FileHashes(cache))


def of_code(parts: Mapping[str, Configured]) -> MadeFrom:
    """The sources of the plugins of a run's components."""
    digests = {kind: code_digest(part.registered.package) for kind, part in parts.items()}
    return MadeFrom(code={kind: digest for kind, digest in digests.items() if digest is not None})


def and_task(made_from: MadeFrom, info: TaskInfo, files: WatchedFiles) -> MadeFrom:
    """With the task's names of labels and files, once it is loaded. Raises DataError where a file was changed meanwhile."""
    return made_from.model_copy(update={"labels": digest_of(list(info.labels)), "task_files": files.fingerprints()})


def and_model(made_from: MadeFrom, prepared: Prepared, built: Built, files: WatchedFiles) -> MadeFrom:
    """With the model's tokenizer, pretrained weights and files, once it is built and before a method changes it. Raises
    DataError likewise."""
    key = prepared.tokenizer_key()
    tokenizer = None if key is None else digest_of(key)
    weights = pretrained_digest(built.model.state_dict(), built.newly_initialised)
    return made_from.model_copy(update={"weights": weights, "tokenizer": tokenizer, "model_files": files.fingerprints()})


def pretrained_digest(state: Mapping[str, Any], newly_initialised: tuple[str, ...]) -> str:
    """Of the tensors of a model, just built, that came from its checkpoint."""
    fresh = set(newly_initialised)
    return shortened(weights_sha256((name, tensor) for name, tensor in state.items() if name not in fresh))


def require_same(request: Request, data: Data, made_from: MadeFrom) -> None:
    """Raises DataError where the run would be made from something else than was there when its experiment began."""
    here = {**facts_of_data(data, made_from), **facts_of_model(made_from)}
    if changed := differences(here, from_plain(request.sources)):
        what = ", ".join(found.what for found in changed)
        raise DataError(f"changed since this call of `bakeoff run` began: {what}; put it back, or begin again")
