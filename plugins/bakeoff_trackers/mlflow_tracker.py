"""The tracker `mlflow`: an experiment of MLflow with a run for each run, in SQLite or on a server."""

from __future__ import annotations

import logging
import os
import posixpath
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import Field

from bakeoff.plugin import BakeoffError, Options, TrackedExperiment, TrackedRun, Tracker, Tree, first_line, shown_path

T = TypeVar("T")
DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
"""Names in the experiment's own folder: of the file of SQLite, and of the folder of pages."""
KEY, DIGEST = "bakeoff.key", "bakeoff.digest"
"""Tags by which a run is found again."""
SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's own settings where the user has none: it reports to nobody, and a server that does not answer is told of within
a minute. By itself MLflow would try for many minutes."""
CONNECT_SECONDS: Final = 5.0
"""How long to wait for the port of a server to answer."""
PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE: Final = "sqlite:///"
MOST_METRICS, MOST_PARAMETERS = 1000, 100
"""How many MLflow takes in one call."""
LONGEST_KEY, LONGEST_PARAMETER, LONGEST_TAG = 250, 6000, 5000
"""The most characters of a name, a parameter's value and a tag's value that MLflow takes."""
AT_ONCE: Final = 1000
"""How many runs are asked for in one call."""
ENDED: Final = ("FINISHED", "FAILED")
SECRET: Final = re.compile(r"(?<=//)[^/@\s]*@")
"""User and password in an address."""


class MLflowOptions(Options):
    """Options of `mlflow`."""

    uri: str | None = Field(
        None,
        description="Tracking URI: http://HOST:PORT, sqlite:///FILE, ... (default: $MLFLOW_TRACKING_URI, else an SQLite file "
        "in `tracked` in DIR).",
    )


class MLflow(Tracker):
    """Writes metrics, parameters, tags and, with the summary, the page as an artifact. Runs that were cut short are deleted and
    written again."""

    name = "mlflow"
    summary = "MLflow: SQLite, a tracking server, or another of its stores."
    version = "1"
    Options = MLflowOptions
    needs: ClassVar[Mapping[str, str]] = {"mlflow": "mlflow", "sqlalchemy": "mlflow", "alembic": "mlflow"}

    def check(self, experiment: TrackedExperiment, options: MLflowOptions) -> None:
        uri = uri_of(experiment, options)
        if uri.startswith(SQLITE):
            require_place(Path(uri.removeprefix(SQLITE)), experiment)
        elif (host := urlsplit(uri).hostname) is not None:
            require_answer(host, uri)
        with calling(uri) as client:
            experiment_id(client, experiment)

    def written(self, experiment: TrackedExperiment, options: MLflowOptions) -> Mapping[str, str]:
        with calling(uri_of(experiment, options)) as client:
            runs = list(runs_in(client, experiment, f"tags.`{KEY}` LIKE '%'"))
        return {run.data.tags[KEY]: run.data.tags.get(DIGEST, "") for run in runs if run.info.status in ENDED}

    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: MLflowOptions) -> None:
        with calling(uri_of(experiment, options)) as client:
            for earlier in list(runs_in(client, experiment, f"tags.`{KEY}` = '{run.key}'")):
                client.delete_run(earlier.info.run_id)
            place = experiment_id(client, experiment)
            made = client.create_run(place, start_time=milliseconds(run.begun), tags=tags_of(run), run_name=run.name)
            number = made.info.run_id
            for metrics in in_parts(metrics_of(run), MOST_METRICS):
                client.log_batch(number, metrics=metrics)
            for parameters in in_parts(parameters_of(run), MOST_PARAMETERS):
                client.log_batch(number, params=parameters)
            for name, content in run.files.items():
                client.log_text(number, content, name)
            status = "FAILED" if run.failure else "FINISHED"
            client.set_terminated(number, status, milliseconds(run.ended))  # only now it counts as written

    def shown(self, experiment: TrackedExperiment, options: MLflowOptions) -> str:
        return without_secrets(uri_of(experiment, options))


# --- the place ---


def uri_of(experiment: TrackedExperiment, options: MLflowOptions) -> str:
    """The tracking URI."""
    given = options.uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"{SQLITE}{experiment.folder / DATABASE}"


def without_secrets(text: str) -> str:
    """The text without users and passwords of addresses."""
    return SECRET.sub("", text)


def require_place(file: Path, experiment: TrackedExperiment) -> None:
    """Makes the experiment's own folder, if the file of SQLite lies there. Raises BakeoffError if the file can't be written,
    for MLflow would try for two minutes, and if links would lead out of the experiment's folder."""
    try:
        if file.parent == experiment.folder:
            own = experiment.made_folder()
            for name in (file.name, ARTIFACTS):
                Tree(own).require_no_link(own / name)
    except OSError as error:
        raise BakeoffError(f"{shown_path(file)} cannot be written: {error.strerror}") from None
    folder = next(one for one in file.absolute().parents if one.exists())  # MLflow makes the missing ones
    if not folder.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        why = "it is a file" if not folder.is_dir() else "no permission"
        raise BakeoffError(f"{shown_path(file)} cannot be written: {why} ({shown_path(folder)})")


