"""Which seeds a user may ask for: how many, a list, or looks (numbers of seeds at which the comparisons are judged)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from bakeoff.contracts.fields import FEWEST_FOR_RANKS, LARGEST_SEED, MOST_LOOKS, MOST_SEEDS, Look
from bakeoff.contracts.recipe import Options, no_duplicates
from bakeoff.spec.messages import reworded, validation_error
from bakeoff.text.numbers import count
from bakeoff.text.values import listed


def seed_list(value: Any, *, first: int = 0) -> Any:
    """A validator: turns a number of seeds into a list of that many seeds from `first` on; returns a list unchanged."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(first, first + value))
    if not isinstance(value, list):
        raise ValueError(f"must be a number of seeds (1 to {MOST_SEEDS}), or a list of seeds")
    return value


_HOW_MANY_OR_WHICH: list[JsonDict] = [
    {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
    {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED},
        "minItems": 1,
        "maxItems": MOST_SEEDS,
        "uniqueItems": True,
    },
]
Seeds = Annotated[
    list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(seed_list),
    AfterValidator(no_duplicates),
    WithJsonSchema({"anyOf": list(_HOW_MANY_OR_WHICH)}),
]
_AS_SEEDS: TypeAdapter[list[int]] = TypeAdapter(Seeds)


# --- looks ---------------------------------------------------------------------------------------------------------------

EXAMPLE = "{looks: [3, 5, 8, 12, 20]}"


def _rising(looks: list[int]) -> list[int]:
    """Returns the looks unchanged. Raises ValidationError at each look that has no more seeds than the one before, and
    ValueError for a single look."""
    wrong = [
        ("rising", (number,), f"must be more than the {before} of the look before; got {look}", look)
        for number, (before, look) in enumerate(pairwise(looks), 1)
        if look <= before
    ]
    if wrong:
        raise validation_error(*wrong)
    if len(looks) == 1:
        raise ValueError(f"one look is a fixed number of seeds: write `seeds: {looks[0]}`, or name more looks, like {EXAMPLE}")
    return looks


class Looks(Options):
    """Numbers of seeds at which the comparisons are judged: a strategy whose comparisons are decided, or can't be decided by
    the last look, gets no more seeds."""

    looks: Annotated[list[Look], Field(min_length=1, max_length=MOST_LOOKS), AfterValidator(_rising)] = Field(
        description="Seeds of each strategy at each look, rising; the first is at least 3."
    )
    first: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(0, description="The first seed; the others follow it.")
    ranks: bool = Field(
        False,
        description=f"Whether all pairs are judged, as ranks need, from {FEWEST_FOR_RANKS} seeds on; default: only the "
        "comparisons with the baseline.",
    )

    @model_validator(mode="after")
    def _seeds_enough(self) -> Looks:
        if self.first + self.looks[-1] - 1 > LARGEST_SEED:
            raise validation_error(("too_large", ("first",), f"the last seed would be more than {LARGEST_SEED}", self.first))
        if self.ranks and self.looks[-1] < FEWEST_FOR_RANKS:
            told = f"all pairs are judged from {FEWEST_FOR_RANKS} seeds on, and the last look has {self.looks[-1]}: add a look"
            raise validation_error(("few_seeds", ("ranks",), told, self.ranks))
        return self


@dataclass(frozen=True)
class ReportedSeeds:
    """The seeds of the runs that an experiment reports, and when its comparisons are judged."""

    numbers: tuple[int, ...]
    """The seeds themselves, in the order in which they are run."""
    looks: tuple[int, ...] = ()
    """How many of the seeds each look has; the last look has all. Empty where the number of seeds is fixed."""
    ranks: bool = False
    """Whether the looks judge all pairs; False without looks."""

    @property
    def in_words(self) -> str:
        """The seeds in words: `3 seeds`, or `looks at 3, 5 and 8 seeds`, followed by `, all pairs` where the looks judge more
        than the comparisons with the baseline."""
        if not self.looks:
            return count(len(self.numbers), "seed")
        return f"looks at {listed(map(str, self.looks))} seeds{', all pairs' if self.ranks else ''}"


def fixed_seeds(numbers: Sequence[int]) -> ReportedSeeds:
    return ReportedSeeds(tuple(numbers))


def _reported(value: Any) -> ReportedSeeds:
    """The validator of `seeds`: a number, a list or a mapping with looks. Raises ValidationError with places inside the value,
    and ValueError for a value of another type."""
    if not isinstance(value, int | list | dict) or isinstance(value, bool):
        raise ValueError(f"must be a number of seeds (1 to {MOST_SEEDS}), a list of seeds, or looks, like {EXAMPLE}")
    try:
        if isinstance(value, dict):
            given = Looks.model_validate(value)
            return ReportedSeeds(tuple(range(given.first, given.first + given.looks[-1])), tuple(given.looks), given.ranks)
        return fixed_seeds(_AS_SEEDS.validate_python(value, strict=True))
    except ValidationError as error:
        raise reworded(error, Looks) from None


Reported = Annotated[
    ReportedSeeds,
    PlainValidator(_reported),
    WithJsonSchema({"anyOf": [*_HOW_MANY_OR_WHICH, Looks.model_json_schema()]}),
]
