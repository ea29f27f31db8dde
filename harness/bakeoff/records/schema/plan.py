"""What an experiment asked for (`plan.json`), and the control runs beside its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bakeoff.contracts.fields import (
    MOST_LOOKS,
    MOST_SEEDS,
    MOST_TRIALS,
    Amount,
    Count,
    Look,
    Moment,
    Name,
    Number,
    Part,
    Plain,
    PlainDict,
    Positive,
    Seed,
    Sha256,
    Some,
    Text,
)
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.records.schema.shared import (
    AS_FILE,
    SCHEMA_VERSION,
    UNSEALED,
    RunId,
    require_known,
    require_unique,
)
from bakeoff.text.tolerances import cost_tolerance, quality_tolerances
from bakeoff.text.words import quoted


def _require_one_place(runs: Sequence[DeclaredRun] | Sequence[TrialRun]) -> None:
    """Raises ValueError if one id stands for several runs. Strategies may share a run, because a search may choose it."""
    known: dict[str, tuple[str, str, int]] = {}
    for run in runs:
        place = (run.task, run.model, run.seed)
        if known.setdefault(run.id, place) != place:
            raise ValueError(f"two runs of the plan have the id {run.id}: {quoted(known[run.id])} and {quoted(place)}")


class DeclaredRun(Part):
    """A run that the experiment asks for."""

    id: RunId
    task: Text
    model: Text
    """Empty where the strategy's trainer owns its model."""
    strategy: Text
    seed: Seed


class Imported(Part):
    """Published scores, shown beside the rows of a table and never tested."""

    name: Name
    source: Text
    split: Name
    scores: dict[Name, Number]
    """metric -> score, in the metric's own unit."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    task: Text | None
    """The task's label; None where the experiment has only one task."""


class Change(Part):
    """One decision that conclusions depend on, before and after it was changed, as text."""

    what: Text
    """`strategies`, `looks`, `baseline`, `reported split`, `margin`, `under test`, `hardware`, `gate`, `primary metric of
    TASK`, `trials of STRATEGY`."""
    before: Text
    after: Text


class EarlierDeclaration(Part):
    """What the experiment declared before it was changed, although runs had already been recorded."""

    when: Moment
    """UTC, ISO 8601: when the change was declared."""
    seeds: dict[Text, list[Seed]]
    """strategy -> its seeds before the change."""
    recorded: Count
    """How many of its runs had a record at that time."""
    changes: list[Change] = Field(default_factory=list)
    """Changes other than of seeds."""


class TrialRun(Part):
    """A run of a search: it serves to choose a configuration, and is never reported."""

    id: RunId
    task: Text
    model: Text
    seed: Seed
    values: PlainDict
    """The configuration that was tried: key of the search -> value."""


class Chosen(Part):
    """The configuration that a search chose for one task and model."""

    task: Text
    model: Text
    search: Count = 0
    """The number of the search, from 0, where it is repeated."""
    values: PlainDict


