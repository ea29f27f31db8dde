"""`bakeoff plan --resolve` as a user calls it: where the pilot comes from, what it says, what it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import drawn_answers, lasting, make_run, write_run
from core.calling import Call
from messages import tells
from numpy.typing import NDArray

from bakeoff.analysis.comparison import compare
from bakeoff.cli.inputs import open_experiment
from bakeoff.machine import hardware
from bakeoff.records import provenance
from bakeoff.records.load import load_experiment
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration

SPEC = """\
name: toy
tasks: [{name: docstrings, size: 100}]
models: [tiny-bert]
strategies:
  loop: {trainer: torch-loop}
  api: {trainer: hf-trainer}
  again: {same_as: loop, replicate: 1}
seeds: 3
"""
LABELS = np.random.default_rng(0).integers(0, 2, 1000)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "toy" / "spec.yaml"
    path.parent.mkdir()
    path.write_text(SPEC, encoding="utf-8")
    return path


def record(spec: Path, answers: dict[str, NDArray[np.int64]], *, seconds: float = 60.0) -> None:
    """Runs that nobody trained, of the strategies and seeds that have answers, on such a machine as this."""
    document, plan = open_experiment(spec)
    store = Store(spec.parent)
    store.declare(declaration(document, plan))
    here = provenance.environment((), threads=hardware.usable_threads()).hardware
    for run in plan.runs:
        rows = answers.get(run.strategy.name, np.empty((0, 0)))
        if run.seed >= len(rows):
            continue
        made, predictions = make_run(run.strategy.name, run.seed, rows[run.seed], LABELS)
        assert made.cost is not None
        environment = made.environment.model_copy(update={"hardware": here})
        cost = lasting(made.cost, seconds)
        write_run(
            store,
            made.model_copy(update={"id": run.id, "requested": run.requested, "environment": environment, "cost": cost}),
            predictions,
        )


def drawn(seed: int, seeds: int = 3) -> NDArray[np.int64]:
    return drawn_answers(LABELS, seeds=seeds, accuracy=0.85, wobble=0.2, seed=seed)


def resolved(call: Call, spec: Path, points: str = "2.0") -> dict[str, Any]:
    code, out, err = call("plan", spec, "--resolve", points, "--json")
    assert code == 0
    assert all(line.startswith("not compared with the records: ") for line in err.splitlines()), err
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_without_records_planning_values_answer_and_say_so(call: Call, spec: Path) -> None:
    answer = resolved(call, spec, "1.0")
    assert [(need["strategy"], need["origin"], need["seeds"]) for need in answer["needs"]] == [
        ("api", "planning values", 21),
        ("again", "planning values", 21),
    ]
    assert answer["price"] == {"seeds": 21, "runs": 63, "left": 63, "seconds": 0.0, "unknown": 63}
    code, out, _ = call("plan", spec, "--resolve", "1.0")
    assert code == 0
    assert "21 seeds: 63" in out
    assert "0.7 to 1.5" in out
    assert "is unknown until" in out
    assert list(spec.parent.iterdir()) == [spec]


def test_this_folders_records_are_the_pilot_and_give_the_price(call: Call, spec: Path) -> None:
    record(spec, {"loop": drawn(1), "api": drawn(2), "again": drawn(3)})
    answer = resolved(call, spec)
    api, again = answer["needs"]
    assert (api["origin"], api["pilot"], api["pilot_seeds"], api["examples"]) == ("pilot", "this folder", 3, 1000)
    assert again["origin"] == "pilot"
    assert 0 < api["chances"]["better"] < api["chances"]["better_by_two"] <= 1
    most = max(api["seeds"], again["seeds"])
    left = 3 * max(0, most - 3)
    assert answer["price"] == {"seeds": most, "runs": 3 * most, "left": left, "seconds": 60.0 * left, "unknown": 0}
    out = call("plan", spec, "--resolve", "2.0")[1]
    assert "3 seeds" in out
    assert "6 seeds estimates" in out


def test_a_recommended_experiment_has_the_seeds_that_its_plan_says(call: Call, spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC + "margin: 2.0\nunder_test: [trainer]\n", encoding="utf-8")
    noisy = [drawn_answers(LABELS, seeds=1, accuracy=0.85 + wide, seed=seed) for seed, wide in enumerate((-0.02, 0.02, 0.0))]
    record(spec, {"loop": np.concatenate(noisy), "api": drawn(2), "again": drawn(3)})
    (found,) = compare(load_experiment([Store(spec.parent)])).recommendations
    tell = found.would_tell
    assert tell is not None
    assert len(tell.strategies) > 1
    assert not tell.hopeless
    text = SPEC.replace("seeds: 3", f"seeds: {list(range(10, 10 + tell.seeds))}\nbaseline: {tell.strategies[0]}")
    kept = [line for line in text.splitlines() if not line.startswith("  ") or line.split(":")[0].strip() in tell.strategies]
    other = tmp_path / "other" / "spec.yaml"
    other.parent.mkdir()
    other.write_text("\n".join(kept) + "\n", encoding="utf-8")
    answer = resolved(call, other)
    assert answer["baseline"] == found.best
    assert max(need["seeds"] for need in answer["needs"]) == tell.seeds
    assert answer["price"] == {
        "seeds": tell.seeds,
        "runs": tell.runs,
        "left": tell.runs,
        "seconds": pytest.approx(tell.seconds),
        "unknown": 0,
    }


def test_the_plan_and_the_page_say_the_same_of_what_can_be_detected(call: Call, spec: Path) -> None:
    record(spec, {"loop": drawn(1), "api": drawn(2), "again": drawn(3)})
    needs = {need["strategy"]: need for need in resolved(call, spec)["needs"]}
    (group,) = compare(load_experiment([Store(spec.parent)])).groups
    assert {pair.first for pair in group.to_baseline} == needs.keys()
    for pair in group.to_baseline:
        assert pair.detectable == pytest.approx(needs[pair.first]["detectable"] / 100)


def test_with_looks_chances_are_those_of_the_last_look(call: Call, spec: Path) -> None:
    fixed, looks = SPEC.replace("seeds: 3", "margin: 2\nseeds: 8"), LOOKS.replace("[3, 5]", "[3, 5, 8]")
    told = []
    for text in (fixed, looks):
        spec.write_text(text, encoding="utf-8")
        (line,) = [line for line in call("check", spec)[1].splitlines() if "equivalent within 2 points" in line]
        told.append([int(share) for share in re.findall(r"(\d+) %", line)])
    assert all(one >= other for one, other in zip(*told, strict=True)), "the last look has a part of the 5 %"
    assert told[0] != told[1]


def test_chances_say_what_they_count_and_explain_no_brackets_that_are_not_there(call: Call, spec: Path) -> None:
    for margin, shown in ((10, False), (2, True)):
        spec.write_text(SPEC.replace("seeds: 3", f"margin: {margin}\nseeds: 5"), encoding="utf-8")
        (line,) = [line for line in call("check", spec)[1].splitlines() if f"equivalent within {margin} points" in line]
        ranges, in_brackets = re.search(r"\(\d+ to \d+ %\)", line) is not None, "in brackets" in line
        assert (ranges, in_brackets) == (shown, shown)
        assert all(words in line for words in ("luck of seeds alone", "deviation of 1 point", "few test rows")), line
        assert "1 points" not in line


def test_a_design_that_will_decide_nothing_is_warned_of(call: Call, spec: Path) -> None:
    for seeds, warned in ((3, True), (80, False)):
        spec.write_text(SPEC.replace("seeds: 3", f"margin: 1\nseeds: {seeds}"), encoding="utf-8")
        for verb in ("check", "plan"):
            assert ("caution: " in (out := call(verb, spec)[1])) == warned
            assert ("--resolve 1`" in out) == warned, "the margin is what it should find"


def test_a_pilot_beside_the_folder_is_found_by_what_was_asked_not_by_names(call: Call, spec: Path, tmp_path: Path) -> None:
    other = tmp_path / "pilot" / "spec.yaml"
    other.parent.mkdir()
    other.write_text(SPEC.replace("loop:", "mine:").replace("same_as: loop", "same_as: mine"), encoding="utf-8")
    record(other, {"mine": drawn(1), "api": drawn(2)})
    api, again = resolved(call, spec)["needs"]
    assert (api["origin"], api["pilot"]) == ("pilot", "pilot")
    assert (again["origin"], again["examples"]) == ("planning values", 1000)


def test_one_seed_is_no_pilot(call: Call, spec: Path) -> None:
    record(spec, {"loop": drawn(1, seeds=1), "api": drawn(2, seeds=1)})
    assert {need["origin"] for need in resolved(call, spec)["needs"]} == {"planning values"}


def test_a_strategy_of_which_no_run_learned_is_no_pilot(call: Call, spec: Path) -> None:
    record(spec, {"loop": drawn(1), "api": np.zeros((3, 1000), dtype=np.int64), "again": drawn(3)})
    assert [need["origin"] for need in resolved(call, spec)["needs"]] == ["planning values", "pilot"]


def test_where_no_number_of_seeds_will_do_the_examples_that_would_are_named(call: Call, spec: Path) -> None:
    here, there = np.tile(LABELS, (3, 1)), np.tile(LABELS, (3, 1))
    here[:, :100], there[:, 100:200] = 1 - here[:, :100], 1 - there[:, 100:200]  # each errs on its own, at every seed
    for seed in range(3):
        here[seed, 200 + seed] = 1 - here[seed, 200 + seed]
    record(spec, {"loop": there, "api": here, "again": there})
    answer = resolved(call, spec, "1.0")
    api = answer["needs"][0]
    assert (api["seeds"], answer["price"]) == (None, None)
    assert api["examples_needed"] > 1000
    out = call("plan", spec, "--resolve", "1.0")[1]
    assert "seeds detects 1" in out
    assert "predictions all equal" in out
    assert answer["needs"][1]["seeds"] is None
    (line,) = [line for line in out.splitlines() if line.startswith("again  ")]
    assert line.split()[1:3] == ["–", "–"]


def test_a_difference_that_neither_seeds_nor_examples_find_is_told_and_is_no_crash(call: Call, spec: Path) -> None:
    """Runs that move by far more than what is asked, and examples that the two sides always answer unlike."""
    here, there = (np.tile(LABELS, (3, 1)) for _ in range(2))
    here[:, :60], there[:, 60:120] = 1 - here[:, :60], 1 - there[:, 60:120]
    here[0, 200:600], there[1, 500:990] = 1 - here[0, 200:600], 1 - there[1, 500:990]
    record(spec, {"loop": there, "api": here})
    api = resolved(call, spec, "0.3")["needs"][0]
    assert (api["seeds"], api["examples_needed"]) == (None, None)
    code, out, _ = call("plan", spec, "--resolve", "0.3")
    assert code == 0
    assert "api: " in out


def test_rows_that_are_right_on_the_same_examples_are_not_called_identical(call: Call, spec: Path) -> None:
    """Three labels: both err on the same examples, each with a wrong answer of its own."""
    labels = LABELS
    one, other = np.tile(labels, (3, 1)), np.tile(labels, (3, 1))
    one[:, :50], other[:, :50] = 2, 3
    record(spec, {"loop": one, "api": other})
    api = resolved(call, spec, "1.0")["needs"][0]
    assert not api["identical"]
    assert "all equal" not in call("plan", spec, "--resolve", "1.0")[1].split("again")[0]


@pytest.mark.parametrize("points", ["0", "-1", "nan", "much"])
def test_a_difference_is_a_positive_number(call: Call, spec: Path, points: str) -> None:
    assert call("plan", spec, "--resolve", points)[0] == 2


def test_one_strategy_has_no_difference(call: Call, spec: Path) -> None:
    spec.write_text(SPEC.replace("  api: {trainer: hf-trainer}\n", "").replace("  again: {same_as: loop, replicate: 1}\n", ""))
    code, out, err = call("plan", spec, "--resolve", "1.0")
    assert (code, out) == (2, "")
    assert tells(err, "--resolve: ", "two strategies")


@pytest.mark.parametrize(
    ("more", "unwanted"),
    [([], {"scipy.stats", "scipy.optimize", "pandas", "torch"}), (["--resolve", "1"], {"torch", "evaluate"})],
)
def test_a_plan_loads_only_what_it_needs(spec: Path, more: list[str], unwanted: set[str]) -> None:
    code = (
        "import sys; sys.argv = ['bakeoff', 'plan', *sys.argv[1:]]\nfrom bakeoff.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print(sorted({unwanted!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(spec), *more], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


LOOKS = SPEC.replace("seeds: 3", "margin: 2\nseeds: {looks: [3, 5]}")


def states(call: Call, spec: Path) -> dict[str, dict[int, str]]:
    """Strategy -> seed -> the state of its run."""
    code, out, _ = call("plan", spec, "--json")
    assert code == 0
    found: dict[str, dict[int, str]] = {}
    for run in json.loads(out)["runs"]:
        found.setdefault(run["strategy"], {})[run["seed"]] = run["state"]
    return found


def test_runs_of_later_looks_are_made_only_while_a_comparison_is_open(call: Call, spec: Path) -> None:
    spec.write_text(LOOKS, encoding="utf-8")
    new = {0: "to do", 1: "to do", 2: "to do", 3: "if open", 4: "if open"}
    assert states(call, spec) == dict.fromkeys(("loop", "api", "again"), new)
    _, out, _ = call("plan", spec)
    assert "15 runs; 9 left" in out
    assert "seeds: 9 to 15 runs" in out
    assert "up to 6 more runs" in out
    (answer, _) = call("check", spec)[1:]
    assert "3 strategies x 1 task x 1 model x 3 to 5 seeds = 9 to 15 runs, by looks at 3 and 5 seeds; no error found" in answer


def test_after_a_look_the_next_one_is_to_do_and_what_is_decided_is_not(call: Call, spec: Path) -> None:
    spec.write_text(LOOKS, encoding="utf-8")
    base = drawn(1)
    record(spec, {"loop": base, "api": base, "again": drawn(2)})
    found = states(call, spec)
    assert found["loop"] == found["again"] == {**dict.fromkeys(range(3), "recorded"), 3: "to do", 4: "to do"}
    assert found["api"] == {**dict.fromkeys(range(3), "recorded"), 3: "if open", 4: "if open"}, "identical at the first look"


def test_where_all_is_decided_nothing_is_left_to_do(call: Call, spec: Path) -> None:
    spec.write_text(LOOKS, encoding="utf-8")
    base = drawn(1)
    record(spec, {"loop": base, "api": base, "again": base})
    assert {state for found in states(call, spec).values() for state in found.values()} == {"recorded", "not needed"}
    _, out, _ = call("plan", spec)
    assert "15 runs; nothing left" in out
    assert "6 runs of later looks" in out
