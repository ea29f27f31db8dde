"""The parts of an experiment file that describe strategies and components, and which of them were found valid."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from bakeoff.contracts.component import TITLED
from bakeoff.contracts.configured import LONGEST_TITLE, Configured
from bakeoff.contracts.fields import LARGEST_SEED, MOST_SEEDS, MOST_TRIALS
from bakeoff.contracts.recipe import DEFAULTS, Options, Recipe, _none_word
from bakeoff.contracts.registry import Registry
from bakeoff.errors import PluginError
from bakeoff.spec.advice import unknown_component
from bakeoff.spec.messages import reworded, validation_error
from bakeoff.spec.seeds import Seeds, seed_list
from bakeoff.text.words import first_line, quoted

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")


def checked_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(
            "a name is up to 64 letters, digits, '.', '_' and '-', starts with a letter or digit, and ends in no '.'"
        )
    return text


Name = Annotated[str, AfterValidator(checked_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]


def checked_prose(text: str) -> str:
    line = text.strip("\n").replace("\n", " ")  # YAML's block scalars end in a line break
    if not line.isprintable():
        raise ValueError("this must be one line of plain text, without control characters")
    return line


Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TITLE), AfterValidator(checked_prose)
]


DEFINED = "defined"
"""Key in pydantic's schemas whose value names a definition that `json_schema` adds."""


class Ref(BaseModel):
    """A reference to a component: its name, or a mapping with its name and options: `minilm` or `{name: hub, path: ...}`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if not isinstance(data, dict):
            raise ValueError("must be a component's name, or a mapping with 'name' and its options")
        return data


class TitledRef(Ref):
    """A reference to a task or model, which may have a title."""

    title: Title | None = Field(None, description="What tables and pages call it; by default a short name of its own.")


FIRST_TRIAL_SEED = 1000
"""The first seed of a search that names only how many seeds; far from the reported seeds 0, 1, 2, ..."""
MOST_CONFIGURATIONS = 1000


class SearchSpace(BaseModel):
    """The configurations that a search tries before the reported runs: recipe keys, `trainer.KEY` or `method.KEY`, each with
    a list of values; all combinations are tried."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        json_schema_extra={
            "patternProperties": {
                f"^({'|'.join(Recipe.model_fields)}|(trainer|method)\\..+)$": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                }
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
    )
    seeds: Annotated[Seeds, BeforeValidator(partial(seed_list, first=FIRST_TRIAL_SEED))] = Field(
        [FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + 1],
        description=f"How many ({FIRST_TRIAL_SEED}, ...), or an explicit list; none of them may be a reported seed.",
    )
    choose: Literal["best mean on dev"] = Field(
        "best mean on dev",
        description="The configuration with the best mean of the primary metric on dev is reported; of equals the first.",
    )
    repeat: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(
        1,
        description="How often the search is made, each time with trial seeds of its own: 1, or once for each reported seed, "
        "which then runs what its own search chose. So verdicts are about the strategy with its search; with one search they "
        "are about the one configuration that it chose.",
    )

    at: bool | int | float | str | None = Field(
        None,
        description="Where a key varies: the value, of `vary`, at which the search runs; its choice then holds at all values. "
        "Default: a search at each value.",
    )

    @model_validator(mode="after")
    def _some_grid(self) -> Self:
        if not self.grid:
            raise ValueError("a search needs a key with values to try, e.g. learning_rate: [1e-5, 3e-5, 1e-4]")
        for key, values in self.grid.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"{quoted(key)} needs a list of values to try")
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"{quoted(key)} has a value twice; give each once")
        if math.prod(len(values) for values in self.grid.values()) > MOST_CONFIGURATIONS:
            raise ValueError(f"at most {MOST_CONFIGURATIONS} configurations can be searched: give fewer values")
        return self

    @property
    def grid(self) -> dict[str, list[Any]]:
        return dict(self.model_extra or {})

    @property
    def parts(self) -> list[str]:
        """The parts of a strategy that the search chooses, named as in `under_test`: `recipe.learning_rate`, `trainer`."""
        return [key.partition(".")[0] if "." in key else f"recipe.{key}" for key in self.grid]

    def trial_seeds(self, number: int) -> list[int]:
        """The seeds of the trials of the search with this number, from 0: the first search has `seeds`, each later one the same
        seeds shifted past those of the one before."""
        width = max(self.seeds) - min(self.seeds) + 1
        return [seed + number * width for seed in self.seeds]


