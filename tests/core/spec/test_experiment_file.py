"""The experiment file: whatever stands in it, the answer is a spec or lines that say what, where, and what is valid."""

from __future__ import annotations

import errno
import os
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import tells
from pydantic import ConfigDict, Field, ValidationError

from bakeoff.contracts.component import Component
from bakeoff.contracts.recipe import Options, Recipe
from bakeoff.contracts.registry import Origin, Registered, Registry
from bakeoff.errors import Problem, SpecError
from bakeoff.spec.document import MAX_BYTES, parse_document, read_document
from bakeoff.spec.yaml_reader import MAX_DEPTH


class AnyComponent(Component):
    summary, version = "Whatever is named.", "1"

    class Options(Options):
        model_config = ConfigDict(extra="allow")

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name  # type: ignore[misc, assignment]


class AnyRegistry(Registry):
    """Has every component with every option."""

    def get(self, kind: str, name: str) -> Registered:
        return Registered(AnyComponent(kind, name), Origin("any", "any", "1"))


ANY = AnyRegistry({})

GOOD = """\
name: toy
tasks: [docstrings]
models: [tiny-bert]
recipe: {epochs: 2}
strategies: {a: {trainer: torch-loop}}
"""


def changed(line: str) -> str:
    """GOOD with the line of the same key replaced, or with the line added."""
    key = line.split(":")[0]
    kept = [old for old in GOOD.splitlines() if not old.startswith(f"{key}:")]
    return "\n".join([*kept, line]) + "\n"


def problems_in(text: str) -> list[Problem]:
    """What is wrong in it as a file and as a spec; components are not looked up."""
    try:
        _, problems, _ = parse_document(text, "spec.yaml").read(ANY)
    except SpecError as error:
        return error.problems
    return sorted(problems)


def only_problem(text: str) -> str:
    problems = problems_in(text)
    assert len(problems) == 1, problems
    line = str(problems[0])
    assert line.isprintable(), "one line, and nothing that a terminal would act on"
    return line


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_good_file_has_no_problem() -> None:
    spec, problems, _ = parse_document(GOOD, "spec.yaml").read(ANY)
    assert problems == []
    assert spec is not None
    assert spec.recipe == Recipe(epochs=2)


def test_seeds_are_how_many_which_or_looks() -> None:
    given = {
        "seeds: 2": ((0, 1), (), False),
        "seeds: [7, 3]": ((7, 3), (), False),
        "seeds: {looks: [3, 5]}": ((0, 1, 2, 3, 4), (3, 5), False),
        "seeds: {looks: [3, 5], first: 10, ranks: true}": ((10, 11, 12, 13, 14), (3, 5), True),
    }
    for line, expected in given.items():
        spec, problems, _ = parse_document(changed(line), "spec.yaml").read(ANY)
        assert problems == []
        assert spec is not None
        assert (spec.seeds.numbers, spec.seeds.looks, spec.seeds.ranks) == expected


def test_a_wrong_look_has_its_place() -> None:
    line = only_problem(changed("seeds: {looks: [3, 5, 5]}"))
    assert line.startswith("spec.yaml:6:23: seeds.looks[2]:")


