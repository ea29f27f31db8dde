"""`bakeoff table`: what stands in it, what is said about it, what is refused, and that no text breaks out of it."""

from __future__ import annotations

import csv
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import (
    SOFTWARE,
    component,
    declare,
    drawn_answers,
    failed,
    make_attempt,
    make_control,
    make_declaration,
    make_folder,
    make_folder_of,
    make_record,
    run_id,
)
from click.testing import CliRunner
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.cli.inputs import open_experiment
from bakeoff.cli.table import table
from bakeoff.errors import StoreError
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.report.beside import Unequal, set_beside
from bakeoff.report.page.html import write_html
from bakeoff.statistics.intervals import share_interval
from bakeoff.text.markdown import paragraph

ACCURACIES = (0.84, 0.85, 0.87)


def show(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(table, [str(folder), "--all", *options], standalone_mode=False, catch_exceptions=False)
    return result.output


def flowing(text: str) -> str:
    """Without the line breaks of wrapped sentences."""
    return " ".join(text.split())


def cells(text: str, strategy: str, *, nth: int = 0) -> dict[str, str]:
    """Title -> cell of a strategy's row in the nth table that has it."""
    header: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        row = [cell.strip() for cell in line.strip("|").split("|")]
        header = header or row
        if row[0].split(" ◂")[0] == strategy:
            if nth == 0:
                return dict(zip(header, row, strict=True))
            nth -= 1
    raise AssertionError(f"no row {strategy} in\n{text}")


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("by name", "by name", "head: the checkpoint's own, its labels matched with the task's by name."),
        ("replaced", "replaced", "head: new, in the place of the checkpoint's, whose labels are others."),
        ("by position", "new", "in their order, since nothing names them (NAME); new, since the checkpoint has none (OTHER)."),
        ("new", "new", ""),
        (None, None, ""),
    ],
)
def test_the_table_says_where_trained_heads_come_from(tmp_path: Path, first: Any, second: Any, sentence: str) -> None:
    pair = both(seeds=1)
    names = [record.requested.strategy for record in pair]
    told = [
        record.model_copy(update={"weights": record.weights.model_copy(update={"head": head})})
        for record, head in zip(pair, (first, second), strict=True)
        if record.weights
    ]
    text = flowing(show(make_folder_of(tmp_path, told)))
    assert text.count("head: ") == bool(sentence)
    assert sentence.replace("NAME", names[0]).replace("OTHER", names[1]) in text


def test_earlier_attempts_are_told_with_what_they_took(tmp_path: Path) -> None:
    first, second = both(seeds=1)
    first = first.model_copy(update={"attempts": [make_attempt("crashed", 70.0), make_attempt("timed out", 50.4)]})
    text = flowing(show(make_folder_of(tmp_path, [first, second])))
    told = f"rerun: {first.requested.strategy} after 2 failed attempts (1 crashed, 1 timed out) that took 120 s."
    assert told in text
    assert text.count("failed attempts") == 1
    assert "how each ended" in " ".join(text.split())  # the share of failures does not hold them


def both(*, seeds: int = 3) -> list[Record]:
    """Two strategies that differ by their trainer."""
    records = []
    for seed in range(seeds):
        records.append(make_record("trainer-api", seed, test_accuracy=ACCURACIES[seed], train_seconds=690.0 + seed))
        records.append(make_record("manual-loop", seed, trainer="torch-loop", test_accuracy=0.86, peak_memory_mib=900 + seed))
    return records


def test_a_row_holds_mean_and_sd_over_seeds(tmp_path: Path) -> None:
    text = show(make_folder_of(tmp_path / "x", both()))
    scores, costs = cells(text, "trainer-api"), cells(text, "trainer-api", nth=1)
    assert scores["test accuracy★"] == f"{100 * statistics.mean(ACCURACIES):.2f} ± {100 * statistics.stdev(ACCURACIES):.2f}"
    assert (scores["dev accuracy"], scores["dev f1"]) == ("80.00 ± 0.00", "86.00 ± 0.00")
    assert (scores["n"], scores["failed"]) == ("3", "0")
    assert costs["train s"] == "691.0 ± 1.0"
    assert costs["evaluate samples/s"] == "177.8 ± 0.0"
    assert cells(text, "manual-loop", nth=1)["peak MiB"] == "902"


