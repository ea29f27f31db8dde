"""How runs are named wherever a person reads or types: `full:0`, or `full:0@TASK,MODEL` where several tasks or models have one.

Names are never taken apart, since a strategy or a task may have any characters in its name: what is typed is compared with the
names of the runs that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bakeoff.errors import BakeoffError
from bakeoff.records.schema import Declared, Titles, Vary
from bakeoff.text.values import listed, options_in_words, seeds_spelt
from bakeoff.text.words import did_you_mean, escaped, nearest, quoted, quoted_whole


def run_name(strategy: str, seed: int) -> str:
    """What a run is called: its strategy and seed, `full:0`."""
    return f"{strategy}:{seed}"


def runs_in_words(strategy: str, seeds: Iterable[int]) -> str:
    """Runs of one strategy: `full:0`, or `full (seeds 0 to 4)` where there are several."""
    known = sorted(set(seeds))
    return run_name(strategy, known[0]) if len(known) == 1 else f"{strategy} (seeds {seeds_spelt(known)})"


def place_name(task: str, model: str, *, tasks: int, models: int) -> str:
    """The part of a run's name for its task and model: `@TASK`, `@MODEL` or `@TASK,MODEL`; "" where there is one of each.

    tasks, models: how many of them the experiment has.
    """
    parts = ([task] if tasks > 1 else []) + ([model] if models > 1 else [])
    return f"@{','.join(parts)}" if parts else ""


def trial_name(values: dict[str, Any], search: int | None = None) -> str:
    """The part of a trial's name that tells it from the search's other trials of the same seed: ` (trial: learning_rate 2e-5)`.
    search: the number of the search, from 0, where it is repeated."""
    which = "" if search is None else f" of search {search + 1}"
    return f" (trial{which}: {options_in_words(values)})"


@dataclass(frozen=True)
class NamedRun:
    """A run that an experiment asks for: a reported one, or a trial of a search."""

    id: str | None
    """None while the search that chooses its configuration has not chosen."""
    task: str
    model: str
    strategy: str
    seed: int
    trial: str = ""
    """By `trial_name`; empty for a run that is reported."""

    @property
    def place(self) -> tuple[str, str, str, int]:
        return self.task, self.model, self.strategy, self.seed


@dataclass(frozen=True)
class RunNames:
    """The names of all runs of an experiment."""

    runs: tuple[NamedRun, ...]
    titles: Titles = field(default_factory=Titles)
    vary: Vary | None = None
    own_models: frozenset[str] = frozenset()
    """Strategies with a model of their own; the names of their runs leave the model out."""

    @classmethod
    def declared(cls, declared: Declared) -> RunNames:
        """The names of the runs of `plan.json`, trials of searches included."""
        reported = [NamedRun(run.id, run.task, run.model, run.strategy, run.seed) for run in declared.runs]
        trials: dict[str, NamedRun] = {}
        for name, search in declared.searches.items():
            for run in search.trials:
                number = search.chosen_by[run.seed] if search.repeat > 1 else None
                named = NamedRun(run.id, run.task, run.model, name, run.seed, trial_name(run.values, number))
                trials.setdefault(run.id, named)  # a repeat has the trials of what it repeats
        return cls((*trials.values(), *reported), declared.titles, declared.vary, frozenset(declared.own_models))

    @cached_property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(run.task for run in self.runs))

    @cached_property
    def models(self) -> list[str]:
        return list(dict.fromkeys(run.model for run in self.runs if run.model))

    @cached_property
    def _shared_models(self) -> set[str]:
        return {run.model for run in self.runs if run.strategy not in self.own_models}

    @cached_property
    def by_id(self) -> dict[str, NamedRun]:
        return {run.id: run for run in reversed(self.runs) if run.id is not None}

    def name(self, run: NamedRun) -> str:
        """The shortest name that only this run has. That of a trial ends with the values that it tries."""
        place = self.titles.task(run.task), self.titles.model(run.model)
        models = 1 if run.strategy in self.own_models else len(self._shared_models)
        where = place_name(*place, tasks=len(self.tasks), models=models)
        return f"{run_name(run.strategy, run.seed)}{where}{run.trial}"

    def name_of(self, run_id: str) -> str:
        """The name of the run with this id; the id itself if the experiment asks for no such run."""
        return self.name(self.by_id[run_id]) if run_id in self.by_id else run_id

    # --- what a person types ---------------------------------------------------------------------------------------------

    def select(self, text: str) -> tuple[NamedRun, ...]:
        """The runs that a typed text means: an id, STRATEGY, STRATEGY:SEED or :SEED, each perhaps with @TASK, @MODEL or
        @TASK,MODEL.

        Raises BakeoffError if no run has that name (it tells the nearest one), or if the text can be read as two kinds of names
        that mean different runs.
        """
        if text in self.by_id:
            return (self.by_id[text],)
        found: dict[str, list[NamedRun]] = {}
        for run in self.runs:
            for kind, form in self._forms_of(run):
                if form == text:
                    found.setdefault(kind, []).append(run)
        if not found:
            raise BakeoffError(self._unknown(text))
        meant, *others = (dict.fromkeys(runs) for runs in found.values())
        if any(other != meant for other in others):
            kinds = listed(found)
            raise BakeoffError(f"{quoted(text)} can mean {kinds}; name the runs by their ids, which `bakeoff plan` lists")
        return tuple(meant)

    def one(self, text: str) -> NamedRun:
        """The one run that a typed text means. Raises BakeoffError as `select` does, and if several runs are meant: it lists
        them."""
        runs = self.select(text)
        if len(runs) > 1:
            names = listed([f"{quoted_whole(self.name(run))}" for run in runs], most=10)
            raise BakeoffError(f"{quoted(text)} names {len(runs)} runs; name one of them: {names}")
        return runs[0]

    def _forms_of(self, run: NamedRun) -> Iterator[tuple[str, str]]:
        """(kind of name, each name of this kind that the run has)."""
        named = run_name(run.strategy, run.seed)
        whole = self.vary.strategy_of.get(run.strategy) if self.vary else None
        for where in self._places_of(run):
            yield "a strategy", f"{run.strategy}{where}"
            yield "a strategy and seed", f"{named}{where}"
            if whole is not None:  # at all its values
                yield "a strategy", f"{whole}{where}"
                yield "a strategy and seed", f"{run_name(whole, run.seed)}{where}"
            yield "a seed", f":{run.seed}{where}"
            if run.trial:
                yield "a trial", f"{named}{where}{run.trial}"

    def _places_of(self, run: NamedRun) -> list[str]:
        """All forms of the part that tells the run's task and model (`""`, `@TASK`, ...), by title or by label. A label without
        its options, which stand in brackets, is enough if only one label begins so."""
        tasks, models = self._task_spellings(run.task), self._model_spellings(run.model) if run.model else []
        both = [f"@{task},{model}" for task in tasks for model in models]
        return ["", *(f"@{name}" for name in dict.fromkeys([*tasks, *models])), *both]

    def _task_spellings(self, label: str) -> list[str]:
        return list(dict.fromkeys([self.titles.task(label), *_spellings(label, self.tasks)]))

    def _model_spellings(self, label: str) -> list[str]:
        return list(dict.fromkeys([self.titles.model(label), *_spellings(label, self.models)]))

    def _unknown(self, text: str) -> str:
        """The message for a name that no run has."""
        strategies = list(dict.fromkeys(run.strategy for run in self.runs))
        start, colon, rest = text.rpartition(":")
        seed, at, where = rest.partition("@")
        if colon and seed.isdecimal():
            own = [run.seed for run in self.runs if not start or run.strategy == start]
            if own and int(seed) not in own:
                whose = f"{escaped(start)} has" if start else "there are"
                return f"no run {quoted(text)}: {whose} the seeds {seeds_spelt(own)}"
            if not own and (near := nearest(start, strategies)) is not None:
                return f"no run {quoted(text)}; did you mean {quoted_whole(f'{near}:{rest}')}?"
        if at and where:
            places = [word for task in self.tasks for word in self._task_spellings(task)]
            places += [word for model in self.models for word in self._model_spellings(model)]
            if self._has(text.removesuffix(f"@{where}")):
                return did_you_mean("task or model", where, places)
        names = [*strategies, *(self.name(run) for run in self.runs)]
        if (near := nearest(text, names)) is not None:
            return f"no run {quoted(text)}; did you mean {quoted_whole(near)}?"
        seeds = seeds_spelt([run.seed for run in self.runs])
        return (
            f"no run {quoted(text)}; strategies: {listed(map(escaped, strategies), most=20)}; seeds: {seeds}; a run is named "
            "STRATEGY:SEED or by its id"
        )

    def _has(self, text: str) -> bool:
        return any(form == text for run in self.runs for _, form in self._forms_of(run))


def _spellings(label: str, labels: list[str]) -> list[str]:
    """A label, and its first word (`table` of `table (train=rows.csv)`) where no other label begins with it."""
    short = label.partition(" (")[0]
    alone = sum(other.partition(" (")[0] == short for other in labels) == 1
    return list(dict.fromkeys([label, short] if alone else [label]))
