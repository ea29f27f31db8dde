"""What a user may write in an experiment file."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from bakeoff.contracts.fields import LARGEST_SEED, MOST_SEEDS, MOST_TRIALS
from bakeoff.contracts.recipe import COMPONENT_NAME, Finite, Options, Positive, Recipe, _none_word
from bakeoff.text.allowance import PERCENT, QUALITY, exactly, losses, percent
from bakeoff.text.words import did_you_mean, quoted

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")


def _checked_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(
            "a name is up to 64 letters, digits, '.', '_' and '-', starts with a letter or digit, and ends in no '.'"
        )
    return text


def _checked_prose(text: str) -> str:
    line = text.strip("\n").replace("\n", " ")  # YAML's block scalars end in a line break
    if not line.isprintable():
        raise ValueError("this must be one line of plain text, without control characters")
    return line


Name = Annotated[str, AfterValidator(_checked_name), Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})]
Prose = Annotated[str, Field(max_length=500), AfterValidator(_checked_prose)]


class Ref(BaseModel):
    """A component by name, with its options beside the name: `minilm` or `{name: hub, path: ...}`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if not isinstance(data, dict):
            raise ValueError("must be a component's name, or a mapping with 'name' and its options")
        return data

    @model_validator(mode="after")
    def _safe_name(self) -> Self:
        if not COMPONENT_NAME.fullmatch(self.name):
            raise ValueError(
                f"{quoted(self.name)} cannot be a component's name (lower-case letters, digits, '.', '_', '-', one '/')"
            )
        return self

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(value))
    if not isinstance(value, list):
        raise ValueError(f"must be how many seeds (1 to {MOST_SEEDS}), or a list of them")
    return value


def _different_seeds(seeds: list[int]) -> list[int]:
    if twice := sorted(seed for seed, times in Counter(seeds).items() if times > 1):
        raise ValueError(f"each seed may stand once; twice: {', '.join(map(str, twice[:10]))}")
    return seeds


Seeds = Annotated[
    list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(_seed_list),
    AfterValidator(_different_seeds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED},
                    "minItems": 1,
                    "maxItems": MOST_SEEDS,
                    "uniqueItems": True,
                },
            ]
        }
    ),
]


FIRST_TRIAL_SEED = 1000
"""Where a search's seeds begin when the experiment file says only how many: apart from seeds 0, 1, 2, ..."""
MOST_CONFIGURATIONS = 1000


def _trial_seeds(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + value))
    return _seed_list(value)


