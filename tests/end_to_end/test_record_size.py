"""A record at the large end of what Bakeoff makes is no larger than it may be, and is read as it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.task import Paths
from bakeoff.records.record_files import read_record
from bakeoff.records.schema import RECORD_FILE
from bakeoff.training.worker import perform

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
TOPICS = ("billing", "refund", "login", "hardware", "shipping", "contract", "feature", "praise", "spam", "other")
NORMS = '{name: peft, type: LN_TUNING, config: {target_modules: ["LayerNorm"]}}'
TASK = """{name: table, train: train.jsonl, dev: dev.jsonl, test: test.jsonl, text: text, label: topic,
  slices: [channel, country, product], metrics: METRICS}"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("trainer", "method", "model", "metrics"),
    [
        ("{name: hf-trainer, as_shipped: true}", NORMS, "tiny-bert", "[accuracy, macro_f1, {name: f1, of: each}]"),
        pytest.param(
            "torch-loop",
            "layer-decay",
            "{name: tiny-bert, layers: 12, hidden_size: 8}",
            "[accuracy, macro_f1]",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["ten classes", "28 parameter groups"],
)
def test_a_kept_model_with_many_figures_fits(
    trainer: str, method: str, model: str, metrics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PLANTED)
    from bakeoff_planted_bench import plan_of, requests_of

    for split, size in (("train", 40), ("dev", 20), ("test", 20)):
        rows = [
            {
                "text": f"{TOPICS[n % 10]} {n}",
                "topic": TOPICS[n % 10],
                "channel": "mail",
                "country": "ab"[n % 2],
                "product": "x",
            }
            for n in range(size)
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    plan = plan_of(
        tmp_path,
        f"{{one: {{trainer: {trainer}, method: {method}}}}}",
        task=TASK.replace("METRICS", metrics),
        model=model,
        recipe="{epochs: 3, batch_size: 8, micro_batch_size: 4, learning_rate: 0.3, weight_decay: 0.01, max_length: 16}",
        select="best-on-dev",
        report_on="test",
        keep="final",
    )
    asked: Any = requests_of(plan)["one"].model_copy(update={"keep": "final", "cache": tmp_path, "beside": tmp_path})
    assert asked.places == Paths(None, tmp_path, tmp_path)
    (tmp_path / "run").mkdir()
    record = perform(asked, tmp_path / "run")
    assert record.status == "ok", record.failure
    assert record.kept is not None
    assert record.kept.reason is None
    assert record.observed is not None
    assert (len(record.scores["test"]), len(record.observed.groups)) == ((12, 2) if "each" in metrics else (2, 28))
    size = (tmp_path / "run" / RECORD_FILE).stat().st_size
    assert size <= 8192
    assert read_record(tmp_path / "run").model_copy(update={"seal": record.seal}) == record