def test_the_floor_and_the_baseline_are_marked_and_the_reported_split_comes_first(tmp_path: Path) -> None:
    text = show(make_folder_of(tmp_path / "x", both()))
    floor = cells(text, "majority baseline")
    assert (floor["test accuracy★"], floor["dev f1"], floor["n"]) == ("66.49", "81.22", "–")
    assert "| trainer-api ◂ " in text
    assert "| manual-loop " in text
    titles = list(floor)
    assert titles.index("test accuracy★") < titles.index("test f1") < titles.index("dev accuracy")
    on_dev = show(make_folder_of(tmp_path / "y", both(), report_on="dev"))
    titles = list(cells(on_dev, "majority baseline"))
    assert titles.index("dev accuracy★") < titles.index("test f1")


def test_titles_stand_in_headings_and_labels_in_the_caption(tmp_path: Path) -> None:
    label, model = both()[0].requested.task_label, both()[0].requested.model_label
    titles = {"tasks": {label: "News *pairs*"}, "strategies": {"manual-loop": "By hand (manual-loop)"}}
    folder = make_folder_of(tmp_path / "x", both(), titles=titles)
    text = show(folder)
    assert ["## News \\*pairs\\*", model] in [line.split(" · ") for line in text.splitlines()]
    assert cells(text, "By hand (manual-loop)")["n"] == "3"
    assert tells(flowing(text), "", f"**task**: {label} ")
    other = make_folder_of(tmp_path / "y", both(), name="other", titles={"tasks": {label: "Another"}})
    assert [group.title for group in compare(load_experiment([folder, other])).groups] == [f"News *pairs* · {model}"]
    experiment = load_experiment([folder])
    page = write_html(compare(experiment), experiment.records, lambda _: None)
    assert page.count("News *pairs*") > 1
    assert "By hand (manual-loop)" in page


def test_equal_facts_stand_in_the_caption_and_differing_ones_are_columns(tmp_path: Path) -> None:
    lora = component("lora", r=8, alpha=16)
    records = [make_record("trainer-api"), make_record("lora", method=lora, recipe={"learning_rate": 2e-4})]
    text = show(make_folder_of(tmp_path / "x", records))
    assert cells(text, "lora")["learning rate"] == "2e-4"
    assert cells(text, "trainer-api")["learning rate"] == "5e-5"
    assert cells(text, "lora")["method"] == "lora"
    assert "trainer" not in cells(text, "lora")
    assert tells(flowing(text), "", "lora 1 (bakeoff 0.1.0) ", "r 8, alpha 16")
    assert tells(flowing(text), "", "**recipe**: ", "3 epochs", "size 8", "betas 0.9 / 0.999")
    assert "torch 2.13.0" in text
    assert "train 3,668 examples" in text


def test_a_recipe_key_that_one_row_states_is_a_column_with_the_neutral_value_of_the_others(tmp_path: Path) -> None:
    records = [make_record("trainer-api"), make_record("smoothed", recipe={"label_smoothing": 0.1})]
    text = show(make_folder_of(tmp_path / "x", records))
    assert cells(text, "smoothed")["label_smoothing"] == "0.1"
    assert cells(text, "trainer-api")["label_smoothing"] == "0"
    assert "momentum" not in text, "nobody states it"


def test_options_that_tell_two_rows_apart_stand_in_their_cells(tmp_path: Path) -> None:
    records = [make_record(f"lora-{r}", method=component("lora", r=r, alpha=16)) for r in (8, 16)]
    text = show(make_folder_of(tmp_path / "x", records))
    assert [cells(text, f"lora-{r}")["method"] for r in (8, 16)] == ["lora (r 8)", "lora (r 16)"]


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [(1, "anecdote"), (2, "anecdote"), (3, "with 3 seeds"), (4, None)],
)
def test_few_seeds_are_flagged(tmp_path: Path, seeds: int, sentence: str | None) -> None:
    text = show(make_folder_of(tmp_path / "x", [make_record(seed=seed) for seed in range(seeds)]))
    row = cells(text, "trainer-api")
    assert row.get("warnings") == ("few-seeds" if sentence else None)
    assert ("±" in row["test accuracy★"]) == (seeds > 1)
    told = [line for line in text.splitlines() if line.startswith("- few-seeds (caution): ")]
    assert bool(told) == bool(sentence)
    if sentence:
        assert sentence in flowing(text)


