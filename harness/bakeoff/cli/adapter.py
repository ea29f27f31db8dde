"""The adapter of a user's own training script: an experiment file in which the script is a strategy. Where the script has no
options for the files of rows and the file of its answers, also a bridge: a short script that has them, and calls the training.

The user's script is read, never run.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import Tree, read_regular
from bakeoff.text.words import shown_path

LARGEST: Final = 10_000_000
"""The largest script that is read, in bytes."""
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("train", "train_file", "train_path", "train_data"),
    "dev": ("dev", "dev_file", "validation", "validation_file", "eval_file"),
    "predict": ("predict", "predict_file", "test", "test_file"),
    "predictions": ("predictions", "predictions_file", "out", "output", "output_file"),
}
"""Placeholder for a file in the command that runs a script -> usual names of the script's option for that file."""
NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "seed": ("seed", "random_seed"),
    "learning_rate": ("learning_rate", "lr"),
    "epochs": ("epochs", "num_epochs", "num_train_epochs"),
    "batch_size": ("batch_size", "train_batch_size"),
    "max_length": ("max_length", "max_seq_length"),
    "weight_decay": ("weight_decay",),
}
"""Placeholder for a number in that command -> usual names of the script's option for that number."""
NEEDED: Final = ("train", "predict", "predictions")
"""The placeholders for which a script must have options: without them it gets a bridge."""


@dataclass(frozen=True)
class Script:
    """A training script: what its source tells without running it."""

    path: Path
    options: Mapping[str, str]
    """Placeholder -> the script's option for it: `learning_rate` -> `--lr`."""
    beside: tuple[str, ...]
    """Files and folders in the script's own folder that it imports."""

    @property
    def is_ready(self) -> bool:
        """Whether the script has options for the files of rows and the file of its answers, so that it needs no bridge."""
        return all(name in self.options for name in NEEDED)


def read_script(path: Path) -> Script:
    """Reads a script without running it. Raises BakeoffError if it can't be read, or is not a Python script."""
    if path.suffix != ".py":
        raise BakeoffError(
            f"{shown_path(path)}: expected a Python script, such as train.py; for another program, write an experiment file "
            "whose strategy has it under `run`"
        )
    try:
        tree = ast.parse(read_regular(path, at_most=LARGEST))
    except OSError as error:
        raise BakeoffError(f"{shown_path(path)}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise BakeoffError(f"{shown_path(path)}{f':{line}' if line else ''}: it is no valid Python: {error}") from None
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = {word.removeprefix("--").replace("-", "_"): word for word in sorted(words) if re.fullmatch(r"--[a-z][\w-]*", word)}
    usual = {**FILES, **NUMBERS}
    options = {name: named[found] for name, known in usual.items() for found in known[::-1] if found in named}
    return Script(path, options, tuple(dict.fromkeys(_imported(tree, path.parent))))


def _imported(tree: ast.Module, folder: Path) -> Iterator[str]:
    """Yields the modules in `folder` that a script imports: `name.py`, or `name/` for a package."""
    for node in ast.walk(tree):
        modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for top in (module.partition(".")[0] for module in modules):
            if (folder / f"{top}.py").is_file():
                yield f"{top}.py"
            elif (folder / top).is_dir():
                yield f"{top}/"


def adapter_of(script: Script) -> dict[str, str]:
    """The files to write beside the script, name -> content: the experiment file, then the bridge if one is needed."""
    stem = script.path.stem
    bridge, experiment = f"{stem}_bakeoff.py", f"{stem}_bakeoff.yaml"
    options = script.options if script.is_ready else {name: f"--{name.replace('_', '-')}" for name in (*NEEDED, "seed")}
    called = script.path.name if script.is_ready else bridge
    words = ["python", called, *(word for name, option in options.items() for word in (option, f"{{{name}}}"))]
    code = [*([] if script.is_ready else [bridge]), script.path.name, *script.beside]
    values = {
        "script": script.path.name,
        "module": stem,
        "bridge": bridge,
        "experiment": experiment,
        "name": "-".join(re.findall(r"[A-Za-z0-9]+", stem)) or "script",
        "run": json.dumps(words),
        "code": json.dumps(code),
        "claims": json.dumps([name for name in options if name in NUMBERS and name != "seed"]),
    }
    written = {experiment: "adapter.yaml"} | ({} if script.is_ready else {bridge: "adapter.py"})
    templates = files("bakeoff.cli") / "templates"
    return {
        name: Template((templates / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)
        for name, template in written.items()
    }


def write_beside(script: Script, contents: Mapping[str, str]) -> list[Path]:
    """Writes files (name -> content) beside the script, all or none; returns their paths. Raises StoreError if a file exists
    already, or can't be written."""
    tree, written = Tree(script.path.parent), list[Path]()
    try:
        for name, text in contents.items():
            tree.create(script.path.parent / name, text.encode())
            written.append(script.path.parent / name)
    except OSError as error:
        for path in written:
            tree.remove(path)
        there = isinstance(error, FileExistsError)
        why = (
            "is there already, and is not overwritten: remove or rename it" if there else f"cannot be written: {error.strerror}"
        )
        raise StoreError(f"{shown_path(error.filename or script.path.parent)} {why}") from None
    return written
