"""The control run: a fixed piece of work, timed before and after the runs of a call in a worker of its own.

It trains nothing of the experiment. Where its time moves between the two, the machine changed, and so may the runs' times have.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from bakeoff.errors import BakeoffError
from bakeoff.files import temporary_folder
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.worker_process import Message, Worker
from bakeoff.records.provenance import environment
from bakeoff.records.schema import OUTPUT_FILE, Control
from bakeoff.runner.settings import Settings

WARM_UP_SECONDS = 0.3
MEASURED_SECONDS = 1.0
LEAST_REPETITIONS = 20
MOST_REPETITIONS = 1000
PRODUCT_SIZE = {"cpu": 1024}
LARGE_PRODUCT = 8192
"""Rows and columns of the square matrices whose product is timed: large enough that a larger one is no faster."""
PRODUCT_SECONDS = 0.3
LONGEST_SECONDS = 3.0
"""On a crowded machine the work takes a hundred times as long; then fewer repetitions say enough."""


def measure_control(settings: Settings, *, session: str, moment: Literal["before", "after"]) -> Control:
    """The work's time on the device and threads of the runs; raises BakeoffError where it cannot be had."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with temporary_folder() as folder:
        worker = Worker(work_aloud, settings.device, settings.threads, output=folder / OUTPUT_FILE)
        try:
            told = next((message for message in worker.listen() if "seconds" in message), None)
            if told is None:
                raise BakeoffError(f"the control run ended early: {worker.last_words()}")
        finally:
            worker.end()
    seconds: list[float] = told["seconds"]
    lower, median, upper = statistics.quantiles(seconds, n=4)
    return Control(
        session=session,
        moment=moment,
        started=started,
        hardware=told["hardware"],
        threads=settings.threads,
        milliseconds=1000 * median,
        spread=(upper - lower) / median,
        repetitions=len(seconds),
        peak_flops=told["peak_flops"],
    )


def work_aloud(say: Callable[[Message], None], device_name: str, threads: int) -> None:
    """The worker's side of `measure_control`: {"seconds": [...], "hardware": its class, "peak_flops": by precision}."""
    import bakeoff.machine.preload  # noqa: F401 - where there is no fork server, its settings are made here

    device = hardware.pick_device(device_name, threads=threads)
    accelerator = hardware.accelerator_name(device)
    here = environment((), threads=threads, device=device.type, accelerator=accelerator)
    say({"seconds": time_work(device), "hardware": here.hardware, "peak_flops": time_products(device)})


def time_work(device: Any) -> list[float]:
    """Seconds of each repetition after the warm-up."""
    repeat = make_work(device)
    repetitions(repeat, device, least=1, seconds=WARM_UP_SECONDS)
    return repetitions(repeat, device, least=LEAST_REPETITIONS, seconds=MEASURED_SECONDS, longest=LONGEST_SECONDS)


def repetitions(
    work: Callable[[], Any], device: Any, *, least: int, seconds: float, longest: float = float("inf")
) -> list[float]:
    """Seconds of each repetition, of so many `seconds` together; below `least` repetitions until `longest` have passed."""
    found: list[float] = []
    while len(found) < 2 or sum(found) < (seconds if len(found) >= least else longest):  # an interquartile range needs two
        began = time.perf_counter()
        work()
        hardware.synchronize(device)
        found.append(time.perf_counter() - began)
        if len(found) == MOST_REPETITIONS:
            break
    return found


def time_products(device: Any) -> dict[str, float]:
    """Precision -> floating-point operations a second of a large matrix product; without a precision that is not there."""
    import torch

    peaks = {}
    for precision, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with suppress(BakeoffError):
            hardware.require_precision(precision, device.type)
            size = PRODUCT_SIZE.get(device.type, LARGE_PRODUCT)
            first, second = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
            seconds = repetitions(partial(torch.matmul, first, second), device, least=5, seconds=PRODUCT_SECONDS)
            peaks[precision] = 2 * size**3 / statistics.median(seconds[1:])  # the first one warms up
    return peaks


def make_work(device: Any) -> Callable[[], None]:
    """One repetition: forward, loss, backward and an AdamW step of a small transformer layer, as fine-tuning does it."""
    import torch

    random_streams.restart_random(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, dim_feedforward=512, dropout=0.0, batch_first=True).to(device)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-4, fused=True)
    batch = torch.randn(8, 64, 128).to(device)  # (batch, length, width)

    def repeat() -> None:
        layer(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return repeat
