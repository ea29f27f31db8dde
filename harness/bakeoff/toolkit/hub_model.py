"""A model of the Hugging Face hub as a local folder: its files are fetched by name, all at one commit.

Transformers is never given a hub id, because it would first look for a folder of that name in the working directory and load
that instead, whatever the revision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from bakeoff.errors import BakeoffError, ModelError
from bakeoff.machine.hub import hub_file, hub_is_reachable, hub_listing, hub_snapshot
from bakeoff.text.words import quoted
from bakeoff.toolkit.model_folder import (
    ADAPTER,
    INDEX,
    PICKLES,
    SETTINGS,
    TOKENIZER_FILES,
    WEIGHTS,
    check_files,
    parts_of_weights,
)

COMMIT = re.compile(r"[0-9a-f]{40}")


def model_folder(path: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a model: `path` itself, or the hub's cached snapshot of it, which is downloaded if necessary.

    A text is a hub id unless it is absolute, begins with `.` or `~`, or has more than one `/`. Raises ModelError where the
    folder or the model is not available.
    """
    folder = path if isinstance(path, Path) else local_folder(path)
    return folder if folder is not None else _fetched(str(path), revision)


def local_folder(path: str) -> Path | None:
    """The path as a folder; None if it can be a hub id (`name` or `owner/name`). Raises ModelError for `~` without a home
    folder."""
    if not (path.startswith(("/", ".", "~")) or path.count("/") > 1):
        return None
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ModelError(f"{quoted(path)} begins with `~`, and this user has no home folder; write the path in full") from None


def cached_model(repo_id: str, revision: str | None) -> Path | None:
    """The cached snapshot that has configuration and weights; None if there is none."""
    found = (
        hub_snapshot(repo_id, repo_type="model", revision=revision, files=("config.json", weights))
        for weights in (WEIGHTS, INDEX)
    )
    return next((folder for folder in found if folder is not None), None)


def _fetched(repo_id: str, revision: str | None) -> Path:
    cached = cached_model(repo_id, revision)
    if cached is not None and not hub_is_reachable():
        return cached
    try:
        commit, names = hub_listing(repo_id, revision=revision)
        wanted = names_to_fetch(repo_id, names)
        # The branch itself first: the cache then knows which commit it stood for.
        folder = hub_file(repo_id, wanted[0], repo_type="model", revision=revision or "main").parent
        for name in wanted:
            hub_file(repo_id, name, repo_type="model", revision=folder.name if COMMIT.fullmatch(folder.name) else commit)
        if WEIGHTS not in wanted:
            check_files(folder)
            for name in parts_of_weights(folder, there=names):
                hub_file(repo_id, name, repo_type="model", revision=folder.name)
        return folder
    except ModelError:
        raise
    except BakeoffError as error:
        if cached is not None:  # a hub that answers others, or in parts: as where it is away
            return cached
        raise ModelError(str(error)) from None


def names_to_fetch(repo_id: str, names: Sequence[str]) -> list[str]:
    """Which of a repository's files (`names`) to download: configuration first, then weights or the index of their parts,
    tokenizer and settings. Raises ModelError if configuration or weights are missing."""
    weights = next((name for name in (WEIGHTS, INDEX) if name in names), None)
    if weights is None and ADAPTER in names:
        raise ModelError(
            f"the repository {quoted(repo_id)} of the hub has an adapter of peft but no model: merge it into its model "
            "(PeftModel.from_pretrained(model, ID).merge_and_unload().save_pretrained(FOLDER)), and give that folder"
        )
    if weights is None:
        pickles = [name for name in PICKLES if name in names]
        instead = f" ({pickles[0]} is not read: only safetensors are)" if pickles else ""
        raise ModelError(f"the repository {quoted(repo_id)} of the hub lacks {WEIGHTS}{instead}")
    if "config.json" not in names:
        raise ModelError(f"the repository {quoted(repo_id)} of the hub lacks config.json")
    patterns = (*SETTINGS, *TOKENIZER_FILES)
    others = [name for name in names if "/" not in name and any(fnmatch(name, pattern) for pattern in patterns)]
    return list(dict.fromkeys(["config.json", weights, *sorted(set(others) - {INDEX})]))
