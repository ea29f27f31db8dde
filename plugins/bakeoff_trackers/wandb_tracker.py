"""The tracker `wandb`: Weights & Biases, by folders that it writes offline."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from bakeoff.plugin import BakeoffError, Options, TrackedExperiment, TrackedRun, Tracker, Tree, shown_path, temporary_folder
from bakeoff_trackers.run_folders import Found, found_in, place_of, root_of, write_mark

SETTINGS: Final[Mapping[str, Any]] = {
    "mode": "offline",
    "console": "off",
    "disable_code": True,
    "save_code": False,
    "disable_git": True,
    "disable_job_creation": True,
    "silent": True,
    "program": "bakeoff",
    "host": "",
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "init_timeout": 300.0,
    "x_service_wait": 300.0,
}
"""What is written is what the record has: nothing of the console, of code, git, packages and machine. The last two are seconds:
beside a training, at the lowest priority, its own process may take long to start."""
UPLOAD_SECONDS: Final = 120
"""How long an upload of one run may take: without a network, W&B tries for much longer."""
LONGEST_TAG: Final = 64
LONGEST_NAME: Final = 128
LONGEST_REASON: Final = 300
"""How many characters of W&B's own message are shown."""
NOISE: Final = re.compile(r"\x1b\[[0-9;]*m|^\s*wandb:\s*|\b(?:ERROR|WARNING)\b\s*")
"""Colours and prefixes in what W&B prints."""


class WandbOptions(Options):
    """Options of `wandb`."""

    folder: str | None = Field(None, description="Folder of the offline runs (default: `tracked/wandb` in DIR).")
    project: str = Field("bakeoff", min_length=1, max_length=LONGEST_NAME, description="Project of W&B.")
    entity: str | None = Field(None, description="User or team of W&B.")
    upload: bool = Field(
        False, description="`yes` to upload each run by `wandb sync`, which needs a network and WANDB_API_KEY (default: no)."
    )


class WeightsAndBiases(Tracker):
    """Writes an offline run of W&B for each run, grouped by experiment, with the strategy as its job type. `wandb sync` uploads
    them, from this machine or another one."""

    name = "wandb"
    summary = "Weights & Biases: offline runs, which `wandb sync` uploads."
    version = "1"
    Options = WandbOptions
    needs: ClassVar[Mapping[str, str]] = {"wandb": "wandb"}

    def check(self, experiment: TrackedExperiment, options: WandbOptions) -> None:
        root_of(options.folder, experiment, self.name)

    def written(self, experiment: TrackedExperiment, options: WandbOptions) -> Mapping[str, str]:
        found = self.folders(experiment, options).items()
        return {key: own[-1].digest for key, own in found if not options.upload or is_uploaded(own[-1].folder)}

    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: WandbOptions) -> None:
        tree = Tree(root_of(options.folder, experiment, self.name))
        there = self.folders(experiment, options).get(run.key, [])
        if not options.upload or not there or there[-1].digest != run.digest:
            there = [Found(self.write_offline(tree, run, experiment, options, there), run.digest)]
        if options.upload and not is_uploaded(there[-1].folder):
            upload(there[-1].folder)

    def shown(self, experiment: TrackedExperiment, options: WandbOptions) -> str:
        root = place_of(options.folder, experiment, self.name)
        return f"project {options.project} of W&B" if options.upload else f"{root} (`wandb sync {root}` uploads it)"

    def folders(self, experiment: TrackedExperiment, options: WandbOptions) -> dict[str, list[Found]]:
        """Key -> the run's folders, in the order of their names; there are several only where an export was killed while it
        put a run in place of an earlier one."""
        found = defaultdict[str, list[Found]](list)
        for key, one in found_in(place_of(options.folder, experiment, self.name), "offline-run-*", experiment):
            found[key].append(one)
        return found

    def write_offline(
        self, tree: Tree, run: TrackedRun, experiment: TrackedExperiment, options: WandbOptions, earlier: list[Found]
    ) -> Path:
        """Writes a run into a folder of W&B's, which is put to the others when it is whole, in place of earlier ones. Returns
        the folder."""
        work = tree.root / f".tmp-{run.key}"
        tree.remove_folder(work)  # of an export that was killed
        tree.make_fresh(work)
        try:
            made = log_offline(work, run, experiment, options)
            for log in (made / "logs").glob("*.log"):  # of its library; they name paths of this machine
                tree.remove(log)
            write_mark(tree, made, run, experiment)
            for number, one in enumerate(earlier):
                tree.move(one.folder, work / f"earlier-{number}")
            place = tree.root / made.name
            tree.move(made, place)
        finally:
            tree.remove_folder(work)
        return place


