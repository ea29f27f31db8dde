"""Every GLUE task as a row of one table of facts: official layouts, hidden test labels, a regression from end to end."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, write_spec
from messages import tells

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import DataError, SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.plugin import Paths
from bakeoff.spec.document import read_document
from bakeoff_glue import GlueTask
from bakeoff_glue.facts import EVERY, GlueFacts

FACTS = {facts.name: facts for facts in EVERY}
DATA = os.environ.get("BAKEOFF_DATA", "")

LAYOUTS: dict[str, tuple[str | None, str, list[str]]] = {
    "cola": (None, "made01\t{label}\t*\tThe {n} cats sleeps .", ["0", "1"]),
    "sst2": ("sentence\tlabel", 'a "quoted" film {n} \t{label}', ["0", "1"]),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        "{n}\tmain\tmade\t2026\t{n}\tnone\tnone\tA cat {n}.\tA dog {n}.\t{label}",
        ["0.000", "5.000", "3.250"],
    ),
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        "{n}\t1\t2\tWhat is {n}?\tWhich is {n}?\t{label}",
        ["0", "1"],
    ),
    "mnli": (
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\t"
        "sentence1\tsentence2\tlabel1\tgold_label",
        "{n}\t1\t1\tfiction\t(\t)\t(\t)\tIt is {n}.\tIt is not {n}.\t{label}\t{label}",
        ["neutral", "entailment", "contradiction"],
    ),
    "qnli": (
        "index\tquestion\tsentence\tlabel",
        "{n}\tWho is {n}?\tNobody is {n}.\t{label}",
        ["entailment", "not_entailment"],
    ),
    "rte": (
        "index\tsentence1\tsentence2\tlabel",
        "{n}\tIt rains {n}.\tIt is wet {n}.\t{label}",
        ["not_entailment", "entailment"],
    ),
    "wnli": ("index\tsentence1\tsentence2\tlabel", "{n}\tShe sat {n}.\tAnn sat {n}.\t{label}", ["0", "1"]),
}
"""Header, line and labels of the official files; the sentences are made up."""


def official(name: str, data: Path, rows: int = 12) -> GlueFacts:
    """Files of so many rows in the official layout, and the facts of an edition of that size."""
    facts, (header, line, labels) = FACTS[name], LAYOUTS[name]
    folder = data / "glue" / facts.folder
    folder.mkdir(parents=True)
    for split in facts.splits.values():
        lines = [line.format(n=f"{split.file} {number}", label=labels[number % len(labels)]) for number in range(rows)]
        (folder / split.file).write_text("\n".join([*([header] if header else []), *lines]) + "\n", encoding="utf-8")
    return replace(facts, splits={split: replace(there, rows=rows) for split, there in facts.splits.items()})


def load(facts: GlueFacts, data: Path) -> tuple[Any, dict[str, Any]]:
    task = GlueTask(facts)
    options = task.Options()
    return task.info(options), {name: rows.to_dict() for name, rows in task.load(options, Paths(data, data)).items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_official_layouts_are_read(name: str, tmp_path: Path) -> None:
    facts = official(name, tmp_path)
    info, splits = load(facts, tmp_path)
    assert set(splits) == set(info.splits) == set(info.labelled_splits)
    labels = LAYOUTS[name][2]
    for split, columns in splits.items():
        assert columns["id"][:2] == [f"{split}-0", f"{split}-1"]
        assert set(columns) == {"id", *info.text_columns, "label"}
        assert all(facts.splits[split].file in text for text in columns[info.text_columns[0]])
        if facts.range:
            assert columns["label"][:3] == [0.0, 5.0, 3.25]
        else:
            order = list(facts.labels)
            assert columns["label"] == [order.index(labels[row % len(labels)]) for row in range(12)]
    assert [metric.name.partition(" (")[0] for metric in info.metrics] == list(facts.metrics)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_last_line_without_a_line_break_is_a_row_and_is_told(name: str, tmp_path: Path) -> None:
    facts = official(name, tmp_path)
    before = load(facts, tmp_path)[1]
    path = tmp_path / "glue" / facts.folder / facts.splits["dev"].file
    content = path.read_bytes()
    path.write_bytes(content.removesuffix(b"\n"))
    assert load(facts, tmp_path)[1] == before
    loaded = GlueTask(facts).load(GlueTask(facts).Options(), Paths(tmp_path, tmp_path))
    last = content.count(b"\n")
    assert tells(loaded["dev"].info.description, f"{path.name}:{last}: ", "no line break, ")
    assert not loaded["train"].info.description
    header = LAYOUTS[name][0]
    path.write_bytes(content[: content.rstrip(b"\n").rindex(b"\t")])
    with pytest.raises(DataError, match=f"dev.*:{last}: this line is incomplete, after 11 of 12 rows: the file is cut off"):
        load(facts, tmp_path)
    path.write_bytes(b"\n".join(content.split(b"\n")[: 5 + bool(header)]))
    with pytest.raises(DataError, match=f"dev.*:{5 + bool(header)}: this line is incomplete, after 4 of 12 rows"):
        load(facts, tmp_path)


def test_the_table_holds_the_whole_benchmark() -> None:
    assert set(FACTS) == {"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"}
    assert {name for name, facts in FACTS.items() if "test" not in facts.hidden_splits} == {"mrpc"}
    assert set(FACTS["mnli"].splits) == {"train", "dev", "mismatched"}


@pytest.mark.parametrize("wrong", ["5.1", "-0.1", "nan", "high", ""])
def test_a_score_that_is_none_is_named_with_its_line(wrong: str, tmp_path: Path) -> None:
    facts = official("stsb", tmp_path)
    path = tmp_path / "glue" / "STS-B" / "dev.tsv"
    path.write_text(path.read_text().replace("3.250", wrong, 1))
    with pytest.raises(DataError, match=r"dev\.tsv:4: score '.*' is not a number from 0 to 5"):
        load(facts, tmp_path)


def test_broken_lines_of_qqp_are_left_out_as_on_the_hub_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("qqp", "rte"):
        facts = official(name, tmp_path / name)
        path = tmp_path / name / "glue" / facts.folder / "train.tsv"
        path.write_text(path.read_text() + "99\tcut\n")
        if name == "qqp":
            assert len(load(facts, tmp_path / name)[1]["train"]["id"]) == 12
        else:
            with pytest.raises(DataError, match=r"train\.tsv:14: expected 4 columns"):
                load(facts, tmp_path / name)


@pytest.mark.parametrize("name", ["sst2", "stsb"])
def test_hidden_labels_are_no_split_to_report_on(name: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"name: hidden\ntasks: [glue/{name}]\nmodels: [tiny-bert]\nrecipe: {{max_steps: 1}}\n"
        "strategies: {a: {trainer: torch-loop}}\nseeds: 1\nreport_on: test\n"
    )
    with pytest.raises(SpecError, match=r"spec\.yaml:7:\d+: report_on: .*'test' .* report on dev"):
        resolve(read_document(path), load_registry())


@pytest.mark.skipif(not (Path(DATA) / "glue" / "STS-B").is_dir(), reason="BAKEOFF_DATA names no folder with glue/STS-B")
@pytest.mark.parametrize(("name", "train", "dev"), [("stsb", 5749, 1500), ("sst2", 67349, 872)])
def test_the_real_files_are_read(name: str, train: int, dev: int) -> None:
    _, splits = load(FACTS[name], Path(DATA))
    assert (len(splits["train"]["id"]), len(splits["dev"]["id"])) == (train, dev)
    low, high = min(splits["train"]["label"]), max(splits["train"]["label"])
    assert (low, high) == ((0.0, 5.0) if name == "stsb" else (0, 1))


@pytest.mark.slow
@pytest.mark.skipif(not (Path(DATA) / "glue" / "STS-B").is_dir(), reason="BAKEOFF_DATA names no folder with glue/STS-B")
def test_a_regression_runs_from_end_to_end_and_the_loops_agree_to_the_bit(tmp_path: Path) -> None:
    head = (
        "name: stsb\ntasks: [glue/stsb]\nmodels: [tiny-bert]\nreport_on: dev\n"
        "recipe: {max_steps: 6, batch_size: 8, learning_rate: 1e-3, max_length: 32, train_examples: 64}\nstrategies:\n"
    )
    loops = {name: {"trainer": name} for name in ("hf-trainer", "torch-loop", "fast-loop")}
    spec = write_spec(tmp_path / "e", loops, head=head)
    answer = call("run", spec, "--threads", "1", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    found = records(tmp_path / "e")
    api, loop, fast = (found[f"{name}/0"] for name in loops)
    assert api["weights"] == loop["weights"]
    assert set(loop["scores"]["dev"]) == {"pearson", "spearman"}
    assert loop["data"]["majority_baseline"]["dev"] == {"pearson": 0.0, "spearman": 0.0}
    assert fast["status"] == "ok"
    assert "pearson" in answer.stdout
    report = call("report", tmp_path / "e", folder=tmp_path)
    assert report.returncode == 0, report.stderr
    assert call("show", "task", "glue/stsb", folder=tmp_path).returncode == 0
