"""What a verdict costs: training seconds until every comparison is decided or futile, as usual and by looks.

    cd tests && ../.venv/bin/python -m benchmarks.verdict_cost ../results/verdict-cost

makes the runs of the three experiments under the folder that are not recorded yet, measures the seconds of a run of each way
by each trainer in one round of turns (`bakeoff time` on `costs/spec.yaml`), and writes what follows: `table.md` and
`measurements.json`. It needs the official MRPC files (BAKEOFF_DATA) and some 20 hours; `--render` only writes the table again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.timings import run_time
from bakeoff.records.load import load_experiment
from bakeoff.records.store import Store
from bakeoff.text.numbers import duration, with_decimals

COMMAND = str(Path(sys.executable).with_name("bakeoff"))
ARMS = {
    "as-usual": ("usual", "hf-trainer, padded to 128, ten seeds"),
    "torch-loop": ("loop", "torch-loop, ten seeds"),
    "looks": ("fast", "fast-loop in bf16, looks at 3, 5, 8, 12 and 20 seeds"),
}
"""Folder -> what its strategies are called in `costs/spec.yaml`, and the arm in words."""
DECIDED = ("better", "worse", "equivalent", "identical")


@dataclass(frozen=True)
class Price:
    """What one arm took, and what it found."""

    runs: dict[str, int]
    """Way -> runs that were made, failed ones included."""
    seconds: float
    """Of training: runs times the seconds of one, by `bakeoff time`."""
    verdicts: dict[str, str]
    """Way -> its verdict against the baseline."""

    @property
    def decided(self) -> int:
        return sum(verdict in DECIDED for verdict in self.verdicts.values())

    @property
    def futile(self) -> int:
        return sum(verdict == "futile" for verdict in self.verdicts.values())


def price_of(group: ComparisonGroup, train_seconds: dict[str, float]) -> Price:
    """train_seconds: way -> of one run."""
    runs = {row.strategy: len(row.scored) + len(row.failed) for row in group.rows}
    return Price(
        runs=runs,
        seconds=sum(number * train_seconds[way] for way, number in runs.items()),
        verdicts={pair.first: pair.verdict for pair in group.to_baseline},
    )


def seconds_of(folder: Path) -> dict[str, float]:
    """Strategy -> training seconds of one run, of what `bakeoff time` measured."""
    (timing,) = Store(folder).timings()
    times = {name: run_time(timing, one) for one in timing.timed for name in one.strategies}
    return {name: found.train.seconds for name, found in times.items() if found is not None}


def prices(folder: Path) -> dict[str, Price]:
    """Arm -> its price."""
    measured, found = seconds_of(folder / "costs"), {}
    for arm, (prefix, _) in ARMS.items():
        (group,) = compare(load_experiment([Store(folder / arm)])).groups
        own = {name.removeprefix(f"{prefix}-"): seconds for name, seconds in measured.items() if name.startswith(f"{prefix}-")}
        found[arm] = price_of(group, own)
    return found


def render(found: dict[str, Price]) -> str:
    """`table.md`."""
    last = found["looks"].seconds
    lines = [
        "# The price of a verdict",
        "",
        "Full fine-tuning against LoRA, BitFit and head-only on MRPC with MiniLM, margin 2 points: training seconds until "
        "every comparison is decided or futile, runs times the seconds of a run as `bakeoff time` measured them in one round "
        "of turns.",
        "",
        "| way of asking | runs | training | decided | futile | open | verdicts | times as dear as looks |",
        "|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for arm, price in found.items():
        left = len(price.verdicts) - price.decided - price.futile
        told = "; ".join(f"{way}: {verdict}" for way, verdict in price.verdicts.items())
        cells = [sum(price.runs.values()), duration(price.seconds), price.decided, price.futile, left, told]
        row = [ARMS[arm][1], *map(str, cells), with_decimals(price.seconds / last, 1)]
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", "Made by `BAKEOFF_DATA=GLUE_FOLDER make verdict-cost`."]
    return "\n".join(lines) + "\n"


def main(folder: Path, *flags: str) -> None:
    if "--render" not in flags:
        for arm in ARMS:
            subprocess.run([COMMAND, "run", str(folder / arm / "spec.yaml")], check=True)
        minutes = ["--budget", "60", "--within", "3"]
        subprocess.run([COMMAND, "time", str(folder / "costs" / "spec.yaml"), *minutes], check=True)
    found = prices(folder)
    kept = {arm: asdict(price) for arm, price in found.items()}
    (folder / "measurements.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(render(found), encoding="utf-8")
    print(render(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
