"""A comparison as LaTeX tables in booktabs style, one a comparison group. All text is escaped, since it is untrusted."""

from __future__ import annotations

import re
import unicodedata

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.results import Pair, Row
from bakeoff.report import TEMPLATES
from bakeoff.report.cells import MAJORITY, all_runs, seconds
from bakeoff.report.curves import curve_table
from bakeoff.report.verdict_words import why_not_subtract
from bakeoff.text.numbers import confidence
from bakeoff.text.values import listed, seeds_spelt

ACCENTS = {"\u0300", "\u0301", "\u0302", "\u0303", "\u0308", "\u030a", "\u030c", "\u0327"}
LAST_LATIN = "\u017f"
"""Letters up to this one, with one of `ACCENTS`, can be set by pdflatex without a package; other letters are written as code
points, so that the file compiles."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": "{`}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"\textperiodcentered{}",
    "–": r"\textendash{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}
"""LaTeX for characters that have a meaning there. Brackets and stars stand in braces, because after a row's end they would be
arguments; a backquote does, because LaTeX joins it with a `?` to one character."""


def as_latex(text: object) -> str:
    """Untrusted text on one line of LaTeX; characters that pdflatex cannot set, and invisible ones, as code points."""
    shown = "".join(map(_shown, " ".join(str(text).split())))
    return re.sub(r"-(?=-)", "-{}", shown)  # two hyphens would join to a dash


def _shown(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isascii() and character.isprintable():
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS and character <= LAST_LATIN:
        return character
    return f"{{\\ttfamily U+{ord(character):04X}}}"


def write_tex(comparison: Comparison) -> str:
    """The text of `table.tex`: a `table` environment for each comparison group; a comment where there is no group."""
    latex = Environment(  # noqa: S701 - no HTML: every value passes `as_latex`
        loader=FileSystemLoader(TEMPLATES),
        finalize=as_latex,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    latex.globals.update(cells=_cells, caption=_caption, confounders=_confounders, curve_table=curve_table, label=_label)
    return latex.get_template("table.tex.j2").render(groups=comparison.groups, majority=MAJORITY)


def _cells(row: Row, group: ComparisonGroup) -> list[str]:
    """A row's cells after its name: score, interval, difference, verdict, seconds of training."""
    figures, score, pair = group.figures, group.score(row), group.pairs.get(row.strategy)
    difference = ""
    if pair is not None:
        bounds = "" if pair.finding == "identical" else figures.signed_range(pair.low, pair.high)
        difference = f"{figures.signed(pair.difference)} {bounds}"
    took = seconds(row.train_seconds.mean if row.train_seconds else None)
    return [
        figures.number(score.mean if score else None),
        figures.range(score.low, score.high) if score else "",
        difference,
        _verdict(pair) if pair else "",
        f"({took})" if row.train_seconds and group.times_differ[row.strategy] else took,
    ]


def _verdict(pair: Pair) -> str:
    look = f"look {pair.look.number}" if pair.look else ""
    aside = "; ".join(filter(None, (look, f"all runs: {all_runs(pair)}" if pair.all_runs else "")))
    return f"{pair.marked_verdict} ({aside})" if aside else pair.marked_verdict


def _caption(group: ComparisonGroup) -> str:
    """The caption of a group's table: task, model, number of examples, seeds, what the intervals cover, how pairs are
    judged."""
    scores = [score for row in group.rows if (score := group.score(row)) is not None]
    model = f" with {group.model_title}" if group.model else ""
    parts = [
        f"{group.metric} on {group.split} of {group.task_title}{model}, {group.examples:,} examples, "
        f"seeds {seeds_spelt([seed for score in scores for seed in score.seeds]) or 'none'}"
        f"{f', in {group.unit.words}' if group.unit.words else ''}."
    ]
    if methods := list(dict.fromkeys(score.method for score in scores if score.method)):
        parts.append(f"The 95 % intervals cover {listed(methods)}.")
    if shares := [f"{row.unlearned.words} of {row.strategy}" for row in group.rows if row.unlearned and row.unlearned.number]:
        parts.append(
            f"Scores and verdicts are of the runs that learned; collapsed or failed: {listed(shares)}. Of all runs, better or "
            "worse is said where it holds with these counted as the majority baseline and also without them."
        )
    tested = [pair for pair in group.to_baseline if pair.p_adjusted is not None]
    if tested:
        how = (
            "by Holm" if group.looks is None else f"by looks at {listed([str(seeds) for seeds in group.looks.declared])} seeds"
        )
        levels = dict.fromkeys(f"{confidence(pair.look.level)} at look {pair.look.number}" for pair in tested if pair.look)
        parts += [why[0].upper() + why[1:]] if (why := why_not_subtract(group)) else []
        parts += [f"Intervals of differences are at {listed(sorted(levels, key=_look))}."] if levels else []
        parts.append(
            f"Verdicts on the difference to {group.against} are {how} over {tested[0].comparisons} "
            f"comparison{'s' if tested[0].comparisons > 1 else ''}"
            + ("." if group.margin is None else f"; equivalent is within {group.figures.as_declared(group.margin)}.")
        )
    return " ".join(parts)


def _look(words: str) -> int:
    return int(words.rpartition(" ")[2])


def _confounders(group: ComparisonGroup) -> str:
    """A list of the confounded strategies, each with its differences that are not under test; empty where there are none."""
    return listed(
        [
            f"{pair.first} by {listed([fact.sentence() for fact in pair.confounders])}"
            for pair in group.to_baseline
            if pair.confounders
        ]
    )


def _label(*words: str) -> str:
    """A LaTeX label made from the words, of characters that need no escapes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
