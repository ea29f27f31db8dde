"""YAML -> plain data, with the place of each key and with all that YAML allows and an experiment file does not."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bakeoff.errors import Problem, SpecError
from bakeoff.text.words import escaped, is_shown, quoted, quoted_whole

MAX_DEPTH = 32
MAX_NODES = 50_000
LARGEST_INTEGER = 2**63 - 1

KeyPath = tuple[str | int, ...]


def read_tree(text: str, file: str) -> Tree:
    """YAML text as data with places, `root` a mapping; `file` is what error messages call it."""
    # 0.1 s; `bakeoff --help` must not wait for it
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    yaml = YAML(typ="safe", pure=True)
    tree = Tree(file, yaml)
    try:
        for event in yaml.parse(text):
            tree.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise stop(file, f"not YAML: {escaped(str(error.problem or error.context))}", *place) from None
    except ReaderError as error:
        position: int = error.position
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        raise stop(file, f"the character U+{ord(text[position]):04X} is not allowed in YAML", line, column) from None
    if tree.root is None:
        raise stop(file, "the file is empty; README.md shows an experiment file")
    if not isinstance(tree.root, dict):
        raise stop(file, "an experiment file is a mapping of keys (name, tasks, models, strategies, ...)", 1, 1)
    return tree


def stop(file: str, message: str, line: int = 0, column: int = 0) -> SpecError:
    return SpecError([Problem(file, line, column, "", message)])


@dataclass
class _Node:
    """A list or mapping that is being read."""

    value: dict[str, Any] | list[Any]
    path: KeyPath
    anchor: str | None
    before: int
    """Values read before it began."""
    key: str | None = None
    """Of a mapping: the key that waits for its value."""


class Tree:
    """Plain data out of YAML's events: no recursion, nothing built that was not counted, every place noted."""

    def __init__(self, file: str, yaml: Any) -> None:
        self.file = file
        self.yaml = yaml
        self.root: Any = None
        self.places: dict[KeyPath, tuple[int, int]] = {(): (1, 1)}
        self.flaws: dict[KeyPath, Problem] = {}
        self.open: list[_Node] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.size = 0
        self.documents = 0

    def take(self, event: Any) -> None:
        handlers: dict[str, Callable[[Any], None]] = {
            "DocumentStartEvent": self.begin_document,
            "MappingStartEvent": lambda event: self.begin({}, event),
            "SequenceStartEvent": lambda event: self.begin([], event),
            "MappingEndEvent": self.end,
            "SequenceEndEvent": self.end,
            "ScalarEvent": self.take_scalar,
            "AliasEvent": self.take_alias,
        }
        if (handle := handlers.get(type(event).__name__)) is not None:
            handle(event)

    def stop(self, event: Any, message: str) -> SpecError:
        return stop(self.file, message, event.start_mark.line + 1, event.start_mark.column + 1)

    def flaw(self, path: KeyPath, event: Any, message: str, *, at_key: bool = True) -> None:
        here = (event.start_mark.line + 1, event.start_mark.column + 1)
        place: tuple[int, int] = self.places.get(path, here) if at_key else here
        self.flaws.setdefault(path, Problem(self.file, *place, dotted(path), message))

    def begin_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.stop(event, "a second document begins here; an experiment file holds one")
        if event.version not in (None, (1, 2)):
            raise self.stop(event, "an experiment file is YAML 1.2")

    def begin(self, value: dict[str, Any] | list[Any], event: Any) -> None:
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise self.stop(event, "a key is a word, no list and no mapping")
        path = self.place_of_next(event)
        if len(path) > MAX_DEPTH:
            raise self.stop(event, f"nested deeper than {MAX_DEPTH} levels")
        self.check_tag(path, event)
        self.open.append(_Node(value, path, event.anchor, self.size))
        self.count(event, 1)
        if event.anchor:
            self.anchors.pop(event.anchor, None)  # an alias to it, before it ends, would hold itself

    def end(self, event: Any) -> None:
        node = self.open.pop()
        self.put(node.value, node.anchor, self.size - node.before)

    def take_scalar(self, event: Any) -> None:
        self.count(event, 1)
        parent = self.open[-1] if self.open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self.take_key(parent, event)
            return
        path = self.place_of_next(event)
        self.put(self.scalar(path, event), event.anchor, 1)

    def take_key(self, parent: _Node, event: Any) -> None:
        """Keys are text; one that stands twice keeps its first value."""
        key, place = event.value, (event.start_mark.line + 1, event.start_mark.column + 1)
        path = (*parent.path, key)
        if not isinstance(self.scalar(path, event), str):
            self.flaw(path, event, f"a key is a word; write {quoted_whole(key)} with its quotes")
        if path in self.places and key in parent.value:
            self.flaw(path, event, f"this key stands twice, first in line {self.places[path][0]}", at_key=False)
        self.places.setdefault(path, place)
        parent.key = key

    def take_alias(self, event: Any) -> None:
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise self.stop(event, "a key is a word, no alias")
        if event.anchor not in self.anchors:
            within = any(node.anchor == event.anchor for node in self.open)
            message = "holds itself" if within else "is defined nowhere above"
            raise self.stop(event, f"the alias {quoted('*' + event.anchor)} {message}")
        value, size = self.anchors[event.anchor]
        self.place_of_next(event)
        self.count(event, size)
        self.put(value, None, size)

    def place_of_next(self, event: Any) -> KeyPath:
        """The path of the value that begins here; a mapping's value stands at its key."""
        if not self.open:
            return ()
        parent = self.open[-1]
        if isinstance(parent.value, dict):
            return (*parent.path, str(parent.key))
        path = (*parent.path, len(parent.value))
        self.places[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        return path

    def put(self, value: Any, anchor: str | None, size: int) -> None:
        if anchor:
            self.anchors[anchor] = (value, size)
        if not self.open:
            self.root = value
        elif isinstance(parent := self.open[-1].value, list):
            parent.append(value)
        else:
            parent.setdefault(str(self.open[-1].key), value)
            self.open[-1].key = None

    def count(self, event: Any, size: int) -> None:
        """An alias counts for all that it stands for, so that an alias bomb is refused."""
        self.size += size
        if self.size > MAX_NODES:
            raise self.stop(event, f"an experiment file holds at most {MAX_NODES:,} values, aliases written out")

    def check_tag(self, path: KeyPath, event: Any) -> None:
        if event.tag is not None:
            name = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self.flaw(path, event, f"YAML tags are not allowed; got {quoted(name)}")

    def scalar(self, path: KeyPath, event: Any) -> Any:
        """A scalar as YAML 1.2 reads it; what may not stand in an experiment file is a flaw."""
        from ruamel.yaml.nodes import ScalarNode

        self.check_tag(path, event)
        text: str = event.value
        if wrong := next((character for character in text if _is_control(character)), None):
            self.flaw(path, event, f"the character U+{ord(wrong):04X} is not allowed; got {quoted(text)}")
        if event.tag is not None:
            return text
        tag = self.yaml.resolver.resolve(ScalarNode, text, event.implicit)
        kind = str(tag).rpartition(":")[2]
        if kind == "timestamp":
            self.flaw(path, event, f"a date is no value here; for text, write it with quotes: {quoted_whole(text)}")
        if kind not in ("int", "float", "bool", "null"):
            return text
        try:
            value = getattr(self.yaml.constructor, f"construct_yaml_{kind}")(ScalarNode(tag, text))
        except ValueError:  # Python reads integers of at most 4300 digits
            value = LARGEST_INTEGER + 1
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            self.flaw(path, event, f"integers go up to {LARGEST_INTEGER}; got {quoted(text)}")
        if isinstance(value, float) and not math.isfinite(value):
            self.flaw(path, event, f"must be a finite number; got {escaped(text)[:80]}")
        return value


def _is_control(character: str) -> bool:
    """Control characters other than line break and tab, and halves of surrogate pairs: no terminal may get them."""
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text if is_shown(text) and len(text) <= 120 else quoted(text)
