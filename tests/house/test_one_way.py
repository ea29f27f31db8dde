"""The way of one run's request, from its worker's door to the record: how often the code goes from one room to another.

A room is a package, or a module beside the packages; a move is a call of a function or class of another room, and the way back
from it, in the order in which the code is written; up is a move to a room of a later step.
"""

from __future__ import annotations

import ast
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from house.test_layers import CORE, STEPS

DOOR = "training.worker.perform_requested"
MAIN_LINE = {DOOR, "training.worker.perform", "training.worker.attempt", "training.worker.fine_tune"}
ASSEMBLED = MAIN_LINE | {"training.assembly.assemble"}
STEP = {room: number for number, rooms in enumerate(STEPS) for room in rooms.split()}


@cache
def module(name: str, core: Path) -> ast.Module | None:
    """The source of a module or package, None where there is none so called."""
    paths = (core / f"{name.replace('.', '/')}.py", core / name.replace(".", "/") / "__init__.py")
    found = next((path for path in paths if path.is_file()), None)
    return ast.parse(found.read_text(encoding="utf-8")) if found else None


def rooms_on_the_way(start: str, through: set[str], core: Path = CORE) -> list[str]:
    """The rooms in their order, those of the functions `through` entered once each, others only named."""
    way: list[str] = []
    entered: set[str] = set()

    def enter(function: str) -> None:
        entered.add(function)
        home, _, name = function.rpartition(".")
        tree, room = module(home, core), home.partition(".")[0]
        assert tree is not None
        names = {one.name: f"{home}.{one.name}" for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bakeoff."):
                source = str(node.module).removeprefix("bakeoff.")
                names |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
        way.append(room)

        def read(node: ast.AST) -> None:
            for child in ast.iter_child_nodes(node):
                read(child)
            if isinstance(node, ast.Call):
                first, *rest = ast.unparse(node.func).split(".")
                if first in names and (not rest or (len(rest) == 1 and module(names[first], core))):
                    called = ".".join([names[first], *rest])
                    if called in through - entered:
                        enter(called)
                    else:
                        way.append(called.partition(".")[0])
                    way.append(room)

        (own,) = (one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name)
        for statement in own.body:
            read(statement)

    enter(start)
    return way


def counted(way: list[str]) -> tuple[int, int, int]:
    """Rooms, moves, and moves up."""
    moves = [(one, other) for one, other in pairwise(way) if one != other]
    return len(set(way)), len(moves), sum(STEP[other] > STEP[one] for one, other in moves)


@pytest.mark.parametrize(("through", "most"), [(MAIN_LINE, (12, 20, 8)), (ASSEMBLED, (12, 30, 15))], ids=["line", "assembled"])
def test_a_request_goes_a_short_way(through: set[str], most: tuple[int, int, int]) -> None:
    found = counted(rooms_on_the_way(DOOR, through))
    assert all(one <= limit for one, limit in zip(found, most, strict=True)), found


def test_each_call_of_another_room_counts_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "worker.py").write_text(
        "from bakeoff.files import read\nfrom bakeoff.machine import hardware\nfrom bakeoff.training.job import run\n"
        "def perform_requested(path):\n    own(run(read(path)))\n    hardware.pick()\n    path.read()\n"
        "def own(x):\n    return read(x)\n"
    )
    (tmp_path / "files.py").touch()
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "hardware.py").touch()
    assert counted(rooms_on_the_way(DOOR, {DOOR}, tmp_path)) == (3, 4, 2)
    assert counted(rooms_on_the_way(DOOR, {DOOR, "training.worker.own"}, tmp_path)) == (3, 6, 3)
