"""Pages that cannot drift: tables are those in results/, commands exist, links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import click
import pytest
from benchmarks.speed import render
from pages import reference
from peers import scripts
from stress import table as stress

from bakeoff.analysis.comparison import compare
from bakeoff.cli import VERBS, Verbs
from bakeoff.cli.every_eval_ever import EeeOptions
from bakeoff.records.load import load_experiment
from bakeoff.report.text.brief import write_brief
from bakeoff_engines import bakeoff_engines
from bakeoff_trackers import bakeoff_trackers

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "README.md"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "results" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
    ]
)


CHOSEN = {"submit": bakeoff_engines(), "export": bakeoff_trackers(), "run": bakeoff_trackers()}
"""Command -> the components whose options it takes besides its own."""
FURTHER = {
    verb: {f"--{name.replace('_', '-')}" for one in components for name in one.Options.model_fields}
    for verb, components in CHOSEN.items()
}
FURTHER["export"] |= {f"--{name}" for name in EeeOptions.model_fields}  # of `--to eee`


def block(page: str, name: str) -> str:
    """What stands between the page's markers of that name."""
    found = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", page, re.DOTALL)
    assert found, f"the page has no block '{name}'"
    return found[1].strip()


def tables(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_readme_shows_what_the_quickstart_prints() -> None:
    shown = block((ROOT / "README.md").read_text(encoding="utf-8"), "quickstart").splitlines()
    published = write_brief(compare(load_experiment([ROOT / "results" / "quickstart"])), 120)
    assert shown[:2] == ["```text", "6 runs: 6 done now; trained 241 s"]
    assert shown[3:-1] == published


@pytest.mark.parametrize("name", ["mrpc-trainers", "course-2021", "mrpc-strategies", "learning-rates"])
def test_the_tables_on_the_pages_are_the_published_ones(name: str) -> None:
    shown = tables(block(RESULTS.read_text(encoding="utf-8"), name))
    published = tables((ROOT / "results" / name / "table.md").read_text(encoding="utf-8"))
    assert len(shown) >= 4
    assert shown == published[: len(shown)]


def test_the_readmes_speeds_are_the_published_ones_and_those_what_was_measured() -> None:
    folder = ROOT / "results" / "speed"
    written = render(json.loads((folder / "measurements.json").read_text(encoding="utf-8")))
    for name, content in written.items():
        assert (folder / name).read_text(encoding="utf-8") == content
    shown = tables(block(RESULTS.read_text(encoding="utf-8"), "speed"))
    published = tables(written["table.md"])
    assert len(shown) >= 5
    assert shown == [line for line in published if line in shown]
    assert all(line in shown for line in published if line.startswith("| minilm, batch 8 "))


def test_what_is_published_of_the_official_scripts_is_what_was_measured() -> None:
    folder = ROOT / "results" / "official-scripts"
    measured = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    assert (folder / "table.md").read_text(encoding="utf-8") == scripts.render(measured)
    assert len(measured["cases"]) >= 12


def test_what_is_published_of_kills_twins_damage_and_fuzz_is_what_was_measured() -> None:
    folder = ROOT / "results" / "stress"
    found = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    assert (folder / "table.md").read_text(encoding="utf-8") == stress.render(found)
    shown = tables(block(RESULTS.read_text(encoding="utf-8"), "stress"))
    assert shown == tables(stress.render(found))


def test_every_published_experiments_conclusion_is_told() -> None:
    told = block(RESULTS.read_text(encoding="utf-8"), "conclusions")
    experiments = sorted(path.parent for path in (ROOT / "results").glob("*/report.html"))
    assert len(experiments) >= 5
    for folder in experiments:
        paragraphs = (folder / "table.md").read_text(encoding="utf-8").split("\n\n")
        place = next(number for number, text in enumerate(paragraphs) if text.startswith("**"))
        recommended, concluded = (" ".join(text.split()) for text in paragraphs[place : place + 2])
        assert f"| {recommended} | {concluded} |" in told


def commands(page: Path) -> list[list[str]]:
    """The `bakeoff ...` command lines of a page's console blocks and inline code."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^\$ (bakeoff .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    lines += re.findall(r"`(?:[A-Z_]+=\S+ )?(bakeoff [a-z][^`]*)`", text)
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_pages_exist_with_their_options(page: Path) -> None:
    group = Verbs()
    for verb, *arguments in commands(page):
        if verb.startswith("-"):
            continue
        assert verb in VERBS, f"{page.name}: no command 'bakeoff {verb}'"
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        if isinstance(command, click.Group) and arguments:
            command = command.commands[arguments[0]]
        known = {name for parameter in command.params for name in parameter.opts}
        known |= FURTHER.get(verb, set())
        for argument in arguments:
            if argument.startswith("--"):
                assert argument.partition("=")[0] in known, f"{page.name}: bakeoff {verb} has no {argument}"


def test_the_readme_shows_commands() -> None:
    assert {verb for verb, *_ in commands(ROOT / "README.md")} >= {"check", "plan", "run", "table", "parity", "show", "plugins"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_pages_that_are_made_from_the_code_are_up_to_date() -> None:
    made = reference.pages()
    there = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in made}
    assert [name for name in made if there[name] != made[name]] == [], "write them anew: make reference"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_readme_says_what_it_is_for_in_its_first_ten_lines() -> None:
    first = " ".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:10])
    assert "fine-tuning" in first
    assert "for people who" in first


PROMISE = "| **No plugin is loaded twice.** | | `{}` |\n"


def unheld(page: str) -> list[str]:
    """What is wrong with the table of promises: rows without a test, and tests that are not there or never run."""
    wrong = []
    for row in tables(page)[2:]:
        promised, *_, held_by = cells = [cell.strip() for cell in row.strip("|").split("|")]
        named = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", held_by)
        if len(cells) != 3 or not promised.startswith("**") or not named or len(named) != held_by.count("`") / 2:
            wrong.append(f"not a promise with its tests: {row}")
        wrong += [f"no such test: {file}::{name}" for file, name in named if not is_test(ROOT / file, name)]
    return wrong


def is_test(path: Path, name: str) -> bool:
    """Whether the file has a test function of that name, which pytest collects, and which says something by itself."""
    if not path.is_file() or not path.name.startswith("test_") or not name.startswith("test_"):
        return False
    found = [one for one in ast.parse(path.read_bytes()).body if isinstance(one, ast.FunctionDef) and one.name == name]
    return any(not isinstance(statement, ast.Pass) for one in found for statement in one.body)


def test_every_promise_of_the_security_page_has_its_test() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert unheld(page) == []
    assert len(tables(page)) >= 18


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (PROMISE.format("tests/core/contracts/test_registry.py::test_that_was_never_written"), "no such test"),
        (PROMISE.format("tests/core/test_gone.py::test_anything"), "no such test"),
        (PROMISE.format("tests/house/test_readme.py::unheld"), "no such test"),
        (PROMISE.format("a test"), "not a promise"),
        ("| **No plugin is loaded twice.** | `tests/house/test_readme.py::test_links_lead_somewhere` |\n", "not a promise"),
        ("| **No plugin is loaded twice.** | | |\n", "not a promise"),
    ],
)
def test_a_promise_without_a_test_is_found(row: str, complaint: str) -> None:
    (wrong,) = unheld("| promised | not promised | held by |\n|---|---|---|\n" + row)
    assert wrong.startswith(complaint)


def test_the_architecture_page_lists_the_rooms_of_the_house() -> None:
    from house.test_layers import STEPS

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", page, re.MULTILINE)
    told = {int(step): set(re.findall(r"`(\w+)`", names)) for step, names in rows}
    assert told == {number: set(rooms.split()) for number, rooms in enumerate(STEPS) if rooms != "__main__"}
