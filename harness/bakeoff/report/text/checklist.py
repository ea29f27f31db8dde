"""Answers to the items on experiments of the NeurIPS paper checklist, from the records: `checklist.md`.

The questions are told in our own words, by the numbers of the checklist of 2024 to 2026 (`SOURCE`). Every figure comes from
records; what they do not hold is said to be unknown, and listed at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.recipes import COMPONENTS, OWNED
from bakeoff.analysis.results import Row
from bakeoff.analysis.row_scores import ONE_RUN, SEED_FREE, SEEDS_AND_EXAMPLES
from bakeoff.analysis.summary.spent import Spent, mean_seconds
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Record, Search
from bakeoff.report.caption import SIZES
from bakeoff.report.cells import score_cell, seconds, time_cell
from bakeoff.report.looks import look_sentences
from bakeoff.text.markdown import Column, as_markdown, grid, item, level, paragraph, prose
from bakeoff.text.numbers import DASH, count, duration, mebibytes, with_decimals
from bakeoff.text.values import grouped, listed, options_in_words, seeds_spelt, spelt
from bakeoff.version import DOCUMENTATION

SOURCE: Final = "https://neurips.cc/public/guides/PaperChecklist"

HOW: Final = {
    SEEDS_AND_EXAMPLES: "the variance of the mean over seeds plus that over examples, from the seeds x examples table, with "
    "Student's t on the logit scale of the metric's range; for a metric that is no ratio of sums over examples, from a "
    "bootstrap of the examples",
    ONE_RUN: "the sampling of the test examples alone, not the training: Wilson's interval for a share of right examples, else "
    "a bias-corrected bootstrap or, with many examples, the delta method",
    SEED_FREE: "the sampling of the test examples alone, since the training does not depend on the seed: Wilson's interval for "
    "a share of right examples, else a bias-corrected bootstrap or, with many examples, the delta method",
}
"""What an interval covers (`Score.method`) -> how it was made."""


JOULES: Final = 3.6e6
"""In a kilowatt-hour."""


@dataclass
class _Page:
    """The page so far, and what turned out to be unknown."""

    comparison: Comparison
    experiment: Experiment
    spent: Sequence[Spent]
    lines: list[str] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)

    @property
    def groups(self) -> list[ComparisonGroup]:
        return self.comparison.every_group

    @property
    def all_records(self) -> list[Record]:
        """Those of reported runs and of trials."""
        return [*self.experiment.records, *self.experiment.trials.values()]

    def section(self, title: str, question: str) -> None:
        self.lines += ["", f"## {title}", "", *paragraph(f"*{question}*"), ""]

    def group_title(self, group: ComparisonGroup) -> None:
        if len(self.groups) > 1:
            self.lines += ["", f"### {as_markdown(group.title)}", ""]

    def tell(self, label: str, parts: Iterable[str]) -> None:
        """Adds `label: parts` as a list item; nothing where there are no parts."""
        if found := ", ".join(filter(None, parts)):
            self.lines += item(f"**{label}**: {as_markdown(found)}")

    def sentence(self, text: str) -> None:
        self.lines += item(prose(text))

    def not_known(self, label: str, what: str) -> None:
        """Says that `label` is unknown, and adds `what` to the list of what the authors have to add."""
        self.lines += item(f"**{label}**: unknown; {as_markdown(what)}")
        self.unknown[what] = None

    def table(self, columns: Sequence[Column]) -> None:
        self.lines += [*grid(columns), ""]


def write_checklist(comparison: Comparison, experiment: Experiment, spent: Sequence[Spent]) -> str:
    """The text of `checklist.md`. spent: what all runs took, as `summary.spent.spent` finds it."""
    page = _Page(comparison, experiment, spent)
    page.lines += [f"# Checklist: {as_markdown(comparison.title)}", ""]
    page.lines += paragraph(
        as_markdown(
            "Answers to those items of the NeurIPS paper checklist that are about experiments, written from the records of the "
            f"runs. The questions are told in other words, and the checklist itself is at {SOURCE}. Whether an answer is yes "
            "or no is for the authors to say."
        )
    )
    for section in (_reproduction, _data_and_code, _setting, _significance, _compute, _licences):
        section(page)
    page.lines += ["", "## What the records do not tell", ""]
    for what in page.unknown:
        page.lines += item(as_markdown(what[0].upper() + what[1:]) + ".")
    page.sentence("What was tried outside this experiment's folder, and what that took: state it yourself.")
    return "\n".join(page.lines) + "\n"


def _reproduction(page: _Page) -> None:
    page.section("Item 4: reproducing the results", "Is everything told that somebody needs to make the main results again?")
    experiment, declared = page.experiment, page.comparison.declared
    page.tell("Experiment file", map(str, experiment.spec_paths))
    for line in page.comparison.commands:
        page.sentence(f"`{line}`" if line.startswith("bakeoff ") else line)
    recorded, failed = len(experiment.records), sum(record.status != "ok" for record in experiment.records)
    missing = len({run.id for run in declared.runs} - {record.id for record in experiment.records})
    page.tell(
        "Runs",
        [
            f"{recorded:,} of {len({run.id for run in declared.runs}):,} declared runs are recorded",
            f"{failed:,} of them failed" if failed else "none failed",
            f"{missing:,} not made (with declared looks, perhaps not needed)" if missing else "",
        ],
    )
    for seeds, names in grouped((seeds_spelt(row.needed), row.strategy) for group in page.groups for row in group.rows).items():
        page.tell("Seeds", [f"{seeds or 'none'} of {listed(dict.fromkeys(names))}"])
    for sentence in _software(page.all_records):
        page.tell("Software", [sentence])
    page.sentence(
        "Each run's record holds its seed, its resolved recipe, hashes of its rows, its first and its final weights, and its "
        "predictions."
    )


def _software(records: Sequence[Record]) -> Iterator[str]:
    """The versions of all software, of each state of it with how many runs had it where there are several."""
    states = grouped((tuple(sorted(record.environment.software.items())), record) for record in records)
    for state, own in states.items():
        told = ", ".join(f"{name} {version}" for name, version in state)
        yield told if len(states) == 1 else f"in {count(len(own), 'run')}: {told}"


def _data_and_code(page: _Page) -> None:
    page.section("Item 5: data and code", "Can others get the data and the code?")
    declared = page.comparison.declared
    for task, (group, *_) in grouped((group.task, group) for group in page.groups).items():
        dataset, label = declared.hub_datasets.get(task), f"Data, {as_markdown(group.task_title)}"
        if dataset is not None:
            page.tell(label, [_address(dataset)])
        elif group.data and group.data.source_versions:
            sources = [f"{name} {version}" for name, version in group.data.source_versions.items()]
            page.tell(label, ["read from installed packages", *sources])
        else:
            page.not_known(label, f"say where others get the rows of {group.task_title}, or why they can't")
    models = {
        record.requested.model_label: record.made_from.commit
        for record in page.all_records
        if record.requested.model_label and record.requested.model is not None
    }
    for label, commit in models.items():
        title = declared.titles.model(label)
        page.tell(f"Model, {as_markdown(title)}", [label, f"commit {commit} of its repository on the hub" if commit else ""])
    parts = dict.fromkeys(part for group in page.groups for own in group.components.values() for part in own)
    page.tell("Code", parts)
    what = "say where you publish the experiment file, the records and any code of your own"
    page.not_known("Where the experiment file and the records are", what)


def _address(dataset: HubDataset) -> str:
    parts = [f"https://huggingface.co/datasets/{dataset.id}"]
    parts += [f"configuration {dataset.config}"] if dataset.config else []
    return ", ".join([*parts, f"commit {dataset.revision}" if dataset.revision else "commit unknown"])


def _setting(page: _Page) -> None:
    page.section(
        "Item 6: the setting",
        "Which rows were trained on and tested on, with which hyper-parameters, and how were these chosen?",
    )
    for group in page.groups:
        page.group_title(group)
        _splits(page, group)
        _hyper_parameters(page, group)
        for row in group.rows:
            page.sentence(_choice(page, group, row))
    for earlier in page.comparison.declared.history:
        changes = [f"{change.what} from {change.before} to {change.after}" for change in earlier.changes]
        page.sentence(
            f"After {count(earlier.recorded, 'run')} had been recorded, the experiment was changed ({earlier.when}): "
            f"{'; '.join(changes) or 'its seeds or strategies'}."
        )


def _splits(page: _Page, group: ComparisonGroup) -> None:
    if group.data is None:
        page.not_known("Splits", f"no run of {group.title} got as far as loading its rows")
        return
    splits, select = group.data.splits, selection_split(group.data.splits)
    own = [one for one in page.all_records if one.requested.task_label == group.task]
    chosen = bool(group.searches) or any(one.used_dev or one.selection is not None for one in own)
    roles = {"train": "trained on", group.split: "reported"}
    if chosen:
        roles[select] = "selected on, and reported" if select == group.split else "selected on"
    overlap = group.data.overlap
    columns = [
        Column("split", [as_markdown(name) for name in splits], "left"),
        Column("examples", [f"{one.examples:,}" for one in splits.values()]),
        Column("labels", ["yes" if one.labelled else "no" for one in splits.values()], "left"),
        Column("use", [roles.get(name, "predicted") for name in splits], "left"),
        Column(
            "of them also in train",
            [DASH if name == "train" else "unknown" if overlap is None else f"{overlap.get(name, 0):,}" for name in splits],
        ),
        Column("SHA-256 of the rows", [one.fingerprint[:16] for one in splits.values()], "left"),
    ]
    page.table(columns)


def _hyper_parameters(page: _Page, group: ComparisonGroup) -> None:
    """What all strategies share as a list item, and a table of what differs; as observed in training where it was."""
    elsewhere = {*COMPONENTS, OWNED, *SIZES}
    page.tell("The same in all", [f"{name} {value}" for name, value in group.equal.items() if name not in elsewhere])
    if not group.differing:
        return
    if page.lines[-1]:
        page.lines.append("")
    page.table(
        [
            Column("strategy", [as_markdown(row.title) for row in group.rows], "left"),
            *(
                Column(as_markdown(subject), [as_markdown(row.recipe.get(subject, DASH)) for row in group.rows], "left")
                for subject in group.differing
            ),
        ]
    )


def _choice(page: _Page, group: ComparisonGroup, row: Row) -> str:
    """How a strategy's hyper-parameters were chosen."""
    search, found = page.comparison.declared.searches.get(row.strategy), group.searches.get(row.strategy)
    if search is None or found is None:
        before = page.comparison.declared.trials.get(row.strategy, 1)
        told = f"{before:,} configurations were tried before, as the file says" if before > 1 else "no search was made"
        return f"{row.strategy}: its hyper-parameters were written into the experiment file, and {told}."
    tried = sum(one.ended + one.failed for one in found.configurations)
    chosen = [options_in_words(one.values) for one in found.configurations if one.chosen]
    return (
        f"{row.strategy}: a search over {_space(search)}, {count(len(found.configurations), 'configuration')} in "
        f"{count(tried, 'trial')} at seeds {seeds_spelt(search.seeds)}, chose by {search.choose} (split {found.split}): "
        f"{listed(chosen) or 'nothing yet'}."
    )


