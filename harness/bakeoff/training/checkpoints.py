"""Checkpoints of a training: tensors, facts (everything else, as JSON), and a manifest of checksums, which is written last.

Nothing is pickled. A checkpoint without a manifest, or with a checksum that does not match, is not used.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bakeoff.contracts.fields import first_flaw
from bakeoff.errors import PluginError, RunError, StoreError
from bakeoff.files import Tree, temporary_name
from bakeoff.machine.faults import raise_machine_error, writing
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.machine.json_reader import read_json
from bakeoff.machine.processes import left_by_the_dead
from bakeoff.records import provenance
from bakeoff.records.provenance import MACHINE, MADE_FROM
from bakeoff.records.record_files import sealed
from bakeoff.records.schema import UNSEALED
from bakeoff.records.training_state import (
    AVERAGES,
    BESIDE_THE_MODEL,
    FACTS,
    MANIFEST,
    MOST_OF_A_MANIFEST,
    MOST_OF_THE_FACTS,
    STATES_OF_A_MODEL,
    TENSORS,
    Due,
    Manifest,
    is_plain,
    parameter_states,
    parse_state,
    require_fit,
    require_scheduler,
)
from bakeoff.text.words import escaped, shown_path
from bakeoff.training.data import trained_state
from bakeoff.training.fed_batches import StepSchedule

LONGEST_REASON = 300
"""The longest reason in a message, in characters."""
KEPT = 2
"""How many checkpoints are kept: the newest, and the one before it in case the newest is damaged."""

Tensors = dict[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read from the folder `place`: the state of a training after `steps` steps."""

    steps: int
    tensors: Tensors
    facts: Facts
    place: Path

    def damaged(self, why: object) -> RunError:
        """The error for a checkpoint that can't be used. why: begins with the name of a file in the folder."""
        return RunError(
            "error",
            f"checkpoint {shown_path(self.place)} is damaged: {escaped(why)[:LONGEST_REASON]}; remove this folder: the run "
            "then continues from the previous checkpoint, or starts over",
        )


