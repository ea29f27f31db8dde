"""The base of all options, and the hyper-parameters that every strategy shares."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticKnownError

from bakeoff.contracts.fields import LARGEST_SEED, Positive
from bakeoff.text.values import spelt

COMPONENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63})?")


Value = TypeVar("Value", str, int)
ONE_ZERO = AfterValidator(lambda number: number + 0.0)
"""Turns -0.0 into 0.0, because the two would give different run ids."""
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0), ONE_ZERO]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=1), ONE_ZERO]


class Options(BaseModel):
    """The base class of all that a user writes: refuses unknown keys and values of another type; frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)


def no_duplicates(values: list[Value]) -> list[Value]:
    """Returns the values unchanged. Raises ValueError if one appears twice. For use in a pydantic validator."""
    if twice := sorted(value for value, times in Counter(values).items() if times > 1):
        raise ValueError(f"each may be given once; given twice: {', '.join(map(repr, twice[:10]))}")
    return values


SET = AfterValidator(no_duplicates), AfterValidator(sorted)
"""Validators of a list whose order means nothing: sorted, so that it has one spelling and one run id."""
UNSAID: JsonDict = {"neutral": None}
DEFINED = "defined"
"""Key in pydantic's schemas whose value names a definition that `spec.json_schema` adds."""


def _checked_warmup(value: Any) -> Any:
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if not right or (isinstance(value, float) and value >= 1) or value > MOST_STEPS:
        raise ValueError("must be steps (an integer, 0 or more) or a share of all steps (0.0 up to, not including, 1.0)")
    return value or 0  # 0 steps and a share of 0.0 are one thing


def _checked_epochs(value: Any) -> Any:
    if value is None:
        return None
    right = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_EPOCHS
    if not right:
        told = "passes over the training split, 0.5 for half of one"
        raise ValueError(f"must be a number above 0, up to {MOST_EPOCHS:,}: {told}")
    return int(value) if value == int(value) else value  # 2 and 2.0 are one training, with one id


def _none_word(value: Any) -> Any:
    return None if value == "none" else value


MOST_STEPS = 10**9
MOST_EPOCHS = 1_000_000
SHORTEST_INPUT, LONGEST_INPUT = 4, 8192
"""The smallest and the largest `max_length` of a recipe, in tokens."""


def _checked_length(value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticKnownError("int_type")
    if value > LONGEST_INPUT:
        raise PydanticKnownError("less_than_equal", {"le": LONGEST_INPUT})
    if value < SHORTEST_INPUT:
        raise PydanticKnownError("greater_than_equal", {"ge": SHORTEST_INPUT})
    return value


MaxLength = Annotated[
    int | Literal["auto"],
    PlainValidator(_checked_length),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": SHORTEST_INPUT, "maximum": LONGEST_INPUT}, {"const": "auto"}]}),
]


NormLimit = Annotated[
    Positive | None,
    BeforeValidator(_none_word),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "none"}, {"type": "null"}]}),
]


Epochs = Annotated[
    int | float,
    BeforeValidator(_checked_epochs),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_EPOCHS}),
]


Warmup = Annotated[
    int | float,
    BeforeValidator(_checked_warmup),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST_STEPS},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            ]
        }
    ),
]


NEUTRAL_ZERO: JsonDict = {"neutral": 0.0}


Scheduler = Literal["linear", "cosine", "constant", "polynomial", "cosine_with_restarts", "inverse_sqrt", "warmup_stable_decay"]


def _checked_weights(value: Any) -> Any:
    if isinstance(value, str) and value in ("none", "balanced"):
        return value
    if not isinstance(value, dict) or not value or not all(isinstance(label, str) for label in value):
        raise ValueError("must be `none`, `balanced`, or a weight for each label: {spam: 3.0}")
    for label, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ValueError(f"the weight of label {label!r} must be a number above 0")
    return {label: float(weight) for label, weight in value.items()}