class Search(Part):
    """How a strategy's configuration was chosen."""

    grid: dict[Name, Annotated[list[Plain], Field(min_length=1)]]
    """Key (`learning_rate`, `trainer.l2`, `method.r`) -> the values tried: all combinations, or those of a budget."""
    ranges: dict[Name, PlainDict] = Field(default_factory=dict)
    """Key -> the range that its values were drawn from, with `low`, `high` and `log`; keys with a list are left out."""
    budget: Some | None = None
    """How many configurations were drawn in advance; None for all combinations of lists."""
    draw: Seed = 0
    """The seed by which the configurations of a budget were drawn."""
    seeds: Annotated[list[Seed], Field(min_length=1)]
    """The seeds of the trials. Where the search is repeated, those of each search follow those of the one before; all have
    equally many."""
    reported: list[Seed] = Field(default_factory=list)
    """For each of repeated searches, the reported seed that runs its choice; empty for a single search."""
    choose: Name
    at: Text = ""
    """Where a recipe key varies (`Vary`), the value at which one search is made for all rows of the strategy: `256`. Empty if
    each row has a search of its own."""
    trials: list[TrialRun]
    chosen: list[Chosen]
    """One entry for each task and model whose trials are all recorded."""

    @model_validator(mode="after")
    def _of_the_grid(self) -> Self:
        for what, configurations in (("trials", self.trials), ("chosen", self.chosen)):
            for number, values in enumerate(one.values for one in configurations):
                if values.keys() != self.grid.keys() or any(value not in self.grid[key] for key, value in values.items()):
                    raise ValueError(f"{what}.{number}.values: {quoted(values)} is not a configuration of the grid")
        tried = [(trial.task, trial.model, trial.seed, repr(sorted(trial.values.items()))) for trial in self.trials]
        require_unique("trials", tried)
        _require_one_place(self.trials)
        require_known("trials: seed", [trial.seed for trial in self.trials], self.seeds)
        require_unique("chosen", [(choice.task, choice.model, choice.search) for choice in self.chosen])
        if len(self.seeds) % self.repeat or any(choice.search >= self.repeat for choice in self.chosen):
            raise ValueError(f"seeds and chosen must be those of {self.repeat} searches")
        return self

    @property
    def repeat(self) -> int:
        """How often the search is made."""
        return max(1, len(self.reported))

    @property
    def chosen_by(self) -> dict[int, int]:
        """Seed of a trial -> which of the searches it belongs to, from 0."""
        each = len(self.seeds) // self.repeat
        return {seed: position // each for position, seed in enumerate(self.seeds)}


GATED: Final = ("quality", "train_seconds", "evaluate_seconds", "total_seconds", "peak_memory")


def _readable_gate(gate: dict[str, str]) -> dict[str, str]:
    require_known("gate", gate, GATED)
    for figure, allowed in gate.items():
        quality_tolerances(allowed) if figure == "quality" else cost_tolerance(allowed)
    return gate


def rising(looks: list[int]) -> list[int]:
    """Returns the looks (numbers of seeds) unchanged. Raises ValueError unless each has more seeds than the one before."""
    if (fall := next((number for number in range(1, len(looks)) if looks[number] <= looks[number - 1]), None)) is not None:
        raise ValueError(f"each look has more seeds than the one before; {looks[fall]} follows {looks[fall - 1]}")
    return looks


class Titles(Part):
    """How headings name tasks, models and strategies: label (of a strategy, its name) -> title. One without a title is shown by
    its label. No title is part of a run's id."""

    tasks: dict[Text, Text] = Field(default_factory=dict)
    models: dict[Text, Text] = Field(default_factory=dict)
    strategies: dict[Text, Text] = Field(default_factory=dict)
    """These titles include the name, since it is typed on the command line: `Full fine-tuning (full)`."""

    def task(self, label: str) -> str:
        return _titled(label, self.tasks)

    def model(self, label: str) -> str:
        """The title of one model, or of the models of a comparison group, whose label `together` made."""
        if label in self.models:
            return self.models[label]
        return together(_titled(one, self.models) for one in label.split(APART))

    def group(self, task: str, models: Sequence[str]) -> str:
        """The heading of a comparison group. models: the labels of its models, the shared one first."""
        first, *others = [self.model(label) for label in models if label] or [""]
        shown = f"{first} and {len(others)} others" if len(others) >= MOST_TOGETHER else together([first, *others])
        return " · ".join(filter(None, (self.task(task), shown)))

    def strategy(self, name: str) -> str:
        return self.strategies.get(name, name)


APART: Final = " / "
"""The separator between the labels of several models."""
MOST_TOGETHER: Final = 3
"""The most models that a heading names."""


def together(models: Iterable[str]) -> str:
    """The label of several models of one comparison group, each named once; empty for none."""
    return APART.join(dict.fromkeys(filter(None, models)))


def _titled(label: str, titles: Mapping[str, str]) -> str:
    """The title of a label; the label itself if it has none. An ending that comparisons add to a label, as in `LABEL (other
    data)`, is kept."""
    if label in titles:
        return titles[label]
    known = max((one for one in titles if label.startswith(f"{one} (")), key=len, default=None)
    return label if known is None else titles[known] + label[len(known) :]


class Vary(Part):
    """A recipe key that varies: each strategy has a row for each value."""

    key: Name
    values: Annotated[list[Plain], Field(min_length=1)]
    """The values as the experiment file has them; None for `all`."""
    rows: dict[Text, list[Text]]
    """Strategy, as the file names it -> its rows, one for each value."""

    @model_validator(mode="after")
    def _a_row_for_each_value(self) -> Self:
        if any(len(rows) != len(self.values) for rows in self.rows.values()):
            raise ValueError("rows: each strategy has one for each value")
        require_unique("rows", [row for rows in self.rows.values() for row in rows])
        return self

    @property
    def place_of(self) -> dict[str, int]:
        """Row -> the position of its value."""
        return {row: place for rows in self.rows.values() for place, row in enumerate(rows)}

    @property
    def strategy_of(self) -> dict[str, str]:
        """Row -> its strategy."""
        return {row: strategy for strategy, rows in self.rows.items() for row in rows}

    def baselines(self, baseline: str) -> dict[str, str]:
        """Row -> the row of the baseline's strategy at the same value. baseline: any row of the baseline's strategy; {} if it
        is no row of `rows`."""
        if (strategy := self.strategy_of.get(baseline)) is None:
            return {}
        return {row: self.rows[strategy][place] for row, place in self.place_of.items()}

    def word(self, place: int) -> str:
        """The value at this position in `values`, as the names of rows have it: `64`, `all`."""
        row, strategy = next((rows[place], name) for name, rows in self.rows.items())
        return row.removeprefix(f"{strategy}@")


class Declared(Part):
    """What an experiment asked for, written before its first run: `records/plan.json`."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    name: Text
    question: Text
    spec_file: Text
    baseline: Text
    report_on: Name
    margin: dict[Name, Positive]
    """`points` (for every primary metric shown in points), or the name of a primary metric -> the difference, as shown,
    within which rows count as equivalent. Metrics shown in points have a default (`unit.DEFAULT_MARGIN`), which plans of
    Bakeoff before 2026-11-30 store; for other metrics without an entry, nothing is equivalent."""
    under_test: list[Name]
    """What the experiment file names as `under_test`; empty where it names nothing."""
    spelt_out: dict[Text, list[Name]] | None = None
    """Where the experiment file has no `under_test`: strategy -> the parts, named as in `under_test`, that it spells out. What
    differs in them is then under test. {} where the file has an empty `under_test`: then nothing is. None where it names
    something; also in plans of Bakeoff before 2026-11-30, which did not tell an empty list from none."""
    hardware: list[Text] = Field(default_factory=list)
    """The hardware classes across which scores are compared; empty where the experiment file names none."""
    gate: Annotated[dict[Name, Name], AfterValidator(_readable_gate)]
    """Cost or quality -> the change that is allowed (`text.tolerances`): `-1 points`, `-1 points, +0.05 mae`, `+10%`."""
    metrics: dict[Text, Name] = Field(default_factory=dict)
    """Task -> its primary metric; tasks whose metric is unknown are omitted."""
    imported: list[Imported]
    trials: dict[Text, Annotated[int, Field(ge=1, le=MOST_TRIALS)]]
    """strategy -> how many configurations were tried before it was chosen; 1 where it is missing."""
    history: list[EarlierDeclaration]
    """Earlier declarations, oldest first."""
    searches: dict[Text, Search]
    """strategy -> the search that chose its configuration; a strategy without one is untuned."""
    looks: Annotated[list[Look], Field(max_length=MOST_LOOKS), AfterValidator(rising)] = Field(default_factory=list)
    """Numbers of seeds, counted from the first, at which the comparisons are judged: after each look only strategies that are
    still open get the seeds of the next. Empty where the number of seeds is fixed."""
    own_models: dict[Text, Text] = Field(default_factory=dict)
    """Strategies with a model of their own -> the label of the model that the strategy names, "" where its trainer owns one.
    Each of their runs is made once for a task, whatever models the others share, and stands in every comparison group of it."""
    titles: Titles = Field(default_factory=Titles)
    ranks: bool = False
    """Whether the looks judge all pairs, as ranks need, and not only those with the baseline. False without looks, where ranks
    are given anyway."""
    vary: Vary | None = None
    """The recipe key that varies, if one does. Rows of different values are not compared with each other: each has the baseline
    at its own value."""
    seed_free: list[Text] = Field(default_factory=list)
    """Strategies that do not depend on the seed: each has one run for a task and data set, of the plan's first seed, which
    counts at every seed that the others have. Its variance over seeds is known to be 0."""
    hub_datasets: dict[Text, HubDataset] = Field(default_factory=dict)
    """Label of a task -> the dataset on the hub that has its rows, as its plugin declares it; other tasks are left out."""
    licences: dict[Text, Text] = Field(default_factory=dict)
    """Label of a task or model -> the licence of its rows or weights, as its plugin states it; others are left out."""
    runs: list[DeclaredRun]
    """All runs that may be made: with looks, those of all looks up to the last one."""
    seal: Sha256 = UNSEALED
    """See `Record.seal`."""

    @property
    def seed_of(self) -> dict[str, int]:
        """Id -> seed, of every run including trials."""
        trials = {trial.id: trial.seed for search in self.searches.values() for trial in search.trials}
        return trials | {run.id: run.seed for run in self.runs}

    @property
    def groups(self) -> dict[tuple[str, str], list[DeclaredRun]]:
        """(task, label of model) -> the runs of a comparison group: those of a shared model with all of the task's strategies
        that have one of their own. Where no model is shared, these are one group with the labels of all their models."""
        found: dict[tuple[str, str], list[DeclaredRun]] = {}
        own: dict[str, list[DeclaredRun]] = {}
        for run in self.runs:  # where a model of its own differs from that of the other seeds, the run is compared apart
            if run.model == self.own_models.get(run.strategy):
                own.setdefault(run.task, []).append(run)
            else:
                found.setdefault((run.task, run.model), []).append(run)
        for task, runs in own.items():
            shared = [place for place, (run, *_) in found.items() if place[0] == task and run.strategy not in self.own_models]
            beside = shared or [(task, together(run.model for run in runs))]
            order = {name: number for number, name in enumerate(dict.fromkeys(run.strategy for run in self.runs))}
            for place in beside:
                found[place] = sorted([*found.get(place, ()), *runs], key=lambda run: order[run.strategy])
        return found

    @model_validator(mode="after")
    def _each_run_once(self) -> Self:
        require_unique("runs", [(run.task, run.model, run.strategy, run.seed) for run in self.runs])
        _require_one_place(self.runs)
        require_known("own_models", self.own_models, {*(run.strategy for run in self.runs), *self.searches})
        require_known("seed_free", self.seed_free, {*(run.strategy for run in self.runs), *self.searches})
        seeds = self.seeds if self.seed_free else {}
        if several := next((name for name in self.seed_free if len(seeds.get(name, ())) > 1), None):
            raise ValueError(f"seed_free: {quoted(several)} has runs of several seeds")
        if self.ranks and not self.looks:
            raise ValueError("ranks: true although there are no looks: then all pairs are judged anyway")
        reported = {run.id for run in self.runs}
        for strategy, search in self.searches.items():
            if shared := next((trial.id for trial in search.trials if trial.id in reported), None):
                raise ValueError(f"searches.{strategy}: its trial {shared} is also a reported run: `runs` has it too")
        return self

    @property
    def seeds(self) -> dict[str, list[int]]:
        """strategy -> its seeds, without duplicates, in order; also seeds whose repeated search has not chosen yet."""
        found = {name: set(search.reported) for name, search in self.searches.items() if search.reported}
        for run in self.runs:
            found.setdefault(run.strategy, set()).add(run.seed)
        return {strategy: sorted(seeds) for strategy, seeds in sorted(found.items())}


class Control(Part):
    """A fixed benchmark, timed before and after the runs of one command: shows whether the machine was equally fast for all."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
    """Identifies one call of `bakeoff run`."""
    moment: Literal["before", "after"]
    started: Moment
    """UTC, ISO 8601."""
    hardware: Text
    threads: Some
    milliseconds: Positive
    """Median over the repetitions."""
    spread: Amount
    """Interquartile range divided by the median."""
    repetitions: Some
    peak_flops: dict[Name, Positive]
    """Precision -> floating-point operations per second in a large matrix product; empty where it was not measured."""
    seal: Sha256 = UNSEALED
    """See `Record.seal`."""
