"""The control run: a fixed benchmark, timed before and after the runs of one command in a process of its own.

It trains nothing of the experiment. If its time changes between the two, the machine's speed changed, and the runs' times may
have changed with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from bakeoff.errors import BakeoffError
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.worker_process import Message, ask_worker
from bakeoff.records.provenance import environment
from bakeoff.records.schema import Control
from bakeoff.runner.settings import Settings
from bakeoff.text.values import utc_now

WARM_UP_SECONDS = 0.2
MEASURED_SECONDS = 0.5
LEAST_REPETITIONS = 20
MOST_REPETITIONS = 1000
PRODUCT_SIZE = {"cpu": 1024}
LARGE_PRODUCT = 8192
"""Rows and columns of the square matrices whose product is timed on an accelerator: larger ones reach no more operations per
second."""
PRODUCT_SECONDS = 0.2
LONGEST_SECONDS = 3.0
"""On a busy machine the benchmark may take a hundred times as long: after this many seconds fewer repetitions than
`LEAST_REPETITIONS` are enough."""


def measure_control(settings: Settings, *, session: str, moment: Literal["before", "after"]) -> Control:
    """Times the benchmark on the device and threads of the runs. session: identifies the command whose two control runs belong
    together. Raises BakeoffError if the process ends early."""
    started = utc_now()
    found = ask_worker(work_and_send, settings.device, settings.threads, key="seconds", named="the control run")
    seconds: list[float] = found["seconds"]
    lower, median, upper = statistics.quantiles(seconds, n=4)
    return Control(
        session=session,
        moment=moment,
        started=started,
        hardware=found["hardware"],
        threads=settings.threads,
        milliseconds=1000 * median,
        spread=(upper - lower) / median,
        repetitions=len(seconds),
        peak_flops=found["peak_flops"],
    )


def work_and_send(send: Callable[[Message], None], device_name: str, threads: int) -> None:
    """What the worker process of `measure_control` does; it sends {"seconds": of each repetition, "hardware": its class,
    "peak_flops": precision -> operations per second}."""
    import bakeoff.machine.preload  # noqa: F401 - where there is no fork server, its settings are made here

    device = hardware.pick_device(device_name, threads=threads)
    accelerator = hardware.accelerator_name(device)
    here = environment((), threads=threads, device=device.type, accelerator=accelerator)
    send({"seconds": time_work(device), "hardware": here.hardware, "peak_flops": time_products(device)})


def time_work(device: Any) -> list[float]:
    """Seconds of each repetition of the benchmark, after a warm-up."""
    repeat = make_work(device)
    repetitions(repeat, device, least=1, seconds=WARM_UP_SECONDS)
    return repetitions(repeat, device, least=LEAST_REPETITIONS, seconds=MEASURED_SECONDS, longest=LONGEST_SECONDS)


def repetitions(
    work: Callable[[], Any], device: Any, *, least: int, seconds: float, longest: float = float("inf")
) -> list[float]:
    """Repeats `work` and returns the seconds of each repetition: at least `least` repetitions that take `seconds` together,
    fewer if they take `longest`."""
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
    """Precision -> floating-point operations per second of a large matrix product, for each precision that the device has."""
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
    """A function that does one repetition: forward, loss, backward and an AdamW step of a small transformer layer, as
    fine-tuning does it."""
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
