"""The request: what a scheduler passes to the worker of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from bakeoff.contracts.fields import Count, Name, Some, Text
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.task import Paths
from bakeoff.records.record_files import read_model
from bakeoff.records.schema import Attempt, Requested, RunId

LARGEST_REQUEST: Final = 2**26
"""The largest size of a request file, in bytes."""


def _without_nul(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path must not contain a NUL character")
    return path


Place = Annotated[Path, AfterValidator(_without_nul)]


def _recipe_asked_for(request: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(request["requested"].recipe)


class Headings(BaseModel):
    """Titles of task, model and strategy for headings; empty where one has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task: Text = ""
    model: Text = ""
    strategy: Text = ""


class Request(BaseModel):
    """What a worker needs to perform one run: what was requested, and the paths and settings of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: RunId
    requested: Requested
    recipe: Recipe = Field(default_factory=_recipe_asked_for, exclude=True)
    """Set by the plan; a worker takes it from `requested`, so that it is not written twice."""
    headings: Headings = Headings()
    data: Place | None
    cache: Place
    beside: Place = Path()
    """The folder of the experiment file."""
    given: Place | None = None
    """The folder with files of the rows that a program passed in."""
    named: dict[str, Place] = {}
    """Data folders by name."""
    device: Name
    threads: Some
    jobs: Some = 1
    """How many runs may train at the same time. `place` is this run's number among them, from 0."""
    place: Count = 0
    attempts: list[Attempt] = []
    """Earlier attempts at this run."""
    sources: list[list[Text | None]] = []
    """Facts about data, model and code that the run must find unchanged, as `provenance.as_plain` writes them; empty if they
    were not checked."""
    keep: Literal["none", "final"] = "none"
    checkpoint_every: Some | None = None
    """Steps between checkpoints; None for no checkpoints."""
    checkpoints: Place | None = None
    """Folder of the checkpoints, and of files of a trainer that owns its model; it outlives this attempt."""

    @field_validator("recipe", mode="plain")
    @classmethod
    def _never_written(cls, value: Any) -> Recipe:
        if not isinstance(value, Recipe):
            raise ValueError("leave it out: the recipe of a run is part of `requested`")
        return value

    @property
    def places(self) -> Paths:
        return Paths(self.data, self.cache, self.beside, self.given, self.named)


def read_request(path: Path) -> Request:
    """Reads a request file. Raises BakeoffError that names the file and what is wrong with it."""
    return read_model(Request, path, "request", at_most=LARGEST_REQUEST)
