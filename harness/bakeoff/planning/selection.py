"""The option `--only`: which runs of a plan a command makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bakeoff.errors import BakeoffError
from bakeoff.planning.runs import Plan, Selection


def select(plan: Plan, only: Sequence[str]) -> Plan:
    """The plan with just these runs to make, and the trials of the searches that they wait for; without `only`, with all runs.

    only: names of runs, as the user wrote them. Raises BakeoffError for a text that names no run of the plan.
    """
    if not only:
        return plan
    try:
        runs = [run for text in only for run in plan.names.select(text)]
    except BakeoffError as error:
        raise BakeoffError(f"--only: {error}") from None
    places = frozenset(run.place for run in runs if not run.trial)
    trials = frozenset(run.id for run in runs if run.trial and run.id is not None)
    return replace(plan, only=Selection(tuple(only), places, trials))
