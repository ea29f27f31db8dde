"""The documentation as a site: every page is in its menu once, anchors lead to headings, files on pages are valid, and what is
Markdown for GitHub is Markdown for the site.

`make docs` builds it strictly, in CI; tests/end_to_end/test_pages.py runs the commands of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pages.experiments import REFUSED, experiments, wrong_keys
from ruamel.yaml import YAML

from bakeoff.contracts.registry import load_registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SITE = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
WITH_A_PLUGIN = {"writing-a-plugin.md"}
"""Its experiment names a component of its own package: test_docs_plugin."""
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def menu(entries: list[Any]) -> Iterator[str]:
    """The pages of the menu, in its order."""
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else menu(value)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_menu_has_every_page_once_in_four_parts() -> None:
    assert sorted(menu(SITE["nav"])) == sorted(map(named, PAGES))
    assert [part for entry in SITE["nav"] for part in entry] == ["Home", "Tutorials", "How to", "Reference", "Explanation"]


def test_the_site_takes_nothing_from_the_network() -> None:
    assert SITE["theme"]["font"] is False
    assert SITE["plugins"] == ["search"]
    for path in [*SITE["extra_css"], *SITE.get("extra_javascript", [])]:
        assert (DOCS / path).is_file()
        assert "//" not in (DOCS / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_lead_to_headings(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", text):
        target = page if not link else page.parent / link
        assert anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_site_reads_what_github_reads(page: Path) -> None:
    """Python-Markdown, which makes the site, begins a list or a table after an empty line, an inner list after four blanks."""
    text = FENCED.sub("\n", page.read_text(encoding="utf-8"))
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    lines = text.splitlines()
    for before, line in pairwise(lines):
        item = r"(?:[-*]|\d+\.) "
        assert not re.match(rf" {{1,3}}{item}", line), f"a list within a list wants four blanks: {line}"
        if re.match(item, line) and before.strip():
            assert re.match(rf"{item}|\s{{2,}}\S", before), f"no empty line before: {line}"
        if line.startswith("|") and before.strip():
            assert before.startswith(("|", "<!--")), f"no empty line before: {line}"


@pytest.mark.parametrize("page", [page for page in PAGES if named(page) not in WITH_A_PLUGIN], ids=named)
def test_every_experiment_on_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("train.py", "lib/loops.py", "theirs-0.parquet", "theirs-1.parquet"):
        (tmp_path / name).write_text(name)  # no two equal files of predictions
    registry = load_registry()
    for text in experiments(page.read_text(encoding="utf-8")):
        wrong = wrong_keys(text.replace("trainer: my-loop", "trainer: torch-loop"), registry, tmp_path)
        assert bool(wrong) == text.startswith(REFUSED), (text, wrong)
