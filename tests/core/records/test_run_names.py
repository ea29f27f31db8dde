"""The names of runs: what is typed finds the runs that are meant, whatever characters names have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from messages import tells

from bakeoff.errors import BakeoffError
from bakeoff.records.run_names import NamedRun, RunNames, runs_in_words, trial_name
from bakeoff.records.schema import Titles

LONG = "table (train=rows.csv, label=topic)"


def names(
    strategies: tuple[str, ...] = ("full", "lora"), tasks: tuple[str, ...] = ("mrpc",), models: tuple[str, ...] = ("tiny",)
) -> RunNames:
    places = [(task, model, strategy, seed) for task in tasks for model in models for strategy in strategies for seed in (0, 1)]
    return RunNames(tuple(NamedRun(f"r1-{number:x}", *place) for number, place in enumerate(places)))


def found(known: RunNames, text: str) -> list[str]:
    return [known.name(run) for run in known.select(text)]


def refused(known: RunNames, text: str) -> str:
    with pytest.raises(BakeoffError) as error:
        known.select(text)
    return str(error.value)


def test_runs_are_found_by_id_strategy_and_seed() -> None:
    known = names()
    assert found(known, "full:0") == found(known, "r1-0") == ["full:0"]
    assert found(known, "lora") == ["lora:0", "lora:1"]
    assert found(known, ":1") == ["full:1", "lora:1"]


def test_titles_name_tasks_and_models() -> None:
    known = replace(names(tasks=("mrpc", LONG), models=("tiny", "base, large")), titles=Titles(tasks={LONG: "my rows"}))
    assert found(known, "full:0@my rows,tiny") == found(known, f"full:0@{LONG},tiny") == ["full:0@my rows,tiny"]
    assert "my rows" in refused(known, "full:0@my row,tiny")


def test_a_name_without_task_or_model_takes_all_and_with_them_names_one() -> None:
    known = names(tasks=("mrpc", LONG), models=("tiny", "base, large"))
    assert len(found(known, "full:0")) == 4
    assert found(known, "full:0@mrpc,base, large") == ["full:0@mrpc,base, large"]
    assert (
        found(known, "full:0@table") == found(known, f"full:0@{LONG}") == [f"full:0@{LONG},tiny", f"full:0@{LONG},base, large"]
    )
    assert found(known, ":1@mrpc,tiny") == ["full:1@mrpc,tiny", "lora:1@mrpc,tiny"]
    assert len(found(known, "full@tiny")) == 4
    assert all(found(known, known.name(run)) == [known.name(run)] for run in known.runs)
    with pytest.raises(BakeoffError, match=r"4 runs; .*: 'full:0@mrpc,tiny'"):
        known.one("full:0")


def test_a_short_name_that_two_tasks_share_names_neither() -> None:
    known = names(tasks=("table (train=a.csv)", "table (train=b.csv)"))
    assert tells(refused(known, "full:0@table"), "", "no ", "task or model 'table'")


@pytest.mark.parametrize("name", ["a:b", "a@b", "a:0@b", ":", "@", "a,b", "full\nlora"])
def test_any_name_of_a_strategy_is_found(name: str) -> None:
    known = names(strategies=("full", name), tasks=("mrpc", "b"))
    assert len(found(known, name)) == 4
    assert found(known, f"{name}:1@mrpc") == [f"{name}:1@mrpc"]


def test_a_text_with_two_meanings_is_refused() -> None:
    known = names(strategies=("full", "full:0"))
    assert tells(refused(known, "full:0"), "'full:0'", "strategy and seed", "a strategy")
    assert found(known, "full:0:1") == ["full:0:1"]
    assert found(known, "r1-0") == ["full:0"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ful:0", "did you mean 'full:0'?"),
        ("ful", "did you mean 'full'?"),
        ("full:7", "full has the seeds 0, 1"),
        (":7", "there are the seeds 0, 1"),
        ("full:0@mprc", "no task or model 'mprc'; did you mean 'mrpc'?"),
        ("qqqq", "strategies: full and lora; seeds: 0, 1"),
        ("", "strategies: full and lora"),
        ("full:-1", "no run 'full:-1'"),
        ("\x1b[2J:0", "no run '\\x1b[2J:0'"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(text: str, told: str) -> None:
    assert told in refused(names(), text)


def test_trials_are_named_with_what_they_try() -> None:
    first, second = (
        NamedRun(f"r1-{rate}", "mrpc", "tiny", "full", 100, trial_name({"learning_rate": rate})) for rate in (1, 2)
    )
    known = RunNames((first, second, NamedRun(None, "mrpc", "tiny", "full", 0)))
    assert known.select("full:100") == (first, second)
    assert known.select("full:100 (trial: learning_rate 2)") == (second,)
    assert len(known.select("full")) == 3
    assert known.name_of("r1-1") == "full:100 (trial: learning_rate 1)"
    assert known.name_of("r1-unknown") == "r1-unknown"


def test_runs_of_one_strategy_are_named_together() -> None:
    assert runs_in_words("full", [3, 3]) == "full:3"
    assert runs_in_words("full", [0, 1, 2, 5]) == "full (seeds 0 to 2, 5)"
