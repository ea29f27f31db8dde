"""Optimizers beside adamw and sgd: Lion, Adafactor, and AdamW with states of 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bakeoff.plugin import Optimizer, Options, Recipe, hookimpl

Beta = Annotated[float, Field(ge=0, lt=1)]


class LionOptions(Options):
    """Options of `lion`."""

    beta1: Beta = Field(0.9, description="Share of the momentum in the direction of the update.")
    beta2: Beta = Field(0.99, description="Decay rate of the momentum.")


class Lion(Optimizer):
    """Chen et al., 2023 (arXiv:2302.06675), algorithm 2; weight decay is decoupled. They advise a learning rate 3 to 10 times
    smaller than AdamW's."""

    name = "lion"
    summary = "Lion: steps of the sign of the momentum; half of AdamW's state."
    version = "1"
    Options = LionOptions

    def make(self, groups: list[dict[str, Any]], recipe: Recipe, options: LionOptions) -> Any:
        from bakeoff_optimizers.lion import LionSteps

        return LionSteps(groups, lr=recipe.learning_rate, betas=(options.beta1, options.beta2))


class AdafactorOptions(Options):
    """Options of `adafactor`."""

    beta1: Beta | None = Field(None, description="Decay rate of a first moment; none, the default, keeps none.")
    clip_threshold: Annotated[float, Field(gt=0)] = Field(1.0, description="Largest root mean square of an update.")
    decay_rate: Annotated[float, Field(ge=-1, le=0)] = Field(
        -0.8, description="The second moment's decay rate at step t is 1 - t ** decay_rate."
    )


class Adafactor(Optimizer):
    """Shazeer and Stern, 2018 (arXiv:1804.04235), by transformers, with the recipe's learning rate in place of relative steps,
    as `TrainingArguments(optim="adafactor")` has it."""

    name = "adafactor"
    summary = "Adafactor: second moments by rows and columns, in a fraction of AdamW's memory."
    version = "1"
    Options = AdafactorOptions
    elementwise = False

    def make(self, groups: list[dict[str, Any]], recipe: Recipe, options: AdafactorOptions) -> Any:
        from transformers.optimization import Adafactor as Factored

        settings = {"beta1": options.beta1, "clip_threshold": options.clip_threshold, "decay_rate": options.decay_rate}
        return Factored(groups, lr=recipe.learning_rate, scale_parameter=False, relative_step=False, **settings)


class EightBitAdamWOptions(Options):
    """Options of `adamw-8bit`."""

    beta1: Beta = Field(0.9, description="Decay rate of the first moment.")
    beta2: Beta = Field(0.999, description="Decay rate of the second moment.")
    eps: Annotated[float, Field(gt=0)] = Field(1e-8, description="Added to the denominator.")
    paged: bool = Field(False, description="Moves states to main memory where the device's is full.")


class EightBitAdamW(Optimizer):
    """Dettmers et al., 2022 (arXiv:2110.02861), by bitsandbytes. Unlike `TrainingArguments(optim="adamw_bnb_8bit")`, which
    keeps 32 bits for embeddings, it treats all parameters alike."""

    name = "adamw-8bit"
    summary = "AdamW with moments of 8 bits by bitsandbytes: a quarter of their memory; on CUDA."
    version = "1"
    Options = EightBitAdamWOptions
    needs: ClassVar[Mapping[str, str]] = {"bitsandbytes": "bitsandbytes"}
    elementwise = False  # its blocks of 256 elements share a scale
    devices = frozenset({"cuda"})
    resumes = False

    def make(self, groups: list[dict[str, Any]], recipe: Recipe, options: EightBitAdamWOptions) -> Any:
        from bitsandbytes.optim import AdamW

        settings = {"betas": (options.beta1, options.beta2), "eps": options.eps, "is_paged": options.paged}
        return AdamW(groups, lr=recipe.learning_rate, optim_bits=8, **settings)


@hookimpl
def bakeoff_optimizers() -> list[Optimizer]:
    return [Lion(), Adafactor(), EightBitAdamW()]