def log_offline(work: Path, run: TrackedRun, experiment: TrackedExperiment, options: WandbOptions) -> Path:
    """Writes a run by W&B's own library, below the folder `work`. Returns the folder that it made."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.pop("WANDB_SERVICE", None)  # shared with others, it would take a run that was cut short for one in use
    import wandb

    tags = [f"{name}: {run.tags[name]}"[:LONGEST_TAG] for name in ("task", "model", "seed", "kind") if run.tags.get(name)]
    logged = wandb.init(
        entity=options.entity,
        project=options.project,
        id=wandb_id(run, experiment),
        name=run.name[:LONGEST_NAME],
        group=experiment.name[:LONGEST_NAME],
        job_type=run.strategy[:LONGEST_TAG],
        tags=list(dict.fromkeys(tags)),
        notes="\n\n".join(filter(None, (run.failure, run.text))),
        config={**run.settings, "tags": dict(run.tags)},
        dir=str(work),
        settings=wandb.Settings(**SETTINGS),
    )
    for row in rows_of(run):
        logged.log(row)
    for name, content in run.files.items():
        logged.log({name: wandb.Html(content, inject=False, data_is_not_path=True)})
    for name, score in run.scores.items():
        logged.summary[name] = score
    logged.finish(exit_code=1 if run.failure else 0)
    (made,) = work.glob("*/offline-run-*")
    return made


def rows_of(run: TrackedRun) -> Iterator[dict[str, float]]:
    """What was measured at each step, a row a step, with the step and the time; then the evaluations, likewise."""
    for rows in (
        {name: series for name, series in run.series.items() if not name.startswith("evaluation/")},
        {name: series for name, series in run.series.items() if name.startswith("evaluation/")},
    ):
        axis = "evaluation" if any(name.startswith("evaluation/") for name in rows) else "step"
        at = defaultdict[int, dict[str, float]](dict)
        for name, series in rows.items():
            for step, value, time in zip(series.steps, series.values, series.times, strict=True):
                at[step] |= {name: value, axis: step, "_timestamp": time}
        yield from (at[step] for step in sorted(at))


def wandb_id(run: TrackedRun, experiment: TrackedExperiment) -> str:
    """The id of a run within its project: another one in another experiment, and when the run was repeated, since W&B never
    gives an id of a deleted run again."""
    return f"{run.key}-{sha256(f'{experiment.name}|{run.digest}'.encode()).hexdigest()[:8]}"


def is_uploaded(folder: Path) -> bool:
    """Whether `wandb sync` has uploaded the run, which it notes beside it."""
    return any(folder.glob("*.wandb.synced"))


def upload(folder: Path) -> None:
    """Uploads a run by `wandb sync`. Raises BakeoffError with what it prints if it can't."""
    words = [sys.executable, "-P", "-m", "wandb", "sync", str(folder)]
    with temporary_folder() as work:  # where it writes logs of its own
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=UPLOAD_SECONDS,
                check=False,
                cwd=work,
                env=quiet(work),
            )
        except subprocess.TimeoutExpired:
            raise BakeoffError(f"`wandb sync` did not end within {UPLOAD_SECONDS} s; {kept(folder)}") from None
    if not is_uploaded(folder):
        lines = [line for line in map(plain, (done.stderr + done.stdout).splitlines()) if line]
        why = lines[-1][:LONGEST_REASON].rstrip(".") if lines else f"exit code {done.returncode}"
        raise BakeoffError(f"`wandb sync` failed: {why}; {kept(folder)}")


def kept(folder: Path) -> str:
    return f"the run is kept in {shown_path(folder.parent)} (check the network and WANDB_API_KEY)"


def quiet(work: Path) -> dict[str, str]:
    """The environment of `wandb sync`: it reports no errors of its own elsewhere, gives up soon, and writes its logs to
    `work`."""
    defaults = {"WANDB_ERROR_REPORTING": "false", "WANDB__GRAPHQL_RETRY_MAX": "2", "WANDB__FILE_STREAM_RETRY_MAX": "2"}
    return {**defaults, **os.environ, "WANDB_DIR": str(work)}


def plain(line: str) -> str:
    """A line of W&B without colours and prefixes."""
    return NOISE.sub("", line).strip()
