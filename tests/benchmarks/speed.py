"""How long a training step takes, by each loop: same model, same batches, one process, in turns.

    cd tests && ../.venv/bin/python -m benchmarks.speed ../results/speed

writes `measurements.json`, every step's milliseconds, and what `render` makes of it: `table.md` and `table.csv`. Nothing
else may run on the machine meanwhile. It needs the official MRPC files (BAKEOFF_DATA). With `cuda` after the folder it
measures there: two settings, in two turns of 116 steps, each turn's mean, since in between the device is waited for only where
a loss is looked at (the harness does, twice a second). What fast-loop records, it records anew in every turn, which a run does
once in its 1,377 steps.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.records.provenance import environment

ROOT = Path(__file__).parents[2]
COURSE, PADDED = "course loop", "hf-trainer, padded to 128"
STEPS = {"cpu": 9, "cuda": 116}
"""Steps of a turn; the first one is thrown away."""


@dataclass(frozen=True)
class Setting:
    """One model at one batch size."""

    name: str
    model: str
    batch_size: int
    rounds: int
    contenders: tuple[str, ...]


TRAINERS = {
    PADDED: ("hf-trainer", {"padding": "max_length"}),
    "hf-trainer": ("hf-trainer", {}),
    "torch-loop": ("torch-loop", {}),
    "torch-loop bf16": ("torch-loop", {"precision": "bf16"}),
    "fast-loop": ("fast-loop", {}),
    "fast-loop bf16": ("fast-loop", {"precision": "bf16"}),
    "fast-loop, not clipping": ("fast-loop", {"max_grad_norm": None}),
    "fast-loop bf16, not clipping": ("fast-loop", {"precision": "bf16", "max_grad_norm": None}),
}
"""The course's loop does not clip gradients; run_glue.py's Trainer does, and so do all that are not said not to."""
SETTINGS = (
    Setting("minilm, batch 8", "minilm", 8, 32, (COURSE, *TRAINERS)),
    Setting("minilm, batch 32", "minilm", 32, 3, (COURSE, *TRAINERS)),
    Setting("12 layers of 768, batch 8", "base", 8, 2, (COURSE, PADDED, "torch-loop", "fast-loop", "fast-loop bf16")),
)
ON_CUDA = ("minilm, batch 8", "12 layers of 768, batch 8")
COMMANDS = {"cpu": "make speed", "cuda": "make speed-cuda"}
TARGETS = (
    ("fast-loop bf16, not clipping", COURSE, 3.0, 4.0),
    ("fast-loop, not clipping", COURSE, 1.8, None),
    ("fast-loop bf16", PADDED, 5.0, 6.5),
)
"""For minilm at batch 8: contender, against which of the same updates, times as fast as it must be, and the goal beyond."""


# --- what is measured ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """MRPC's training split, encoded by MiniLM's tokenizer, and fresh models of one kind."""

    prepared: Any
    padded: Any
    encoded: list[Any]
    labels: list[int]
    build: Callable[[], Any]


def material(model: str) -> Material:
    """Raises what the task raises where the official files are not there."""
    from bakeoff.cli.inputs import find_paths
    from bakeoff.contracts.model import Encoding
    from bakeoff.contracts.registry import load_registry
    from bakeoff.plugin import Options
    from bakeoff_minilm import MiniLM

    task = load_registry().get("task", "glue/mrpc").component
    info = task.info(task.Options())
    rows = task.load(task.Options(), find_paths(None))["train"].to_dict()
    minilm = MiniLM()
    prepared, padded = (minilm.prepare(info, Options(), Encoding(128, padding)) for padding in ("longest", "max_length"))

    def build() -> Any:
        import torch

        torch.manual_seed(0)
        if model == "minilm":
            return minilm.build(info, Options()).model
        from transformers import BertConfig, BertForSequenceClassification

        return BertForSequenceClassification(BertConfig(num_labels=2))  # its defaults are bert-base's shape

    return Material(prepared, padded, prepared.encode(rows), rows["label"], build)


class CourseLoop:
    """The manual loop of the Hugging Face course, chapter 3, its parts and defaults: AdamW not fused, no clipping."""

    def __init__(self, given: Material, batch_size: int, device: Any) -> None:
        from torch.optim import AdamW
        from transformers import DataCollatorWithPadding, get_scheduler

        self.given, self.batch_size, self.device, self.model = given, batch_size, device, given.build().to(device)
        self.dataset = [{**row, "labels": label} for row, label in zip(given.encoded, given.labels, strict=True)]
        self.collate = DataCollatorWithPadding(given.prepared.tokenizer)
        self.optimizer = AdamW(self.model.parameters(), lr=5e-5)
        self.scheduler = get_scheduler("linear", optimizer=self.optimizer, num_warmup_steps=0, num_training_steps=1377)

    def turn(self, batches: Sequence[Sequence[int]]) -> list[float]:
        """Seconds of each step on these batches."""
        from torch.utils.data import DataLoader

        from bakeoff.machine.hardware import synchronize

        self.model.train()
        ends = [time.perf_counter()]
        for batch in DataLoader(self.dataset, batch_sampler=batches, collate_fn=self.collate):
            outputs = self.model(**{name: tensor.to(self.device) for name, tensor in batch.items()})
            outputs.loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
            if len(ends) in {1, len(batches)}:
                synchronize(self.device)
            ends.append(time.perf_counter())
        return [end - start for start, end in itertools.pairwise(ends)]


class TrainerLoop:
    """One of our trainers under its job; its preparation is not among the steps."""

    def __init__(self, given: Material, batch_size: int, device: Any, name: str) -> None:
        from bakeoff.contracts.model import Built
        from bakeoff.contracts.registry import load_registry
        from bakeoff.plugin import Options, Recipe

        kind, changes = TRAINERS[name]
        self.given, self.device = given, device
        self.trainer = load_registry().get("trainer", kind).component
        self.recipe = Recipe(batch_size=batch_size, max_steps=STEPS[device.type], **changes)
        self.prepared = given.padded if self.recipe.padding == "max_length" else given.prepared
        method = load_registry().get("method", "full").component
        self.adaptation = method.adapt(Built(given.build().to(device), ()), Options(), self.recipe)

    def turn(self, batches: Sequence[Sequence[int]]) -> list[float]:
        """Seconds of each step on these batches."""
        from bakeoff.kinds import CLASSIFICATION
        from bakeoff.machine.hardware import synchronize
        from bakeoff.training.fed_batches import Examples, StepSchedule
        from bakeoff.training.job import Job
        from bakeoff.training.observer import Observer

        given = self.given

        class Ordered(Job):
            def batches(self, epoch: int) -> list[tuple[int, ...]]:
                return [tuple(batch) for batch in batches]

            def end_step(self, step: int, loss: Any) -> Any:
                if step + 1 in {1, len(batches)}:
                    synchronize(self.device)
                return super().end_step(step, loss)

        class Counting(Observer):
            """The harness's own look at the gradients is no part of the loop: in a run it is taken at one step in sixteen."""

            def _see(self, optimizer: Any, args: Any, kwargs: Any) -> None:
                self.steps += 1

        examples = Examples(given.encoded, given.labels)
        schedule = StepSchedule(len(examples), self.recipe, (0, 0))
        job = Ordered(
            self.adaptation,
            self.prepared,
            examples,
            schedule,
            mean_loss=CLASSIFICATION.mean_loss,
            device=self.device,
            observer=Counting(),
        )
        job.counter.steps = frozenset()  # counting operations is the harness's work, not the loop's
        with job.observer:
            self.trainer.fit(job, self.trainer.Options())
        job.check()
        return [end - start for start, end in itertools.pairwise([0.0, *job.clock])]


