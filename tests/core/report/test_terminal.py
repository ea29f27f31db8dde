"""Markdown on a terminal: nothing is wider than it, and nothing is lost."""

from __future__ import annotations

from rich.cells import cell_len

from bakeoff.report.text.terminal import fitted
from bakeoff.text.markdown import WIDTH, Column, as_markdown, grid, item, paragraph

NAMES = ["trainer-api ◂", as_markdown("a | b"), "漢字"]
TABLE = grid([Column("strategy", NAMES, "left"), *(Column(f"metric {number}", ["84.13 ± 0.87"] * 3) for number in range(6))])


def test_a_page_that_fits_stays_as_it_is() -> None:
    page = "\n".join(["# title", "", *TABLE, "", *item("one " * 60), *item("two"), "", *paragraph("words " * 60)]) + "\n"
    assert max(map(cell_len, TABLE)) <= WIDTH
    assert fitted(page, WIDTH) == page


def test_a_wide_table_is_cut_into_parts_that_repeat_the_names() -> None:
    lines = fitted("\n".join(TABLE) + "\n", 60).splitlines()
    parts = [part.split("\n") for part in "\n".join(lines).split("\n\n")]
    assert len(parts) == 3
    assert all(len(part) == 5 and part[0].startswith("| strategy ") for part in parts)
    assert max(map(len, lines)) <= 60
    shown = [title.strip() for part in parts for title in part[0].strip("|").split("|")[1:]]
    assert shown == [f"metric {number}" for number in range(6)]
    assert all(part[3].startswith(r"| a \| b ") and part[3].count("84.13") == part[0].count("metric") for part in parts)


def test_columns_before_the_name_are_repeated_too() -> None:
    table = grid([Column("slice", ["sympy"], "left"), Column("strategy", ["lora"], "left"), *[Column("x", ["1" * 20])] * 3])
    lines = fitted("\n".join(table) + "\n", 50).splitlines()
    assert [line for line in lines if "sympy" in line] == [f"| sympy | lora     | {'1' * 20} |"] * 3


def test_items_and_paragraphs_are_wrapped_between_words_and_stay_apart() -> None:
    page = "\n".join(["## title", "", *item("alpha " * 30), *item("beta"), "", *paragraph("gamma " * 30)]) + "\n"
    lines = fitted(page, 40).splitlines()
    assert lines[:2] == ["## title", ""]
    assert max(map(len, lines)) <= 40
    assert lines.count("- beta") == 1
    assert [line for line in lines if "alpha" in line][1].startswith("  alpha")
    assert " ".join(fitted(page, 40).split()) == " ".join(page.split())