# --- the file ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"null\n", "the file is empty"),
        (b"- a\n- b\n", "an experiment file is a mapping of keys"),
        (b"just words\n", "an experiment file is a mapping of keys"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file: byte 0 is not UTF-8; save it as UTF-8"),
        ("name: é\n".encode("latin-1"), "not a text file: byte 6 is not UTF-8; save it as UTF-8"),
        ("name: a\n".encode("utf-16"), "not a text file: byte 0 is not UTF-8, but this is UTF-16; save it as UTF-8"),
        (
            b"name: \xed\xa0\x80\n",
            "not a text file: byte 6 is not UTF-8; save it as UTF-8",
        ),  # a surrogate, as UTF-8 may not write it
        (b"name: a\x00b\n", "the character U+0000 is not allowed in YAML"),
        (b"name: a\ntasks: [\x1b[31m]\n", ":2:9: the character U+001B is not allowed in YAML"),
        (b"name: a\n\x1b\n", ":2:1: the character U+001B is not allowed in YAML"),
        (b"name: a\n---\nname: b\n", ":2:1: a second YAML document begins here"),
        (b"%YAML 1.1\n---\nname: a\n", "an experiment file is YAML 1.2"),
        (b"name: [a\n", "add `]`"),
        (b"name: 'a\n", "is never closed"),
        (b"name: a\n\ttasks: b\n", ":2:1: indent by spaces"),
        (b"name: *a\n", ":1:7: the alias '*a' is defined nowhere above"),
        (b"name: &a [*a]\n", ":1:11: the alias '*a' holds itself"),
        (b"name: &a {b: *a}\n", ":1:14: the alias '*a' holds itself"),
        (b"[a, b]: c\n", ":1:1: a key must be a word, not a list or a mapping"),
        (b"&a b: 1\n*a : 2\n", ":2:1: a key must be a word, not an alias"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_mapping_in_yaml_is_refused_in_a_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    assert message in refusal(path)


@pytest.mark.timeout(60)  # at once; a recursive reader takes long to overflow
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert tells(only_problem(f"name: toy\ntasks:\n  {opening * 100_000}"), "", f"{MAX_DEPTH} levels")


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "50,000 values, aliases" in only_problem("\n".join(lines))


def test_an_alias_is_what_it_stands_for() -> None:
    document = parse_document(GOOD.replace("{epochs: 2}", "&r {epochs: 2}").replace("a: {", "b: {recipe: *r, "), "spec.yaml")
    assert document.data["strategies"]["b"]["recipe"] == {"epochs": 2}


def test_a_file_over_a_megabyte_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"[" * (MAX_BYTES + 1))
    assert refusal(path) == f"{path}: cannot be read: it has 1,000,001 bytes; at most 1,000,000 are read"


def test_a_folder_a_missing_file_and_a_pipe_are_named(tmp_path: Path) -> None:
    assert "this is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "missing.yaml")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "a named pipe" in refusal(pipe)  # opening it would wait for a writer


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.touch(mode=0o000)
    assert f"cannot be read: {os.strerror(errno.EACCES)}" in refusal(path)


def test_a_long_or_odd_path_is_shown_whole_and_safely(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / "b\x1b[31m"
    assert refusal(folder / "spec.yaml").startswith(f"{tmp_path}/{'a' * 100}/b\\x1b[31m/spec.yaml: ")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_and_a_byte_order_mark_change_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (GOOD + "sedes: 3\n").replace("\n", ending).encode())
    _, problems, _ = read_document(path).read(ANY)
    assert tells(str(problems[0]), f"{path}:6:1: sedes: ", "'seeds'?")


# --- keys and values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("margin: 0", "margin: must be greater than 0; got 0"),
        ("margin: -1", "margin: must be greater than 0; got -1"),
        ("margin: .nan", "margin: must be a finite number; got .nan"),
        ("margin: -.inf", "margin: must be a finite number; got -.inf"),
        ("margin: 1e999", "margin: must be a finite number; got 1e999"),
        ("margin: one", "margin: must be a number; got 'one'"),
        ("margin: yes", "margin: must be a number; got 'yes'"),
        ("margin: true", "margin: must be a number; got true"),
        ("margin:", "margin: must be a number; got nothing"),
        ("margin: [1]", "margin: must be a number; got a list"),
        ("run_timeout: 0", "run_timeout: must be greater than 0; got 0"),
        ("seeds: 0", "seeds: must be a number of seeds (1 to 10000), or a list of seeds; got 0"),
        ("seeds: 10001", "seeds: must be a number of seeds (1 to 10000), or a list of seeds; got 10001"),
        (
            "seeds: true",
            "seeds: must be a number of seeds (1 to 10000), a list of seeds, or looks, like {looks: [3",
        ),
        (
            "seeds: 1.0",
            "seeds: must be a number of seeds (1 to 10000), a list of seeds, or looks, like {looks: [3",
        ),
        ("seeds: {}", "seeds.looks: this key is needed"),
        ("seeds: {looks: 5}", "seeds.looks: must be a list; got 5"),
        ("seeds: {looks: []}", "seeds.looks: must have 1 or more entries; got 0"),
        ("seeds: {looks: [5]}", "seeds.looks: one look is a fixed number of seeds: write `seeds: 5`, or name more looks, like"),
        ("seeds: {looks: [2, 5]}", "seeds.looks[0]: must be 3 or more; got 2"),
        ("seeds: {looks: [3, 5, 5]}", "seeds.looks[2]: must be more than the 5 of the look before; got 5"),
        ("seeds: {looks: [3, 5.0]}", "seeds.looks[1]: must be an integer; got 5.0"),
        (f"seeds: {{looks: {list(range(3, 24))}}}", "seeds.looks: must have 20 or fewer entries; got 21"),
        ("seeds: {looks: [3, 20000]}", "seeds.looks[1]: must be 10000 or less; got 20000"),
        ("seeds: {loks: [3, 5], looks: [3, 5]}", "seeds.loks: no key 'loks'; did you mean 'looks'?"),
        ("seeds: {looks: [3, 5], first: -1}", "seeds.first: must be 0 or more; got -1"),
        ("seeds: {looks: [3, 5], first: 2147483644}", "seeds.first: the last seed would be more than 2147483647"),
        ("seeds: {looks: [3, 4], ranks: true}", "seeds.ranks: all pairs are judged from 5 seeds on, and the last look has 4"),
        ("seeds: {looks: [3, 5], ranks: 1}", "seeds.ranks: must be true or false; got 1"),
        ("seeds: []", "seeds: must have 1 or more entries; got 0"),
        ("seeds: [0, -1]", "seeds[1]: must be 0 or more; got -1"),
        ("seeds: [0, 0, 2, 2]", "seeds: each may be given once; given twice: 0, 2"),
        ("seeds: [2147483648]", "seeds[0]: must be 2147483647 or less; got 2147483648"),
        ("seeds: [1.5]", "seeds[0]: must be an integer; got 1.5"),
        (f"seeds: {'9' * 5000}", "seeds: integers go up to 9223372036854775807; got '9999"),
        (f"seeds: 0x{'f' * 5000}", "seeds: integers go up to 9223372036854775807; got '0xff"),
        ("tasks: []", "tasks: must have 1 or more entries; got 0"),
        ("tasks: docstrings", "tasks: must be a list; got 'docstrings'"),
        ("tasks: [5]", "tasks[0]: must be a component's name, or a mapping with 'name' and its options; got 5"),
        ("tasks: [{size: 5}]", "tasks[0].name: this key is needed"),
        ("strategies: {}", "strategies: must have 1 or more entries; got 0"),
        ("strategies: [a]", "strategies: must be a mapping of keys; got a list"),
        ("strategies: {a: torch-loop}", "strategies.a: must be a mapping of keys; got 'torch-loop'"),
        ("strategies: {a: {}}", "strategies.a: a strategy needs a trainer (or same_as: another strategy)"),
        ("strategies: {a: {same_as: b, recipe: {epochs: 1}}}", "strategies.a: same_as repeats another strategy whole"),
        ("strategies: {a: {trainer: x, replicate: -1}}", "strategies.a.replicate: must be 0 or more; got -1"),
        ("strategies: {1: {trainer: x}}", "strategies.1: a key must be text: put quotes around it, '1'"),
        ("strategies: {../a: {trainer: x}}", "strategies.../a: a name is up to 64 letters"),
        ('strategies: {"a\\nb": {trainer: x}}', "'strategies.a\\nb': a name is up to 64 letters"),
        ("strategies: {a: {trainer: x}, a: {trainer: y}}", "strategies.a: this key is given twice, first in line 5"),
        ("name: a/b", "name: a name is up to 64 letters"),
        ("name: a\\b", "name: a name is up to 64 letters"),
        ("name: <script>alert(1)</script>", "name: a name is up to 64 letters"),
        ("name: -a", "name: a name is up to 64 letters"),
        ("name: a.", "name: a name is up to 64 letters"),
        (f"name: {'a' * 65}", "name: a name is up to 64 letters"),
        ('name: ""', "name: a name is up to 64 letters"),
        ("name: 2024-01-01", "name: dates are not allowed; for text, write it with quotes: '2024-01-01'"),
        ("name: 2024-99-99", "name: dates are not allowed"),
        ("name: 5", "name: must be text; got 5"),
        ("name: !!str 5", "name: YAML tags are not allowed; got '!!str'"),
        (
            "name: !!python/object/apply:os.system [ls]",
            "name: YAML tags are not allowed; got '!!python/object/apply:os.system'",
        ),
        ('question: "a\\eb"', "question: the character U+001B is not allowed; got 'a\\x1bb'"),
        ('question: "a\\ud800b"', "question: the character U+D800 is not allowed; got 'a\\ud800b'"),
        ('question: "a\\u202eb"', "question: this must be one line of plain text"),
        (f"question: {'a' * 501}", "question: must have 500 characters or fewer; got 501"),
        ("recipe: {epochs: 0}", "recipe.epochs: must be a number above 0, up to 1,000,000: passes over"),
        ("recipe: {epochs: '3'}", "recipe.epochs: must be a number above 0, up to 1,000,000: passes over"),
        ("recipe: {epochs: true}", "recipe.epochs: must be a number above 0, up to 1,000,000: passes over"),
        ("recipe: {epochs: null}", "recipe: one of epochs and max_steps is needed"),
        ("recipe: {epochs: 1, max_steps: 5}", "recipe: epochs and max_steps exclude each other"),
        ("recipe: {fused: yes}", "recipe.fused: must be true or false; got 'yes'"),
        ("recipe: {fused: 1}", "recipe.fused: must be true or false; got 1"),
        ("recipe: {optimizer: [adamw]}", "recipe.optimizer: must be a name, or a mapping with `name` and its options"),
        ("recipe: {loss: 3}", "recipe.loss: must be a name, or a mapping with `name` and its options"),
        ("recipe: {scheduler: cosin}", "recipe.scheduler: must be 'linear', 'cosine', "),
        ("recipe: {betas: [0.9]}", "recipe.betas: must have 2 or more entries; got 1"),
        ("recipe: {betas: [0.9, 1]}", "recipe.betas[1]: must be less than 1; got 1"),
        ("recipe: {weight_decay: -0.1}", "recipe.weight_decay: must be 0 or more; got -0.1"),
        ("recipe: {weight_decay_exempt: [bias, bias]}", "recipe.weight_decay_exempt: each may be given once"),
        ("recipe: {max_grad_norm: 0}", "recipe.max_grad_norm: must be greater than 0; got 0"),
        ("recipe: {max_grad_norm: no}", "recipe.max_grad_norm: must be a number; got 'no'"),
        ("recipe: {warmup: 1.0}", "recipe.warmup: must be steps (an integer, 0 or more) or a share of all steps"),
        ("recipe: {warmup: -1}", "recipe.warmup: must be steps (an integer, 0 or more) or a share of all steps"),
        ("recipe: {max_length: 9000}", "recipe.max_length: must be 8192 or less; got 9000"),
        ("recipe: {epoch: 1}", "recipe.epoch: no key 'epoch' in a recipe; write `epochs: 1`"),
        ("under_test: [trainr]", "under_test[0]: no part of a strategy 'trainr'; did you mean 'trainer'?"),
        ("select: best", "select: must be 'last-epoch' or 'best-on-dev'; got 'best'"),
        (
            "gate: {quality: -1.0}",
            "gate.quality: must say how much worse a score may get, and in what unit: '-1.0 points', or '+0.05 mae' for an "
            "error; got -1.0",
        ),
        ("gate: {train_seconds: 10%}", "gate.train_seconds: must say how much may be added, like '+10%'; got '10%'"),
        ("gate: {qualty: -1 points}", "gate.qualty: no key 'qualty'; did you mean 'quality'?"),
        (
            "imported: [{name: a, source: b, split: dev, scores: {accuracy: .inf}}]",
            "imported[0].scores.accuracy: must be a finite number",
        ),
        (
            "imported: [{name: a, source: b, split: dev, scores: {accuracy: 1}, seed: 1}]",
            "imported[0].seed: no key 'seed'; did you mean 'seeds'?",
        ),
        ("strategies: {a: {trainer: torch-loop, trials: 0}}", "strategies.a.trials: must be 1 or more; got 0"),
        ("modles: [x]", "modles: no key 'modles'; did you mean 'models'?"),
        ('"a\\x07": 1', "'a\\x07': "),
    ],
)
def test_what_is_wrong_is_said_with_what_is_valid_and_what_was_given(line: str, message: str) -> None:
    assert f": {message}" in only_problem(changed(line))


