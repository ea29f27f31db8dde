"""What `--json` of `check`, `plan`, `run`, `submit`, `status`, `best` and `disk` prints, as frozen models from which `bakeoff
schema` writes JSON Schemas.

Each output has a `format` number. It goes up when a field vanishes or comes to mean something else, never when one is added:
`tests/house/test_formats.py` holds the fields of each format. Those of `table`, `report` and `gate` are in `report/formats.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field

from bakeoff.contracts.fields import Part
from bakeoff.errors import Problem
from bakeoff.planning.estimate import Left, Outlook, State
from bakeoff.planning.runs import Plan
from bakeoff.runner.submitting import State as Standings

NOT_KEPT = "not kept"
"""The `reason` of a run that kept no model; that of a run that failed is its record's."""


class FoundProblem(Part):
    """One error in an experiment file, or something that is not available."""

    file: str
    line: int
    """Line in the file, from 1, as `column` is; both are 0 for a problem that has no place in the file."""
    column: int
    key: str
    """Path of the key, such as `strategies.lora.recipe`; empty for a problem of the whole file."""
    message: str


class CheckOutput(Part):
    """What `bakeoff check --json` prints."""

    format: Literal[1] = 1
    ok: bool
    """Whether nothing was found that keeps runs from starting: exit code 0, else 2."""
    file: str
    experiment: str | None = None
    """The experiment's name; None where the file has errors."""
    problems: list[FoundProblem] = Field(default_factory=list)
    fewest_runs: int | None = None
    """The least number of runs to report, without trials of searches: with looks those of the first look, else as many as
    `most_runs`."""
    most_runs: int | None = None
    notes: list[str] = Field(default_factory=list)
    """Sentences on what changed since runs were recorded, on files that could not be looked for, and notes of trainers."""
    outlook: list[str] = Field(default_factory=list)
    """Sentences on what each comparison will be about, and how likely verdicts are."""


class PlannedRunOutput(Part):
    id: str
    task: str
    model: str
    strategy: str
    seed: int
    name: str
    """The run's name, as in messages and `--only`: `full:0`."""
    trial: dict[str, Any] | None
    """The values that a trial of a search tries; None for a run that is reported."""
    state: State
    seconds: float | None
    """Seconds that the run took, or is expected to take; None where no similar run is recorded."""
    note: str
    """Why the run failed, or what is wrong with its record; else empty."""
    processes: int
    """How many processes share the run; each takes a device of its own where the runs train on one."""
    peak_memory_bytes: int | None
    """The largest peak of main memory of similar recorded runs; None where there is none, and for a run that is recorded."""
    peak_device_memory_bytes: int | None
    """The same of the device's memory."""


class LeftOutput(Part):
    runs: int
    seconds: float
    unknown: int
    """Number of runs without a similar recorded run; their time is not in `seconds`."""


class ComparisonOutput(Part):
    """A pair of strategies, before any run."""

    first: str
    second: str
    about: list[str]
    """What is under test and differs between the two."""
    confounded_by: list[str]
    """What differs and is not under test: the comparison will end confounded."""
    may_be_confounded_by: list[str]
    """What is not under test and will differ if a search chooses different values for the two."""
    not_ranked: str
    """Why the two are not ranked together; empty where they are."""


class TrainerNoteOutput(Part):
    strategies: list[str]
    note: str


class PlanOutput(Part):
    """What `bakeoff plan --json` prints."""

    format: Literal[1] = 1
    experiment: str
    runs: list[PlannedRunOutput]
    left: LeftOutput
    waiting: int
    """Number of runs to report whose configuration a search has not chosen yet."""
    looks: list[int]
    """Number of seeds at each look; empty without looks."""
    comparisons: list[ComparisonOutput]
    problems: list[FoundProblem]
    """Data and models that this machine lacks."""
    notes: list[str]
    trainer_notes: list[TrainerNoteOutput]


class RunProblemOutput(Part):
    """A run that failed, or left no model that it should have kept."""

    id: str
    task: str
    model: str
    strategy: str
    seed: int
    reason: str
    """`diverged`, `out of memory`, `timed out`, `crashed`, `error`; or `not kept`."""
    message: str


class RunOutput(Part):
    """What `bakeoff run --json` prints. What was measured is in `bakeoff table --json`."""

    format: Literal[1] = 1
    ok: bool
    """Whether every run succeeded, and left the model that it should keep: exit code 0, else 1."""
    experiment: str
    folder: str
    needed: int
    """Number of runs that the experiment needs, trials of searches included: with looks perhaps not all of the plan."""
    at_most: int
    """Number of runs in the whole plan."""
    done_now: int
    already_recorded: int
    undecided: int
    """Number of runs that were not made, since no configuration of their search succeeded."""
    train_seconds: float
    """Seconds of training, summed over the runs that were done now."""
    failed: list[RunProblemOutput]
    not_kept: list[RunProblemOutput]
    recommendation: str
    """Which strategy to take, in words."""
    take: list[str | None]
    """The recommended strategy of each comparison group, in the order of `bakeoff table --json`; None where none is
    recommended."""
    written: list[str]
    """Paths of the files that were written beside the records."""


def found_problems(problems: Iterable[Problem]) -> list[FoundProblem]:
    return [FoundProblem(**{name: getattr(problem, name) for name in FoundProblem.model_fields}) for problem in problems]


