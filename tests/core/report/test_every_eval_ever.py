"""Files for Every Eval Ever: valid by the schema, with the figures of the comparison, at the paths of its datastore."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import MRPC_ON_HUB, altered, drawn_answers, make_experiment, scored_by
from jsonschema import Draft7Validator

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.contracts.metrics import Accuracy, MeanAbsoluteError
from bakeoff.contracts.unit import OWN_UNIT
from bakeoff.records.experiment import Experiment
from bakeoff.report.text.every_eval_ever import SCHEMA, eee_files

CARRIED = json.loads((Path(__file__).parents[2] / "thirdparty" / "every-eval-ever" / "eval.schema.json").read_text("utf-8"))
VALID = Draft7Validator(CARRIED)
PATH = re.compile(
    r"data/bakeoff-[\w-]+/[\w-]+/[\w-]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json"
)
LABELS = np.random.default_rng(1).integers(0, 2, 400)
NOW = 1_795_000_000


def require_valid(path: str, text: str) -> dict[str, Any]:
    """The file's content, of the carried schema, at the path that its model's id leads to."""
    log: dict[str, Any] = json.loads(text)
    assert [error.message for error in VALID.iter_errors(log)] == []
    assert PATH.fullmatch(path)
    assert path.split("/")[2:4] == log["model_info"]["id"].split("/")
    return log


def experiment(*names: str, seeds: int = 3, **keywords: Any) -> Experiment:
    answers = {
        name: drawn_answers(LABELS, seeds=seeds, accuracy=0.85 - 0.1 * number, seed=number) for number, name in enumerate(names)
    }
    return make_experiment(answers, LABELS, **keywords)


def logs(made: Experiment, comparison: Comparison | None = None) -> list[dict[str, Any]]:
    files = eee_files(comparison or compare(made), made.records, organisation="Our lab", made_at=NOW)
    return [require_valid(path, text) for path, text in files.items()]


def test_the_schema_is_the_one_that_files_name_and_refuses_what_lacks_a_field() -> None:
    assert (CARRIED["version"], SCHEMA) == ("0.3.0", "0.3.0")
    (log,) = logs(experiment("loop"))
    assert log["schema_version"] == SCHEMA
    for name in ("deployment_type", "model_availability"):
        found = json.loads(json.dumps(log))
        del found["model_info"]["additional_details"][name]
        assert not VALID.is_valid(found)


def test_each_strategy_has_a_file_with_score_standard_error_interval_and_examples() -> None:
    made = experiment("trainer-api", "loop", hub_datasets={"glue/mrpc": MRPC_ON_HUB})
    comparison = compare(made)
    (group,) = comparison.groups
    for row, log in zip(group.ranked, logs(made, comparison), strict=True):
        assert log["model_info"]["id"] == f"Our-lab/glue-mrpc-minilm-{row.strategy}"
        assert log["model_info"]["additional_details"]["deployment_type"] == "self_deployed"
        assert log["source_metadata"]["source_organization_name"] == "Our lab"
        assert log["retrieved_timestamp"] == str(NOW)
        results = {result["metric_config"]["metric_name"]: result for result in log["evaluation_results"]}
        assert list(results) == ["accuracy", "f1"]
        for metric, result in results.items():
            score, told = row.scores["test"][metric], result["score_details"]
            doubt = told["uncertainty"]
            assert told["score"] == pytest.approx(score.mean)
            assert doubt["standard_error"]["value"] == pytest.approx(score.se)
            assert (doubt["confidence_interval"]["lower"], doubt["confidence_interval"]["upper"]) == pytest.approx(
                (score.low, score.high)
            )
            assert (doubt["confidence_interval"]["confidence_level"], doubt["num_samples"]) == (0.95, 400)
            assert (told["details"]["runs"], told["details"]["seeds"]) == ("3", "0 to 2")
            limits = [result["metric_config"][end] for end in ("min_score", "max_score")]
            assert (limits, result["metric_config"]["lower_is_better"]) == ([0.0, 1.0], False)
            source = result["source_data"]
            assert (source["source_type"], source["hf_repo"], source["hf_split"]) == ("hf_dataset", "nyu-mll/glue", "test")
            assert source["additional_details"]["hf_revision"] == MRPC_ON_HUB.revision


def test_the_standard_error_is_over_what_the_interval_covers() -> None:
    """Over seeds and examples: more than that of the seeds alone. Of one run: that of a share of examples."""
    (group,) = compare(experiment("loop", seeds=5)).groups
    score = group.rows[0].scores["test"]["accuracy"]
    assert score.se is not None
    assert score.sd is not None
    assert score.se > score.sd / math.sqrt(5)
    assert score.high is not None
    assert score.low is not None
    assert 1.9 < (score.high - score.low) / 2 / score.se < 2.9, "a t interval"
    (group,) = compare(experiment("loop", seeds=1)).groups
    one = group.rows[0].scores["test"]["accuracy"]
    assert one.se == pytest.approx(math.sqrt(one.mean * (1 - one.mean) / 399))


def test_a_task_that_is_not_on_the_hub_says_so_and_a_trainers_own_model_is_unknown() -> None:
    (log,) = logs(altered(experiment("own"), "", row="own", trainer_owns=["model"], weights=None, observed=None))
    source = log["evaluation_results"][0]["source_data"]
    assert (source["source_type"], source["dataset_name"]) == ("other", "glue/mrpc")
    details = log["model_info"]["additional_details"]
    assert (details["deployment_type"], details["model_availability"]) == ("unknown", "unknown")


class Ungauged(Accuracy):
    """A metric that declares no range, as those of the hub."""

    name = "ungauged"
    unit = OWN_UNIT


def test_an_open_range_is_infinite_and_an_unknown_one_is_left_out() -> None:
    truth, given = np.linspace(0, 5, 40), {"loop": np.linspace(0, 5, 40)[None].repeat(3, axis=0) + 0.5}
    numbers = {"loop": np.zeros((3, 40), int)}
    answers = make_experiment(numbers, np.arange(40) % 2)
    regression = scored_by(answers, MeanAbsoluteError(), kind="regression", truth=truth, given=given)
    (log,) = logs(replace(regression, declared=regression.declared.model_copy(update={"margin": {"mae": 0.1}})))
    metric = log["evaluation_results"][0]["metric_config"]
    assert (metric["min_score"], metric["max_score"], metric["lower_is_better"]) == (0.0, "Infinity", True)
    chosen = {"loop": np.eye(2)[np.stack([LABELS] * 3)]}
    (log,) = logs(scored_by(experiment("loop"), Ungauged(), kind="classification", truth=LABELS, given=chosen))
    assert {"score_type", "min_score", "max_score"} & log["evaluation_results"][0]["metric_config"].keys() == set()


def test_a_later_export_of_the_same_runs_replaces_the_earlier_one_and_of_others_does_not() -> None:
    made = experiment("loop")
    paths = [list(eee_files(compare(one), one.records, made_at=now)) for one, now in ((made, 1), (made, 2))]
    assert paths[0] == paths[1]
    more = experiment("loop", seeds=4)
    assert list(eee_files(compare(more), more.records, made_at=1)) != paths[0]


def test_a_strategy_without_scores_has_no_file() -> None:
    made = experiment("loop", "lost", failing={"lost": [0, 1, 2]})
    assert len(logs(made)) == 1
