"""What a user may write in an experiment file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)
from pydantic.config import JsonDict

from bakeoff.contracts.fields import LARGEST_SEED, MOST_SEEDS, Number, Positive
from bakeoff.contracts.recipe import DEFAULTS, Options, Recipe
from bakeoff.spec.other_names import not_found
from bakeoff.spec.seeds import EXAMPLE, Reported
from bakeoff.spec.strategy import (
    Model,
    Name,
    Reading,
    SearchSpace,
    Strategy,
    Task,
    Title,
    checked_prose,
    read_strategy,
)
from bakeoff.spec.varied import VariedKey
from bakeoff.text.tolerances import PERCENT, QUALITY, cost_tolerance, exactly, quality_tolerances

Prose = Annotated[str, Field(max_length=500), AfterValidator(checked_prose)]


PARTS = ("trainer", "method", "model", "recipe", "loss", "software", "hardware")
UNDER_TEST = (*PARTS, *(f"recipe.{key}" for key in Recipe.model_fields))
"""The values of `under_test`. `loss` means how a trainer scales loss and gradients."""


def _checked_part(part: str) -> str:
    if part not in UNDER_TEST:
        raise ValueError(not_found("part of a strategy", part, UNDER_TEST))
    return part


Part = Annotated[str, AfterValidator(_checked_part), WithJsonSchema({"enum": list(UNDER_TEST)})]


class ImportedRow(Options):
    """A published figure, shown in grey beside the rows and never tested."""

    name: Title = Field(description="What its row is called.")
    source: Title = Field(description="Where it was published.")
    split: Name = Field(description="The split that it was measured on.")
    scores: Annotated[dict[Name, Number], Field(min_length=1)] = Field(
        description="Metric -> score, in the metric's own unit: accuracy from 0 to 1."
    )
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(1, description="The number of runs whose mean the figure is.")
    task: str | None = Field(None, description="The task that it is about; required if there are several.")


def _checked_file(name: str) -> str:
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError("must be the name of a file below the folder of the experiment file")
    return path.as_posix()


class ImportedRun(Options):
    """A run that was made elsewhere: a file of its predictions. Runs with one name are one strategy."""

    strategy: Name = Field(description="The strategy that it is a run of; no other strategy of the file has this name.")
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(description="Its seed; each file has another one.")
    predictions: Annotated[str, AfterValidator(_checked_file)] = Field(
        description="A file beside the experiment file (Parquet, JSON lines, CSV or TSV) with the columns split, id, answer "
        "and perhaps scores, for every row that is to be predicted: those of `bakeoff show task TASK --rows FOLDER`."
    )
    task: str | None = Field(None, description="The task whose rows it answers; required if there are several.")


PLAIN_MARGIN = ""
"""The key in `margin` of a value that was given without a unit."""


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
def _one_quality_rule(value: Any) -> str:
    parts = value if isinstance(value, list) and value else [value]
    return ", ".join(map(str, quality_tolerances(",".join(part if isinstance(part, str) else "" for part in parts))))


def _one_cost_rule(value: Any) -> str:
    return f"+{exactly(cost_tolerance(value if isinstance(value, str) else ''))}%"


_QUALITY_SCHEMA: JsonDict = {"type": "string", "pattern": f"^{QUALITY.pattern}$"}
QualityRule = Annotated[
    str | None,
    BeforeValidator(_one_quality_rule),
    WithJsonSchema({"anyOf": [_QUALITY_SCHEMA, {"type": "array", "items": _QUALITY_SCHEMA, "minItems": 1}]}),
]
CostRule = Annotated[
    str | None,
    BeforeValidator(_one_cost_rule),
    WithJsonSchema({"type": "string", "pattern": f"^{PERCENT.pattern}$"}),
]


class Gate(Options):
    """How much worse than its baseline a candidate may be. Figures that are left out are not checked."""

    quality: QualityRule = Field(
        None,
        description="How much worse the primary metric may get: `-1.0 points`, or `+0.05 mae` of an error; or a list.",
    )
    train_seconds: CostRule = Field(None, description="How much longer it may take: `+10%`.")
    evaluate_seconds: CostRule = Field(None, description="How much longer it may take: `+10%`.")
    total_seconds: CostRule = Field(None, description="How much longer it may take: `+10%`.")
    peak_memory: CostRule = Field(None, description="How much more memory it may need: `+10%`.")


class Spec(Options):
    """A validated experiment file."""

    model_config = ConfigDict(validate_default=True)

    name: Name = Field(description="What the experiment is called in tables and records; no part of any run's id.")
    question: Prose = Field("", description="What the experiment is to find out, in one line; it stands above its tables.")
    tasks: Annotated[list[Task], Field(min_length=1)] = Field(
        description="The datasets that each strategy is trained on: names, or mappings with a name and options."
    )
    models: Annotated[list[Model], Field(min_length=1)] = Field(
        default_factory=list,
        validate_default=False,
        description="The models that all strategies without one of their own fine-tune: names, or mappings with a name and "
        "options. May be left out where each strategy names a model, or has a trainer with one.",
    )
    recipe: Recipe = Field(DEFAULTS, description="The hyper-parameters that all strategies share unless one has its own.")
    strategies: Annotated[dict[Name, Annotated[Strategy, WrapValidator(read_strategy)]], Field(min_length=1)] = Field(
        description="What is compared, by name: each is a trainer, a method and changes to the recipe; one row of the table."
    )
    vary: VariedKey = Field(
        None,
        description="One recipe key with two or more values, like train_examples: [64, 256, all]: each strategy is made at "
        "each value, and compared with the others at the same value.",
    )
    baseline: Name | None = Field(None, description="The strategy that the others are compared with; default: the first.")
    under_test: list[Part] | None = Field(
        None,
        description="What the experiment is about, e.g. trainer, method, recipe.learning_rate, loss, software, hardware: "
        "whatever else differs between two strategies confounds their comparison. Default: all that strategies spell out "
        "differently in this file.",
    )
    hardware: Annotated[list[Title], Field(min_length=1)] | None = Field(
        None,
        description="The hardware classes that runs may be made on, as `bakeoff doctor` names them: a run on another one is "
        "refused. Scores are compared across those named here, times never. Default: all runs on one class.",
    )
    search: SearchSpace | None = Field(
        None, description="How each strategy's configuration is chosen, unless it has a search of its own."
    )
    seeds: Reported = Field(
        [0, 1, 2],
        validate_default=True,
        description=f"The number of seeds (0, 1, ...), a list, or looks, like {EXAMPLE}: then runs are made look by look, "
        "only as long as they can still decide something.",
    )
    report_on: Name = Field(
        "test", description="The split whose scores are compared; default: test, or dev where a task's `split` makes dev alone."
    )
    select: Literal["last-epoch", "best-on-dev"] = Field(
        "last-epoch",
        description="Which state of a run is evaluated: its last, or of those at the ends of its epochs the one with the best "
        "primary metric on dev (the first of equals).",
    )
    margin: Margins = Field(
        {},
        description="Differences inside it are called equivalent when shown. A number, in the unit in which the primary metric "
        "is shown; for several units one each: {points: 1.0, mae: 0.05}. Default where that is points: 1.0, or "
        "what one example is worth if that is more; else it is needed.",
    )
    gate: Gate = Field(Gate(), description="How much worse a candidate may be than its baseline, for `bakeoff gate`.")
    imported: list[ImportedRow] = Field(
        default_factory=list, description="Published figures, shown beside the results and never tested."
    )
    imported_runs: list[ImportedRun] = Field(
        default_factory=list,
        description="Runs that were made elsewhere, by their predictions: they take part in all statistics of quality, and "
        "have no times.",
    )
    checkpoint_every: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Steps between checkpoints; a run that was killed resumes from its last one, with the same result."
    )
    keep: Literal["none", "final"] = Field(
        "none", description="`final` saves the trained model beside its record, as plain transformers load it."
    )
    run_timeout: Positive | None = Field(None, description="Seconds after which a run counts as failed; default: none.")

    @field_validator("*", mode="wrap")
    @classmethod
    def _checked(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo[Reading]) -> Any:
        return info.context.keys.check(str(info.field_name), value, handler)