def test_unknown_keys_are_found_at_every_level_by_the_keys_of_that_level() -> None:
    text = changed("strategies: {trainer: {trainer: x, recipes: {}}}") + "margins: 1\n"  # a strategy named like a key
    first, second = map(str, problems_in(text))
    assert tells(first, "spec.yaml:5:36: strategies.trainer.recipes: ", "'recipe'?")
    assert tells(second, "spec.yaml:6:1: margins: ", "'margin'?")


def test_six_mistakes_are_six_lines_each_at_its_place() -> None:
    text = """\
name: a/b
tasks: []
models: [tiny-bert]
recipe:
  epochs: -1
  fused: maybe
strategies:
  a:
    trainer: torch-loop
    replicate: two
seeds:
  - 1
  - -2
"""
    found = [(problem.line, problem.column, problem.key) for problem in problems_in(text)]
    assert found == [
        (1, 1, "name"),
        (2, 1, "tasks"),
        (5, 3, "recipe.epochs"),
        (6, 3, "recipe.fused"),
        (10, 5, "strategies.a.replicate"),
        (13, 5, "seeds[1]"),
    ]


def test_options_of_any_type_get_a_printable_line() -> None:
    class Colour(Enum):
        RED = "red"

    class Odd(Options):
        either: int | Literal["all"] = 1
        colour: Colour = Colour.RED
        day: date = date(2026, 1, 1)
        pair: tuple[int, int] = (0, 0)
        needed: Annotated[str, Field(min_length=2, pattern="^[a-z]+$")]
        path: Path = Path()

    lines = []
    for text in ("{either: [1], colour: blue, day: x, pair: [1], path: 1}", "{needed: a}", "{needed: A1}"):
        document = parse_document(text, "s")
        with pytest.raises(ValidationError) as caught:
            Odd.model_validate(document.data)
        lines += [str(problem) for problem in document.problems_of(caught.value, model=Odd)]
    assert all(line.isprintable() for line in lines)
    assert {"s:1:2: either: must be an integer; got a list", "s:1:2: either: must be 'all'; got a list"} <= set(lines)
    assert "s:1:1: needed: this key is needed" in lines
    assert "s:1:2: needed: must have 2 characters or more; got 'a'" in lines
    assert "s:1:2: needed: must match ^[a-z]+$; got 'A1'" in lines