def require_answer(host: str, uri: str) -> None:
    """Raises BakeoffError if the port of a server does not answer. Where a proxy is set, only MLflow itself can tell."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")):
        return
    try:
        port = urlsplit(uri).port or PORTS.get(scheme)
        if port is not None:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise BakeoffError(f"{without_secrets(uri)} does not answer ({why}): check --uri, or MLFLOW_TRACKING_URI") from None


@contextmanager
def calling(uri: str) -> Iterator[Any]:
    """A context with a client of MLflow, whose errors become one line."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they tell of every table that they make
    try:
        yield MlflowClient(uri)
    except BakeoffError:
        raise
    except Exception as error:  # of its stores, too: sqlalchemy, requests, clouds
        kind = "" if isinstance(error, MlflowException) else f"{type(error).__name__}: "
        raise BakeoffError(f"{without_secrets(uri)}: {kind}{without_secrets(first_line(error))}") from error


def experiment_id(client: Any, experiment: TrackedExperiment) -> str:
    """The id of MLflow's experiment of this name, which is made if it is missing. Raises BakeoffError if a file of SQLite in
    the experiment's folder, which may be a stranger's or a copy, has files put elsewhere."""
    own = client.tracking_uri.startswith(f"{SQLITE}{experiment.folder}/")
    where = (experiment.folder / ARTIFACTS).as_uri() if own else None
    if (found := client.get_experiment_by_name(experiment.name)) is None:
        return str(client.create_experiment(experiment.name, artifact_location=where))
    if own and found.artifact_location != where:
        database = shown_path(experiment.folder / DATABASE)
        raise BakeoffError(
            f"{database} was made in another folder ({shown_path(found.artifact_location)}): remove it, and export"
        )
    return str(found.experiment_id)


def runs_in(client: Any, experiment: TrackedExperiment, condition: str) -> Iterator[Any]:
    """The runs of MLflow's experiment that fulfil a condition and are not deleted."""
    found = client.get_experiment_by_name(experiment.name)
    token = "" if found is not None else None
    while token is not None:
        page = client.search_runs([found.experiment_id], condition, max_results=AT_ONCE, page_token=token or None)
        yield from page
        token = page.token or None


# --- the run ---


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def tags_of(run: TrackedRun) -> dict[str, str]:
    """The tags of a run, its key and digest among them, and what MLflow shows as its description."""
    about = "\n\n".join(filter(None, (run.failure, run.text)))
    own = {KEY: run.key, DIGEST: run.digest, "mlflow.source.name": "bakeoff", "mlflow.note.content": about}
    tags = {**{mlflow_name(name, "tag"): value for name, value in run.tags.items()}, **own}
    return {name: value[:LONGEST_TAG] for name, value in tags.items() if value}


def parameters_of(run: TrackedRun) -> list[Any]:
    from mlflow.entities import Param

    names = distinct(run.settings)
    return [Param(names[name], str(value)[:LONGEST_PARAMETER]) for name, value in run.settings.items()]


def metrics_of(run: TrackedRun) -> Iterator[Any]:
    """Every value of every series, then the scores, at the last step."""
    from mlflow.entities import Metric

    names, last = distinct([*run.series, *run.scores]), 0
    for name, series in run.series.items():
        for step, value, time in zip(series.steps, series.values, series.times, strict=True):
            yield Metric(names[name], value, milliseconds(time), step)
            last = max(last, step)
    for name, score in run.scores.items():
        yield Metric(names[name], score, milliseconds(run.ended), last)


def distinct(names: Iterable[str]) -> dict[str, str]:
    """Name -> a name that MLflow takes; no two become one."""
    found: dict[str, str] = {}
    taken = set[str]()
    for name in names:
        plain, number = mlflow_name(name, "value"), 2
        while plain in taken:
            plain, number = f"{mlflow_name(name, 'value')} {number}", number + 1
        taken.add(plain)
        found[name] = plain
    return found


def mlflow_name(name: str, otherwise: str) -> str:
    """A name with the characters that MLflow takes: `f1 spam` for `f1 (spam)`. otherwise: what it becomes if none is left."""
    plain = " ".join(re.sub(r"[^\w./: -]+", " ", name, flags=re.ASCII).split())[: LONGEST_KEY - 10]
    parts = [part.strip() for part in plain.split("/")]
    path = posixpath.normpath("/".join(part for part in parts if part.strip(".")))
    return path if path != "." else otherwise


def in_parts(values: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """The values, at most `size` at a time."""
    part: list[T] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
