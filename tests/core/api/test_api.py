"""`from bakeoff import load, compare`: tables whose columns are those of their docstrings, and HTML that shows text as text."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders import drawn_answers, make_declaration, make_folder, make_record
from builders.curves import varied_experiment

from bakeoff import compare, load
from bakeoff.analysis.comparison import compare as compare_experiment
from bakeoff.analysis.findings import Comparison, NamedWarning
from bakeoff.api.comparisons import Comparisons
from bakeoff.api.results import Results
from bakeoff.errors import BakeoffError, StoreError

QUICKSTART = Path(__file__).parents[3] / "results" / "quickstart"
LABELS = np.arange(300) % 3 // 2
LIBRARY = ["sympy" if number < 100 else "scipy" for number in range(300)]


def answers(seeds: int = 4) -> dict[str, Any]:
    return {
        "trainer-api": drawn_answers(LABELS, seeds=seeds, accuracy=0.7, seed=1),
        "manual-loop": drawn_answers(LABELS, seeds=seeds, accuracy=0.9, seed=2),
        "again": drawn_answers(LABELS, seeds=seeds, accuracy=0.7, seed=3),
    }


@pytest.fixture
def results(tmp_path: Path) -> Results:
    undone = [make_record("manual-loop", 9)]
    folder = make_folder(
        tmp_path / "made", answers(), LABELS, slices={"library": LIBRARY}, failing={"again": [3]}, undone=undone
    )
    return load(folder)


def promised(owner: type, name: str) -> dict[str, str]:
    """Column -> dtype, by the docstring."""
    attribute = getattr(owner, name)
    doc = (attribute.__doc__ if name in {"predictions", "steps"} else owner.__dict__[name].__doc__) or ""
    rows = re.findall(r"^\s*\| (\w+) \| (\w+) \|.*\|$", doc, re.MULTILINE)
    return {column: dtype for column, dtype in rows if column != "column" or dtype != "dtype"}


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


def frames(results: Results) -> dict[tuple[type, str], pd.DataFrame]:
    found = compare(results)
    return {
        (Results, "runs"): results.runs,
        (Results, "predictions"): results.predictions(),
        (Comparisons, "leaderboard"): found.leaderboard,
        (Comparisons, "pairs"): found.pairs,
        (Comparisons, "warnings"): found.warnings,
        (Comparisons, "slices"): found.slices,
    }


# --- what the tables hold ------------------------------------------------------------------------------------------------


def test_every_table_has_the_columns_and_dtypes_of_its_docstring(results: Results) -> None:
    tables = {**frames(results), (Results, "steps"): load(QUICKSTART).steps()}
    for (owner, name), frame in tables.items():
        told = promised(owner, name)
        assert len(told) >= 5, name
        own = dtypes(frame)
        assert list(own.items())[: len(told)] == list(told.items()), name
        further = set(own) - set(told)
        assert all(re.fullmatch(r"slice_library|test_(accuracy|f1)", column) for column in further), (name, further)
        assert len(frame) > 0, name


def test_a_table_without_rows_has_the_same_columns() -> None:
    empty = Comparisons(Comparison(declared=make_declaration([], name="none"), answer="", groups=[], warnings=[], facts={}))
    for name in ("leaderboard", "pairs", "warnings", "slices", "curve", "crossings", "across"):
        frame = getattr(empty, name)
        assert len(frame) == 0
        assert dtypes(frame) == promised(Comparisons, name)
    assert "none" in empty._repr_html_()


def test_every_run_asked_for_has_a_row_whether_it_ended_well_failed_or_is_missing(results: Results) -> None:
    runs = results.runs
    assert dict(runs["status"].value_counts()) == {"ok": 11, "failed": 1, "missing": 1}
    (failed,) = runs[runs["status"] == "failed"].to_dict("records")
    assert (failed["strategy"], failed["seed"], failed["reason"]) == ("again", 3, "crashed")
    assert np.isnan(failed["test_accuracy"])
    (missing,) = runs[runs["status"] == "missing"].to_dict("records")
    assert (missing["strategy"], missing["seed"], missing["trainer"]) == ("manual-loop", 9, "")
    assert pd.isna(missing["steps"])
    ended = runs[(runs["strategy"] == "manual-loop") & (runs["status"] == "ok")].sort_values("seed")
    assert list(ended["test_accuracy"]) == pytest.approx(list((answers()["manual-loop"] == LABELS).mean(axis=1)))


def test_scores_can_be_made_again_from_the_predictions(results: Results) -> None:
    told = results.predictions()
    assert len(told) == 11 * 300
    scores = (told["label"] == told["answer"]).groupby([told["strategy"], told["seed"]]).mean()
    recorded = results.runs.dropna(subset="test_accuracy").set_index(["strategy", "seed"])["test_accuracy"]
    assert dict(scores) == pytest.approx(dict(recorded))
    assert set(told["slice_library"]) == {"sympy", "scipy"}
    assert told["confidence"].between(0.5, 1).all()


def test_predictions_of_one_strategy_and_another_split() -> None:
    told = load(QUICKSTART).predictions("dev", strategy="manual-loop")
    assert set(told["split"]) == {"dev"}
    assert set(told["strategy"]) == {"manual-loop"}
    assert len(told) == 3 * 408


def test_steps_are_those_that_the_runs_took() -> None:
    results = load(QUICKSTART)
    steps = results.steps(strategy="trainer-api")
    taken = steps.groupby("run")["step"].agg(["min", "max"])
    assert set(taken["min"]) == {0}
    assert set(taken["max"] + 1) == set(results.runs["steps"])
    assert steps["loss"].notna().all()


def test_leaderboard_and_pairs_say_what_the_comparison_found(results: Results) -> None:
    found = compare(results)
    group = found.comparison.groups[0]
    rows = found.leaderboard.set_index("strategy")
    score = group.rows[1].scores["test"]["accuracy"]
    assert (rows.loc["manual-loop", "score"], rows.loc["manual-loop", "low"]) == (score.mean, score.low)
    assert rows.loc["again", "seeds"] == 3
    assert list(rows["baseline"]) == [True, False, False]
    pairs = found.pairs
    assert list(pairs["family"].value_counts()[["to baseline", "all pairs"]]) == [2, 3]
    first = pairs.iloc[0]
    assert (first["first"], first["verdict"]) == ("manual-loop", group.to_baseline[0].verdict)
    assert first["p_adjusted"] == group.to_baseline[0].p_adjusted
    assert found.answer == found.comparison.answer


def test_slices_are_those_of_the_group(results: Results) -> None:
    found = compare(results)
    inside = found.slices[(found.slices["column"] == "library") & (found.slices["strategy"] == "manual-loop")]
    assert dict(zip(inside["value"], inside["examples"], strict=True)) == {"scipy": 200, "sympy": 100}
    right = (answers()["manual-loop"] == LABELS)[:, :100].mean()
    assert inside.set_index("value").loc["sympy", "score"] == pytest.approx(right)


def test_curves_are_those_of_the_group() -> None:
    found = Comparisons(compare_experiment(varied_experiment()))
    full = found.curve[found.curve["strategy"] == "full"]
    assert full["place"].tolist() == [64.0, 256.0, 1024.0, 3668.0]
    assert full["row"].tolist() == ["full@64", "full@256", "full@1024", "full@all"]
    first = found.crossings.iloc[0]
    assert (first["first"], first["second"], first["key"], first["found"]) == ("full", "tfidf", "train_examples", "overtakes")
    assert first["low"] < first["at"] < first["high"]


def test_several_folders_make_one_set_of_results(tmp_path: Path, results: Results) -> None:
    other = make_folder(tmp_path / "other", {"more": drawn_answers(LABELS, seeds=3, accuracy=0.8)}, LABELS, name="second")
    both = load(results.experiment.folders[0], other)
    assert set(both.runs["strategy"]) == {"trainer-api", "manual-loop", "again", "more"}
    assert set(both.runs.loc[both.runs["strategy"] == "more", "experiment"]) == {"second"}
    assert len(both.predictions(strategy="more")) == 3 * 300


# --- HTML ----------------------------------------------------------------------------------------------------------------


def test_tables_render_in_a_notebook_with_all_text_escaped(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "made", answers(), LABELS, question="<script>alert(1)</script>\u202e & more", name="a <u>")
    results = load(folder)
    hostile = NamedWarning(
        name="few-seeds", severity="caution", group="<img src=x>", rows=["<i>"], what="</td>\x1b[0m", what_to_do=""
    )
    found = compare(results)
    page = Comparisons(found.comparison.model_copy(update={"warnings": [hostile]}))._repr_html_()
    for text in (page, results._repr_html_()):
        assert "<table" in text
        assert not re.search(r"<(script|img|u>|i>)", text)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e &amp; more" in text
    assert "&lt;/td&gt;\\x1b[0m" in page
    assert "manual-loop" in page
    assert html.escape(found.comparison.groups[0].to_baseline[0].sentence) in page  # in full, not cut as pandas would


# --- what is refused -----------------------------------------------------------------------------------------------------


def test_a_folder_without_an_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not the folder of"):
        load(tmp_path)


def test_compare_says_what_it_takes() -> None:
    with pytest.raises(BakeoffError, match="compare takes what"):
        compare(str(QUICKSTART))


def test_unknown_names_are_answered_with_the_nearest() -> None:
    results = load(QUICKSTART)
    with pytest.raises(BakeoffError, match="strategy 'manual'"):
        results.predictions(strategy="manual")
    with pytest.raises(BakeoffError, match="predicted split 'train'"):
        results.predictions("train")


# --- imports -------------------------------------------------------------------------------------------------------------


def answer(code: str) -> str:
    """What the code prints in a fresh interpreter; its argument is a published experiment."""
    done = subprocess.run([sys.executable, "-c", code, str(QUICKSTART)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, bakeoff; print(sorted(name for name in ('numpy', 'pandas', 'scipy', 'torch') if name in sys.modules))"
    assert answer(code) == "[]"


def test_public_functions_can_be_called_whatever_modules_were_imported() -> None:
    code = (
        "import importlib, pkgutil, sys, bakeoff\n"
        "for found in pkgutil.walk_packages(bakeoff.__path__, 'bakeoff.'):\n"
        "    if found.name not in ('bakeoff.machine.first_imports', 'bakeoff.machine.preload'):\n"
        "        importlib.import_module(found.name)\n"
        "from bakeoff import compare, load\n"
        "print(type(load(sys.argv[1])).__name__, type(compare(load(sys.argv[1]))).__name__, bakeoff.load is load)"
    )
    answer = subprocess.run([sys.executable, "-c", code, QUICKSTART], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["Results", "Comparisons", "True"]


def test_comparing_loads_nothing_that_trains() -> None:
    code = (
        f"import sys; from bakeoff import compare, load; found = compare(load({str(QUICKSTART)!r})); len(found.pairs); "
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)))"
    )
    assert answer(code) == "[]"
