"""Runs of other data or another model stand under labels of their own; what is unknown sets nothing apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import drawn_answers, failed, make_declaration, make_experiment, make_folder_of, make_record

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.gate.gate import judge
from bakeoff.analysis.rescoring import rescore
from bakeoff.cli.table import read
from bakeoff.records.load import load_experiment
from bakeoff.records.load.separation import separated, taken_for_same
from bakeoff.records.provenance import alike, labels_digest
from bakeoff.records.schema import Chosen, MadeFrom, Record, Search, TrialRun
from bakeoff.report.beside import set_beside, write_beside
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_json
from bakeoff.report.text.table_md import write_page

LABELS = labels_digest(["not_equivalent", "equivalent"])
HERE = MadeFrom(labels=LABELS, weights="w", tokenizer="t", model_files={"configuration": "c"})


def run(strategy: str = "a", seed: int = 0, *, data: str = "test", minute: int = 0, **made_from: Any) -> Record:
    record = make_record(strategy, seed, test_data=data)
    known = made_from.pop("of", HERE).model_copy(update=made_from)
    return record.model_copy(update={"made_from": known, "started": f"2026-11-23T08:{minute:02d}:00+00:00"})


def places(records: list[Record], **declared: Any) -> dict[str, list[tuple[str, int]]]:
    """Task and model -> strategy and seed of their runs."""
    found: dict[str, list[tuple[str, int]]] = {}
    for declared_run in separated(make_declaration(records, **declared), records)[0].runs:
        group = f"{declared_run.task} · {declared_run.model}"
        found.setdefault(group, []).append((declared_run.strategy, declared_run.seed))
    return found


def test_like_runs_stay_as_they_are_declared() -> None:
    records = [run(seed=seed) for seed in range(3)]
    declared = make_declaration(records)
    assert separated(declared, records) == (declared, ())


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"weights": "w2"}, "glue/mrpc · minilm (other weights)"),
        ({"tokenizer": "t2"}, "glue/mrpc · minilm (other tokenizer)"),
        ({"model_files": {"configuration": "c2"}}, "glue/mrpc · minilm (other configuration)"),
        ({"weights": "w2", "tokenizer": "t2"}, "glue/mrpc · minilm (other weights and tokenizer)"),
        ({"labels": "l2"}, "glue/mrpc (other names of labels) · minilm"),
        ({"data": "others"}, "glue/mrpc (other rows of test) · minilm"),
        ({"data": "others", "weights": "w2"}, "glue/mrpc (other rows of test) · minilm"),
    ],
)
def test_what_differs_names_the_group_and_the_larger_group_keeps_its_own(changes: dict[str, Any], group: str) -> None:
    records = [run(seed=0, **changes), *(run(seed=seed, minute=1) for seed in (1, 2))]
    assert places(records) == {group: [("a", 0)], "glue/mrpc · minilm": [("a", 1), ("a", 2)]}


def test_of_equal_groups_the_older_one_keeps_the_name_and_several_of_a_kind_are_numbered() -> None:
    records = [run(seed=seed, minute=9 - seed, weights=f"w{seed}") for seed in range(3)]
    assert places(records) == {
        "glue/mrpc · minilm (other weights, 2)": [("a", 0)],
        "glue/mrpc · minilm (other weights)": [("a", 1)],
        "glue/mrpc · minilm": [("a", 2)],
    }


def test_what_nobody_knows_sets_nothing_apart() -> None:
    old = run(seed=0, of=MadeFrom())
    records = [old, run(seed=1, minute=1), run(seed=2, minute=2)]
    assert len(places(records)) == 1
    new = [run(seed=seed, minute=seed, weights="w2") for seed in (3, 4)]
    assert places([*records, *new])["glue/mrpc · minilm"] == [("a", 0), ("a", 1), ("a", 2)]
    assert [len(group) for group in alike([*new, *records])] == [3, 2]


def test_failed_and_missing_runs_stay_with_the_larger_group() -> None:
    records = [run(seed=0, weights="w2"), run(seed=1), run(seed=2), failed(run(seed=3))]
    declared = make_declaration([*records, make_record("a", 4)])
    found, apart = separated(declared, records)
    assert [(one.seed, one.model) for one in found.runs if one.model != "minilm"] == [(0, "minilm (other weights)")]
    assert [(one.was, one.what, one.data, len(one.runs)) for one in apart] == [("minilm", "the weights", False, 1)]


def test_a_search_is_told_of_both_groups() -> None:
    records = [run(seed=0, weights="w2"), run(seed=1), run(seed=2)]
    trial = TrialRun(id="r1-0", task="glue/mrpc", model="minilm", seed=0, values={"learning_rate": 1e-3})
    chosen = Chosen(task="glue/mrpc", model="minilm", values={"learning_rate": 1e-3})
    search = Search(grid={"learning_rate": [1e-3]}, seeds=[0], choose="best", trials=[trial], chosen=[chosen])
    found = separated(make_declaration(records, searches={"a": search}), records)[0].searches["a"]
    assert [one.model for one in found.trials] == [one.model for one in found.chosen] == ["minilm", "minilm (other weights)"]


def test_every_page_of_such_an_experiment_can_be_made_and_no_row_mixes(tmp_path: Any) -> None:
    records = [run("trainer-api", seed) for seed in range(4)] + [run("manual-loop", seed) for seed in range(3)]
    records += [run("manual-loop", seed, data="others", weights="w2") for seed in (3, 4)]
    made = load_experiment([make_folder_of(tmp_path / "e", records)])
    found = compare(made)
    groups = {group.title: {row.strategy: row.scores["test"]["accuracy"].seeds for row in group.rows} for group in found.groups}
    assert groups == {
        "glue/mrpc · minilm": {"trainer-api": [0, 1, 2, 3], "manual-loop": [0, 1, 2]},
        "glue/mrpc (other rows of test) · minilm": {"manual-loop": [3, 4]},
    }
    assert [(warning.name, warning.rows) for warning in found.warnings if "stand here" in warning.what] == [
        ("different-data", ["manual-loop"])
    ]


OWN = {"other": "roberta", "rote": ""}


def contestants(*models: str) -> list[Record]:
    """Runs of one strategy on each of these models, of one with another model, and of one without."""
    records = [make_record("full", seed, model=model) for model in models for seed in range(3)]
    records += [make_record("other", seed, model="roberta") for seed in range(3)]
    return records + [make_record("rote", seed, model="", trainer="rote", owns=["model", "steps"]) for seed in range(3)]


@pytest.mark.parametrize(
    ("models", "declared", "groups"),
    [
        ((), {}, {"glue/mrpc · roberta": ["other", "rote"]}),
        (("minilm",), {}, {"glue/mrpc · minilm / roberta": ["full", "other", "rote"]}),
        (
            ("minilm", "bert"),
            {},
            {
                "glue/mrpc · minilm / roberta": ["full", "other", "rote"],
                "glue/mrpc · bert / roberta": ["full", "other", "rote"],
            },
        ),
        (
            ("minilm", "bert"),
            {"under_test": ["model", "trainer"]},
            {"glue/mrpc · minilm / bert / roberta": ["full · minilm", "full · bert", "other", "rote"]},
        ),
    ],
)
def test_a_strategy_with_a_model_of_its_own_stands_in_every_group_of_its_task_and_its_runs_once_in_the_folder(
    models: tuple[str, ...], declared: dict[str, Any], groups: dict[str, list[str]], tmp_path: Any
) -> None:
    records = contestants(*models)
    spelt = {"under_test": [], "spelt_out": {"full": ["trainer"], "other": ["trainer", "model"], "rote": ["trainer"]}}
    made = load_experiment([make_folder_of(tmp_path / "e", records, own_models=OWN, **{**spelt, **declared})])
    assert len(made.declared.runs) == len(records)
    found = compare(made)
    assert {group.title: sorted(row.strategy for row in group.rows) for group in found.groups} == {
        title: sorted(rows) for title, rows in groups.items()
    }
    for group in found.groups:
        assert {row.ranking for row in group.rows} == {0}
        assert {row.strategy: row.facts["model"] for row in group.rows}["rote"] == ""
    assert "rote" in write_html(found, list(made.records), lambda _: None)


def test_runs_of_an_own_model_with_other_weights_stand_apart(tmp_path: Any) -> None:
    records = [*contestants("minilm"), make_record("other", 3, model="roberta")]
    last = records[-1].model_copy(update={"made_from": HERE.model_copy(update={"weights": "w2"})})
    records = [one.model_copy(update={"made_from": HERE}) if one.requested.model else one for one in records[:-1]] + [last]
    made = load_experiment([make_folder_of(tmp_path / "e", records, own_models=OWN, under_test=["model", "trainer"])])
    groups = compare(made).groups
    seeds = {group.model: row.seeds for group in groups for row in group.rows if row.strategy == "other"}
    assert seeds == {"minilm": [0, 1, 2], "roberta (other weights)": [3]}


def test_two_folders_of_one_experiment_with_other_weights_are_two_groups(tmp_path: Any) -> None:
    folders = []
    for name, weights, minute in (("before", "w", 0), ("after", "w2", 1)):
        records = [run("trainer-api", seed, weights=weights, minute=minute) for seed in range(3)]
        folders.append(make_folder_of(tmp_path / name, records, name=name))
    groups = {group.title: [row.strategy for row in group.rows] for group in compare(load_experiment(folders)).groups}
    assert sorted(groups) == ["glue/mrpc · minilm", "glue/mrpc · minilm (other weights)"]
    assert all(len(rows) == 1 for rows in groups.values())


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([[run(seed=seed) for seed in range(3)]], ""),
        ([[run(seed=seed, of=MadeFrom()) for seed in range(2)]], "weights, tokenizer and configuration of all 2 runs"),
        ([[run(seed=0), run(seed=1, tokenizer=None)]], "tokenizer of 1 of 2 runs"),
        ([[run(seed=0), run(seed=1)], [run(seed=2, weights=None), run(seed=3)]], "weights of 1 of 4 runs"),
        ([[run(seed=0, of=MadeFrom())]], ""),  # a run alone is compared with none
        ([[run(seed=0), failed(run(seed=1, of=MadeFrom()))]], ""),  # nor is one without scores
        ([[run(seed=0, weights=None, model_files={"weights": "f", "configuration": "c"}), run(seed=1)]], ""),
    ],
)
def test_what_nobody_knows_is_taken_for_the_same_and_told(groups: list[list[Record]], told: str) -> None:
    assert taken_for_same(groups) == (f"{told}, recorded without fingerprints" if told else "")


def test_rescored_classes_tell_it_once() -> None:
    labels = np.arange(40) % 2
    made = make_experiment({"base": drawn_answers(labels, seeds=2, accuracy=0.8)}, labels)
    notes = [sum("taken for the same" in note for note in one.notes) for one in rescore(made, "f1 (each)").groups]
    assert notes == [1, 0]


def test_every_output_tells_it_once(tmp_path: Any) -> None:
    old = [run(strategy, seed, of=MadeFrom()) for strategy in ("trainer-api", "manual-loop") for seed in range(2)]
    folders = [make_folder_of(tmp_path / "old", old, gate={"train_seconds": "+10%"})]
    new = [run(strategy, seed, minute=1) for strategy in ("trainer-api", "manual-loop") for seed in range(2)]
    folders.append(make_folder_of(tmp_path / "new", new))
    pages = [read([folder]) for folder in folders]
    told = "taken for the same"
    for page, times in zip(pages, (1, 0), strict=True):
        assert write_page(page.comparison).lower().count(told) == times
        assert write_html(page.comparison, page.experiment.records, lambda run: None).count(told) == times
        assert write_json(page.comparison).count("recorded without fingerprints") == times
    assert [note for note in judge(pages[1].experiment, pages[0].experiment).notes if told in note] == [
        f"{told}: weights, tokenizer and configuration of 4 of 8 runs, recorded without fingerprints"
    ]
    sides = [(page.experiment.declared, page.experiment.records) for page in pages]
    assert write_beside(set_beside(*sides), here="new", there="old").lower().count(told) == 1


def test_runs_of_other_data_or_weights_stand_apart_beside_another_folder_too() -> None:
    usual = [run("trainer-api", seed) for seed in range(6)]
    here = [*usual[:4], run("trainer-api", 4, weights="w2"), run("trainer-api", 5, data="others")]
    there = [run("trainer-api", 0, weights="w3"), *usual[1:]]
    found = set_beside((make_declaration(here), here), (make_declaration(there), there))
    groups = {f"{pairs.here.task} · {pairs.here.model}": pairs for pairs in found.tables}
    assert {name: pairs.rows[0].here.seeds for name, pairs in groups.items()} == {
        "glue/mrpc · minilm": [1, 2, 3],
        "glue/mrpc · minilm (other weights there)": [0],
        "glue/mrpc · minilm (other weights here)": [4],
        "glue/mrpc (other rows of test here) · minilm": [5],
    }
    assert {name: [one.what for one in pairs.unlike] for name, pairs in groups.items()} == {
        "glue/mrpc · minilm": [],
        "glue/mrpc · minilm (other weights there)": ["the weights"],
        "glue/mrpc · minilm (other weights here)": ["the weights"],
        "glue/mrpc (other rows of test here) · minilm": ["the rows of test"],
    }
    assert [sentence.split(",")[0] for sentence in found.apart] == ["Here", "Here", "There"]


def test_beside_names_other_weights_and_tokenizers_before_the_machine() -> None:
    here = make_record("trainer-api")
    there = run("trainer-api", weights="w2", tokenizer="t2").model_copy(
        update={"weights": make_record(final="other").weights, "environment": make_record(torch="2.12.0").environment}
    )
    here = here.model_copy(update={"made_from": HERE})
    (pairs,) = set_beside((make_declaration([here]), [here]), (make_declaration([there]), [there])).tables
    assert pairs.unequal is not None
    assert pairs.unequal.reasons == ["other weights", "other tokenizer", "torch 2.13.0 here, 2.12.0 there"]
