"""`table.csv`: whatever things are called, a spreadsheet opens text as text, and programs read back what was written."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import FORMULAS, HOSTILE, Renamer, hostile_folder, runs_and_plan
from core.calling import Call
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.report.text.csv_json import cell_of, text_of

NUMBERS = ("0.85", "-0.3", "+0.3", "-1", "1e-05", "-1.5E+10", "12")
FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")


def computed(cell: str) -> bool:
    """Whether a spreadsheet could take the cell for a formula; after a semicolon too, where that stands between cells."""
    parts = [part.strip().strip("\"'").strip() for part in cell.split(";")]
    first = cell.strip()
    openings = [first, *parts[1:]]
    return any(FORMULA.match(part) is not None and part not in NUMBERS for part in openings)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_and_each_is_read_back(text: str) -> None:
    assert not computed(cell_of(text)), cell_of(text)
    assert cell_of(text).isprintable()
    assert text_of(cell_of(text)) == text


def test_the_list_has_texts_that_a_spreadsheet_would_compute() -> None:
    assert sum(map(computed, FORMULAS)) > len(FORMULAS) / 2


@given(st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("=+-@'\\;\t\n \"")), max_size=12))
def test_any_text_is_read_back(text: str) -> None:
    cell = cell_of(text)
    assert isinstance(cell, str)
    assert text_of(cell) == text
    assert cell.isprintable()
    assert re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", cell) or not computed(cell)


@pytest.mark.parametrize(
    "value", [*NUMBERS, 0.85, -0.3, 3, -3, None, "", "lora", "f1 (spam)", "a - b", "S1; S3", "[1, -2]", "<=50K"]
)
def test_numbers_and_ordinary_names_stay_as_they_are(value: Any) -> None:
    assert cell_of(value) == value


@pytest.mark.parametrize("first", [0, 25])
def test_a_whole_file_opens_as_text_and_is_read_back(call: Call, tmp_path: Path, first: int) -> None:
    rename = Renamer(HOSTILE, first)
    folder = hostile_folder(tmp_path, rename)
    assert call("table", folder)[0] == 0
    content = (folder / "table.csv").read_text(encoding="utf-8")
    assert [one for one in content if one != "\n" and not one.isprintable()] == []
    rows = list(csv.reader(io.StringIO(content)))
    assert len(rows) == len(content.splitlines()) == 6
    assert not any(computed(cell) for row in rows for cell in row if not is_number(cell))
    header = list(map(text_of, rows[0]))
    assert f"{rename('test')}_{rename('accuracy')}_mean" in header
    names = [text_of(row[header.index("strategy")]) for row in rows[1:]]
    declared = runs_and_plan(Renamer(HOSTILE, first))[1]
    assert names == [*dict.fromkeys(run.strategy for run in declared.runs), "majority baseline"]
    frame = pd.read_csv(folder / "table.csv")
    differences = frame["difference"].dropna()
    assert differences.dtype == "float64"
    assert (differences < 0).any()


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
