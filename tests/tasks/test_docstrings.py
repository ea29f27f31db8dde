"""The task `docstrings` on small made-up libraries: what is read, how pairs are drawn, what the cache does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from textwrap import indent

import pytest
from pydantic import ValidationError

from bakeoff.plugin import DataError, Paths
from bakeoff_docstrings import Docstrings
from bakeoff_docstrings.documentation import documented_functions
from bakeoff_docstrings.pairs import Entry, Pair, draw, read, split_of
from bakeoff_docstrings.sources import Library, installed_libraries

PROSE = "The paragraph number {n} of {file} says at some length what becomes of the values that are given."


def function(n: int, file: str = "a.py", definition: str = "def f{n}():") -> str:
    paragraph = PROSE.format(n=n, file=file)
    return f'{definition.format(n=n)}\n    """Give back the value number {n} of {file}.\n\n    {paragraph}\n    """\n'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Sixty files of six functions each: enough for every split to hold both labels."""
    folder = tmp_path / "site" / "made_up"
    for number in range(60):
        path = folder / f"part_{number % 4}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(function(n, path.name) for n in range(6)))
    return Library("made-up", "1.0", folder)


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    return Paths(data=None, cache=tmp_path / "cache")


# --- what is read -----------------------------------------------------------------------------------------------------


def test_methods_nested_and_async_functions_are_found_by_their_qualified_names() -> None:
    source = (
        "class Outer:\n    class Inner:\n"
        + indent(function(1, definition="def method():"), " " * 8)
        + "if True:\n"
        + indent(function(2, definition="async def waits():"), " " * 4)
        + "def outer():\n"
        + indent(function(3, definition="def nested():"), " " * 4)
    )
    names = [found.function for found in documented_functions(source.encode())]
    assert names == ["Outer.Inner.method", "waits", "outer.nested"]


def test_the_first_definition_of_a_name_counts() -> None:
    source = function(1, definition="def same():") + function(2, definition="def same():")
    (found,) = documented_functions(source.encode())
    assert "number 1" in found.paragraph


@pytest.mark.parametrize("source", [b"def f(:", b"def f(): \0", b"def f(): \xff\xfe", b"", b"def f(): return " + b"(" * 10_000])
def test_what_is_no_python_has_no_functions(source: bytes) -> None:
    assert documented_functions(source + b'\n"""x"""\n') == []


def test_a_file_that_does_not_parse_costs_only_itself(library: Library) -> None:
    before = read([library])
    (library.folder / "broken.py").write_text(function(1) + "def f(:\n")
    assert read([library]) == before


@pytest.mark.parametrize(
    ("section", "kept"),
    [
        ("", True),
        ("Notes\n    -----\n    ", True),
        ("Explanation\n    ===========\n\n    ", True),
        ("Returns\n    -------\n    ", False),
        ("Parameters\n    ----------\n    x : int\n        ", False),
        ("References\n    ----------\n\n    ", False),
        (">>> f()\n    ", False),
        (".. note:: ", False),
        ("- ", False),
    ],
)
def test_only_running_text_is_a_paragraph(section: str, kept: bool) -> None:
    source = function(1).replace("    The paragraph", f"    {section}The paragraph")
    assert len(documented_functions(source.encode())) == kept


def test_markup_goes_and_texts_are_cut() -> None:
    long = "See :func:`~pack.mod.other` and :class:`Thing <pack.Thing>` or ``code`` [1]_, " + "as it goes on and on " * 20
    source = f'def f():\n    """Tell *everything* {"very " * 30}well.\n\n    {long}\n    """\n'
    (found,) = documented_functions(source.encode())
    assert found.paragraph.startswith("See pack.mod.other and Thing or code, as it goes")
    assert len(found.summary.split()) == 20
    assert len(found.paragraph.split()) == 32


def test_a_docstring_without_a_paragraph_gives_nothing() -> None:
    assert documented_functions(b'def f():\n    """Only a summary line stands here."""\n') == []


def test_tests_and_vendored_code_are_not_read(library: Library) -> None:
    before = read([library])
    for folder in ("tests", "externals", "_vendored"):
        (library.folder / folder).mkdir()
        (library.folder / folder / "module.py").write_text(function(1, folder))
    assert read([library]) == before


# --- how pairs are drawn ----------------------------------------------------------------------------------------------


def test_a_negative_comes_from_another_file_of_its_split_and_library(library: Library) -> None:
    pairs = draw(read([library]))
    assert all(pair.split == split_of(pair.file) == split_of(pair.paragraph_file) for pair in pairs)
    assert all((pair.file == pair.paragraph_file) == (pair.label == 1) for pair in pairs)
    assert {pair.label for pair in pairs} == {0, 1}


def test_every_text_is_used_once(library: Library) -> None:
    entries, pairs = read([library]), draw(read([library]))
    assert sorted(entry.summary for entry in entries) == sorted(pair.summary for pair in pairs)
    assert sorted(entry.paragraph for entry in entries) == sorted(pair.paragraph for pair in pairs)


def test_the_order_of_entries_does_not_matter_where_texts_differ(library: Library) -> None:
    entries = read([library])
    assert draw(entries[::-1]) == draw(entries)


def entries_of(file: str, count: int) -> list[Entry]:
    return [Entry("lib", file, f"f{n}", f"Summary {n} of {file}", f"Paragraph {n} of {file}") for n in range(count)]