def test_a_row_that_learnt_nothing_is_flagged(tmp_path: Path) -> None:
    labels = np.array([0, 1, 1] * 40)
    answers = {
        "collapsed": np.ones((6, 120)),
        "trainer-api": drawn_answers(labels, seeds=6, accuracy=0.95),
    }
    text = show(make_folder(tmp_path / "x", answers, labels, baseline="trainer-api"))
    assert "collapsed-runs" in cells(text, "collapsed")["warnings"]
    assert "collapsed-runs" not in cells(text, "trainer-api")["warnings"]
    assert "- collapsed-runs (caution): " in text


def test_a_row_has_its_interval_its_rank_and_its_difference_to_the_baseline(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 200)
    answers = {
        "trainer-api": drawn_answers(labels, seeds=6, accuracy=0.70, seed=1),
        "better": drawn_answers(labels, seeds=6, accuracy=0.90, seed=2),
    }
    text = show(make_folder(tmp_path / "x", answers, labels, under_test=["trainer"]))
    low, high = map(float, cells(text, "better")["95 % interval"].strip("[]").split(","))
    mean = float(cells(text, "better")["test accuracy★"].split()[0])
    assert low < mean < high
    assert (cells(text, "better")["rank"], cells(text, "trainer-api")["rank"]) == ("1", "2")
    duel = cells(text, "better", nth=1)
    assert duel["verdict"] == "better"
    assert duel["p (Holm)"] == "< 0.001"
    assert float(duel["test accuracy − trainer-api"]) > 10
    assert tells(text, "", "\nbetter ", "than trainer-api: ")
    with (tmp_path / "x" / "table.csv").open(newline="") as stream:
        rows = {row["strategy"]: row for row in csv.DictReader(stream)}
    assert (rows["better"]["verdict"], rows["better"]["rank_low"], rows["better"]["rank_high"]) == ("better", "1", "1")
    assert float(rows["better"]["difference_low"]) > 0.1
    assert rows["trainer-api"]["verdict"] == ""


def test_an_undeclared_difference_puts_a_dagger_and_a_sentence_at_the_row(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 200)
    answers = {
        "trainer-api": drawn_answers(labels, seeds=6, accuracy=0.70, seed=1),
        "faster": drawn_answers(labels, seeds=6, accuracy=0.90, seed=2),
    }
    records = {"faster": {"recipe": {"learning_rate": 3e-5}}}
    folder = make_folder(tmp_path / "x", answers, labels, records=records, under_test=["trainer"])
    text = show(folder)
    assert "| faster † " in text
    assert cells(text, "faster †", nth=1)["verdict"] == "confounded"
    assert "confounded by learning rate" in flowing(text)
    assert cells(text, "faster †")["rank"] == "1 to 2"
    declare(folder, Store(folder).read_all()[0], under_test=["trainer", "recipe.learning_rate"])
    assert cells(show(folder), "faster", nth=1)["verdict"] == "better"


def test_what_a_trainer_owns_is_told_in_its_row(tmp_path: Path) -> None:
    text = show(make_folder_of(tmp_path / "x", [make_record("own-way", owns=["order", "steps"]), make_record()]))
    assert "owns order, steps" in cells(text, "own-way")["warnings"]
    assert "owns" not in cells(text, "trainer-api")["warnings"]
    assert tells(flowing(text), "", "owns order, steps: ")


def test_other_environments_are_flagged_and_their_times_set_apart(tmp_path: Path) -> None:
    records = [*both(seeds=2), make_record("elsewhere", 0, torch="2.12.0"), make_record("elsewhere", 1, hardware="a Mac")]
    text = show(make_folder_of(tmp_path / "x", records))
    assert "machine-changed" in cells(text, "elsewhere")["warnings"]
    assert cells(text, "elsewhere", nth=1)["train s"] == "(690.0 ± 0.0)"
    assert cells(text, "trainer-api", nth=1)["train s"] == "690.5 ± 0.7"
    assert tells(flowing(text), "", "torch 2.12.0 ", "2.13.0 ", "1 of 2 runs")
    assert tells(flowing(text), "", "a Mac ", "AMD EPYC, 2 threads ", "1 of 2 runs")


