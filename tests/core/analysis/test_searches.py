"""Searches beside the rows that they chose for: a trial is shown where it was made from what the rows were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import (
    declare,
    drawn_answers,
    failed,
    make_declaration,
    make_experiment,
    make_folder_of,
    make_record,
)

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.load.separation import separated
from bakeoff.records.schema import Chosen, MadeFrom, Record, Search, TrialRun
from bakeoff.report.page.html import write_html
from bakeoff.report.text.table_md import write_page

RATES = (1e-2, 1e-3)
HERE = MadeFrom(weights="w", tokenizer="t")


def run(strategy: str = "a", seed: int = 0, *, data: str = "test", minute: int = 0, of: MadeFrom = HERE, **more: Any) -> Record:
    record = make_record(strategy, seed, test_data=data, **more)
    return record.model_copy(update={"made_from": of, "started": f"2026-11-23T08:{minute:02d}:00+00:00"})


def trial(strategy: str, number: int, score: float, **more: Any) -> Record:
    """Of the rate of this number, with a dev accuracy."""
    record = run(strategy, 1000 + number, **more)
    return record.model_copy(update={"scores": {**record.scores, "dev": {"accuracy": score, "f1": score}}})


def search(trials: list[Record], rates: tuple[float, ...] = RATES) -> Search:
    """One trial of each rate, in order; the last is chosen."""
    runs = [
        TrialRun(
            id=record.id,
            task=record.requested.task_label,
            model=record.requested.model_label,
            seed=record.requested.seed,
            values={"learning_rate": rates[number % len(rates)]},
        )
        for number, record in enumerate(trials)
    ]
    places = dict.fromkeys((one.task, one.model) for one in runs)
    chosen = [Chosen(task=task, model=model, values={"learning_rate": rates[-1]}) for task, model in places]
    return Search(
        grid={"learning_rate": list(rates)},
        seeds=sorted({trial.seed for trial in runs}),
        choose="best mean on dev",
        trials=runs,
        chosen=chosen,
    )


def groups_of(records: list[Record], trials: list[Record], **declared: Any) -> list[ComparisonGroup]:
    found, _ = separated(make_declaration(records, searches={"a": search(trials)}, **declared), records)
    by_id = {record.id: record for record in trials}
    return described(Experiment(found, tuple(records), lambda _: {}, lambda _: None, trials=by_id))


def described(made: Experiment) -> list[ComparisonGroup]:
    return [describe(made, layout) for layout in layouts(made)]


def shown(groups: list[ComparisonGroup]) -> dict[tuple[str, str], list[float | None]]:
    """Task and row -> the mean of each configuration."""
    return {
        (group.task, row): [tried.score for tried in found.configurations]
        for group in groups
        for row, found in group.searches.items()
    }


def written(folder: Path, records: list[Record], trials: list[Record], **declared: Any) -> Path:
    make_folder_of(folder, [*records, *trials])
    declare(folder, records, searches={"a": search(trials)}, name=folder.name, **declared)
    return folder


OTHER = [("the rows of test", {"data": "others"}), ("the weights", {"of": MadeFrom(weights="w2", tokenizer="t")})]


@pytest.mark.parametrize(("what", "change"), OTHER)
def test_trials_stand_beside_the_rows_of_their_own_data_and_model_alone(what: str, change: dict[str, Any]) -> None:
    old = [run(seed=seed, **change) for seed in range(3)]
    groups = groups_of([*old, run(seed=3, minute=1)], [trial("a", 0, 0.475), trial("a", 1, 0.5)], baseline="a")
    first, second = groups
    assert [row.scored for group in groups for row in group.rows] == [[0, 1, 2], [3]]
    assert [tried.score for tried in first.searches["a"].configurations] == [None, None]
    assert [tried.score for tried in second.searches["a"].configurations] == [0.475, 0.5]
    assert (first.searches["a"].elsewhere, second.searches["a"].elsewhere) == ([what], [])
    assert (first.searches["a"].seconds, second.searches["a"].seconds > 0) == (0, True)


@pytest.mark.parametrize(("what", "change"), OTHER)
def test_so_they_do_where_all_rows_are_of_what_was_before(tmp_path: Path, what: str, change: dict[str, Any]) -> None:
    """`--changed mix` made the trials again and kept every reported run: nothing stands apart."""
    records, trials = [run(seed=seed, **change) for seed in range(2)], [trial("a", 0, 0.475), trial("a", 1, 0.5)]
    made = load_experiment([written(tmp_path / "e", records, trials, baseline="a")])
    comparison = compare(made)
    ((name, found),) = comparison.groups[0].searches.items()
    assert (name, [(tried.score, tried.ended, tried.chosen) for tried in found.configurations]) == (
        "a",
        [(None, 0, False), (None, 0, True)],
    )
    text = " ".join(write_page(comparison).split())
    page = write_html(comparison, made.records, lambda run: None)
    told = f"The trials that chose for a are gone: those in the folder were made under other conditions ({what})"
    assert (text.count(told), page.count(told)) == (1, 1)
    assert "2, trials gone" in text
    assert "took 0 s" not in text
    assert not [shown for shown in (text, page) if "47.50" in shown]


def test_what_nobody_knows_parts_no_trial_from_its_rows_and_a_failed_trial_counts_as_failed() -> None:
    records = [run(seed=seed) for seed in range(2)]
    trials = [trial("a", 0, 0.475, of=MadeFrom()), failed(trial("a", 1, 0.5))]
    (table,) = groups_of(records, trials, baseline="a")
    found = table.searches["a"]
    assert [(one.score, one.ended, one.failed) for one in found.configurations] == [(0.475, 1, 0), (None, 0, 1)]
    assert found.elsewhere == []


def test_searches_of_one_id_in_two_folders_keep_their_own_figures(tmp_path: Path) -> None:
    """The same experiment before and after its data changed: ids are equal, what they hold is not."""
    folders = [
        written(
            tmp_path / name,
            [run(seed=seed, data=data, final=data) for seed in range(2)],
            [trial("a", number, score, data=data) for number, score in enumerate(scores)],
            baseline="a",
        )
        for name, data, scores in (("before", "old", (0.4, 0.5)), ("after", "new", (0.6, 0.7)))
    ]
    made = load_experiment(folders)
    assert shown(described(made)) == {
        ("glue/mrpc", "a · before"): [0.4, 0.5],
        ("glue/mrpc (after)", "a · after"): [0.6, 0.7],
    }


def test_a_strategy_that_was_searched_for_other_tasks_in_two_folders_has_both_searches(tmp_path: Path) -> None:
    folders = [
        written(
            tmp_path / task, [run(task=task)], [trial("a", number, score, task=task) for number, score in enumerate(scores)]
        )
        for task, scores in (("one", (0.4, 0.5)), ("two", (0.6, 0.7)))
    ]
    made = load_experiment(folders)
    assert shown(described(made)) == {("one", "a"): [0.4, 0.5], ("two", "a"): [0.6, 0.7]}
    assert [sum(tried.chosen for tried in table.searches["a"].configurations) for table in described(made)] == [1, 1]


def test_a_search_of_one_folder_is_no_search_of_the_others_rows(tmp_path: Path) -> None:
    one = written(tmp_path / "one", [run(seed=0)], [trial("a", 0, 0.4), trial("a", 1, 0.5)], baseline="a")
    two = make_folder_of(tmp_path / "two", [run("b", data="others")], name="two", baseline="b")
    made = load_experiment([one, two])
    assert [list(group.searches) for group in described(made)] == [["a"], []]


def test_a_search_that_has_chosen_nothing_yet_has_no_row_beside_another_folder(tmp_path: Path) -> None:
    records, trials = [run("b")], [trial("a", 0, 0.4), trial("a", 1, 0.5)]
    one = make_folder_of(tmp_path / "one", [*records, *trials])
    declare(one, records, searches={"a": search(trials)}, baseline="a", trials={"a": 1, "b": 2})
    made = load_experiment([one, make_folder_of(tmp_path / "two", [run("c")], name="two")])
    (table,) = described(made)
    assert ([row.strategy for row in table.rows], dict(table.searches)) == (["b", "c"], {})
    assert made.declared.trials == {"b": 2}


def test_where_models_are_rows_each_has_the_trials_of_its_own(tmp_path: Path) -> None:
    def of(model: str) -> MadeFrom:
        return MadeFrom(weights=model, tokenizer="t")

    records = [run(seed=seed, model=model, of=of(model)) for model in ("minilm", "other") for seed in range(2)]
    scores = {"minilm": (0.4, 0.5), "other": (0.6, 0.7)}
    trials = [
        trial("a", number, score, model=model, of=of(model))
        for model, found in scores.items()
        for number, score in enumerate(found)
    ]
    made = load_experiment([written(tmp_path / "models", records, trials, baseline="a", under_test=["model"])])
    (table,) = described(made)
    found = {name: [(one.score, one.chosen) for one in search.configurations] for name, search in table.searches.items()}
    assert found == {"a · minilm": [(0.4, False), (0.5, True)], "a · other": [(0.6, False), (0.7, True)]}


# --- repeated searches, and what a verdict on searched rows is about -------------------------------------------------------


def two_rows(**declared: Any) -> list[Record]:
    return [run(strategy, seed) for strategy in ("a", "b") for seed in range(3)]


def test_a_choice_of_repeated_searches_is_counted(tmp_path: Path) -> None:
    records = two_rows()
    trials = [trial("a", number, 0.4 + number / 100) for number in range(6)]  # two of each search
    once = search(trials)
    chosen = [
        once.chosen[0].model_copy(update={"search": number, "values": {"learning_rate": rate}})
        for number, rate in enumerate((1e-3, 1e-2, 1e-3))
    ]
    repeated = once.model_copy(update={"reported": [0, 1, 2], "chosen": chosen})
    made = load_experiment([searched_folder(tmp_path / "e", records, trials, repeated)])
    (group,) = compare(made).groups
    found = group.searches["a"]
    assert found.repeat == 3
    assert {tried.values["learning_rate"]: tried.chosen for tried in found.configurations} == {1e-3: 2, 1e-2: 1}
    assert "best of 2, 3 of 3 searches" in write_page(compare(made))


@pytest.mark.parametrize("repeat", [1, 4])
def test_with_one_search_the_sentence_is_about_the_chosen_configuration(repeat: int) -> None:
    labels = np.arange(200) % 2
    answers = {name: drawn_answers(labels, seeds=4, accuracy=0.8, seed=seed) for seed, name in enumerate("ab")}
    chosen = Search(
        grid={"learning_rate": list(RATES)},
        seeds=list(range(1000, 1000 + repeat)),
        reported=list(range(repeat)) if repeat > 1 else [],
        choose="best mean on dev",
        trials=[],
        chosen=[],
    )
    made = make_experiment(answers, labels, searches={"a": chosen}, baseline="b", under_test=["trainer"])
    (pair,) = compare(made).groups[0].to_baseline
    assert pair.seeds == (4, 4)
    assert ("one search chose for a" in pair.sentence) == (repeat == 1)
    assert any("one search chose" in note for note in compare(made).groups[0].notes) == (repeat == 1)


@pytest.mark.parametrize(("split", "raised"), [("dev", True), ("test", False)])
def test_a_search_on_the_reported_split_is_selection(tmp_path: Path, split: str, raised: bool) -> None:
    trials = [trial("a", number, 0.4 + number / 100) for number in range(2)]
    folder = searched_folder(tmp_path / "e", two_rows(), trials, search(trials), report_on=split)
    warnings = [one for one in compare(load_experiment([folder])).warnings if one.name == "selection-bias"]
    assert [one.rows for one in warnings] == ([["a"]] if raised else [])


def searched_folder(folder: Path, records: list[Record], trials: list[Record], chosen: Search, **declared: Any) -> Path:
    make_folder_of(folder, [*records, *trials])
    declare(folder, records, searches={"a": chosen}, name=folder.name, baseline="b", **declared)
    return folder
