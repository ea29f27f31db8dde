"""Folders of records as one experiment: read, and merged where there are several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import LABELS, clean_answers, declare, make_declaration, make_folder, make_record, published
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import OWN_UNIT, SHARE
from bakeoff.errors import DamageError, StoreError
from bakeoff.records.history import reseeded
from bakeoff.records.load import load_experiment
from bakeoff.records.load.metrics import metrics_of
from bakeoff.records.schema import PREDICTIONS_FILE, EarlierDeclaration, Record
from bakeoff.records.silent_metrics import why_silent
from bakeoff.records.store import Store
from bakeoff_table import Table


def folder(path: Path, name: str, rows: dict[str, float], *, seed: int = 0, **keywords: object) -> Path:
    """An experiment whose strategies are right so often."""
    given = {
        strategy: clean_answers(accuracy=share, seed=seed + number) for number, (strategy, share) in enumerate(rows.items())
    }
    return make_folder(path / name, given, LABELS, name=name, **keywords)


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = load_experiment([folder(tmp_path, "one", {"base": 0.8, "row": 0.9})])
    record = next(record for record in made.records if record.requested.strategy == "row" and record.requested.seed == 3)
    found = made.predictions(record.id)["test"]
    assert (found.kind.answers(found.logits) == clean_answers(accuracy=0.9, seed=1)[3]).all()
    assert (found.labels == LABELS).all()
    assert len(set(found.ids)) == len(LABELS)
    assert np.allclose(found.probabilities.sum(axis=1), 1)


def test_a_record_with_a_damaged_file_is_left_out_and_one_without_stands(tmp_path: Path) -> None:
    path = folder(tmp_path, "one", {"base": 0.8, "row": 0.9})
    damaged, without = Store(path).read_all()[0][:2]
    (path / "records" / damaged.id / PREDICTIONS_FILE).write_bytes(b"PAR1 and no more")
    (path / "records" / without.id / PREDICTIONS_FILE).unlink()
    made = load_experiment([path])
    (sentence,) = made.damaged
    assert sentence.endswith(f"{damaged.id}/{PREDICTIONS_FILE} was altered: it does not match the checksum in its record")
    assert damaged.id not in {record.id for record in made.records}
    with pytest.raises(DamageError, match=f"{without.id}.*is missing"):
        made.predictions(without.id)
    assert len(made.unusable) == 1


def test_the_rest_stands_when_one_run_cannot_be_read(tmp_path: Path) -> None:
    path = folder(tmp_path, "one", {"base": 0.8, "row": 0.9})
    record = Store(path).read_all()[0][0]
    (path / "records" / record.id / PREDICTIONS_FILE).unlink()
    comparison = compare(load_experiment([path]))
    (group,) = comparison.groups
    assert group.to_baseline[0].verdict == "better"
    assert sorted(group.to_baseline[0].seeds) == [7, 8]
    assert any(
        warning.name == "unreliable-scores" and record.requested.strategy in warning.rows for warning in comparison.warnings
    )


def test_several_experiments_make_one_group(tmp_path: Path) -> None:
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9}, under_test=["trainer"])
    two = folder(tmp_path, "two", {"third": 0.7}, seed=7, under_test=["method"], margin=5.0)
    made = load_experiment([one, two])
    (group,) = compare(made).groups
    assert [row.strategy for row in group.rows] == ["base", "row", "third"]
    assert [row.experiment for row in group.rows] == ["one", "one", "two"]
    assert {pair.first: pair.verdict for pair in group.to_baseline} == {"row": "better", "third": "worse"}
    assert made.declared.under_test == ["trainer", "method"]
    assert made.declared.margin == {"points": 1.0}


def test_strategies_of_one_name_keep_apart_and_the_same_runs_are_one_row(tmp_path: Path) -> None:
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9})
    two = folder(tmp_path, "two", {"base": 0.8, "row": 0.7})
    other = Store(two).read_all()[0]
    changed = [
        record.model_copy(update={"started": "2026-11-24T00:00:00+00:00"})
        for record in other
        if record.requested.strategy == "row"
    ]
    from bakeoff.records.record_files import dump
    from bakeoff.records.schema import RECORD_FILE

    for record in changed:
        (two / "records" / record.id / RECORD_FILE).write_bytes(dump(record))
    (group,) = compare(load_experiment([one, two])).groups
    assert [row.strategy for row in group.rows] == ["base", "row · one", "row · two"]
    assert {pair.first: pair.verdict for pair in group.to_baseline} == {"row · one": "better", "row · two": "worse"}


def test_strategies_that_were_trained_alike_are_pooled_on_request_and_without_verdicts(tmp_path: Path) -> None:
    """`row` has another recipe in the second experiment, and seed 7 of `base` was made in both."""
    history = [EarlierDeclaration(when="2026-11-24T00:00:00+00:00", seeds={"base": list(range(8)), "row": [0]}, recorded=1)]
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9}, history=history)
    two = folder(
        tmp_path,
        "two",
        {"base": 0.8, "row": 0.9, "third": 0.7},
        seed=7,
        seeds={"base": range(7, 15)},
        records={"row": {"recipe": {"learning_rate": 9e-5}, "final": "other"}},
    )
    (group,) = compare(load_experiment([one, two])).groups
    assert [row.strategy for row in group.rows] == ["base · one", "row · one", "base · two", "row · two", "third"]
    made = load_experiment([one, two], pool=True)
    assert made.pooled == {"base": ("one", "two")}
    (group,) = compare(made).groups
    assert {row.strategy: (len(row.seeds), row.experiment) for row in group.rows} == {
        "base": (15, "one + two"),
        "row · one": (8, "one"),
        "row · two": (8, "two"),
        "third": (8, "two"),
    }
    seventh = next(run for run in made.declared.runs if (run.strategy, run.seed) == ("base", 7))
    assert seventh.id.startswith("0:"), "of a run that was made in both the first folder's counts"
    assert {pair.first: (pair.finding, pair.p) for pair in group.to_baseline} == dict.fromkeys(
        ("row · one", "row · two", "third"), ("withheld", None)
    )
    assert tells(group.to_baseline[-1].sentence, "third against base", "one and two")
    tested = {frozenset((pair.first, pair.second)) for pair in group.all_pairs if pair.p is not None}
    assert tested == {frozenset(("row · two", "third"))}
    assert reseeded(made.declared) == {"row · one"}, "its own seeds were changed, those of `base` were pooled"


def test_what_only_seems_alike_is_not_pooled(tmp_path: Path) -> None:
    """Without records nobody knows what was trained, and other data are another task."""
    undone = [make_record("base", seed) for seed in range(8, 12)]
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9})
    two = folder(tmp_path, "two", {"third": 0.8}, undone=undone)
    three = folder(tmp_path, "three", {"row": 0.9}, seed=3, records={"row": {"test_data": "cleaned", "final": "other"}})
    made = load_experiment([one, two, three], pool=True)
    assert made.pooled == {}
    assert {run.strategy for run in made.declared.runs} == {"base · one", "base · two", "row · one", "row · three", "third"}


def test_a_run_that_failed_in_one_experiment_and_succeeded_in_another_counts_as_it_succeeded(tmp_path: Path) -> None:
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9}, failing={"base": [0]})
    two = folder(tmp_path, "two", {"base": 0.8, "row": 0.9})
    made = load_experiment([one, two], pool=True)
    (first,) = [record for record in made.records if (record.requested.strategy, record.requested.seed) == ("base", 0)]
    assert (first.status, first.id[:2]) == ("ok", "1:")
    assert len({record.id for record in made.records}) == len(made.records) == 16


def test_the_same_experiment_twice_is_told_apart_by_folder(tmp_path: Path) -> None:
    """Before and after an upgrade, say: the same runs asked, made again elsewhere."""
    before = folder(tmp_path, "before", {"base": 0.8}, under_test=["software"])
    after = make_folder(
        tmp_path / "after",
        {"base": clean_answers(accuracy=0.6, seed=9)},
        LABELS,
        name="before",
        under_test=["software"],
        records={"base": {"torch": "2.99", "final": "other"}},
    )
    (group,) = compare(load_experiment([before, after])).groups
    (pair,) = group.to_baseline
    assert (pair.second, pair.first) == (f"base · {before}", f"base · {after}")
    assert pair.verdict == "worse"
    assert [fact.subject for fact in pair.studied] == ["software"]


def test_tasks_whose_data_differ_stand_apart(tmp_path: Path) -> None:
    one = folder(tmp_path, "one", {"base": 0.8, "row": 0.9})
    two = folder(tmp_path, "two", {"third": 0.7}, records={"third": {"test_data": "cleaned"}})
    groups = compare(load_experiment([one, two])).groups
    assert [group.task for group in groups] == ["glue/mrpc", "glue/mrpc (two)"]
    assert [[row.strategy for row in group.rows] for group in groups] == [["base", "row"], ["third"]]


def test_models_share_a_group_where_the_model_is_under_test(tmp_path: Path) -> None:
    given = {"small": clean_answers(accuracy=0.7, seed=1), "large": clean_answers(accuracy=0.9, seed=2)}
    path = make_folder(
        tmp_path / "models",
        given,
        LABELS,
        records={"small": {"model": "tiny-bert"}, "large": {"model": "minilm"}},
        baseline="full",
        under_test=["model"],
    )
    renamed = [
        record.model_copy(update={"requested": record.requested.model_copy(update={"strategy": "full"})})
        for record in Store(path).read_all()[0]
    ]
    declare(path, renamed, baseline="full", under_test=["model"])
    (group,) = compare(load_experiment([path])).groups
    assert {row.strategy for row in group.rows} == {"full · tiny-bert", "full · minilm"}
    assert group.to_baseline[0].verdict in ("better", "worse")
    looked = EarlierDeclaration(when="2026-11-23T08:00:00+00:00", seeds={"full": [0]}, recorded=2)
    declare(path, renamed, baseline="full", under_test=["model"], history=[looked])
    (changed,) = [warning for warning in compare(load_experiment([path])).warnings if warning.name == "changed-after-looking"]
    assert tells(changed.what, "", "full · tiny-bert and full · minilm ", "1 to ")
    declare(path, renamed, baseline="full", under_test=["trainer"])
    assert len(compare(load_experiment([path])).groups) == 2


def test_a_folder_without_an_experiment_is_named(tmp_path: Path) -> None:
    one = folder(tmp_path, "one", {"base": 0.8})
    with pytest.raises(StoreError, match="nothing-here is not the folder of an experiment"):
        load_experiment([one, tmp_path / "nothing-here"])


# --- metrics, found again ------------------------------------------------------------------------------------------------


def of_table(labels: list[str], metrics: list[MetricFacts], asked: list[object], *, kind: str = "classification") -> Record:
    """A run of the task `table`, whose labels only its data know."""
    record = make_record("base")
    assert record.data is not None
    options = {"train": "train.tsv", "text": "text", "label": "label", "metrics": asked, "kind": kind}
    task = record.requested.task.model_copy(update={"name": "table", "version": Table.version, "options": options})
    data = record.data.model_copy(update={"kind": kind, "labels": labels, "metrics": metrics})
    return record.model_copy(update={"requested": record.requested.model_copy(update={"task": task}), "data": data})


def of_class(name: str, label: int | None) -> MetricFacts:
    return MetricFacts(name=name, higher_is_better=True, version="1", label=label)


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        (["each", "spam"], {"name": "precision", "of": "each"}),
        (["spam", "each"], {"name": "precision", "of": "each"}),
        (["each", "spam"], {"name": "precision", "positive": "each"}),
        (["spam (bulk)", "a|b"], {"name": "precision", "of": "each"}),
        ([*(f"class {number}" for number in range(20)), "and 4 more"], {"name": "precision", "positive": "class 3"}),
    ],
)
def test_a_recorded_metric_is_found_again_whatever_its_class_is_called(labels: list[str], asked: object, kind: str) -> None:
    of = [labels.index("class 3")] if "class 3" in labels else range(2)
    names = [f"precision ({labels[number]})" for number in of]
    facts = [of_class("accuracy", None), *(of_class(name, number) for name, number in zip(names, of, strict=True))]
    record = of_table(labels, facts, ["accuracy", asked], kind=kind)
    found = metrics_of(make_declaration([record]).runs, [record])["glue/mrpc"]
    assert list(found) == ["accuracy", *names]
    truth, given = np.random.default_rng(0).integers(0, len(labels), (2, 400))
    if kind == "multilabel":
        truth, given = 1 << truth, 1 << given
    for number, name in zip(of, names, strict=True):
        member = (given >> number & 1, truth >> number & 1) if kind == "multilabel" else (given == number, truth == number)
        right, given_so = (member[0] & member[1]).sum(), member[0].sum()
        assert found[name].score(given, truth) == pytest.approx(right / given_so)
        assert why_silent(found[name], truth, labels) == ""


def test_a_plugins_metric_is_not_taken_for_the_built_in_of_its_first_word() -> None:
    """`accuracy (top 5)` is no accuracy of a class: without its plugin nobody can compute it."""
    record = make_record("base")
    assert record.data is not None
    facts = [of_class("accuracy (top 5)", None), of_class("macro_f1 (seen)", None), of_class("f1 (a)", 0)]
    data = record.data.model_copy(update={"metrics": facts})
    record = record.model_copy(update={"data": data})
    assert list(metrics_of(make_declaration([record]).runs, [record])["glue/mrpc"]) == ["f1 (a)"]
    assert [unit_of(one) for one in facts] == [OWN_UNIT, OWN_UNIT, SHARE]


# --- published figures beside several experiments ------------------------------------------------------------------------


def test_published_figures_stay_with_the_tasks_of_their_own_experiment(tmp_path: Path) -> None:
    """The second experiment's task has other data, so it stands on a group of its own, under another name."""
    for number, (task, mine) in enumerate((("glue/mrpc", "named"), (None, "everywhere"))):
        one = folder(tmp_path / str(number), "one", {"base": 0.8}, imported=[published(accuracy=0.81)])
        two = folder(
            tmp_path / str(number),
            "two",
            {"third": 0.7},
            records={"third": {"test_data": "cleaned"}},
            imported=[published(mine, task=task, accuracy=0.81)],
        )
        groups = compare(load_experiment([one, two])).groups
        assert [(group.task, [row.name for row in group.imported]) for group in groups] == [
            ("glue/mrpc", ["theirs"]),
            ("glue/mrpc (two)", [mine]),
        ]


def test_a_figure_that_two_experiments_cite_is_shown_once(tmp_path: Path) -> None:
    same = [published(accuracy=0.81), published("of the task", task="glue/mrpc", accuracy=0.81)]
    one = folder(tmp_path, "one", {"base": 0.8}, imported=same)
    two = folder(tmp_path, "two", {"third": 0.7}, imported=[*same, published(accuracy=0.82)])
    (group,) = compare(load_experiment([one, two])).groups
    assert [(row.name, row.scores["accuracy"]) for row in group.imported] == [
        ("theirs", 0.81),
        ("of the task", 0.81),
        ("theirs", 0.82),
    ]
