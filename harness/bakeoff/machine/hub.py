"""Access to the Hugging Face hub without importing its libraries.

Without a network the libraries retry for 23 to 47 s per name, and they read HF_HUB_OFFLINE only when they are imported; so
whether the hub is available is found out here, within 2 s.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Thread

from bakeoff.errors import DataError
from bakeoff.files import read_regular
from bakeoff.text.words import quoted

PROBE_SECONDS = 2.0
LONGEST_COMMIT = 200
"""The largest size of the cache's file that holds the commit of a branch, in bytes; a commit has 40."""


def hub_endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@lru_cache(maxsize=1)
def hub_is_reachable() -> bool:
    """Whether the hub answers within 2 s, through proxies if they are set. If not, sets HF_HUB_OFFLINE and
    HF_DATASETS_OFFLINE, so that libraries use their caches. Sets HF_HUB_DISABLE_TELEMETRY unless the user has set it, so that
    they tell the hub no more of this machine than their versions."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    answered: list[bool] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(hub_endpoint(), method="HEAD")  # noqa: S310 - the user's own endpoint
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()  # noqa: S310
            answered.append(True)
        except urllib.error.HTTPError:
            answered.append(True)  # an answer is an answer
        except (OSError, ValueError, http.client.HTTPException):
            pass  # a port that answers, but not in HTTP, is no hub either

    thread = Thread(target=ask, daemon=True)  # a black-holed name look-up knows no timeout of its own
    thread.start()
    thread.join(PROBE_SECONDS)
    if not answered:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["HF_DATASETS_OFFLINE"] = "1"
    return bool(answered)


def hub_cache() -> Path:
    """The folder of huggingface_hub's cache, found by that library's rules without importing it."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or Path(home) / "hub"
    return Path(os.path.expandvars(chosen)).expanduser()


def hub_snapshot(repo_id: str, *, repo_type: str, revision: str | None, files: Sequence[str] = ()) -> Path | None:
    """The folder in the hub's cache that holds a revision: a commit, or a branch or tag that was downloaded; by default
    `main`. With no revision and no `main` in the cache, any snapshot.

    files: names of files that it must hold, because a snapshot may have only a part of its repository. None if no snapshot has
    them.
    """
    snapshots = hub_cache() / f"{repo_type}s--{repo_id.replace('/', '--')}" / "snapshots"
    try:
        if not snapshots.is_dir():
            return None
        commit = _commit_of(snapshots.parent / "refs" / (revision or "main")) or revision
        kept = sorted(snapshots.iterdir()) if commit is None else [snapshots / commit]
        whole = [snapshot for snapshot in kept if snapshot.is_dir() and all((snapshot / name).is_file() for name in files)]
    except OSError:  # a name that no file system takes, or a folder that nobody here may read
        return None
    return next(iter(whole), None)


def _commit_of(branch: Path) -> str | None:
    """The commit that the cache has for a branch or tag; None if there is none."""
    try:
        commit = read_regular(branch, at_most=LONGEST_COMMIT).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if commit.isalnum() else None


def hub_file(repo_id: str, name: str, *, repo_type: str, revision: str) -> Path:
    """The path of a file of a repository at a commit or branch; downloads it if it is not cached. Raises DataError."""
    from huggingface_hub import hf_hub_download

    with _as_data_error(f"{name} of {repo_id}"):
        return Path(hf_hub_download(repo_id, name, repo_type=repo_type, revision=revision))


def hub_listing(repo_id: str, *, revision: str | None) -> tuple[str, list[str]]:
    """The commit to which a model's revision (default: main) points, and the names of its files. Raises DataError."""
    from huggingface_hub import HfApi

    with _as_data_error(f"the list of files of {repo_id}"):
        found = HfApi().model_info(repo_id, revision=revision)
        return str(found.sha), sorted(one.rfilename for one in found.siblings or ())


@contextmanager
def _as_data_error(what: str) -> Iterator[None]:
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # theirs, from httpx

    try:
        yield
    except (
        OSError,
        HTTPError,
        ValueError,
        RuntimeError,
    ) as error:  # ValueError: a name that is none; RuntimeError: Xet storage
        cause = error.__cause__ or error  # the library's own sentence says only that something happened
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise DataError(f"{what} could not be fetched from the hub: {quoted(reason)}") from None
