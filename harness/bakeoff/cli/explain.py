"""The command `bakeoff explain`."""

from __future__ import annotations

from typing import Final

import click

from bakeoff.analysis.flags.catalogue import CATALOGUE, SEVERITIES, no_such_warning
from bakeoff.cli.output import aligned, print_result, terminal_width
from bakeoff.report.text.terminal import wrapped

TERMS: Final[dict[str, str]] = {
    "recommendation": "Which strategy to take, from verdicts and costs alone. The best is the strategy with the best mean, of "
    "those with three or more runs that learned. As good is a strategy that is shown not worse than the best by more than the "
    "margin, at 5 % over all pairs (over the pairs with the baseline if the best is the baseline); where runs collapsed or "
    "failed, both with and without counting them. Recommended is the cheapest of the strategies that are as good and shown "
    "cheaper to train than the best; if there is none, the best. Training costs are compared by `bakeoff time`, else by train "
    "seconds if control runs show that the machine's speed was even, else by floating-point operations. Open is a strategy "
    "that is neither shown as good nor ruled out. A comparison that is confounded, withheld or not tested shows nothing, and "
    "its strategy is never taken in place of the best.",
    "ruled-out": "Shown worse than the best, with this recipe, on these rows. Where a strategy hardly learned, that says "
    "nothing of its method yet.",
    "as-good": "Shown not worse than the best by more than the margin.",
    "difference": "A row's score minus the baseline's. At a declared look it is on the seeds of the look that judged it, while "
    "scores are of all seeds that a row has.",
    "better": "Verdict: the score is better than the baseline's; p is below 0.05, adjusted by Holm for the comparisons shown.",
    "worse": "Verdict: the score is worse than the baseline's; p is below 0.05, adjusted by Holm for the comparisons shown.",
    "equivalent": "Verdict: two one-sided tests (TOST) show the difference to lie within the margin declared before the runs.",
    "identical": "Verdict: every prediction of the two rows is equal at every common seed. A fact, not a test.",
    "inconclusive": "Verdict: neither a difference nor equivalence is shown. It does not mean that there is no difference.",
    "futile": "Verdict at a declared look: inconclusive, and all seeds up to the last look would decide the comparison with "
    "less than one chance in ten, so it gets no more seeds. The sentence beside it says how many examples would be needed.",
    "open": "Verdict at a declared look: not decided at the last look taken, and judged again at the next one.",
    "look": "A look is a declared number of seeds at which the comparisons are judged. This is the one that judged the row "
    "last, on the seeds of that look alone.",
    "level": "Confidence level of the interval of a difference: 1 - (the look's share of the error rate) / (comparisons).",
    "confounded": "Verdict: the rows also differ in something not under test, so neither may be called better (†).",
    "withheld": "Verdict: seeds or looks were changed, or experiments pooled, when results were known, so no p-value holds.",
    "baseline": "The row that all others are compared with (◂).",
    "majority-baseline": "The score of always predicting the most frequent label of the training data.",
    "margin": "The largest difference that does not matter, declared before the runs. For metrics shown in points it is 1.0, "
    "or what one example is worth if that is more, unless the file says otherwise; for others, without one nothing is "
    "equivalent.",
    "interval": "95 % confidence interval for new seeds and new test examples; for a single run, for new examples only.",
    "rank": "The best and the worst rank that the tests over all pairs leave open. With fewer than three seeds, none is given.",
    "p": "Probability of a difference at least this large if the strategies did not differ, adjusted by Holm for all "
    "comparisons with the baseline.",
    "detectable": "Minimum detectable difference: with these seeds and examples, four of five experiments would find it "
    "(80 % power).",
    "all-runs": "The verdict over all runs, also those that collapsed or failed: better or worse only if both ways of counting "
    "say so, with these runs scored as the majority baseline and without them. The verdict itself is over the runs that "
    "learned.",
    "n": "Number of seeds whose runs ended with scores and learned. The score is their mean ± standard deviation.",
    "collapsed": "Runs that give every example the same answer, but for noise. They count in no mean, unless all runs of the "
    "row collapsed.",
    "failed": "Runs that ended without scores. They count in no mean, but in the row's share of runs that did not learn.",
    "train-s": "Seconds of training in the recorded runs, from the call of the trainer to its last step, its preparation "
    "included. Other work on the machine may have slowed them, so no ratios are made of them: `bakeoff time` measures ratios.",
    "run-s": "Seconds of one run by `bakeoff time`, which times all strategies in turns: the baseline's seconds of training "
    "steps and evaluation batches, times the strategy's ratio to them, plus what a run takes once (loading, building, saving).",
    "to-baseline": "A cost divided by the baseline's, with its 95 % interval; for seconds, the median ratio over the turns.",
    "on-the-front": "How often, over random draws of seeds and turns, no other row is better in both quality and cost.",
    "peak-mib": "The largest memory over the seeds, in MiB, summed over the processes of a run.",
}
"""Verdict, column of a table, or other term -> its explanation."""


@click.command()
@click.argument("name", nargs=-1)
def explain(name: tuple[str, ...]) -> None:
    """Explain a warning, a verdict or a table column: what it means, and what to do about it. Without NAME, list them all."""
    if not name:
        list_all()
        return
    wanted = "-".join(" ".join(name).casefold().replace("_", " ").split())
    entry, term = CATALOGUE.get(wanted), TERMS.get(wanted)
    if entry is None and term is None:
        raise no_such_warning(" ".join(name), also=TERMS)
    if entry:
        severity = f"{entry.severity}: {SEVERITIES[entry.severity]}"
        text = f"{wanted} ({severity}). {entry.means} {entry.why} What to do: {entry.what_to_do}"
        print_result(*wrapped(text, terminal_width()))
    if term:
        print_result(*wrapped(f"{wanted}. {term}", terminal_width()))


def list_all() -> None:
    sections = {
        f"{severity}: {meaning}": {name: entry.means for name, entry in CATALOGUE.items() if entry.severity == severity}
        for severity, meaning in SEVERITIES.items()
    }
    for number, (title, entries) in enumerate({**sections, "terms of the tables": TERMS}.items()):
        print_result(*[""] * bool(number))
        print_result(title, style="bold")
        print_result(*aligned([(f"  {name}", meaning) for name, meaning in entries.items()], width=terminal_width()))