@pytest.mark.parametrize(("other", "time"), [("AVX2", "(690.0)"), (None, "690.0")])
def test_another_instruction_set_is_another_machine(other: str | None, time: str, tmp_path: Path) -> None:
    records = [
        record.model_copy(update={"environment": record.environment.model_copy(update={"instructions": instructions})})
        for record, instructions in ((make_record(), "AVX512"), (make_record(seed=1), "AVX512"), (make_record("else"), other))
    ]
    text = show(make_folder_of(tmp_path / "x", records))
    assert cells(text, "else", nth=1)["train s"] == time
    assert tells(flowing(text), "", "AVX2 ", "AVX512 ", "1 of 1 runs") == (other is not None)


def test_missing_runs_are_counted_and_named(tmp_path: Path) -> None:
    records = both()
    text = show(make_folder_of(tmp_path / "x", records[:-1], undone=records[-1:]))
    assert cells(text, "manual-loop")["n"] == "2 of 3"
    assert tells(flowing(text), "", "1 of 6 ", "manual-loop:2")


def test_an_experiment_without_a_record_is_a_table_of_dashes(tmp_path: Path) -> None:
    text = show(make_folder_of(tmp_path / "x", [], undone=both()))
    assert cells(text, "trainer-api")["n"] == "0 of 3"
    assert json.loads(show(tmp_path / "x", "--json"))["unscored"][0]["rows"][0]["scores"] == {}


def test_a_damaged_record_is_named_and_the_rest_stands(tmp_path: Path) -> None:
    folder = make_folder_of(tmp_path / "x", both())
    damaged = folder / "records" / run_id("manual-loop", 2) / "record.json"
    damaged.write_text("{")
    text = show(folder)
    assert tells(flowing(text), "", "damaged and left out: ", f"{run_id('manual-loop', 2)}/record.json")
    assert (cells(text, "manual-loop")["n"], cells(text, "trainer-api")["n"]) == ("2 of 3", "3")


def test_foreign_records_are_only_counted(tmp_path: Path) -> None:
    folder = make_folder_of(tmp_path / "x", [*both(), make_record("foreign")])
    declare(folder, both())
    text = show(folder)
    assert tells(flowing(text), "", "undeclared-runs (caution): 1 record ", "mrpc ")
    assert "foreign" not in text.replace(str(tmp_path), "")


def test_failures_are_counted_with_their_reasons(tmp_path: Path) -> None:
    records = both()
    records[0] = failed(records[0], "timed out", "it took over 5 s")
    records[1::2] = [failed(record) for record in records[1::2]]
    text = show(make_folder_of(tmp_path / "x", records))
    assert (cells(text, "trainer-api")["n"], cells(text, "trainer-api")["failed"]) == ("2", "1")
    assert cells(text, "trainer-api")["test accuracy★"] == "86.00 ± 1.41"
    row = cells(text, "manual-loop")
    assert (row["test accuracy★"], row["n"], row["failed"], row["warnings"]) == ("–", "0", "3", "failed-runs")
    assert tells(flowing(text), "", "trainer-api:0, timed out: ", "5 s")
    assert tells(flowing(text), "", "manual-loop (seeds 0 ", "to 2), ", "crashed: ")


def test_what_is_remarked_of_a_run_is_told_under_the_table(tmp_path: Path) -> None:
    hung, code = "the run's process: it went on for 5 s and was killed", "the run's process: exit code 3 (phase save: `x` | y)"
    records = both()
    plain = show(make_folder_of(tmp_path / "plain", records))
    remarked = [records[number].model_copy(update={"process_notes": [hung]}) for number in (0, 2)]
    records[0], records[2] = remarked
    records[1] = records[1].model_copy(update={"process_notes": [code]})
    folder = make_folder_of(tmp_path / "x", records)
    told = flowing(show(folder))
    assert tells(told, "", "trainer-api (seeds 0, 1): ", f"{hung} - ")
    assert tells(told, "", "- manual-loop:0: ", "exit code 3 ", "save: \\`x\\` \\| y")
    (only,) = json.loads(show(folder, "--json"))["groups"]
    assert [[note["seed"] for note in row["process_notes"]] for row in only["rows"]] == [[0, 1], [0]]
    assert cells(show(folder), "trainer-api") == cells(plain, "trainer-api"), "it stands in every mean"
    assert "the run's process" not in plain