ClassWeights = Annotated[
    Any,
    BeforeValidator(_checked_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["none", "balanced"]},
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
            ]
        }
    ),
]


BUILT_IN: Mapping[str, tuple[str, ...]] = {"optimizer": ("adamw", "sgd"), "loss": ("default",)}
"""Recipe key whose value may be a plugin's component -> the values that need no plugin."""


def _checked_part(value: Any) -> Any:
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, dict) or not isinstance(name := given.get("name"), str):
        raise ValueError("must be a name, or a mapping with `name` and its options: {name: lion, beta1: 0.95}")
    if len(given) > 1 and any(name in names for names in BUILT_IN.values()):
        raise ValueError(f"'{name}' has no options here: its settings are recipe keys of their own")
    return name if len(given) == 1 else given


OptimizerChoice = Annotated[
    Any, BeforeValidator(_checked_part), WithJsonSchema({"anyOf": [{"enum": [*BUILT_IN["optimizer"]]}, {DEFINED: "optimizer"}]})
]
LossChoice = Annotated[
    Any, BeforeValidator(_checked_part), WithJsonSchema({"anyOf": [{"enum": [*BUILT_IN["loss"]]}, {DEFINED: "loss"}]})
]


LARGEST_UNCORRECTED_BETA = 0.99999
"""The largest beta that is allowed without bias correction; see `optimizers.skip_bias_correction`."""


class EarlyStopping(Options):
    """When a training ends before its time."""

    patience: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="Training ends after so many evaluations of dev in a row without a better score."
    )
    min_delta: NotNegative = Field(
        0.0, description="A score is better only if it is better by more than this, in points or in the metric's own unit."
    )
    metric: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None,
        description="The task's metric that is looked at; by default the one by which the best evaluation is chosen.",
    )


