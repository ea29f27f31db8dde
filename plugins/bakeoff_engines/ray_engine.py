"""The engine `ray`: jobs as tasks of a Ray cluster."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from bakeoff.plugin import BakeoffError, JobBatch, Needs, Options, quoted
from bakeoff_engines.background import Background

MEBIBYTE: Final = 2**20
NODES: Final = (
    "import json, sys, ray\n"
    "ray.init(sys.argv[1], logging_level='error', log_to_driver=False)\n"
    "print(json.dumps([node['Resources'] for node in ray.nodes() if node['Alive']]))"
)
CONNECT_SECONDS: Final = 20
"""How long to wait until the cluster lets a process in: importing Ray and connecting take some 3 s."""
LONGEST_REASON: Final = 300
"""How many characters of Ray's own error are shown."""
ANSWER_SECONDS: Final = 2.0
"""How long to wait until the port of the cluster's head answers; `ray.init` itself would try for more than 45 s."""


class RayOptions(Options):
    """Options of `ray`."""

    address: str | None = Field(
        None, description="HOST:PORT of the cluster's head; if missing, $RAY_ADDRESS, else the cluster of this machine."
    )


class Ray(Background):
    """Submits a task for each job, which waits for its end. A queue in the background of this machine stays connected; when it
    ends, its tasks do."""

    name = "ray"
    summary = "Ray: a task for each job on a running cluster."
    version = "1"
    Options = RayOptions
    needs: ClassVar[Mapping[str, str]] = {"ray": "ray"}
    module = "bakeoff_engines.ray_queue"

    def check(self, needs: Needs, options: RayOptions) -> None:
        nodes = nodes_at(address_of(options))
        wanted = resources_of(needs.threads, needs.gpus, needs.memory)
        if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
            offered = "; ".join(in_words({name: node.get(name, 0) for name in ("CPU", "GPU", "memory")}) for node in nodes)
            raise BakeoffError(
                f"no node of the Ray cluster has {in_words(wanted)}; its nodes have {offered}: ask for less by --threads, "
                "--gpus or --memory"
            )

    def settings(self, batch: JobBatch, options: RayOptions) -> dict[str, Any]:
        return {"address": address_of(options)}


def resources_of(threads: int, gpus: int, memory: int | None) -> dict[str, float]:
    """What a job needs, by the names that Ray has for it; memory in bytes."""
    return {"CPU": threads, **({"GPU": gpus} if gpus else {}), **({"memory": memory} if memory else {})}


def in_words(resources: Mapping[str, float]) -> str:
    parts = [f"{int(resources.get('CPU', 0))} CPU", f"{int(resources.get('GPU', 0))} GPU"]
    if "memory" in resources:
        parts.append(f"{int(resources['memory']) // MEBIBYTE} MiB")
    return ", ".join(parts)


def address_of(options: RayOptions) -> str:
    """The cluster's address, for `ray.init`. Raises BakeoffError within a few seconds if nothing answers there."""
    address = options.address or os.environ.get("RAY_ADDRESS") or "auto"
    if address == "auto":
        return address
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise BakeoffError(f"--address: {quoted(address)} must be HOST:PORT, as `ray start --head` prints it")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BakeoffError(
            f"no Ray cluster answers at {address} ({error}): start one by `ray start --head`, or give another --address"
        ) from None
    return address


def nodes_at(address: str) -> list[dict[str, float]]:
    """The resources of each living node of the cluster. Raises BakeoffError if there is none; a process of its own asks, since
    `ray.init` can't be stopped where something else than a cluster answers."""
    words = [sys.executable, "-P", "-c", NODES, address]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=CONNECT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BakeoffError(
            f"what answers at {address} is no Ray cluster, or has not let us in within {CONNECT_SECONDS} s: `ray status` tells"
        ) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason"]
        remedy = "start one by `ray start --head`, or give --address HOST:PORT"
        raise BakeoffError(f"no Ray cluster at {address}: {lines[-1][:LONGEST_REASON]}; {remedy}")
    nodes: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return nodes
