"""Parts of one shape are written key by key and read as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import make_record

from bakeoff.contracts.columns import FEW, in_columns, in_rows
from bakeoff.errors import DamageError
from bakeoff.records.record_files import dump, read_part
from bakeoff.records.schema import Observed, ObservedGroup, Record


def group(number: int, **changes: Any) -> ObservedGroup:
    facts = {
        "tensors": 8,
        "elements": 7_087_872 + number,
        "weight_decay": 0.01 * (number % 2),
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "fused": True,
        "lr_scale": 0.9 ** (number // 2),
        "bias_correction": True,
    }
    return ObservedGroup(**facts | changes)


def made(groups: list[ObservedGroup]) -> Record:
    observed = Observed(
        optimizer="AdamW",
        optimizer_steps=1377,
        groups=groups,
        learning_rate_first=2e-5,
        learning_rate_peak=2e-5,
        learning_rate_last=1.45e-8,
        warmup_steps=0,
        gradient_norms_measured=102,
        gradient_norm_median=0.93,
        gradient_norm_max=1.0,
        clipped_at=1.0,
        examples_seen=11_004,
        tokens_seen=585_870,
        padded_tokens_seen=789_116,
        data_order_sha256="9" * 64,
    )
    return make_record("a", 0).model_copy(update={"observed": observed})


def test_the_groups_of_layer_wise_learning_rates_are_columns() -> None:
    record = made([group(number) for number in range(28)])
    content = dump(record)
    written = json.loads(content)["observed"]["groups"]
    assert {*written["same"]} == {"tensors", "betas", "eps", "fused", "momentum", "bias_correction"}
    assert written["each"]["weight_decay"] == [0.0, 0.01] * 14
    assert len(content) - len(dump(made([group(0)]))) < 27 * 60
    assert read_part(Record, content, Path("record.json")).observed == record.observed


@pytest.mark.parametrize("count", [0, 1, FEW])
def test_few_parts_stand_one_after_the_other(count: int) -> None:
    record = made([group(number) for number in range(count)])
    assert len(json.loads(dump(record))["observed"]["groups"]) == count
    assert read_part(Record, dump(record), Path("record.json")).observed == record.observed


@pytest.mark.parametrize("parts", [[{"a": 1}] * 9, [{"a": 1}, {"b": 1}] * 5, [{}] * 9], ids=["equal", "unlike", "empty"])
def test_what_has_no_columns_stays(parts: list[dict[str, Any]]) -> None:
    assert in_columns(parts) == parts


@pytest.mark.parametrize(
    "damaged",
    [
        {"same": {}, "each": {}},
        {"same": {}, "each": {"a": [1], "b": [1, 2]}},
        {"same": 1, "each": {"a": [1]}},
        {"same": {}, "each": 1},
        7,
    ],
)
def test_what_is_damaged_says_where(damaged: Any) -> None:
    assert in_rows(damaged) == damaged
    plain = json.loads(dump(made([group(0)])))
    plain["observed"]["groups"] = damaged
    with pytest.raises(DamageError, match=r"^record\.json is damaged: observed\.groups: "):
        read_part(Record, json.dumps(plain).encode(), Path("record.json"))