def test_copied_docstrings_give_one_pair_and_boilerplate_none() -> None:
    entries = entries_of("lib/a.py", 3)
    copy = Entry("lib", "lib/b.py", "copy", "summary 0 of lib/a.py.", "Another paragraph")
    boilerplate = [Entry("lib", "lib/c.py", f"g{n}", f"Other summary {n}", "See the user guide") for n in range(3)]
    assert {pair.id.split(":")[1] for pair in draw([*entries, copy, *boilerplate])} == {"f0", "f1", "f2"}


def test_one_file_alone_has_no_negatives() -> None:
    assert {pair.label for pair in draw(entries_of("lib/a.py", 30))} == {1}


def test_a_file_that_outweighs_the_rest_exchanges_only_with_the_rest() -> None:
    others = [f"lib/{n}.py" for n in range(400) if split_of(f"lib/{n}.py") == split_of("lib/a.py")][:60]
    entries = entries_of("lib/a.py", 300) + [entry for file in others for entry in entries_of(file, 1)]
    negatives = [pair for pair in draw(entries) if not pair.label]
    assert negatives
    assert all(pair.file != pair.paragraph_file for pair in negatives)


def test_what_is_read_and_drawn_changes_only_with_the_version(library: Library) -> None:
    """Caches and published tables rest on it: whoever changes what comes out raises `Docstrings.version`."""
    rows = [[pair.id, pair.split, pair.summary, pair.paragraph] for pair in draw(read([library]))]
    assert Docstrings.version == "1"
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == "9ec27bd1658355a1"


# --- the task and its cache -------------------------------------------------------------------------------------------


def task_for(library: Library) -> Docstrings:
    return Docstrings(find=lambda: [library])


def test_columns_are_what_info_says(library: Library, places: Paths) -> None:
    task = task_for(library)
    info = task.info(task.Options())
    splits = task.load(task.Options(), places)
    assert tuple(splits) == info.splits == info.labelled_splits
    for rows in splits.values():
        assert set(rows.column_names) == {"id", "label", *info.text_columns, *info.slice_columns}
        assert set(rows["label"]) <= {0, 1}


def test_ids_are_unique_and_tell_no_machine(library: Library, places: Paths) -> None:
    task = task_for(library)
    ids = [row_id for rows in task.load(task.Options(), places).values() for row_id in rows["id"]]
    assert len(set(ids)) == len(ids)
    assert all(row_id.startswith("made_up/part_") for row_id in ids)


def test_a_smaller_size_is_the_beginning_of_a_larger_one(library: Library, places: Paths) -> None:
    task = task_for(library)
    larger = task.load(task.Options(), places)
    for size in (200, 100, 32):
        smaller = task.load(task.Options(size=size), places)
        assert sum(len(rows) for rows in smaller.values()) == size
        for split, rows in smaller.items():
            assert rows.to_list() == larger[split].to_list()[: len(rows)]
        larger = smaller


def test_more_than_there_is_is_an_error_that_says_how_much_there_is(library: Library, places: Paths) -> None:
    task = task_for(library)
    with pytest.raises(DataError, match="only 360 pairs"):
        task.load(task.Options(size=361), places)


@pytest.mark.parametrize("size", [0, -1, 31, 40.0, "40", True])
def test_a_size_that_cannot_be_is_refused(size: object) -> None:
    with pytest.raises(ValidationError):
        Docstrings.Options(size=size)


def test_a_second_load_opens_no_source(library: Library, places: Paths, tmp_path: Path) -> None:
    pairs = task_for(library).pairs(places)
    gone = Library(library.name, library.version, tmp_path / "nowhere")
    assert task_for(gone).pairs(places) == pairs


def test_another_version_is_read_anew(library: Library, places: Paths) -> None:
    task_for(library).pairs(places)
    (library.folder / "part_0" / "module_0.py").unlink()
    upgraded = Library(library.name, "1.1", library.folder)
    assert task_for(library).source_versions() == {"made-up": "1.0"}
    assert len(task_for(upgraded).pairs(places)) == 354
    assert len(list((places.cache / "docstrings").iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "foreign"])
def test_a_damaged_cache_is_built_again(library: Library, places: Paths, damage: str) -> None:
    pairs = task_for(library).pairs(places)
    (path,) = (places.cache / "docstrings").iterdir()
    whole = path.read_bytes()
    harm = {
        "truncated": whole[:-9],
        "flipped": whole.replace(b"values", b"valves", 1),
        "emptied": b"",
        "foreign": b"\xff[1, 2]",
    }
    path.write_bytes(harm[damage])
    assert task_for(library).pairs(places) == pairs
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_changes_nothing(library: Library, places: Paths, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert task_for(library).pairs(Paths(data=None, cache=tmp_path / "file")) == task_for(library).pairs(places)


def test_missing_libraries_are_all_named() -> None:
    with pytest.raises(DataError, match=r"no-such-one, no-such-two .*bakeoff\[docstrings\]"):
        installed_libraries({"no_such_one": "no-such-one", "numpy": "numpy", "no_such_two": "no-such-two"})


def test_libraries_without_sources_are_an_error(tmp_path: Path, places: Paths) -> None:
    (tmp_path / "empty").mkdir()
    task = task_for(Library("empty", "1.0", tmp_path / "empty"))
    with pytest.raises(DataError, match="train, dev, test"):
        task.load(task.Options(), places)


def test_a_pair_says_how_long_its_paragraph_is(library: Library) -> None:
    def length(pair: Pair) -> str:
        words = len(pair.paragraph.split())
        return "long" if words == 32 else "medium" if words >= 16 else "short"

    assert all(pair.length == length(pair) for pair in draw(read([library])))
