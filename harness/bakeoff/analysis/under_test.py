"""What each pair of rows is about: what the experiment file names under test, or what the strategies themselves spell out.

Where a file has no `under_test`, everything that its strategies spell out differently is under test, since it was requested.
What nobody requested, such as what a trainer decides by itself or a default that differs, confounds as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bakeoff.analysis.recipes import COMPONENTS, NEUTRAL, RECIPE, Run
from bakeoff.contracts.configured import canonical
from bakeoff.records.schema import ComponentOrigin, Declared, Requested


@dataclass(frozen=True)
class UnderTest:
    """Which differences between the strategies of a comparison group (method, learning rate, ...) its verdicts are about; all
    others are confounders."""

    named: Sequence[str]
    """The parts that the experiment file names as under test; where it names some, no others are."""
    spelt_out: Mapping[str, Collection[str]]
    """Row -> the parts that its strategy spells out; empty where the file names what is under test."""
    requested: Mapping[str, Sequence[Requested]]
    """Row -> what was requested of its runs."""
    _values: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict, repr=False)

    def of(self, first: str, second: str) -> list[str]:
        """The parts under test between two rows, as `under_test` may name them."""
        return self._among((first, second))

    @property
    def everywhere(self) -> list[str]:
        """The parts under test between any two rows."""
        return self._among(tuple(self.requested))

    def _among(self, rows: Sequence[str]) -> list[str]:
        parts = dict.fromkeys(part for row in rows for part in self.spelt_out.get(row, ()))
        spelt = [part for part in parts if part in COMPONENTS or part.startswith(RECIPE)]
        known = [row for row in rows if row in self.requested]
        apart = [part for part in spelt if len(frozenset().union(*(self._requested(row, part) for row in known))) > 1]
        return list(dict.fromkeys([*self.named, *apart]))

    def _requested(self, row: str, part: str) -> frozenset[str]:
        """The values of a part that were requested of the row's runs; several where a search chose anew for each seed."""
        if (row, part) not in self._values:
            self._values[row, part] = frozenset(_value(requested, part) for requested in self.requested[row])
        return self._values[row, part]


def _value(requested: Requested, part: str) -> str:
    if part.startswith(RECIPE):
        key = part.removeprefix(RECIPE)
        return canonical(requested.recipe.get(key, NEUTRAL.get(key)))
    origin: ComponentOrigin | None = getattr(requested, part)
    if origin is None:
        return ""
    return canonical([origin.name, {name: value for name, value in origin.options.items() if value is not None}])


def under_test_of(declared: Declared, rows: Mapping[str, Iterable[Run]]) -> UnderTest:
    """What is under test in an experiment. rows: row -> its runs, as recorded or as planned."""
    requested = {row: [run.requested for run in runs] for row, runs in rows.items()}
    return UnderTest(declared.under_test, declared.spelt_out or {}, requested)
