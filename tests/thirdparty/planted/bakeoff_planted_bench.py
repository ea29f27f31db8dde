"""What several tests do with an experiment file: resolve it, trace its strategies in this process, or run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.parity.trace import Trace, TracedJob, trace_strategy
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.runner.settings import Settings, request_of
from bakeoff.spec.document import read_document
from bakeoff.training.assembly import Assembly, assemble, components
from bakeoff.training.request import Request

RECIPE = "{epochs: 2, batch_size: 4, learning_rate: 1e-3, weight_decay: 0.01, max_grad_norm: 0.45, warmup: 2}"
"""22 examples: 6 steps an epoch, the last one short; clipping bites at some steps and not at others."""


def plan_of(
    folder: Path,
    strategies: str,
    *,
    recipe: str = RECIPE,
    task: str = "planted/sentences",
    model: str = "tiny-bert",
    **keys: Any,
) -> Plan:
    """The plan of an experiment file with these strategies (YAML) and further keys."""
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    file = folder / "spec.yaml"
    file.write_text(
        f"name: bench\ntasks: [{task}]\nmodels: [{model}]\nrecipe: {recipe}\nstrategies: {strategies}\nseeds: 1\n{more}",
        encoding="utf-8",
    )
    return resolve(read_document(file), load_registry())


def requests_of(plan: Plan, *, threads: int = 1, data: Path | None = None) -> dict[str, Request]:
    """What a worker would be told of each strategy."""
    settings = Settings(paths=Paths(data, Path("/nowhere")), device="cpu", threads=threads)
    return {run.strategy.name: request_of(run, settings) for run in plan.runs}


def ready(request: Request, limit: int | None = None) -> tuple[Assembly, TracedJob]:
    """A strategy that is ready to be traced for `limit` steps, None for all."""
    assembly = assemble(request, components(request, load_registry()))
    return assembly, assembly.job(TracedJob, limit=limit)


def traces_of(plan: Plan, *, threads: int = 1, data: Path | None = None, limit: int | None = None) -> dict[str, Trace]:
    """Every strategy's trace."""
    registry = load_registry()
    requests = requests_of(plan, threads=threads, data=data)
    return {name: trace_strategy(request, limit, registry) for name, request in requests.items()}


def nameless(trace: Trace) -> dict[str, object]:
    """All of a trace but what it was asked: equal where two strategies did the same."""
    return {key: value for key, value in trace if key not in {"strategy", "requested", "notes"}}
