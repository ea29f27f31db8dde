"""Strategies over several tasks: from experiments that are compared whole, to the sentence and the pages that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import drawn_answers, make_experiment
from scipy import stats

from bakeoff.analysis.across import across_tasks
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.pair_checks import checks_of
from bakeoff.analysis.pairs import Measures
from bakeoff.analysis.sides import Side
from bakeoff.api.comparisons import Comparisons
from bakeoff.contracts.unit import SHARE
from bakeoff.records.experiment import Experiment
from bakeoff.report.text.table_md import write_page

LABELS = np.arange(150) % 3 // 2
SKILL = {"strong": 0.9, "middle": 0.8, "weak": 0.65}


def over_tasks(
    skills: Sequence[Mapping[str, float]], *, models: Sequence[str] = ("minilm",), **keywords: Mapping[str, Any]
) -> Experiment:
    """An experiment with a task for each mapping of strategy to accuracy, two seeds each; keywords are a strategy's own."""
    parts = [
        make_experiment(
            {
                name: drawn_answers(LABELS, seeds=2, accuracy=skill, wobble=0.05, seed=100 * number + place)
                for place, (name, skill) in enumerate(own.items())
            },
            LABELS,
            records={name: {"task": f"task-{number}", "model": model, **keywords.get(name, {})} for name in own},
            under_test=["trainer"],
        )
        for number, own in enumerate(skills)
        for model in models
    ]
    places = {record.id: part for part in parts for record in part.records}
    return replace(
        parts[0],
        declared=parts[0].declared.model_copy(update={"runs": [run for part in parts for run in part.declared.runs]}),
        records=tuple(record for part in parts for record in part.records),
        predictions=lambda run: places[run].predictions(run),
        metrics={task: found for part in parts for task, found in part.metrics.items()},
    )


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return over_tasks([SKILL] * 6)


@pytest.fixture(scope="module")
def found(experiment: Experiment) -> Comparison:
    return compare(experiment)


def test_six_tasks_that_agree_rank_the_strategies_and_the_sentence_names_who_is_ahead_of_whom(found: Comparison) -> None:
    across = found.across
    assert across is not None
    assert list(across.mean_ranks.items()) == [("strong", 1), ("middle", 2), ("weak", 3)]
    assert across.groups == [f"task-{number} · minilm" for number in range(6)]
    assert across.chi2_p == pytest.approx(stats.chi2.sf(12, 2))
    assert across.f_p == 0
    assert 0 < across.p < 0.002, (
        "all agree by chance in 6 of 6 ** 6 cases, and p never says that less is possible than was tried"
    )
    assert across.critical_difference == pytest.approx(2.3437 * np.sqrt(3 * 4 / 36), abs=5e-4)
    assert "1.35 mean ranks." in across.sentence
    assert across.confounded == []


def test_table_md_has_the_section_after_the_groups(experiment: Experiment, found: Comparison) -> None:
    text = write_page(found)
    before, _, section = text.partition("\n## Across tasks\n")
    assert before.count("\n## ") == 6
    assert "\n## " not in section
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")][2:] == [
        ["strong", "1.00", "–"],
        ["middle", "2.00", "1.00"],
        ["weak", "3.00", "2.00"],
    ]
    assert "strong is ahead of" in section


def test_the_data_frame_has_a_row_for_each_strategy(found: Comparison) -> None:
    told = Comparisons(found).across
    assert list(told["strategy"]) == ["strong", "middle", "weak"]
    assert list(told["mean_rank"]) == [1, 2, 3]
    assert set(told["groups"]) == {6}
    assert not told["confounded"].any()
    assert found.across is not None
    assert set(told["p"]) == {found.across.p}


def test_four_groups_say_nothing_however_many_seeds_there_are(experiment: Experiment, found: Comparison) -> None:
    assert across_tasks(found.groups[:4]) is None
    assert across_tasks(found.groups[:5]) is not None
    assert across_tasks([]) is None
    alone = found.model_copy(update={"groups": found.groups[:4], "across": None})
    assert "Across tasks" not in write_page(alone)


def without(group: ComparisonGroup, *names: str) -> ComparisonGroup:
    """The group with these rows never scored."""
    rows = [row.model_copy(update={"scores": {}}) if row.strategy in names else row for row in group.rows]
    return group.model_copy(update={"rows": rows})