def test_a_question_may_be_a_folded_block() -> None:
    spec, *_ = parse_document(changed("question: >\n  Which one\n  is better?\n"), "spec.yaml").read(ANY)
    assert spec is not None
    assert spec.question == "Which one is better?"


@pytest.mark.timeout(60)  # 1 s on an idle machine
def test_thousands_of_unknown_keys_are_all_named() -> None:
    assert len(problems_in(GOOD + "".join(f"key_{number}: 1\n" for number in range(5000)))) == 5000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("5e-5", 5e-5), ("1e-5", 1e-5), ("0.00005", 5e-5), ("0o17", 15), ("0x1f", 31), ("010", 10), ("1_000", 1000)],
        *[("yes", "yes"), ("no", "no"), ("true", True), ("~", None), ("12:30", "12:30"), ("'5'", "5")],
    ],
)
def test_words_and_numbers_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    read = parse_document(f"a: {text}", "spec.yaml").data["a"]
    assert read == value
    assert type(read) is type(value)


# --- anything at all -----------------------------------------------------------------------------------------------------

PIECES = [
    "name",
    "recipe",
    ": ",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!int ",
    "'",
    '"',
    "|",
    ">",
    "? ",
    "\t",
    "#",
]
ODDITIES = ["1e999", ".nan", "-1", "0", "null", "true", "2024-01-01", "\x07", "\ud800", "\u2028", "<<", "---", "\\e", "%", "é"]
pieces = st.sampled_from(PIECES + ODDITIES)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_mutated_file_is_a_spec_or_an_error_of_printable_lines(data: st.DataObject) -> None:
    text = changed("strategies: {a: {trainer: torch-loop}, b: {same_as: a, replicate: 1}}") + "seeds: [0, 1]\n"
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + "".join(data.draw(st.lists(pieces, max_size=3))) + text[end:]
    assert all(str(problem).isprintable() for problem in problems_in(text))