def test_nothing_but_failures_is_a_table_too(tmp_path: Path) -> None:
    text = show(make_folder_of(tmp_path / "x", [failed(record) for record in both()]))
    assert cells(text, "trainer-api")["failed"] == "3"


def test_identical_weights_are_said_and_one_odd_seed_ends_it(tmp_path: Path) -> None:
    pairs = [
        make_record(strategy, seed, final=f"weights {seed}") for seed in range(3) for strategy in ("trainer-api", "manual-loop")
    ]
    sentence = "trainer-api and manual-loop ended with identical weights at every seed (3 of 3)"
    assert sentence in flowing(show(make_folder_of(tmp_path / "same", pairs)))
    pairs[-1] = make_record("manual-loop", 2, final="other weights")
    assert "identical weights" not in show(make_folder_of(tmp_path / "odd", pairs))


def test_each_task_and_model_has_its_table(tmp_path: Path) -> None:
    records = [make_record(task=task, model=model) for task in ("glue/mrpc", "glue/rte") for model in ("minilm", "tiny-bert")]
    text = show(make_folder_of(tmp_path / "x", records))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [f"## {task} · {model}" for task in ("glue/mrpc", "glue/rte") for model in ("minilm", "tiny-bert")]
    assert text.count("| majority baseline") == 4


def test_the_declared_name_stands_whatever_the_record_was_called(tmp_path: Path) -> None:
    record = make_record("old-name")
    folder = make_folder_of(tmp_path / "x", [record])
    renamed = record.model_copy(update={"requested": record.requested.model_copy(update={"strategy": "new-name"})})
    declare(folder, [renamed], baseline="new-name")
    text = show(folder)
    assert "| new-name ◂" in text
    assert "old-name" not in text


