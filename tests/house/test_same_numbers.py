"""Every output of a published experiment shows the numbers of its JSON, each rounded once to the digits that are shown."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from bakeoff.api.comparisons import Comparisons
from bakeoff.cli.report import files_of
from bakeoff.cli.table import Reading
from bakeoff.cli.table import read as read_folders
from bakeoff.records.store import Store
from bakeoff.report.text.csv_json import text_of, write_csv, write_json
from bakeoff.report.text.table_md import write_page

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parents[1] for path in (ROOT / "results").glob("*/records/plan.json"))
EXPERIMENTS = [folder for folder in FOLDERS if len(Store(folder).declared().groups) == 1]
"""Those with one comparison group, in whose tables a strategy stands once."""
NUMBER = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?")
COSTS = {
    "train s": "train_seconds",
    "train samples/s": "train_samples_per_second",
    "evaluate s": "evaluate_seconds",
    "evaluate samples/s": "evaluate_samples_per_second",
    "energy J": "energy_joules",
}


@dataclass(frozen=True)
class Published:
    """One experiment: what was computed, and the JSON that is held against every other output."""

    reading: Reading
    group: dict[str, Any]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["strategy"]: row for row in self.group["rows"]}

    @property
    def pairs(self) -> dict[str, dict[str, Any]]:
        return {pair["first"]: pair for pair in self.group["to_baseline"]}

    def scale(self, metric: str) -> float:
        return float(self.group["figures_by_metric"][metric]["unit"]["scale"])

    @property
    def reported(self) -> str:
        return f"{self.group['split']} {self.group['metric']}"


@pytest.fixture(scope="module", params=EXPERIMENTS, ids=lambda path: path.name)
def published(request: pytest.FixtureRequest) -> Published:
    reading = read_folders([request.param])
    (group,) = json.loads(write_json(reading.comparison))["groups"]
    return Published(reading, group)


def check(shown: str, *values: float | None, scale: float = 1.0) -> int:
    """Asserts that the numbers of a text are these values, rounded to the digits that it has; how many they are."""
    texts = NUMBER.findall(shown)
    known = [value for value in values if value is not None]
    assert len(texts) == len(known), (shown, values)
    for text, value in zip(texts, known, strict=True):
        plain = text.replace("−", "-").replace(",", "").lstrip("+")
        digits = len(plain.partition(".")[2])
        assert float(plain) == float(f"{value * scale:.{digits}f}"), (shown, value)
    return len(known)


def grids(text: str) -> Iterator[list[list[str]]]:
    """The tables of a page in Markdown, each as lines of cells, the titles first."""
    lines: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
        elif lines:
            yield [lines[0], *lines[2:]]
            lines = []


def name_of(cell: str) -> str:
    return cell.replace(" ◂", "").replace(" †", "").replace("\\", "")


def test_table_md(published: Published) -> None:
    found = 0
    for titles, *lines in grids(write_page(published.reading.comparison)):
        for line in lines if titles[0] == "strategy" else ():
            row = published.rows.get(name_of(line[0]))
            for number, (title, cell) in enumerate(zip(titles, line, strict=True)):
                if row is None or cell == "–":
                    continue
                split, _, metric = title.removesuffix("★").partition(" ")
                score = row["scores"].get(split, {}).get(metric)
                pair = published.pairs.get(row["strategy"])
                if title in COSTS:
                    found += check(cell, row[COSTS[title]]["mean"], row[COSTS[title]]["sd"])
                elif title == "peak MiB":
                    found += check(cell, row["peak_memory_bytes"] / 2**20)
                elif score is not None:
                    found += check(cell, score["mean"], score["sd"], scale=published.scale(metric))
                elif title == "95 % interval" and titles[number - 1].endswith("★"):
                    own = row["scores"][published.group["split"]][published.group["metric"]]
                    found += check(cell, own["low"], own["high"], scale=published.scale(published.group["metric"]))
                elif pair is not None and " − " in title:
                    found += check(cell, pair["difference"], scale=published.scale(published.group["metric"]))
                elif pair is not None and title == "95 % interval":
                    found += check(cell, pair["low"], pair["high"], scale=published.scale(published.group["metric"]))
                elif pair is not None and title == "detectable":
                    figures = pair["detectable"], *pair["detectable_range"]
                    found += check(cell, *figures, scale=published.scale(published.group["metric"]))
    assert found >= 10 * len(published.rows)


def test_csv(published: Published) -> None:
    found = 0
    for line in csv.DictReader(io.StringIO(write_csv(published.reading.comparison))):
        row = published.rows.get(text_of(line["strategy"]))
        if row is None:
            continue
        scores = {
            f"{split}_{metric}_{number}": score[number]
            for split, by_metric in row["scores"].items()
            for metric, score in by_metric.items()
            for number in ("mean", "sd", "low", "high")
        }
        costs = {f"{cost}_{number}": row[cost][number] for cost in COSTS.values() if row[cost] for number in ("mean", "sd")}
        pair = published.pairs.get(row["strategy"], {})
        differences = {
            "difference": pair.get("difference"),
            "difference_low": pair.get("low"),
            "difference_high": pair.get("high"),
            "p": pair.get("p"),
            "p_adjusted": pair.get("p_adjusted"),
            "detectable": pair.get("detectable"),
            **dict(zip(("detectable_low", "detectable_high"), pair.get("detectable_range") or (None, None), strict=True)),
        }
        for column, value in (scores | costs | differences).items():
            assert (float(line[column]) if line[column] else None) == value, (row["strategy"], column)
            found += value is not None
    assert found >= 10 * len(published.rows)


def test_latex(published: Published) -> None:
    group, found = published.group, 0
    scale = published.scale(group["metric"])
    titles = {row["title"]: name for name, row in published.rows.items()}
    for line in files_of(published.reading)["table.tex"].splitlines():
        cells = [cell.strip() for cell in line.replace("{[}", "[").replace("{]}", "]").replace("$-$", "−").split(" & ")]
        title = cells[0].replace(" (baseline)", "").replace(r"$^\dagger$", "").replace("\\", "")
        name = titles.get(title, "")
        row, pair = published.rows.get(name), published.pairs.get(name)
        if row is None or len(cells) != 6:
            continue
        score = row["scores"][group["split"]][group["metric"]]
        found += check(cells[1], score["mean"], scale=scale)
        found += check(cells[2], score["low"], score["high"], scale=scale)
        if pair is not None:
            ends = (None, None) if pair["finding"] == "identical" else (pair["low"], pair["high"])
            found += check(cells[3], pair["difference"], *ends, scale=scale)
        found += check(cells[5].removesuffix(r" \\"), (row["train_seconds"] or {}).get("mean"))
    assert found >= 4 * len(published.rows)


def page_tables(page: str, label: str) -> Iterator[list[str]]:
    """The cells of each line of the page's tables whose scrolling frame begins with this label."""
    for table in re.findall(rf'aria-label="{label}[^"]*".*?<table.*?</table>', page, re.DOTALL):
        for line in re.findall(r"<tr.*?</tr>", table, re.DOTALL):
            yield [
                unescape(re.sub(r"<[^>]+>", " ", cell)).strip()
                for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL)
            ]


