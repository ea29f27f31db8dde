"""Every warning by name: how severe it is, what it means, why it matters, and what to do. Most important first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bakeoff.errors import BakeoffError
from bakeoff.text.values import listed
from bakeoff.text.words import did_you_mean

Severity = Literal["invalid", "caution", "note"]

SEVERITIES: Final[dict[Severity, str]] = {
    "invalid": "the numbers must not be used for the comparison",
    "caution": "read the numbers with this in mind",
    "note": "worth knowing",
}
"""Severity -> what it asks of a reader; the most severe first."""


AFRESH: Final = (
    "Run a changed file in a new folder (`bakeoff run FILE --into FOLDER`): in the old one it raises changed-after-looking or "
    "undeclared-runs."
)


@dataclass(frozen=True)
class Entry:
    """What is said of one warning; `bakeoff explain NAME` prints it."""

    severity: Severity
    means: str
    why: str
    what_to_do: str
    was: str = ""
    """The code that stood for the warning before warnings had names; empty for one that is younger."""


CATALOGUE: Final[dict[str, Entry]] = {
    "unreliable-scores": Entry(
        "invalid",
        "Predictions are missing, damaged or of other examples; or the same batch, predicted twice, gave different logits; or "
        "a recorded score is not what the recorded predictions give.",
        "A score that evaluation itself got wrong says nothing about the strategy.",
        "`bakeoff rescore` computes every score anew from the recorded predictions. Put the model into evaluation mode in "
        "'predict', or correct the trainer, and raise its 'version'. " + AFRESH,
        "S17",
    ),
    "different-data": Entry(
        "invalid",
        "Rows were scored on other examples, another split or other label names than the baseline.",
        "Scores on different examples differ for the examples' sake, by more than most strategies differ.",
        "Measure all rows on one split of one version of the data. " + AFRESH,
        "S3",
    ),
    "different-metrics": Entry(
        "invalid",
        "Figures under one name come from two versions of a metric, or a figure is not of the metric that it is called by: it "
        "is outside the metric's range, is exactly another metric's majority baseline, or no confusion matrix gives it (GRIM).",
        "Two metrics have two scales; the difference of their values means nothing.",
        "`bakeoff rescore` computes one version for all rows; for a published figure, look up what was computed.",
        "S9",
    ),
    "different-checkpoint": Entry(
        "invalid",
        "Training did not start from the baseline's weights, tokenizer or configuration, though the model is not under test.",
        "What earlier training gave to one side would be credited to its strategy.",
        "Start all rows from one checkpoint, or name 'model' in 'under_test'. " + AFRESH,
        "S7",
    ),
    "recipe-not-followed": Entry(
        "invalid",
        "The optimizer was seen to do otherwise than the row's recipe asks: in eps, weight decay, clipping or learning rate.",
        "The row is not what its name says, so a result cannot be credited to its recipe.",
        "Correct the trainer or the method and raise its 'version', or ask in the recipe for what is done. " + AFRESH,
        "S6",
    ),
    "confounded": Entry(
        "caution",
        "Effective recipes differ in something that is not under test: 'under_test' does not name it, or, without that key, no "
        "strategy spells it out.",
        "The difference in score may come from that as well as from the strategy.",
        "Make the values equal; where they are what you study, name them in 'under_test'. " + AFRESH,
        "S6",
    ),
    "data-leakage": Entry(
        "caution",
        "Examples of a scored split read like examples of the training split, apart from case and spaces.",
        "There a score rewards memory, for all rows alike; it is too high as a measure of generalisation.",
        "Report their number beside the scores, or drop these examples from the training split. " + AFRESH,
        "S15",
    ),
    "selection-bias": Entry(
        "caution",
        "The best of several states of the model, or of several configurations, was picked on the very split that is reported.",
        "The maximum of several noisy scores is too high by luck alone; the warning says by how much.",
        "Report another split, or use 'select: last-epoch'. " + AFRESH,
        "S2",
    ),
    "changed-after-looking": Entry(
        "caution",
        "Seeds, looks or strategies, or margin, metric, split, baseline or 'under_test' changed, when results of the "
        "experiment had been recorded already. It is not raised where an experiment changes before its first result.",
        "Who may stop, or choose, when the results please finds too many differences. Where seeds or looks changed, p-values "
        "and verdicts are withheld; where the question changed, verdicts are marked so.",
        "Report it beside the result. For p-values that hold, settle the terms first, and declare new seeds, at best with "
        "looks (`seeds: {looks: [3, 5, 8, 12, 20], first: 100}`): what is recorded is a pilot only. " + AFRESH,
        "S11",
    ),
    "failed-runs": Entry(
        "caution",
        "Runs failed, and so count in no mean.",
        "A row that fails where it does badly looks better than it is.",
        "Read why they failed, correct it, and make them again with `bakeoff run FILE --retry failed`.",
        "S11",
    ),
    "missing-runs": Entry(
        "caution",
        "Declared runs have no record, or one that is damaged.",
        "A mean over the runs that happen to be there misleads, above all where those that are missing went badly.",
        "`bakeoff run FILE` makes what is missing, and makes damaged records again.",
        "S11",
    ),
    "undeclared-runs": Entry(
        "caution",
        "The folder holds records of runs that the experiment does not declare; they are left out.",
        "They may be runs whose results did not please.",
        "Move them away and report it, or declare their strategies and seeds in the experiment file. " + AFRESH,
        "S11",
    ),
    "collapsed-runs": Entry(
        "caution",
        "Runs always give one answer, or nearly: others on no more examples than noise on one in a hundred gives (of numbers: "
        "at most a hundredth of the labels' variance), and these know nothing of the labels. Or a published figure is the "
        "majority baseline to its last digit.",
        "A mean over runs that learned and runs that did not describes neither. Scores, verdicts and ranks are of the runs "
        "that learned; how often runs collapse or fail stands beside them, and what may be said of all runs.",
        "Report how often it happens beside the mean. A warm-up or a lower learning rate for all rows alike often prevents it. "
        + AFRESH,
        "S10",
    ),
    "not-above-majority": Entry(
        "caution",
        "Rows that learned something are not shown to score better than the majority baseline does on the same examples: "
        "one-sided p of 0.05 or more, or, of a metric that is no ratio of sums, a 95 % interval that holds its score.",
        "They may be no better than always giving the most frequent answer, so that a difference between them says little.",
        "Report the majority baseline beside them; train longer or with another learning rate, all rows alike. " + AFRESH,
        "S10",
    ),
    "hardly-learned": Entry(
        "caution",
        "A row whose mean has come less than a quarter of the way from the majority baseline to the best row, its 95 % "
        "interval less than half, by training in steps with one configuration, which nothing searched.",
        "A learning rate that is too low, or too few steps, looks just like a method that is no good: what is shown of such a "
        "row is shown of its recipe.",
        "Let every strategy search its learning rate, or train longer, all rows alike. " + AFRESH,
    ),
    "made-elsewhere": Entry(
        "caution",
        "Runs of a row were imported as predictions: nothing of how they were trained was observed here.",
        "Which rows, labels and tries went into them is what somebody says of them. Rows of the test may have been among what "
        "they were trained on or chosen by; seeds may have been selected; and they have no times and no memory.",
        "Ask for what was done, and keep it beside the file. Better, let the script itself take part (`bakeoff new command "
        "train.py`): then rows, seeds, time and memory are the harness's. " + AFRESH,
    ),
    "unequal-budgets": Entry(
        "caution",
        "A row had more than 1.25 times as many tries, or training examples in all, as another row that it is ranked against.",
        "The best of more tries is better by luck alone, and longer training may be better for that alone.",
        "Give every row as many tries and equal training, or name the length in 'under_test' and compare at equal cost. "
        + AFRESH,
        "S4",
    ),
    "identical-runs": Entry(
        "caution",
        "Two seeds of a row ended with the same weights or the same answers; or two rows that ask for different things gave "
        "the same answers throughout.",
        "One run counted twice makes intervals too narrow; a setting that was ignored is not compared.",
        "See whether the trainer follows the seed or the setting: `bakeoff parity` compares two strategies step by step.",
        "S15",
    ),
    "unpaired-seeds": Entry(
        "caution",
        "At equal seeds the order of the data, or the start of the new parameters, is not the baseline's.",
        "Pairing by seed then removes no noise, and the start may favour one side.",
        "Let the trainer take its batches from the job and leave the weights alone before the first step. " + AFRESH,
        "S5",
    ),
    "machine-changed": Entry(
        "caution",
        "Runs were made on more than one hardware class, or a fixed piece of work took over 10 % longer at another time.",
        "Times cannot be compared, and scores may differ in rounding.",
        "Make all runs on one quiet machine, in one call, or name 'hardware' in 'under_test'. " + AFRESH,
        "S8",
    ),
    "software-changed": Entry(
        "caution",
        "Runs were made with more than one version of a distribution, or a plugin's source changed under one version.",
        "A change of scores or times would pass for the strategy's doing.",
        "Make all runs in one environment, or name 'software' in 'under_test'; raise an edited plugin's 'version'. " + AFRESH,
        "S8",
    ),
    "few-seeds": Entry(
        "caution",
        "A row has under 3 seeds, so that nothing is known of the spread; or under 4 (6 where they are paired), so that "
        "no p-value of the exact test over seeds can fall below 0.05.",
        "A difference between few runs may be the seeds' doing.",
        "Settle a number first (`bakeoff plan FILE --resolve POINTS`) and declare so many new seeds. " + AFRESH,
        "S1",
    ),
    "skewed-seeds": Entry(
        "caution",
        "The seeds of a row differ, beyond the examples' part, by 30 % or more of its distance from the end of the metric's "
        "range.",
        "Then most runs lie close to the end and a few far from it, and few runs seldom show those: the row looks better and "
        "steadier than it is. A difference is called better or worse only where a test that allows for it (two lognormal "
        "means) shows it too; the interval and the detectable difference do not allow for it.",
        "Ten seeds and more, or examples that are harder; or a metric without such an end. " + AFRESH,
    ),
    "multiple-comparisons": Entry(
        "caution",
        "A p-value is below 0.05 alone, and not once it is adjusted by Holm for the comparisons to the baseline.",
        "Among many comparisons one such p-value is likely by chance.",
        "Declare fewer strategies, or new seeds. " + AFRESH,
        "S13",
    ),
    "few-examples": Entry(
        "caution",
        "A difference beyond the margin is smaller than what so few test examples can show.",
        "No gain follows from it, and no loss.",
        "Use a larger test split; `bakeoff plan FILE --resolve POINTS` says how many examples it takes.",
        "S16",
    ),
    "small-margin": Entry(
        "caution",
        "The margin is less than one example of the reported split is worth.",
        "Scores move by whole examples: only equal ones lie within such a margin, and nearly nothing can be shown equivalent.",
        "Declare a margin of one example or more, or report a larger split. " + AFRESH,
    ),
    "negligible-difference": Entry(
        "note",
        "A difference is significant and inside the margin; or two published figures differ by less than the margin.",
        "A difference that is there need not matter.",
        "Judge by the interval and the margin, not by p; choose by cost.",
        "S12",
    ),
    "inconclusive": Entry(
        "note",
        "A difference is not significant, and equality within the margin is not shown either, though the seeds are many enough "
        "and nothing else differs.",
        "Not significant does not mean equal: the design could only have found a larger difference.",
        "`bakeoff plan FILE --resolve POINTS` says how many seeds and examples it takes.",
        "S12",
    ),
    "published-figures": Entry(
        "note",
        "Figures were copied from elsewhere; they are shown, and enter no test.",
        "Other code, data or machines may stand behind them.",
        "Run their recipe here, as a strategy of the experiment.",
        "S14",
    ),
}
"""Name -> entry, the most severe first, of one severity the most important first: the order of every output."""

RANK: Final = {name: place for place, name in enumerate(CATALOGUE)}


def no_such_warning(name: str, *, also: Iterable[str] = ()) -> BakeoffError:
    """The error for a name that no warning has. It tells the new names of an old code such as `S4`, else the nearest name.
    also: what else may be named."""
    now = [new for new, entry in CATALOGUE.items() if entry.was and entry.was == name.upper()]
    return BakeoffError(f"{name} is now {listed(now)}" if now else did_you_mean("name", name, [*CATALOGUE, *also]))
