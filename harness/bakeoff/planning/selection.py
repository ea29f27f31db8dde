"""The option `--only`: which runs of a plan a command makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bakeoff.errors import BakeoffError
from bakeoff.planning.runs import Plan, Selection
from bakeoff.planning.search import Read, settled


def select(plan: Plan, only: Sequence[str], read: Read) -> Plan:
    """The plan with just these runs to make, and the trials of the searches that they wait for; without `only`, with all runs.

    only: names of runs, as the user wrote them. read: from a run's id to its record, or None; the ids of runs whose
    configuration a search chooses follow from its trials. Raises BakeoffError for a text that names no run of the plan.
    """
    if not only:
        return plan
    plan = settled(plan, read)
    try:
        runs = [run for text in only for run in plan.names.select(text)]
    except BakeoffError as error:
        raise BakeoffError(f"--only: {error}") from None
    places = frozenset(run.place for run in runs if not run.trial)
    trials = frozenset(run.id for run in runs if run.trial and run.id is not None)
    return replace(plan, only=Selection(tuple(only), places, trials))
