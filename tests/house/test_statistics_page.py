"""docs/statistics.md cannot drift: the tests that it names exist, its own links lead somewhere, every flag stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from bakeoff.analysis.flags.detectors import DETECTORS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_test_that_vouches_for_a_figure_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert len(named) >= 5
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_links_within_the_page_lead_to_headings() -> None:
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) >= 10
    assert [link for link in links if link not in anchors] == []


def test_every_flag_has_a_row_and_no_row_is_of_no_flag() -> None:
    table = PAGE.partition("<!-- flags: begin -->")[2].partition("<!-- flags: end -->")[0]
    rows = re.findall(r"^\| (S\d+) \| (.+) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    assert sorted(code for code, *_ in rows) == sorted(DETECTORS)