QUANTITIES = ("total_seconds", "train_seconds", "evaluate_seconds")
"""In the order in which the page has their ratios."""


def test_page(published: Published) -> None:
    page, found = files_of(published.reading)["report.html"], 0
    for cells in page_tables(page, "All scores of"):
        if cells[0] in published.rows:
            score = published.rows[cells[0]]["scores"][cells[1]][cells[2]]
            scale = published.scale(cells[2])
            found += check(cells[3], score["mean"], scale=scale)
            found += check(cells[4], score["sd"], scale=scale)
            found += check(cells[5], score["low"], score["high"], scale=scale)
    for place, value in re.findall(r'<td class="n" data-sort="([^"]+)"><span class="big">([^<]+)</span>', page):
        found += check(value, float(place), scale=published.scale(published.group["metric"]))
    ratios = {(cost["first"], cost["quantity"]): cost for cost in published.group["costs"]}
    assert found >= 6 * len(published.rows)
    found = 0
    for cells in page_tables(page, "Cost"):
        row = published.rows.get(name_of(re.sub(r"\s*baseline$", "", cells[0])))
        if row is not None and len(cells) in (7, 13):  # without and with what `bakeoff time` measured
            *timed, train, evaluate, _, memory, _, _ = cells[1:]
            found += check(train, row["train_seconds"]["mean"], row["train_seconds"]["sd"])
            found += check(evaluate, row["evaluate_seconds"]["mean"], row["evaluate_seconds"]["sd"])
            shown = {"peak_memory": memory, **dict(zip(QUANTITIES, timed[1::2], strict=False))}
            for quantity, cell in shown.items():
                if (ratio := ratios.get((row["strategy"], quantity))) and ratio["ratio"] is not None:
                    found += check(cell, ratio["ratio"], ratio["low"], ratio["high"])
    assert found >= 2 * len(published.rows)


def test_dataframes(published: Published) -> None:
    frames = Comparisons(published.reading.comparison)
    for line in frames.leaderboard.to_dict("records"):
        score = published.rows[line["strategy"]]["scores"][line["split"]][line["metric"]]
        shown = [line[column] for column in ("score", "sd", "low", "high")]
        assert shown == pytest.approx([score[number] for number in ("mean", "sd", "low", "high")], rel=1e-9, nan_ok=True)
    baseline = frames.pairs[frames.pairs["family"] == "to baseline"]
    for line in baseline.to_dict("records"):
        pair = published.pairs[line["first"]]
        for column in ("difference", "low", "high", "p", "p_adjusted", "detectable"):
            if pair[column] is not None:
                assert line[column] == pytest.approx(pair[column], rel=1e-9), column
    assert len(baseline) == len(published.pairs)


def test_a_figure_that_was_rounded_twice_is_found() -> None:
    assert check("84.07 ± 1.20 [−1.5, +2]", 0.840651, 0.011953, -0.015, 0.0151, scale=100) == 4
    with pytest.raises(AssertionError):
        check("0.85", 0.8449)
    with pytest.raises(AssertionError):
        check("1,235", 1233.9)
