"""The parts of an experiment file that describe strategies and components, and which of them were found valid."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
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
from bakeoff.contracts.recipe import DEFAULTS, DEFINED, Options, Recipe, _none_word
from bakeoff.contracts.registry import Registry
from bakeoff.errors import PluginError
from bakeoff.spec.advice import unknown_component
from bakeoff.spec.messages import reworded, validation_error
from bakeoff.spec.seeds import Seeds, seed_list
from bakeoff.text.numbers import rounded
from bakeoff.text.values import spelt
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


class SearchRange(BaseModel):
    """The values from `low` to `high`, both included; whole ones for a recipe key that is a number of something."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: int | float = Field(description="The smallest value.")
    high: int | float = Field(description="The largest value.")
    log: bool = Field(False, description="Drawn evenly on the logarithm of the values, as learning rates should be.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low is {spelt(self.low)} and high {spelt(self.high)}: low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {spelt(self.low)}, and with `log: true` it must be above 0")
        return self

    def at(self, share: float, *, whole: bool) -> int | float:
        """The value at a share of the way from low to high, 0 to 1: a whole number, each as likely, or a number with three
        significant digits."""
        more = 1 if whole else 0
        low, high = (math.log(end) if self.log else float(end) for end in (self.low, self.high + more))
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        return min(max(math.floor(value) if whole else rounded(value, 3), self.low), self.high)


def _range_of(key: str, given: dict[str, Any]) -> SearchRange:
    try:
        return SearchRange.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, (key, *first["loc"])))
        raise ValueError(f"{quoted(where)}: {first['msg'].removeprefix('Value error, ')}") from None


def is_whole(key: str, values: SearchRange) -> bool:
    """Whether a range is of whole numbers: both ends are, and the recipe key, if it is one, is no share or rate."""
    kind = str(Recipe.model_fields[key].annotation) if key in Recipe.model_fields else "int"
    return isinstance(values.low, int) and isinstance(values.high, int) and "int" in kind


def drawn(given: Mapping[str, list[Any] | SearchRange], budget: int, seed: int) -> list[dict[str, Any]]:
    """`budget` distinct configurations, key -> value: points of the Sobol sequence (Joe and Kuo, 2008; scipy's, unscrambled),
    all shifted by one random vector of the seed, modulo 1 (Cranley and Patterson, 1976).

    Lists and ranges of whole numbers may have fewer combinations than the budget; then there are fewer.
    """
    import numpy as np
    from scipy.stats import qmc

    shift = np.random.Generator(np.random.PCG64(seed)).random(len(given))
    points = qmc.Sobol(len(given), scramble=False).random_base2((16 * budget).bit_length())
    found: dict[str, dict[str, Any]] = {}
    for point in (points + shift) % 1.0:
        values = {
            key: values.at(float(share), whole=is_whole(key, values))
            if isinstance(values, SearchRange)
            else values[int(share * len(values))]
            for (key, values), share in zip(given.items(), point, strict=True)
        }
        found.setdefault(repr(values), values)
        if len(found) == budget:
            break
    return [*found.values()]


FIRST_TRIAL_SEED = 1000
"""The first seed of a search that names only how many seeds; far from the reported seeds 0, 1, 2, ..."""
MOST_CONFIGURATIONS = 1000


class SearchSpace(BaseModel):
    """The configurations that a search tries before the reported runs: recipe keys, `trainer.KEY` or `method.KEY`, each with
    a list of values, or with a range (`{low: 1e-5, high: 1e-3, log: true}`). All combinations of lists are tried; with a
    `budget` so many, drawn in advance."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        json_schema_extra={
            "patternProperties": {
                f"^({'|'.join(Recipe.model_fields)}|(trainer|method)\\..+)$": {
                    "anyOf": [{"type": "array", "minItems": 1, "uniqueItems": True}, {DEFINED: "SearchRange"}]
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

    budget: Annotated[int, Field(ge=1, le=MOST_CONFIGURATIONS)] | None = Field(
        None,
        description="How many configurations are tried, the same number for every strategy; drawn as points of a Sobol "
        "sequence before the first run. Default: all combinations of the lists.",
    )
    draw: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        0, description="The seed by which the points of a `budget` are drawn; another one draws others."
    )

    @model_validator(mode="after")
    def _some_grid(self) -> Self:
        if not self.given:
            raise ValueError("a search needs a key with values to try, e.g. learning_rate: [1e-5, 3e-5, 1e-4]")
        for key, values in self.given.items():
            if isinstance(values, SearchRange):
                if self.budget is None:
                    raise ValueError(f"{quoted(key)} is a range: say how many configurations are tried, e.g. budget: 8")
                continue
            if not isinstance(values, list) or not values:
                raise ValueError(f"{quoted(key)} needs a list of values to try, or a range like {{low: 1e-5, high: 1e-3}}")
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"{quoted(key)} has a value twice; give each once")
        lists = [values for values in self.given.values() if isinstance(values, list)]
        every = math.prod(map(len, lists))
        if len(lists) == len(self.given):
            if self.budget is None and every > MOST_CONFIGURATIONS:
                raise ValueError(f"at most {MOST_CONFIGURATIONS} configurations can be searched: give fewer values")
            if self.budget is not None and self.budget >= every:
                raise ValueError(f"budget: all {every} combinations of these lists are tried without one: leave it out")
        return self

    @cached_property
    def given(self) -> dict[str, list[Any] | SearchRange]:
        """Key -> the values to try, or their range. Raises ValueError for a range that is none."""
        return {
            key: _range_of(key, values) if isinstance(values, dict) and {"low", "high"} & values.keys() else values
            for key, values in (self.model_extra or {}).items()
        }

    @cached_property
    def configurations(self) -> list[dict[str, Any]]:
        """What is tried: key -> value, in the order of the trials."""
        if self.budget is None:
            lists = [values for values in self.given.values() if isinstance(values, list)]
            return [dict(zip(self.given, combination, strict=True)) for combination in itertools.product(*lists)]
        return drawn(self.given, self.budget, self.draw)

    @cached_property
    def grid(self) -> dict[str, list[Any]]:
        """Key -> the distinct values that are tried."""
        return {
            key: values
            if isinstance(values, list)
            else list(dict.fromkeys(configuration[key] for configuration in self.configurations))
            for key, values in self.given.items()
        }

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
