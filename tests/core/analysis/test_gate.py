"""What a gate says of a candidate, by records whose answers are given: pass, fail, not enough evidence, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import declaring, drawn_answers, make_control, make_experiment, make_record, sharing_streams
from messages import tells
from numpy.typing import NDArray

from bakeoff.analysis.gate.gate import Check, Gate, judge
from bakeoff.contracts.metric import BuiltIn
from bakeoff.contracts.unit import CORRELATION
from bakeoff.errors import BakeoffError
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import EarlierDeclaration
from bakeoff.report.text.gate import write_gate
from bakeoff.statistics.twoway import two_way_unpaired

LABELS = np.random.default_rng(0).integers(0, 2, 1000)
GATE = {"quality": "-1 points", "train_seconds": "+10%"}
SECONDS = (100.0, 101.0, 99.5, 100.5, 100.2)


def answers(accuracy: float = 0.85, *, seeds: int = 5, seed: int = 1, wobble: float = 0.05) -> NDArray[np.int64]:
    return drawn_answers(LABELS, seeds=seeds, accuracy=accuracy, wobble=wobble, seed=seed)


def experiment(
    rows: NDArray[np.int64] | None = None,
    *,
    gate: dict[str, str] | None = None,
    seconds: tuple[float, ...] = SECONDS,
    strategy: str = "loop",
    controls: tuple[float, ...] = (),
    **keywords: Any,
) -> Experiment:
    """One strategy, with five seeds unless said otherwise."""
    given = answers() if rows is None else rows
    made = make_experiment(
        {strategy: given},
        LABELS,
        gate=GATE if gate is None else gate,
        train_seconds={strategy: seconds[: len(given)]},
        **keywords,
    )
    return replace(made, controls=tuple(make_control(milliseconds) for milliseconds in controls))


BASELINE = experiment()


def faster(factor: float = 0.97) -> tuple[float, ...]:
    return tuple(second * factor for second in SECONDS)


def check(gate: Gate, rule: str, strategy: str = "loop") -> Check:
    (found,) = [check for check in gate.checks if (check.rule, check.strategy) == (rule, strategy)]
    return found


def test_a_candidate_as_good_and_as_fast_passes() -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster()), BASELINE)
    assert gate.result == "pass"
    quality, time = check(gate, "quality"), check(gate, "train_seconds")
    assert (quality.result, time.result) == ("pass", "pass")
    assert quality.low is not None
    assert quality.low >= -1.0
    assert time.change == pytest.approx(-3.0)
    assert quality.seeds == (5, 5)
    assert not quality.paired


def test_runs_that_share_their_streams_are_compared_seed_by_seed() -> None:
    here, there = (sharing_streams(one) for one in (experiment(answers(seed=2)), BASELINE))
    assert check(judge(here, there), "quality").paired
    unproven = judge(experiment(answers(seed=2)), BASELINE)
    assert "loop: quality is not compared seed by seed: the data order is not recorded" in unproven.notes


def test_strategies_with_identical_predictions_are_one_chance_of_a_false_alarm() -> None:
    here, there = answers(0.83, seed=2), answers()

    def both(names: list[str], rows: NDArray[np.int64]) -> Experiment:
        return make_experiment(dict.fromkeys(names, rows), LABELS, gate={"quality": "-1 points"})

    one, twins = (judge(both(names, here), both(names, there)) for names in (["loop"], ["loop", "twin"]))
    alone = check(one, "quality").p_fail_adjusted
    assert alone is not None
    assert [found.p_fail_adjusted for found in twins.checks] == [alone, alone]


def test_a_pass_counts_two_examples_more_that_differ() -> None:
    """71 examples, one answer a seed that differs: the plain interval lies within the limit."""
    labels = np.zeros(71, dtype=np.int64)
    less = np.zeros((5, 71), dtype=np.int64)
    less[np.arange(5), np.arange(5)] = 1
    here, there = (make_experiment({"loop": rows}, labels, gate={"quality": "-3 points"}) for rows in (less, 0 * less))
    (found,) = judge(here, there).checks
    plain = two_way_unpaired(1.0 - less, np.ones((5, 71)))
    assert plain.interval(0.9)[0] > -0.03
    longer = [np.hstack([one, np.tile(more, (5, 1))]) for one, more in ((1.0 - less, [1.0, 0]), (np.ones((5, 71)), [0.0, 1]))]
    assert found.low == pytest.approx(100 * two_way_unpaired(*longer).interval(0.9)[0])
    assert (found.result, found.change) == ("not enough evidence", pytest.approx(100 * plain.difference))


def test_a_candidate_that_lost_five_points_fails_and_the_headline_says_so() -> None:
    gate = judge(experiment(answers(0.80, seed=2), seconds=faster()), BASELINE)
    assert gate.result == "fail"
    quality = check(gate, "quality")
    assert quality.change == pytest.approx(-5.0, abs=1.0)
    assert quality.p_fail_adjusted is not None
    assert quality.p_fail_adjusted <= 0.05
    assert tells(gate.headline, "1 of 2 checks ", "failed; ", "loop quality: ", "beyond the limit")


def test_a_candidate_that_trains_twice_as_long_fails_by_its_time_alone() -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster(2.0)), BASELINE)
    assert [one.result for one in gate.checks] == ["pass", "fail"]
    assert check(gate, "train_seconds").change == pytest.approx(100.0)
    assert gate.result == "fail"


def test_noise_around_the_limit_is_no_evidence_and_says_how_many_seeds_it_takes() -> None:
    noisy = experiment(answers(seed=3, seeds=3, wobble=0.4), seconds=faster())
    gate = judge(noisy, experiment(answers(seed=4, seeds=3, wobble=0.4)))
    quality = check(gate, "quality")
    assert (quality.result, gate.result) == ("not enough evidence", "not enough evidence")
    assert quality.seeds_needed is not None
    assert quality.seeds_needed > 3
    assert f"if nothing has changed, {quality.seeds_needed} seeds a side show it four times in five" in quality.reason


def test_where_the_examples_are_too_few_no_number_of_seeds_is_promised() -> None:
    # the candidate errs on other examples than the baseline, at every seed on the same
    here, there = np.tile(LABELS, (5, 1)), np.tile(LABELS, (5, 1))
    here[:, :100], there[:, 100:200] = 1 - here[:, :100], 1 - there[:, 100:200]
    here[np.arange(5), 200 + np.arange(5)] = 1 - here[np.arange(5), 200 + np.arange(5)]
    gate = judge(experiment(here, seconds=faster()), experiment(there))
    quality = check(gate, "quality")
    assert quality.result == "not enough evidence"
    assert quality.seeds_needed is None
    assert "examples resolve 3." in quality.reason


def test_identical_predictions_pass_as_identical_even_with_one_seed_and_no_points_to_lose() -> None:
    rules = {"quality": "-0 points"}
    one = answers(seeds=1)
    gate = judge(experiment(one, gate=rules, seconds=faster()), experiment(one, gate=rules))
    quality = check(gate, "quality")
    assert (quality.result, quality.identical, quality.change) == ("pass", True, 0.0)
    assert "pass (identical)" in write_gate(gate)


def test_one_seed_a_side_is_no_evidence() -> None:
    gate = judge(experiment(answers(seeds=1, seed=2), seconds=faster()), experiment(answers(seeds=1)))
    assert [one.result for one in gate.checks] == ["not enough evidence"] * 2
    assert "fewer than two" in check(gate, "quality").reason


def test_one_run_of_a_strategy_that_does_not_depend_on_the_seed_is_judged_over_the_examples() -> None:
    rules = {"quality": "-1 points"}
    one = answers(seeds=1)

    def judged(*, lost: int, won: int, free: list[str]) -> Check:
        other = one.copy()
        for right, number in ((True, lost), (False, won)):
            (places,) = np.nonzero((one[0] == LABELS) == right)
            other[0, places[:number]] = 1 - other[0, places[:number]]
        sides = (experiment(rows, gate=rules, seed_free=free) for rows in (other, one))
        return check(judge(*sides), "quality")

    as_good = judged(lost=2, won=2, free=["loop"])
    assert (as_good.result, as_good.seeds, as_good.change) == ("pass", (1, 1), pytest.approx(0.0))
    assert as_good.low is not None
    assert -1 < as_good.low < 0
    worse = judged(lost=50, won=0, free=["loop"])
    assert (worse.result, worse.change) == ("fail", pytest.approx(-5.0, abs=0.3))  # two examples more that differ
    unclear = judged(lost=30, won=25, free=["loop"])
    assert (unclear.result, unclear.seeds_needed) == ("not enough evidence", None)
    assert judged(lost=2, won=2, free=[]).result == "not enough evidence", "the seed may matter there"


def test_fails_are_adjusted_over_all_checks_and_passes_are_not() -> None:
    strategies = {f"loop-{number}": answers(0.832, seed=10 + number, wobble=0.2) for number in range(4)}
    before = {name: answers(seed=30 + number, wobble=0.2) for number, name in enumerate(strategies)}
    gate = judge(
        make_experiment(strategies, LABELS, gate={"quality": "-1 points"}),
        make_experiment(before, LABELS, gate={"quality": "-1 points"}),
    )
    raw = [one.p_fail for one in gate.checks if one.p_fail is not None]
    adjusted = [one.p_fail_adjusted for one in gate.checks if one.p_fail_adjusted is not None]
    assert min(adjusted) == pytest.approx(4 * min(raw))
    nearly = [one for one in gate.checks if (one.p_fail or 1) <= 0.05 < (one.p_fail_adjusted or 1)]
    for one in nearly:
        assert one.result == "not enough evidence"
        assert "after Holm over" in one.reason
    loose = judge(
        make_experiment(before, LABELS, gate={"quality": "-8 points"}),
        make_experiment(strategies, LABELS, gate={"quality": "-8 points"}),
    )
    assert [one.result for one in loose.checks] == ["pass"] * 4


def test_a_candidate_with_failed_or_missing_runs_cannot_pass() -> None:
    rows = answers(seed=2)
    gate = judge(experiment(rows, seconds=faster(), failing={"loop": [3]}), BASELINE)
    assert gate.result == "not enough evidence"
    assert tells(check(gate, "quality").reason, "1 of 5 candidate ", "failed (crashed)")
    assert check(gate, "quality").change is not None
    undone = [make_record("loop", 5)]
    gate = judge(experiment(rows, seconds=faster(), undone=undone), BASELINE)
    assert gate.result == "not enough evidence"
    assert "1 of 6" in check(gate, "train_seconds").reason


def test_runs_that_declared_looks_did_not_ask_for_are_not_missing() -> None:
    undone = [make_record("loop", seed) for seed in range(5, 8)]
    gate = judge(experiment(answers(seed=2), seconds=faster(), undone=undone, looks=[3, 5, 8]), BASELINE)
    assert gate.result == "pass"
    undone = [make_record("loop", seed) for seed in range(4, 8)]
    gate = judge(experiment(answers(seed=2, seeds=4), seconds=faster(), undone=undone, looks=[3, 5, 8]), BASELINE)
    assert tells(check(gate, "train_seconds").reason, "", "1 of 5 candidate ", "not recorded")


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_seeds_that_were_added_once_results_were_known_give_no_pass(side: str) -> None:
    look = EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds={"loop": [0, 1, 2]}, recorded=3)
    sides = {"candidate": experiment(answers(seed=2), seconds=faster()), "baseline": BASELINE}
    assert judge(*sides.values()).result == "pass"
    sides[side] = declaring(sides[side], history=[look])
    gate = judge(*sides.values())
    assert gate.result == "not enough evidence"
    assert tells(check(gate, "quality").reason, f"the {side}'s seeds ", "changed")


def test_a_candidate_of_which_every_run_failed_fails() -> None:
    gate = judge(experiment(failing={"loop": range(5)}), BASELINE)
    assert gate.result == "fail"
    assert "5 of 5" in gate.headline


def with_collapses(*seeds: int, accuracy: float = 0.85, seed: int = 2) -> NDArray[np.int64]:
    given = answers(accuracy, seed=seed)
    given[list(seeds)] = 1
    return given


def test_a_candidate_does_not_pass_because_its_collapsed_run_is_left_out() -> None:
    gate = judge(experiment(with_collapses(3), seconds=faster()), BASELINE)
    quality = check(gate, "quality")
    assert quality.low is not None
    assert quality.low > -1.0  # by the four runs that learned it would
    assert (quality.result, gate.result) == ("not enough evidence", "not enough evidence")
    assert quality.seeds == (4, 5)
    assert tells(quality.reason, "1 of 5", "candidate", "collapsed", "0 of 5", "baseline")


def test_a_candidate_whose_learned_runs_are_worse_fails_whatever_collapsed() -> None:
    assert check(judge(experiment(with_collapses(3, accuracy=0.8), seconds=faster()), BASELINE), "quality").result == "fail"


def test_a_candidate_of_which_every_run_collapsed_fails() -> None:
    gate = judge(experiment(with_collapses(*range(5)), seconds=faster()), BASELINE)
    assert check(gate, "quality").result == "fail"
    assert tells(check(gate, "quality").reason, "5 of 5", "candidate", "collapsed", "0 of 5", "baseline")
    with_missing = judge(experiment(with_collapses(*range(5)), undone=[make_record("loop", 9)], seconds=faster()), BASELINE)
    assert check(with_missing, "quality").result == "not enough evidence"


def test_a_baseline_is_what_its_runs_that_learned_are() -> None:
    """With its collapsed run it would be four points worse, and a worse candidate would pass."""
    baseline = experiment(with_collapses(3, seed=1))
    gate = judge(experiment(answers(seed=2), seconds=faster()), baseline)
    assert (gate.result, check(gate, "quality").seeds) == ("pass", (5, 4))
    assert any(tells(note, "1 of 5", "baseline", "loop collapsed") for note in gate.notes)
    assert check(judge(experiment(answers(0.80, seed=2), seconds=faster()), baseline), "quality").result == "fail"
    nothing = judge(experiment(answers(seed=2), seconds=faster()), experiment(with_collapses(*range(5), seed=1)))
    assert tells(check(nothing, "quality").reason, "all 5", "baseline", "collapsed")


def test_an_unchanged_candidate_passes_with_the_baselines_own_collapse() -> None:
    gate = judge(experiment(with_collapses(3, seed=1), seconds=faster()), experiment(with_collapses(3, seed=1)))
    assert (gate.result, check(gate, "quality").identical) == ("pass", True)


def test_a_strategy_that_the_candidate_lacks_keeps_the_gate_open() -> None:
    there = make_experiment({"loop": answers(), "api": answers(seed=4)}, LABELS, gate={"quality": "-1 points"})
    gate = judge(experiment(answers(seed=2)), there)
    assert gate.result == "not enough evidence"
    assert tells(check(gate, "quality", "api").reason, "the candidate ", "no strategy 'api' ", "glue/mrpc · minilm")
    assert check(gate, "quality", "loop").result == "pass"


def test_no_strategy_in_common_is_an_error() -> None:
    with pytest.raises(BakeoffError, match=r"none .*strategies \(loop\)"):
        judge(experiment(strategy="other"), BASELINE)


def test_records_that_were_copied_from_the_baseline_prove_nothing() -> None:
    gate = judge(experiment(), BASELINE)
    assert gate.result == "not enough evidence"
    assert "candidate's records" in check(gate, "quality").reason


@pytest.mark.parametrize(
    ("record", "rule", "reason"),
    [
        ({"test_data": "other"}, "quality", "the examples of test are not the same"),
        ({"task_version": "2"}, "quality", "the task is of version 2, the baseline's of version 1"),
        ({"task_version": "2"}, "train_seconds", "the task is of version 2"),
        ({"hardware": "H100"}, "train_seconds", "the hardware differs: H100 against AMD EPYC, 2 threads"),
    ],
)
def test_what_cannot_be_compared_is_said(record: dict[str, Any], rule: str, reason: str) -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster(), records={"loop": record}), BASELINE)
    found = check(gate, rule)
    assert (found.result, found.change) == ("not enough evidence", None)
    assert reason in found.reason


def test_hardware_does_not_touch_quality_and_is_noted() -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster(), records={"loop": {"hardware": "H100"}}), BASELINE)
    assert check(gate, "quality").result == "pass"
    assert any(tells(note, "", "hardware H100 ", "AMD EPYC, 2 threads") for note in gate.notes)


def test_a_control_run_that_moved_keeps_times_open_and_says_by_how_much() -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster(), controls=(50.0, 51.0)), experiment(controls=(50.0, 62.0)))
    assert check(gate, "quality").result == "pass"
    time = check(gate, "train_seconds")
    assert (time.result, time.change) == ("not enough evidence", None)
    assert "moved by 24" in time.reason
    steady = judge(experiment(answers(seed=2), seconds=faster(), controls=(50.0,)), experiment(controls=(52.0,)))
    assert steady.result == "pass"


def test_that_nothing_controlled_the_machine_is_noted() -> None:
    gate = judge(experiment(answers(seed=2), seconds=faster()), BASELINE)
    assert any("no control run" in note for note in gate.notes)


def test_the_baselines_rules_hold_and_differing_ones_are_named() -> None:
    loose = experiment(answers(0.80, seed=2), seconds=faster(), gate={"quality": "-20 points"})
    gate = judge(loose, BASELINE)
    assert (gate.result, gate.rules, gate.rules_of) == ("fail", GATE, "baseline")
    assert any(tells(note, "", "rules differ ", "(quality -20 points)") for note in gate.notes)
    gate = judge(loose, experiment(gate={}))
    assert (gate.result, gate.rules_of) == ("pass", "candidate")


def test_without_any_rule_the_error_says_how_to_write_one() -> None:
    with pytest.raises(BakeoffError, match=r"gate: \{quality: -1\.0 points, train_seconds: \+10%\}"):
        judge(experiment(answers(seed=2), gate={}), experiment(gate={}))


def test_other_seeds_are_compared_without_pairing() -> None:
    here = experiment(answers(seed=2), seconds=faster(), seeds={"loop": [5, 6, 7, 8, 9]})
    gate = judge(here, BASELINE)
    assert not check(gate, "quality").paired
    assert any("without pairing" in note for note in gate.notes)
    assert gate.result == "pass"


def test_memory_that_never_varies_passes_at_its_limit_and_fails_beyond() -> None:
    rules = {"peak_memory": "+0%"}
    same = judge(experiment(answers(seed=2), gate=rules), experiment(gate=rules))
    assert same.result == "pass"
    more = judge(experiment(answers(seed=2), gate=rules, records={"loop": {"peak_memory_mib": 1001}}), experiment(gate=rules))
    assert more.result == "fail"


def test_a_metric_that_is_no_ratio_is_judged_by_the_bootstrap() -> None:
    class Kappa(BuiltIn):
        """Agreement beyond chance, by no parts."""

        name, unit = "accuracy", CORRELATION

        def compute(self, predictions: Any, references: Any) -> float:
            return float(2 * np.mean(predictions == references) - 1)

    def with_kappa(made: Experiment) -> Experiment:
        return replace(made, metrics={"glue/mrpc": {"accuracy": Kappa()}})

    rules = {"quality": "-3 points"}
    good = judge(with_kappa(experiment(answers(seed=2), gate=rules)), with_kappa(experiment(gate=rules)))
    bad = judge(with_kappa(experiment(answers(0.75, seed=2), gate=rules)), with_kappa(experiment(gate=rules)))
    assert (good.result, bad.result) == ("pass", "fail")
    assert check(bad, "quality").change == pytest.approx(-20.0, abs=2.0)


def test_false_alarms_and_false_passes_stay_below_their_levels() -> None:
    """An unchanged candidate fails in at most 5 % of gates; one that is just at the limit passes in at most 5 %."""
    labels = np.ones(400, dtype=np.int64)
    blank = {name: np.ones((3, 400), dtype=np.int64) for name in ("a", "b")}
    here = make_experiment(blank, labels, gate={"quality": "-1 points"}, train_seconds={"a": (1.0, 2.0, 3.0)})
    there = make_experiment(blank, labels, gate={"quality": "-1 points"})
    generator = np.random.default_rng(7)

    def drawn(made: Experiment, accuracy: float) -> Experiment:
        """The same records with answers that are right by chance."""
        first = next(iter(made.predictions(made.records[0].id).values()))

        def read(run_id: str) -> dict[str, Predictions]:
            right = generator.random((400, 1)) < accuracy
            return {"test": replace(first, logits=np.hstack([~right, right]).astype(np.float32))}

        return replace(made, predictions=read)

    same = [judge(drawn(here, 0.85), drawn(there, 0.85)).result for _ in range(200)]
    at_limit = [judge(drawn(here, 0.84), drawn(there, 0.85)).result for _ in range(200)]
    assert same.count("fail") / 200 <= 0.05
    assert at_limit.count("pass") / 200 <= 0.05
    assert at_limit.count("fail") / 200 <= 0.08
    certain = [judge(drawn(here, 0.60), drawn(there, 0.85)).result for _ in range(20)]
    assert certain == ["fail"] * 20


def test_hostile_names_stay_in_their_cells() -> None:
    name = "evil | <script>alert(1)</script>"
    page = write_gate(judge(experiment(answers(seed=2), strategy=name), experiment(strategy=name)))
    assert "<script>" not in page
    assert "evil \\| &lt;script>" in page


def test_the_page_begins_with_the_verdict_and_holds_the_table() -> None:
    page = write_gate(judge(experiment(answers(0.80, seed=2), seconds=faster()), BASELINE))
    assert tells(page, "## ❌ Gate failed: ", "1 of 2 checks ", "failed; ", "loop quality")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in rows[0].strip("|").split("|")] == [
        "strategy",
        "rule",
        "limit",
        "observed",
        "seeds",
        "verdict",
    ]
    assert "−3.0 % [−3.0, −3.0]" in rows[3]
    assert "2 checks" in " ".join(page.split())


def changed(made: Experiment, part: str, **changes: Any) -> Experiment:
    """With a part of all records changed."""
    records = [record.model_copy(update={part: getattr(record, part).model_copy(update=changes)}) for record in made.records]
    return replace(made, records=tuple(records))


def test_a_label_that_has_another_name_leaves_no_evidence_of_quality() -> None:
    renamed = changed(experiment(seconds=faster()), "data", labels=["not_equivalent", "equivalnt"])
    gate = judge(renamed, BASELINE)
    assert check(gate, "quality").result == "not enough evidence"
    assert "equivalnt" in check(gate, "quality").reason


def test_of_more_labels_than_a_record_lists_the_names_are_compared_too() -> None:
    listed = [*(str(number) for number in range(20)), "and 5 more"]
    sides = [
        changed(changed(made, "data", labels=listed), "made_from", labels=word)
        for made, word in ((experiment(seconds=faster()), "b"), (BASELINE, "a"))
    ]
    found = check(judge(*sides), "quality")
    assert (found.result, found.reason) == ("not enough evidence", "the names of labels are not the same on both sides")


@pytest.mark.parametrize("part", ["weights", "tokenizer"])
def test_another_model_under_one_name_is_told(part: str) -> None:
    candidate, baseline = (
        changed(made, "made_from", **{part: word * 32}) for made, word in ((experiment(), "b"), (BASELINE, "a"))
    )
    assert any(f"{part} bbbbbbbbbbbb instead of aaaaaaaaaaaa" in note for note in judge(candidate, baseline).notes)
    notes = judge(candidate, BASELINE).notes
    assert not any("instead of" in note for note in notes), "unknown is no difference"
    assert any(note.startswith("taken for the same: ") and part in note for note in notes)
