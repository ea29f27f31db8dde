"""A gate's result as Markdown, for a pull request."""

from __future__ import annotations

from bakeoff.analysis.gate.gate import Check, Gate
from bakeoff.contracts.unit import OWN_UNIT, Figures
from bakeoff.text.markdown import Column, as_markdown, grid, item, level, paragraph
from bakeoff.text.numbers import DASH
from bakeoff.text.values import grouped

SYMBOLS = {"pass": "✅", "fail": "❌", "not enough evidence": "❔"}
TITLES = {"pass": "Gate passed", "fail": "Gate failed", "not enough evidence": "Gate open"}


def write_gate(gate: Gate) -> str:
    """A gate's result: a headline, the table of checks, and the reason for each that did not pass."""
    lines = [f"## {SYMBOLS[gate.result]} {TITLES[gate.result]}: {as_markdown(gate.headline)}", ""]
    groups = list(dict.fromkeys((check.task, check.model) for check in gate.checks))
    where = f" on {groups[0][0]} · {groups[0][1]}" if len(groups) == 1 else ""
    about = f"{gate.candidate} against {gate.baseline}{where}; quality on {gate.split}; rules of the {gate.rules_of}."
    lines += [*paragraph(as_markdown(about)), "", *_table(gate.checks, with_group=len(groups) > 1), ""]
    for symbol, sentence in _reasons(gate.checks, with_group=len(groups) > 1):
        lines += item(f"{symbol} {as_markdown(sentence)}")
    for note in gate.notes:
        lines += item(as_markdown(note))
    return "\n".join([*lines, *([""] if lines[-1] else []), *paragraph(as_markdown(_legend(gate)))]) + "\n"


def _table(checks: list[Check], *, with_group: bool) -> list[str]:
    groups = [as_markdown(_group(check)) for check in checks]
    columns = [
        *([Column("task · model", groups, "left")] if with_group else []),
        Column("strategy", [as_markdown(check.strategy) for check in checks], "left"),
        Column("rule", [as_markdown(check.rule) for check in checks], "left"),
        Column("limit", [as_markdown(check.limit) for check in checks]),
        Column("observed", level([_observed(check) for check in checks])),
        Column("seeds", [f"{check.seeds[0]} / {check.seeds[1]}" for check in checks]),
        Column("verdict", [f"{SYMBOLS[check.result]} {_verdict(check)}" for check in checks], "left"),
    ]
    return grid(columns)


def _observed(check: Check) -> tuple[str, str]:
    """The observed change and its interval, the two parts of a cell that `level` aligns."""
    if check.identical:
        return "identical", ""
    if check.change is None or check.low is None or check.high is None:
        return DASH, ""
    figures = Figures(unit=OWN_UNIT, decimals=check.decimals)  # they are as shown already
    change, bounds = figures.signed(check.change), figures.signed_range(check.low, check.high)
    return f"{change}{' %' if check.unit == '%' else ''}", f" {bounds}"


def _verdict(check: Check) -> str:
    return "pass (identical)" if check.identical and check.result == "pass" else check.result


def _reasons(checks: list[Check], *, with_group: bool) -> list[tuple[str, str]]:
    """(symbol of the result, sentence) for each reason; the sentence names the checks that share the reason."""
    reasons = grouped(((SYMBOLS[check.result], check.reason), _title(check, with_group)) for check in checks if check.reason)
    return [
        (symbol, f"{'all checks' if 1 < len(titles) == len(checks) else '; '.join(titles)}: {reason}")
        for (symbol, reason), titles in reasons.items()
    ]


def _group(check: Check) -> str:
    return " · ".join(filter(None, (check.task, check.model)))


def _title(check: Check, with_group: bool) -> str:
    return f"{_group(check)}, {check.strategy}, {check.rule}" if with_group else f"{check.strategy}, {check.rule}"


def _legend(gate: Gate) -> str:
    tested = sum(check.p_fail is not None for check in gate.checks)
    return (
        "Observed is candidate against baseline: points of the primary metric, or its own unit, and per cent of costs; in "
        "brackets the 90 % interval, each end of which is a one-sided 95 % bound. A check passes where the bound is within the "
        "limit, and fails where the change is beyond the limit with p at most 0.05 after Holm over the "
        f"{tested} checks that could be tested. "
        "Anything else is not enough evidence. Seeds are the successful ones of candidate / baseline."
    )
