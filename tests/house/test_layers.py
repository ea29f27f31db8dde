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

LAYERS = [
    {"errors", "json_reader"},
    {"tree", "spelling", "allowance", "files", "contracts"},
    {"spec", "hub", "machine", "record"},
    {"recorded", "components", "document"},
    {
        "anatomy",
        "arrows",
        "carving",
        "hardware",
        "hookspecs",
        "metrics",
        "optimization",
        "parameters",
        "ranks",
        "records",
        "schema",
        "toolkit",
    },
    {"compare", "encoders"},
    {"plugin", "registry", "report", "data", "checkpoint", "planning"},
    {"plan", "meter", "flops", "loss_scale"},
    {"job", "request", "preparation", "encoding", "remarks", "resolution"},
    {"outcome", "selection", "search", "evaluation", "extremes", "runner"},
    {"sharing", "model_checks", "training"},
    {"worker"},
    {"rehearsal", "parity", "store", "look"},
    {"supervision", "estimate", "load"},
    {"readiness", "control", "frames", "crew"},
    {"run", "testing"},
    {"cli"},
    {"__main__"},
]
"""Each module imports only from layers before its own. `bakeoff/__init__` and `preload` import nothing of ours: the functions
that the package gives, it imports when they are called.
"""

HEAVY = {"torch", "transformers", "datasets", "evaluate", "accelerate", "peft"}


def modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def layer_of(name: str) -> int | None:
    """The layer of `bakeoff.NAME`, by its first part; None for the package itself."""
    return next((number for number, layer in enumerate(LAYERS) if name in layer), None)


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
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "bakeoff" else [node.module]
            for name in names:
                yield name, node.lineno, id(node) in top


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_each_module_imports_only_from_layers_below(path: Path) -> None:
    own = path.relative_to(CORE).parts[0].removesuffix(".py")
    if own in {"__init__", "preload"}:
        assert not [name for name, _, _ in imports(path) if name.startswith("bakeoff.")]
        return
    layer = layer_of(own)
    assert layer is not None, f"{own} stands in no layer: add it to LAYERS in {Path(__file__).name}"
    for name, line, _ in imports(path):
        if not name.startswith("bakeoff."):
            continue
        other = name.split(".")[1]
        if other in {own, "__version__", "preload"}:
            continue
        below = layer_of(other)
        assert below is not None, f"{path.name}:{line} imports bakeoff.{other}, which stands in no layer"
        assert below < layer, f"{path.name}:{line} (layer {layer}) imports bakeoff.{other} (layer {below}): only lower ones"


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
            assert name == "bakeoff.plugin", f"{path.name}:{line} imports {name}; plugins import only bakeoff.plugin"
        else:
            assert package == own or not package.startswith("bakeoff_"), f"{path.name}:{line} imports another plugin, {name}"


WRITERS = {"print", "click.echo", "click.secho", "click.echo_via_pager", "pprint", "input", "click.prompt", "click.confirm"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
DRAWS = "cli/progress.py"
"""Has a rich console, on a stream that `machine.streams` gives it."""
TO_ITS_PARENT = "testing/child.py"
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
        if prints or writes or (draws and (own != DRAWS or "as_it_is" not in ast.unparse(node))):
            yield f"{own}:{node.lineno} {called}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_one_door_leads_to_the_terminal(path: Path) -> None:
    assert list(printing(path)) == [], "use bakeoff.cli.saying, or write_line of bakeoff.machine.streams"


def test_another_door_is_found(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    lines = ("print(1)", "click.echo(1)", "sys.stderr.write('')", "sys.stdout.buffer.write(b'')", "rich.console.Console()")
    file.write_text("\n".join(lines))
    assert len(list(printing(file))) == len(lines)


def test_discovery_loads_nothing_that_trains() -> None:
    code = (
        "import sys; from bakeoff.registry import load_registry; registry = load_registry(); "
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
