"""Scores over a recipe key that varies, in every output."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from builders.curves import varied_experiment
from builders.experiments import declaring

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Change, EarlierDeclaration
from bakeoff.report.page.html import write_html
from bakeoff.report.text.brief import write_brief
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.table_md import write_page

FIRST = "From about 440 rows on, full beats tfidf (95 % between 340 and 550): an estimate, not a verdict."


@pytest.fixture(scope="module")
def made() -> Experiment:
    return varied_experiment()


@pytest.fixture(scope="module")
def comparison(made: Experiment) -> Comparison:
    return compare(made)


@pytest.fixture(scope="module")
def page(made: Experiment, comparison: Comparison) -> str:
    return write_html(comparison, list(made.records), lambda _: None)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_sentence_stands_in_every_text(comparison: Comparison, page: str) -> None:
    assert FIRST in words("\n".join(write_brief(comparison, 100)))
    assert FIRST in words(write_page(comparison))
    assert FIRST in page
    assert FIRST in json.loads(write_json(comparison))["groups"][0]["curve"]["crossings"][0]["sentence"]
    assert FIRST.replace("%", r"\%") in write_tex(comparison)


def test_scores_by_value_stand_in_one_table(comparison: Comparison) -> None:
    assert re.search(r"\| test accuracy by train_examples \| +tfidf \| +full \| +probe \|", write_page(comparison))
    assert re.search(r"\| +all \(3,668\) \| 79\.24 \[75\.91, 82\.22\] \| 88\.40 \[85\.58, 90\.73\] \|", write_page(comparison))
    assert r"1,024 & 78.00 {[}74.59, 81.07{]} & 83.60" in write_tex(comparison)


def test_rows_of_the_csv_say_where_they_stand_on_a_curve(comparison: Comparison) -> None:
    rows = {row["strategy"]: row for row in csv.DictReader(io.StringIO(write_csv(comparison)))}
    assert (rows["full@64"]["curve_strategy"], rows["full@64"]["curve_place"]) == ("full", "64.0")
    assert rows["full@all"]["curve_place"] == "3668.0"


def test_the_page_draws_a_line_and_a_band_for_each_strategy_and_marks_the_crossing(page: str) -> None:
    section = page.partition('class="curve"')[2].partition("</section>")[0]
    for kind in ("wide", "narrow"):
        drawing = section.partition(f'<div class="{kind}"')[2].partition("</div>")[0]
        assert len(re.findall(r'class="score line[012]"', drawing)) == 3
        assert len(re.findall(r'class="area line[012]"', drawing)) == 3
        assert len(re.findall(r'class="point line\d"', drawing)) == 12
        assert len(re.findall(r'class="crossing line1"', drawing)) == 1
        places = [float(place) for place in re.findall(r'class="point line1" d="M([\d.]+),', drawing)]
        assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)  # 64, 256 and 1,024 are as far apart
    assert "tfidf from 68.52 [64.88, 71.95] at 64 to 79.24 [75.91, 82.22] at all" in section
    assert section.count("<tr>") == 5


def test_a_size_without_runs_breaks_the_line() -> None:
    made = varied_experiment(failing={"full@256": range(5)})
    page = write_html(compare(made), list(made.records), lambda _: None)
    drawing = page.partition('<div class="wide" role="img" aria-label="test accuracy, points over')[2].partition("</div>")[0]
    assert len(re.findall(r'class="score line1"', drawing)) == 2
    assert len(re.findall(r'class="point line1"', drawing)) == 3


def test_an_interval_beyond_the_sizes_ends_in_an_arrowhead() -> None:
    made = varied_experiment({"tfidf": (0.71, 0.75, 0.785, 0.80), "full": (0.62, 0.70, 0.775, 0.812)})
    crossing = compare(made).groups[0].curve.crossings[0]  # type: ignore[union-attr]
    assert crossing.found == "overtakes"
    assert crossing.high is None
    page = write_html(compare(made), list(made.records), lambda _: None)
    bar = page.partition('class="crossing line1"')[2].partition("</g>")[0]
    assert len(re.findall('class="head"', bar)) == 2


def test_a_changed_question_is_marked_beside_the_verdict_of_each_value() -> None:
    changes = [Change(what="margin", before="2 points", after="1 points")]
    earlier = EarlierDeclaration(when="2026-11-30T00:00:00Z", seeds={}, recorded=9, changes=changes)
    made = declaring(varied_experiment(), history=[earlier])
    page = write_html(compare(made), list(made.records), lambda _: None)
    section = page.partition('class="curve"')[2].partition("</section>")[0]
    assert section.count("question changed") == 8


def test_without_a_key_that_varies_there_is_no_trace_of_curves() -> None:
    made = varied_experiment(vary=None)
    found = compare(made)
    assert found.groups[0].curve is None
    assert 'class="curve"' not in write_html(found, list(made.records), lambda _: None)
    assert "curve_place" not in write_csv(found)
