"""All writing and deleting goes through `bakeoff.files`: any other call is found by reading the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELVES = ("harness", "plugins", "tasks")
FILES = "harness/bakeoff/files/"

METHODS = {
    *("chmod", "hardlink_to", "lchmod", "makedirs", "mkdir", "mkdtemp", "mkfifo", "mknod", "mkstemp", "mktemp", "removedirs"),
    *("rmdir", "rmtree", "symlink", "symlink_to", "truncate", "unlink", "utime", "write_bytes", "write_text"),
    *("NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile", "FileHandler", "copytree"),
}
"""What writes, deletes or makes, whatever it is called of."""
OF_OS = {"link", "open", "remove", "rename", "renames", "replace", "mkfifo", "fdopen", "creat", "chown", "lchown", "write"}
"""What of `os` does so; the names are too common to look at them elsewhere."""
HARMLESS = {"get_terminal_size", "disk_usage", "which"}
"""Of `shutil`: the rest writes."""
LIBRARIES = {
    *("OSFile", "ParquetWriter", "new_file", "new_stream", "save_file", "save_model", "save_pretrained", "savetxt", "savez"),
    *("to_csv", "to_excel", "to_feather", "to_hdf", "to_parquet", "to_pickle", "write_dataset", "write_feather", "write_table"),
}
"""Writers of libraries, which get a stream of `Tree.writing`, or a path in a folder of `Tree.make_fresh`."""
GIVEN_PLACES = {
    "harness/bakeoff/api/rows.py:_write": "write_table: a stream",
    "harness/bakeoff/records/index.py:_stream_of": "new_stream: a buffer in memory",
    "harness/bakeoff/records/index.py:_write": "write_table: a stream",
    "harness/bakeoff/toolkit/arrow_cache.py:write_batches": "new_file: a stream",
    "harness/bakeoff/training/record_writer.py:_write_table": "write_table: a stream",
    "harness/bakeoff/training/checkpoints.py:save": "save_file: a fresh folder",
    "harness/bakeoff/toolkit/saved_classifier.py:save_classifier": "save_pretrained: the fresh folder of `keep`",
}
"""Where they may be called, FILE:FUNCTION."""
READ_ELSEWHERE = {
    "harness/bakeoff/cli/adapter.py:adapter_of": "a template of the package",
    "harness/bakeoff/cli/new.py:package": "a template of the package",
    "harness/bakeoff/report/page/html.py:_part": "a template of the package",
    "harness/bakeoff/machine/distributions.py:_modules": "what an installed distribution says of itself",
    "harness/bakeoff/machine/distributions.py:_sources": "what an installed distribution says of itself",
    "harness/bakeoff/planning/estimate.py:hardware_here": "of the kernel",
    "harness/bakeoff/machine/hardware.py:cpu_info": "of the kernel",
    "harness/bakeoff/machine/memory_energy.py:_read": "of the kernel",
    "harness/bakeoff/cli/example.py:write_example": "of this package",
    "harness/bakeoff/machine/installing.py:install_command": "of an installed distribution's metadata",
    "harness/bakeoff/machine/installing.py:install_folder_command": "of an installed distribution's metadata",
    "tasks/bakeoff_table/contents.py:member": "a member of an archive that is a private copy",
}
"""Where files are read without `open_regular`, FILE:FUNCTION, and which."""
WRITES = re.compile(r"(?=.*[wax+])[rwaxbt+]{1,4}")
"""The mode of a file that is opened for writing."""


def found_in(path: str, source: str) -> Iterator[str]:
    """PATH:LINE of all that writes, deletes or makes something, called or handed on, and of imports that would hide it."""
    tree = ast.parse(source)
    inside = {id(node): function.name for function in functions(tree) for node in ast.walk(function)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    harmless = {id(node.func) for node in calls if is_of_the_kernel(node) or is_of_the_null_device(node)}
    found: dict[tuple[int, str], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= dict.fromkeys((node.lineno, name) for name in hidden(node))
        elif isinstance(node, ast.Attribute) and id(node) not in harmless and is_writer(node):
            found[node.lineno, ast.unparse(node)] = None
        elif isinstance(node, ast.Call) and id(node.func) not in harmless and (called := name_of(node)) is not None:
            owner, name = called
            if name in LIBRARIES and f"{path}:{inside.get(id(node))}" not in GIVEN_PLACES:
                found[node.lineno, name] = None
            elif writes(node, owner, name):
                found[node.lineno, ast.unparse(node.func)] = None
    yield from (f"{path}:{line}: {what}" for line, what in found)


def read_in(path: str, source: str) -> Iterator[str]:
    """FILE:FUNCTION of each place that opens a file for reading without `bakeoff.files`."""
    tree = ast.parse(source)
    inside = {id(node): function.name for function in functions(tree) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not is_of_the_kernel(node) and (called := name_of(node)) is not None:
            owner, name = called
            if name in {"read_bytes", "read_text"} or (name == "open" and owner != "os"):
                yield f"{path}:{inside.get(id(node))}"


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions, those within others last."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def hidden(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Imports by which a call would look like another."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in {"os", "shutil"} and alias.asname)
        return
    forbidden = {"os": OF_OS | METHODS, "shutil": {alias.name for alias in node.names} - HARMLESS, "io": {"open", "FileIO"}}
    if node.module == "tempfile":
        yield "tempfile"
    yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in forbidden.get(node.module or "", ()))


def name_of(node: ast.Call) -> tuple[str, str] | None:
    """(what it is called of, its name): ("os", "open"), ("", "open")."""
    if isinstance(node.func, ast.Name):
        return "", node.func.id
    if isinstance(node.func, ast.Attribute):
        return node.func.value.id if isinstance(node.func.value, ast.Name) else "…", node.func.attr
    return None


def is_writer(node: ast.Attribute) -> bool:
    """Whether what is called, or handed on to be called, changes what is on the disk, by its name alone."""
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    return (
        node.attr in METHODS
        or (owner == "shutil" and node.attr not in HARMLESS)
        or (owner == "os" and node.attr in OF_OS)
        or (owner == "Path" and node.attr in {"rename", "replace", "touch"})
    )


def writes(node: ast.Call, owner: str, name: str) -> bool:
    """Whether the call changes what is on the disk, or may, by its name and its arguments."""
    if owner in {"torch", "np", "numpy"}:
        return name == "save"
    if name in {"rename", "replace"}:  # of a path: one argument; of a text: two
        return bool(owner) and len(node.args) == 1 and not node.keywords
    if name == "touch":  # a store's takes the run
        return not node.args
    if name in {"open", "FileIO"}:
        modes = [*node.args[:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
        return any(is_mode(mode) for mode in modes)
    return False


def is_mode(node: ast.AST) -> bool:
    """Of a file that is opened for writing, or one that is not known before."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and WRITES.fullmatch(node.value) is not None
    return isinstance(node, ast.Name) and "mode" in node.id


