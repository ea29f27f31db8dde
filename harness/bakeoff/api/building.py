"""DataFrames with fixed columns, and their HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bakeoff.text.words import escaped

TEXT, WHOLE, NUMBER, TRUTH = "string", "Int64", "float64", "bool"
"""The dtypes of columns."""

MOST_ROWS = 200
"""The HTML of a table with more rows shows only the first and the last ones."""


def frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """A DataFrame with exactly these columns (name -> dtype). A value that a row lacks is missing, in a column of texts
    empty."""
    there = list(rows)
    return pd.DataFrame(
        {name: pd.Series([_cell(row.get(name), dtype) for row in there], dtype=dtype) for name, dtype in columns.items()}
    )


def _cell(value: Any, dtype: str) -> Any:
    return "" if value is None and dtype == TEXT else value


def stacked(parts: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """A DataFrame with exactly these columns, from parts of many rows each. A part has, for a column, a sequence with a value
    for each row, or a scalar for all its rows."""
    if not parts:
        return frame([], columns)
    frames = [pd.DataFrame({name: part.get(name, "" if columns[name] == TEXT else None) for name in columns}) for part in parts]
    return pd.concat([frame.astype(dict(columns)) for frame in frames], ignore_index=True)


def table(of: pd.DataFrame) -> str:
    """A DataFrame as HTML; all text in it is escaped, control characters included."""
    shown = of.copy()
    for name in shown.columns:
        if shown[name].dtype == TEXT:
            shown[name] = [escaped(value) for value in shown[name]]
    shown.columns = pd.Index(map(escaped, shown.columns))
    with pd.option_context("display.max_colwidth", None):  # else sentences are cut
        return str(shown.to_html(index=False, na_rep="", border=0, escape=True, max_rows=MOST_ROWS))


def safe(text: object) -> str:
    """Untrusted text, escaped for HTML."""
    return html.escape(escaped(text))
