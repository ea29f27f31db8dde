"""`--json` outputs are stable: a field vanishes, or gets another type, only with a new format number.

`formats.json` holds the fields of each output. After adding fields, or raising a format number, write it anew: `python
tests/house/test_formats.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bakeoff.cli import bakeoff
from bakeoff.cli.schema import OUTPUTS, output_schema

FILE = Path(__file__).with_name("formats.json")
WHOLE = ("check", "plan", "run", "gate", "best", "disk")
"""Outputs of which every field is held; `table` has fields for pages that come and go with what is measured."""


def fields_of(schema: dict[str, Any]) -> dict[str, str]:
    """Path of each field, as `groups[].rows[].strategy`, with its type."""
    found: dict[str, str] = {}
    definitions = schema.get("$defs", {})

    def walk(part: dict[str, Any], path: str, above: tuple[str, ...]) -> str:
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            return "object" if name in above else walk(definitions[name], path, (*above, name))
        if "anyOf" in part:
            return "|".join(dict.fromkeys(walk(one, path, above) for one in part["anyOf"]))
        kind = str(part.get("type", "any"))
        for name, inner in part.get("properties", {}).items():
            place = f"{path}.{name}".lstrip(".")
            found[place] = walk(inner, place, above)
        if isinstance(part.get("items"), dict):
            return f"[{walk(part['items'], f'{path}[]', above)}]"
        if isinstance(part.get("additionalProperties"), dict):
            return f"{{{walk(part['additionalProperties'], f'{path}{{}}', above)}}}"
        return kind

    walk(schema, "", ())
    return found


def current() -> dict[str, dict[str, Any]]:
    schemas = {verb: output_schema(verb) for verb in OUTPUTS}
    return {
        verb: {"format": schema["properties"]["format"]["const"], "fields": fields_of(schema)}
        for verb, schema in schemas.items()
    }


@pytest.fixture(scope="module")
def here() -> dict[str, dict[str, Any]]:
    return current()


@pytest.mark.parametrize("verb", OUTPUTS)
def test_no_field_vanishes_without_a_new_format(verb: str, here: dict[str, dict[str, Any]]) -> None:
    published = json.loads(FILE.read_text(encoding="utf-8"))[verb]
    assert here[verb]["format"] == published["format"], "write formats.json anew"
    gone = {path: kind for path, kind in published["fields"].items() if here[verb]["fields"].get(path) != kind}
    assert not gone, f"raise the format of `bakeoff {verb} --json`, or keep these fields"
    if verb in WHOLE:
        assert here[verb]["fields"].keys() == published["fields"].keys(), "write formats.json anew"


def test_a_field_that_vanishes_is_seen() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}}},
        "$defs": {"Row": inner},
    }
    assert fields_of(schema) == {"rows": "[object]", "rows[].a": "string", "rows[].b": "number|null"}


def test_the_schema_of_an_output_is_printed() -> None:
    answer = CliRunner().invoke(bakeoff, ["schema", "run"])
    assert answer.exit_code == 0
    assert json.loads(answer.output)["title"] == "bakeoff run --json"


if __name__ == "__main__":
    FILE.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
