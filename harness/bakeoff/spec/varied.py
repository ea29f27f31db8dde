"""A recipe key that varies: `vary: {train_examples: [64, 256, all]}` makes one strategy into one for each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import PlainValidator, ValidationError, WithJsonSchema
from pydantic.config import JsonDict

from bakeoff.contracts.recipe import Recipe
from bakeoff.spec.messages import sentence, validation_error
from bakeoff.spec.other_names import not_found
from bakeoff.text.values import spelt, yaml_value

ALL: Final = "all"
"""The value of `train_examples` that stands for the whole training split."""
SIZE: Final = "train_examples"
MOST_VALUES: Final = 50
LISTS: Final = ("betas", "weight_decay_exempt", "early_stopping")
"""Recipe keys that can't vary: their values are lists or mappings, and a row's name has no room for one."""
EXAMPLE: Final = "`vary: {train_examples: [64, 256, all]}`"


@dataclass(frozen=True)
class Varied:
    """The recipe key that varies, and its values in order."""

    key: str
    values: tuple[Any, ...]
    """None stands for `all` of `train_examples`, and for `none` of any other key."""

    def word(self, value: Any) -> str:
        """A value as it is written in the name of a row: `64`, `all`."""
        if value is None:
            return ALL if self.key == SIZE else "none"
        if isinstance(value, float):
            return short if float(short := spelt(value)) == value else repr(value)
        return yaml_value(value) if isinstance(value, bool) else str(value)

    def row(self, strategy: str, value: Any) -> str:
        """The name of the row that a strategy has at a value: `full@64`."""
        return f"{strategy}@{self.word(value)}"

    def said(self, given: Any) -> str:
        """What an experiment file gives as a value, as it is written in the name of a row."""
        return given if isinstance(given, str) else self.word(given)

    @property
    def words(self) -> list[str]:
        """The values as they are written in the names of rows."""
        return [self.word(value) for value in self.values]

    @property
    def written(self) -> dict[str, list[Any]]:
        """The key and its values as an experiment file has them: `{train_examples: [64, all]}`."""
        return {self.key: [ALL if value is None and self.key == SIZE else value for value in self.values]}


def _varied(given: Any) -> Varied | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError(f"must be a mapping of one recipe key and its values, like {EXAMPLE}")
    unknown = [key for key in given if key not in Recipe.model_fields]
    if unknown:
        named = {key: not_found("recipe key", str(key), Recipe.model_fields) for key in unknown}
        raise validation_error(*(("unknown_key", (key,), message, key) for key, message in named.items()))
    if len(given) != 1:
        keys = f"; got {', '.join(given)}: vary one, and write another experiment for each other key" if given else ""
        raise ValueError(f"must be one recipe key with its values, like {EXAMPLE}{keys}")
    ((key, values),) = given.items()
    if key in LISTS:
        told = f"{key} can't vary, since its values are lists or mappings: write a strategy for each"
        raise validation_error(("no_rows", (key,), told, values))
    if isinstance(values, list) and any(isinstance(value, dict) for value in values):
        raise validation_error(
            ("no_rows", (key,), f"a mapping of {key} can't be a row's name: write a strategy for it", values)
        )
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_VALUES:
        told = f"needs a list of 2 to {MOST_VALUES} values, like {EXAMPLE}"
        raise validation_error(("values", (key,), told, values))
    return _in_order(Varied(key, tuple(_checked(key, values))), values)


def _checked(key: str, values: list[Any]) -> list[Any]:
    """The values as `Recipe` stores them. Raises ValidationError with all that are wrong, each at its place."""
    found, wrong = list[Any](), list[tuple[str, tuple[str | int, ...], str, Any]]()
    for number, value in enumerate(values):
        if value == ALL and key == SIZE:
            found.append(None)
            continue
        if value is None:
            hint = f"; for all rows write {ALL}" if key == SIZE else ""
            wrong.append(("no_value", (key, number), f"a value is needed{hint}", value))
            continue
        try:
            found.append(getattr(Recipe.model_validate({key: value}), key))
        except ValidationError as error:
            own = [one for one in error.errors(include_url=False) if one["loc"]]
            hint = f", or {ALL}" if key == SIZE else ""
            wrong += [("value", (key, number), f"{sentence(one, Recipe)}{hint}", value) for one in own]
            found += [] if own else [value]  # wrong only beside other keys, which strategies may give
    if wrong:
        raise validation_error(*wrong)
    return found


def _in_order(varied: Varied, given: list[Any]) -> Varied:
    """Returns `varied` unchanged. Raises ValidationError for a value that is given twice, and for numbers that do not rise.
    given: the values as the file has them."""
    key, values = varied.key, varied.values
    twice = [number for number, value in enumerate(values) if value in values[:number]]
    if twice:
        words = {number: f"{varied.word(values[number])} is given twice" for number in twice}
        raise validation_error(*(("twice", (key, number), message, given[number]) for number, message in words.items()))
    numbers = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        right = Varied(key, (*sorted(numbers), *([None] if None in values else [])))
        if right != varied:
            whole = yaml_value(right.written)
            raise validation_error(("order", (key,), f"from the smallest to the largest value: write `vary: {whole}`", given))
    return varied


_SCHEMA: JsonDict = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "propertyNames": {"enum": [key for key in Recipe.model_fields if key not in LISTS]},
    "additionalProperties": {"type": "array", "minItems": 2, "maxItems": MOST_VALUES, "uniqueItems": True},
}
VariedKey = Annotated[Varied | None, PlainValidator(_varied), WithJsonSchema({"anyOf": [_SCHEMA, {"type": "null"}]})]