SearchChoice = Annotated[
    SearchSpace | None,
    BeforeValidator(_none_word),
    WithJsonSchema({"anyOf": [{DEFINED: "SearchSpace"}, {"const": "none"}, {"type": "null"}]}),
]


# --- what a pass over the file finds -------------------------------------------------------------------------------------


@dataclass
class Checked:
    """The valid values of a mapping, and the keys whose values are invalid."""

    valid: dict[str, Any] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def check(self, key: str, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        self.wrong.add(key)
        self.valid[key] = handler(value)
        self.wrong.remove(key)
        return self.valid[key]


@dataclass
class Reading:
    """The context of pydantic's pass over an experiment file: the registry, and everything found valid so far."""

    registry: Registry
    keys: Checked = field(default_factory=Checked)
    """The file's top-level keys, with the defaults of those that it leaves out."""
    components: dict[str, list[Configured | None]] = field(default_factory=lambda: defaultdict(list))
    """Kind -> all components that the file names, in its order; None in place of an invalid one. Models that strategies name
    for themselves stand under `own model`."""
    strategies: list[Strategy | None] = field(default_factory=list)
    """The strategies in the file's order; None in place of one with an invalid value."""
    named: dict[str, Strategy | None] = field(default_factory=dict)
    """The same strategies by name; filled once all are read."""
    strategy_keys: Checked = field(default_factory=Checked)
    """The keys of the strategy that is being validated."""


def _component(kind: str, *, among: str = "") -> PlainValidator:
    """A validator that finds the component to which a reference of this kind leads, and adds it to `Reading.components`.

    among: the key of `Reading.components` to add it to; the kind by default.
    """

    def look_up(entry: Any, info: ValidationInfo[Reading]) -> Configured:
        reading = info.context
        found = reading.components[among or kind]
        found.append(None)
        ref = (TitledRef if kind in TITLED else Ref).model_validate(entry)
        try:
            registered = reading.registry.get(kind, ref.name)
        except PluginError:
            told = unknown_component(kind, ref.name, reading.registry)
            raise validation_error(("unknown_component", ("name",), told, ref.name)) from None
        schema: type[Options] = registered.component.Options
        try:
            options, title = schema.model_validate(ref.options), ref.title if isinstance(ref, TitledRef) else None
            found[-1] = configured = Configured(registered, options, title or "")
        except ValidationError as error:
            raise reworded(error, schema) from None
        try:
            configured.title  # noqa: B018 - read here, where what the author's code raises has a place in the file
        except Exception as error:
            found[-1] = None
            message = f"{kind} '{ref.name}' ({registered.origin}): its title: {first_line(error)}"
            raise validation_error(("title", ("name",), message, ref.name)) from None
        return configured

    return PlainValidator(look_up)


@dataclass(frozen=True)
class OwnRecipe:
    """A strategy's changes to the shared recipe, and the resulting recipe (None if the shared one is invalid)."""

    changes: dict[str, Any]
    whole: Recipe | None


def merged_recipe(shared: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The shared recipe with a strategy's changes applied. Raises pydantic's ValidationError."""
    if not changes:
        return shared
    kept = {key: getattr(shared, key) for key in shared.model_fields_set}
    for given, replaced in (("max_steps", ("epochs", "min_steps")), ("epochs", ("max_steps",))):
        if given in changes:
            kept = {key: value for key, value in kept.items() if key not in replaced}
    return Recipe.model_validate({**kept, **changes})


def _own_recipe(changes: Any, info: ValidationInfo[Reading]) -> OwnRecipe:
    if not isinstance(changes, dict):
        raise PydanticKnownError("dict_type")
    shared: Recipe | None = info.context.keys.valid.get("recipe")
    try:
        whole = merged_recipe(shared or DEFAULTS, changes)
    except ValidationError as error:
        if shared is not None or {"epochs", "max_steps"} & changes.keys() or any(detail["loc"] for detail in error.errors()):
            raise reworded(error, Recipe) from None
        whole = None  # keys that go ill together with defaults, which need not be the shared values
    return OwnRecipe(changes, whole if shared else None)


Task = Annotated[Configured, _component("task"), WithJsonSchema({DEFINED: "task"})]
Model = Annotated[Configured, _component("model"), WithJsonSchema({DEFINED: "model"})]
OwnModel = Annotated[Configured, _component("model", among="own model"), WithJsonSchema({DEFINED: "model"})]
Method = Annotated[Configured, _component("method"), WithJsonSchema({DEFINED: "method"})]
Trainer = Annotated[Configured, _component("trainer"), WithJsonSchema({DEFINED: "trainer"})]


class Strategy(Options):
    """A trainer, a method, perhaps a model of its own, and changes to the recipe; one row of the leaderboard."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"required": ["same_as"], "properties": {"same_as": {"type": "string"}}},
            "then": {
                "properties": {
                    **{kind: {"type": "null"} for kind in ("trainer", "method", "model")},
                    "recipe": {"maxProperties": 0},
                    "search": {"enum": ["none", None]},
                    "trials": {"const": 1},
                }
            },
            "else": {"required": ["trainer"], "properties": {"trainer": {"not": {"type": "null"}}}},
        }
    )

    title: Title | None = Field(None, description="What tables and pages call this strategy, beside its name.")
    trainer: Trainer | None = Field(None, description="The training loop: a name, or a mapping with a name and options.")
    method: Method | None = Field(
        None, description="Which parameters train: a name, or a mapping with a name and options; default: `full`, all of them."
    )
    model: OwnModel | None = Field(
        None,
        description="The model that this strategy fine-tunes in place of the shared `models`: a name, or a mapping with a name "
        "and options. Its runs are made once, and stand beside those of every shared model.",
    )
    recipe: Annotated[OwnRecipe, PlainValidator(_own_recipe), WithJsonSchema({DEFINED: "RecipeChanges"})] = Field(
        {}, validate_default=True, description="Hyper-parameters in which this strategy differs from the shared recipe."
    )
    same_as: Name | None = Field(
        None,
        description="The strategy that this one repeats; with `replicate`, an A/A arm, which shows what chance alone does.",
    )
    replicate: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        0, description="Another number draws other random numbers from the same seeds."
    )
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = Field(
        1,
        description="How many configurations were tried before this one was chosen; "
        "shown in the table, not part of the run id.",
    )
    search: SearchChoice = Field(None, description="Replaces the experiment's search; `none`: no search.")

    @property
    def spelt_out(self) -> list[str]:
        """The parts that the file sets for this strategy, named as in `under_test`, without those that a search chooses."""
        named = [kind for kind in ("trainer", "method", "model") if getattr(self, kind) is not None]
        return [*named, *(f"recipe.{key}" for key in self.recipe.changes)]

    @field_validator("*", mode="wrap")
    @classmethod
    def _checked(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo[Reading]) -> Any:
        return info.context.strategy_keys.check(str(info.field_name), value, handler)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.same_as is None and self.trainer is None:
            raise ValueError("a strategy needs a trainer (or same_as: another strategy)")
        if self.search is not None and self.trials != 1:
            raise ValueError(
                "`trials` is for configurations tried outside Bakeoff; a search counts its own: leave `trials` out"
            )
        given = (self.trainer, self.method, self.model, self.recipe.changes, self.search)
        if self.same_as is not None and (any(given) or self.trials != 1):
            raise ValueError("same_as repeats another strategy whole: leave trainer, method, model, recipe, trials, search out")
        return self


def read_strategy(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo[Reading]) -> Any:
    """Validator of a strategy: keeps it in `Reading` if each of its values is valid by itself, even if their combination is
    not."""
    reading = info.context
    keys = reading.strategy_keys = Checked()
    try:
        return handler(value)
    finally:
        reading.strategies.append(Strategy.model_construct(**keys.valid) if keys.valid and not keys.wrong else None)
