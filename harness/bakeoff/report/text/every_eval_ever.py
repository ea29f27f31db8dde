"""Results in the schema of Every Eval Ever, a common format for evaluation results of all harnesses, version 0.3.0.

A file for each strategy with scores: the model, as it was trained by the strategy, and an entry for each split and metric with
the mean over runs, its standard error, its interval and the number of examples. Its path is the one that the collection's
datastore asks for. Texts of rows are in none.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.results import Row, Score
from bakeoff.contracts.metric import MetricFacts, called
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import CORRELATION, PERCENT, SHARE, Unit
from bakeoff.records.schema import Record
from bakeoff.report.text.hub_cards import file_name, model_title_of
from bakeoff.text.numbers import portable
from bakeoff.text.values import options_in_words, seeds_spelt
from bakeoff.text.words import escaped
from bakeoff.version import __version__

SCHEMA: Final = "0.3.0"
"""The version of the schema; a copy of it, with its licence, is in `tests/thirdparty/every-eval-ever`."""
UNKNOWN: Final = "unknown"
"""What the schema asks for where something is not known: the organisation, how a model is deployed, who can get its weights."""
LEVEL: Final = 0.95
UNITS: Final[tuple[tuple[Unit, str], ...]] = ((SHARE, "proportion"), (CORRELATION, "correlation"), (PERCENT, "percent"))
"""Unit of a metric -> the schema's word for it."""


def eee_files(
    comparison: Comparison, records: Sequence[Record], *, organisation: str = UNKNOWN, made_at: int
) -> dict[str, str]:
    """Path within the datastore -> JSON, of every strategy that has scores. The path of a strategy is the same at every export
    of the same runs, so that a later export replaces an earlier one.

    records: those of the comparison's runs. organisation: who trained and evaluated. made_at: now, in seconds since 1970.
    """
    files, names = dict[str, str](), set[str]()
    for group in comparison.groups:
        for row in group.ranked:
            runs = _runs(comparison, group, row, records)
            if not runs or not row.scores:
                continue
            name = file_name(f"{group.task}-{group.model}-{row.strategy}", "", names)
            names.add(name)
            model = f"{file_name(organisation, '', ())}/{name}"
            log = _log(comparison, group, row, runs, organisation=organisation, model=model, made_at=made_at)
            text = json.dumps(portable(log), indent=2, ensure_ascii=True, allow_nan=False)
            files[f"data/{file_name(f'bakeoff-{group.task}', '', ())}/{model}/{_uuid(runs)}.json"] = f"{text}\n"
    return files


def _runs(comparison: Comparison, group: ComparisonGroup, row: Row, records: Sequence[Record]) -> list[Record]:
    """The records that the row's scores are over, by seed."""
    declared = comparison.declared.groups.get((group.task, group.model), [])
    ids = {run.id for run in declared if run.strategy == row.strategy and run.seed in row.averaged}
    return sorted((record for record in records if record.id in ids), key=lambda record: record.requested.seed)


def _uuid(runs: Sequence[Record]) -> str:
    """A name of the form that the datastore asks for (UUID 4), made from the ids of the runs."""
    digest = hashlib.sha256("\n".join(record.id for record in runs).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _log(
    comparison: Comparison,
    group: ComparisonGroup,
    row: Row,
    runs: Sequence[Record],
    *,
    organisation: str,
    model: str,
    made_at: int,
) -> dict[str, Any]:
    """One file's content. model: its id, `organisation/name`."""
    newest = max(datetime.fromisoformat(record.started) for record in runs)
    evaluated = str(int(newest.timestamp()))
    software = runs[-1].environment.software
    made_here = all(record.timed != "nothing" for record in runs)
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{file_name(group.task, '', ())}/{model}/{made_at}",
        "evaluation_timestamp": evaluated,
        "retrieved_timestamp": str(made_at),
        "source_metadata": {
            "source_name": escaped(comparison.title),
            "source_type": "evaluation_run",
            "source_organization_name": escaped(organisation),
            "evaluator_relationship": "first_party" if made_here else "other",
            "additional_details": _texts(
                question=comparison.question, warnings=", ".join(row.warnings), hardware=runs[-1].environment.hardware
            ),
        },
        "eval_library": {"name": "bakeoff", "version": software.get("bakeoff", __version__)},
        "model_info": _model(group, row, runs, model),
        "evaluation_results": list(_results(comparison, group, row, evaluated)),
    }


def _model(group: ComparisonGroup, row: Row, runs: Sequence[Record], model: str) -> dict[str, Any]:
    """What was evaluated: a model as a strategy trained it. Weights that this harness built ran on the user's own machines;
    of a model that a trainer owns that is not known, nor is of any whether its weights were published."""
    first = runs[0]
    owned = any(record.owns_model for record in runs)
    weights, title = first.weights, " ".join(filter(None, (model_title_of(group, row), row.title)))
    return {
        "name": escaped(title),
        "id": model,
        "additional_details": {
            **_texts(
                base_model=first.requested.model_label,
                base_model_commit=first.made_from.commit,
                strategy=row.strategy,
                trainer=row.trainer,
                method=row.method,
                recipe=options_in_words(first.requested.recipe),
                seeds=seeds_spelt(row.averaged),
                parameters=weights.parameters_total if weights else None,
                trained_parameters=weights.parameters_trainable if weights else None,
            ),
            "deployment_type": UNKNOWN if owned else "self_deployed",
            "model_availability": UNKNOWN,
        },
    }


