"""Makes the draft of an experiment file that `bakeoff init` writes: times some steps of each strategy, and plans runs that end
in the given time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakeoff.cli.data_folders import DataFolders
from bakeoff.cli.inputs import find_paths
from bakeoff.cli.output import print_note
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.task import Paths
from bakeoff.contracts.unit import SHARE
from bakeoff.drafting.draft import Subject, outlook_of
from bakeoff.drafting.experiment_text import Draft, Entry, Plain, experiment_name, experiment_text, written_shares
from bakeoff.drafting.proposal import RunSeconds, Schedule, Sizes, length_for, own_split, schedule, ways
from bakeoff.errors import BakeoffError
from bakeoff.files import temporary_folder
from bakeoff.machine.hardware import BF16_FLAGS, cpu_flags, cpu_info, usable_threads
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.spec.document import Document, parse_document
from bakeoff.text.values import listed
from bakeoff.text.words import did_you_mean

FAST, PLAIN = "fast-loop", "torch-loop"
"""The trainer that is proposed where the model allows it, and the one that trains any model."""
TIMING_SECONDS = 120.0
"""Time limit of the timing, in seconds."""
WIDTH = 10.0
"""Timing ends when the 95 % interval of each strategy's time ratio to the baseline reaches at most so far to either side,
relative to the ratio: so wide that the fewest rounds suffice, which are enough to plan by."""
LONGEST = 128
"""The largest `max_length` that is proposed, in tokens: longer inputs take long."""


# --- a task that is installed --------------------------------------------------------------------------------------------


def known_subject(registry: Registry, name: str, paths: Paths) -> Subject:
    """Loads an installed task, as the subject of a draft. Raises BakeoffError where its data are not available, or its metric
    has no points."""
    from bakeoff.training.assembly import load  # numpy and pyarrow: not for `--help`
    from bakeoff.training.preview import chosen

    part = chosen(registry, "task", name, {}, "--task")
    loaded = load(part.registered.component, part.options_at(paths), paths)
    info, splits = loaded.info, loaded.splits
    counted = {split: len(splits[split]["id"]) for split in info.labelled_splits}
    sizes = Sizes(train=counted["train"], dev=counted.get("dev", 0), test=counted.get("test", 0))
    if not (unit := info.primary.unit).in_points:
        raise BakeoffError(
            f"task '{name}': no margin can be proposed for {info.primary.name}, which is not in points: write the file by hand"
        )
    entries: list[Entry] = [("name", name, "")]
    if not sizes.judged:
        shares = own_split(sizes.train)
        held = {split: round(sizes.train * float(share.rstrip("%")) / 100) for split, share in shares.items()}
        sizes = Sizes(train=sizes.train - sum(held.values()), **held, shares=shares)
        entries.append(("split", Plain(written_shares(sizes)), "of train"))
    train = splits["train"]
    texts = [" ".join(map(str, row)) for row in zip(*(train[column] for column in info.text_columns), strict=True)]
    counts = info.kind.label_counts(train["label"], info.labels) if info.kind.has_labels else {}
    return Subject(
        name=name,
        entries=entries,
        sizes=sizes,
        texts=texts[:: max(1, len(texts) // 5_000)],
        shares=[number / len(texts) for number in counts.values()],
        share=unit == SHARE,
    )


# --- what is proposed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drafting:
    """The inputs of a draft; `make` makes it."""

    registry: Registry
    subject: Subject
    target: Path
    data: DataFolders
    """The folders that `--data` names."""
    model: str | None
    made_from: str

    def make(self, *, timing: bool, minutes: float) -> tuple[Draft, Plan]:
        """The draft and its plan. timing: time some steps of each strategy first. minutes: what all runs may take. Raises
        BakeoffError."""
        first = self.draft(FAST, schedule(self.subject.sizes.train, None, minutes))
        seconds, trainer = None, FAST
        if timing:
            for trainer in (FAST, PLAIN):
                try:
                    seconds = self.timed(replace(first, trainer=trainer))
                    break
                except BakeoffError as error:
                    print_note(f"not timed with {trainer}: {error}")
            else:
                trainer = FAST
        planned = schedule(self.subject.sizes.train, seconds, minutes)
        draft = self.draft(trainer, planned)
        return draft, self.resolved(draft)[1]

    def draft(self, trainer: str, planned: Schedule) -> Draft:
        subject = self.subject
        compared = ways(lora=not self.registry.get("method", "lora").needs)
        found = outlook_of(subject, planned.looks, len(compared))
        model = model_entry(self.registry, self.model, self.target.parent)
        shown = model if isinstance(model, str) else str(model["path"])
        return Draft(
            name=experiment_name(self.target.stem),
            made_from=self.made_from,
            question=f"Which way of fine-tuning {shown} answers {subject.name} best, and at what cost?",
            task=subject.entries,
            model=model,
            trainer=trainer,
            ways=compared,
            length=length_for(subject.texts, most=LONGEST),
            bf16=bool(cpu_info()) and bool(BF16_FLAGS & cpu_flags()),
            schedule=planned,
            report_on=subject.sizes.reported,
            outlook=found,
        )

    def resolved(self, draft: Draft) -> tuple[Document, Plan]:
        document = parse_document(experiment_text(draft), str(self.target))
        return document, resolve(document, self.registry)

    def timed(self, draft: Draft) -> list[RunSeconds]:
        """The measured seconds of a run of each strategy. Raises BakeoffError where a strategy can't be timed."""
        from bakeoff.analysis.timings import run_time  # scipy, and what starts processes
        from bakeoff.cli.progress import make_timing_progress
        from bakeoff.records.store import Store
        from bakeoff.runner.rounds import TimingGoal
        from bakeoff.runner.settings import Settings
        from bakeoff.runner.timing import time_experiment

        document, plan = self.resolved(draft)
        settings = Settings(paths=find_paths(self.data, self.target), threads=usable_threads())
        goal = TimingGoal(within=WIDTH, budget=TIMING_SECONDS)
        with temporary_folder() as folder, stopped_by_signals(), make_timing_progress() as progress:
            store = Store(folder)
            outcome = time_experiment(document, plan, self.target, store, settings=settings, goal=goal, progress=progress)
        if outcome.failed:
            (_, name), reason = next(iter(outcome.failed.items()))
            raise BakeoffError(f"{name}: {reason}")
        found = []
        for timing in outcome.timings:
            for one in timing.timed:
                taken = run_time(timing, one)
                known = sorted(seconds for seconds in one.step_seconds if seconds is not None)
                if taken is None or not known:
                    raise BakeoffError(f"{listed(one.strategies)}: no step was timed")
                step = known[len(known) // 2]
                found.append(RunSeconds(step=step, fixed=max(0.0, taken.total.seconds - step * one.steps)))
        return found


def model_entry(registry: Registry, name: str | None, beside: Path) -> Any:
    """The entry of `models` in an experiment file that lies in the folder `beside`. name: an installed model, a hub id or a
    folder; None for the first installed model that needs no option. Raises BakeoffError where there is no such model, or it
    lacks a library."""
    from bakeoff.training.preview import chosen

    names = registry.names("model")
    if name is None:
        options = {one: registry.get("model", one).component.Options.model_fields.values() for one in names}
        usable = [one for one in names if not any(field.is_required() for field in options[one])]
        if not usable:
            raise BakeoffError("no model is installed that needs no option: name one with --model")
        return chosen(registry, "model", usable[0], {}, "--model").name  # or what to install: not the next one, untrained
    if name in names:
        return name
    folder = Path(name).resolve()
    if folder.is_dir():
        inside = folder.is_relative_to(beside.resolve())
        return {"name": "hub", "path": f"./{folder.relative_to(beside.resolve())}" if inside else str(folder)}
    if "/" not in name:
        raise BakeoffError(
            f"--model: {did_you_mean('model', name, names)} (a hub id has its owner: google-bert/bert-base-uncased)"
        )
    return {"name": "hub", "path": name}