def measure(setting: Setting, device: Any, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Contender -> milliseconds of its steps, the first of each turn and the whole first round left out.

    On CUDA, one figure a turn: the mean of its steps.
    """
    import torch

    from bakeoff.machine.hardware import usable_threads
    from bakeoff.training.data import epoch_batches

    torch.set_num_threads(usable_threads())
    given = material(setting.model)
    steps = STEPS[device.type]
    epochs = [epoch_batches(len(given.encoded), setting.batch_size, seed=0, replicate=0, epoch=epoch) for epoch in range(9)]
    order = [batch for epoch in epochs for batch in epoch if len(batch) == setting.batch_size]
    made = (given, setting.batch_size, device)
    turns = [(name, CourseLoop(*made) if name == COURSE else TrainerLoop(*made, name)) for name in setting.contenders]
    found: dict[str, list[float]] = {name: [] for name in setting.contenders}
    rounds = 2 if device.type == "cuda" else setting.rounds
    for number in range(rounds + 1):
        batches = order[number * steps : (number + 1) * steps]
        for name, loop in turns[number % len(turns) :] + turns[: number % len(turns)]:
            seconds = loop.turn(batches)[1:]
            if number:
                figures = [statistics.fmean(seconds)] if device.type == "cuda" else seconds
                found[name] += [round(1000 * second, 2) for second in figures]
        say(f"{setting.name}: round {number} of {rounds}")
    return found


def measure_evaluation(device: Any, say: Callable[[str], None], rounds: int = 3) -> dict[str, Any]:
    """Milliseconds per example of the harness's predictions of MRPC's dev and of two plain loops, and how far they agree."""
    import numpy as np
    import torch

    from bakeoff.cli.inputs import find_paths
    from bakeoff.contracts.registry import load_registry
    from bakeoff.training.distributed import ALONE
    from bakeoff.training.evaluation import predict

    given = material("minilm")
    task = load_registry().get("task", "glue/mrpc").component
    rows = task.load(task.Options(), find_paths(None))["dev"].to_dict()
    examples = given.prepared.encode(rows)
    model = given.build().to(device).eval()

    def plain(prepared: Any) -> Any:
        logits = []
        with torch.no_grad():
            for start in range(0, len(examples), 8):
                batch = prepared.collate(examples[start : start + 8])
                logits.append(model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits)
        return torch.cat(logits).cpu().numpy()

    def bakeoff() -> Any:
        return predict(given.prepared, model, examples, device, ALONE)

    def fast() -> Any:
        with load_registry().get("trainer", "fast-loop").component.fast_inference(model):
            return bakeoff()

    loops = {
        "plain loop, padded to 128": lambda: plain(given.padded),
        "plain loop, padded to the longest": lambda: plain(given.prepared),
        "bakeoff": bakeoff,
        "bakeoff, fast-loop": fast,
    }
    times: dict[str, list[float]] = {name: [] for name in loops}
    answers = {}
    for number in range(rounds + 1):
        for name, loop in loops.items():
            began = time.perf_counter()
            answers[name] = loop()
            if number:
                times[name].append(round(1000 * (time.perf_counter() - began) / len(examples), 3))
        say(f"evaluation: round {number} of {rounds}")
    reference = answers["plain loop, padded to 128"]
    return {
        "milliseconds_per_example": times,
        "same_answers": {name: bool((found.argmax(1) == reference.argmax(1)).all()) for name, found in answers.items()},
        "largest_difference_of_logits": {name: float(np.abs(found - reference).max()) for name, found in answers.items()},
    }


def measure_all(kind: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, with what the machine was; `kind` is of a device."""
    import torch

    from bakeoff.machine import hardware
    from bakeoff.runner.machine_check import time_products, time_work

    before = os.getloadavg()[0]
    threads, device = hardware.usable_threads(), hardware.pick_device(kind)
    torch.set_num_threads(threads)
    accelerator = hardware.accelerator_name(device)
    control_before = statistics.median(time_work(device))
    chosen = [setting for setting in SETTINGS if kind == "cpu" or setting.name in ON_CUDA]
    settings = {setting.name: measure(setting, device, say) for setting in chosen}
    evaluation = measure_evaluation(device, say)
    git = shutil.which("git") or "git"
    commit = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": environment((), threads=threads, device=kind, accelerator=accelerator).model_dump(),
        "matrix_product_flops": time_products(device),
        "load_before": round(before, 2),
        "control_milliseconds": [round(1000 * control_before, 2), round(1000 * statistics.median(time_work(device)), 2)],
        "steps_of_a_turn": STEPS[kind],
        "figures_of_a_turn": 1 if kind == "cuda" else STEPS[kind] - 1,
        "milliseconds": settings,
        "evaluation": evaluation,
    }


