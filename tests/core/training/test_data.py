"""Orders, fingerprints and hashes: what makes two runs the same run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from builders import task_info

from bakeoff.errors import DataError
from bakeoff.machine.random_streams import restart_random, stream_seed
from bakeoff.training.data import check_rows, epoch_batches, split_fingerprint, weights_sha256

INFO = task_info(splits=("train", "dev"))
ROWS: dict[str, list[Any]] = {"id": ["a", "b"], "text": ["one", "two"], "label": [0, 1]}


def test_an_epoch_visits_every_row_once_and_keeps_the_short_last_batch() -> None:
    batches = epoch_batches(10, 4, seed=3, replicate=0, epoch=0)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(row for batch in batches for row in batch) == list(range(10))


def test_orders_differ_by_seed_epoch_and_replicate_and_by_nothing_else() -> None:
    def order(**changes: int) -> list[tuple[int, ...]]:
        return epoch_batches(50, 50, **{"seed": 1, "replicate": 0, "epoch": 0, **changes})

    assert order() == order()
    different = [order(), order(seed=2), order(epoch=1), order(replicate=1)]
    assert len({str(one) for one in different}) == 4
    assert [row for batch in epoch_batches(50, 7, seed=1, replicate=0, epoch=0) for row in batch] == list(order()[0])


def test_the_order_of_a_seed_never_changes() -> None:
    """Golden: another order under the same seed would make old records and new ones different experiments."""
    assert epoch_batches(8, 8, seed=0, replicate=0, epoch=0) == [(6, 5, 4, 0, 1, 7, 3, 2)]


def test_streams_are_independent() -> None:
    seeds = {stream_seed(seed, replicate, name) for seed in range(20) for replicate in range(3) for name in ("init", "order")}
    assert len(seeds) == 120
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_restarting_restarts_every_global_generator() -> None:
    import random

    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))  # noqa: S311

    restart_random(2**62 + 11)
    first = draws()
    assert draws() != first
    restart_random(2**62 + 11)
    assert draws() == first


@pytest.mark.parametrize("change", ["id", "text", "label"])
def test_a_fingerprint_sees_every_cell(change: str) -> None:
    other = {name: list(values) for name, values in ROWS.items()}
    other[change][1] = 0 if change == "label" else "other"
    assert split_fingerprint(ROWS, INFO, {}) != split_fingerprint(other, INFO, {})


def test_a_fingerprint_sees_order_and_sources_and_nothing_else() -> None:
    swapped = {name: values[::-1] for name, values in ROWS.items()}
    assert split_fingerprint(swapped, INFO, {}) != split_fingerprint(ROWS, INFO, {})
    assert split_fingerprint(ROWS, INFO, {"numpy": "1"}) != split_fingerprint(ROWS, INFO, {"numpy": "2"})
    assert split_fingerprint({**ROWS, "more": [1, 2]}, INFO, {}) == split_fingerprint(ROWS, INFO, {})


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"train": ROWS}, "declares split 'dev'"),
        ({"train": ROWS, "dev": {"id": ["c"], "label": [0]}}, "no column 'text'"),
        ({"train": ROWS, "dev": ROWS}, "occurs twice, here or in another split"),
        (
            {"train": ROWS, "dev": {"id": ["c", "c"], "text": ["", ""], "label": [0, 0]}},
            "occurs twice, here or in another split",
        ),
        ({"train": ROWS, "dev": {"id": [], "text": [], "label": []}}, "is empty"),
        ({"train": ROWS, "dev": {"id": ["c"], "text": [""], "label": [2]}}, "label '2' is not one of 0 to 1"),
        ({"train": ROWS, "dev": {"id": ["c"], "text": [""], "label": [-1]}}, "label '-1'"),
    ],
)
def test_a_task_that_breaks_its_promise_is_named(splits: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=r"task 'toy'") as caught:
        check_rows(splits, INFO, "toy")
    assert words in str(caught.value)


def test_a_weights_hash_sees_names_shapes_types_and_bits_but_no_order() -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    assert weights_sha256(one.items()) == weights_sha256(reversed(list(one.items())))
    changed = [
        {"a": torch.zeros(3, 2), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3), "c": torch.ones(2)},
        {"a": torch.zeros(2, 3), "b": torch.ones(2, dtype=torch.float64)},
        {"a": torch.zeros(2, 3), "b": torch.tensor([1.0, 1.0000001])},
        {"a": torch.zeros(2, 3), "b": -torch.zeros(2)},
    ]
    assert len({weights_sha256(weights.items()) for weights in [one, *changed]}) == 6


def test_a_weights_hash_takes_any_layout() -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    assert weights_sha256([("a", matrix.t())]) == weights_sha256([("a", matrix.t().contiguous())])
    assert weights_sha256([("a", torch.zeros(0))]) != weights_sha256([("a", torch.zeros(1))])
    assert weights_sha256([("a", torch.tensor(1.0))]) == weights_sha256([("a", torch.tensor(1.0))])
