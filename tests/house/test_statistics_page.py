"""The pages on statistics cannot drift: tests that they name exist, their links lead somewhere, every warning is there."""

from __future__ import annotations

import re
from pathlib import Path

from bakeoff.analysis.flags.catalogue import CATALOGUE, SEVERITIES
from bakeoff.analysis.flags.detectors import DETECTORS

ROOT = Path(__file__).parents[2]
METHOD = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "statistics-reference.md").read_text(encoding="utf-8")


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_test_that_vouches_for_a_figure_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert len(named) >= 5
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_promise_names_a_test_that_exists() -> None:
    named = set(re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)", METHOD)) | set(re.findall(r"`(tests/[\w/]+\.py)`", METHOD))
    assert len(named) >= 5
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_the_method_fits_two_pages() -> None:
    assert len(METHOD.split()) <= 1600


def test_links_to_the_reference_lead_to_headings() -> None:
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(statistics-reference\.md#([^)]+)\)", METHOD)
    assert links
    assert [link for link in links if link not in anchors] == []


def test_links_within_the_page_lead_to_headings() -> None:
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) >= 10
    assert [link for link in links if link not in anchors] == []


def test_every_warning_has_a_row_in_the_order_of_outputs() -> None:
    table = PAGE.partition("<!-- warnings: begin -->")[2].partition("<!-- warnings: end -->")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| .+ \| .+ \|$", table, re.MULTILINE)
    assert rows == [(name, entry.severity) for name, entry in CATALOGUE.items()]


def test_every_warning_has_a_detector_and_severities_come_in_order() -> None:
    assert list(DETECTORS) == list(CATALOGUE)
    places = [list(SEVERITIES).index(entry.severity) for entry in CATALOGUE.values()]
    assert places == sorted(places)