def test_a_strategy_that_a_group_lacks_costs_that_board_or_the_strategy_whichever_leaves_more_scores(found: Comparison) -> None:
    groups = found.groups
    one_short = across_tasks([without(groups[0], "weak"), *groups[1:]])
    assert one_short is not None
    assert len(one_short.groups) == 5
    assert set(one_short.mean_ranks) == set(SKILL)
    many_short = across_tasks([*(without(group, "weak") for group in groups[:3]), *groups[3:]])
    assert many_short is not None
    assert len(many_short.groups) == 6
    assert set(many_short.mean_ranks) == {"strong", "middle"}
    assert across_tasks([without(group, "weak", "middle") for group in groups]) is None


def test_rows_that_may_not_be_ranked_with_the_baseline_are_left_out(found: Comparison) -> None:
    apart = [
        group.model_copy(
            update={"rows": [row.model_copy(update={"ranking": 1}) if row.strategy == "middle" else row for row in group.rows]}
        )
        for group in found.groups
    ]
    across = across_tasks(apart)
    assert across is not None
    assert set(across.mean_ranks) == {"strong", "weak"}


def test_where_less_is_better_on_a_group_its_ranks_turn_round(found: Comparison) -> None:
    turned = across_tasks([group.model_copy(update={"higher_is_better": False}) for group in found.groups])
    assert turned is not None
    assert list(turned.mean_ranks) == ["weak", "middle", "strong"]
    mixed = across_tasks([group.model_copy(update={"higher_is_better": place > 2}) for place, group in enumerate(found.groups)])
    assert mixed is not None
    assert set(mixed.mean_ranks.values()) == {2.0}
    assert (mixed.p, mixed.chi2_p) == (1, 1)
    assert "(p = 1.000)" in mixed.sentence


def test_two_strategies_over_five_groups_are_never_told_apart(found: Comparison) -> None:
    """All five agree, which by chance they do once in sixteen experiments; the F of Iman and Davenport says never."""
    across = across_tasks([without(group, "weak") for group in found.groups[:5]])
    assert across is not None
    assert across.f_p == 0
    assert across.p == pytest.approx(1 / 16, abs=0.01)
    assert "are not told apart" in across.sentence


def test_one_that_is_confounded_with_the_first_is_not_said_to_be_behind_it() -> None:
    found = compare(over_tasks([SKILL] * 6, weak={"recipe": {"learning_rate": 1e-3}}))
    across = found.across
    assert across is not None
    assert across.confounded == ["weak"]
    assert "strong is ahead" not in across.sentence
    assert "called behind strong" in across.sentence
    assert "weak also differs" in across.sentence


def test_groups_of_one_task_are_told_to_hang_together() -> None:
    across = compare(over_tasks([SKILL] * 3, models=("minilm", "tiny"))).across
    assert across is not None
    assert len(across.groups) == 6
    assert "3 tasks" in across.sentence


def test_the_best_of_two_seeds_and_the_probability_of_improvement_come_with_each_row_and_pair(found: Comparison) -> None:
    for group in found.groups:
        for row in group.rows:
            score = row.scores[group.split][group.metric]
            assert row.expected_best == pytest.approx([score.mean, max(score.values)])
        assert {pair.first: pair.checks.probability_of_improvement for pair in group.to_baseline} == {"middle": 0, "weak": 0}


def side(name: str, scores: Sequence[float]) -> Side:
    seeds = tuple(range(len(scores)))
    answers = np.full((len(scores), 3), name == "row")
    return Side(name, seeds, answers, {"": answers}, None, None, np.array(scores), 0, SHARE, 3, {})


def test_an_improvement_is_a_lower_score_where_less_is_better_and_single_runs_show_none() -> None:
    contest = Measures({"row": side("row", [0.5, 0.7]), "base": side("base", [0.6, 0.7])}).compare("row", "base")
    chances = [checks_of([contest], [None], higher_is_better=higher)[0].probability_of_improvement for higher in (True, False)]
    assert chances == [0.375, 0.625]
    single = Measures({"row": side("row", [0.5]), "base": side("base", [0.6, 0.7])}).compare("row", "base")
    assert checks_of([single], [None], higher_is_better=True)[0].probability_of_improvement is None