def plan_output(
    plan: Plan,
    outlooks: Sequence[Outlook],
    left: Left,
    *,
    comparisons: Iterable[dict[str, Any]],
    problems: Iterable[Problem],
    notes: Sequence[str],
) -> PlanOutput:
    runs = [
        PlannedRunOutput(
            id=outlook.run.id,
            task=outlook.run.task.label,
            model=outlook.run.model_label,
            strategy=outlook.run.strategy.name,
            seed=outlook.run.seed,
            name=outlook.run.title,
            trial=dict(outlook.run.tried) or None,
            state=outlook.state,
            seconds=outlook.seconds,
            note=outlook.note,
            processes=outlook.run.requested.processes,
            peak_memory_bytes=outlook.memory,
            peak_device_memory_bytes=outlook.device_memory,
        )
        for outlook in outlooks
    ]
    return PlanOutput(
        experiment=plan.spec.name,
        runs=runs,
        left=LeftOutput(runs=left.runs, seconds=left.seconds, unknown=left.unknown),
        waiting=plan.waiting,
        looks=list(plan.spec.seeds.looks),
        comparisons=[ComparisonOutput(**pair) for pair in comparisons],
        problems=found_problems(problems),
        notes=list(notes),
        trainer_notes=[TrainerNoteOutput(strategies=names, note=note) for note, names in plan.notes.items()],
    )


class ShardOutput(Part):
    """What `bakeoff run --shard I/N --json` prints."""

    format: Literal[1] = 1
    complete: bool
    """Whether every run of the shard has a record, and no next phase waits for other shards: exit code 0, else 5."""
    experiment: str
    shard: str
    phase: str
    """`trials`, `look 2 of 5`, or `runs`."""
    runs: int
    """Number of the phase's runs that are the shard's."""
    done_now: int
    already_recorded: int
    failed: list[RunProblemOutput]
    """Runs that failed now; they are recorded."""
    held: list[str]
    """Names of the shard's runs that another process makes."""
    missing: list[str]
    """Names of runs of other shards that the next phase waits for."""


class SubmitOutput(Part):
    """What `bakeoff submit --json` prints."""

    format: Literal[1] = 1
    experiment: str
    phase: str
    """`trials`, `look 2 of 5`, or `runs`."""
    engine: str
    folder: str | None
    """The submission's folder; None if nothing was submitted."""
    submitted: dict[str, str]
    """Id of a run -> the handle of the job that was submitted for it now."""
    live: list[str]
    """Ids of the phase's runs that waited or ran before."""


class StatusRunOutput(Part):
    id: str
    name: str
    state: Standings
    job: str
    """Engine and handle of its last job; empty if it has none, or is recorded."""
    reason: str
    log: str | None
    """The file with what its last job printed."""


class StatusOutput(Part):
    """What `bakeoff status --json` prints."""

    format: Literal[1] = 1
    ok: bool
    """Whether all runs are recorded and none failed: exit code 0."""
    experiment: str
    phase: str
    """The first phase that lacks records: `trials`, `look 2 of 5`, or `runs`."""
    runs: list[StatusRunOutput]
    """The runs that are recorded, and those of the phase."""
    follow_up: str
    """How the command failed that was to go on when the jobs of the newest submission had ended; empty if it did not."""


class ExportOutput(Part):
    """What `bakeoff export --json` prints."""

    format: Literal[1] = 1
    ok: bool
    """Whether no record was left out because it is damaged: exit code 0, else 1."""
    experiment: str
    tracker: str
    written: list[str]
    """Names of the runs that were written now; for `eee`, of the files."""
    already: int
    """How many runs the tracker had already."""
    held: int
    """How many runs another command is writing to the tracker at the moment."""
    summary: bool
    """Whether the summary was written now; false where the tracker had it, and where nothing is recorded."""
    damaged: list[str]
    """A sentence for each record that can't be read."""
    shown: str
    """Where the runs can be seen, or the command that shows them."""


class BestModelOutput(Part):
    """The model to use of one comparison group. What is not known is None."""

    task: str
    model: str
    title: str
    """Title of the comparison group, as in headings."""
    recommendation: str
    """The recommendation in words; `take` names its strategy."""
    take: str | None
    """The recommended strategy."""
    run: str | None = None
    """The name of its median run: `full:2`."""
    id: str | None = None
    seed: int | None = None
    split: str | None = None
    """The split by whose scores the median run was found: not the reported one, where there is another."""
    metric: str | None = None
    score: float | None = None
    """The run's score on `split`, in the metric's own unit."""
    shown: str | None = None
    """The score as tables show it."""
    of_runs: int | None = None
    """Number of runs among which the run is the median."""
    model_folder: str | None = None
    """Folder of the kept model and its card; None where the run kept none."""
    what_to_do: str | None = None
    """How to repeat the run so that it keeps its model; None where it kept one."""


class BestOutput(Part):
    """What `bakeoff best --json` prints."""

    format: Literal[1] = 1
    ok: bool
    """Whether there is a kept model for every task and model: exit code 0, else 1."""
    best: list[BestModelOutput]


class HeldOutput(Part):
    what: str
    number: int
    bytes: int
    prunable: bool
    """Whether `bakeoff prune` removes it."""


class PlaceOutput(Part):
    folder: str
    held: list[HeldOutput]


class DiskOutput(Part):
    """What `bakeoff disk --json` prints."""

    format: Literal[1] = 1
    places: list[PlaceOutput]
    """The experiment's folder, then the cache."""