def test_untrusted_text_stays_text(tmp_path: Path) -> None:
    evil = "a|b `c` <script>alert(1)</script> [x](http://y) *d*\n\x1b[31m\u202ered"
    record = make_record(evil, trainer=component("hf-trainer", path=evil), owns=[evil])
    other = failed(make_record("other", trainer=component("hf-trainer", path="p")), message=evil)
    text = show(make_folder_of(tmp_path / "x", [record, other], name=evil, question=evil, under_test=[evil]))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a\\|b \\`c\\` &lt;script>alert(1)&lt;/script> \\[`x](http://y`) \\*d\\* \\\\x1b\\[31m" in flowing(text)
    scores = text[text.index("\n|") :].split("\n\n")[0].splitlines()[1:]
    assert len({line.replace("\\|", "").count("|") for line in scores}) == 1
    assert show(tmp_path / "x", "--json").isascii()


@pytest.mark.parametrize("opening", ["#", "-", "+", ">", "===", "---", "1.", "12)"])
def test_no_line_of_running_text_opens_a_heading_or_a_list(opening: str) -> None:
    for lines in (paragraph(f"{'word ' * 23}{opening} {'more ' * 30}"), paragraph(f"{opening} text")):
        assert not any(re.match(r"([>#+=-]+|\d+[.)])(\s|$)", line) for line in lines)
        assert " ".join(lines).replace("\\", "").count(f"{opening} ") == 1
    assert paragraph("-1 and 3.5 stay") == ["-1 and 3.5 stay"]


def test_the_page_and_the_csv_are_written_and_stay_the_same(tmp_path: Path) -> None:
    folder = make_folder_of(tmp_path / "x", both())
    text = show(folder)
    assert (folder / "table.md").read_text() == text
    first = (folder / "table.csv").read_bytes()
    show(folder)
    assert (folder / "table.csv").read_bytes() == first
    assert sorted(path.name for path in folder.iterdir()) == ["records", "table.csv", "table.md"]


def test_the_csv_has_a_row_each_and_ten_digits(tmp_path: Path) -> None:
    records = both()
    records[-1] = failed(records[-1])
    show(make_folder_of(tmp_path / "x", records))
    with (tmp_path / "x" / "table.csv").open(newline="") as stream:
        rows = {row["strategy"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["trainer-api", "manual-loop", "majority baseline"]
    api = rows["trainer-api"]
    assert list(api)[:15] == [
        *("task", "model", "strategy", "baseline", "trainer", "method"),
        *("seeds_declared", "seeds_scored", "collapsed", "failures", "missing", "unlearned_low", "unlearned_high"),
        *("test_accuracy_mean", "test_accuracy_sd"),
    ]
    assert float(api["test_accuracy_mean"]) == pytest.approx(statistics.mean(ACCURACIES), rel=1e-9)
    assert float(api["test_accuracy_sd"]) == pytest.approx(statistics.stdev(ACCURACIES), rel=1e-9)
    assert (api["baseline"], api["recipe_learning_rate"], api["train_seconds_mean"]) == ("true", "5e-05", "691.0")
    loop = rows["manual-loop"]
    assert [loop[name] for name in ("seeds_scored", "collapsed", "failures")] == ["2", "0", "1"]
    bounds = [float(loop[name]) for name in ("unlearned_low", "unlearned_high")]
    assert bounds == pytest.approx(share_interval(1 / 3, 3), rel=1e-9)
    assert float(rows["majority baseline"]["dev_f1_mean"]) == 0.8122271


def test_json_explains_its_flags(tmp_path: Path) -> None:
    answer = json.loads(show(make_folder_of(tmp_path / "x", both()), "--json"))
    (only,) = answer["groups"]
    assert [row["warnings"] for row in only["rows"]] == [["few-seeds"], ["few-seeds"]]
    (warning,) = answer["warnings"]
    assert (warning["name"], warning["rows"]) == ("few-seeds", ["trainer-api", "manual-loop"])
    assert "3 seeds" in warning["what"]
    assert "--resolve" in warning["what_to_do"]
    assert only["rows"][0]["scores"]["test"]["accuracy"]["seeds"] == [0, 1, 2]


def test_beside_says_in_how_many_runs_the_weights_are_the_same(tmp_path: Path) -> None:
    here, there = both(), both()
    there[-1] = make_record("manual-loop", 2, final="other", test_accuracy=0.8, train_seconds=100, hardware="a Mac")
    make_folder_of(tmp_path / "here", here)
    make_folder_of(tmp_path / "there", there)
    text = show(tmp_path / "here", "--beside", str(tmp_path / "there"))
    row = cells(text, "manual-loop")
    assert row["same weights"] == "2 of 3"
    assert (row["test accuracy here"], row["test accuracy there"]) == ("86.00 ± 0.00", "84.00 ± 3.46")
    assert tells(flowing(text), "", "(sha256) ", "5 of 6 ")
    assert not (tmp_path / "here" / "table.md").exists()
    same = show(tmp_path / "here", "--beside", str(tmp_path / "here"))
    assert tells(flowing(same), "", "(sha256) in all 6 ")


def unequal(here: Record, there: Record) -> Unequal | None:
    declared = make_declaration([here])
    return set_beside((declared, [here]), (declared, [there])).tables[0].unequal


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instructions": "AVX2"}, "instruction set AVX512 here, AVX2 there"),
        ({"instructions": None}, "perhaps the instruction set"),
        ({"threads": 8}, "threads 2 here, 8 there"),
        ({"software": SOFTWARE | {"torch": "2.12.0"}}, "torch 2.13.0 here, 2.12.0 there"),
        ({"device": "cuda"}, "device cpu here, cuda there"),
        ({"processor": "Xeon"}, "processor AMD EPYC here, Xeon there"),
    ],
)
def test_beside_names_the_likely_reason_of_other_weights(change: dict[str, Any], reason: str) -> None:
    here = make_record(test_accuracy=0.86)
    here = here.model_copy(update={"environment": here.environment.model_copy(update={"instructions": "AVX512"})})
    there = make_record(test_accuracy=0.85, final="other")
    there = there.model_copy(update={"environment": here.environment.model_copy(update=change)})
    found = unequal(here, there)
    assert found is not None
    assert (found.runs, round(found.largest_difference or 0, 9)) == (1, 0.01)
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith(reason)
    assert unequal(here, there.model_copy(update={"weights": here.weights})) is None


def test_beside_knows_no_reason_where_nothing_recorded_differs(tmp_path: Path) -> None:
    here, there = make_record(), make_record(final="other")
    found = unequal(here, there)
    assert found is not None
    assert found.reasons == []
    make_folder_of(tmp_path / "here", [here])
    make_folder_of(tmp_path / "there", [there])
    text = flowing(show(tmp_path / "here", "--beside", str(tmp_path / "there")))
    assert "nothing that is recorded" in text
    assert tells(text, "", "0.00 points of accuracy", "test")


def test_beside_says_what_differs(tmp_path: Path) -> None:
    make_folder_of(tmp_path / "here", [make_record()])
    make_folder_of(tmp_path / "there", [make_record(hardware="a Mac", torch="2.12.0", test_data="others"), make_record(seed=1)])
    text = flowing(show(tmp_path / "here", "--beside", str(tmp_path / "there")))
    assert tells(text, "", "data of test differ, ")
    assert "The hardware differs" in text
    assert tells(text, "", "torch 2.13.0 here, ", "2.12.0 there")
    assert tells(text, "", "Only the 1 ", "1 runs here", "2 runs there")
    assert tells(text, "", "hardware differs: ", "not comparable.")


def test_beside_puts_seconds_in_parentheses_where_the_machine_was_not_equally_fast(tmp_path: Path) -> None:
    make_folder_of(tmp_path / "here", [make_record(train_seconds=690.0)])
    make_folder_of(tmp_path / "there", [make_record(train_seconds=460.0)])

    def seconds() -> tuple[str, str]:
        row = cells(show(tmp_path / "here", "--beside", str(tmp_path / "there")), "trainer-api")
        return row["train s here"], row["train s there"]

    Store(tmp_path / "here").add_control(make_control(12.0))
    assert seconds() == ("690.0", "460.0")
    Store(tmp_path / "there").add_control(make_control(8.0))
    assert seconds() == ("(690.0)", "(460.0)")
    text = flowing(show(tmp_path / "here", "--beside", str(tmp_path / "there")))
    assert tells(text, "", "50 % ", "10 % ", "not comparable.")


def test_beside_refuses_experiments_without_a_common_run(tmp_path: Path) -> None:
    make_folder_of(tmp_path / "here", [make_record(seed=0)])
    make_folder_of(tmp_path / "there", [make_record(seed=1)], name="other")
    with pytest.raises(StoreError, match=r"'mrpc' and 'other' .* no run"):
        show(tmp_path / "here", "--beside", str(tmp_path / "there"))


def test_a_folder_without_an_experiment_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not the folder of"):
        show(tmp_path)


def test_the_table_loads_nothing_heavy(tmp_path: Path) -> None:
    make_folder_of(tmp_path / "x", both())
    program = (
        "import sys; from bakeoff.cli.table import table; table([sys.argv[1]], standalone_mode=False); "
        "heavy = {'torch', 'transformers', 'datasets', 'evaluate', 'pandas', 'pyarrow'} & set(sys.modules); "
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SPEC = """\
name: recorded
tasks: [glue/mrpc]
models: [tiny-bert]
strategies:
  trainer-api: {trainer: hf-trainer}
  manual-loop: {trainer: torch-loop}
seeds: 2
"""


def record_all(folder: Path, *, failing: bool) -> Path:
    """An experiment file whose runs are all recorded already."""
    folder.mkdir()
    spec = folder / "spec.yaml"
    spec.write_text(SPEC)
    _, plan = open_experiment(spec)
    records = [make_record().model_copy(update={"id": run.id, "requested": run.requested}) for run in plan.runs]
    make_folder_of(folder, [failed(records[0]) if failing else records[0], *records[1:]], name="recorded", question="")
    return spec


@pytest.mark.parametrize("failing", [False, True])
def test_run_with_nothing_to_do_shows_the_table_and_loads_no_torch(tmp_path: Path, *, failing: bool) -> None:
    spec = record_all(tmp_path / "x", failing=failing)
    program = (
        "import sys; from bakeoff.cli import bakeoff; code = bakeoff.main(['run', sys.argv[1]], standalone_mode=False); "
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(spec)], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if failing else 0), done.stderr
    assert done.stderr.strip().endswith("[]")
    assert tells(done.stdout, "all 4 runs ", *["1 failed\n"] * failing)
    row = next(line for line in done.stdout.splitlines() if line.startswith("trainer-api "))
    assert row.endswith("  1 of 2" if failing else "  2")
    assert (tmp_path / "x" / "table.csv").is_file()
