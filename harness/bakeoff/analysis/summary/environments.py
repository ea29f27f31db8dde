"""Where a table's runs were made, and which of them were made elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.records.provenance import BAKEOFF, MACHINE, Facts, Subject, differences, facts_of_environment
from bakeoff.records.schema import Environment, Record


class Surroundings:
    """The environment of most runs of a table; where two are equally frequent, the one that comes first."""

    def __init__(self, records: Sequence[Record]) -> None:
        values: dict[tuple[Subject, str], Counter[str]] = {}
        for facts, count in _counted(records):
            for key, words in facts.items():
                for value in filter(None, words):
                    values.setdefault(key, Counter())[value] += count
        most = {key: counts.most_common(1)[0][0] for key, counts in values.items()}
        self.facts: Facts = {key: (value,) for key, value in most.items()}
        self.usual: Environment | None = None
        """What the caption tells; None of no records."""
        if records:
            found = [record.environment for record in records]
            model = next(one for one in found if not differences(facts_of_environment(one), self.facts, {"hardware"}))
            names = dict.fromkeys(name for one in found for name in one.software)
            software = {name: most[("bakeoff", "") if name == BAKEOFF else ("software", name)] for name in names}
            self.usual = model.model_copy(
                update={"software": software, "instructions": most.get(("instruction set", ""), model.instructions)}
            )

    def differences(self, records: Sequence[Record]) -> list[str]:
        """How some of these runs' environment differs, in words; a distribution that only some components use is none, and
        neither is Bakeoff's own version."""
        found: Counter[str] = Counter()
        for facts, count in _counted(records):
            for one in differences(facts, self.facts, MACHINE):
                name = "" if one.subject == "hardware" else f"{one.name or one.subject} "
                found[f"{name}{one.here} instead of {one.there}"] += count
        return [f"{words} in {count} of {len(records)} runs" for words, count in found.items()]


def _counted(records: Sequence[Record]) -> list[tuple[Facts, int]]:
    """The facts of each environment, and how many of the records have it."""
    counts: Counter[tuple[tuple[tuple[Subject, str], tuple[str | None, ...]], ...]] = Counter(
        tuple(facts_of_environment(record.environment).items()) for record in records
    )
    return [(dict(facts), count) for facts, count in counts.items()]
