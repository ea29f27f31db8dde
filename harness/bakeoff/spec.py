"""What a user may write in an experiment file, and where in the file each thing stands."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bakeoff.errors import BakeoffError, Problem, SpecError, quoted, unknown

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 50_000

KeyPath = tuple[str | int, ...]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COMPONENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63})?")


def _checked_name(text: str) -> str:
    if not NAME.fullmatch(text) or text.endswith("."):
        raise ValueError("a name is up to 64 letters, digits, '.', '_' and '-', and starts with a letter or digit")
    return text


def _checked_prose(text: str) -> str:
    if not all(character.isprintable() for character in text):
        raise ValueError("control characters are not allowed here")
    return text


Name = Annotated[str, AfterValidator(_checked_name), Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})]
Prose = Annotated[str, Field(max_length=500), AfterValidator(_checked_prose)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """The base of everything that a user writes: unknown keys and loose types are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)


def _checked_warmup(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected steps (an integer) or a share of all steps (0.0 up to, not including, 1.0)")
    if not math.isfinite(value) or value < 0 or (isinstance(value, float) and value >= 1):
        raise ValueError("expected steps (an integer, 0 or more) or a share of all steps (0.0 up to, not including, 1.0)")
    return value or 0  # 0 steps and a share of 0.0 are one thing


def _none_word(value: Any) -> Any:
    return None if value == "none" else value


class Recipe(Options):
    """The hyper-parameters that every strategy shares unless it says otherwise. The defaults are the course chapter's."""

    epochs: Count | None = Field(3, description="Passes over the training split; not in effect when max_steps is given.")
    max_steps: Count | None = Field(None, description="Optimizer steps, in place of epochs; starts over when data ends.")
    batch_size: Count = Field(8, description="Examples per optimizer step.")
    learning_rate: Positive = Field(5e-5, description="Peak learning rate.")
    optimizer: Literal["adamw"] = "adamw"
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field([0.9, 0.999], description="Of Adam.")
    eps: Positive = Field(1e-8, description="Of Adam's denominator.")
    fused: bool = Field(True, description="The optimizer's fused kernel; it rounds differently from the plain one.")
    weight_decay: NotNegative = Field(0.0, description="Decoupled, as in AdamW.")
    weight_decay_exempt: list[Literal["bias", "norm"]] = Field(
        ["bias", "norm"], description="Parameters without weight decay: biases, normalisation layers; [] for none."
    )
    max_grad_norm: Annotated[Positive | None, BeforeValidator(_none_word)] = Field(
        1.0, description="Gradients are clipped to this global 2-norm; `none` for no clipping."
    )
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[int | float, BeforeValidator(_checked_warmup)] = Field(
        0, description="Steps (an integer) or a share of all steps (a number below 1)."
    )
    max_length: Annotated[int, Field(ge=4, le=8192)] = Field(128, description="Tokens; longer inputs are cut.")
    padding: Literal["longest", "max_length"] = Field("longest", description="Pad to the batch's longest or to max_length.")
    precision: Literal["fp32"] = "fp32"

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, data: Any) -> Any:
        """`max_steps` stands in for `epochs`, so that one training has one spelling and one id."""
        if isinstance(data, dict) and data.get("max_steps") is not None:
            if data.get("epochs") is not None:
                raise ValueError("epochs and max_steps exclude each other; max_steps counts optimizer steps")
            return {**data, "epochs": None}
        return data

    @model_validator(mode="after")
    def _some_length(self) -> Self:
        if self.epochs is None and self.max_steps is None:
            raise ValueError("one of epochs and max_steps is needed")
        return self


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
            raise ValueError("expected a component's name, or a mapping with 'name' and its options")
        return data

    @model_validator(mode="after")
    def _safe_name(self) -> Self:
        if not COMPONENT_NAME.fullmatch(self.name):
            raise ValueError(f"{quoted(self.name)} cannot be a component's name (lower-case letters, digits, '.', '_', '-', one '/')")
        return self

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Strategy(Options):
    """A trainer, a method and changes to the recipe: one row of the leaderboard."""

    trainer: Ref | None = None
    method: Ref | None = None
    recipe: dict[str, Any] = Field(default_factory=dict, description="Recipe keys in which this strategy differs.")
    same_as: Name | None = Field(None, description="The strategy that this one repeats; with `replicate`, an A/A arm.")
    replicate: Annotated[int, Field(ge=0)] = Field(0, description="Another number draws other seed streams from the same seeds.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.same_as is None and self.trainer is None:
            raise ValueError("a strategy needs a trainer (or same_as: another strategy)")
        if self.same_as is not None and (self.trainer or self.method or self.recipe):
            raise ValueError("same_as repeats another strategy whole: only 'replicate' may stand beside it")
        return self


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 10_000:
            raise ValueError(f"expected how many seeds (1 to 10000), or a list of them; got {value}")
        return list(range(value))
    if not isinstance(value, list):
        raise ValueError("expected how many seeds (1 to 10000), or a list of them")
    return value


def _different_seeds(seeds: list[int]) -> list[int]:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"each seed may stand once; twice: {', '.join(map(str, twice))}")
    return seeds


