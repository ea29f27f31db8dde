"""In what two runs differ: data, model, machine; and what nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import failed, make_record

from bakeoff.machine.file_hashes import code_digest
from bakeoff.records.provenance import DATA, MACHINE, MADE_FROM, MODEL, Facts, differences, facts_of, labels_digest, unknown
from bakeoff.records.schema import MadeFrom, Record

KNOWN = MadeFrom(
    labels="l",
    weights="w",
    tokenizer="t",
    task_files={"train": "f1", "dev": "f2", "test": "f3"},
    model_files={"weights": "fw", "tokenizer": "ft", "configuration": "fc"},
    code={"trainer": "c"},
)


def facts(*, of: MadeFrom = KNOWN, made: Record | None = None, **changes: Any) -> Facts:
    return facts_of((made or make_record()).model_copy(update={"made_from": of.model_copy(update=changes)}))


def subjects(here: Facts, there: Facts, of: Any = MADE_FROM) -> list[tuple[str, str]]:
    return [(found.subject, found.name) for found in differences(here, there, of)]


def test_equal_runs_differ_in_nothing_and_all_is_known() -> None:
    assert subjects(facts(), facts(), DATA | MODEL | MACHINE | {"code"}) == []
    assert unknown(facts(), facts()) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"labels": "l2"}, [("labels", "")]),
        ({"weights": "w2", "model_files": {**(KNOWN.model_files or {}), "weights": "fw2"}}, [("weights", "")]),
        ({"tokenizer": "t2", "model_files": {**(KNOWN.model_files or {}), "tokenizer": "ft2"}}, [("tokenizer", "")]),
        ({"model_files": {**(KNOWN.model_files or {}), "configuration": "fc2"}}, [("configuration", "")]),
        ({"model_files": {}}, [("configuration", "")]),
        ({"task_files": {"train": "f9"}}, []),  # other files, the same rows
        ({"weights": "w2"}, []),  # the same files under another library
        ({"tokenizer": "t2"}, []),
        ({"model_files": {**(KNOWN.model_files or {}), "weights": "other shards"}}, []),
        ({"code": {"trainer": "c2"}}, []),
    ],
)
def test_what_makes_two_runs_runs_of_different_things(changes: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert subjects(facts(), facts(**changes)) == found
    assert subjects(facts(**changes), facts()) == found


def test_rows_decide_by_what_was_loaded_whatever_the_files() -> None:
    there = make_record(test_data="other rows")
    assert subjects(facts(), facts(made=there)) == [("rows", "test")]
    (found,) = differences(facts(), facts(made=there))
    assert (found.what, found.here != found.there) == ("the rows of test", True)


def test_what_an_old_record_lacks_is_unknown_and_no_difference() -> None:
    old = facts(of=MadeFrom())
    assert subjects(old, facts()) == [("labels", "")], "its label names are in the record itself"
    assert subjects(old, facts(labels=labels_digest(["not_equivalent", "equivalent"]))) == []
    assert unknown(old, facts()) == [("weights", ""), ("tokenizer", ""), ("configuration", "")]


def test_old_records_of_many_labels_do_not_tell_their_names() -> None:
    many = [str(number) for number in range(20)]
    assert labels_digest(many) != labels_digest([*many[:-1], "x"])
    assert labels_digest([*many, "and 3 more"]) is None


def test_sources_as_they_are_now_are_compared_by_their_files_alone() -> None:
    here: Facts = {("rows", "train"): (None, "f9"), ("rows", "dev"): (None, "f2"), ("weights", ""): (None, "fw2")}
    assert subjects(here, facts()) == [("rows", "train"), ("weights", "")]


def test_the_machine_and_the_code_are_told_when_asked() -> None:
    here, there = make_record(torch="2.13.0"), make_record(torch="2.14.0", hardware="H200")
    found = differences(facts(made=here), facts(made=there, code={"trainer": "c2"}), MACHINE | {"code"})
    assert [(one.what, one.here, one.there) for one in found] == [
        ("the hardware", "AMD EPYC, 2 threads", "H200"),
        ("torch", "2.13.0", "2.14.0"),
        ("the source code of the trainer", "c", "c2"),
    ]


def test_a_failed_run_tells_of_its_files_alone() -> None:
    here = facts(made=failed(make_record()))
    assert subjects(here, facts()) == []
    assert subjects(here, facts(task_files={"train": "f9"})) == [("rows", "train")]


def test_the_source_of_a_plugin_is_all_its_python_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "edited_package" / "inner").mkdir(parents=True)
    files = [tmp_path / name for name in ("edited_module.py", "edited_package/__init__.py", "edited_package/inner/steps.py")]
    for file in files:
        file.write_text("STEPS = 1\n")

    def digests() -> tuple[str | None, ...]:
        code_digest.cache_clear()
        return tuple(code_digest(name) for name in ("edited_module", "edited_package", "no_such_package"))

    found = [digests()]
    assert found[0][0] not in (None, found[0][1])
    assert found[0][2] is None
    for file, place in zip(files, (0, 1, 1), strict=True):
        file.write_text("STEPS = 2\n")
        found.append(digests())
        assert [one != other for one, other in zip(*found[-2:], strict=True)] == [place == number for number in range(3)]
    (tmp_path / "edited_package" / "README.md").write_text("no source")
    assert digests() == found[-1]
    files[0].write_text("STEPS = 3\n")
    code_digest("edited_module")
    assert (*map(code_digest, ("edited_module", "edited_package")), None) == found[-1], "asked once in a process"