# --- what is said of it --------------------------------------------------------------------------------------------------


def figures(found: Mapping[str, Any]) -> int:
    """Of a turn; measurements from before it was said have one a step."""
    return int(found.get("figures_of_a_turn", found["steps_of_a_turn"] - 1))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive" if len(values) < 4 else "exclusive")
    return low, median, high


def times_as_fast(milliseconds: Mapping[str, Sequence[float]], name: str, than: str, turn: int) -> tuple[float, float, float]:
    """Quartiles, over turns, of the ratio of the turns' medians."""

    def medians(loop: str) -> list[float]:
        steps = milliseconds[loop]
        return [statistics.median(steps[start : start + turn]) for start in range(0, len(steps), turn)]

    return quartiles([slow / fast for slow, fast in zip(medians(than), medians(name), strict=True)])


def table_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    turn = figures(found)
    rows = []
    for setting, milliseconds in found["milliseconds"].items():
        for name in milliseconds:
            low, median, high = quartiles(milliseconds[name])
            digits = ".0f" if median >= 50 else ".2f"
            row = {
                "setting": setting,
                "loop": name,
                "ms a step": f"{median:{digits}}",
                "quartiles": f"{low:{digits}} to {high:{digits}}",
            }
            for than in (COURSE, PADDED):
                ratio = times_as_fast(milliseconds, name, than, turn) if than in milliseconds else None
                row[f"times as fast as {than}"] = f"{ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})" if ratio else ""
            rows.append(row | {"turns" if turn == 1 else "steps": str(len(milliseconds[name]))})
    return rows


