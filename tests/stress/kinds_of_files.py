"""The kinds of files that `every_file` damages: each made small and whole, and read by what reads it in earnest."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from builders import declare, drawn_answers, fill, make_control, make_runs, make_timing, published, sealed, task_info
from stress.every_file import Kind
from stress.fuzz import SPEC

from bakeoff.contracts.registry import load_registry
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    RECORD_FILE,
    STEPS_FILE,
    Chosen,
    EarlierDeclaration,
    Search,
    TrialRun,
)
from bakeoff.records.store import Store

registry = cache(load_registry)
"""What is installed stays as it is: it takes longer to look at than a small folder."""
TIME = "2026-11-23T08:51:39+00:00"
STEPS = 12
TEXTS = ["a red kite", "rain, since noon", "we walk home", 'the "lamp" is lit', "bread and tea", "she hums"]


def files_below(*patterns: str) -> Any:
    return lambda folder: sorted(path for pattern in patterns for path in folder.rglob(pattern) if path.is_file())


# --- an experiment file ----------------------------------------------------------------------------------------------------


def make_spec(folder: Path) -> None:
    """As JSON, which is YAML too."""
    from ruamel.yaml import YAML

    (folder / "spec.yaml").write_text(json.dumps(YAML(typ="safe").load(SPEC)), encoding="utf-8")


def use_spec(folder: Path, warnings: list[str]) -> Any:
    from bakeoff.planning.resolver import resolve
    from bakeoff.spec.document import read_document

    return [run.id for run in resolve(read_document(folder / "spec.yaml"), registry()).runs]


# --- a folder of results ---------------------------------------------------------------------------------------------------


def make_results(folder: Path) -> None:
    labels = np.arange(40) % 2
    answers = {
        "trainer-api": drawn_answers(labels, seeds=3, accuracy=0.8, seed=1),
        "loop": drawn_answers(labels, seeds=3, accuracy=0.7, seed=2),
    }
    runs = make_runs(answers, labels, slices={"length": ["short", "long"] * 20}, failing={"loop": [2]})
    store = Store(folder)
    store.records.mkdir(parents=True)
    for record, predictions in runs:
        fresh = store.begin(record.id)
        if record.status == "ok":
            files = fill(fresh, predictions)
            pq.write_table(steps_table(), fresh / STEPS_FILE)
            files[STEPS_FILE] = hashlib.sha256((fresh / STEPS_FILE).read_bytes()).hexdigest()
            assert record.cost is not None
            cost = record.cost.model_copy(update={"steps": STEPS})
            record = record.model_copy(update={"files": files, "cost": cost})
        (fresh / RECORD_FILE).write_bytes(dump(record))
        assert store.publish(fresh, record.id)
    trials = [TrialRun(id=f"r1-t{n}", task="glue/mrpc", model="minilm", seed=1000, values={"lr": n / 10}) for n in (1, 2)]
    chosen = [Chosen(task="glue/mrpc", model="minilm", values={"lr": 0.1})]
    declare(
        folder,
        [record for record, _ in runs],
        imported=[published(accuracy=0.9)],
        gate={"quality": "-1 points", "train_seconds": "+10%"},
        history=[EarlierDeclaration(when=TIME, seeds={"loop": [0]}, recorded=1, changes=[])],
        searches={"loop": Search(grid={"lr": [0.1, 0.2]}, seeds=[1000], choose="best", trials=trials, chosen=chosen)},
    )
    for moment in ("before", "after"):
        store.add_control(make_control(moment=moment, peak_flops={"fp32": 1e11}))
    store.add_timing(make_timing([record for record, _ in runs], {"trainer-api": 0.2}))


def steps_table() -> pa.Table:
    return pa.table(
        {
            "step": pa.array(range(STEPS), pa.int32()),
            "loss": pa.array([1 / (step + 1) for step in range(STEPS)], pa.float32()),
            "learning_rate": pa.array([1e-3] * STEPS, pa.float64()),
            "grad_norm": pa.array([1.0, None] * (STEPS // 2), pa.float32()),
            "seconds": pa.array([0.1 * step for step in range(STEPS)], pa.float32()),
        }
    )


def use_results(folder: Path, warnings: list[str]) -> Any:
    """What `bakeoff report` and `verify` read: the figures of the table, the curves, each record with its files."""
    from bakeoff.cli.table import read
    from bakeoff.errors import StoreError
    from bakeoff.report.text.csv_json import write_json
    from bakeoff.report.text.table_md import write_page

    with patch("bakeoff.records.load.metrics.load_registry", registry):
        reading = read([folder])
    shown = write_page(reading.comparison)
    curves = {}
    for record in reading.experiment.records:
        with contextlib.suppress(StoreError):  # it is among what is unusable
            curves[record.id] = reading.experiment.steps(record.id).to_pydict() if STEPS_FILE in record.files else None
    warnings += [*reading.experiment.damaged, *reading.experiment.unusable]
    figures = json.loads(write_json(reading.comparison))
    assert shown
    return figures, repr(curves)


def seal_results(folder: Path, path: Path) -> None:
    """The checksums that cover the file, made right: its own, and those in its record."""
    if path.suffix == ".json":
        seal_json(path)
        return
    record = path.parent / RECORD_FILE
    plain = json.loads(record.read_bytes())
    plain["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    record.write_bytes(sealed(plain))


def seal_json(path: Path) -> None:
    with contextlib.suppress(ValueError, AttributeError, TypeError, RecursionError):
        plain = json.loads(path.read_bytes())
        path.write_bytes(sealed(plain))


# --- a checkpoint ----------------------------------------------------------------------------------------------------------


def checkpointed(folder: Path, warnings: list[str]) -> Any:
    """A job that goes on from the newest checkpoint in the folder, and its optimizer and scheduler."""
    import torch

    from bakeoff.testing.bench import bench_job

    job = bench_job({"epochs": 3, "batch_size": 5}, method="full", checkpoints=folder / "c", note=warnings.append)
    optimizer = torch.optim.AdamW(job.parameter_groups(), fused=False)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step + 1))
    with contextlib.redirect_stdout(io.StringIO()):
        job.resume(optimizer, schedule)
    return job, optimizer, schedule


def make_checkpoint(folder: Path) -> None:
    (folder / "c").mkdir()
    job, optimizer, schedule = checkpointed(folder, [])
    with job.observer:
        for epoch in range(3):
            for batch in job.batches(epoch):
                step = job.begun
                if step == 7:
                    return
                job.begin_step(step)
                (part,) = job.micro_batches(batch)
                rows = job.collate([job.examples[row] for row in part.rows])
                labels = rows.pop("labels")
                loss = job.loss(job.model(**rows).logits, labels)
                loss.backward()
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                job.end_step(step, loss)
            job.end_epoch()


def use_checkpoint(folder: Path, warnings: list[str]) -> Any:
    """The step that the job goes on from, and the weights that it has there."""
    from bakeoff.training.data import weights_sha256

    job, _, _ = checkpointed(folder, warnings)
    return job.first_step, weights_sha256(job.model.state_dict().items()), job.clock


def seal_checkpoint(folder: Path, path: Path) -> None:
    manifest = path.parent / "manifest.json"
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        plain = json.loads(manifest.read_bytes())
        if path != manifest:
            plain["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_bytes(sealed(plain))


# --- what processes tell each other ----------------------------------------------------------------------------------------


def make_request(folder: Path) -> None:
    from builders import make_record

    plain = {
        "id": "r1-0",
        "requested": make_record().requested.model_dump(mode="json"),
        "data": "/data",
        "cache": "/cache",
        "device": "cpu",
        "threads": 1,
        "attempts": [],
        "sources": [["rows", "train", "abc", None]],
        "checkpoint_every": 3,
        "checkpoints": "/c",
    }
    (folder / "request.json").write_text(json.dumps(plain))


def use_request(folder: Path, warnings: list[str]) -> Any:
    from bakeoff.training.request import read_request

    return read_request(folder / "request.json").model_dump_json()


def make_trace(folder: Path) -> None:
    from builders import make_record

    from bakeoff.contracts.recipe import Recipe

    step = {
        "rows": [1, 2], "passes": [2], "tokens": 9, "shape": [2, 5], "batch": "b", "labels": "l", "random": "r",
        "random_later": "", "random_given": "g", "loss": "NaN", "pass_losses": [0.5], "learning_rates": [1e-3],
        "unclipped_norm": 1.0, "norm": 1.0, "weights": "w",
    }  # fmt: skip
    requested = make_record().requested
    plain = {
        "strategy": "a", "requested": requested.model_dump(mode="json"),
        "recipe": Recipe.model_validate(requested.recipe).model_dump(mode="json"), "total_steps": 1, "initial_weights": "i",
        "head_weights": "h", "trainable": 3, "optimizer": "AdamW", "groups": [], "planned": [[1, 2]], "steps": [step],
        "notes": [], "trouble": "", "diverged": False,
    }  # fmt: skip
    (folder / "trace.json").write_text(json.dumps(plain))


def use_trace(folder: Path, warnings: list[str]) -> Any:
    from bakeoff.parity.trace import read_trace

    return read_trace(folder / "trace.json").model_dump_json()


# --- data ------------------------------------------------------------------------------------------------------------------


def make_rows(folder: Path) -> None:
    rows = [
        {"id": number, "q1": TEXTS[number % 6], "q2": TEXTS[(number * 5) % 6], "same": "yes" if number % 3 else "no"}
        for number in range(24)
    ]
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        with (folder / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter=mark, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "a.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")


def use_rows(folder: Path, warnings: list[str]) -> Any:
    """Each file as the training split of a task."""
    from bakeoff.contracts.task import Paths
    from bakeoff.training.assembly import load
    from bakeoff_table import Table

    task, found = Table(), {}
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"):
        options = task.Options.model_validate({"train": name, "text": ["q1", "q2"], "label": "same"})
        loaded = load(task, options, Paths(folder, folder / "cache"))
        info, splits = loaded.info, loaded.splits
        found[name] = info.labels, splits["train"]["q1"], splits["train"]["q2"], [*splits["train"]["label"]]
    return repr(found)


def make_glue(folder: Path) -> None:
    from tasks.test_glue_tasks import official

    official("wnli", folder)


def use_glue(folder: Path, warnings: list[str]) -> Any:
    from dataclasses import replace

    from bakeoff.contracts.task import Paths
    from bakeoff.training.assembly import load
    from bakeoff_glue import GlueTask
    from bakeoff_glue.facts import WNLI

    facts = replace(WNLI, splits={split: replace(there, rows=12) for split, there in WNLI.splits.items()})
    task = GlueTask(facts)
    splits = load(task, task.Options(), Paths(folder, folder / "cache")).splits
    return repr({name: (rows["sentence1"], [*rows["label"]]) for name, rows in splits.items()})


# --- a model's folder and the cache ------------------------------------------------------------------------------------------


def make_model(folder: Path) -> None:
    from plugins.checkpoints import model_of, save

    save(folder / "tiny-bert", model_of("bert", num_labels=2), "bert", labels=["no", "yes"])


def use_model(folder: Path, warnings: list[str]) -> Any:
    """Logits of the model as a run begins with it, once it was asked what it is asked before any run."""
    import torch

    from bakeoff.contracts.model import Encoding
    from bakeoff.errors import ModelError
    from bakeoff.training.model_checks import ModelCheck
    from bakeoff_hub_models import HubModel

    model, info, device = HubModel(), task_info(), torch.device("cpu")
    options = model.Options.model_validate({"path": str(folder / "tiny-bert")})
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model.check_available(options)
        prepared = model.prepare(info, options, Encoding(16, "longest"))
        torch.manual_seed(0)
        built = model.build(info, options).model.eval()
        rows = prepared.encode({"text": ["w20 w21 w22", "w23"]})
        try:
            ModelCheck(built, prepared, prepared, {"dev": rows}, lambda split, number: f"{split}-{number}", device).run()
        except ModelError as error:
            raise ModelError(f"model tiny-bert: {error}") from error  # as the preflight names it
        with torch.inference_mode():
            return prepared.predict(built, prepared.collate(rows)).tolist()


def make_cache(folder: Path) -> None:
    use_cache(folder, [])


def use_cache(folder: Path, warnings: list[str]) -> Any:
    """Encoded texts, rows and the hashes of files, as they are found in the cache or made."""
    from core.training.test_encoding import ROWS, Numbers

    from bakeoff.contracts.task import Paths
    from bakeoff.machine.file_hashes import FileHashes
    from bakeoff.training.assembly import load
    from bakeoff.training.encoding import encode
    from bakeoff_table import Table

    rows = encode(Numbers(), ROWS, cache=folder, fingerprint="f")
    hashed = folder / "hashed"
    if not hashed.exists():
        hashed.write_bytes(b"abc")
    digest = FileHashes(folder).sha256(hashed)
    (folder / "a.csv").write_text("text,label\n" + "".join(f"{text.replace(',', '')},{len(text) % 2}\n" for text in TEXTS))
    task = Table()
    options = task.Options.model_validate({"train": "a.csv", "text": "text", "label": "label"})
    splits = load(task, options, Paths(folder, folder)).splits
    told = splits["train"]["text"][:], [*splits["train"]["label"]], splits["train"].notes
    return [[*row["input_ids"]] for row in (rows[number] for number in range(len(rows)))], digest, told


TIMES = frozenset({"costs.json"})


def kinds() -> list[Kind]:
    """All of them; those whose reading is slow come less often."""
    results, states = files_below("*.json", "*.parquet"), files_below("*.json", "*.safetensors")
    return [
        Kind("experiment", make_spec, use_spec, files_below("spec.yaml"), weight=10),
        Kind("results", make_results, use_results, results, seal_results, optional=TIMES, checked=True, weight=44),
        Kind("checkpoint", make_checkpoint, use_checkpoint, states, seal_checkpoint, checked=True, weight=14),
        Kind("request", make_request, use_request, files_below("request.json"), weight=6),
        Kind("trace", make_trace, use_trace, files_below("trace.json"), weight=4),
        Kind("rows", make_rows, use_rows, files_below("a.*"), weight=10),
        Kind("glue", make_glue, use_glue, files_below("*.tsv"), weight=4),
        Kind("model", make_model, use_model, states, weight=5),
        Kind("cache", make_cache, use_cache, files_below("*.arrow"), checked=True, weight=3),
    ]  # fmt: skip