def _space(search: Search) -> str:
    """What a search tries, in words: lists of values, and ranges that points of a Sobol sequence are drawn from."""
    parts = []
    for key, values in search.grid.items():
        if ends := search.ranges.get(key):
            scale = " on a logarithmic scale" if ends.get("log") else ""
            parts.append(f"{key} from {spelt(ends.get('low'))} to {spelt(ends.get('high'))}{scale}")
        else:
            parts.append(f"{key} of {spelt(values)}")
    return listed(parts)


def _significance(page: _Page) -> None:
    page.section(
        "Item 7: statistical significance",
        "Are there error bars, what variation do they cover, how were they computed, and under which assumptions?",
    )
    for group in page.comparison.groups:
        page.group_title(group)
        rows, figures = group.ranked, group.figures
        scores = [group.score(row) for row in rows]
        page.table(
            [
                Column("strategy", [as_markdown(row.title) for row in rows], "left"),
                Column(as_markdown(f"{group.split} {group.metric}"), level([score_cell(score, figures) for score in scores])),
                Column("95 % interval", [(score and figures.range(score.low, score.high)) or DASH for score in scores]),
                Column("it covers", [(score and score.method) or DASH for score in scores], "left"),
                Column("runs", [str(len(row.averaged)) if row.scored else "0" for row in rows]),
                Column("collapsed or failed", [row.unlearned.words if row.unlearned else DASH for row in rows]),
            ]
        )
        unit = group.unit.words
        page.sentence(
            f"Scores are means over runs{f', in {unit}' if unit else ''}; ± is the sample standard deviation over seeds, not "
            "the standard error."
        )
        for method in dict.fromkeys(score.method for score in scores if score and score.method):
            page.sentence(f"The interval over {method} is made from {HOW.get(method, 'what it covers')}.")
        _pairs(page, group)
        for sentence in look_sentences(group, page.comparison.commands):
            page.sentence(sentence)
    if not page.comparison.groups:
        page.sentence("No run has a score on the reported split, so there are no error bars.")
    page.tell("Methods, their assumptions, and what was measured of them", [f"{DOCUMENTATION}/statistics.md"])


