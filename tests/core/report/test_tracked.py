"""A record and a comparison as trackers show them."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from builders import component, failed, make_comparison, make_declaration, make_record, make_selection, make_steps

from bakeoff.contracts.tracker import SUMMARY
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import Record
from bakeoff.report.tracked import seconds_of, summary_digest, tracked_run, tracked_summary


def named(*records: Record) -> RunNames:
    return RunNames.declared(make_declaration(records))


def test_a_run_has_its_scores_costs_settings_and_tags() -> None:
    record = make_record(method=component("lora", r=8, targets=["query", "value"]), recipe={"warmup": None})
    run = tracked_run(record, named(record))
    assert (run.key, run.digest, run.name, run.strategy) == (record.id, record.seal, "trainer-api:0", "trainer-api")
    assert run.scores["test/accuracy"] == 0.85
    assert run.scores["cost/train_seconds"] == 690.0
    assert run.scores["cost/peak_memory_bytes"] == 1000 * 2**20
    assert not [name for name in run.scores if "energy" in name or "flops" in name], "what was not measured is left out"
    wanted = {"trainer": "hf-trainer", "method": "lora", "method.r": 8, "batch_size": 8, "learning_rate": 5e-5, "fused": True}
    assert run.settings.items() >= {**wanted, "method.targets": "[query, value]", "warmup": "null", "seed": 0}.items()
    assert run.tags.items() >= {"task": "glue/mrpc", "model": "minilm", "seed": "0", "kind": "run", "status": "ok"}.items()
    assert (run.begun, run.ended) == (seconds_of(record.started), seconds_of(record.started) + 708)


def test_steps_have_their_times_and_what_was_not_measured_is_left_out() -> None:
    record = make_record()
    steps = make_steps()  # half a second each; the second has no norm
    series = tracked_run(record, named(record), steps).series
    assert set(series) == {"train/loss", "train/learning_rate", "train/grad_norm"}
    loss, norm = series["train/loss"], series["train/grad_norm"]
    assert list(loss.values) == pytest.approx(steps["loss"].to_pylist())
    assert list(norm.steps) == [0, *range(2, len(steps))]
    begun = seconds_of(record.started) + 4  # import, load, encode and build take a second each
    assert list(loss.times) == pytest.approx([begun + 0.5 * step for step in range(len(steps))])
    unmeasured = steps.set_column(3, "grad_norm", pa.nulls(len(steps), pa.float32()))
    assert "train/grad_norm" not in tracked_run(record, named(record), unmeasured).series


def test_evaluations_are_counted_from_the_first_also_where_only_the_last_are_recorded() -> None:
    chosen = make_selection(evaluations=32).model_copy(update={"evaluations": 40})
    record = make_record().model_copy(update={"selection": chosen})
    run = tracked_run(record, named(record))
    found = run.series["evaluation/dev/accuracy"]
    assert list(found.steps) == list(range(9, 41))
    assert list(found.values) == chosen.scores
    assert set(found.times) == {run.ended}


def test_a_failed_run_tells_why_and_has_no_scores() -> None:
    record = failed(make_record())
    run = tracked_run(record, named(record))
    assert (run.scores, run.series, run.tags["status"], run.begun) == ({}, {}, "crashed", run.ended)
    assert run.failure.startswith("crashed: ")


def test_of_a_script_only_what_it_is_said_to_follow_is_a_setting() -> None:
    script = make_record(owns=["model"])
    claimed = script.model_copy(update={"claims": {"learning_rate": 1e-4}})
    assert tracked_run(claimed, named(script)).settings["learning_rate"] == 1e-4
    for record in (script, claimed):
        assert "batch_size" not in tracked_run(record, named(script)).settings


def test_the_summary_has_leaderboard_verdicts_and_page() -> None:
    made = make_comparison({"trainer-api": 0.8, "manual-loop": 0.9})
    records: dict[str, Any] = {record.id: record for record in (make_record(), make_record(seed=1, train_seconds=10.0))}
    run = tracked_summary(made.comparison, records, "0" * 64, "<p>page</p>")
    assert (run.key, run.files) == (SUMMARY, {"report.html": "<p>page</p>"})
    (group,) = made.comparison.groups
    row = group.ranked[0]
    score = group.score(row)
    assert score is not None
    assert run.scores[f"{group.split}/{group.metric}/{row.strategy}"] == score.mean
    assert {f"verdict/{pair.first}": pair.verdict for pair in group.to_baseline}.items() <= run.settings.items()
    assert made.comparison.title in run.text
    assert math.isclose(run.ended - run.begun, 708)


def test_the_digest_of_a_summary_changes_with_any_part() -> None:
    seals = {"r1-a": "1", "r1-b": "2"}
    digests = {
        summary_digest(["plan"], seals),
        summary_digest(["other"], seals),
        summary_digest(["plan"], {**seals, "r1-b": "3"}),
        summary_digest(["plan"], {"r1-a": "1"}),
        summary_digest(["plan", "timed"], seals),
    }
    assert len(digests) == 5
    assert summary_digest(["plan"], seals) == summary_digest(["plan"], dict(reversed(seals.items())))