Seeds = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]],
    Field(min_length=1, max_length=10_000),
    BeforeValidator(_seed_list),
    AfterValidator(_different_seeds),
]


class Spec(Options):
    """One experiment file."""

    name: Name
    question: Prose = ""
    tasks: Annotated[list[Ref], Field(min_length=1)]
    models: Annotated[list[Ref], Field(min_length=1)]
    recipe: Recipe = Recipe()
    strategies: Annotated[dict[Name, Strategy], Field(min_length=1)]
    baseline: Name | None = Field(None, description="The strategy that the others are held against; default: the first.")
    under_test: list[str] = Field(
        default_factory=list, description="What is studied, e.g. trainer, method, recipe.learning_rate, software, hardware."
    )
    seeds: Seeds = Field([0, 1, 2], description="How many (0, 1, ...), or an explicit list.")
    report_on: Annotated[str, AfterValidator(_checked_name)] = Field("test", description="The split of the headline figures.")
    select: Literal["last-epoch"] = Field("last-epoch", description="Which state of a run is evaluated.")
    margin: Positive = Field(1.0, description="Points; differences inside it are called equivalent when shown.")
    keep: Literal["none"] = Field("none", description="What else a run leaves behind.")
    run_timeout: Positive | None = Field(None, description="Seconds after which a run counts as failed; default: none.")


@dataclass(frozen=True)
class Document:
    """An experiment file as plain data, with the place of each key."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, tuple[int, int]]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """The message at the deepest place that the path has in the file."""
        for length in range(len(path), -1, -1):
            if (place := self.places.get(path[:length])) is not None:
                break
        else:
            place = (1, 1)
        return Problem(self.file, *place, dotted(path), message)

    @cached_property
    def parsed(self) -> tuple[Spec | None, list[Problem]]:
        """The validated spec, or what is wrong in it."""
        try:
            return Spec.model_validate(self.data), []
        except ValidationError as error:
            return None, self.problems_of(error)

    def problems_of(self, error: ValidationError, prefix: KeyPath = (), *, model: type[BaseModel] = Spec) -> list[Problem]:
        found = []
        for detail in error.errors(include_url=False):
            path = prefix + tuple(part for part in detail["loc"] if part != "[key]")
            found.append(self.problem(path, sentence(detail, model)))
        return found


def dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text if text.isprintable() and len(text) <= 120 else quoted(text)


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that owns the last key of the path, where it can be told."""
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        for candidate in _models_in(field.annotation if field else None):
            model = candidate
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """pydantic's finding in one line: what is expected, and what was given."""
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return unknown("key", str(detail["loc"][-1]), _model_at(model, detail["loc"]).model_fields)
    if kind == "missing":
        return "this key is needed"
    message = detail["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected").replace("List should have", "expected").replace("Dictionary should have", "expected")
    if kind == "value_error" or isinstance(given, dict | list) or given is None:
        return message[0].lower() + message[1:]
    return f"{message[0].lower()}{message[1:]}; got {quoted(given) if isinstance(given, str) else given}"


