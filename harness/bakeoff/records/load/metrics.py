"""The metrics of recorded runs, as far as they can be computed from predictions here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metric_lookup import label_of, recorded_metric
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.errors import PluginError
from bakeoff.kinds import kind_named
from bakeoff.records.schema import DeclaredRun, Record


def metrics_of(runs: Sequence[DeclaredRun], records: Iterable[Record]) -> dict[str, dict[str, Metric]]:
    """Task -> name -> metric: as the installed task defines it, else the built-in metric of that name."""
    by_id = {record.id: record for record in records}
    found: dict[str, dict[str, Metric]] = {}
    registry: Registry | None = None
    for run in runs:
        record = by_id.get(run.id)
        if run.task in found or record is None or record.data is None:
            continue
        registry = registry or load_registry()
        found[run.task] = metrics_of_run(record, registry)
    return found


def metrics_of_run(record: Record, registry: Registry) -> dict[str, Metric]:
    """Name -> metric, for the record of a run that had loaded its data; metrics that can't be computed here are omitted."""
    assert record.data is not None
    own, kind = _declared_metrics(record, registry), kind_named(record.data.kind)
    found = {
        # before its data are read, a task may know no label, and call what it asks of each class like a class named `each`
        facts.name: one if (one := own.get(facts.name)) and label_of(one) == facts.label else recorded_metric(facts, kind)
        for facts in record.data.metrics
    }
    return {name: metric for name, metric in found.items() if metric is not None}


def _declared_metrics(record: Record, registry: Registry) -> dict[str, Metric]:
    try:
        component = registry.get("task", record.requested.task.name).component
        if component.version != record.requested.task.version:
            return {}
        info = component.info(component.Options.model_validate(record.requested.task.options))
    except (PluginError, ValueError):  # not installed here, or with other options: records alone must do
        return {}
    return {metric.name: metric for metric in info.metrics}
