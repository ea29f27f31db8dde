"""The experiment files on the pages, whole or in part: a part is completed to a file, and then resolved as any other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from bakeoff.contracts.registry import Registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.spec.document import parse_document
from bakeoff.spec.experiment_file import Spec

REST: Final[dict[str, Any]] = {
    "name": "page",
    "tasks": ["docstrings"],
    "models": ["minilm"],
    "strategies": {"full": {"trainer": "fast-loop"}, "lora": {"trainer": "fast-loop", "method": "lora"}},
}
"""What stands in an experiment besides the part that a page shows."""
REFUSED: Final = "# bakeoff check refuses"
"""How a part begins that is shown because it is wrong."""


def experiments(page: str) -> Iterator[str]:
    """The YAML blocks of a page that are experiment files or parts of one."""
    for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        found = YAML(typ="safe").load(text)
        if isinstance(found, dict) and {*found} <= {*Spec.model_fields}:
            yield text


def wrong_keys(text: str, registry: Registry, folder: Path) -> list[str]:
    """The keys at which something is wrong with the part, completed by `REST` to a file in the folder. That its strategies
    need no model is no fault of it."""
    part = YAML(typ="safe").load(text)
    lines = [f"{key}: {json.dumps(value)}" for key, value in REST.items() if key not in part]
    try:
        resolve(parse_document("\n".join([text, *lines]), str(folder / "page.yaml")), registry)
    except SpecError as error:
        return [problem.key for problem in error.problems if problem.key != "models" or "models" in part]
    return []