class SearchSpace(BaseModel):
    """How a configuration is chosen before the reported runs: recipe keys, `trainer.KEY` or `method.KEY`, each with a list of
    values to try, in all combinations."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    seeds: Annotated[Seeds, BeforeValidator(_trial_seeds)] = Field(
        [FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + 1],
        description=f"How many ({FIRST_TRIAL_SEED}, ...), or an explicit list; none of them may be a reported seed.",
    )
    choose: Literal["best mean on dev"] = Field(
        "best mean on dev",
        description="The configuration with the best mean of the primary metric on dev is reported; of equals the first.",
    )

    @model_validator(mode="after")
    def _some_grid(self) -> Self:
        if not self.grid:
            raise ValueError("a search needs a key with values to try, e.g. learning_rate: [1e-5, 3e-5, 1e-4]")
        for key, values in self.grid.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"{quoted(key)} needs a list of values to try")
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"each value of {quoted(key)} may stand once")
        if math.prod(len(values) for values in self.grid.values()) > MOST_CONFIGURATIONS:
            raise ValueError(f"at most {MOST_CONFIGURATIONS} configurations can be searched")
        return self

    @property
    def grid(self) -> dict[str, list[Any]]:
        return dict(self.model_extra or {})


SearchChoice = Annotated[SearchSpace | None, BeforeValidator(_none_word)]


class Strategy(Options):
    """A trainer, a method and changes to the recipe: one row of the leaderboard."""

    trainer: Ref | None = None
    method: Ref | None = None
    recipe: dict[str, Any] = Field(default_factory=dict, description="Recipe keys in which this strategy differs.")
    same_as: Name | None = Field(None, description="The strategy that this one repeats; with `replicate`, an A/A arm.")
    replicate: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        0, description="Another number draws other seed streams from the same seeds."
    )
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = Field(
        1,
        description="Configurations that were tried before this one was settled on; "
        "stands in the table, is not part of the id.",
    )
    search: SearchChoice = Field(None, description="In place of the experiment's search; `none` for none.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.same_as is None and self.trainer is None:
            raise ValueError("a strategy needs a trainer (or same_as: another strategy)")
        if self.search is not None and self.trials != 1:
            raise ValueError("trials says how many configurations were tried elsewhere; a search counts its own")
        if self.same_as is not None and (self.trainer or self.method or self.recipe or self.search or self.trials != 1):
            raise ValueError("same_as repeats another strategy whole: only 'replicate' may stand beside it")
        return self


PARTS = ("trainer", "method", "model", "recipe", "loss", "software", "hardware")
UNDER_TEST = (*PARTS, *(f"recipe.{key}" for key in Recipe.model_fields))
"""`loss` is how a trainer scales loss and gradients."""


def _checked_part(part: str) -> str:
    if part not in UNDER_TEST:
        raise ValueError(did_you_mean("part of a strategy", part, UNDER_TEST))
    return part


Part = Annotated[str, AfterValidator(_checked_part), WithJsonSchema({"enum": list(UNDER_TEST)})]


def _some_text(line: str) -> str:
    if not line.strip():
        raise ValueError("must not be empty")
    return line


Title = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_checked_prose), AfterValidator(_some_text)]


class ImportedRow(Options):
    """A figure that somebody published: shown greyed beside the rows, never tested."""

    name: Title
    source: Title = Field(description="Where it was published.")
    split: Annotated[str, AfterValidator(_checked_name)] = Field(description="The split that it was measured on.")
    scores: Annotated[dict[Name, Finite], Field(min_length=1)] = Field(
        description="Metric -> score, in the metric's own unit: accuracy from 0 to 1."
    )
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(1, description="Runs that the figure is the mean of.")
    task: str | None = Field(None, description="Which of the tasks; needed where there are several.")


PLAIN_MARGIN = ""
"""The key of a margin that is a number alone."""


def _margins_by_unit(value: Any) -> Any:
    return value if isinstance(value, dict) else {PLAIN_MARGIN: value}


Margins = Annotated[
    dict[str, Positive],
    BeforeValidator(_margins_by_unit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
            ]
        }
    ),
]


# Text only, so that the unit is said; with one spelling in the record.
def _losses_allowed(value: Any) -> str:
    parts = value if isinstance(value, list) and value else [value]
    return ", ".join(map(str, losses(",".join(part if isinstance(part, str) else "" for part in parts))))


def _percent_allowed(value: Any) -> str:
    return f"+{exactly(percent(value if isinstance(value, str) else ''))}%"


_LOSS_SCHEMA: JsonDict = {"type": "string", "pattern": f"^{QUALITY.pattern}$"}
LossesAllowed = Annotated[
    str | None,
    BeforeValidator(_losses_allowed),
    WithJsonSchema({"anyOf": [_LOSS_SCHEMA, {"type": "array", "items": _LOSS_SCHEMA, "minItems": 1}]}),
]
PercentAllowed = Annotated[
    str | None,
    BeforeValidator(_percent_allowed),
    WithJsonSchema({"type": "string", "pattern": f"^{PERCENT.pattern}$"}),
]


class Gate(Options):
    """How much worse than its baseline a candidate may be; what is left out is not looked at."""

    quality: LossesAllowed = Field(
        None,
        description="What the primary metric may lose: `-1.0 points`, or `+0.05 mae` of an error; for several metrics a list.",
    )
    train_seconds: PercentAllowed = Field(None, description="Time that may be added: `+10%`.")
    evaluate_seconds: PercentAllowed = Field(None, description="Time that may be added: `+10%`.")
    total_seconds: PercentAllowed = Field(None, description="Time that may be added: `+10%`.")
    peak_memory: PercentAllowed = Field(None, description="Memory that may be added: `+10%`.")

    @property
    def stated(self) -> dict[str, str]:
        return {key: text for key, text in self if text is not None}


class Spec(Options):
    """One experiment file."""

    name: Name
    question: Prose = ""
    tasks: Annotated[list[Ref], Field(min_length=1)]
    models: Annotated[list[Ref], Field(min_length=1)]
    recipe: Recipe = Recipe()
    strategies: Annotated[dict[Name, Strategy], Field(min_length=1)]
    baseline: Name | None = Field(None, description="The strategy that the others are held against; default: the first.")
    under_test: list[Part] = Field(
        default_factory=list,
        description="What is studied, e.g. trainer, method, recipe.learning_rate, loss, software, hardware.",
    )
    search: SearchSpace | None = Field(
        None, description="How each strategy's configuration is chosen, unless it has a search of its own."
    )
    seeds: Seeds = Field([0, 1, 2], description="How many (0, 1, ...), or an explicit list.")
    report_on: Annotated[str, AfterValidator(_checked_name)] = Field("test", description="The split of the headline figures.")
    select: Literal["last-epoch", "best-on-dev"] = Field(
        "last-epoch",
        description="Which state of a run is evaluated: its last, or of those at the ends of its epochs the one with the best "
        "primary metric on dev (the first of equals).",
    )
    margin: Margins = Field(
        {},
        description="Differences inside it are called equivalent when shown. A number, in the unit in which the primary metric "
        "is shown; for several units one each: {points: 1.0, mae: 0.05}. Default: 1.0 where that is points; else it is needed.",
    )
    gate: Gate = Field(Gate(), description="How much worse a candidate may be than its baseline, for `bakeoff gate`.")
    imported: list[ImportedRow] = Field(
        default_factory=list, description="Published figures, shown beside the rows and never tested."
    )
    checkpoint_every: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Steps between checkpoints: a run that was killed goes on from its last one, to the same result."
    )
    keep: Literal["none", "final"] = Field(
        "none", description="`final` saves the trained model beside its record, as plain transformers load it."
    )
    run_timeout: Positive | None = Field(None, description="Seconds after which a run counts as failed; default: none.")
