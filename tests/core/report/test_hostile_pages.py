"""What is written for others than the terminal holds strangers' names as text: page, LaTeX, cards for the hub, notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import EVERYTHING, HOSTILE, Renamer, hostile_folder, runs_and_plan
from core.report.test_every_eval_ever import require_valid
from core.report.test_html import Page
from core.text.test_markdown import GITHUB, NEVER, alive, inlines, kinds
from core.text.test_markdown import STRUCTURE as BLOCKS
from huggingface_hub import ModelCardData, parse_eval_result_entries
from ruamel.yaml import YAML

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.summary.spent import spent
from bakeoff.api.comparisons import Comparisons
from bakeoff.api.results import Results
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.report.page.html import write_html
from bakeoff.report.text.checklist import write_checklist
from bakeoff.report.text.every_eval_ever import eee_files
from bakeoff.report.text.hub_cards import eval_results, is_ours, model_index
from bakeoff.report.text.latex import write_tex
from bakeoff.text.words import escaped
from bakeoff.training.kept_model import card_lines

NAMES = [
    [EVERYTHING],
    *(
        pytest.param((*HOSTILE[first:], *HOSTILE[:first]), marks=pytest.mark.long if first % 60 else pytest.mark.slow)
        for first in range(0, 130, 20)
    ),
]


@pytest.fixture(scope="module", params=NAMES, ids=lambda names: str(HOSTILE.index(names[0])) if len(names) > 1 else "all")
def experiment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = hostile_folder(tmp_path_factory.mktemp("pages"), Renamer(request.param))
    return load_experiment([folder])


def hidden(text: str) -> list[str]:
    return [repr(one) for one in text if one != "\n" and not one.isprintable()]


def test_the_page_holds_no_element_that_a_name_brought(experiment: Experiment) -> None:
    source = write_html(compare(experiment), experiment.records, lambda _: (np.arange(9), np.linspace(1, 0, 9)))
    page = Page(source)
    assert hidden(source) == []
    assert not page.open
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("style"), tags.count("title")) == (1, 1, 1)
    assert not {"img", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "image", "use"} & set(tags)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert {attributes["href"][0] for _, attributes in page.elements if "href" in attributes} == {"#"}
    for run in experiment.declared.runs:
        assert escaped(" ".join(run.strategy.split())) in page.words


STRUCTURE = {"begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "multicolumn"}
LETTERS = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar", "textperiodcentered"}
LETTERS |= {"textendash", "ttfamily", "pm", "times", "dagger", "usepackage"}


def test_latex_knows_every_command_and_closes_every_brace(experiment: Experiment) -> None:
    text = write_tex(compare(experiment))
    assert hidden(text) == []
    head, body = text.split("\n", 1)
    assert head.startswith("%")
    assert set(re.findall(r"(?<!\\)(?:\\\\)*\\([a-zA-Z]+)", body)) <= STRUCTURE | LETTERS
    assert not re.search(r"(?<!\\)[%#]|(?<!\\)(?:\\\\)+[%#]|\^\^", body)
    depth = 0
    for token in re.findall(r"\\.|[{}]", body, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    rows = [line for line in body.splitlines() if line.endswith(r"\\") and not line.startswith(r"\multicolumn")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {5}
    assert body.count("$") - body.count(r"\$") == 2 * len(re.findall(r"(?<!\\)\$(?:-|\\pm|\\times|\^\\dagger)\$", body))


def strings(plain: object) -> Iterator[str]:
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        for value in plain.values():
            yield from strings(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from strings(value)


def test_cards_for_the_hub_are_read_back_with_names_as_text(experiment: Experiment) -> None:
    comparison = compare(experiment)
    rows = [row for row in comparison.groups[0].rows if row.scores]
    documents = list(YAML(typ="safe").load_all(model_index(comparison)))
    names = {escaped(f"{comparison.groups[0].model} {row.strategy}") for row in rows}
    assert {document["model-index"][0]["name"] for document in documents} == names
    assert len(documents) == len(rows)
    for document in documents:
        assert set(document) == {"model-index"}
        assert len(ModelCardData(**document).eval_results) == 2
    files = eval_results(comparison)
    assert len(files) == len(rows)
    (dataset,) = comparison.declared.hub_datasets.values()
    for name, text in files.items():
        assert re.fullmatch(r"[A-Za-z0-9_-]+\.yaml", name)
        plain = YAML(typ="safe").load(text)
        (entry,) = parse_eval_result_entries(plain)
        assert (entry.dataset_id, entry.task_id) == (dataset.id, escaped(dataset.config))
        assert is_ours(text.encode())
        assert hidden("".join(strings(plain))) == hidden(text) == []


def test_results_for_every_eval_ever_hold_names_as_text(experiment: Experiment) -> None:
    files = eee_files(compare(experiment), experiment.records, organisation=EVERYTHING, made_at=1)
    assert len(files) == 3
    for path, text in files.items():
        require_valid(path, text)
        assert hidden("".join(strings(json.loads(text)))) == hidden(text) == []


def test_the_checklist_holds_names_as_text(experiment: Experiment, tmp_path: Path) -> None:
    pages = []
    plain = load_experiment([hostile_folder(tmp_path, Renamer(["p"]))])
    for made in (experiment, plain):
        text = write_checklist(compare(made), made, spent(made, []))
        assert hidden(text) == []
        pages.append(GITHUB.parse(text))
    hostile, usual = map(kinds, pages)
    assert [one for inline in inlines(pages[0]) for one in alive(inline)] == []
    assert [hostile[kind] for kind in (*NEVER, *BLOCKS)] == [usual[kind] for kind in (*NEVER, *BLOCKS)]


@pytest.mark.parametrize("first", [0, 15, 20, 50, 85, 95])
def test_the_card_of_a_kept_model_holds_names_as_text(first: int) -> None:
    pages = []
    for rename in (Renamer(HOSTILE, first), Renamer(["p"])):
        record = runs_and_plan(rename)[0][0][0]
        labels = [rename(f"label {number}") for number in range(10)]
        pages.append(GITHUB.parse("\n".join(card_lines(record, labels, "import torch\nprint(1)\n")) + "\n"))
    hostile, plain = map(kinds, pages)
    assert [one for inline in inlines(pages[0]) for one in alive(inline)] == []
    assert plain["fence"] == 1
    for kind in (*NEVER, "heading_open", "table_open", "tr_open", "th_open", "list_item_open", "paragraph_open"):
        assert hostile[kind] == plain[kind], kind
    assert pages[0][0].type == "heading_open", "no front matter"


def test_notebooks_show_names_as_text(experiment: Experiment) -> None:
    for shown in (Results(experiment), Comparisons(compare(experiment))):
        page = Page(shown._repr_html_())
        assert hidden("".join(page.text).replace("\xa0\xa0", "  ")) == [], "pandas writes two blanks so"
        assert {tag for tag, _ in page.elements} <= {"p", "b", "table", "thead", "tbody", "tr", "th", "td"}
        assert hidden(repr(shown)) == hidden(str(shown)) == []
