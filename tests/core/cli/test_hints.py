"""What a message tells a person to write works when it is pasted: values and keys into the experiment file, commands into a
shell."""

from __future__ import annotations

import copy
import os
import re
import shlex
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import click
import numpy as np
import pytest
from builders import drawn_answers, make_folder, make_record
from core.calling import Call
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.cli import bakeoff
from bakeoff.cli.data_folders import DataFolders
from bakeoff.cli.inputs import Called
from bakeoff.cli.table import read
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, Problem, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import PREDICTIONS_FILE
from bakeoff.report.text.table_md import write_page
from bakeoff.report.text.terminal import fitted
from bakeoff.spec.document import parse_document
from bakeoff.spec.yaml_reader import read_tree
from bakeoff.text.values import command, yaml_value
from bakeoff.text.words import quoted_whole
from bakeoff.training.assembly import load as load_checked
from bakeoff.training.data_checks import data_checks
from bakeoff_table import Table

Keys = tuple[str | int, ...]

STRANGE = [
    *("plain", "two words", "it's", 'a "b" c', "both ' and \"", "back\\slash", "tab\there", "a: b", "- a", "#x", "{a}", "[b]"),
    *("null", "~", "true", "Yes", "no", "1", "1e-5", "0x1f", "2020-01-01", "", " ", "a,b", "&x", "*x", "!x", "%x", "@x", "`x`"),
    *("é", "日本", "a|b", ">", "=", "<<", ".inf", ".nan", "1_000", "0o17", "a\nb", "\u2028", "\U0001f600", "+1", "-", "x:"),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


# --- spellings ---------------------------------------------------------------------------------------------------------------


def test_a_value_is_spelt_as_an_experiment_file_reads_it() -> None:
    plain = [None, True, False, 0, -3, 1e-05, 0.1, 2.5, {"a b": [1, {"c": "no"}]}, []]
    for value in [*STRANGE, *plain]:
        for written in (yaml_value(value), *([quoted_whole(value)] if isinstance(value, str) else [])):
            tree = read_tree(f"{{v: [{written}], {yaml_value(str(value))}: 1}}", "x.yaml")
            assert tree.root == {"v": [value], str(value): 1}
            assert bool(tree.flaws) == (str(value) != str(value).strip()), "white space around a key is a flaw"
            assert "\n" not in written
    assert yaml_value(STRANGE[:3]) == "[plain, 'two words', \"it's\"]"


def test_a_command_is_spelt_as_a_shell_reads_it() -> None:
    words = [word for word in STRANGE if word]
    line = command("run", PurePath("-x.yaml"), *words).removeprefix("bakeoff ")
    assert "\n" not in line
    printed = subprocess.run(["/bin/bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, timeout=30).stdout
    assert printed.decode().split("\0")[:-1] == ["run", "./-x.yaml", *words]
    assert command("run", "my files/a.yaml") == "bakeoff run 'my files/a.yaml'"


# --- into the experiment file ------------------------------------------------------------------------------------------------

TABLE: dict[str, Any] = {"name": "table", "train": "a.csv", "test": "a.csv", "text": "q", "label": "y"}
NUMBERS: dict[str, Any] = {**TABLE, "name": "table", "kind": "regression", "metrics": ["mae"]}
EXPERIMENT: dict[str, Any] = {
    "name": "x",
    "tasks": [TABLE],
    "models": ["minilm"],
    "strategies": {"one": {"trainer": "torch-loop"}, "two": {"trainer": "hf-trainer"}},
}

PASTED: dict[str, dict[Keys, Any]] = {
    "a component": {("models", 0): "minilmm"},
    "a task": {("tasks", 0, "name"): "tabel"},
    "a trainer": {("strategies", "one", "trainer"): "torch-lop"},
    "a key": {("recipe",): {"learning-rates": 1e-4}},
    "a key of the file": {("basline",): "one"},
    "an option": {("tasks", 0, "slice"): ["z"]},
    "a baseline": {("baseline",): "tow"},
    "a strategy": {("strategies", "two"): {"same_as": "on", "replicate": 1}},
    "a split": {("report_on",): "tset"},
    "a part": {("under_test",): ["recipe.learning-rate"]},
    "a margin": {("margin",): {"acuracy": 1}},
    "a key of a search": {("tasks", 0, "dev"): "a.csv", ("search",): {"learning_rates": [1e-4, 2e-4]}},
    "an option of a search": {
        ("tasks", 0, "dev"): "a.csv",
        ("search",): {"trainer.as_shiped": [True, False]},
        ("strategies",): {"one": {"trainer": "hf-trainer"}},
    },
}
SNIPPETS: dict[str, tuple[dict[Keys, Any], Keys]] = {
    "the sign of a gate": ({("gate",): {"quality": "+1 points"}}, ("gate",)),
    "a gate without the metric": ({("tasks",): [NUMBERS], ("margin",): 0.1, ("gate",): {"quality": "-1 points"}}, ("gate",)),
    "a gate of two units": (
        {
            ("tasks",): [NUMBERS, {**TABLE, "text": "p"}],
            ("margin",): {"mae": 0.1},
            ("gate",): {"quality": "+0.1 mae", "total_seconds": "+10%"},
        },
        ("gate",),
    ),
    "a gate of two units that says neither": (
        {
            ("tasks",): [NUMBERS, {**TABLE, "text": "p"}],
            ("margin",): {"mae": 0.1},
            ("gate",): {"quality": "+1 points"},
        },
        ("gate",),
    ),
    "no margin": ({("tasks",): [NUMBERS]}, ()),
    "no margin of two": (
        {("tasks",): [NUMBERS, {**NUMBERS, "metrics": [{"name": "rmse", "better": "lower"}]}], ("margin",): {"points": 2.0}},
        (),
    ),
    "one margin for two units": ({("tasks",): [NUMBERS, {**TABLE, "text": "p"}], ("margin",): 0.5}, ()),
    "equal strategies": ({("strategies", "two"): {"trainer": "torch-loop"}}, ("strategies", "two")),
    "equal strategies beside a repeat": (
        {("strategies", "three"): {"same_as": "one", "replicate": 1}, ("strategies", "two"): {"trainer": "torch-loop"}},
        ("strategies", "two"),
    ),
    "three texts": ({("tasks", 0, "text"): ["it's", "two words", "a\\b"]}, ("tasks", 0)),
    "two labels": ({("tasks", 0, "label"): ["y", "z"]}, ("tasks", 0)),
    "gaps": ({("tasks", 0, "gaps"): "none"}, ("tasks", 0)),
    "as shipped": (
        {("strategies", "two"): {"trainer": {"name": "hf-trainer", "as_shipped": True}, "recipe": {"optimizer": "sgd"}}},
        ("strategies", "two", "recipe"),
    ),
    "an empty search": ({("tasks", 0, "dev"): "a.csv", ("search",): {"seeds": 2}}, ("search",)),
}


def changed(changes: dict[Keys, Any]) -> dict[str, Any]:
    """The experiment with other values at these places."""
    whole = copy.deepcopy(EXPERIMENT)
    for path, value in changes.items():
        place: Any = whole
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = copy.deepcopy(value)
    return whole


def problems(data: dict[str, Any], registry: Registry) -> list[Problem]:
    try:
        resolve(parse_document(yaml_value(data), "x.yaml"), registry)
    except SpecError as error:
        return error.problems
    return []


def read_value(text: str) -> Any:
    """A value as it is read where it stands in an experiment file."""
    tree = read_tree(f"v: {text}\n", "x.yaml")
    assert not tree.flaws
    return tree.root["v"]


def replaced(data: Any, wrong: str, right: str) -> Any:
    """With another word in the place of one, key or value."""
    if isinstance(data, dict):
        return {replaced(key, wrong, right): replaced(value, wrong, right) for key, value in data.items()}
    if isinstance(data, list):
        return [replaced(value, wrong, right) for value in data]
    return right if data == wrong else data


@pytest.mark.parametrize("case", PASTED)
def test_the_name_that_was_meant_is_accepted(case: str, registry: Registry) -> None:
    data = changed(PASTED[case])
    problem, *_ = problems(data, registry)  # the same of each strategy
    found = re.search(r"""('[^']*'); did you mean ('.*'|".*")\?""", problem.message)
    assert found, problem.message
    assert problems(replaced(data, read_value(found[1]), read_value(found[2])), registry) == []


@pytest.mark.parametrize("case", SNIPPETS)
def test_what_is_to_be_written_is_accepted(case: str, registry: Registry) -> None:
    changes, place = SNIPPETS[case]
    data = changed(changes)
    first, *_ = problems(data, registry)
    example = re.findall(r"`([a-z_]+: [^`]*)`|e\.g\. ([a-z_]+: \[.*\])", first.message)
    assert example, first.message
    pasted = read_tree("".join(example[-1]) + "\n", "x.yaml").root
    here: Any = data
    for part in place:
        here = here[part]
    here.update(pasted)
    assert problems(data, registry) == []


def test_a_key_or_date_that_needs_quotes_is_told_with_them() -> None:
    for text in ("strategies: {1: {}}", "strategies: {true: {}}", "name: 2020-01-01"):
        (flaw,) = parse_document(text, "x.yaml").flaws.values()
        written = re.search(r"'.*'$|'.*'(?= with)", flaw.message)
        assert written, flaw.message
        assert not parse_document(text.replace(read_value(written[0]), written[0]), "x.yaml").flaws


# --- options of one's own rows -----------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "semicolons": (b"q;y\na;0\nb;1\n", {}),
    "tabs": (b"q\ty\na\t0\nb\t1\n", {}),
    "bars": (b"q|y\na|0\nb|1\n", {}),
    "UTF-16": ("q,y\na,0\nb,1\n".encode("utf-16"), {}),
    "Excel's characters": ("q,y\nä,0\nb,1\n".encode("cp1252"), {}),
    "quotes that quote nothing": (b'q,y\n"a" b,0\nb,1\n', {}),
    "quotes in TSV": (b'"q"\t"y"\n"a"\t"0"\n"b"\t"1"\n', {"format": "tsv"}),
    "a gap": (b"q,y\na,0\n,1\nb,1\n", {}),
    "decimals": (b"q,y\na,0.5\nb,1.5\nc,2.5\n", {}),
    "a set without labels": (b"q,y,z\na,,\nb,1,0\n", {"kind": "multilabel", "label": ["y", "z"]}),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_is_to_be_said_of_a_file_is_accepted(case: str, tmp_path: Path) -> None:
    content, options = ROWS[case]
    (tmp_path / "a.csv").write_bytes(content)
    options = {"train": "a.csv", "text": "q", "label": "y", **options}
    told = refused(tmp_path, options)
    (hint, *_) = re.findall(r"`([a-z]+: [^`]*)`", told)
    if case == "a set without labels":
        hint = "gaps: none"
        assert f"`{hint}`" in told
    load(tmp_path, {**options, **read_tree(hint + "\n", "x.yaml").root})


def load(folder: Path, options: dict[str, Any]) -> Any:
    task = Table()
    loaded = load_checked(task, task.Options.model_validate(options), Paths(folder, folder / "cache"))
    return loaded.info, loaded.splits


def refused(folder: Path, options: dict[str, Any]) -> str:
    with pytest.raises(BakeoffError) as error:
        load(folder, options)
    return str(error.value)


def test_splits_without_labels_are_told_with_those_that_are_named_already(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,y\na,0\nb,1\n")
    (tmp_path / "b.csv").write_text("q\na\nb\n")
    options: dict[str, Any] = {"train": "a.csv", "dev": "b.csv", "test": "b.csv", "text": "q", "label": "y"}
    for _ in range(2):
        (hint,) = re.findall(r"`(unlabelled: [^`]*)`", refused(tmp_path, options))
        options |= read_tree(hint + "\n", "x.yaml").root
    load(tmp_path, options)


def test_words_for_nothing_a_file_of_an_archive_a_format_and_a_delimiter_are_told_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,y\na,0\nb,1\nc,null\nd,null\n")
    options = {"train": "a.csv", "text": "q", "label": "y", "missing": ["-"]}
    (hint,) = re.findall(r"`(missing: [^`]*)`", " ".join(data_checks(*load(tmp_path, options))))
    assert read_tree(hint + "\n", "x.yaml").root == {"missing": ["-", "null"]}
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("it's.csv", "b.csv"):
            archive.writestr(name, "q,y\na,0\nb,1\n")
    (member,) = re.findall(r"name one as (.*)$", refused(tmp_path, {**options, "train": "two.zip"}))
    load(tmp_path, {**options, "train": read_value(member)})
    (tmp_path / "a.txt").write_text("q,y\na,0\nb,1\n")
    (form,) = re.findall(r"`(format: [^`]*)`", refused(tmp_path, {**options, "train": "a.txt"}))
    load(tmp_path, {**options, "train": "a.txt", **read_tree(form + "\n", "x.yaml").root})
    (tmp_path / "excel.csv").write_text("sep=;\nq;y\na;0\nb;1\n")
    (delimiter,) = re.findall(r"`(delimiter: [^`]*)`", refused(tmp_path, {**options, "train": "excel.csv"}))
    (tmp_path / "excel.csv").write_text("q;y\na;0\nb;1\n")
    load(tmp_path, {**options, "train": "excel.csv", **read_tree(delimiter + "\n", "x.yaml").root})


# --- into a shell ------------------------------------------------------------------------------------------------------------


def parsed(line: str) -> dict[str, Any]:
    """The words that the verb of a command line gets; fails where it has no such option."""
    name, verb, *words = shlex.split(line)
    assert name == "bakeoff"
    found = bakeoff.get_command(click.Context(bakeoff), verb)
    assert found is not None
    return found.make_context(verb, words).params


def commands_in(text: str) -> list[str]:
    return re.findall(r"`(bakeoff [^`]*)`", text)


def test_commands_of_a_comparison_run_from_where_its_folders_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.arange(60) % 3 // 2
    answers = {name: drawn_answers(labels, seeds=2, accuracy=0.8, seed=number) for number, name in enumerate(("a", "b"))}
    monkeypatch.chdir(tmp_path)
    folders = [Path("my results"), Path("-x")]
    for folder in folders:
        make_folder(folder, answers, labels, undone=[make_record("b", 7)])
        (folder / "spec.yaml").write_text("name: mrpc\n")
    for chosen in (folders[:1], folders):
        comparison = compare(load_experiment(chosen))
        steps = [warning.what_to_do for warning in comparison.warnings]
        lines = [line for step in steps for line in commands_in(step)] + comparison.facts["commands"]
        assert len({line.split()[1] for line in lines}) >= 3
        named = set()
        for line in lines:
            params = parsed(line)
            named |= {params[key] for key in ("spec", "folder") if params.get(key) is not None}
        assert named >= {folder / "spec.yaml" for folder in chosen}
        assert all(path.exists() for path in named)


def test_commands_of_a_page_stand_whole_in_one_line_as_they_are_pasted(tmp_path: Path) -> None:
    labels = np.arange(60) % 3 // 2
    answers = {name: drawn_answers(labels, seeds=2, accuracy=0.8, seed=number) for number, name in enumerate(("a", "b"))}
    folder = make_folder(tmp_path / "my *[x]* ~ _results_ | of <b>", answers, labels, undone=[make_record("b", 7)])
    reading = read([folder])
    page = write_page(reading.comparison)
    for text in (page, fitted(page, 60)):
        lines = [line for row in text.splitlines() for line in commands_in(row)]
        assert {line.split()[1] for line in lines} == {"run", "plan"}
        assert {parsed(line)["spec"] for line in lines} == {folder / "spec.yaml"}


def test_predictions_that_cannot_be_used_are_made_again_as_is_told(tmp_path: Path) -> None:
    """Damaged ones `bakeoff run` sets aside itself; of those that are as they were written the record is removed by hand."""
    labels = np.arange(60) % 3 // 2
    folder = make_folder(tmp_path / "my x", {"a": drawn_answers(labels, seeds=3, accuracy=0.8)}, labels)
    experiment = load_experiment([folder])
    one, _, other = experiment.records
    (folder / "records" / one.id / PREDICTIONS_FILE).unlink()
    found = experiment.predictions(other.id)["test"]
    odd = {other.id: {"test": replace(found, ids=tuple(f"another {name}" for name in found.ids))}}
    misread = replace(experiment, predictions=lambda run: odd.get(run) or experiment.predictions(run), read_answers=None)
    step = next(warning.what_to_do for warning in compare(misread).warnings if warning.name == "unreliable-scores")
    assert commands_in(step)
    (removed,) = re.findall(r"`(rm [^`]*)`", step)
    assert shlex.split(removed) == ["rm", "-r", "--", str(folder / "records" / other.id)]


def test_a_path_that_is_no_text_is_refused_in_a_line(call: Call, tmp_path: Path) -> None:
    """Where the system's encoding lacks its bytes, which a worker could not be told."""
    place = tmp_path / os.fsdecode(b"h\xe9")
    place.mkdir()
    for folder in (place, tmp_path):
        (folder / "spec.yaml").write_text(yaml_value(changed({})))
    for words in (("run", place / "spec.yaml"), ("run", tmp_path / "spec.yaml", "--into", place)):
        code, out, told = call(*words)
        assert (code, out) == (2, "")
        assert tells(told, "", "LC_ALL=C.UTF-8", "rename")
        assert told.count("\n") == 1


def test_commands_that_run_prints_repeat_what_it_was_called_with(tmp_path: Path) -> None:
    """Tables know the folder of the records alone: files beside the experiment file would not be found from there."""
    kept, spec, into, data = PurePath("in to/spec.yaml"), Path("my files/it's.yaml"), Path("in to"), DataFolders(Path("da ta"))
    told = f"`{command('run', kept)}`, `{command('run', kept, '--retry', 'failed')}`, `{command('plan', kept, '--resolve', 1)}`"
    lines = commands_in(Called(spec, into, data).as_called(told, [kept]))
    assert [line.split()[1] for line in lines] == ["run", "run", "plan"]
    for line in lines:
        assert {key: parsed(line)[key] for key in ("spec", "into")} == {"spec": spec, "into": into}
        assert str(data.unnamed) in line
    assert parsed(lines[1])["retry"] == "failed"
    (afresh,) = commands_in(Called(spec, into, data).as_called(f"`{command('run', kept, '--into', 'FOLDER')}`", [kept]))
    assert parsed(afresh)["into"] == Path("FOLDER")
    assert afresh.count("--into") == 1
    other = f"`{command('run', PurePath('in to/spec.yaml2'))}`"
    assert Called(spec, into, data).as_called(other, [kept]) == other


def test_commands_of_plan_say_the_paths_and_options_that_were_given(call: Call, tmp_path: Path) -> None:
    place = tmp_path / "my files"
    place.mkdir()
    spec = place / "it's.yaml"
    search = {("search",): {"learning_rate": [1e-4, 2e-4]}, ("tasks", 0, "dev"): "a.csv"}
    spec.write_text(yaml_value(changed(search)))
    code, _, told = call("plan", spec, "--resolve", "1", "--into", place / "into")
    assert code != 0
    (line,) = commands_in(told)
    assert {key: parsed(line)[key] for key in ("spec", "into")} == {"spec": spec, "into": place / "into"}
