"""Searches in an experiment file: which trials they ask for, what they choose, and what is said of wrong ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
from builders import make_record

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.planning.search import in_words, settled, undecided
from bakeoff.records.schema import Record
from bakeoff.runner.experiment import declaration
from bakeoff.spec.document import parse_document
from bakeoff.spec.strategy import FIRST_TRIAL_SEED

INSTALLED = load_registry()
HEAD = """\
name: toy
tasks: [{name: docstrings, size: 100}]
models: [tiny-bert]
recipe: {epochs: 1}
seeds: 2
"""
SEARCH = "search: {learning_rate: [1e-4, 1e-3], seeds: 2}\n"
ROWS = "strategies:\n  full: {trainer: torch-loop}\n  lora: {trainer: torch-loop, method: {name: lora, r: 2}}\n"


def plan_of(text: str) -> Plan:
    return resolve(parse_document(text, "spec.yaml"), INSTALLED)


def problem_in(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        plan_of(text)
    assert len(caught.value.problems) == 1, [str(problem) for problem in caught.value.problems]
    return str(caught.value.problems[0])


def found(plan: Plan, scores: dict[float, Any]) -> dict[str, Record]:
    """A record for each trial: dev accuracy by learning rate, a list by seed; None for a failed run."""
    made = {}
    for run in plan.trials:
        score = scores[dict(run.tried)["learning_rate"]]
        value = score[run.seed - FIRST_TRIAL_SEED] if isinstance(score, list) else score
        record = make_record(run.strategy.name, run.seed)
        changes: dict[str, Any] = {"status": "failed"} if value is None else {"scores": {"dev": {"accuracy": value}}}
        made[run.id] = record.model_copy(update={"id": run.id, **changes})
    return made


def test_trials_come_first_seed_by_seed_and_the_reported_runs_wait_for_them() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    assert [(run.strategy.name, dict(run.tried)["learning_rate"], run.seed) for run in plan.trials] == [
        (name, rate, seed) for seed in (1000, 1001) for name in ("full", "lora") for rate in (1e-4, 1e-3)
    ]
    assert plan.runs == ()
    assert plan.waiting == 4


def test_a_trial_is_the_plain_run_of_its_configuration() -> None:
    (trial, *_) = plan_of(HEAD + SEARCH + ROWS).trials
    plain = plan_of(HEAD.replace("seeds: 2", "seeds: [1000]").replace("epochs: 1", "epochs: 1, learning_rate: 1e-4") + ROWS)
    assert trial.id == plain.runs[0].id
    assert trial.requested == plain.runs[0].requested


def test_the_best_mean_on_dev_is_reported_at_the_reported_seeds() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    records = found(plan, {1e-4: [0.9, 0.1], 1e-3: [0.6, 0.6]})
    after = settled(plan, records.get)
    assert [(run.strategy.name, run.strategy.recipe.learning_rate, run.seed) for run in after.runs] == [
        (name, 1e-3, seed) for seed in (0, 1) for name in ("full", "lora")
    ]
    assert after.waiting == 0
    plain = plan_of(HEAD.replace("epochs: 1", "epochs: 1, learning_rate: 1e-3") + ROWS)
    assert [run.id for run in after.runs] == [run.id for run in plain.runs]


def test_of_equals_the_first_is_chosen() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    after = settled(plan, found(plan, {1e-4: 0.5, 1e-3: 0.5}).get)
    assert {run.strategy.recipe.learning_rate for run in after.runs} == {1e-4}


def test_nothing_is_chosen_while_a_trial_is_missing() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    records = found(plan, {1e-4: 0.5, 1e-3: 0.6})
    del records[plan.trials[-1].id]  # of lora
    after = settled(plan, records.get)
    assert {run.strategy.name for run in after.runs} == {"full"}
    assert after.waiting == 2


def test_a_failed_trial_rules_its_configuration_out() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    after = settled(plan, found(plan, {1e-4: 0.5, 1e-3: [0.9, None]}).get)
    assert {run.strategy.recipe.learning_rate for run in after.runs} == {1e-4}


def test_where_every_configuration_fails_nothing_is_reported_and_that_is_said() -> None:
    plan = plan_of(HEAD + SEARCH + ROWS)
    records = found(plan, {1e-4: [0.5, None], 1e-3: None})
    after = settled(plan, records.get)
    assert after.runs == ()
    without = undecided(after, records.get)
    assert without == {(name, plan.tasks[0].label, "tiny-bert", 0): 2 for name in ("full", "lora")}
    assert [in_words(after, search).partition(":")[0] for search in without] == ["full", "lora"]


# --- repeated searches ---------------------------------------------------------------------------------------------------

REPEATED = "search: {learning_rate: [1e-4, 1e-3], seeds: 2, repeat: 3}\n"
THREE = HEAD.replace("seeds: 2", "seeds: 3")


def by_search(plan: Plan, better: dict[int, float]) -> dict[str, Record]:
    """A record for each trial, of which those of this learning rate are the better ones in the search with this number."""
    made = {}
    for run in plan.trials:
        value = 0.9 if dict(run.tried)["learning_rate"] == better[run.search] else 0.1
        record = make_record(run.strategy.name, run.seed)
        made[run.id] = record.model_copy(update={"id": run.id, "scores": {"dev": {"accuracy": value}}})
    return made


def test_repeated_searches_have_trial_seeds_of_their_own() -> None:
    plan = plan_of(THREE + REPEATED + ROWS)
    seeds = {number: {run.seed for run in plan.trials if run.search == number} for number in range(3)}
    assert seeds == {0: {1000, 1001}, 1: {1002, 1003}, 2: {1004, 1005}}
    assert len(plan.trials) == 3 * 2 * 2 * 2
    assert (plan.runs, plan.waiting) == ((), 6)


def test_each_reported_seed_runs_what_its_own_search_chose() -> None:
    plan = plan_of(THREE + REPEATED + ROWS)
    better = {0: 1e-3, 1: 1e-4, 2: 1e-3}
    records = by_search(plan, better)
    after = settled(plan, records.get)
    assert {(run.strategy.name, run.seed, run.strategy.recipe.learning_rate) for run in after.runs} == {
        (name, seed, better[seed]) for name in ("full", "lora") for seed in range(3)
    }
    last = [run.id for run in plan.trials if run.search == 2]
    early = settled(plan, {run_id: record for run_id, record in records.items() if run_id not in last}.get)
    assert ({run.seed for run in early.runs}, early.waiting) == ({0, 1}, 2)
    assert {run.id for run in early.first_trials} == set(last)


def test_the_first_of_repeated_searches_is_the_search_that_is_made_once() -> None:
    """So an experiment may be made again with repeats: what is recorded stays of use."""
    once, often = plan_of(HEAD + SEARCH + ROWS), plan_of(THREE + REPEATED + ROWS)
    assert {run.id for run in once.trials} == {run.id for run in often.trials if run.search == 0}


def test_the_declaration_tells_searches_and_seeds_apart_before_all_have_chosen() -> None:
    document = parse_document(THREE + REPEATED + ROWS, "spec.yaml")
    plan = resolve(document, INSTALLED)
    before = declaration(document, plan)
    assert (before.searches["full"].repeat, before.searches["full"].reported) == (3, [0, 1, 2])
    assert before.seeds == {"full": [0, 1, 2], "lora": [0, 1, 2]}
    after = declaration(document, settled(plan, by_search(plan, {0: 1e-3, 1: 1e-4, 2: 1e-3}).get))
    chosen = after.searches["lora"].chosen
    assert [(one.search, one.values["learning_rate"]) for one in chosen] == [(0, 1e-3), (1, 1e-4), (2, 1e-3)]
    assert after.seeds == before.seeds


def test_with_looks_only_the_searches_of_the_first_look_come_first() -> None:
    looks = HEAD.replace("seeds: 2", "seeds: {looks: [3, 5]}")
    plan = plan_of(looks + REPEATED.replace("repeat: 3", "repeat: 5") + ROWS)
    assert {run.search for run in plan.first_trials} == {0, 1, 2}
    task = plan.tasks[0].label
    searches = plan.searches_for({(task, "tiny-bert", "lora", seed) for seed in (3, 4)})
    assert {(run.strategy.name, run.search) for run in plan.trials_for(searches)} == {("lora", 3), ("lora", 4)}


def test_several_keys_make_all_combinations_of_recipe_and_options() -> None:
    grid = "search: {learning_rate: [1e-4, 1e-3], method.r: [1, 2, 4], seeds: 1}\n"
    plan = plan_of(HEAD + grid + "strategies: {lora: {trainer: torch-loop, method: lora}}\n")
    tried = [(run.strategy.recipe.learning_rate, run.strategy.method.options.r) for run in plan.trials]  # type: ignore[attr-defined]
    assert tried == [(rate, rank) for rate in (1e-4, 1e-3) for rank in (1, 2, 4)]


RANGES = "search: {learning_rate: {low: 1e-5, high: 1e-3, log: true}, batch_size: {low: 4, high: 32}, budget: 16, seeds: 1}\n"


def test_configurations_of_ranges_are_drawn_in_advance_alike_for_every_strategy() -> None:
    plan = plan_of(HEAD + RANGES + ROWS)
    tried = {
        name: [
            (run.strategy.recipe.learning_rate, run.strategy.recipe.batch_size)
            for run in plan.trials
            if run.strategy.name == name
        ]
        for name in ("full", "lora")
    }
    assert tried["full"] == tried["lora"]
    assert len({*tried["full"]}) == 16
    assert all(1e-5 <= rate <= 1e-3 and 4 <= size <= 32 for rate, size in tried["full"])
    thirds = [int(math.log10(rate / 1e-5) / 2 * 4 - 1e-9) for rate, _ in tried["full"]]
    assert {third: thirds.count(third) for third in range(4)} == pytest.approx(dict.fromkeys(range(4), 4), abs=1), (
        "evenly spread"
    )
    assert [run.id for run in plan.trials] == [run.id for run in plan_of(HEAD + RANGES + ROWS).trials]
    other = plan_of(HEAD + RANGES.replace("seeds: 1", "seeds: 1, draw: 1") + ROWS)
    assert not {run.id for run in plan.trials} & {run.id for run in other.trials}
    fewer = plan_of(HEAD + RANGES.replace("budget: 16", "budget: 5") + ROWS)
    assert [run.id for run in fewer.trials if run.strategy.name == "full"] == [run.id for run in plan.trials][:5]
    declared = declaration(parse_document(HEAD + RANGES + ROWS, "spec.yaml"), plan).searches["full"]
    assert {trial.values["batch_size"] for trial in declared.trials} == {*declared.grid["batch_size"]}
    assert (declared.ranges["learning_rate"], declared.ranges["batch_size"]) == (
        {"low": 1e-5, "high": 1e-3, "log": True},
        {"low": 4, "high": 32, "log": False},
    )
    assert (declared.budget, declared.draw) == (16, 0)


@pytest.mark.parametrize(
    ("key", "given", "least"),
    [
        ("weight_decay", "{low: 0, high: 1}", 7),
        ("label_smoothing", "{low: 0.9, high: 0.9999}", 7),
        ("epochs", "{low: 1, high: 3}", 3),
    ],
)
def test_rates_are_drawn_between_whole_ends_and_counts_are_whole(key: str, given: str, least: int) -> None:
    head = HEAD.replace("recipe: {epochs: 1}\n", "") if key == "epochs" else HEAD
    plan = plan_of(f"{head}search: {{{key}: {given}, budget: 8, seeds: 1}}\nstrategies: {{full: {{trainer: torch-loop}}}}\n")
    values = {getattr(run.strategy.recipe, key) for run in plan.trials}
    assert len(values) >= least
    assert all(isinstance(value, int) for value in values) == (key == "epochs")


def test_a_budget_draws_from_lists_what_it_does_not_try_whole() -> None:
    grid = "search: {learning_rate: [1e-4, 1e-3, 1e-2], batch_size: [4, 8, 16], budget: 5, seeds: 1}\n"
    plan = plan_of(HEAD + grid + "strategies: {full: {trainer: torch-loop}}\n")
    tried = {(run.strategy.recipe.learning_rate, run.strategy.recipe.batch_size) for run in plan.trials}
    assert len(tried) == len(plan.trials) == 5
    assert tried <= {(rate, size) for rate in (1e-4, 1e-3, 1e-2) for size in (4, 8, 16)}


def test_a_repeat_takes_what_the_repeated_strategys_trials_choose() -> None:
    plan = plan_of(HEAD + SEARCH + "strategies: {full: {trainer: torch-loop}, again: {same_as: full, replicate: 1}}\n")
    assert {run.strategy.name for run in plan.trials} == {"full"}
    after = settled(plan, found(plan, {1e-4: 0.5, 1e-3: 0.6}).get)
    reported = {(run.strategy.name, run.strategy.recipe.learning_rate, run.strategy.replicate) for run in after.runs}
    assert reported == {("full", 1e-3, 0), ("again", 1e-3, 1)}


def test_a_strategy_may_have_its_own_search_or_none() -> None:
    rows = (
        "strategies:\n  full: {trainer: torch-loop}\n"
        "  fixed: {trainer: hf-trainer, search: none, recipe: {learning_rate: 5e-5}}\n"
        "  probe: {trainer: linear-probe, method: head-only, search: {trainer.l2: [0.1, 1.0], seeds: [7]}}\n"
    )
    plan = plan_of(HEAD + SEARCH + rows)
    assert [run.strategy.name for run in plan.runs] == ["fixed", "fixed"]
    assert {(run.strategy.name, run.seed) for run in plan.trials} == {("full", 1000), ("full", 1001), ("probe", 7)}


def test_the_declaration_says_what_was_searched_and_chosen() -> None:
    document = parse_document(HEAD + SEARCH + ROWS, "spec.yaml")
    plan = resolve(document, INSTALLED)
    before = declaration(document, plan)
    assert before.runs == []
    assert before.searches["full"].chosen == []
    assert before.trials == {"full": 2, "lora": 2}
    after = declaration(document, settled(plan, found(plan, {1e-4: 0.5, 1e-3: 0.6}).get))
    (chosen,) = after.searches["lora"].chosen
    assert (chosen.model, chosen.values) == ("tiny-bert", {"learning_rate": 1e-3})
    assert len(after.searches["lora"].trials) == 4
    assert len(after.runs) == 4


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("{seeds: 2}", "spec.yaml:6:1: search: a search needs a key with values to try"),
        ("{learning_rate: []}", "search: 'learning_rate' needs a list of values to try"),
        ("{learning_rate: [1e-4], repeat: 3}", "search.repeat: each reported seed has a search of its own: write the number"),
        ("{learning_rate: [1e-4], repeat: 0}", "search.repeat: "),
        ("{learning_rate: [1e-4], seeds: [2147483647], repeat: 2}", "search.seeds: the last of 2 searches would need seed"),
        ("{learning_rate: 1e-4}", "search: 'learning_rate' needs a list of values to try"),
        ("{learning_rate: [1e-4, 1e-4]}", "search: 'learning_rate' has a value twice; give each once"),
        ("{learning_rate: [1e-4, -1.0]}", "spec.yaml:6:32: search.learning_rate[1]: must be greater than 0; got -1.0"),
        ("{learning_rat: [1e-4]}", "no recipe key or option 'learning_rat'; did you mean 'learning_rate'?"),
        ("{learning_rate: [1e-4], seeds: [0, 9]}", "search.seeds: seed 0 is reported too; a search needs seeds of its own"),
        ("{learning_rate: [1e-4], choose: worst}", "search.choose: must be 'best mean on dev'; got 'worst'"),
        ("{learning_rate: {low: 1e-5, high: 1e-3}}", "search: 'learning_rate' is a range: say how many configurations"),
        ("{learning_rate: {low: 1e-3, high: 1e-5}, budget: 4}", "low is 1e-3 and high 1e-5: low must be below high"),
        ("{learning_rate: {low: 1e-5, high: 1e-5}, budget: 4}", "low must be below high"),
        ("{learning_rate: {low: 0, high: 1e-3, log: true}, budget: 4}", "low is 0, and with `log: true` it must be above 0"),
        ("{learning_rate: {low: 1e-5}, budget: 4}", "'learning_rate.high'"),
        ("{learning_rate: {low: 1e-5, hgh: 1e-3}, budget: 4}", "'learning_rate.h"),
        ("{learning_rate: {low: -1.0, high: -0.5}, budget: 1}", "spec.yaml:6:10: search.learning_rate: must be greater than 0"),
        ("{learning_rate: [1e-5, 1e-4], budget: 2}", "search: budget: all 2 combinations of these lists"),
        ("{learning_rate: [1e-5, 1e-4], budget: 0}", "search.budget: "),
        ("{method.r: [2]}", "search.method.r: no option of method 'full' 'method.r'"),
        ("{batch_size: [8, 16], micro_batch_size: [8, 16]}", "micro_batch_size 16 does not divide batch_size 8"),
    ],
)
def test_a_wrong_search_is_said_with_its_place(search: str, message: str) -> None:
    assert message in problem_in(f"{HEAD}search: {search}\nstrategies: {{full: {{trainer: torch-loop}}}}\n")


def test_what_the_strategy_itself_sets_cannot_be_searched() -> None:
    rows = "strategies: {full: {trainer: torch-loop, recipe: {learning_rate: 1e-4}}}\n"
    message = problem_in(HEAD + SEARCH + rows)
    assert "strategies.full.recipe.learning_rate: the search" in message


def test_a_trainer_that_does_not_follow_a_searched_key_says_so() -> None:
    message = problem_in(HEAD + SEARCH + "strategies: {probe: {trainer: linear-probe, method: head-only}}\n")
    assert "learning_rate" in message
    assert "'linear-probe' (strategy 'probe')" in message


def test_two_strategies_with_the_same_trials_are_one() -> None:
    message = problem_in(HEAD + SEARCH + "strategies: {a: {trainer: torch-loop}, b: {trainer: torch-loop}}\n")
    assert "strategy 'a'" in message


@pytest.mark.parametrize("key", ["-.learning_rate", "trainer.", "optimiser.l2", "learning_rat"])
def test_a_wrong_key_that_two_strategies_share_is_said_once(key: str) -> None:
    again = "  again: {same_as: full, replicate: 1}\n"
    own = f"strategies:\n  full: {{trainer: torch-loop, search: {{{key}: [1e-5, 2e-5], seeds: 2}}}}\n"
    assert "spec.yaml:7:" in problem_in(HEAD + own + again)
    with pytest.raises(SpecError) as caught:
        plan_of(HEAD + f"search: {{{key}: [1e-5, 2e-5], seeds: 2}}\n" + ROWS)
    assert {problem.line for problem in caught.value.problems} == {6}
