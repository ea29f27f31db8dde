"""Files for the hub, read back by huggingface_hub's own readers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import MRPC_ON_HUB, declaring, drawn_answers, make_experiment, published, scored_by
from huggingface_hub import ModelCardData, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from messages import tells
from ruamel.yaml import YAML

from bakeoff.analysis.comparison import compare
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.metrics import F1, Accuracy
from bakeoff.kinds import CLASSIFICATION
from bakeoff.records.experiment import Experiment
from bakeoff.report.text.hub_cards import eval_results, model_index

LABELS = np.random.default_rng(1).integers(0, 2, 400)


def experiment(*names: str) -> Experiment:
    return make_experiment(
        {name: drawn_answers(LABELS, seeds=3, accuracy=0.85 - 0.1 * number, seed=number) for number, name in enumerate(names)},
        LABELS,
        hub_datasets={"glue/mrpc": MRPC_ON_HUB},
    )


def files(made: Experiment) -> dict[str, str]:
    return eval_results(compare(made))


def cards(made: Experiment) -> str:
    return model_index(compare(made))


def test_each_row_has_a_file_that_the_hubs_reader_gives_back() -> None:
    made = experiment("trainer-api", "loop")
    written = files(made)
    assert list(written) == ["glue-mrpc-minilm-trainer-api.yaml", "glue-mrpc-minilm-loop.yaml"]
    for standing, text in zip(compare(made).groups[0].rows, written.values(), strict=True):
        (first,) = parse_eval_result_entries(YAML(typ="safe").load(text))  # a dataset's configuration has one value
        score = standing.scores["test"]["accuracy"]
        assert (first.dataset_id, first.task_id) == ("nyu-mll/glue", "mrpc")
        assert first.dataset_revision == MRPC_ON_HUB.revision
        assert first.value == pytest.approx(score.mean)
        assert tells(first.notes, "", "95 % interval", f"{score.low:.4f} to {score.high:.4f}, ")
        assert tells(first.notes, "", "3 seeds (0 to 2)")
        assert tells(first.notes, "", f"strategy {standing.strategy}, ", "minilm", "hf-trainer", "full")


def test_each_row_has_a_model_index_that_the_hubs_reader_gives_back() -> None:
    made = experiment("trainer-api", "loop")
    documents = list(YAML(typ="safe").load_all(cards(made)))
    assert len(documents) == 2
    for standing, document in zip(compare(made).groups[0].rows, documents, strict=True):
        name, results = model_index_to_eval_results(document["model-index"])
        assert name == f"minilm {standing.strategy}"
        assert [(one.metric_type, one.dataset_split, one.task_type) for one in results] == [
            ("accuracy", "test", "text-classification"),
            ("f1", "test", "text-classification"),
        ]
        assert {(one.dataset_type, one.dataset_config) for one in results} == {("nyu-mll/glue", "mrpc")}
        assert results[0].metric_value == pytest.approx(standing.scores["test"]["accuracy"].mean)
        assert "95 % interval" in results[0].metric_args["notes"]
        again = ModelCardData(**document)
        assert again.eval_results == results


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"glue/mrpc": HubDataset(id="nyu-mll/glue")},
        {"glue/mrpc": MRPC_ON_HUB.model_copy(update={"splits": {"dev": "dev"}})},
    ],
    ids=["no dataset", "no configuration", "another split"],
)
def test_what_would_link_nowhere_has_no_file_and_its_model_index_all_the_same(declared: dict[str, HubDataset]) -> None:
    made = declaring(experiment("trainer-api"), hub_datasets=declared)
    assert files(made) == {}
    _, (first, _) = model_index_to_eval_results(YAML(typ="safe").load(cards(made).strip("-\n"))["model-index"])
    assert (first.dataset_type, first.dataset_split) == ("nyu-mll/glue" if declared else "glue/mrpc", "test")


def test_a_split_has_its_name_on_the_hub() -> None:
    answers = {"trainer-api": drawn_answers(LABELS, seeds=2, accuracy=0.8)}
    made = make_experiment(answers, LABELS, split="dev", hub_datasets={"glue/mrpc": MRPC_ON_HUB})
    _, (first, _) = model_index_to_eval_results(YAML(typ="safe").load(cards(made).strip("-\n"))["model-index"])
    assert (first.dataset_split, first.dataset_revision) == ("validation", MRPC_ON_HUB.revision)


class TopFive(Accuracy):
    name = "accuracy (top 5)"


def test_a_metric_of_a_class_has_the_type_of_its_metric_and_no_other_has() -> None:
    """`accuracy (top 5)` is of no class: who cites an accuracy does not mean it."""
    made = experiment("trainer-api")
    given = {"trainer-api": np.eye(2)[np.stack([LABELS] * 3)]}
    cited = published(accuracy=0.7)
    for metric, kind in ((TopFive(), "accuracy (top 5)"), (F1.numbered(1, "f1 (spam)", CLASSIFICATION), "f1")):
        found = scored_by(made, metric, kind="classification", truth=LABELS, given=given)
        found = replace(found, declared=found.declared.model_copy(update={"imported": [cited]}))
        _, results = model_index_to_eval_results(YAML(typ="safe").load(cards(found).strip("-\n"))["model-index"])
        assert [(one.metric_type, one.metric_name) for one in results] == [(kind, metric.name)]
        assert compare(found).groups[0].imported[0].scores == {"accuracy": 0.7}


def test_the_difference_to_the_baseline_is_told_with_the_primary_metric_only() -> None:
    documents = list(YAML(typ="safe").load_all(cards(experiment("trainer-api", "loop"))))
    _, (first, second) = model_index_to_eval_results(documents[-1]["model-index"])
    assert "trainer-api" in first.metric_args["notes"]
    assert "trainer-api" not in second.metric_args["notes"]


def test_names_cannot_leave_the_folder_and_never_clash() -> None:
    written = files(experiment("../../etc/passwd", "a b", "a/b", "..."))
    assert len(written) == 4
    assert all("/" not in name and not name.startswith(".") for name in written)
    assert {"glue-mrpc-minilm-a-b.yaml", "glue-mrpc-minilm-a-b-2.yaml"} <= set(written)


def test_hostile_names_stay_text() -> None:
    name = "x\n- dataset: {id: evil}\u202e: [1] 'q' \"z\" # no"
    made = experiment("trainer-api", name)
    (text,) = [text for file, text in files(made).items() if "evil" in file]
    entries = parse_eval_result_entries(YAML(typ="safe").load(text))
    assert [entry.dataset_id for entry in entries] == ["nyu-mll/glue"]
    assert "strategy x\\n- dataset: {id: evil}\\u202e: [1]" in (entries[0].notes or "")
    assert "\u202e" not in text + cards(made)
    assert len(list(YAML(typ="safe").load_all(cards(made)))) == 2


def test_one_seed_is_said_and_a_row_without_scores_has_no_file() -> None:
    made = make_experiment(
        {"one": drawn_answers(LABELS, seeds=1, accuracy=0.85), "none": drawn_answers(LABELS, seeds=1, accuracy=0.8)},
        LABELS,
        failing={"none": [0]},
        hub_datasets={"glue/mrpc": MRPC_ON_HUB},
    )
    written = files(made)
    assert list(written) == ["glue-mrpc-minilm-one.yaml"]
    assert "; 1 seed (0)" in " ".join(written["glue-mrpc-minilm-one.yaml"].split())


def test_writing_loads_nothing_that_trains() -> None:
    code = (
        "import sys\nfrom huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml\n"
        "import bakeoff.report.text.hub_cards, bakeoff.report.text.latex, bakeoff.report.text.gate\n"
        "print({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
