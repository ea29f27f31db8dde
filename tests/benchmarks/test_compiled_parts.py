"""Parts of a layer of MiniLM on packed tokens in bf16, by torch's own kernels and compiled by inductor: medians, in turns."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from benchmarks.timing import say

from bakeoff.errors import BakeoffError
from bakeoff.machine.hardware import prepare_environment, require_compiler, usable_threads

TOKENS, WIDTH, INNER, HEADS, LENGTH = 420, 384, 1536, 96, 60
"""A batch of 8 pairs of MRPC: packed tokens, hidden size, size of the feed-forward layer, texts times heads, longest text."""
ROUNDS: Final = 60


def parts() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]]:
    """Name -> (by torch's kernels, to be compiled, arguments). Those that are compiled are written element by element, since
    inductor calls torch's kernels for what it does not write itself."""
    import torch
    from torch import Tensor

    def bf16(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.bfloat16)

    keep = (torch.rand(TOKENS, WIDTH) > 0.1).to(torch.bfloat16)
    weight, bias = torch.randn(WIDTH), torch.randn(WIDTH)

    def norm(x: Tensor, residual: Tensor) -> Any:
        summed = torch.addcmul(residual, x, keep, value=1 / 0.9)
        return summed, torch.native_layer_norm(summed, (WIDTH,), weight, bias, 1e-12)

    def norm_by_element(x: Tensor, residual: Tensor) -> Any:
        summed = residual.float() + x.float() * keep.float() * (1 / 0.9)
        mean = summed.mean(-1, keepdim=True)
        root = torch.rsqrt((summed - mean).square().mean(-1, keepdim=True) + 1e-12)
        return summed.to(x.dtype), ((summed - mean) * root * weight + bias).to(x.dtype), mean, root

    def gelu(x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(x)

    def gelu_slope(gradient: Tensor, x: Tensor) -> Tensor:
        return torch.ops.aten.gelu_backward(gradient, x)

    def gelu_slope_by_element(gradient: Tensor, x: Tensor) -> Tensor:
        wide = x.float()
        density = torch.exp(-0.5 * wide * wide) * 0.3989422804014327
        return (gradient.float() * (0.5 * (1 + torch.erf(wide * 0.7071067811865476)) + wide * density)).to(x.dtype)

    def softmax(scores: Tensor) -> Tensor:
        return torch.softmax(scores, -1)

    inner, scores = (bf16(TOKENS, INNER), bf16(TOKENS, INNER)), bf16(HEADS, LENGTH, LENGTH)
    return {
        "dropout, residual and norm": (norm, norm_by_element, (bf16(TOKENS, WIDTH), bf16(TOKENS, WIDTH))),
        "gelu": (gelu, gelu, inner[:1]),
        "gelu backward": (gelu_slope, gelu_slope_by_element, inner),
        "softmax": (softmax, softmax, (scores,)),
    }


@pytest.mark.timeout(1200)
def test_compiled_parts(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        require_compiler("cpu")
    except BakeoffError as error:
        pytest.skip(str(error))
    prepare_environment(usable_threads())
    import torch

    found: dict[str, dict[str, float]] = {}

    def measured() -> None:
        for name, (own, by_element, arguments) in parts().items():
            made = torch.compile(by_element, dynamic=True)
            seconds: dict[str, list[float]] = {"torch": [], "compiled": []}
            with torch.no_grad():
                for number in range(ROUNDS + 5):
                    for which, function in (("torch", own), ("compiled", made)):
                        began = time.perf_counter()
                        function(*arguments)
                        if number >= 5:
                            seconds[which].append(time.perf_counter() - began)
            medians = {which: statistics.median(taken) for which, taken in seconds.items()}
            found[name] = {
                **{f"{which}_microseconds": round(1e6 * median) for which, median in medians.items()},
                "times_as_fast": round(medians["torch"] / medians["compiled"], 2),
            }

    benchmark.pedantic(measured, rounds=1)
    benchmark.extra_info.update(parts=found)
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
