"""No library is given a name that it could look up in the working directory, read by the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for shelf in ("harness", "plugins", "tasks") for path in (ROOT / shelf).rglob("*.py"))

REFUSED = {
    "evaluate.load": "it runs a script of that name in the working directory",
    "datasets.load_dataset": "it reads a folder of that name in the working directory",
    "load_dataset": "it reads a folder of that name in the working directory",
    "torch.load": "it reads pickles",
    "pickle.load": "it runs what it reads",
    "importlib.import_module": "it imports whatever a name says",
    "import_module": "it imports whatever a name says",
}
ALLOWED = {
    "harness/bakeoff/cli/__init__.py": {"importlib.import_module"},  # verbs, by a list of its own
    "harness/bakeoff/testing/contract.py": {"pickle.load"},  # from its own parent
}


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """The name of each function that is called, as it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def faults(source: str, allowed: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    found = []
    for name, call in calls(source):
        if name in REFUSED and name not in allowed:
            found.append(f"line {call.lineno}: {name}: {REFUSED[name]}")
        if name.endswith(".from_pretrained"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if given.get("local_files_only") != "True":
                found.append(f"line {call.lineno}: {name} without local_files_only=True: it may ask the hub for another model")
            if given.get("trust_remote_code", "False") != "False":
                found.append(f"line {call.lineno}: {name} runs code of the model")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_library_is_given_a_name_to_look_up(path: Path) -> None:
    allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
    assert faults(path.read_text(encoding="utf-8"), allowed) == []


@pytest.mark.parametrize(
    "line",
    [
        "evaluate.load('f1')",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_pretrained(path, local_files_only=False)",
        "AutoModel.from_pretrained(path, local_files_only=True, trust_remote_code=True)",
        "torch.load(path)",
    ],
)
def test_each_of_them_is_found(line: str) -> None:
    assert len(faults(line)) == 1


def test_parquet_is_read_without_arrows_threads() -> None:
    """Their pool now and then aborts or hangs a process that ends (apache/arrow issues 34314 and 50482)."""
    reading = [source for path in SOURCES if "ParquetFile(" in (source := path.read_text(encoding="utf-8"))]
    assert len(reading) >= 3
    assert all("use_threads=False" in source for source in reading)
    assert not [path.name for path in SOURCES if "read_parquet(" in path.read_text(encoding="utf-8")]
