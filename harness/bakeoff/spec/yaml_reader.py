"""Reads YAML as plain data with line and column of each key, and finds what YAML allows but an experiment file does not."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, ScalarEvent, StreamEndEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.reader import ReaderError

from bakeoff.errors import Problem, SpecError
from bakeoff.spec.yaml_errors import explained, no_mapping
from bakeoff.text.words import escaped, is_shown, quoted, quoted_whole

MAX_DEPTH = 32
MAX_NODES = 50_000
LARGEST_INTEGER = 2**63 - 1

KeyPath = tuple[str | int, ...]


def read_tree(text: str, file: str) -> Tree:
    """Parses YAML text as data with line and column of each key; `root` is a mapping. file: the name that error messages
    use."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _LimitedComposer
    tree = Tree(file)
    try:
        top = yaml.compose(text)
        tree.root = top and tree.plain(top, (), yaml.constructor)
    except MarkedYAMLError as error:
        if isinstance(error, _RefusedError):
            raise stop(file, str(error.problem), *_place(error.problem_mark)) from None
        place, told = explained(text, error)
        raise stop(file, told, *place) from None
    except ReaderError as error:
        position: int = error.position
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        raise stop(file, f"the character U+{ord(text[position]):04X} is not allowed in YAML", line, column) from None
    if tree.root is None:
        raise stop(file, "the file is empty; README.md shows an experiment file")
    if not isinstance(tree.root, dict):
        if found := no_mapping(text):
            raise stop(file, found[1], *found[0])
        raise stop(file, "an experiment file is a mapping of keys (name, tasks, models, strategies, ...)", 1, 1)
    return tree


def stop(file: str, message: str, line: int = 0, column: int = 0) -> SpecError:
    return SpecError([Problem(file, line, column, "", message)])


class _RefusedError(MarkedYAMLError):
    """Something that YAML allows but an experiment file may not contain; reading stops there."""


def _place(mark: Any) -> tuple[int, int]:
    """Line and column, counted from 1."""
    return mark.line + 1, mark.column + 1


_Composed = tuple[Any, Any]
"""A YAML node with the event that began it; the event has the position (each alias has its own) and the tag as written."""