def is_of_the_kernel(node: ast.Call) -> bool:
    """Whether it is called of a literal path in `/proc`, behind which no file is."""
    return isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).startswith(("Path('/proc/", "Path(f'/proc/"))


def is_of_the_null_device(node: ast.Call) -> bool:
    return ast.unparse(node.func) == "os.open" and bool(node.args) and ast.unparse(node.args[0]) == "os.devnull"


@pytest.mark.parametrize("shelf", SHELVES)
def test_nothing_is_written_or_deleted_but_through_one_module(shelf: str) -> None:
    paths = [path for path in sorted((ROOT / shelf).rglob("*.py")) if not path.relative_to(ROOT).as_posix().startswith(FILES)]
    assert paths
    found = [line for path in paths for line in found_in(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))]
    assert not found, f"these write, delete or make something without `bakeoff.files`: {found}"


def test_each_place_that_is_given_to_a_library_is_there() -> None:
    for place, what in GIVEN_PLACES.items():
        path, _, function = place.partition(":")
        (found,) = [one for one in functions(ast.parse((ROOT / path).read_text(encoding="utf-8"))) if one.name == function]
        assert f"{what.partition(':')[0]}(" in ast.unparse(found), place


def test_files_are_read_through_the_module_that_opens_plain_files_only() -> None:
    found = set()
    for path in [path for shelf in SHELVES for path in sorted((ROOT / shelf).rglob("*.py"))]:
        if not (name := path.relative_to(ROOT).as_posix()).startswith(FILES):
            found |= set(read_in(name, path.read_text(encoding="utf-8")))
    assert found - set(READ_ELSEWHERE) == set(), "these would wait for a pipe: see `open_regular`"
    assert set(READ_ELSEWHERE) - found == set(), "these read nothing so any more"


@pytest.mark.parametrize(
    "line", ["path.read_bytes()", "open(path)", 'path.open("rb")', "gzip.open(path)", "Path(a).read_text()"]
)
def test_a_call_that_reads_is_found(line: str) -> None:
    assert list(read_in("x.py", f"def f():\n    {line}\n")) == ["x.py:f"]
    assert not list(read_in("x.py", "read_regular(path)\nPath(f'/proc/{process}/stat').read_text()\n"))


VIOLATIONS = """\
path.unlink(missing_ok=True)
(folder / "a").rename(folder / "b")
path.replace(other)
os.replace(one, other)
os.remove(path)
os.open(path, os.O_WRONLY | os.O_CREAT)
shutil.rmtree(folder)
shutil.copy(one, other)
folder.mkdir(parents=True)
Path(name).write_text(text, encoding="utf-8")
path.write_bytes(content)
path.touch()
link.symlink_to(path)
os.symlink(path, link)
open(path, "w")
open(path, mode="a")
path.open("xb")
path.open("r+b")
path.open(mode)
io.open(path, "wt")
gzip.open(path, "wb")
from tempfile import mkstemp
from shutil import rmtree
from os import unlink
import os as system
tempfile.TemporaryDirectory()
model.save_pretrained(folder)
save_file(tensors, path)
torch.save(state, path)
np.save(path, array)
pq.write_table(table, path)
frame.to_csv(path)
logging.FileHandler(path)
atexit.register(shutil.rmtree, folder)
list(map(Path.unlink, paths))
stack.callback(path.unlink)
move = os.replace
partial(Path.touch, exist_ok=True)
"""


@pytest.mark.parametrize("line", VIOLATIONS.splitlines())
def test_a_call_that_writes_is_found(line: str) -> None:
    assert [found.partition(":")[2].partition(":")[0] for found in found_in("x.py", f"\n\n{line}\n")] == ["3"]


@pytest.mark.parametrize(
    "line",
    [
        'text.replace("a", "b")',
        "replace(one, key=1)",
        "frame.rename(columns=names)",
        "words.remove(word)",
        'path.open("rb")',
        "archive.open(member)",
        'path.open(encoding="utf-8")',
        "os.open(os.devnull, os.O_RDWR)",
        "tree.write(path, content)",
        "store.touch(run)",
        "shutil.get_terminal_size()",
        "Path('/proc/self/clear_refs').write_text('5')",
        "from dataclasses import replace",
        "from shutil import which",
    ],
)
def test_what_writes_nothing_is_let_pass(line: str) -> None:
    assert not list(found_in("x.py", line))