class Recipe(Options):
    """The hyper-parameters, shared by all strategies unless one sets its own. The defaults are those of the chapter on
    fine-tuning in the Hugging Face course."""

    epochs: Epochs | None = Field(
        3,
        description="Passes over the training split, 0.5 for half the steps of one; not in effect when max_steps is given.",
    )
    max_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = Field(
        None, description="Optimizer steps, in place of epochs; starts over when data ends."
    )
    min_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = Field(
        None,
        description="Optimizer steps that are taken at least, whatever `epochs` says: with few rows, epochs are repeated.",
        json_schema_extra={"neutral": None},
    )
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(8, description="Examples per optimizer step.")
    learning_rate: Positive = Field(5e-5, description="Peak learning rate.")
    optimizer: OptimizerChoice = Field(
        "adamw",
        description="AdamW, `sgd` (stochastic gradient descent), or one that a plugin offers, such as lion or adafactor: its "
        "name, or a mapping with name and options.",
    )
    momentum: Share = Field(0.0, description="Momentum of sgd.", json_schema_extra=NEUTRAL_ZERO)
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field([0.9, 0.999], description="Decay rates of Adam.")
    eps: Positive = Field(1e-8, description="Added to Adam's denominator.")
    fused: bool = Field(True, description="The optimizer's fused kernel; it rounds differently from the plain one.")
    weight_decay: NotNegative = Field(0.0, description="Decoupled, as in AdamW; with sgd added to the gradient.")
    weight_decay_exempt: Annotated[list[Literal["bias", "norm"]], *SET] = Field(
        ["bias", "norm"], description="Parameters without weight decay: biases, normalisation layers; [] for none."
    )
    max_grad_norm: NormLimit = Field(1.0, description="Gradients are clipped to this global 2-norm; `none` for no clipping.")
    bias_correction: bool = Field(
        True,
        description="Corrects the bias of Adam's moments; false as in the first code of BERT (for studies of stability).",
        json_schema_extra={"neutral": True},
    )
    scheduler: Scheduler = Field(
        "linear",
        description="How the learning rate goes on after warm-up: down to 0, or `constant`; `cosine_with_restarts` has "
        "`cycles` cosines, `inverse_sqrt` falls with the root of the step, `warmup_stable_decay` falls in the last `decay`.",
    )
    power: Positive = Field(1.0, description="Exponent of the polynomial scheduler.", json_schema_extra={"neutral": 1.0})
    warmup: Warmup = Field(0, description="Steps (an integer) or a share of all steps (a number below 1).")
    cycles: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How often the scheduler cosine_with_restarts starts from the peak.", json_schema_extra={"neutral": 1}
    )
    decay: Warmup = Field(
        0.1,
        description="The last steps (an integer) or share of all steps (a number below 1) in which the learning rate of the "
        "scheduler warmup_stable_decay falls to 0, along a cosine.",
        json_schema_extra={"neutral": 0.1},
    )
    max_length: MaxLength = Field(
        128,
        description="Tokens; longer inputs are cut. `auto`: as many as 99 % of the training split's rows have, by the model's "
        "own tokenizer, rounded up to a multiple of 8; at most what the model can read.",
    )
    padding: Literal["longest", "max_length"] = Field("longest", description="Pad to the batch's longest or to max_length.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="bf16, or on CUDA fp16 with a scaled loss: autocast; weights and optimizer stay in fp32."
    )
    micro_batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="Examples per forward pass, over all processes; gradients are accumulated up to batch_size.",
        json_schema_extra={"neutral": None},
    )
    processes: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="Processes that share each batch, one device each.", json_schema_extra={"neutral": 1}
    )
    torch_compile: bool = Field(
        False,
        description="Compiles the model by `torch.compile` at its first step; needs a C++ compiler, on CUDA triton.",
        json_schema_extra={"neutral": False},
    )
    gradient_checkpointing: bool = Field(
        False, description="Recomputes activations in the backward pass, to save memory.", json_schema_extra={"neutral": False}
    )
    loss: LossChoice = Field(
        "default",
        description="The loss of a row: by default cross-entropy (classification), squared error (regression) or the mean "
        "binary cross-entropy of the labels (multilabel); or one that a plugin offers, such as focal: its name, or a mapping "
        "with name and options.",
        json_schema_extra={"neutral": "default"},
    )
    label_smoothing: Share = Field(
        0.0, description="Share of the target probability that is spread over all labels.", json_schema_extra=NEUTRAL_ZERO
    )
    class_weights: ClassWeights = Field(
        "none",
        description="Weights of the labels in the loss: `balanced` (rows / (labels * rows of the label), of the rows trained "
        "on), or a weight for each label by name, 1 for others. A batch's loss is the mean over its rows of each row's loss "
        "times its label's weight.",
        json_schema_extra={"neutral": "none"},
    )
    sampling: Literal["shuffled", "weighted"] = Field(
        "shuffled",
        description="The rows of an epoch: each once, or as many drawn with replacement, every label as often (`weighted`).",
        json_schema_extra={"neutral": "shuffled"},
    )
    train_examples: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = Field(
        None,
        description="Train on so many examples only, drawn by the seed, or the first ones (`subset: first`); a smaller number "
        "takes a subset of a larger one's.",
        json_schema_extra={"neutral": None},
    )
    subset: Literal["drawn", "first"] = Field(
        "drawn",
        description="Which rows `train_examples` takes: drawn by the seed, or the first ones, the same for every seed.",
        json_schema_extra={"neutral": "drawn"},
    )
    data_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None,
        description="Draws the order of the rows for all seeds, which then differ in head, dropout, and the subset that "
        "`train_examples` draws; by default each seed has an order of its own.",
        json_schema_extra={"neutral": None},
    )
    group_by_length: bool = Field(
        False,
        description="Batches of rows of like length, to save padding: within every 50 batches of the shuffled rows, rows are "
        "sorted by their tokens, the longest first.",
        json_schema_extra={"neutral": False},
    )
    evaluate_every: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = Field(
        None,
        description="Steps between the evaluations of dev by which `select: best-on-dev` chooses; by default there is one at "
        "the end of each epoch. The last is at the end of training in any case.",
        json_schema_extra={"neutral": None},
    )
    select_by: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None,
        description="The task's metric on dev by which `select: best-on-dev` chooses; by default the primary one, which "
        "verdicts are about in any case.",
        json_schema_extra={"neutral": None},
    )
    early_stopping: EarlyStopping | None = Field(
        None,
        description="Ends the training when dev gets no better; needs `select: best-on-dev`. The schedule of the learning rate "
        "stays that of the whole length.",
        json_schema_extra={"neutral": None},
    )
    frozen_embeddings: bool = Field(False, description="Embeddings do not train.", json_schema_extra={"neutral": False})

    def is_built_in(self, key: Literal["optimizer", "loss"]) -> bool:
        """Whether the value of this key needs no plugin."""
        return getattr(self, key) in BUILT_IN[key]

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, data: Any) -> Any:
        """Sets `epochs` to None where `max_steps` is given, so that one training has one spelling and one id."""
        if isinstance(data, dict) and data.get("max_steps") is not None:
            if data.get("epochs") is not None:
                raise ValueError("epochs and max_steps exclude each other; max_steps counts optimizer steps")
            return {**data, "epochs": None}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.epochs is None and self.max_steps is None:
            raise ValueError("one of epochs and max_steps is needed")
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            divisors = [size for size in range(1, min(self.batch_size, 1024) + 1) if self.batch_size % size == 0]
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}: "
                f"{', '.join(map(str, divisors))} do"
            )
        for key, lost, needed in (
            ("min_steps", self.min_steps is not None and self.epochs is None, "epochs"),
            ("momentum", self.momentum != 0 and self.optimizer != "sgd", "optimizer: sgd"),
            ("bias_correction", not self.bias_correction and self.optimizer != "adamw", "optimizer: adamw"),
            ("power", self.power != 1 and self.scheduler != "polynomial", "scheduler: polynomial"),
            ("cycles", self.cycles != 1 and self.scheduler != "cosine_with_restarts", "scheduler: cosine_with_restarts"),
            ("decay", self.decay != 0.1 and self.scheduler != "warmup_stable_decay", "scheduler: warmup_stable_decay"),
            ("betas", self.betas != [0.9, 0.999] and self.optimizer not in BUILT_IN["optimizer"], "optimizer: adamw"),
            ("eps", self.eps != 1e-8 and self.optimizer not in BUILT_IN["optimizer"], "optimizer: adamw"),
            ("label_smoothing", self.label_smoothing != 0 and self.loss != "default", "loss: default"),
        ):
            if lost:
                raise ValueError(f"{key} has an effect only with `{needed}`: set that, or leave {key} out")
        if self.precision == "fp16" and self.fused:
            raise ValueError(
                "precision: fp16 needs `fused: false` too: a fused optimizer skips a step whose gradients overflowed, and the "
                "schedule of the learning rate does not see it"
            )
        if not self.bias_correction and max(self.betas) > LARGEST_UNCORRECTED_BETA:
            raise ValueError(f"with bias_correction: false, betas must be {spelt(LARGEST_UNCORRECTED_BETA)} or less")
        return self


def steps_in(length: float, total: int) -> int:
    """Steps that are given as a number of steps (an integer) or as a share of all steps (a float), rounded up."""
    return math.ceil(length * total) if isinstance(length, float) else length


def steps_of(examples: int, *, epochs: float, batch_size: int, min_steps: int | None = None) -> int:
    """The number of optimizer steps for this many epochs over this many examples, at least `min_steps`. A fraction of an epoch
    has that fraction of its steps, rounded up, as in transformers' Trainer."""
    steps = epochs * math.ceil(examples / batch_size)
    return max(1, math.ceil(steps - 1e-6), min_steps or 0)  # 0.07 x 100 is 7.000000000000001


FOLLOWED_BY_ALL = frozenset({"train_examples", "subset"})
"""Recipe keys that the harness follows itself, whoever trains."""
DEFAULTS = Recipe()
"""The recipe of an experiment file that sets no hyper-parameter."""
