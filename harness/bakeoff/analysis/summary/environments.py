"""Where a table's runs were made, and which of them were made elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from bakeoff.records.provenance import MACHINE, commonest, counted, differences, facts_of_environment, same_hardware
from bakeoff.records.schema import Environment, Record


def usual_environment(records: Sequence[Record]) -> Environment | None:
    """The environment of most runs of a table; where two are equally frequent, that of the first run. None of no runs."""
    if not records:
        return None
    most = {key: word for key, (word,) in commonest(records, MACHINE | {"bakeoff"}).items()}
    model = next(record.environment for record in records if same_hardware(record, most["hardware", ""] or ""))
    names = dict.fromkeys(chain.from_iterable(record.environment.software for record in records))
    software = {name: most.get(("software", name)) or most["bakeoff", ""] for name in names}
    instructions = most.get(("instruction set", ""), model.instructions)
    return model.model_copy(update={"software": software, "instructions": instructions})


def made_elsewhere(records: Sequence[Record], usual: Environment | None) -> list[str]:
    """How the environment of some of these runs differs from the usual one, in words; a distribution that only some components
    use is no difference, and neither is Bakeoff's own version."""
    found: Counter[str] = Counter()
    table = facts_of_environment(usual) if usual else {}
    for facts, count in counted(records, MACHINE):
        for one in differences(facts, table, MACHINE):
            name = "" if one.subject == "hardware" else f"{one.name or one.subject} "
            found[f"{name}{one.here} instead of {one.there}"] += count
    return [f"{words} in {count} of {len(records)} runs" for words, count in found.items()]
