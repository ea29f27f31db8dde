"""The state of a training in the middle, on disk: tensors, facts, and a manifest of checksums that is written last.

Nothing in it is pickled. A checkpoint without a manifest, or one whose files are not what its manifest says, is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.errors import StoreError, shown_path
from bakeoff.files import Tree
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.records import provenance
from bakeoff.records.provenance import MACHINE, MADE_FROM

TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"
KEPT = 2
"""The newest one, and the one before it, should the newest be damaged."""

Tensors = dict[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """A state that was read back: after so many steps."""

    steps: int
    tensors: Tensors
    facts: Facts


class Checkpoints:
    """Of one run, in a folder of its own; one every so many steps."""

    def __init__(
        self, folder: Path, every: int, *, made_by: provenance.Facts, note: Callable[[str], None] = lambda line: None
    ) -> None:
        """`made_by` says what a state depends on beside the run: data, model, software, hardware. A checkpoint that was made by
        others is left alone, with a note."""
        self.folder, self.every, self.made_by, self.note = folder, every, made_by, note
        self.tree = Tree(folder.parent)
        self.unfit: set[Path] = set()

    def due(self, steps: int) -> bool:
        return steps % self.every == 0

    def save(self, steps: int, tensors: Tensors, facts: Facts) -> None:
        """A new one, whole before it has a manifest; the oldest beyond two go."""
        from safetensors.torch import save_file

        place = self.folder / f"step-{steps:09d}"
        self.tree.remove_folder(place)
        self.tree.make_fresh(place)
        copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        save_file(copies, place / TENSORS)
        self.tree.write(place / FACTS, json.dumps({"made_by": provenance.as_plain(self.made_by), **facts}).encode())
        self.tree.sync(place)
        manifest = {"steps": steps, "files": {name: sha256_of(place / name) for name in (TENSORS, FACTS)}}
        self.tree.write(place / MANIFEST, json.dumps(manifest).encode())
        self.unfit.discard(place)
        for old in [place for place in self.places() if place not in self.unfit][:-KEPT]:
            self.tree.remove_folder(old)

    def newest(self) -> Saved | None:
        """The newest whole one that was made from the same data and model, by the same software on the same hardware."""
        for place in reversed(self.places()):
            try:
                saved = self.read(place)
                made_by = provenance.from_plain(saved.facts["made_by"])
            except (OSError, StoreError, ValueError, KeyError, TypeError) as error:
                self.note(f"checkpoint {shown_path(place)} is damaged ({error}); the one before it is taken")
                continue
            others = provenance.differences(self.made_by, made_by, MADE_FROM | MACHINE | {"bakeoff"})
            if not others:
                return saved
            self.unfit.add(place)
            changed = ", ".join(found.what for found in others)
            self.note(f"checkpoint {shown_path(place)} is not used, for these are others now: {changed}")
        return None

    def read(self, place: Path) -> Saved:
        """Raises OSError, StoreError, ValueError, KeyError or TypeError for one that is not whole."""
        from safetensors.torch import load

        manifest = json.loads(self.tree.read(place / MANIFEST))
        contents = {name: self.tree.read(place / name) for name in (TENSORS, FACTS)}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
                raise ValueError(f"{name} is not what the manifest says")
        return Saved(int(manifest["steps"]), load(contents[TENSORS]), json.loads(contents[FACTS]))

    def places(self) -> list[Path]:
        """Oldest first; symbolic links are not followed."""
        return sorted(place for place in self.folder.glob("step-*") if place.is_dir() and not place.is_symlink())


# --- the state of torch's optimizers and schedulers ----------------------------------------------------------------------


def optimizer_state(optimizer: Any, scheduler: Any) -> tuple[Tensors, Facts]:
    """What `restore_optimizer` needs, tensors apart from numbers."""
    import torch

    state = optimizer.state_dict()
    tensors: Tensors = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{index}/{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    schedule = {name: value for name, value in scheduler.state_dict().items() if _is_plain(value)}
    return tensors, {"optimizer": numbers, "scheduler": schedule}


def restore_optimizer(optimizer: Any, scheduler: Any, saved: Saved) -> None:
    """The state of `optimizer_state` put back; learning rates are the scheduler's."""
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in saved.facts["optimizer"].items()}
    for name, tensor in saved.tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    scheduler.load_state_dict(scheduler.state_dict() | saved.facts["scheduler"])
    for group, rate in zip(optimizer.param_groups, saved.facts["scheduler"]["_last_lr"], strict=True):
        group["lr"] = rate


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)
