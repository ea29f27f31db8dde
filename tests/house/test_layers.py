"""The rules of the house, held by reading the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "harness" / "bakeoff"

STEPS = [
    "errors text version files",
    "machine",
    "contracts",
    "kinds",
    "spec records toolkit statistics",
    "drafting planning training analysis plugin",
    "runner report parity",
    "cli testing",
    "api __main__ worker",
]
"""Each room (a package, or a module beside the packages) imports only rooms of the steps before its own. The ground, the first
step, is the exception: its modules may import each other. `bakeoff/__init__` imports only the version and `bakeoff.api`."""
MOST_FLOORS, MOST_MODULES = 8, 8

HEAVY = {"torch", "transformers", "datasets", "evaluate", "accelerate", "peft"}


def modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module, line, whether at the top level) of every import, those under TYPE_CHECKING left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, id(node) in top


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    return module.split(".")[1]


def arrows() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, wherever the import stands."""
    names = {name_of(path) for path in modules()}
    found: dict[str, set[str]] = {}
    for path in modules():
        wanted = {name if name in names else name.rpartition(".")[0] for name, _, _ in imports(path)} & names
        found[name_of(path)] = wanted - {name_of(path), "bakeoff"}
    return found


def test_each_room_imports_only_rooms_of_earlier_steps() -> None:
    step = {room: number for number, rooms in enumerate(STEPS) for room in rooms.split()}
    wrong = []
    for module, wanted in arrows().items():
        if module == "bakeoff":
            assert wanted == {"bakeoff.version", "bakeoff.api"}
            continue
        assert room_of(module) in step, f"{module} is in no room of STEPS: give it a place in {Path(__file__).name}"
        for other in wanted:
            own, below = room_of(module), room_of(other)
            if own != below and step[below] >= max(step[own], 1):
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_circle_of_imports() -> None:
    found = arrows()
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above[above.index(module) :], module))
        if module not in done:
            for other in found[module]:
                visit(other, (*above, module))
            done.add(module)

    for module in found:
        visit(module, ())


def test_the_house_is_low_and_its_hall_is_small() -> None:
    ground = set(STEPS[0].split())
    rooms: dict[str, set[str]] = {}
    for module, wanted in arrows().items():
        if module != "bakeoff":
            rooms.setdefault(room_of(module), set()).update(room_of(other) for other in wanted)

    def floor(room: str) -> int:
        return 0 if room in ground else 1 + max((floor(below) for below in rooms[room] - {room}), default=0)

    assert max(map(floor, rooms)) <= MOST_FLOORS
    beside = [path.stem for path in CORE.glob("*.py")]
    assert len(beside) <= MOST_MODULES, beside


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_what_trains_only_inside_functions(path: Path) -> None:
    if path.name == "preload.py":  # its only reason to be
        return
    heavy = [f"{path.name}:{line} {name}" for name, line, top in imports(path) if top and name.split(".")[0] in HEAVY]
    assert not heavy, f"imported at start-up: {heavy}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_names_no_plugin(path: Path) -> None:
    packages = {folder.name for shelf in ("plugins", "tasks") for folder in (ROOT / shelf).iterdir()}
    assert not [name for name, _, _ in imports(path) if name.split(".")[0] in packages]


@pytest.mark.parametrize(
    "path",
    [path for shelf in ("plugins", "tasks") for path in sorted((ROOT / shelf).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_plugins_know_one_door(path: Path) -> None:
    own = path.relative_to(ROOT).parts[1]
    for name, line, _ in imports(path):
        package = name.split(".")[0]
        if package == "bakeoff":
            assert name.startswith("bakeoff.plugin."), f"{path.name}:{line} imports {name}; plugins import only bakeoff.plugin"
        else:
            assert package == own or not package.startswith("bakeoff_"), f"{path.name}:{line} imports another plugin, {name}"


WRITERS = {"print", "click.echo", "click.secho", "click.echo_via_pager", "pprint", "input", "click.prompt", "click.confirm"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
DRAWS = {"cli/progress.py": "as_it_is", "cli/output.py": "StringIO"}
"""Rich consoles, and what they write to: a stream that `machine.streams` gives, or text."""
TO_ITS_PARENT = "testing/contract.py"
"""Its standard output is a pipe to the process that asked."""


def printing(path: Path) -> Iterator[str]:
    """Each place that prints by another way than `machine.streams.write_line` and what is made of it."""
    own = str(path.relative_to(CORE)) if path.is_relative_to(CORE) else path.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, method = called.rpartition(".")
        prints = called in WRITERS and own != TO_ITS_PARENT
        writes = owner.removesuffix(".buffer") in STREAMS and method in ("write", "writelines")
        draws = method == "Console" or called == "Console"
        if prints or writes or (draws and DRAWS.get(own, "nothing") not in ast.unparse(node)):
            yield f"{own}:{node.lineno} {called}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_one_door_leads_to_the_terminal(path: Path) -> None:
    assert list(printing(path)) == [], "use bakeoff.cli.output, or write_line of bakeoff.machine.streams"


def test_another_door_is_found(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    lines = ("print(1)", "click.echo(1)", "sys.stderr.write('')", "sys.stdout.buffer.write(b'')", "rich.console.Console()")
    file.write_text("\n".join(lines))
    assert len(list(printing(file))) == len(lines)


def test_discovery_loads_nothing_that_trains() -> None:
    code = (
        "import sys; from bakeoff.contracts.registry import load_registry; registry = load_registry(); "
        "assert len(registry.all()) >= 8, registry.all(); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_shelves_hold_packages_and_no_modules_of_their_own() -> None:
    for shelf in ("harness", "plugins", "tasks"):
        assert not list((ROOT / shelf).glob("*.py")), f"{shelf}/ would become importable under a generic name"


def test_every_package_on_a_shelf_is_in_the_wheel() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    there = {
        str(path.parent.relative_to(ROOT))
        for shelf in ("harness", "plugins", "tasks")
        for path in (ROOT / shelf).glob("*/__init__.py")
    }
    assert packed == there
