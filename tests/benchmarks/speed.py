"""How long a training step takes, by each loop: same model, same batches, measured as `bakeoff time` does.

    cd tests && ../.venv/bin/python -m benchmarks.speed ../results/speed

writes `measurements.json`, the milliseconds of each loop's turns round by round, and what `render` makes of it: `table.md` and
`table.csv`. It needs the official MRPC files (BAKEOFF_DATA). With `cuda` after the folder it measures there, two settings.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.timed import measure

from bakeoff.errors import BakeoffError
from bakeoff.records.schema import Timing
from bakeoff.statistics.median_ratio import MedianRatio, median_ratio

ROOT = Path(__file__).parents[2]
COURSE, PADDED = "course loop", "hf-trainer, padded to 128"


@dataclass(frozen=True)
class Setting:
    """One model at one batch size."""

    name: str
    model: str
    batch_size: int
    minutes: float
    loops: tuple[str, ...]


LOOPS = {
    COURSE: "{trainer: course-loop, recipe: {max_grad_norm: none, fused: false}}",
    PADDED: "{trainer: hf-trainer, recipe: {padding: max_length}}",
    "hf-trainer": "{trainer: hf-trainer}",
    "torch-loop": "{trainer: torch-loop}",
    "torch-loop bf16": "{trainer: torch-loop, recipe: {precision: bf16}}",
    "fast-loop": "{trainer: fast-loop}",
    "fast-loop bf16": "{trainer: fast-loop, recipe: {precision: bf16}}",
    "fast-loop, not clipping": "{trainer: fast-loop, recipe: {max_grad_norm: none}}",
    "fast-loop bf16, not clipping": "{trainer: fast-loop, recipe: {precision: bf16, max_grad_norm: none}}",
}
"""The course's loop does not clip gradients; run_glue.py's Trainer does, and so do all that are not said not to."""
SETTINGS = (
    Setting("minilm, batch 8", "minilm", 8, 8.0, tuple(LOOPS)),
    Setting("minilm, batch 32", "minilm", 32, 6.0, tuple(LOOPS)),
    Setting("12 layers of 768, batch 8", "base", 8, 6.0, (COURSE, PADDED, "torch-loop", "fast-loop", "fast-loop bf16")),
)
ON_CUDA = ("minilm, batch 8", "12 layers of 768, batch 8")
COMMANDS = {"cpu": "make speed", "cuda": "make speed-cuda"}
TARGETS = (
    ("fast-loop bf16, not clipping", COURSE, 3.0, 4.0),
    ("fast-loop, not clipping", COURSE, 1.8, None),
    ("fast-loop bf16", PADDED, 5.0, 6.5),
)
"""For minilm at batch 8: loop, against which of the same updates, times as fast as it must be, and the goal beyond."""
BATCH = 32
"""Examples of an evaluation batch."""


# --- what is measured ----------------------------------------------------------------------------------------------------


def spec_of(setting: Setting) -> str:
    """The loops as an experiment; strategies have plain names, in the order of `setting.loops`."""
    strategies = "\n".join(f"  loop-{number}: {LOOPS[name]}" for number, name in enumerate(setting.loops))
    return (
        f"name: speed\ntasks: [glue/mrpc]\nmodels: [{setting.model}]\nseeds: 1\n"
        f"recipe: {{batch_size: {setting.batch_size}, epochs: 3}}\nstrategies:\n{strategies}\n"
    )


def milliseconds(setting: Setting, timing: Timing, what: str) -> dict[str, list[float | None]]:
    """Loop -> those of a step, or of an evaluation batch, by round."""
    by_name = {name: one for one in timing.timed for name in one.strategies}
    found = {name: getattr(by_name[f"loop-{number}"], what) for number, name in enumerate(setting.loops)}
    return {
        name: [None if seconds is None else float(f"{1000 * seconds:.4g}") for seconds in rounds]
        for name, rounds in found.items()
    }


def possible(loops: Sequence[str], kind: str) -> tuple[str, ...]:
    """Those whose precision the device has."""
    from bakeoff.machine import hardware

    try:
        hardware.require_precision("bf16", hardware.pick_device(kind).type)
    except BakeoffError:
        return tuple(name for name in loops if "bf16" not in name)
    return tuple(loops)


def measure_all(kind: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, with what the machine was; `kind` is of a device."""
    import torch

    from bakeoff.machine import hardware
    from bakeoff.runner.machine_check import time_products

    before = os.getloadavg()[0]
    torch.set_num_threads(hardware.usable_threads())
    products = time_products(hardware.pick_device(kind))
    steps, evaluation, machine = {}, {}, None
    here = SETTINGS if kind == "cpu" else [setting for setting in SETTINGS if setting.name in ON_CUDA]
    for setting in (replace(one, loops=possible(one.loops, kind)) for one in here):
        timing = measure(spec_of(setting), minutes=setting.minutes, within=0.01, say=say, device=kind)
        machine = machine or timing.environment
        steps[setting.name] = milliseconds(setting, timing, "step_seconds")
        evaluation[setting.name] = milliseconds(setting, timing, "batch_seconds")
    assert machine is not None
    git = shutil.which("git") or "git"
    commit = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": machine.model_dump(),
        "matrix_product_flops": products,
        "load_before": round(before, 2),
        "how": "by processes that take turns in random order (`bakeoff time`)",
        "milliseconds": steps,
        "evaluation": evaluation,
    }