class Checkpoints:
    """The checkpoints of one run, one every `every` steps, in a folder of their own."""

    def __init__(
        self, folder: Path, every: int, *, made_by: provenance.Facts, note: Callable[[str], None] = lambda line: None
    ) -> None:
        """made_by: what a state depends on besides the run: data, model, software and hardware. A checkpoint for which these
        differ is kept but not used. note: called with a sentence that says why."""
        self.folder, self.every, self.made_by, self.note = folder, every, made_by, note
        self.tree = Tree(folder.parent)
        self.unfit: set[Path] = set()

    def save(self, steps: int, tensors: Tensors, facts: Facts) -> None:
        """Writes a checkpoint under a temporary name, renames it, and removes all but the newest two. Raises MachineError if
        there is no space; the earlier checkpoints then stay."""
        from safetensors.torch import save_file

        copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        plain = json.dumps({"made_by": provenance.as_plain(self.made_by), **facts}).encode()
        place = self.folder / f"step-{steps:09d}"
        fresh = self.folder / temporary_name(place.name)
        try:
            with writing(self.folder, size=sum(tensor.nbytes for tensor in copies.values()) + len(plain)):
                self.tree.make_fresh(fresh)
                save_file(copies, fresh / TENSORS)
                self.tree.write(fresh / FACTS, plain)
                self.tree.sync(fresh)
                manifest = {"steps": steps, "files": {name: sha256_of(fresh / name) for name in (TENSORS, FACTS)}}
                self.tree.write(fresh / MANIFEST, sealed(json.dumps({**manifest, "seal": UNSEALED}).encode(), UNSEALED))
                self._put(fresh, place)
        finally:
            self.tree.remove_folder(fresh)
        self.unfit.discard(place)
        for old in [place for place in self.places() if place not in self.unfit][:-KEPT]:
            self.tree.remove_folder(old)

    def _put(self, fresh: Path, place: Path) -> None:
        """Renames the new checkpoint into place. If this process was suspended and lost its claim, another may perform the
        same run and write the same checkpoint."""
        self.tree.remove_folder(place)
        try:
            self.tree.move(fresh, place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        self.tree.sync(self.folder, inside=False)

    def newest(self, check: Callable[[Saved], None] = lambda saved: None, *, most_bytes: int = 2**40) -> Saved | None:
        """The newest undamaged checkpoint of the same data, model, software and hardware; None if there is none.

        check: raises ValueError for a checkpoint that does not fit the run. most_bytes: the largest size of its tensors. A
        checkpoint that is damaged or does not fit is kept but not used, and reported.
        """
        for left, _ in left_by_the_dead(self.folder):  # by a process that was killed while writing
            self.tree.remove_folder(left)
        for place in reversed(self.places()):
            try:
                saved = self.read(place, most_bytes=most_bytes)
                made_by = provenance.from_plain(saved.facts.pop("made_by", None))
                others = provenance.differences(self.made_by, made_by, MADE_FROM | MACHINE | {"bakeoff"})
                if not others:
                    check(saved)
                    return saved
                why = f"not used, since these have changed: {', '.join(found.what for found in others)}"
            except (OSError, StoreError, ValueError, TypeError) as error:
                raise_machine_error(error, [self.folder])  # where the disk can't read it, it may be undamaged
                reason = error.strerror or error if isinstance(error, OSError) else error
                why = f"damaged ({escaped(' '.join(str(reason).split())[:LONGEST_REASON])}); the one before it is used"
            self.unfit.add(place)
            self.note(f"checkpoint {shown_path(place)} is {why}")
        return None

    def read(self, place: Path, *, most_bytes: int = 2**40) -> Saved:
        """Reads a checkpoint. Raises OSError, StoreError or ValueError for one that is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        content = self.tree.read(place / MANIFEST, at_most=MOST_OF_A_MANIFEST)
        manifest = manifest_of(content)
        if f"step-{manifest.steps:09d}" != place.name:
            raise ValueError(f"{MANIFEST} says step {manifest.steps}, unlike the folder's name")
        facts = self.tree.read(place / FACTS, at_most=MOST_OF_THE_FACTS)
        state = self.tree.read(place / TENSORS, at_most=most_bytes)
        for name, found in ((TENSORS, state), (FACTS, facts)):
            if hashlib.sha256(found).hexdigest() != manifest.files.get(name):
                raise ValueError(f"{name} does not match its checksum in {MANIFEST}")
        plain = read_json(facts)
        if not isinstance(plain, dict):
            raise ValueError(f"{FACTS} is not a JSON object")
        try:
            return Saved(manifest.steps, load(state), plain, place)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"{TENSORS}: {error}") from None

    def places(self) -> list[Path]:
        """The checkpoints' folders, oldest first; symbolic links are not followed."""
        return sorted(place for place in self.folder.glob("step-*") if place.is_dir() and not place.is_symlink())


class Checkpointing:
    """Saves and restores the checkpoints of a training; does nothing in a run without checkpoints."""

    def __init__(self, checkpoints: Checkpoints | None, model: Any, schedule: StepSchedule, *, own_order: bool) -> None:
        """Loads the weights of the newest suitable checkpoint into the model. own_order: the trainer decides the order of
        rows itself."""
        self.checkpoints, self.model, self.schedule, self.own_order = checkpoints, model, schedule, own_order
        self.beside: Callable[[], tuple[Tensors, Facts]] = lambda: ({}, {})
        """Returns further tensors and facts to save, beside those of the training itself."""
        self.saved = self._newest(checkpoints) if checkpoints else None
        """The checkpoint that the training continues from; None once all of it has been restored."""
        self.connected: tuple[Any, Any, Callable[[], None]] | None = None
        if self.saved is not None:
            prefix, tensors = "model/", self.saved.tensors
            weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            model.load_state_dict(weights, strict=False)

    def due(self, steps: int) -> bool:
        return self.checkpoints is not None and steps % self.checkpoints.every == 0

    def resume(self, optimizer: Any, scheduler: Any, before_saving: Callable[[], None]) -> bool:
        """Restores optimizer and scheduler, and includes them in later checkpoints. Returns whether there was a state to
        restore."""
        self.connected = optimizer, scheduler, before_saving
        if self.saved is None:
            return False
        restore_optimizer(optimizer, scheduler, self.saved)
        self.saved = None
        return True

    def make(self, losses: list[Any], facts: Facts, trainer: str) -> None:
        """Saves a checkpoint. losses: those of all steps so far, a tensor each. facts: what else the job needs to continue.
        trainer: its name in messages. Raises PluginError if the trainer did not call `job.resume`."""
        import torch

        assert self.checkpoints is not None
        if self.connected is None:
            raise PluginError(
                f"{trainer} did not pass its optimizer to `job.resume`, which `checkpoint_every` requires: "
                "call `job.resume(optimizer, scheduler)` once, before the first step"
            )
        optimizer, scheduler, before_saving = self.connected
        before_saving()
        tensors = {f"model/{name}": tensor for name, tensor in trained_state(self.model).items()}
        tensors["losses"] = torch.stack([loss.reshape(()) for loss in losses])
        optimizer_tensors, optimizer_facts = optimizer_state(optimizer, scheduler)
        other_tensors, others = self.beside()
        plain = parse_state(facts | optimizer_facts | {"others": others}).model_dump(mode="json")
        self.checkpoints.save(len(losses), tensors | optimizer_tensors | other_tensors, plain)

    def _newest(self, checkpoints: Checkpoints) -> Saved | None:
        """The newest checkpoint that fits this run and its model."""
        weights, schedule = trained_state(self.model), self.schedule

        def check(saved: Saved) -> None:
            state, given = parse_state(saved.facts), None
            if not self.own_order:
                given = [part.rows for parts in schedule.steps(min(saved.steps, schedule.total_steps)) for part in parts]
            require_fit(saved.steps, state, saved.tensors, Due(schedule.total_steps, schedule.steps_per_epoch, given, weights))
            saved.facts.update(state.model_dump())

        size = sum(tensor.nbytes for tensor in weights.values())
        return checkpoints.newest(check, most_bytes=STATES_OF_A_MODEL * size + BESIDE_THE_MODEL)


# --- the state of torch's optimizers and schedulers ----------------------------------------------------------------------


def optimizer_state(optimizer: Any, scheduler: Any) -> tuple[Tensors, Facts]:
    """The state of an optimizer and its scheduler, as `restore_optimizer` needs it: (tensors, JSON values)."""
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
    schedule = {name: value for name, value in scheduler.state_dict().items() if is_plain(value)}
    return tensors, {"optimizer": numbers, "scheduler": schedule}


def manifest_of(content: bytes) -> Manifest:
    """Parses a manifest. Raises ValueError if it is invalid, or does not match its own checksum."""
    plain = read_json(content)
    if isinstance(plain, dict) and "seal" not in plain:
        raise ValueError(f"{MANIFEST} has no checksum of its own: an older bakeoff wrote it")
    try:
        manifest = Manifest.model_validate(plain, strict=True)
    except ValidationError as error:
        raise ValueError(f"{MANIFEST}: {first_flaw(error)}") from None
    if sealed(content, manifest.seal) != content:
        raise ValueError(f"{MANIFEST} was altered: it does not match its own checksum")
    return manifest


def restore_optimizer(optimizer: Any, scheduler: Any, saved: Saved) -> None:
    """Restores what `optimizer_state` returned; learning rates come from the scheduler. Raises RunError if it does not fit."""
    whole = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    try:
        averages = AVERAGES if type(optimizer).__module__.startswith("torch.optim") else ()
        state = parameter_states(saved.facts["optimizer"], saved.tensors, parameters, averages)
        require_scheduler(saved.facts["scheduler"], scheduler.state_dict())
    except ValueError as error:
        raise saved.damaged(error) from None
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    scheduler.load_state_dict(scheduler.state_dict() | saved.facts["scheduler"])
    for group, rate in zip(optimizer.param_groups, saved.facts["scheduler"]["_last_lr"], strict=True):
        group["lr"] = rate