def targets(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each target; they are of the CPU."""
    if found["machine"]["device"] != "cpu":
        return []
    setting, milliseconds = next(iter(found["milliseconds"].items()))
    sentences = []
    for name, than, least, goal in TARGETS:
        ratio = times_as_fast(milliseconds, name, than, figures(found))[1]
        beyond = "" if goal is None else f"; the goal of {goal:g} {'reached' if ratio >= goal else 'missed'}"
        verdict = "met" if ratio >= least else "missed"
        sentences.append(
            f"{setting}: {name} is {ratio:.2f} times as fast as the {than}; target {least:g} times: {verdict}{beyond}."
        )
    return sentences


def evaluation_lines(found: Mapping[str, Any]) -> list[str]:
    evaluation = found["evaluation"]
    medians = {name: statistics.median(times) for name, times in evaluation["milliseconds_per_example"].items()}
    lines = [
        "| evaluation of MRPC's dev, fp32 | ms an example | times as fast as padded | answers as padded | largest difference |"
    ]
    lines.append("|---|---:|---:|---|---:|")
    slow = medians["plain loop, padded to 128"]
    for name, median in medians.items():
        same = "all" if evaluation["same_answers"][name] else "not all"
        difference = evaluation["largest_difference_of_logits"][name]
        lines.append(f"| {name} | {median:.2f} | {slow / median:.2f} | {same} | {difference:.1g} |")
    return lines


def render(found: Mapping[str, Any]) -> dict[str, str]:
    """`table.md` and `table.csv`."""
    rows = table_rows(found)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    machine, peaks = found["machine"], found["matrix_product_flops"]
    products = ", ".join(f"{name} {flops / 1e9:,.0f} GFLOP/s" for name, flops in peaks.items())
    lines = [
        "# Speed of the loops",
        "",
        "Training steps on MRPC, the same batches for all loops, in one process, in turns of "
        f"{found['steps_of_a_turn']} steps of which the first is left out; "
        f"{'medians' if figures(found) > 1 else 'medians of the mean of each turn'}, with quartiles. "
        "The course's loop does not clip gradients; all others do, unless they are said not to.",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|---|---|---:|---:|---:|---:|---:|",
        *("| " + " | ".join(row.values()) + " |" for row in rows),
        "",
        *[f"- {sentence}" for sentence in targets(found)],
        *[""] * bool(targets(found)),
        *evaluation_lines(found),
        "",
        f"- **machine**: {machine['hardware']}, {machine['system']}; a large matrix product: {products}",
        f"- **software**: {', '.join(f'{name} {version}' for name, version in machine['software'].items())}",
        f"- **measured**: {found['measured']}, at commit {found['commit'][:12]}; load before {found['load_before']}; "
        f"control run {found['control_milliseconds'][0]} ms before, {found['control_milliseconds'][1]} ms after",
        f"- **made by**: `BAKEOFF_DATA=GLUE_FOLDER {COMMANDS[machine['device']]}`",
    ]
    return {"table.md": "\n".join(lines) + "\n", "table.csv": stream.getvalue()}


def main(folder: Path, kind: str = "cpu") -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    found = measure_all(kind, lambda line: print(line, file=sys.stderr, flush=True))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "measurements.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, content in render(found).items():
        (folder / name).write_text(content, encoding="utf-8")
    print(render(found)["table.md"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
