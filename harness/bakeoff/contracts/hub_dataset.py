"""Where a task's rows stand on the Hugging Face hub, so that results can link there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bakeoff.contracts.fields import Name, Part

HubId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?$")]
"""A repository of the hub: `owner/name`, of some old datasets `name` alone."""
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class HubDataset(Part):
    """A dataset of the hub that has a task's rows: `HubDataset(id="nyu-mll/glue", config="mrpc", revision="bcdc...",
    splits={"dev": "validation"})`."""

    id: HubId
    config: Name | None = None
    """The dataset's configuration, `mrpc`; a dataset with one configuration calls it `default`. None where it is not known:
    then results don't name the dataset as a benchmark."""
    revision: Commit | None = None
    """The commit whose rows they are; None where it is not known."""
    splits: dict[Name, Name] = Field(default_factory=dict)
    """Split of the task -> the hub's name of the split that has the same rows; a split that is not there under any name, such
    as one that was held out of train, is left out."""