def _pairs(page: _Page, group: ComparisonGroup) -> None:
    """How the differences to the baseline were tested."""
    if not group.to_baseline:
        return
    tested = [pair for pair in group.to_baseline if pair.p_adjusted is not None]
    margin = "none was declared" if group.margin is None else group.figures.as_declared(group.margin)
    methods = listed(dict.fromkeys(pair.method for pair in tested))
    paired = sum(pair.paired for pair in tested)
    adjusted = (
        "scaled to the level of the look"
        if group.looks
        else "adjusted by Holm over these, rows with identical predictions counting once"
    )
    page.sentence(
        f"{count(len(tested), 'difference')} to {group.against} tested ({methods or 'nothing to test'}; "
        f"{paired} of them paired by seed); p-values are {adjusted}; margin of equivalence: {margin}."
    )
    for pair in group.to_baseline:
        page.sentence(pair.told)


def _compute(page: _Page) -> None:
    page.section(
        "Item 8: compute",
        "On what machines did the runs run, how long did each take, and what did the whole experiment take, with all that is "
        "not reported?",
    )
    by_id = {record.id: record for record in page.experiment.records}
    for group in page.groups:
        page.group_title(group)
        runs = page.comparison.declared.groups.get((group.task, group.model), [])
        own = grouped((run.strategy, by_id[run.id]) for run in runs if run.id in by_id and by_id[run.id].status == "ok")
        rows, columns = group.rows, []
        whole = [mean_seconds(own.get(row.strategy, ())) for row in rows]
        columns.append(Column("strategy", [as_markdown(row.title) for row in rows], "left"))
        columns.append(Column("runs", [str(len(row.scored)) for row in rows]))
        columns.append(Column("seconds of a run", [seconds(one) for one in whole]))
        columns.append(Column("training s", level([time_cell(row.train_seconds, comparable=True) for row in rows])))
        columns.append(Column("peak MiB", [mebibytes(row.peak_memory_bytes) for row in rows]))
        columns.append(Column("peak device MiB", [mebibytes(row.peak_device_memory_bytes) for row in rows]))
        page.table(columns)
    for text in dict.fromkeys(_machine(record) for record in page.all_records):
        page.tell("Machine", [text])
    if page.lines[-1]:
        page.lines.append("")
    if page.spent:
        _in_all(page)
    joules = [record.cost.energy_joules for record in page.all_records if record.cost and record.cost.energy_joules is not None]
    if joules:
        page.tell(
            "Energy",
            [f"{with_decimals(sum(joules) / JOULES, 3)} kWh, measured in {len(joules)} of {len(page.all_records)} runs"],
        )
    else:
        page.not_known("Energy", "how much energy the runs took, if it is asked for: no run measured it")
    left_out = [
        f"{count(page.experiment.foreign, 'record')} in the folder that no plan names" if page.experiment.foreign else "",
        f"{count(len(page.experiment.damaged), 'record')} that can't be read" if page.experiment.damaged else "",
        "control runs, and what `bakeoff time` took",
    ]
    page.sentence(f"Not counted: {listed(filter(None, left_out))}.")


