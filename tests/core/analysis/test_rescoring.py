"""`bakeoff rescore`: stored predictions under another metric, on another split, cut into slices, without training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import declare, drawn_answers, make_experiment, make_folder, scored_by, write_run
from core.calling import Call
from sklearn import metrics as oracle

from bakeoff.contracts.metrics import MeanAbsoluteError, Precision
from bakeoff.records.record_files import dump
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE
from bakeoff.records.store import Store
from bakeoff.statistics.intervals import pseudo_values, score_interval
from bakeoff.statistics.twoway import two_way, two_way_unpaired

QUICKSTART = Path(__file__).parents[3] / "results" / "quickstart"
LABELS = np.arange(300) % 3 // 2
LIBRARY = ["sympy" if number < 100 else "scipy" for number in range(300)]


def answers(seeds: int = 4) -> dict[str, Any]:
    return {
        "trainer-api": drawn_answers(LABELS, seeds=seeds, accuracy=0.75, seed=1),
        "manual-loop": drawn_answers(LABELS, seeds=seeds, accuracy=0.85, seed=2),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "made", answers(), LABELS, slices={"library": LIBRARY})


def rescored(call: Call, folder: Path, *options: str) -> dict[str, Any]:
    code, out, err = call("rescore", folder, "--json", *options)
    assert (code, err) == (0, "")
    (group,) = json.loads(out)["rescored"]
    return dict(group)


def row(group: dict[str, Any], strategy: str) -> dict[str, Any]:
    (found,) = [found for found in group["rows"] if found["strategy"] == strategy]
    return dict(found)


def test_a_ratio_has_its_mean_and_the_two_way_intervals(call: Call, folder: Path) -> None:
    group = rescored(call, folder, "--metric", "precision")
    given, metric = answers(), Precision(1)
    values = {
        name: pseudo_values(*map(np.stack, zip(*(metric.ratio_terms(run, LABELS) for run in runs), strict=True)))
        for name, runs in given.items()
    }
    found = row(group, "manual-loop")
    scores = [oracle.precision_score(LABELS, run) for run in given["manual-loop"]]
    assert found["score"]["values"] == pytest.approx(scores)
    assert found["score"]["sd"] == pytest.approx(np.std(scores, ddof=1))
    own = score_interval(two_way(values["manual-loop"]), metric.unit, 300)
    assert (found["score"]["low"], found["score"]["high"]) == pytest.approx(own)
    expected = two_way_unpaired(values["manual-loop"], values["trainer-api"])
    assert found["difference"] == pytest.approx(expected.difference)
    assert (found["low"], found["high"]) == pytest.approx(expected.interval())
    assert found["method"] == "two-way"
    assert group["metric"] == "precision (label 1)"


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("mcc", oracle.matthews_corrcoef),
        ("balanced_accuracy", oracle.balanced_accuracy_score),
        ("macro_f1", lambda labels, given: oracle.f1_score(labels, given, average="macro")),
    ],
)
def test_what_is_no_ratio_is_bootstrapped_over_seeds_and_examples(call: Call, folder: Path, name: str, score: Any) -> None:
    group = rescored(call, folder, "--metric", name)
    found = row(group, "manual-loop")
    scores = {strategy: np.mean([score(LABELS, run) for run in runs]) for strategy, runs in answers().items()}
    assert found["score"]["mean"] == pytest.approx(scores["manual-loop"])
    assert found["difference"] == pytest.approx(scores["manual-loop"] - scores["trainer-api"])
    assert found["score"]["low"] < found["score"]["mean"] < found["score"]["high"]
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert (found["method"], found["score"]["method"]) == ("two-way by resampling", "seeds and examples")


@pytest.mark.parametrize("name", ["accuracy", "f1", "mcc"])
def test_the_interval_of_one_run_says_that_it_covers_examples_only(call: Call, tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path / "one", answers(seeds=1), LABELS)
    found = row(rescored(call, folder, "--metric", name), "manual-loop")
    score = found["score"]
    assert score["method"] == "examples only (one run)"
    assert score["low"] < score["mean"] < score["high"]
    assert 0.03 < score["high"] - score["low"] < 0.3
    assert (score["sd"], found["low"]) == (None, None)
    assert found["difference"] != 0
    _, text, _ = call("rescore", folder, "--metric", name)
    assert "examples only, not training" in " ".join(text.split())


def test_without_a_name_the_primary_metric_gives_the_recorded_scores(call: Call) -> None:
    group = rescored(call, QUICKSTART)
    store = Store(QUICKSTART)
    recorded = [store.read(run.id).scores["test"]["accuracy"] for run in store.declared().runs if run.strategy == "manual-loop"]
    assert sorted(row(group, "manual-loop")["score"]["values"]) == pytest.approx(sorted(recorded), abs=1e-12)
    assert (group["split"], group["metric"], group["figures"]["unit"]["scale"]) == ("test", "accuracy", 100)


def test_another_split_can_be_asked_for(call: Call) -> None:
    on_dev = rescored(call, QUICKSTART, "--split", "dev", "--metric", "f1")
    store = Store(QUICKSTART)
    recorded = [
        store.read(run.id).scores["dev"]["f1 (belongs)"] for run in store.declared().runs if run.strategy == "manual-loop"
    ]
    assert sorted(row(on_dev, "manual-loop")["score"]["values"]) == pytest.approx(sorted(recorded), abs=1e-12)


def test_published_records_are_cut_by_the_library_that_their_task_declares(call: Call) -> None:
    group = rescored(call, QUICKSTART)
    libraries = {found["value"]: found["examples"] for found in group["slices"] if found["column"] == "library"}
    assert set(libraries) == {"sympy", "numpy", "scipy", "pandas", "networkx", "scikit-learn"}
    assert sum(libraries.values()) == group["examples"] == 398
    inside = [found for found in group["slices"] if (found["column"], found["strategy"]) == ("library", "manual-loop")]
    weighted = sum(found["score"] * found["examples"] for found in inside) / group["examples"]
    assert weighted == pytest.approx(row(group, "manual-loop")["score"]["mean"])


def test_the_table_shows_points_and_marks_the_baseline(call: Call, folder: Path) -> None:
    _, text, _ = call("rescore", folder, "--metric", "accuracy")
    found = row(rescored(call, folder, "--metric", "accuracy"), "manual-loop")
    (line,) = [line for line in text.splitlines() if line.startswith("| manual-loop")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == f"{100 * found['score']['mean']:.2f} ± {100 * found['score']['sd']:.2f}"
    assert cells[4:] == [f"{100 * found['difference']:+.2f}", f"[{100 * found['low']:+.2f}, {100 * found['high']:+.2f}]"]
    assert "| trainer-api ◂ " in text
    assert "library" not in text


def test_slices_and_calibration_are_shown_on_demand(call: Call, folder: Path) -> None:
    _, sliced, _ = call("rescore", folder, "--slices")
    assert "| library " in sliced
    assert "| sympy " in sliced
    assert "Brier" not in sliced
    group = rescored(call, folder)
    _, calibrated, _ = call("rescore", folder, "--calibration")
    (ece,) = [found["ece"] for found in group["calibration"] if found["strategy"] == "manual-loop"]
    (line,) = [line for line in calibrated.splitlines() if line.startswith("| manual-loop") and f"{ece:.4f}" in line]
    assert line.count("|") == 5
    assert {found["split"] for found in group["calibration"]} == {"test"}


def test_nothing_is_written(call: Call, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    call("rescore", folder, "--metric", "mcc", "--slices", "--calibration")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


# --- what is refused -----------------------------------------------------------------------------------------------------


def refused(call: Call, folder: Path, *options: str) -> str:
    code, out, err = call("rescore", folder, *options)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_an_unknown_metric_is_answered_with_the_nearest_and_all_there_are(call: Call, folder: Path) -> None:
    sentence = refused(call, folder, "--metric", "balanced-accuracy")
    assert "metric 'balanced-accuracy'" in sentence
    assert "balanced_accuracy, f1, macro_f1" in sentence


def test_a_metric_of_numbers_is_refused_for_labels(call: Call, folder: Path) -> None:
    assert "metric 'pearson'" in refused(call, folder, "--metric", "pearson")


def test_an_unknown_split_is_answered_with_the_nearest(call: Call, folder: Path) -> None:
    assert "predicted split 'tset'" in refused(call, folder, "--split", "tset")


def test_a_folder_without_an_experiment_is_refused(call: Call, tmp_path: Path) -> None:
    assert "not the folder of" in refused(call, tmp_path)


def test_an_experiment_of_failures_has_nothing_to_score(call: Call, tmp_path: Path) -> None:
    failing = {"trainer-api": range(4), "manual-loop": range(4)}
    folder = make_folder(tmp_path / "made", answers(), LABELS, failing=failing)
    assert "no run has succeeded" in refused(call, folder)


def predictions_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob(PREDICTIONS_FILE))


def test_runs_with_missing_or_damaged_predictions_are_named_and_left_out(call: Call, folder: Path) -> None:
    gone, torn, *_ = predictions_of(folder)
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:100])
    code, out, err = call("rescore", folder, "--json")
    (group,) = json.loads(out)["rescored"]
    assert code == 0
    assert sum(len(found["score"]["seeds"]) for found in group["rows"]) == 6
    notes = [note for note in group["notes"] if "left out" in note]
    assert sorted("is missing" in note for note in notes) == [False, True]
    assert sum(f"{torn} was altered" in note for note in notes) == 1
    assert (err.count(f"{torn} was altered"), err.count(f"{gone} is missing")) == (1, 1)


def test_where_no_predictions_can_be_used_the_reasons_are_told(call: Call, folder: Path) -> None:
    for path in predictions_of(folder):
        path.unlink()
    sentence = refused(call, folder)
    assert "no predictions can" in sentence
    assert f"{PREDICTIONS_FILE} is missing" in sentence


def test_a_failed_strategy_is_named(call: Call, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "made", answers(), LABELS, failing={"manual-loop": range(4)})
    group = rescored(call, folder)
    assert [found["strategy"] for found in group["rows"]] == ["trainer-api"]
    assert "manual-loop has no predictions" in group["notes"]


def test_without_the_baseline_there_are_scores_and_no_differences(call: Call, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "made", answers(), LABELS, failing={"trainer-api": range(4)})
    found = row(rescored(call, folder, "--metric", "mcc"), "manual-loop")
    assert found["score"]["mean"] > 0
    assert found["difference"] is None


def test_text_from_records_cannot_leave_its_cell(call: Call, tmp_path: Path) -> None:
    hostile = ["a | b\n# <b>" if number < 150 else "plain" for number in range(300)]
    folder = make_folder(tmp_path / "made", answers(), LABELS, slices={"topic": hostile})
    _, text, _ = call("rescore", folder, "--slices")
    assert "b # &lt;b>" in text
    assert not [line for line in text.splitlines() if line.startswith("# ")]


def test_it_loads_nothing_that_trains() -> None:
    code = (
        "import sys; sys.argv = ['bakeoff', 'rescore', sys.argv[1], '--metric', 'mcc', '--slices', '--calibration']\n"
        "from bakeoff.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(QUICKSTART)], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


# --- tasks of several kinds ----------------------------------------------------------------------------------------------


def several_kinds(folder: Path, **failing: Any) -> Path:
    """An experiment of two tasks: one of labels, as `answers` has it, one of numbers."""
    made = make_experiment(answers(), LABELS, records=records_of("words"), failing=failing)
    truth = np.random.default_rng(0).normal(size=300)
    given = {name: truth + np.random.default_rng(1).normal(size=(4, 300)) for name in answers()}
    numbers = scored_by(
        make_experiment(answers(), LABELS, records=records_of("stars")),
        MeanAbsoluteError(),
        kind="regression",
        truth=truth,
        given=given,
    )
    store = Store(folder)
    store.records.mkdir(parents=True)
    for experiment in (made, numbers):
        for record in experiment.records:
            write_run(store, record, {} if record.failure else experiment.predictions(record.id))
    declare(folder, [*made.records, *numbers.records])
    return folder


def records_of(task: str) -> dict[str, Any]:
    return {name: {"task": task} for name in answers()}


@pytest.mark.parametrize(
    ("metric", "scored", "reason"),
    [
        ("macro_f1", "words", "metric 'macro_f1' does not score numbers, which the task has; there is mae, pearson, spearman"),
        ("spearman", "stars", "metric 'spearman' does not score labels, which the task has"),
        ("f1 (each)", "words", "metric 'f1' does not score numbers, which the task has"),
    ],
)
def test_what_fits_some_tasks_is_told_of_these_and_the_others_are_named(
    call: Call, tmp_path: Path, metric: str, scored: str, reason: str
) -> None:
    folder = several_kinds(tmp_path / "both")
    code, out, err = call("rescore", folder, "--metric", metric, "--json")
    plain = json.loads(out)
    assert (code, err, {group["task"] for group in plain["rescored"]}) == (0, "", {scored})
    ((other,),) = [{"words", "stars"} - {scored}]
    (told,) = plain["left_out"]
    assert (told["task"], told["model"], told["reason"][: len(reason)]) == (other, "minilm", reason)
    _, text, _ = call("rescore", folder, "--metric", metric)
    assert f"- left out: {other} · minilm: {reason}" in " ".join(text.split())


def test_a_task_without_a_run_that_ended_well_keeps_no_other_from_being_scored(call: Call, tmp_path: Path) -> None:
    folder = several_kinds(tmp_path / "both", **{name: range(4) for name in answers()})
    plain = json.loads(call("rescore", folder, "--json")[1])
    assert [(group["task"], group["metric"]) for group in plain["rescored"]] == [("stars", "mae")]
    (told,) = plain["left_out"]
    assert (told["task"], told["reason"][:20]) == ("words", "no run has succeeded")


def test_what_fits_no_task_is_refused_with_each_reason(call: Call, tmp_path: Path) -> None:
    folder = several_kinds(tmp_path / "both")
    sentence = refused(call, folder, "--metric", "mmc")
    assert "metric 'mmc'" in sentence
    sentence = refused(call, folder, "--metric", "label_f1")
    assert "minilm: metric 'label_f1'" in sentence
    assert "minilm: metric 'label_f1'" in sentence
    assert refused(call, folder, "--split", "tset").count("no predicted split 'tset'") == 1


def test_a_class_that_is_called_each_is_scored_alone_and_told(call: Call, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "made", answers(), LABELS)
    store = Store(folder)
    for run in store.declared().runs:
        record = store.read(run.id)
        data = record.data.model_copy(update={"labels": ["ham", "each"]})
        (store.records / run.id / RECORD_FILE).write_bytes(dump(record.model_copy(update={"data": data})))
    group = rescored(call, folder, "--metric", "precision (each)")
    scores = [oracle.precision_score(LABELS, run) for run in answers()["manual-loop"]]
    assert (group["metric"], row(group, "manual-loop")["score"]["values"]) == ("precision (each)", pytest.approx(scores))
    assert "'each' is a class of this task: precision (each) is of that class alone" in group["notes"]
    assert not [note for note in rescored(call, folder, "--metric", "precision (ham)")["notes"] if "each" in note]


# --- of which class ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["precision", "precision (label 1)"])
def test_a_class_that_the_recorded_metrics_are_about_counts_as_named(call: Call, folder: Path, metric: str) -> None:
    assert rescored(call, folder, "--metric", metric)["metric"] == "precision (label 1)"


def test_any_other_class_and_each_can_be_scored(call: Call, folder: Path) -> None:
    runs = answers()["manual-loop"]
    expected = [np.mean([oracle.f1_score(LABELS, run, pos_label=label) for run in runs]) for label in (0, 1)]
    code, out, _ = call("rescore", folder, "--json", "--metric", "f1 (each)")
    groups = json.loads(out)["rescored"]
    assert (code, [group["metric"] for group in groups]) == (0, ["f1 (label 0)", "f1 (label 1)"])
    assert [row(group, "manual-loop")["score"]["mean"] for group in groups] == pytest.approx(expected)
    other = rescored(call, folder, "--metric", "f1 (label 0)")
    assert row(other, "manual-loop")["score"]["mean"] == pytest.approx(expected[0])
    assert "f1 (label 0)" in call("rescore", folder, "--metric", "f1 (label 0)")[1]


def test_a_class_that_is_none_is_answered_with_the_nearest(call: Call, folder: Path) -> None:
    assert "mean 'label 1'" in refused(call, folder, "--metric", "f1 (lable 1)")


def test_runs_that_collapsed_are_left_out_and_named(call: Call, tmp_path: Path) -> None:
    given = answers()
    given["manual-loop"][2] = 0
    group = rescored(call, make_folder(tmp_path / "made", given, LABELS), "--metric", "macro_f1")
    found = row(group, "manual-loop")
    expected = np.mean([oracle.f1_score(LABELS, run, average="macro") for run in np.delete(given["manual-loop"], 2, axis=0)])
    assert found["score"]["seeds"] == [0, 1, 3]
    assert found["score"]["mean"] == pytest.approx(expected)
    (note,) = [note for note in group["notes"] if "collapsed" in note]
    assert note.endswith("manual-loop:2")
