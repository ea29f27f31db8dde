"""`table.md`: what was measured, for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stress.disturbances import DISTURBANCES
from stress.invariants import INVARIANTS
from stress.processes import COMMAND, DESCENDANT, GUARD, SERVER, WORKER
from stress.signals import KINDS

ENDS = {"as before": "read as before", "told": "read with a warning", "another answer": "read as what they say now"}
"""How damaged files are met, in words; what has a checksum is never read as what it says now without a warning."""
ORDER = (COMMAND, SERVER, WORKER, GUARD, DESCENDANT)


def render(found: dict[str, Any]) -> str:
    """The page of `measurements.json`."""
    rounds = found["rounds"]
    runs, commands = (sum(one[key] for one in rounds) for key in ("runs", "commands"))
    broken = sum(len(one["broken"]) for one in rounds)
    lines = [
        "# Stress",
        "",
        f"{len(rounds)} experiments ({runs} runs, {commands} commands), disturbed at random moments, each then "
        f"finished and held against one that nothing had disturbed: {broken or 'nothing'} broken.",
        "",
        "| disturbed by | how often | what was done |",
        "|---|---:|---|",
        *(disturbed(kind, rounds, found["skipped"].get(kind, "")) for kind in DISTURBANCES),
        "",
        *receivers(rounds),
        "",
        "| what must hold | means | checked | broken |",
        "|---|---|---:|---:|",
        *(held(name, means, rounds) for name, means in INVARIANTS.items()),
        "",
        "| besides | how much | what came of it |",
        "|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in besides(found)),
        "",
        *(f"- round {one['number']}: {name}: {what}" for one in rounds for name, what in one["broken"]),
        *([""] if broken else []),
        f"The longest that a process lived on after its command: {max(one['outlived'] for one in rounds):.1f} s. Measured "
        f"{found['measured']} at commit {found['commit']} on {found['machine']}, in {found['minutes']:.0f} minutes. "
        f"`make stress SEED={found['seed']}` draws the same disturbances again; when exactly they strike is the machine's.",
    ]
    return "\n".join(lines) + "\n"


def disturbed(kind: str, rounds: list[dict[str, Any]], lacks: str) -> str:
    """A row: how often experiments were disturbed so, and in which ways."""
    if lacks:
        return f"| {kind} | 0 | not tried here: {lacks} |"
    ways: Counter[str] = Counter()
    for one in rounds:
        ways.update(one["done"].get(kind, {}))
    return f"| {kind} | {ways.total()} | {'; '.join(f'{way} ({count})' for way, count in sorted(ways.items()))} |"


def receivers(rounds: list[dict[str, Any]]) -> list[str]:
    """The table of signals: who got which how often."""
    sent: Counter[tuple[str, str]] = Counter()
    for one in rounds:
        for receiver, names_sent in one["signals"].items():
            sent.update({(receiver, name): count for name, count in names_sent.items()})
    names = [number.name for number in KINDS]
    lines = ["| signals to | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for receiver in sorted({receiver for receiver, _ in sent}, key=ORDER.index):
        lines.append(f"| {receiver} | " + " | ".join(str(sent[receiver, name]) for name in names) + " |")
    return lines


def held(name: str, means: str, rounds: list[dict[str, Any]]) -> str:
    """A row: how often an invariant was checked, and how often it did not hold."""
    checked = sum(one["checked"].get(name, 0) for one in rounds)
    broken = sum(invariant == name for one in rounds for invariant, _ in one["broken"])
    return f"| {name} | {means} | {checked} | {broken} |"


def besides(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    altered, fuzz = found["damage"], found["fuzz"]
    return [
        *(
            (
                f"{one['commands']} commands at once",
                f"{one['runs']} runs in one folder, nothing else disturbed",
                f"{one['recorded']} recorded, {one['ended']} made",
            )
            for one in found["twins"]
        ),
        ("damage", f"{altered['alterations']} files of records altered", f"{altered['named']} named"),
        ("fuzz", f"{sum(fuzz['specs'].values())} experiment files mutated", f"{said(fuzz['specs'])}, no traceback"),
        (
            "fuzz",
            f"{sum(fuzz['files'].values()) + len(fuzz['faults'])} damaged files of every kind that is read",
            f"{said(fuzz['files'])}, {len(fuzz['faults']) or 'none'} with a traceback, a wait or a checksum passed over",
        ),
    ]


def said(ends: dict[str, int]) -> str:
    return ", ".join(f"{number} {ENDS.get(end, end)}" for end, number in sorted(ends.items()))
