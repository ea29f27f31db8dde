"""The named warnings that an analysis finds in an experiment of `builders`."""

from __future__ import annotations

from collections.abc import Callable

from bakeoff.analysis.comparison import judge_group
from bakeoff.analysis.findings import NamedWarning
from bakeoff.analysis.flags.detectors import find_warnings, in_order
from bakeoff.analysis.flags.wording import Judged
from bakeoff.analysis.prepared_group import prepare
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment


def judged_groups(made: Experiment) -> list[Judged]:
    """The comparison groups that have scores."""
    prepared = [prepare(made, layout, describe(made, layout)) for layout in layouts(made)]
    return [judge_group(one) for one in prepared if one is not None]


def warnings_of(made: Experiment) -> list[NamedWarning]:
    """Of all groups, in their order."""
    return in_order(warning for judged in judged_groups(made) for warning in find_warnings(judged))


def only_warning(made: Experiment, code: str) -> NamedWarning:
    """The one warning of the code; no warning of another may be there."""
    warnings = warnings_of(made)
    assert [warning.name for warning in warnings] == [code], [f"{warning.name}: {warning.what}" for warning in warnings]
    return warnings[0]


def the_warning(made: Experiment, code: str, *, where: Callable[[NamedWarning], bool] = lambda warning: True) -> NamedWarning:
    """The one warning of the code, whatever others there are."""
    found = [warning for warning in warnings_of(made) if warning.name == code and where(warning)]
    assert len(found) == 1, [f"{warning.name}: {warning.what}" for warning in warnings_of(made)]
    return found[0]


def codes(made: Experiment) -> list[str]:
    return [warning.name for warning in warnings_of(made)]