# --- what is said of it --------------------------------------------------------------------------------------------------

Rounds = Mapping[str, Sequence[float | None]]


def times_as_fast(rounds: Rounds, name: str, than: str) -> MedianRatio | None:
    """By round; None where they share no round."""
    pairs = zip(rounds[than], rounds[name], strict=False)
    return median_ratio([slow / fast for slow, fast in pairs if slow is not None and fast is not None])


def in_words(found: MedianRatio | None) -> str:
    """`1.84 (1.75 to 1.89)`; without an interval below six rounds."""
    if found is None:
        return ""
    bounds = found.interval()
    return f"{found.ratio:.2f}" + (f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else "")


def table_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for setting, rounds in found["milliseconds"].items():
        for name in rounds:
            known = [each for each in rounds[name] if each is not None]
            median = statistics.median(known)
            row = {"setting": setting, "loop": name, "ms a step": f"{median:{'.0f' if median >= 50 else '.2f'}}"}
            for than in (COURSE, PADDED):
                same = name == than or than not in rounds
                row[f"times as fast as {than}"] = "" if same else in_words(times_as_fast(rounds, name, than))
            rows.append(row | {"rounds": str(len(known))})
    return rows


def targets(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each target; they are of the CPU. Met or missed is what the whole interval says."""
    if found["machine"]["device"] != "cpu":
        return []
    setting, rounds = next(iter(found["milliseconds"].items()))
    sentences = []
    for name, than, least, goal in TARGETS:
        if name not in rounds:
            sentences.append(f"{setting}: {name} was not measured: the processor has no such arithmetic.")
            continue
        ratio = times_as_fast(rounds, name, than)
        assert ratio is not None
        beyond = "" if goal is None else f"; the goal of {goal:g} {verdict(ratio, goal, 'reached')}"
        sentences.append(
            f"{setting}: {name} is {in_words(ratio)} times as fast as the {than}; target {least:g} times: "
            f"{verdict(ratio, least, 'met')}{beyond}."
        )
    return sentences


def verdict(ratio: MedianRatio, least: float, met: str) -> str:
    bounds = ratio.interval()
    if bounds is None or bounds[0] < least <= bounds[1]:
        return "open, since the interval holds it"
    return met if bounds[0] >= least else "missed"


def evaluation_lines(found: Mapping[str, Any]) -> list[str]:
    """Of the first setting."""
    rounds: Rounds = next(iter(found["evaluation"].values()))
    slow = next(name for name in rounds if "padded to 128" in name)
    lines = [f"| evaluation, fp32 | ms a batch of {BATCH} | times as fast as padded to 128 |", "|---|---:|---:|"]
    for name, each in rounds.items():
        known = [value for value in each if value is not None]
        if known and "bf16" not in name and "not clipping" not in name and name != COURSE:
            ratio = "" if name == slow else in_words(times_as_fast(rounds, name, slow))
            lines.append(f"| {name} | {statistics.median(known):.3g} | {ratio} |")
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
        f"Training steps on MRPC, measured {found['how']}, the same batches for all loops in a round. Milliseconds are medians "
        "over rounds, ratios medians of the rounds' ratios with 95 % intervals, which take six rounds. The course's loop "
        "does not clip gradients; all others do, unless they are said not to.",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|---|---|---:|---:|---:|---:|",
        *("| " + " | ".join(row.values()) + " |" for row in rows),
        "",
        *[f"- {sentence}" for sentence in targets(found)],
        *[""] * bool(targets(found)),
        *evaluation_lines(found),
        "",
        f"- **machine**: {machine['hardware']}, {machine['system']}; a large matrix product: {products}",
        f"- **software**: {', '.join(f'{name} {version}' for name, version in machine['software'].items())}",
        f"- **measured**: {found['measured']}, at commit {found['commit'][:12]}; load before {found['load_before']}",
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