def _machine(record: Record) -> str:
    found = record.environment
    jobs = "" if found.jobs in (None, 1) else f", {found.jobs} runs at a time"
    return f"{found.hardware}, {found.device}, {mebibytes(found.memory_bytes)} MiB of memory, {found.system}{jobs}"


def _in_all(page: _Page) -> None:
    """The table of what all runs took, of each kind, with a sum."""
    everything = page.spent
    total = Spent(
        hardware="",
        what="all",
        runs=sum(one.runs for one in everything),
        seconds=sum(one.seconds for one in everything),
        unknown=sum(one.unknown for one in everything),
    )
    lines = [*everything, total]
    page.table(
        [
            Column("hardware", [as_markdown(one.hardware) for one in lines], "left"),
            Column("what", [one.what for one in lines], "left"),
            Column("runs", [f"{one.runs:,}" for one in lines]),
            Column("time", [duration(one.seconds) for one in lines]),
            Column("time unknown of", [f"{one.unknown:,}" if one.unknown else DASH for one in lines]),
        ]
    )
    if total.unknown:
        page.unknown[f"how long {count(total.unknown, 'run')} took that left no time in the records"] = None


def _licences(page: _Page) -> None:
    page.section("Item 12: licences", "Are the owners of data, models and code named, and the licences told?")
    declared = page.comparison.declared
    labels = {group.task: group.task_title for group in page.groups}
    labels |= {
        record.requested.model_label: declared.titles.model(record.requested.model_label)
        for record in page.all_records
        if record.requested.model_label
    }
    for label, title in labels.items():
        if licence := declared.licences.get(label):
            page.tell(as_markdown(title), [licence])
        else:
            page.not_known(as_markdown(title), f"the owner and the licence of {title}: the plan of the experiment tells none")
    page.tell("bakeoff", ["Apache-2.0"])
