"""Where a table's runs were made, and which of them were made elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.record import Environment, Record
from bakeoff.records.provenance import BAKEOFF

Distinct = tuple[str, tuple[tuple[str, str], ...]]
"""What of an environment can differ: hardware class, and the versions of software."""


class Surroundings:
    """The environment of most runs of a table; where two are equally frequent, the one that comes first."""

    def __init__(self, records: Sequence[Record]) -> None:
        counts = Counter(map(_distinct, records))
        hardware: Counter[str] = Counter()
        software: dict[str, Counter[str]] = {}
        for (machine, versions), count in counts.items():
            hardware[machine] += count
            for name, version in versions:
                software.setdefault(name, Counter())[version] += count
        self.hardware = _most_common(hardware)
        self.software = {name: _most_common(versions) for name, versions in software.items()}
        self.usual: Environment | None = None
        if records:
            model = next(record.environment for record in records if record.environment.hardware == self.hardware)
            self.usual = model.model_copy(update={"software": self.software})

    def differences(self, records: Sequence[Record]) -> list[str]:
        """How some of these runs' environment differs, in words; a distribution that only some components use is none, and
        neither is Bakeoff's own version."""
        found: Counter[str] = Counter()
        for (machine, versions), count in Counter(map(_distinct, records)).items():
            for name, version in versions:
                if name != BAKEOFF and version != self.software[name]:
                    found[f"{name} {version} instead of {self.software[name]}"] += count
            if machine != self.hardware:
                found[f"{machine} instead of {self.hardware}"] += count
        return [f"{words} in {count} of {len(records)} runs" for words, count in found.items()]


def _distinct(record: Record) -> Distinct:
    return record.environment.hardware, tuple(record.environment.software.items())


def _most_common(values: Counter[str]) -> str:
    return values.most_common(1)[0][0] if values else ""
