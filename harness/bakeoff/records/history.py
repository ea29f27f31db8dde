"""Changes to an experiment's declaration after results were known, which may have been made because of those results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bakeoff.contracts.unit import DEFAULT_MARGIN, POINTS
from bakeoff.records.schema import Change, Declared, EarlierDeclaration
from bakeoff.text.values import spelt, utc_now


def continued(before: Declared, after: Declared, recorded: int) -> list[EarlierDeclaration]:
    """The history to store with the declaration `after`, which replaces `before`; strategies are named as in `after`.

    A new entry is added if seeds, strategies, or anything else that conclusions depend on changed while `recorded` runs of
    `before` had a record.
    """
    names = renamed(before, after)
    history = [earlier.model_copy(update={"seeds": _named(earlier.seeds, names)}) for earlier in before.history]
    seeds, now = _named(before.seeds, names), after.seeds
    # what a search has chosen comes as a new strategy
    others = {*seeds, *now} - {*before.searches, *after.searches}
    other_seeds = any(seeds[name] != now[name] for name in seeds.keys() & now.keys())
    came_or_went = any((name in seeds) != (name in now) for name in others)
    changes = list(changes_of(before, after, names))
    if recorded and (other_seeds or came_or_went or changes):
        when = utc_now()
        history.append(EarlierDeclaration(when=when, seeds=seeds, recorded=recorded, changes=changes))
    return history


def renamed(before: Declared, after: Declared) -> dict[str, str]:
    """Old name of a strategy -> its new name. A strategy is recognised by the ids of its runs, or else by an equal name; one
    that no longer exists is missing."""
    own, now = _runs(before), _runs(after)
    found: dict[str, str] = {}
    for name, runs in now.items():
        shared = {old: len(runs & theirs) for old, theirs in own.items() if old not in found}
        if shared and (most := max(shared.values())):
            found[next(old for old, number in shared.items() if number == most)] = name
    taken = set(found.values())
    return {old: old for old in own if old not in found and old not in taken and old in now} | found


def _runs(declared: Declared) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for run in declared.runs:
        found.setdefault(run.strategy, set()).add(run.id)
    return found


def _named(seeds: Mapping[str, list[int]], names: Mapping[str, str]) -> dict[str, list[int]]:
    """`seeds` (strategy -> its seeds) with the strategies' new names. A strategy that no longer exists keeps its name, unless
    another strategy has that name now."""
    new = {names[old]: value for old, value in seeds.items() if old in names}
    return {old: value for old, value in seeds.items() if old not in names and old not in new} | new


def changes_of(before: Declared, after: Declared, names: Mapping[str, str]) -> Iterator[Change]:
    """Yields each change, except of seeds, to what conclusions depend on (`_terms`). names: from `renamed`."""
    then, now = _terms(before, names), _terms(after, {})
    if {POINTS: DEFAULT_MARGIN} | before.margin == {POINTS: DEFAULT_MARGIN} | after.margin:
        now["margin"] = then["margin"]  # the default was once written into the plan
    for what in dict.fromkeys([*then, *now]):
        old, new = then.get(what), now.get(what)
        if old != new and None not in (old, new):
            yield Change(what=what, before=str(old), after=str(new))


def _terms(declared: Declared, names: Mapping[str, str]) -> dict[str, str]:
    """What conclusions depend on, except seeds: name (`margin`) -> value as text. Primary metrics that the declaration does not
    have are omitted. names: old name of a strategy -> its new name."""
    margins = ", ".join(f"{spelt(margin)} {unit}" for unit, margin in sorted(declared.margin.items()))
    gate = ", ".join(f"{rule} {limit}" for rule, limit in sorted(declared.gate.items()))
    strategies = dict.fromkeys([*declared.trials, *(run.strategy for run in declared.runs)])
    judged = "all pairs" if declared.ranks else "with the baseline"
    return {
        "strategies": ", ".join(sorted(names.get(name, name) for name in strategies)),
        "looks": f"at {', '.join(map(str, declared.looks))} seeds, {judged}" if declared.looks else "none",
        "baseline": names.get(declared.baseline, declared.baseline),
        "reported split": declared.report_on,
        "margin": margins or "the default",
        "under test": ", ".join(sorted(declared.under_test)) or _unnamed(declared),
        "hardware": ", ".join(sorted(declared.hardware)) or "one class",
        "gate": gate or "none",
        **{f"primary metric of {task}": metric for task, metric in declared.metrics.items()},
        **{f"trials of {names.get(name, name)}": str(number) for name, number in declared.trials.items()},
    }


def _unnamed(declared: Declared) -> str:
    """What is under test, in words, if the experiment file names nothing in `under_test`."""
    return "nothing" if declared.spelt_out == {} else "what strategies spell out"


def reseeded(declared: Declared) -> set[str]:
    """Strategies whose seeds or looks were changed after results were known. No p-value holds for them: whoever may stop as
    soon as the results please finds too many differences."""
    if not declared.history:
        return set()
    states = [*(earlier.seeds for earlier in declared.history), declared.seeds]
    found: set[str] = set()
    for number, earlier in enumerate(declared.history):
        other_looks = any(_is_about(change, "looks") for change in earlier.changes)
        for row, seeds in earlier.seeds.items():
            later = next((state[row] for state in states[number + 1 :] if row in state), None)
            if other_looks or (later is not None and set(later) != set(seeds)):
                found.add(row)
    return found & declared.seeds.keys()


QUESTION: Final = ("strategies", "looks", "baseline", "reported split", "margin", "under test")
"""Names of changes (`Change.what`) that alter the question which a verdict answers, besides the task's primary metric."""


def changed_question(declared: Declared, task: str) -> list[str]:
    """The keys of the experiment file that say what a task's verdicts are about (`margin`, `baseline`, ...) and that were
    changed after results were known; each once."""
    about = (*QUESTION, f"primary metric of {task}")
    changes = [change for earlier in declared.history for change in earlier.changes]
    return list(dict.fromkeys(change.what for change in changes if any(_is_about(change, what) for what in about)))


def _is_about(change: Change, what: str) -> bool:
    """Whether a change is one of `what`. In merged experiments a change also names its experiment: `margin of mrpc`."""
    return change.what == what or change.what.startswith(f"{what} of ")


def in_clauses(earlier: EarlierDeclaration) -> list[str]:
    """The changes as clauses: `margin went from 1 points to 3 points on 2026-11-20, when 6 runs had been recorded`."""
    runs = f"{earlier.recorded:,} run{'' if earlier.recorded == 1 else 's'}"
    return [
        f"{change.what} went from {change.before} to {change.after} on {earlier.when[:10]}, when {runs} had been recorded"
        for change in earlier.changes
    ]
