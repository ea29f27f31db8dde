"""`table.tex`: structure, what stands in it, and that no text of a record can be more than text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from builders import drawn_answers, make_experiment, published

from bakeoff.analysis.comparison import compare
from bakeoff.records.experiment import Experiment
from bakeoff.report.text.latex import as_latex, write_tex

LABELS = np.random.default_rng(1).integers(0, 2, 400)
HOSTILE = r"\input{/etc/passwd} 100% $x_1^2$ & #1 ~ {a} [b] * -- ?` <script> | ‮ ‐ 中 😀 é"


def experiment(other: str = "loop_x", **keywords: object) -> Experiment:
    answers = {
        "trainer-api": drawn_answers(LABELS, seeds=3, accuracy=0.85),
        other: drawn_answers(LABELS, seeds=3, accuracy=0.75, seed=5),
    }
    return make_experiment(answers, LABELS, **keywords)


def tex(made: Experiment) -> str:
    return write_tex(compare(made))


def rows(text: str) -> list[list[str]]:
    return [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]


def test_a_table_holds_scores_intervals_differences_verdicts_and_seconds() -> None:
    made = experiment(train_seconds={"loop_x": (1200.4, 1200.4, 1200.4)})
    header, baseline, other, floor = rows(tex(made))
    assert header == ["strategy", r"test accuracy", r"95 \% interval", "$-$ trainer-api", "verdict", "train s"]
    pair = compare(made).groups[0].to_baseline[0]
    assert pair.low is not None
    assert baseline[0] == "trainer-api (baseline)"
    assert baseline[3:5] == ["", ""]
    assert other[0] == r"loop\_x"
    assert other[1] == f"{100 * np.mean(compare(made).groups[0].rows[1].scores['test']['accuracy'].values):.2f}"
    assert other[3].startswith(f"$-${abs(100 * pair.difference):.2f} {{[}}$-${abs(100 * pair.low):.2f}, ")
    assert other[4:] == ["worse", "1,200"]
    assert floor[0] == "majority baseline"


def test_the_caption_says_task_model_examples_seeds_and_what_the_intervals_cover() -> None:
    caption = next(line for line in tex(experiment()).splitlines() if line.startswith(r"\caption"))
    assert "0 to 2" in caption
    assert "95 \\% intervals" in caption
    assert "within 1.00 points" in caption


def test_a_confounded_row_has_a_dagger_and_the_caption_names_the_confounder() -> None:
    text = tex(experiment(records={"loop_x": {"recipe": {"learning_rate": 2e-5}}}))
    assert r"loop\_x$^\dagger$ & " in text
    assert "$^\\dagger$ Confounded: loop\\_x" in text


def test_published_figures_stand_apart() -> None:
    row = published("A & B", source="chapter 3", accuracy=0.8578)
    text = tex(experiment(imported=[row]))
    assert "3) & 85.78" in text
    assert "published elsewhere, not tested:" in text


def test_booktabs_rules_and_environments_close_in_order() -> None:
    text = tex(experiment())
    begun = re.findall(r"\\(begin|end)\{(\w+)\}", text)
    assert begun == [("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")]
    assert [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == sorted(
        text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    )
    assert {len(row) for row in rows(text)} == {6}


@pytest.mark.parametrize("character", list("\\{}$&#_%~^"))
def test_no_special_character_stays_special(character: str) -> None:
    shown = as_latex(f"a{character}b")
    assert shown != f"a{character}b"
    assert re.fullmatch(r"a(\\[{}$&#_%]|\\text[a-z]+\{\})b", shown)


def test_foreign_text_is_one_line_of_text() -> None:
    shown = as_latex(f"a\n\n\\par b\x07\u202e{chr(0x4E2D)}")
    assert shown == r"a \textbackslash{}par b{\ttfamily U+0007}{\ttfamily U+202E}{\ttfamily U+4E2D}"
    assert as_latex("--x [y] *") == "-{}-x {[}y{]} {*}"
    assert as_latex("Gödel, Erdős") == r"Gödel, Erd{\ttfamily U+0151}s"


def test_hostile_text_breaks_out_of_no_cell() -> None:
    text = tex(experiment(HOSTILE))
    assert "\\input" not in text
    assert {len(re.split(r"(?<!\\) & ", " & ".join(row))) for row in rows(text)} == {6}
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0


def test_nothing_recorded_is_a_comment() -> None:
    made = make_experiment({"a": drawn_answers(LABELS, seeds=2, accuracy=0.8)}, LABELS, failing={"a": [0, 1]})
    assert tex(made).splitlines()[-1].startswith("%")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex")
def test_it_compiles(tmp_path: Path) -> None:
    body = tex(experiment(HOSTILE)) + tex(experiment())
    document = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-no-shell-escape", "table.tex"],  # noqa: S607 - wherever it is installed
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