def read_document(path: Path) -> Document:
    """The experiment file as data with places.

    Raises SpecError for a file that is no YAML mapping: missing, over 1 MB, binary, empty, with duplicate keys or tags.
    """
    file = quoted(path)[1:-1]

    def wrong(message: str, line: int = 0, column: int = 0) -> SpecError:
        return SpecError([Problem(file, line, column, "", message)])

    try:
        size = path.stat().st_size
        if path.is_dir():
            raise wrong("this is a folder; name the experiment file in it")
        if size > MAX_BYTES:
            raise wrong(f"an experiment file is at most {MAX_BYTES:,} bytes; this one has {size:,}")
        with path.open("rb") as stream:  # a pipe has no size: never read more than the limit
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise wrong(f"an experiment file is at most {MAX_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise wrong("no such file") from None
    except UnicodeDecodeError as error:
        raise wrong(f"not a text file: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from None

    from ruamel.yaml import YAML  # 0.1 s; `bakeoff --help` must not wait for it
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        tree = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        what = str(error.problem).split(" with value")[0].removeprefix("found ")
        raise wrong(f"{what} stands twice", mark.line + 1, mark.column + 1) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise wrong(f"not YAML: {error.problem or error.context}", *place) from None
    except YAMLError as error:
        raise wrong(f"not YAML: {quoted(str(error).splitlines()[0])}") from None
    except RecursionError:
        raise wrong(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # ruamel's scalars: a date such as 2024-99-99
        raise wrong(f"not YAML: {error}") from None
    if tree is None:
        raise wrong("the file is empty; docs/architecture.md shows an experiment file")
    if not isinstance(tree, dict):
        raise wrong("an experiment file is a mapping of keys (name, tasks, models, strategies, ...)", 1, 1)
    places: dict[KeyPath, tuple[int, int]] = {(): (1, 1)}
    try:
        data = _plain(tree, (), places, [0])
    except BakeoffError as error:
        raise wrong(str(error)) from None
    return Document(file, data, places)


def _plain(node: Any, path: KeyPath, places: dict[KeyPath, tuple[int, int]], budget: list[int]) -> Any:
    """ruamel's nodes as plain Python; notes places on the way; an alias bomb runs out of budget."""
    budget[0] += 1
    if budget[0] > MAX_NODES or len(path) > MAX_DEPTH:
        raise BakeoffError(f"more than {MAX_NODES:,} values or {MAX_DEPTH} levels")
    tag = getattr(getattr(node, "tag", None), "value", None)
    if tag:
        raise BakeoffError(f"YAML tags are not allowed: {quoted(tag)}")
    if isinstance(node, dict):
        result: dict[Any, Any] = {}
        for key, value in node.items():
            if not isinstance(key, str):
                raise BakeoffError(f"keys are words; got {quoted(key)}")
            here = (*path, str(key))
            if (lc := getattr(node, "lc", None)) is not None and lc.data and key in lc.data:
                places[here] = (lc.key(key)[0] + 1, lc.key(key)[1] + 1)
            result[str(key)] = _plain(value, here, places, budget)
        return result
    if isinstance(node, list):
        for index in range(len(node)):
            if (lc := getattr(node, "lc", None)) is not None and lc.data and index in lc.data:
                places[(*path, index)] = (lc.item(index)[0] + 1, lc.item(index)[1] + 1)
        return [_plain(value, (*path, index), places, budget) for index, value in enumerate(node)]
    if node is None or isinstance(node, bool):
        return node
    if type(node).__name__ == "ScalarBoolean":
        return bool(node)
    for plain in (int, float, str):
        if isinstance(node, plain):
            return plain(node)
    raise BakeoffError(f"expected a word, number, list or mapping; got {quoted(node)}")
