"""`bakeoff init` as a user calls it: on files that have nothing in common, by flags and by answers, and on what is no data."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from core.calling import Call

from bakeoff.cli import drafted, inputs, questions
from bakeoff.cli import init as module
from bakeoff.cli.inputs import find_paths, open_experiment
from bakeoff.contracts.registry import load_registry
from bakeoff.drafting.proposal import RunSeconds
from bakeoff.errors import BakeoffError
from bakeoff.training.assembly import load

WORDS = [first + second * 2 for first in "bdfgklmnprst" for second in "aeiou"]


def prose(number: int, length: int = 14) -> str:
    return " ".join(WORDS[(number * number * 7 + place * place * (number + 3)) % len(WORDS)] for place in range(length))


def cycle(*values: Any, rows: int = 120) -> list[Any]:
    return [values[(number * 7919) % len(values)] for number in range(rows)]


def delimited(columns: dict[str, Sequence[Any]], mark: str = ",", *, header: bool = True) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=mark, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return stream.getvalue()


TEXTS = [prose(number) for number in range(120)]
TOPICS = cycle("billing", "login", "shipping", "other")
TICKETS = {"id": range(1, 121), "body": TEXTS, "topic": TOPICS}


def write_files(folder: Path, content: Any) -> Path:
    """Writes one file, or a folder of files. content: (name, text or bytes or columns), or name -> content."""
    name, what = content
    path = folder / name
    if isinstance(what, dict) and path.suffix == ".parquet":
        pq.write_table(pa.table({key: list(values) for key, values in what.items()}), path)
    elif isinstance(what, dict) and path.suffix == "":
        path.mkdir()
        for one in what.items():
            write_files(path, one)
    elif isinstance(what, dict):
        path.write_text(delimited(what), encoding="utf-8")
    else:
        path.write_bytes(what if isinstance(what, bytes) else what.encode())
    return path


FILES: dict[str, tuple[Any, dict[str, Any]]] = {
    "csv": (("tickets.csv", TICKETS), {"text": ["body"], "label": ["topic"]}),
    "semicolons in cp1252": (
        ("Kunden.csv", delimited({"Text": [f"{text} für" for text in TEXTS], "Kategorie": TOPICS}, ";").encode("cp1252")),
        {"delimiter": ";", "encoding": "cp1252", "label": ["Kategorie"]},
    ),
    "utf-16 with tabs": (
        ("export.csv", delimited({"comment": TEXTS, "sentiment": TOPICS}, "\t").encode("utf-16")),
        {"delimiter": "\t", "encoding": "utf-16"},
    ),
    "no header": (
        ("rows.csv", delimited({"label": TOPICS, "text": TEXTS}, header=False)),
        {"columns": ["column1", "column2"], "text": ["column2"], "label": ["column1"]},
    ),
    "pair in tsv": (
        ("pairs.tsv", delimited({"sentence1": TEXTS, "sentence2": TEXTS[::-1], "label": cycle(0, 1)}, "\t")),
        {"text": ["sentence1", "sentence2"]},
    ),
    "json lines with lists": (
        (
            "tags.jsonl",
            "".join(
                f"{json.dumps({'text': text, 'tags': tags})}\n"
                for text, tags in zip(TEXTS, cycle(["a"], ["a", "b"], [], ["c"]), strict=True)
            ),
        ),
        {"kind": "multilabel", "label": ["tags"], "gaps": "none"},
    ),
    "parquet with numbers": (
        ("scores.parquet", {"premise": TEXTS, "hypothesis": TEXTS[::-1], "score": [number / 24 for number in range(120)]}),
        {"kind": "regression", "text": ["premise", "hypothesis"]},
    ),
    "folder of splits": (
        ("data", {"train.csv": TICKETS, "validation.csv": TICKETS, "test.csv": TICKETS}),
        {"train": ["data/train.csv"], "dev": ["data/validation.csv"], "test": ["data/test.csv"], "split": None},
    ),
    "test without labels": (
        ("kaggle", {"train.csv": TICKETS, "dev.csv": TICKETS, "test.csv": {**TICKETS, "topic": [""] * 120}}),
        {"unlabelled": ["test"], "report_on": "dev"},
    ),
    "pair with gaps": (
        ("mails.csv", {"subject": ["", *TEXTS[:119]], "body": [*TEXTS[1:], ""], "queue": TOPICS}),
        {"text": ["subject", "body"], "gaps": "empty"},
    ),
    "columns of 0 and 1": (
        ("toxic.csv", {"comment_text": TEXTS, "toxic": cycle(0, 1), "threat": cycle(0, 0, 1), "insult": cycle(1, 0, 0)}),
        {"kind": "multilabel", "label": ["toxic", "threat", "insult"]},
    ),
    "mostly one label, as floats, with gaps": (
        ("spam.csv", {"message": ["", *TEXTS[1:]], "spam": [*[f"{number % 10 == 0:.1f}" for number in range(119)], "nan"]}),
        {"metrics": ["macro_f1", "accuracy"], "gaps": "drop", "missing": ["nan"]},
    ),
    "quotation marks, pipes, strange names": (
        ("it's & more.csv", delimited({"Text: what's said": TEXTS, "class #": TOPICS}, "|")),
        {"text": ["Text: what's said"], "label": ["class #"], "delimiter": "|"},
    ),
}


installed = functools.cache(load_registry)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    for place in (module, inputs):  # what is installed does not change meanwhile
        monkeypatch.setattr(place, "load_registry", installed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_what_is_written_loads_with_the_sizes_that_were_said(call: Call, here: Path, name: str) -> None:
    path = write_files(here, FILES[name][0])
    out = call("init", path.name, "--no-timing")[1]
    (spec,) = here.glob("*.yaml")
    (task,) = open_experiment(spec)[1].tasks
    places = find_paths(spec=spec)
    splits = load(task.registered.component, task.options_at(places), places).splits
    said = next(line for line in out.splitlines() if line.startswith("split: "))
    for split in splits.keys() - {"train"}:
        if split not in getattr(task.options, "unlabelled", []):
            assert f"{len(splits[split]['id']):,} {split}" in said
    assert f" {len(splits['train']['id']):,} rows to train" in said


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_passes_check_and_means_what_the_file_means(call: Call, here: Path, name: str) -> None:
    content, expected = FILES[name]
    path = write_files(here, content)
    code, out, err = call("init", path.name, "--no-timing")
    assert (code, err) == (0, ""), err
    (spec,) = here.glob("*.yaml")
    assert 18 <= len(spec.read_text(encoding="utf-8").splitlines()) <= 34
    assert "conclusion: " in out
    plan = open_experiment(spec)[1]
    options = plan.tasks[0].options
    assert plan.spec.report_on == expected.get("report_on", "test")
    told = {key: value for key, value in expected.items() if key != "report_on"}
    assert {key: getattr(options, key) for key in told} == told
    assert (options.split is not None) == (path.is_file())
    assert all(3 <= margin <= 30 for margin in plan.margin.values())
    assert len(plan.strategies) == 3
    assert plan.spec.seeds.looks


def test_an_existing_file_is_never_changed(call: Call, here: Path) -> None:
    write_files(here, ("tickets.csv", TICKETS))
    (here / "tickets.yaml").write_text("mine", encoding="utf-8")
    code, _out, err = call("init", "tickets.csv", "--no-timing")
    assert code == 2
    assert "tickets.yaml exists already" in err
    assert (here / "tickets.yaml").read_text(encoding="utf-8") == "mine"
    assert call("init", "tickets.csv", "--no-timing", "--output", "other.yaml")[0] == 0


TWO = {"alpha": TEXTS, "omega": TEXTS[::-1], "shape": cycle("round", "long"), "colour": cycle("red", "blue", "green")}


def test_what_is_not_clear_is_asked_on_a_terminal(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(here, ("two.csv", TWO))
    monkeypatch.setattr(module, "can_ask", lambda: True)
    monkeypatch.setattr(questions.sys, "stdin", io.StringIO("nonsense\nomega\n2\n"))
    code, _out, err = call("init", "two.csv", "--no-timing")
    assert code == 0
    assert "does the model read?" in err
    assert "no such answer 'nonsense'" in err
    options = open_experiment(here / "two.yaml")[1].tasks[0].options
    assert (options.text, options.label) == (["omega"], ["colour"])


def test_elsewhere_the_flag_is_named_and_taken(call: Call, here: Path) -> None:
    write_files(here, ("two.csv", TWO))
    code, out, err = call("init", "two.csv", "--no-timing")
    assert (code, out) == (2, "")
    assert "--text alpha" in err
    assert not list(here.glob("*.yaml"))
    code, out, err = call("init", "two.csv", "--no-timing", "--text", "omega", "--label", "shape", "--model", "tiny-bert")
    assert code == 0
    assert call("check", "two.yaml")[0] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"text,label\n" + b"".join(b"some words in row %d,a\n" % number for number in range(50)), "has one value"),
        (delimited({"text": TEXTS, "label": [f"label {number}" for number in range(120)]}), "120 different values"),
        (delimited({"text": TEXTS[:10], "label": TOPICS[:10]}), "10 rows with a text and a label"),
        (delimited({"a": range(120), "b": cycle(1, 2)}), "no column reads as text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "bad.csv"),
    ],
)
def test_what_cannot_be_trained_on_says_why_and_writes_nothing(call: Call, here: Path, content: Any, told: str) -> None:
    write_files(here, ("bad.csv", content))
    code, _out, err = call("init", "bad.csv", "--no-timing")
    assert code == 2
    assert told in err
    assert err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(("gaps", "told"), [(1, "1 row without a text or a label is left out"), (2, "2 rows without"), (0, "")])
def test_rows_that_are_left_out_are_told_of(call: Call, here: Path, gaps: int, told: str) -> None:
    write_files(here, ("tickets.csv", {**TICKETS, "body": [*[""] * gaps, *TEXTS[gaps:]]}))
    code, out, _err = call("init", "tickets.csv", "--no-timing")
    (line,) = [line for line in out.splitlines() if line.startswith("split: ")]
    assert (code, "left out" in line) == (0, gaps > 0)
    assert told in line
    assert told in (here / "tickets.yaml").read_text(encoding="utf-8")


def test_many_labels_are_allowed_where_they_repeat(call: Call, here: Path) -> None:
    rows = 5_000
    texts = [prose(number, 6) for number in range(rows)]
    write_files(here, ("many.csv", {"text": texts, "intent": [f"intent {number % 1_000}" for number in range(rows)]}))
    code, out, _err = call("init", "many.csv", "--no-timing")
    assert code == 0
    assert "1,000 labels with fewer" in out


def test_rows_elsewhere_are_named_by_data(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "far").mkdir()
    (here / "work").mkdir()
    write_files(here / "far", ("tickets.csv", TICKETS))
    monkeypatch.chdir(here / "work")
    code, out, _err = call("init", here / "far" / "tickets.csv", "--no-timing")
    assert code == 0
    assert f"bakeoff run --data {here / 'far'}" in out
    text = (here / "work" / "tickets.yaml").read_text(encoding="utf-8")
    assert "train: tickets.csv" in text
    assert str(here) not in text


def test_a_link_out_of_the_folder_and_a_file_written_elsewhere_are_found_by_run(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("far", "near", "specs"):
        (here / folder).mkdir()
    write_files(here / "far", ("tickets.csv", TICKETS))
    (here / "near" / "linked.csv").symlink_to(here / "far" / "tickets.csv")
    out = call("init", "far/tickets.csv", "--no-timing", "--output", "specs/a.yaml")[1]
    assert out.partition("bakeoff run specs/a.yaml ")[2].startswith(f"--data {here / 'far'}")
    monkeypatch.chdir(here / "near")
    out = call("init", "linked.csv", "--no-timing")[1]
    assert f"bakeoff run --data {here / 'near'}" in out
    assert open_experiment(here / "near" / "linked.yaml")[1].tasks[0].options.train == ["linked.csv"]


def test_beside_another_experiments_records_a_folder_is_named(call: Call, here: Path) -> None:
    write_files(here, ("tickets.csv", TICKETS))
    (here / "records").mkdir()
    (here / "records" / "plan.json").write_text("{}", encoding="utf-8")
    assert "bakeoff run --into tickets" in call("init", "tickets.csv", "--no-timing")[1]


def test_the_model_is_named_or_installed(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(here, ("tickets.csv", TICKETS))
    (here / "mine").mkdir()
    assert call("init", "tickets.csv", "--no-timing", "--model", "mine")[0] == 0
    assert open_experiment(here / "tickets.yaml")[1].models[0].options.path == "./mine"
    assert call("init", "tickets.csv", "--no-timing", "--model", "a-b/c", "--output", "hub.yaml")[0] == 0
    assert "'minilm'" in call("init", "tickets.csv", "--no-timing", "--model", "minlm", "--output", "a.yaml")[2]
    monkeypatch.setattr(installed().get("model", "minilm").component, "missing_extras", lambda: ["minilm"])
    code, _, err = call("init", "tickets.csv", "--no-timing", "--output", "b.yaml")
    assert code == 2
    assert "model 'minilm'" in err
    assert not (here / "b.yaml").exists()


def test_measured_times_decide_steps_and_cost(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**TICKETS, "body": [f"{text} {number}" for text in TEXTS]} for number in range(20)]
    columns = {key: [value for part in rows for value in part[key]] for key in ("body", "topic")}
    write_files(here, ("tickets.csv", columns))
    monkeypatch.setattr(drafted.Drafting, "timed", lambda self, draft: [RunSeconds(step=0.5, fixed=1.0)] * 3)
    code, out, _err = call("init", "tickets.csv", "--minutes", "15")
    assert code == 0
    assert "fewer steps than usual" in out
    plan = open_experiment(here / "tickets.yaml")[1]
    steps = plan.strategies[0].recipe.max_steps or 0
    assert steps
    assert 15 * (1 + steps / 2) <= 15 * 60
    out = call("init", "tickets.csv", "--minutes", "1", "--output", "late.yaml")[1]
    assert ("longer than --minutes allows" in out, "fewer steps than usual" in out) == (True, False)


def test_what_cannot_be_timed_with_one_trainer_is_timed_with_the_other(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(self: Any, draft: Any) -> list[RunSeconds]:
        if draft.trainer == drafted.FAST:
            raise BakeoffError("not this model")
        return [RunSeconds(step=0.01, fixed=1.0)] * 3

    write_files(here, ("tickets.csv", TICKETS))
    monkeypatch.setattr(drafted.Drafting, "timed", timed)
    code, _out, err = call("init", "tickets.csv")
    assert code == 0
    assert "not this model" in err
    assert open_experiment(here / "tickets.yaml")[1].strategies[0].trainer.name == drafted.PLAIN


def test_data_or_a_task_is_needed_and_not_both(call: Call, here: Path) -> None:
    assert call("init")[0] == 2
    assert call("init", "a.csv", "--task", "glue/mrpc")[0] == 2
    code, _out, err = call("init", "--task", "glue/mrcp")
    assert code == 2
    assert "glue/mrpc" in err


def test_the_example_is_written_once_and_can_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("init", "--example")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"tickets.csv", "tickets.yaml"}
    before = (tmp_path / "tickets.yaml").read_bytes()
    assert call("check", "tickets.yaml")[0] == 0
    code, _, err = call("init", "--example")
    assert (code, len(err.splitlines())) == (2, 1)
    assert (tmp_path / "tickets.yaml").read_bytes() == before
    assert call("init", "--example", "tickets.csv")[0] == 2
