"""Results for the Hugging Face hub: `.eval_results/*.yaml`, and the `model-index` of model cards.

Written by functions of huggingface_hub. Values are means over seeds in the metric's own unit (accuracy: 0 to 1); the notes
have interval, seeds and method. What the hub calls the dataset, its configuration and its split is known of tasks whose plugin
declares it (`Task.hub_dataset`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import chain, count

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.results import Row, Score
from bakeoff.contracts.metric import called
from bakeoff.text.numbers import portable, with_decimals
from bakeoff.text.values import seeds_spelt
from bakeoff.text.words import escaped

MADE_WITH = "made with bakeoff"
"""The end of all notes, by which `is_ours` knows files that Bakeoff wrote."""

TASK_TYPE = "text-classification"
"""The hub's name for all kinds of task so far, regression on texts included."""


def eval_results(comparison: Comparison) -> dict[str, str]:
    """File name -> YAML with a strategy's score by the primary metric on the reported split, a file for each strategy that has
    one, on tasks that declare their dataset on the hub.

    The hub links a result by dataset and task, which is the dataset's configuration; so there is one value for each, and tasks
    whose configuration, or reported split, is not known on the hub have no file.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]  # public, by a list of names

    files: dict[str, str] = {}
    for group, row, scores in _rows(comparison):
        dataset = comparison.declared.hub_datasets.get(group.task)
        if dataset is None or dataset.config is None or group.split not in dataset.splits or group.metric not in scores:
            continue
        score = scores[group.metric]
        entry = EvalResultEntry(
            dataset_id=dataset.id,
            task_id=escaped(dataset.config),
            dataset_revision=dataset.revision,
            value=portable(score.mean),
            notes=_notes(group, row, group.metric, score),
        )
        name = file_name(f"{group.task}-{group.model}-{row.strategy}", ".yaml", files)
        files[name] = yaml_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return files


def is_ours(content: bytes) -> bool:
    """Whether a file was written by `eval_results`: a list of scores whose notes end with `MADE_WITH`."""
    try:
        entries = YAML(typ="safe", pure=True).load(content)
    except (YAMLError, ValueError, RecursionError):
        return False
    if not isinstance(entries, list) or not entries:
        return False
    notes = [entry.get("notes") if isinstance(entry, dict) else None for entry in entries]
    return all(isinstance(note, str) and note.endswith(MADE_WITH) for note in notes)


def model_index(comparison: Comparison) -> str:
    """The YAML front matter of model cards: one document after the other, for each strategy that has scores."""
    from huggingface_hub import EvalResult, ModelCardData

    documents = []
    for group, row, scores in _rows(comparison):
        kinds = {facts.name: called(facts) for facts in group.metrics}
        dataset = comparison.declared.hub_datasets.get(group.task)
        results = [
            EvalResult(
                task_type=TASK_TYPE,
                dataset_type=dataset.id if dataset else escaped(group.task),
                dataset_name=escaped(group.task_title),
                dataset_config=escaped(dataset.config) if dataset and dataset.config else None,
                dataset_split=escaped(dataset.splits.get(group.split, group.split) if dataset else group.split),
                dataset_revision=dataset.revision if dataset else None,
                metric_type=escaped(kinds.get(metric, metric)),
                metric_name=escaped(metric),
                metric_value=portable(score.mean),
                metric_args={"notes": _notes(group, row, metric, score)},
            )
            for metric, score in scores.items()
        ]
        card = ModelCardData(
            model_name=escaped(" ".join(filter(None, (model_title_of(group, row), row.title)))), eval_results=results
        )
        documents.append(f"---\n{card.to_yaml()}\n")
    return "".join(documents)


def _model(group: ComparisonGroup, row: Row) -> str:
    """The label of the row's model, or the group's label where that says more, such as `(other weights)`; empty if the row's
    trainer owns its model."""
    label = str(row.facts.get("model", group.model))
    return group.model if label and group.model.startswith(f"{label} (") else label


def model_title_of(group: ComparisonGroup, row: Row) -> str:
    """What headings call the row's model; empty if the row's trainer owns its model."""
    label = _model(group, row)
    return group.model_title if label == group.model else label


def _rows(comparison: Comparison) -> Iterator[tuple[ComparisonGroup, Row, dict[str, Score]]]:
    """(group, row, metric -> score) of every row that has scores on the reported split, the primary metric first."""
    for group in comparison.groups:
        for row in group.ranked:
            scores = row.scores.get(group.split, {})
            if scores:
                order = sorted(scores, key=lambda metric: metric != group.metric)
                yield group, row, {metric: scores[metric] for metric in order}


def _notes(group: ComparisonGroup, row: Row, metric: str, score: Score) -> str:
    """What the score is the mean of, its interval and spread, and how it was obtained."""
    runs = len(score.seeds)
    parts = [f"{metric} on {group.split} ({group.examples:,} examples)"]
    if score.low is not None and score.high is not None:
        parts.append(f"95 % interval {with_decimals(score.low, 4)} to {with_decimals(score.high, 4)}, covering {score.method}")
    parts.append(f"{'mean of ' if runs > 1 else ''}{runs} seed{'s' if runs > 1 else ''} ({seeds_spelt(score.seeds)})")
    if row.unlearned and row.unlearned.number:
        parts.append(
            f"of the runs {'that learned' if row.learned else 'none learned'}: {row.unlearned.words} collapsed or failed"
        )
    if score.sd is not None:
        parts.append(f"standard deviation over seeds {with_decimals(score.sd, 4)}")
    made = [f"strategy {row.strategy}", *([f"model {model}"] if (model := _model(group, row)) else [])]
    if row.trainer and row.method:
        made += [f"trainer {row.trainer}", f"method {row.method}"]
    parts.append(", ".join(made))
    pair = group.pairs.get(row.strategy)
    if pair is not None and metric == group.metric:
        parts.append(pair.told.rstrip("."))
    return escaped("; ".join([*parts, MADE_WITH]))


def file_name(text: str, ending: str, taken: Container[str]) -> str:
    """A file name made from the text, without path separators and not among the names `taken`."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:100] or "row"
    names = chain([f"{stem}{ending}"], (f"{stem}-{number}{ending}" for number in count(2)))
    return next(name for name in names if name not in taken)
