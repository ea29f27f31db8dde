"""The page on what strategies get wrong, on scores while training and on kept models: there with figures, else not at all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from builders import HOSTILE, MadeComparison, make_comparison

from bakeoff.analysis.label_results import ByLabel, Confused, HardExample, HardExamples, LabelScores, OnlyWrong
from bakeoff.analysis.results import ByEpoch, KeptAt
from bakeoff.report.page.html import write_html

ODD = f"<i>{HOSTILE[0]}</i>"
CELL = r'<td class="(\w+ s\d)">([\d.]+)<span class="sub">(\d+ %)'
SECTIONS = ("labels", "hard", "epochs", "kept")
HARD = HardExamples(
    split="test",
    number=7,
    of=1725,
    examples=[HardExample(id="test-12", label="bug", answer=ODD, wrong=10, runs=10)],
    only=[
        OnlyWrong(
            strategies=["lora"],
            number=3,
            examples=[HardExample(id=ODD, label="bug", answer="praise", wrong=4, runs=5, others_wrong=1, others=5)],
        )
    ],
)


def by_label(*labels: str, confused: bool = False) -> ByLabel:
    counts = [[9.5 if row == column else 0.5 for column in range(len(labels))] for row in range(len(labels))]
    scores = [
        LabelScores(strategy=name, precision=[0.95, *[None] * (len(labels) - 1)], recall=[0.9] * len(labels), confusion=counts)
        for name in ("full", "lora")
    ]
    mistakes = [Confused(strategy="lora", label=labels[0], answer=labels[1], examples=0.5)] if confused else []
    return ByLabel(labels=list(labels), examples=[10] * len(labels), scores=scores, confused=mistakes)


def made(*, epochs: bool = False, kept: bool = False, **changes: Any) -> MadeComparison:
    found = make_comparison({"full": 0.8, "lora": 0.78}, seeds=2, **changes)
    (group,) = found.comparison.groups
    rows = [
        row.model_copy(
            update={
                "by_epoch": [ByEpoch(seed=0, split="dev", scores=[0.7, 0.8125, 0.75], first=1, chosen=2)] if epochs else [],
                "kept": [KeptAt(seed=1, folder=f"results/{ODD}/model")] if kept else [],
            }
        )
        for row in group.rows
    ]
    comparison = found.comparison.model_copy(update={"groups": [group.model_copy(update={"rows": rows})]})
    return MadeComparison(comparison, found.records, found.steps)


def sections(source: str) -> set[str]:
    return {name for name in SECTIONS if f'id="group-1-{name}"' in source}


@pytest.fixture(scope="module")
def everything() -> str:
    return made(by_label=by_label(ODD, "praise", confused=True), hard_examples=HARD, epochs=True, kept=True).html()


def test_a_section_is_there_only_where_it_has_figures(everything: str) -> None:
    nobody = HARD.model_copy(update={"number": 0, "examples": [], "only": []})
    two = by_label("bug", "praise")
    without = made(hard_examples=nobody, by_label=two).html()
    assert sections(everything) == set(SECTIONS)
    assert sections(without) == {"labels"}
    assert "Most frequent mistakes" not in without, "two labels' matrix says it"
    assert "<i>" not in everything
    for table in re.findall(r"<tbody>(.*?)</tbody>", everything + without, re.DOTALL):
        assert "<tr" in table


def test_a_matrix_shades_right_and_wrong_answers_and_ends_in_recall_and_precision(everything: str) -> None:
    matrix = everything.partition('aria-label="Confusion matrix of lora"')[2].partition("</table>")[0]
    shaded = [(*found.split(), *figures) for found, *figures in re.findall(CELL, matrix)]
    assert shaded == [
        ("right", "s8", "9.5", "95 %"),
        ("wrong", "s0", "0.5", "5 %"),
        ("wrong", "s0", "0.5", "5 %"),
        ("right", "s8", "9.5", "95 %"),
    ]
    assert re.findall(r"<td>([\d.]+|–)</td>", matrix) == ["95.0", "–"]
    assert "Most frequent mistakes" in everything


def test_texts_stand_at_the_examples_only_where_they_are_given(everything: str) -> None:
    found = made(hard_examples=HARD)
    (group,) = found.comparison.groups
    texts = {group.task: {"test-12": {"sentence": "It is <b>broken</b>."}}}
    shown = write_html(found.comparison, found.records, found.steps, texts=texts)
    assert "sentence: It is &lt;b&gt;broken&lt;/b&gt;." in shown
    assert "--with-texts" not in shown
    assert "broken" not in everything
    assert "--with-texts" in everything


def test_scores_by_epoch_are_drawn_and_stand_in_a_table(everything: str) -> None:
    panel = everything.partition('aria-label="Score by epoch of full')[2].partition("</svg>")[0]
    assert panel.count('class="curve"') == 1
    assert panel.count('class="run"') == 1
    table = everything.partition('aria-label="Score by epoch as a table"')[2].partition("</table>")[0]
    assert re.findall(r'<td class="n">([\d.]+)</td>', table)[:5] == ["0", "2", "70.00", "81.25", "75.00"]
