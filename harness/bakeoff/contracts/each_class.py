"""Compact JSON for a metric that is computed for every class: `f1 (red)`, `f1 (blue)`, ... become one metric `f1` with a list
of scores in the order of the labels.

`gathered` makes a record compact and `spread` undoes that; both take the record as plain JSON data. Metrics that are not
computed for every class stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

EACH: Final = "each"
"""A metric's `label`, in place of a label's number, where the metric stands for one score of every class."""

Plain = dict[str, Any]


def of_class(metric: str, label: str) -> str:
    """The name of a metric of one class: `f1 (spam)`."""
    return f"{metric} ({label})"


def gathered(record: Plain) -> Plain:
    """The record with each family of metrics (one metric for every class) as a single metric; `spread` is the inverse."""
    data = record.get("data")
    if not data or not data["metrics"]:
        return record
    labels, metrics, names = data["labels"], list[Plain](), dict[str, list[str]]()
    rest, taken = list(data["metrics"]), {facts["name"] for facts in data["metrics"]}
    while rest:
        family = _family(rest, labels)
        family = None if family and family["name"] in taken else family
        metrics.append(family or rest[0])
        if family:
            names[family["name"]] = [facts["name"] for facts in rest[: len(labels)]]
        rest = rest[len(labels) if family else 1 :]
    found = _with(
        record,
        metrics,
        majority_baseline={split: _listed(scores, names) for split, scores in data["majority_baseline"].items()},
        scores={split: _listed(scores, names) for split, scores in record["scores"].items()},
    )
    return found if names and spread(found) == record else record


def spread(record: Plain) -> Plain:
    """The record in which each metric that `gathered` combined is one metric for every class again."""
    data = record.get("data")
    if not isinstance(data, dict):
        return record
    metrics, labels = data.get("metrics"), data.get("labels")
    if not isinstance(metrics, list) or not isinstance(labels, list):
        return record
    names, found = dict[str, list[str]](), list[Any]()
    for facts in metrics:
        if isinstance(facts, dict) and facts.get("label") == EACH and isinstance(facts.get("name"), str):
            names[facts["name"]] = [of_class(facts["name"], label) for label in labels]
            found += [{**facts, "name": name, "label": number} for number, name in enumerate(names[facts["name"]])]
        else:
            found.append(facts)
    if not names:
        return record
    by_split = {
        key: {split: _named(scores, names) for split, scores in splits.items()} if isinstance(splits, dict) else splits
        for key, splits in (("majority_baseline", data.get("majority_baseline")), ("scores", record.get("scores")))
    }
    return _with(record, found, **by_split)


def _family(metrics: Sequence[Plain], labels: Sequence[str]) -> Plain | None:
    """A metric that stands for the first len(labels) of `metrics`, if they are one metric of each label, in the labels' order;
    otherwise None."""
    first, ending = metrics[0], of_class("", labels[0]) if labels else ""
    base = first["name"].removesuffix(ending)
    if len(labels) < 2 or base == first["name"]:
        return None
    members = [{**first, "name": of_class(base, label), "label": number} for number, label in enumerate(labels)]
    return {**first, "name": base, "label": EACH} if members == list(metrics[: len(labels)]) else None


def _with(record: Plain, metrics: Sequence[Any], *, majority_baseline: Any, scores: Any) -> Plain:
    return {**record, "data": {**record["data"], "metrics": metrics, "majority_baseline": majority_baseline}, "scores": scores}


def _listed(scores: Plain, names: Mapping[str, Sequence[str]]) -> Plain:
    """Metric -> score, or a list of scores for a family of metrics that all have one. names: family -> names of its metrics."""
    whole = {base: members for base, members in names.items() if base not in scores and all(name in scores for name in members)}
    taken = {name for members in whole.values() for name in members}
    lists = {base: [scores[name] for name in members] for base, members in whole.items()}
    return {name: score for name, score in scores.items() if name not in taken} | lists


def _named(scores: Any, names: Mapping[str, Sequence[str]]) -> Any:
    if not isinstance(scores, dict):
        return scores
    found = dict[str, Any]()
    for name, score in scores.items():
        if name in names and isinstance(score, list) and len(score) == len(names[name]):
            found |= dict(zip(names[name], score, strict=True))
        else:
            found[name] = score
    return found
