"""Finds a metric by its name in an experiment file or record, and describes a metric for a record."""

from __future__ import annotations

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Metric, MetricChoice, MetricFacts, called
from bakeoff.contracts.metrics import BUILT_IN, OF_ONE_LABEL, OfEachLabel, OfOneLabel
from bakeoff.contracts.unit import CORRELATION, OWN_UNIT, PERCENT, SHARE, Unit
from bakeoff.errors import DataError
from bakeoff.text.words import quoted

UNITS: dict[str, Unit] = {"share": SHARE, "percent": PERCENT, "correlation": CORRELATION}
"""Value of `unit` in an experiment file -> unit of a hub metric."""


def metric_named(choice: str | MetricChoice) -> Metric:
    """The metric that an experiment file asks for: the built-in one of that name, else the one of the hub. Raises
    DataError for a key of the choice that does not apply to the metric."""
    choice = MetricChoice(name=choice) if isinstance(choice, str) else choice
    kind, name = BUILT_IN.get(choice.name), choice.name
    if kind is None:
        if choice.positive is not None or choice.of is not None:
            raise DataError(f"metric {quoted(name)} comes from the hub and has no class: leave `positive` and `of` out")
        return HubMetric(name, better=choice.better, unit=UNITS[choice.unit] if choice.unit else OWN_UNIT)
    if choice.better is not None or choice.unit is not None:
        raise DataError(f"metric '{name}' is built in: `better` and `unit` are for metrics of the hub")
    if issubclass(kind, OfOneLabel):
        return OfEachLabel(kind) if choice.of else kind(choice.positive)
    if choice.positive is not None or choice.of is not None:
        raise DataError(f"metric '{name}' is of all classes: `positive` and `of` are for {', '.join(OF_ONE_LABEL)}")
    return kind()


def recorded_metric(facts: MetricFacts, kind: Kind) -> Metric | None:
    """The built-in metric that a record names, fitted to a task of this kind; None for a metric that is not built in."""
    known = BUILT_IN.get(called(facts))
    if known is None:
        return None
    if issubclass(known, OfOneLabel):  # a record without the number is of a schema in which it was the second label's
        return known.numbered(1 if facts.label is None else facts.label, facts.name, kind)
    return known().fitted(kind, (), None)[0]


def unit_of(facts: MetricFacts) -> Unit:
    """A recorded metric's unit: the recorded one, else that of the built-in metric of its name and version, else OWN_UNIT."""
    if facts.unit is not None:
        return facts.unit
    known = BUILT_IN.get(called(facts))
    return known.unit if known is not None and known.version == facts.version else OWN_UNIT


def facts_of(metric: Metric) -> MetricFacts:
    """What a record stores about a metric. Its unit is left out (None) where `unit_of` finds that unit by name and version."""
    bare = MetricFacts(
        name=metric.name, higher_is_better=metric.higher_is_better, version=metric.version, label=label_of(metric)
    )
    return bare if unit_of(bare) == metric.unit else bare.model_copy(update={"unit": metric.unit})


def label_of(metric: Metric) -> int | None:
    """The number of the label that a metric is about; None where it is about all labels."""
    return metric.number if isinstance(metric, OfOneLabel) else None
