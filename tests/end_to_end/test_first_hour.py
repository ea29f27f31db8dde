"""From somebody's rows to an answer by two commands, with real training."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOPICS = {
    "billing": ["invoice", "charge", "refund", "tax", "receipt"],
    "shipping": ["parcel", "delivery", "courier", "address", "truck"],
    "login": ["password", "account", "locked", "token", "email"],
    "technical": ["crash", "error", "update", "screen", "button"],
}
COMMON = ("please", "help", "with", "this", "since", "last", "week", "nobody", "answers", "our", "team", "today", "thanks")


def write_tickets(path: Path, rows: int) -> None:
    """Made-up tickets: two words of their topic among others, in two of five one of another topic."""
    draw = random.Random(1)  # noqa: S311 - rows for a test
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["body", "topic"])
        for _ in range(rows):
            topic, other = draw.choice(list(TOPICS)), draw.choice(list(TOPICS))
            words = [*draw.choices(COMMON, k=draw.randint(8, 22)), *draw.sample(TOPICS[topic], 2)]
            words += [draw.choice(TOPICS[other])] * (draw.random() < 0.4)
            draw.shuffle(words)
            writer.writerow([" ".join(words), topic])


def bakeoff(folder: Path, *arguments: str, seconds: float) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "bakeoff", *arguments], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return answer.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_init_writes_can_be_built(tmp_path: Path) -> None:
    write_tickets(tmp_path / "tickets.csv", 200)
    bakeoff(tmp_path, "init", "tickets.csv", "--model", "tiny-bert", "--no-timing", seconds=60)
    assert "no error found" in bakeoff(tmp_path, "check", "--build", seconds=200)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_commands_answer_within_ten_minutes_on_two_cores(tmp_path: Path) -> None:
    """On an idle machine: of a busy one nothing is promised."""
    write_tickets(tmp_path / "tickets.csv", 2_000)
    bakeoff(tmp_path, "init", "tickets.csv", seconds=300)
    began = time.monotonic()
    bakeoff(tmp_path, "run", seconds=1_200)
    assert time.monotonic() - began < 600
    group = json.loads(bakeoff(tmp_path, "table", "--json", seconds=60))["groups"][0]
    assert {row["strategy"] for row in group["rows"]} >= {"full", "lora", "head-only"}
