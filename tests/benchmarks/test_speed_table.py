"""The table of speeds is what its measurements say, and predictions are those of the plain loop whatever the order."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.speed import COURSE, LOOPS, PADDED, SETTINGS, render, spec_of, targets, times_as_fast
from benchmarks.timed import COURSE as COURSE_PACKAGE
from builders import task_info

SPREAD = [0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03] * 2


def measurements(fast: float, spread: list[float] = SPREAD) -> dict[str, Any]:
    """The course's loop at 400 ms, padded 800, ours `fast` times what a round's ratio is off by."""
    common = [1.0 + 0.1 * number for number in range(len(spread))]
    steps = {COURSE: [400.0 * each for each in common], PADDED: [800.0 * each for each in common]}
    steps |= {
        "fast-loop bf16": [fast * each * off for each, off in zip(common, spread, strict=True)],
        "fast-loop, not clipping": [200.0 * each for each in common],
        "fast-loop bf16, not clipping": [fast * each * off for each, off in zip(common, spread, strict=True)],
    }
    return {
        "measured": "2026-11-25T12:00:00+00:00",
        "commit": "0123456789abcdef",
        "machine": {
            "hardware": "AMD EPYC, 2 threads",
            "system": "Linux x86_64",
            "device": "cpu",
            "software": {"torch": "2.13.0"},
        },
        "matrix_product_flops": {"fp32": 1.5e11},
        "load_before": 0.1,
        "how": "in turns",
        "milliseconds": {"minilm, batch 8": steps},
        "evaluation": {"minilm, batch 8": {PADDED: [90.0] * 8, "fast-loop": [None, *[30.0] * 7], "fast-loop bf16": [20.0] * 8}},
    }


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = times_as_fast(measurements(100.0)["milliseconds"]["minilm, batch 8"], "fast-loop bf16", COURSE)
    assert found is not None
    assert found.ratio == pytest.approx(4.0)
    assert found.interval() == pytest.approx((4.0 / 1.02, 4.0 / 0.98))


@pytest.mark.parametrize(
    ("fast", "verdict"),
    [
        (90.0, "target 3 times: met; the goal of 4 reached."),
        (101.0, "target 3 times: met; the goal of 4 open, since the interval holds it."),
        (120.0, "target 3 times: met; the goal of 4 missed."),
        (132.0, "target 3 times: open, since the interval holds it; the goal of 4 missed."),
        (150.0, "target 3 times: missed; the goal of 4 missed."),
    ],
)
def test_a_target_is_met_or_missed_where_the_whole_interval_says_so(fast: float, verdict: str) -> None:
    assert targets(measurements(fast))[0].endswith(verdict)


def test_the_table_tells_medians_ratios_machine_and_command() -> None:
    files = render(measurements(100.0))
    row = next(line for line in files["table.md"].splitlines() if "| fast-loop bf16 |" in line)
    assert "4.00 (3.92 to 4.08) | 8.00 (7.84 to 8.16) | 14 |" in row
    assert "| fast-loop | 30 | 3.00 (3.00 to 3.00) |" in files["table.md"]
    assert "AMD EPYC, 2 threads" in files["table.md"]
    assert "make speed" in files["table.md"]
    assert files["table.csv"].splitlines()[0].startswith("setting,loop,ms a step")


def test_two_rounds_have_no_interval_and_the_cpus_targets_do_not_hold_on_cuda() -> None:
    found = measurements(3.125, [1.0, 1.0])
    found["machine"] |= {"device": "cuda", "hardware": "NVIDIA H100"}
    table = render(found)["table.md"]
    assert "| fast-loop, not clipping | 210 | 2.00 | 4.00 | 2 |" in table
    assert "target" not in table
    assert "make speed-cuda" in table


def test_a_processor_without_bf16_leaves_its_targets_open() -> None:
    found = measurements(100.0)
    steps = found["milliseconds"]["minilm, batch 8"]
    found["milliseconds"]["minilm, batch 8"] = {name: each for name, each in steps.items() if "bf16" not in name}
    first, second, third = targets(found)
    assert "fast-loop bf16, not clipping was not measured" in first
    assert "target 1.8 times: met" in second
    assert "was not measured" in third


def test_every_setting_is_an_experiment_that_can_be_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from bakeoff.contracts.registry import load_registry
    from bakeoff.planning.resolver import resolve
    from bakeoff.runner.timing import timed_groups
    from bakeoff.spec.document import read_document

    monkeypatch.syspath_prepend(COURSE_PACKAGE)
    for setting in SETTINGS:
        (tmp_path / "spec.yaml").write_text(spec_of(setting))
        (group,) = timed_groups(resolve(read_document(tmp_path / "spec.yaml"), load_registry()))
        assert len(group.contenders) == len(setting.loops) <= len(LOOPS)


@pytest.mark.parametrize(
    "texts", [["a"], ["b c", "a", "d e f", "a"], ["x"] * 40 + ["long one here"] * 3], ids=["one", "mixed", "ties"]
)
def test_predictions_stand_in_the_examples_order(texts: list[str]) -> None:
    import torch

    from bakeoff.contracts.model import Encoding
    from bakeoff.training.distributed import ALONE
    from bakeoff.training.evaluation import predict
    from bakeoff_tiny_models import TinyBert, TinyOptions

    info = task_info()
    torch.manual_seed(0)
    options = TinyOptions()
    prepared = TinyBert().prepare(info, options, Encoding(32, "longest"))
    model = TinyBert().build(info, options).model.eval()
    examples = prepared.encode({"text": texts})
    found = predict(prepared, model, examples, torch.device("cpu"), ALONE)
    with torch.no_grad():
        plain = torch.cat([model(**prepared.collate([example])).logits for example in examples]).numpy()
    assert found == pytest.approx(plain, abs=1e-5)
    assert (found.argmax(1) == plain.argmax(1)).all()
