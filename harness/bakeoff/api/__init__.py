"""Bakeoff from Python, for scripts and notebooks: what `import bakeoff` gives.

`check`, `plan` and `run` do what the commands of these names do, by the same functions; `load` and `compare` give the records
of any folder as pandas DataFrames. The docstring of each table lists its columns with dtype and unit; the columns always come
in that order, also in a table without rows. A number that does not apply is missing (NaN or <NA>); a text that does not apply
is empty. Scores are in the metric's own unit (accuracy: 0 to 1).

Each function imports what it needs when it is called, so that the command line starts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bakeoff.api.comparisons import Comparisons
    from bakeoff.api.experiments import Finished
    from bakeoff.api.outlooks import Checked, Planned
    from bakeoff.api.results import Results
    from bakeoff.spec.experiment_file import Spec


def run(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    data: Any = None,
    into: str | Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    jobs: int = 1,
    threads: int | None = None,
    changed: Literal["stop", "rerun", "mix"] = "stop",
    retry: Literal["failed", "unkept"] | None = None,
    control: bool = True,
    only: str | Sequence[str] = (),
    trust: bool = False,
    progress: bool = True,
) -> Finished:
    """Trains every run of an experiment that is not recorded yet, and compares all that is recorded.

    The same call again continues where an earlier one stopped, however it stopped; once all is recorded it only compares. Each
    run is a process of its own, which does not import the calling script: the script needs no `if __name__ == "__main__"`.

        bakeoff.run("experiment.yaml")
        bakeoff.run(
            {
                "name": "tickets",
                "tasks": [{"name": "table", "text": "body", "label": "team"}],
                "models": ["minilm"],
                "strategies": {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}},
            },
            data={"train": train_frame, "test": test_frame},
            into="results/tickets",
        )

    Args:
        spec: The path of an experiment file, its text, a dict with its keys, or a `Spec`.
        data: The rows of the task that names no files: a dict with a table each for `train`, `dev` and `test` (a split that
            is not given does not exist), or a `datasets.DatasetDict`, whose `validation` is `dev`. A table is a pandas
            DataFrame, a `datasets.Dataset`, a pyarrow Table, or a list of dicts; a table without a dict is `train`. For several
            tasks, a dict from the title of each to its splits. The rows are stored in `into`, in files named by a hash of their
            content, so that the command line can go on from there. Rows that differ in any value are another task with runs of
            its own. In place of rows: the path of the folder of datasets (default: $BAKEOFF_DATA), or a dict from the names of
            several such folders to their paths.
        into: The folder of records and tables. Default: that of the experiment file; without a file, or with rows, a folder
            with the experiment's name in the working directory.
        device: Device to train on; `auto` prefers a GPU.
        jobs: Runs at the same time.
        threads: CPU threads of each run. Default: all usable cores, shared by the runs that train at the same time.
        changed: What to do if data, model, software or hardware changed since runs were recorded: `stop` with an error, `rerun`
            these runs, or `mix`: keep them beside the new ones.
        retry: Also repeat recorded runs that `failed`, or (`unkept`) whose model was not kept though the experiment says
            `keep: final`.
        control: Time a fixed piece of work before and after the runs (2 s), so that tables can tell whether the machine's speed
            changed meanwhile.
        only: Make only these of the runs: `full:0` (strategy and seed), `full`, `:0`, a run's id, or a list of such names.
        trust: Run the commands that the experiment names, now and later, until the experiment or the code of the commands is
            edited. Read both first.
        progress: Show how runs go on: in a notebook below the cell, elsewhere on standard error. If False, only cautions are
            shown.

    Returns:
        What was done, and the results of all that is recorded: `leaderboard`, `pairs` and `warnings` as DataFrames, and `runs`
        with one row for every run. A notebook displays it as tables.

    Raises:
        bakeoff.errors.BakeoffError: With the message that the command line prints; its subclass SpecError for the experiment,
            DataError for the rows, StoreError for the folder.
    """
    from bakeoff.api import experiments

    return experiments.run(
        spec,
        data=data,
        into=into,
        only=only,
        trust=trust,
        progress=progress,
        device=device,
        jobs=jobs,
        threads=threads,
        changed=changed,
        retry=retry,
        control=control,
    )


def check(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    data: Any = None,
    into: str | Path | None = None,
    build: bool = False,
    trust: bool = False,
) -> Checked:
    """Finds all errors in an experiment, and data and models that this machine lacks, without training.

    Args:
        spec: As for `run`.
        data: As for `run`.
        into: As for `run`; what is recorded there is compared with the present data and models. Nothing is written.
        build: Also load every task and build every model once, as `run` does first, and let every trainer take two steps.
        trust: As for `run`; `build` runs the experiment's commands too.

    Returns:
        The summary that no error was found, notes on what to mind, and an outlook on what the comparisons can conclude.

    Raises:
        bakeoff.errors.SpecError: With all errors in its `problems`, each with its key.
        bakeoff.errors.BakeoffError: For rows or folders that can't be used.
    """
    from bakeoff.api import outlooks

    return outlooks.check(spec, data=data, into=into, build=build, trust=trust)


def plan(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    data: Any = None,
    into: str | Path | None = None,
    only: str | Sequence[str] = (),
) -> Planned:
    """Lists every run of an experiment: its name and id, its state, its expected time.

    Times are estimated from recorded runs that differ only in the seed, in the folder `into` or in folders beside it.

    Args:
        spec: As for `run`.
        data: As for `run`.
        into: As for `run`. Nothing is written.
        only: As for `run`.

    Returns:
        The runs as a DataFrame, `runs`, and what is left to do; the method `resolve` says how many seeds are needed to detect a
        difference.

    Raises:
        bakeoff.errors.BakeoffError: As for `run`.
    """
    from bakeoff.api import outlooks

    return outlooks.plan(spec, data=data, into=into, only=only)


def load(*folders: str | Path, pool: bool = False) -> Results:
    """Reads the records of one experiment's folder, or of several as one experiment. pool: strategies of one name that were
    trained alike in several experiments become one, without p-values and verdicts. Raises StoreError if a folder has no
    experiment."""
    from bakeoff.api.results import read

    return read(*folders, pool=pool)


def compare(results: Results) -> Comparisons:
    """Compares the strategies of what `load` returned: verdicts, intervals, warnings. Raises StoreError where they cannot be
    compared."""
    from bakeoff.api.comparisons import of_results

    return of_results(results)
