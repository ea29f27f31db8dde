"""`bakeoff explain`."""

from __future__ import annotations

from typing import Final

import click

from bakeoff.analysis.flags.catalogue import CATALOGUE, SEVERITIES, no_such_warning
from bakeoff.cli.output import aligned, print_result, terminal_width
from bakeoff.report.text.terminal import wrapped

TERMS: Final[dict[str, str]] = {
    "recommendation": "Which strategy to take, from verdicts and costs alone. The best has the best mean, of three runs that "
    "learned or more. As good is one that is shown not worse than it by more than the margin, at 5 % over all pairs, or over "
    "those with the baseline where that is the best; where runs collapsed or failed, by both ways of counting. Taken is the "
    "cheapest of these that is shown cheaper to train: by `bakeoff time`, else by train seconds where control runs show an "
    "even machine, else by floating-point operations; where there is none, the best. Open: neither shown as good nor ruled "
    "out. What is confounded, withheld or not tested shows nothing, and is never taken in place of the best.",
    "better": "Verdict: the score is better than the baseline's; p is below 0.05, adjusted by Holm for the comparisons shown.",
    "worse": "Verdict: the score is worse than the baseline's; p is below 0.05, adjusted by Holm for the comparisons shown.",
    "equivalent": "Verdict: two one-sided tests (TOST) show the difference to lie within the margin declared before the runs.",
    "identical": "Verdict: every prediction of the two rows is equal at every common seed. A fact, not a test.",
    "inconclusive": "Verdict: neither a difference nor equivalence is shown. It does not mean that there is no difference.",
    "futile": "Verdict of declared looks: inconclusive, and even all seeds up to the last look would decide it with less than "
    "one chance in ten, so that it gets no more. The sentence beside it says how many examples it would take.",
    "open": "Verdict of declared looks: not decided at the last look taken, and judged again at the next one.",
    "look": "Which of the declared looks judged the row last. It is judged on the seeds of that look alone.",
    "level": "Confidence of the interval of a difference: 1 minus the look's share of the error rate over the comparisons.",
    "confounded": "Verdict: the rows also differ in something not under test, so neither may be called better (†).",
    "withheld": "Verdict: seeds or looks were changed when results were known, so no p-value holds, and none is given.",
    "baseline": "The row that all others are compared with (◂).",
    "majority-baseline": "The score of always predicting the most frequent label of the training data.",
    "margin": "The largest difference that does not matter, declared before the runs. Without one nothing is equivalent.",
    "interval": "95 % confidence interval for new seeds and new test examples; for a single run, for new examples only.",
    "rank": "The best and the worst rank that the tests over all pairs leave open. None is given under three seeds.",
    "p": "Probability of a difference at least this large if the strategies did not differ, adjusted by Holm for all "
    "comparisons with the baseline.",
    "detectable": "Minimum detectable difference: with these seeds and examples, four of five experiments would find it "
    "(80 % power).",
    "all-runs": "What holds of all runs, those that collapsed or failed too: better or worse only where both ways of counting "
    "say so, with these as the majority baseline and without them. The verdict itself is of the runs that learned.",
    "n": "Seeds whose runs ended with scores and learned. Scores are their mean ± standard deviation.",
    "collapsed": "Runs whose answers are one constant answer, but for noise. They count in no mean, unless all of a row did.",
    "failed": "Runs that ended without scores. They count in no mean; the row's share of runs that did not learn holds them.",
    "train-s": "Seconds of the trainer, from its call to its last step, its preparation included; of the recorded runs, "
    "whatever else their machine did, so they become no ratio. `bakeoff time` measures ratios.",
    "run-s": "Seconds of one run by `bakeoff time`: the baseline's steps and evaluation batches, timed in turns with all other "
    "strategies', times the strategy's ratio, plus what a run takes once (loading, building, saving).",
    "to-baseline": "A cost over the baseline's, with its 95 % interval: of seconds the median of the ratios of turns.",
    "on-the-front": "How often, over draws of seeds and turns, no other row is better on both quality and cost.",
    "peak-mib": "The largest memory over the seeds, in MiB, summed over the processes of a run.",
}
"""Verdicts and columns of tables -> their explanation."""


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
