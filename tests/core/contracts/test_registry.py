"""The registry: what is wrong with a plugin is told by name, and never takes the rest down.

The plugins are real distributions in a temporary folder (`install`, in conftest.py): a module beside its `dist-info`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from core.calling import HOOK, TASK, Install, bakeoff
from messages import tells

from bakeoff import plugin
from bakeoff.contracts.registry import BrokenPlugin, Registry, load_registry
from bakeoff.contracts.versions import CONTRACT_VERSION, RENAMED, RENAMED_METHODS
from bakeoff.errors import PluginError, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import read_document

SPEC = """
name: tried
tasks: [{task}]
models: [tiny-bert]
strategies: {{loop: {{trainer: torch-loop}}}}
"""


def only_broken(registry: Registry) -> BrokenPlugin:
    """The one broken plugin; the built-in components are all there."""
    assert {("trainer", "torch-loop"), ("model", "tiny-bert"), ("method", "full"), ("task", "glue/mrpc")} <= {
        (found.component.kind, found.component.name) for found in registry.all()
    }
    (broken,) = registry.broken
    assert "\n" not in broken.error
    assert broken.error.isprintable()
    return broken


def refusal(tmp_path: Path, task: str) -> str:
    """What `check` says of a spec that needs this task."""
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.format(task=task))
    with pytest.raises(SpecError) as caught:
        resolve(read_document(path), load_registry())
    (problem,) = caught.value.problems
    return problem.message


# --- first gap: a plugin that fails to import ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: "),
        ("from bakeoff.plugin import Tsak", "ImportError: "),
        ("def f(:", "SyntaxError: "),
        ("x = 1 / 0", "ZeroDivisionError: "),
        ("raise SystemExit(3)", "SystemExit: 3 ("),
        ("class Odd(BaseException): pass\nraise Odd", "Odd: no message ("),
        ("raise ValueError('a\\x1b[31m\\nb')", "ValueError: a\\x1b[31m b ("),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: no message ("),
    ],
)
def test_a_plugin_that_fails_to_import_is_named_and_the_rest_works(install: Install, source: str, error: str) -> None:
    install("acme-ml", source)
    broken = only_broken(load_registry())
    assert str(broken.origin) == "plugin 'acme-ml' of acme-ml 1.0"
    assert broken.error.startswith(error), "the kind of error; its words are Python's own, and differ from version to version"
    assert "acme_ml.py" in broken.error


def test_ctrl_c_while_a_plugin_is_imported_is_the_users(install: Install) -> None:
    install("acme-ml", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_registry()


def test_a_spec_that_needs_a_broken_plugin_is_refused_with_its_name_and_error(install: Install, tmp_path: Path) -> None:
    install("acme-ml", "import nothing_of_that_name")
    message = refusal(tmp_path, "colours")
    assert tells(message, "no task 'colours'; ", "docstrings, glue/cola")
    assert "acme-ml 1.0: ModuleNotFoundError:" in message


def test_the_nearest_name_comes_before_the_broken_plugins(install: Install, tmp_path: Path) -> None:
    install("acme-ml", "x = 1 / 0")
    message = refusal(tmp_path, "glue/mprc")
    assert tells(message, "no task 'glue/mprc'; ", "'glue/mrpc'?", "broken plugin: ")


def test_of_many_broken_plugins_an_unknown_name_tells_three(install: Install, tmp_path: Path) -> None:
    for number in range(5):
        install(f"acme-{number}", "x = 1 / 0")
    message = refusal(tmp_path, "colours")
    assert message.count("ZeroDivisionError") == 3
    assert tells(message, "", "; 2 more", "`bakeoff plugins`")


def test_what_a_plugin_prints_when_imported_stays_off_the_output(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-ml", TASK + HOOK.replace("return", "print('loading ...'); return") + "\nprint('Welcome to ACME')")
    assert load_registry().get("task", "colours")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Welcome to ACME" in err


# --- second gap: names that are taken --------------------------------------------------------------------------------


def test_two_plugins_under_one_name_are_an_error_that_names_both(install: Install) -> None:
    install("acme-a", TASK + HOOK, plugin="acme")
    install("acme-b", TASK.replace('"colours"', '"shapes"') + HOOK, plugin="acme")
    registry = load_registry()
    broken = only_broken(registry)
    assert str(broken.origin) == "plugin 'acme' of acme-b 1.0"
    assert tells(broken.error, "the name 'acme'", "'acme' of acme-a 1.0", "uninstall one")
    assert registry.get("task", "colours").origin.distribution == "acme-a"
    with pytest.raises(PluginError, match=r"'acme' of acme-b 1\.0: .* taken by .* of acme-a"):
        registry.get("task", "shapes")


def test_a_neighbour_cannot_take_the_name_of_a_plugin_of_ours(install: Install) -> None:
    install("aaa", TASK + HOOK, plugin="methods")
    broken = only_broken(load_registry())  # `full` is there
    assert broken.origin.distribution == "aaa"
    assert "'methods' of bakeoff" in broken.error


def test_a_component_that_two_plugins_offer_is_neithers_and_both_are_named(install: Install, tmp_path: Path) -> None:
    install("acme-a", TASK + HOOK)
    install("acme-b", TASK + HOOK)
    registry = load_registry()
    assert not registry.broken
    assert "colours" not in registry.names("task")
    assert refusal(tmp_path, "colours") == str(registry.clashes[0])
    origins = "'acme-a' of acme-a 1.0", "'acme-b' of acme-b 1.0"
    assert tells(str(registry.clashes[0]), "task 'colours'", *origins, ": uninstall all but one")


def test_what_else_a_clashing_plugin_offers_works(install: Install) -> None:
    install("acme-a", TASK + HOOK)
    both = "\n\nclass Shapes(Colours):\n    name = 'shapes'\n" + HOOK.replace("[Colours()]", "[Colours(), Shapes()]")
    install("acme-b", TASK + both)
    assert load_registry().get("task", "shapes").origin.distribution == "acme-b"


def test_a_component_that_three_plugins_offer_names_all_three(install: Install) -> None:
    for letter in "abc":
        install(f"acme-{letter}", TASK + HOOK)
    (clash,) = load_registry().clashes
    assert [origin.distribution for origin in clash.origins] == ["acme-a", "acme-b", "acme-c"]


def test_a_name_of_ours_that_a_neighbour_offers_too_is_nobodys(install: Install, tmp_path: Path) -> None:
    install("acme-ml", TASK.replace('"colours"', '"glue/mrpc"') + HOOK)
    message = refusal(tmp_path, "glue/mrpc")
    assert tells(message, "task 'glue/mrpc'", "'glue' of bakeoff ")
    assert "'acme-ml' of acme-ml" in message


def test_one_name_of_two_kinds_is_no_clash(install: Install) -> None:
    install("acme-ml", TASK.replace('"colours"', '"full"') + HOOK)
    registry = load_registry()
    assert registry.get("task", "full")
    assert registry.get("method", "full")


def test_an_installation_that_is_seen_twice_counts_once(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install("acme-ml", TASK + HOOK))
    registry = load_registry()
    assert registry.get("task", "colours")
    assert not registry.broken
    assert not registry.clashes


# --- third gap: hooks that are not hooks -----------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", ["@hookimpl", "", "@hookimpl(optionalhook=True)"])
def test_a_misspelt_hook_is_told_with_the_right_name(install: Install, decorator: str) -> None:
    install("acme-ml", TASK + HOOK.replace("@hookimpl", decorator).replace("bakeoff_tasks", "bakeoff_task"))
    assert tells(only_broken(load_registry()).error, "no hook 'bakeoff_task'; did you mean 'bakeoff_tasks'?")


def test_a_misspelt_hook_beside_a_right_one_is_told_too(install: Install) -> None:
    install("acme-ml", TASK + HOOK + HOOK.replace("bakeoff_tasks", "bakeoff_model"))
    assert tells(only_broken(load_registry()).error, "no hook 'bakeoff_model'; ", "'bakeoff_models'?")


HOOKS_BROKEN = {
    "forgotten @hookimpl": (
        HOOK.replace("@hookimpl", ""),
        "bakeoff_tasks lacks the decorator @hookimpl (from bakeoff.plugin)",
    ),
    "no hook": (
        "",
        "it implements none of Bakeoff's hooks (bakeoff_tasks, bakeoff_models, bakeoff_methods, bakeoff_trainers, "
        "bakeoff_optimizers, bakeoff_losses, bakeoff_engines, bakeoff_trackers)",
    ),
    "raises": (HOOK.replace("return [Colours()]", "raise RuntimeError('no licence')"), "RuntimeError: no licence ("),
    "exits": (HOOK.replace("return [Colours()]", "raise SystemExit(0)"), "SystemExit: 0 ("),
    "takes an argument": (HOOK.replace("tasks()", "tasks(config)"), "PluginValidationError: "),
    "forgotten return": (
        HOOK.replace("return [Colours()]", "[Colours()]"),
        "bakeoff_tasks must return a list of bakeoff.plugin.Task objects; it returned nothing",
    ),
    "no list": (
        HOOK.replace("[Colours()]", "Colours()"),
        "bakeoff_tasks must return a list of bakeoff.plugin.Task objects; it returned '<acme_ml.Colours object at 0x",
    ),
    "a word": (
        HOOK.replace("[Colours()]", "'colours'"),
        "bakeoff_tasks must return a list of bakeoff.plugin.Task objects; it returned 'colours'",
    ),
    "the class": (
        HOOK.replace("[Colours()]", "[Colours]"),
        "bakeoff_tasks returned the class Colours; return an object: Colours()",
    ),
    "another kind": (
        HOOK.replace("bakeoff_tasks", "bakeoff_models"),
        "bakeoff_models returned '<acme_ml.Colours object at 0x",
    ),
    "twice the same": (
        HOOK.replace("[Colours()]", "[Colours(), Colours()]"),
        "bakeoff_tasks offers task 'colours' twice",
    ),
    "a wrapper": (
        HOOK.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return [Colours()]", "return (yield)"),
        "bakeoff_tasks must return components; a hook wrapper has nothing to wrap here",
    ),
    "an abstract class": (
        HOOK.replace("return", "Colours.__abstractmethods__ = frozenset({'load'}); return"),
        "TypeError: ",
    ),
}


@pytest.mark.parametrize("case", HOOKS_BROKEN)
def test_a_hook_that_breaks_its_contract_is_told(install: Install, case: str) -> None:
    source, error = HOOKS_BROKEN[case]
    install("acme-ml", TASK + source)
    assert only_broken(load_registry()).error.startswith(error)


@pytest.mark.parametrize("returned", ["return (c() for c in [Colours])", "yield Colours()", "return (Colours(),)"])
def test_a_hook_may_return_any_iterable(install: Install, returned: str) -> None:
    install("acme-ml", TASK + HOOK.replace("return [Colours()]", returned))
    assert str(load_registry().get("task", "colours").origin) == "plugin 'acme-ml' of acme-ml 1.0"


# --- components ------------------------------------------------------------------------------------------------------

COMPONENTS_BROKEN = {
    "name with a space": ("name = 'my colours'", "'my colours' cannot be a name (lower-case letters, "),
    "name in capitals": ("name = 'Colours'", "'Colours' cannot be a name (lower-case letters, "),
    "name with a path": ("name = '../x'", "'../x' cannot be a name (lower-case letters, "),
    "no name": ("name = ''", "Colours.name must be a line of text"),
    "empty summary": ("summary = ' '", "Colours.summary must be a line of text"),
    "summary of two lines": ("summary = 'a\\nb'", "Colours.summary must be a line of text"),
    "summary that paints": ("summary = '\\x1b[31mred'", "Colours.summary must be a line of text"),
    "version is a number": ("version = 1", "Colours.version must be a line of text"),
    "options are an object": ("Options = Options()", "Colours.Options must be a class made from bakeoff.plugin.Options"),
    "options are a dict": ("Options = dict", "Colours.Options must be a class made from bakeoff.plugin.Options"),
    "options take anything": (
        "class Options(Options):\n        model_config = {'extra': 'ignore'}",
        "Colours.Options must keep extra='forbid' of bakeoff.plugin.Options, which refuses unknown keys and loose types",
    ),
    "options are loose": (
        "class Options(Options):\n        model_config = {'strict': False}",
        "Colours.Options must keep strict=True of bakeoff.plugin.Options, which refuses unknown keys and loose types",
    ),
}


@pytest.mark.parametrize("case", COMPONENTS_BROKEN)
def test_a_component_that_breaks_its_contract_is_told(install: Install, case: str) -> None:
    attribute, error = COMPONENTS_BROKEN[case]
    install("acme-ml", TASK + "\n    " + attribute + HOOK)
    assert only_broken(load_registry()).error.startswith(f"bakeoff_tasks: {error}")


def test_a_component_says_what_to_install_with_its_own_distributions_name(install: Install) -> None:
    install("acme-ml", TASK + "\n    needs = {'nothing_of_that_name': 'extra'}" + HOOK)
    assert load_registry().get("task", "colours").needs == "acme-ml[extra]"


# --- distributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", ["", "Metadata-Version: 2.1\n", "Name: acme-ml\n"])
def test_a_distribution_without_name_or_version_is_told_by_its_place(install: Install, metadata: str) -> None:
    folder = install("acme-ml", TASK + HOOK, metadata=metadata)
    broken = only_broken(load_registry())
    assert broken.origin.plugin == "acme-ml"
    assert broken.error.startswith(f"its distribution in {folder} has no readable name and version")


def test_a_damaged_list_of_entry_points_is_told(install: Install) -> None:
    install("acme-ml", TASK, entry_points="[bakeoff]\nacme\n")
    broken = only_broken(load_registry())
    assert broken.origin.distribution == "acme-ml"
    assert broken.error.startswith("its entry_points.txt is damaged: ")


@pytest.mark.parametrize("value", ["not a module", "acme_ml:", "acme_ml:nothing"])
def test_an_entry_point_that_names_nothing_is_told(install: Install, value: str) -> None:
    install("acme-ml", TASK + HOOK, entry_points=f"[bakeoff]\nacme = {value}\n")
    assert str(only_broken(load_registry()).origin) == "plugin 'acme' of acme-ml 1.0"


def test_control_characters_of_a_plugins_name_are_escaped(install: Install) -> None:
    install("acme-ml", "x = 1 / 0", entry_points="[bakeoff]\nac\x1b[31mme = acme_ml\n")
    assert only_broken(load_registry()).origin.plugin == "ac\\x1b[31mme"


# --- the real command ------------------------------------------------------------------------------------------------


def test_a_broken_plugin_leaves_the_command_line_alive(install: Install, tmp_path: Path) -> None:
    folders = [install("acme-ml", "import nothing_of_that_name"), install("acme-exit", "raise SystemExit(1)")]
    spec = tmp_path / "spec.yaml"

    spec.write_text(SPEC.format(task="docstrings"))
    fine = bakeoff("check", str(spec), path=folders)
    assert fine.returncode == 0, fine.stderr

    spec.write_text(SPEC.format(task="colours"))
    refused = bakeoff("check", str(spec), path=folders)
    assert refused.returncode == 2
    assert "acme-ml 1.0: ModuleNotFoundError" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_plugin_that_changes_the_working_directory_changes_it_for_nobody(install: Install) -> None:
    install("acme-wanderer", f"import os; os.chdir('/')\n{TASK}{HOOK}")
    before = Path.cwd()
    assert "colours" in load_registry().names("task")
    assert Path.cwd() == before


# --- plugins of an earlier contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), sorted(RENAMED.items()))
def test_an_old_name_of_the_authors_door_is_told_the_new_one(install: Install, old: str, new: str) -> None:
    install("acme-ml", f"from bakeoff.plugin import {old}")
    assert f"{old} is now {new} " in only_broken(load_registry()).error


@pytest.mark.parametrize("old", ["locate", "floor", "sources"])
def test_an_old_method_of_a_task_is_told_the_new_one(install: Install, old: str) -> None:
    install("acme-ml", TASK.replace("    name =", f"    def {old}(self, *a): ...\n    name =") + HOOK)
    error = only_broken(load_registry()).error
    assert tells(error, "", f".{old} ", f"{RENAMED_METHODS[old]}:")


@pytest.mark.parametrize(("written", "broken"), [(1, 1), (CONTRACT_VERSION, 0), (CONTRACT_VERSION + 1, 1)])
def test_a_plugin_says_for_which_contract_it_was_written(install: Install, written: int, broken: int) -> None:
    install("acme-ml", TASK + HOOK + f"\nBAKEOFF_CONTRACT = {written}\n")
    found = [plugin for plugin in load_registry().broken if plugin.origin.distribution == "acme-ml"]
    assert len(found) == broken
    assert all(f"contract {written}" in plugin.error for plugin in found)


def test_no_name_of_today_is_one_of_yesterday() -> None:
    assert not RENAMED.keys() & set(plugin.__all__)
    assert {new.partition(".")[0] for new in RENAMED.values()} <= set(plugin.__all__)
