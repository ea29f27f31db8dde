"""`--shard`: whose run is whose."""

from __future__ import annotations

import pytest
from core.planning.test_runs import plan_of
from core.planning.test_selection import SPEC

from bakeoff.planning.shards import Shard, only_of, shard_named


@pytest.mark.parametrize("of", [1, 2, 5, 40])
def test_every_run_is_of_exactly_one_shard(of: int) -> None:
    ids = [*plan_of(SPEC).by_id]
    owners = [[number for number in range(1, of + 1) if Shard(number, of).has(run_id)] for run_id in ids]
    assert {len(own) for own in owners} == {1}
    assert len({own[0] for own in owners}) > min(of, len(ids)) / 2, "dealt out evenly"


def test_a_shard_stays_as_it_is_when_seeds_and_strategies_are_added() -> None:
    few, many = plan_of(SPEC), plan_of(SPEC.replace("seeds: 3", "  more: {trainer: hf-trainer}\nseeds: 9"))
    assert few.by_id.keys() < many.by_id.keys()
    shard = Shard(2, 3)
    mine = {run_id for run_id in few.by_id if shard.has(run_id)}
    assert {*only_of(few, few.by_id.values(), shard).wanted} == mine
    assert mine < {*only_of(many, many.by_id.values(), shard).wanted}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("3/2", "1/2 to 2/2"),
        ("0/2", "1/2 to 2/2"),
        ("1/0", "1 to "),
        *((text, "2/5") for text in ("1", "a/b", "1/9999999")),
    ],
)
def test_what_is_no_shard_is_told(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        shard_named(text)
    assert shard_named("2/5") == Shard(2, 5)