class _LimitedComposer(Composer):
    """ruamel.yaml's composer of nodes, with limits on depth and size; refuses what plain data can't express."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.size = 0
        self.sizes: dict[str, int] = {}
        """Anchor -> how many nodes an alias to it expands to; complete anchors only."""

    def compose_document(self) -> Any:
        event = self.parser.peek_event()
        if event.version not in (None, (1, 2)):
            raise _RefusedError(problem="an experiment file is YAML 1.2: leave %YAML out", problem_mark=event.start_mark)
        top = super().compose_document()
        if not self.parser.check_event(StreamEndEvent):
            second = self.parser.peek_event()
            raise _RefusedError(
                problem="a second YAML document begins here; an experiment file has one: split the file",
                problem_mark=second.start_mark,
            )
        return top

    def compose_node(self, parent: Any, index: Any) -> _Composed:
        event = self.parser.peek_event()
        is_key = isinstance(parent, MappingNode) and index is None
        before = self.size
        if isinstance(event, AliasEvent):
            if is_key:
                raise _RefusedError(problem="a key must be a word, not an alias", problem_mark=event.start_mark)
            if event.anchor not in self.sizes:
                wrong = "holds itself" if event.anchor in self.anchors else "is defined nowhere above"
                raise _RefusedError(problem=f"the alias {quoted('*' + event.anchor)} {wrong}", problem_mark=event.start_mark)
            self.size += self.sizes[event.anchor]
        else:
            if is_key and not isinstance(event, ScalarEvent):
                raise _RefusedError(problem="a key must be a word, not a list or a mapping", problem_mark=event.start_mark)
            if self.depth > MAX_DEPTH and not isinstance(event, ScalarEvent):
                raise _RefusedError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
            self.sizes.pop(event.anchor, None)
            self.size += 1
        if self.size > MAX_NODES:  # an alias counts for all that it stands for, so that an alias bomb is refused
            raise _RefusedError(
                problem=f"an experiment file has at most {MAX_NODES:,} values, aliases written out",
                problem_mark=event.start_mark,
            )
        node = super().compose_node(parent, index)
        if event.anchor and not isinstance(event, AliasEvent):
            self.sizes[event.anchor] = self.size - before
        return node, event


@dataclass
class Tree:
    """Plain data made from YAML nodes, with line and column of each value."""

    file: str
    root: Any = None
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=lambda: {(): (1, 1)})
    flaws: dict[KeyPath, Problem] = field(default_factory=dict)
    anchored: dict[int, Any] = field(default_factory=dict)
    """id() of an anchored node -> the value that it stands for."""

    def flaw(self, path: KeyPath, event: Any, message: str, *, at_key: bool = True) -> None:
        here = _place(event.start_mark)
        place = self.places.get(path, here) if at_key else here
        self.flaws.setdefault(path, Problem(self.file, *place, dotted(path), message))

    def plain(self, composed: _Composed, path: KeyPath, constructor: Any) -> Any:
        """The value of a node. What an experiment file may not contain is recorded as a flaw."""
        node, event = composed
        if path and isinstance(path[-1], int):  # else it stands at its key
            self.places[path] = _place(event.start_mark)
        if isinstance(event, AliasEvent):
            return self.anchored[id(node)]
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self.flaw(path, event, f"YAML tags are not allowed; got {quoted(tag)}")
        value: Any
        if isinstance(node, ScalarNode):
            value = self.scalar(node, path, event, constructor)
        elif isinstance(node, MappingNode):
            value = {}
            for key, item in node.value:
                own = self.key(key, path, constructor, twice=key[0].value in value)
                value.setdefault(own[-1], self.plain(item, own, constructor))
        else:
            value = [self.plain(item, (*path, index), constructor) for index, item in enumerate(node.value)]
        self.anchored[id(node)] = value
        return value

    def key(self, key: _Composed, within: KeyPath, constructor: Any, *, twice: bool) -> KeyPath:
        """The path of a mapping's key below `within`. A key that is no text, or is in the mapping for the second time
        (`twice`), is noted as a flaw."""
        text, event = key[0].value, key[1]
        path = (*within, text)
        if not isinstance(self.plain(key, path, constructor), str):
            self.flaw(path, event, f"a key must be text: put quotes around it, {quoted_whole(text)}")
        if text != text.strip():  # no-break spaces, from a page or a chat, are no indentation
            self.flaw(
                path, event, f"this key has white space around it, maybe a no-break space: write {quoted_whole(text.strip())}"
            )
        if twice:
            self.flaw(path, event, f"this key is given twice, first in line {self.places[path][0]}", at_key=False)
        self.places.setdefault(path, _place(event.start_mark))
        return path

    def scalar(self, node: Any, path: KeyPath, event: Any, constructor: Any) -> Any:
        """A scalar's value by the rules of YAML 1.2."""
        text: str = node.value
        if wrong := next((character for character in text if _is_control(character)), None):
            self.flaw(path, event, f"the character U+{ord(wrong):04X} is not allowed; got {quoted(text)}")
        kind = "str" if event.tag is not None else node.tag.rpartition(":")[2]
        if kind == "timestamp":
            self.flaw(path, event, f"dates are not allowed; for text, write it with quotes: {quoted_whole(text)}")
        if kind not in ("int", "float", "bool", "null"):
            return text
        try:
            value = getattr(constructor, f"construct_yaml_{kind}")(node)
        except ValueError:  # Python reads integers of at most 4300 digits
            value = LARGEST_INTEGER + 1
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            self.flaw(path, event, f"integers go up to {LARGEST_INTEGER}; got {quoted(text)}")
            value = LARGEST_INTEGER + 1  # which can be shown
        if isinstance(value, float) and not math.isfinite(value):
            self.flaw(path, event, f"must be a finite number; got {escaped(text)[:80]}")
        return value


def _is_control(character: str) -> bool:
    """Whether a character must not reach a terminal: a control character other than line break and tab, or half a surrogate
    pair."""
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text if is_shown(text) and len(text) <= 120 else quoted(text)