def _results(comparison: Comparison, group: ComparisonGroup, row: Row, evaluated: str) -> Iterator[dict[str, Any]]:
    """Yields an entry for each split and metric that the row has a score of, those of the reported split first."""
    for split in group.splits:
        for facts in group.metrics:
            score = row.score(split, facts.name)
            if score is None:
                continue
            yield {
                "evaluation_result_id": escaped(f"{split}/{facts.name}"),
                "evaluation_name": escaped(group.task_title),
                "source_data": _source(comparison, group, split),
                "evaluation_timestamp": evaluated,
                "metric_config": _metric(group, split, facts),
                "score_details": _score(group, row, split, facts, score),
            }


def _examples(group: ComparisonGroup, split: str) -> int | None:
    found = group.data.splits.get(split) if group.data else None
    return found.examples if found else None


def _source(comparison: Comparison, group: ComparisonGroup, split: str) -> dict[str, Any]:
    """Where the rows come from: the hub's dataset and split where the task declares them."""
    fingerprint = group.data.splits[split].fingerprint if group.data and split in group.data.splits else None
    dataset = comparison.declared.hub_datasets.get(group.task)
    examples, own = _examples(group, split), _texts(split=split, split_fingerprint=fingerprint)
    if dataset is None or split not in dataset.splits:
        more = own | _texts(samples_number=examples, hf_repo=dataset.id if dataset else None)
        return {"dataset_name": escaped(group.task_title), "source_type": "other", "additional_details": more}
    return {
        "dataset_name": escaped(group.task_title),
        "source_type": "hf_dataset",
        "hf_repo": dataset.id,
        "hf_split": escaped(dataset.splits[split]),
        **({} if examples is None else {"samples_number": examples}),
        "additional_details": own | _texts(hf_config=dataset.config, hf_revision=dataset.revision),
    }


def _metric(group: ComparisonGroup, split: str, facts: MetricFacts) -> dict[str, Any]:
    """The metric. Of one that declares no range at all, such as a metric of the hub, the range is left out as unknown."""
    unit, kind = unit_of(facts), escaped(called(facts))
    word = next((word for known, word in UNITS if known == unit), unit.name)
    found: dict[str, Any] = {
        "metric_id": kind,
        "metric_name": escaped(facts.name),
        "metric_kind": kind,
        "lower_is_better": not facts.higher_is_better,
        "additional_details": _texts(
            version=facts.version,
            score_of_majority_baseline=portable(group.majority_baseline_of(split, facts.name)),
        ),
    }
    if word:
        found["metric_unit"] = escaped(word)
    if facts.label is not None:
        labels = group.data.labels if group.data else []
        found["metric_parameters"] = {"label": escaped(labels[facts.label] if facts.label < len(labels) else facts.label)}
    if unit.low is not None or unit.high is not None:
        found["score_type"] = "continuous"
        found["min_score"] = "-Infinity" if unit.low is None else unit.low
        found["max_score"] = "Infinity" if unit.high is None else unit.high
    return found


def _score(group: ComparisonGroup, row: Row, split: str, facts: MetricFacts, score: Score) -> dict[str, Any]:
    """The mean over runs and how sure it is. Standard error and interval cover what `Score.method` says, usually seeds and
    examples; the standard deviation over seeds has no field in the schema, whose own is that of examples' scores."""
    uncertainty: dict[str, Any] = {}
    if score.se is not None:
        uncertainty["standard_error"] = {"value": score.se, "method": f"over {score.method}"}
    if score.low is not None and score.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": score.low,
            "upper": score.high,
            "confidence_level": LEVEL,
            "method": f"over {score.method}",
        }
    if uncertainty and (examples := _examples(group, split)) is not None:
        uncertainty["num_samples"] = examples
    pair = group.pairs.get(row.strategy) if (split, facts.name) == (group.split, group.metric) else None
    return {
        "score": score.mean,
        "details": _texts(
            runs=len(score.seeds),
            seeds=seeds_spelt(score.seeds),
            standard_deviation_over_seeds=portable(score.sd),
            runs_that_collapsed_or_failed=row.unlearned.words if row.unlearned and row.unlearned.number else None,
            against_baseline=pair.told if pair else None,
        ),
        **({"uncertainty": uncertainty} if uncertainty else {}),
    }


def _texts(**values: object) -> dict[str, str]:
    """The values as texts, which is what the schema takes as further details, without those that are None or empty."""
    return {name: escaped(value) for name, value in values.items() if value is not None and value != ""}
