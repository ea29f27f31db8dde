"""Declared looks (numbers of seeds at which pairs are judged) in words, for every output: what was decided, what it saved."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.analysis.findings import ComparisonGroup, Looks
from bakeoff.analysis.results import Pair
from bakeoff.records.run_names import runs_in_words
from bakeoff.text.numbers import DASH, confidence, count, per_cent
from bakeoff.text.values import listed

TITLES = ("look", "seeds", "intervals", "verdicts")


def look_cell(pair: Pair) -> str:
    """`2 of 5`: the look that judged the pair last, and how many looks are declared; a dash without looks."""
    return f"{pair.look.number} of {pair.look.looks}" if pair.look else DASH


def level_cell(pair: Pair) -> str:
    """`99.89 %`: the confidence of the pair's interval; a dash where it has none."""
    return DASH if pair.low is None else confidence(pair.level)


def look_rows(looks: Looks) -> list[tuple[str, str, str, str]]:
    """For each look that was taken, its cells under `TITLES`: number, seeds, confidence, and what was decided."""
    found = []
    for look in looks.taken:
        decided = [f"{verdict}: {listed(names)}" for verdict, names in look.decided.items()]
        if looks.ranks:
            decided.append(f"{look.pairs_decided} of all pairs")
        found.append((str(look.number), str(look.seeds), confidence(look.level), "; ".join(decided) or "nothing"))
    return found


def look_sentences(group: ComparisonGroup, commands: Sequence[str]) -> list[str]:
    """Sentences on how to read verdicts at looks, which runs the next look waits for, and how many runs the looks saved.

    commands: those that reproduce the experiment.
    """
    looks = group.looks
    if looks is None:
        return []
    comparisons = count(max((pair.comparisons for pair in group.to_baseline), default=len(group.rows) - 1), "comparison")
    at = f"looks of {listed([str(seeds) for seeds in looks.declared])} seeds"
    if any(pair.finding == "withheld" for pair in group.to_baseline):
        return [f"Run by {at}; since seeds or looks were changed when results were known, no error rate holds for them."]
    found = [
        f"Judged at {at}, declared before the first run: one "
        f"error rate holds for all looks and {comparisons} with {group.against} together. What is decided or futile gets no "
        "more seeds, and is judged on the seeds of its look."
        + ("" if looks.ranks else " Pairs without the baseline are not tested, so that there are no ranks.")
    ]
    if looks.waiting:
        n = sum(map(len, looks.waiting.values()))
        which = listed([runs_in_words(name, seeds) for name, seeds in looks.waiting.items()])
        again = f"; `{commands[0]}` makes them" if commands else ""
        number = len(looks.taken) + 1
        found.append(f"Look {number}, at {looks.declared[number - 1]} seeds, waits for {count(n, 'run')}: {which}{again}.")
    elif looks.taken:
        saved = f"the looks saved {looks.saved:,} ({per_cent(looks.saved / looks.most)})" if looks.saved else "none was saved"
        found.append(f"{looks.runs:,} of {count(looks.most, 'run')} were needed: {saved}.")
    return found
