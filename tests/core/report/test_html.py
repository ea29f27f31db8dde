"""The page as text: whole without a network, complete with little, and safe whatever its strings are."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import combinations, pairwise

import numpy as np
import pytest
from builders import (
    COURSE,
    MadeComparison,
    drawn_slice_scores,
    failed,
    falling_loss,
    make_comparison,
    make_declaration,
    make_record,
    not_judged,
)
from messages import tells

from bakeoff.analysis.findings import AcrossTasks
from bakeoff.contracts.unit import Figures, Unit
from bakeoff.records.schema import Record
from bakeoff.report.page.charts import Place, curve, learning_curves, quality_against_cost
from bakeoff.report.page.differences import SIGNS
from bakeoff.report.page.drawing import Axis, axis_over, interval, nice_ticks
from bakeoff.report.page.html import write_html

SKILL = {"trainer-api": 0.784, "manual-loop": 0.782, "lora": 0.771, "bitfit": 0.752}
VOID = {"meta", "input", "link", "br", "img"}


class Page(HTMLParser):
    """What a browser would make of it: elements, attributes, text, and whether tags are closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def rich() -> MadeComparison:
    return make_comparison(
        SKILL,
        broken=["bitfit"],
        confounded=["lora"],
        recipes={"lora": {"gradient clipping": "none"}},
        slices=drawn_slice_scores(list(SKILL)),
        imported=[COURSE],
        seconds={"lora": 210.0, "bitfit": 90.0},
    )


@pytest.fixture(scope="module")
def page(rich: MadeComparison) -> Page:
    return Page(rich.html())


def test_the_page_says_question_answer_rows_and_verdicts(page: Page, rich: MadeComparison) -> None:
    assert not page.open
    assert rich.comparison.question in page.words
    assert rich.comparison.answer in page.words
    for name in SKILL:
        assert name in page.words
    assert "majority baseline" in page.words
    assert "66.49" in page.words
    assert "course Trainer" in page.words
    assert "1 failed" in page.words
    assert tells(page.words, "", "differs from trainer-api", "clipping (none against 1)")
    verdicts = {pair.verdict for pair in rich.comparison.groups[0].to_baseline}
    assert len(verdicts) == 3
    for verdict in verdicts:
        assert f"{SIGNS[verdict]} {verdict}" in page.words


def test_nothing_in_the_page_points_outside_it(page: Page) -> None:
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "srcset", "action", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert attributes["href"][0] == "#"
            assert attributes["href"][1:] in ids
        for name in ("aria-labelledby", "for", "data-table"):
            assert attributes.get(name) is None or attributes[name] in ids


def test_every_id_stands_once(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_policy_allows_its_own_style_and_script_and_nothing_else(rich: MadeComparison) -> None:
    source = rich.html()
    policy = next(attributes["content"] for _, attributes in Page(source).elements if "http-equiv" in attributes)
    hashes = []
    for tag in ("style", "script"):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        assert len(found) == 1
        hashes.append(base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode())
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_headings_skip_no_level_and_each_drawing_has_a_table(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for words in ("All scores with their intervals", "Costs as a table", "Learning curves as a table", "Every seed as a table"):
        assert words in page.words
    assert all("aria-label" in attributes for tag, attributes in page.elements if attributes.get("role") == "img")


ACROSS = AcrossTasks(
    mean_ranks={"lora": 1.4, "trainer-api": 1.6, "bitfit": 3.0},
    groups=[f"task {number}" for number in range(5)],
    chi2_p=0.022,
    f_p=0.004,
    p=0.019,
    critical_difference=1.48,
    confounded=["bitfit"],
    sentence="Over 5 comparison groups, the ranks of 3 strategies differ.",
)

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnol\x07\x1b[31m &amp; `</code><b>` {{ 7*7 }} </style>"
)


def hostile() -> MadeComparison:
    """Every string that a record, a plugin or an experiment file could bring is hostile."""
    skill = {"trainer-api": 0.78, HOSTILE: 0.75}
    made = make_comparison(
        skill, broken=[HOSTILE], message=HOSTILE, confounded=[HOSTILE], recipes={HOSTILE: {HOSTILE: HOSTILE}}
    )
    group = made.comparison.groups[0]
    pairs = [pair.model_copy(update={"advice": HOSTILE, "sentence": HOSTILE}) for pair in group.to_baseline]
    costs = [ratio.model_copy(update={"comparable": False, "reason": HOSTILE}) for ratio in group.costs]
    scored = [part.model_copy(update={"column": HOSTILE, "value": HOSTILE}) for part in drawn_slice_scores([HOSTILE])]
    group = group.model_copy(
        update={
            "title": HOSTILE,
            "to_baseline": pairs,
            "costs": costs,
            "timed_on": HOSTILE,
            "unlike_times": {HOSTILE: HOSTILE},
            "slices": scored,
            "notes": [HOSTILE],
            "imported": [COURSE.model_copy(update={"name": HOSTILE, "source": HOSTILE, "split": HOSTILE})],
            "rankings": ["", HOSTILE],
            "rows": [*group.rows, group.rows[-1].model_copy(update={"ranking": 1, "strategy": "other", "experiment": HOSTILE})],
        }
    )
    warnings = [
        warning.model_copy(update={"what": HOSTILE, "what_to_do": HOSTILE, "rows": [HOSTILE]})
        for warning in made.comparison.warnings
    ]
    comparison = made.comparison.model_copy(
        update={
            "declared": made.comparison.declared.model_copy(update={"name": HOSTILE, "question": HOSTILE}),
            "answer": HOSTILE,
            "groups": [group],
            "warnings": warnings,
            "across": ACROSS.model_copy(update={"mean_ranks": {HOSTILE: 1.0}, "confounded": [HOSTILE], "sentence": HOSTILE}),
            "facts": {"commands": [HOSTILE], HOSTILE: HOSTILE},
            "damaged": [HOSTILE],
            "foreign": 1,
        }
    )
    return MadeComparison(comparison, made.records, made.steps)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    source = hostile().html()
    page = Page(source)
    assert not page.open
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert "img" not in tags
    assert "b" not in {tag for tag, attributes in page.elements if not attributes}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.words, "what was given is to be read, not lost"
    assert "{{ 7*7 }}" in page.words
    assert "\\u202egnol\\x07\\x1b[31m" in page.words
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]", source)


def svgs(source: str, kind: str) -> list[str]:
    return re.findall(rf'<svg class="{kind}".*?</svg>', source, re.DOTALL)


def test_charts_draw_every_run_and_show_hostile_names_as_text() -> None:
    made = hostile()
    charts = "".join(svgs(made.html(), "chart"))
    scored = [score for row in made.comparison.groups[0].rows if (score := made.comparison.groups[0].score(row))]
    assert charts.count('class="run"') == 2 * sum(len(score.values) for score in scored), "once for pages, once for telephones"
    assert "&lt;script&gt;alert(1)" in charts
    assert "<script" not in charts
    elements = {tag for tag, _ in Page(charts).elements}
    assert elements <= {"svg", "path", "text", "rect", "circle"}


def test_a_loss_beyond_the_scale_is_drawn_at_its_end() -> None:
    line = curve(0, np.arange(1000), np.r_[1e6, np.ones(999)], 1000)
    assert line is not None
    (points,) = re.findall(r'class="curve " d="M([^"]+)"', learning_curves([line], [], [line]))
    heights = {float(point.partition(",")[2]) for point in points.split("L")}
    assert min(heights) == 0
    assert max(heights) <= 120


def test_costs_that_span_a_factor_of_five_stand_on_a_logarithmic_scale() -> None:
    places = [Place(f"row {x}", (x, x, x), (70.0, 71.0, 72.0), "front") for x in (10.0, 100.0, 1000.0)]
    chart = quality_against_cost(places, titles=("train seconds", "accuracy"), width=700, height=340)
    across = [float(place) for place in re.findall(r'<circle [^>]*cx="([\d.]+)"', chart)]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert {"10", "100", "1,000"} <= set(re.findall(r">([\d,]+)</text>", chart))


def test_an_interval_beyond_the_axis_ends_in_an_arrowhead() -> None:
    axis = Axis(0.0, 1.0)
    assert "head" not in interval(axis, 0.5, 0.2, 0.8)
    assert interval(axis, 0.5, -0.5, 0.8).count('class="head"') == 1
    assert interval(axis, 0.5, -0.5, 1.8).count('class="head"') == 2
    beyond = interval(axis, -3.0, None, None)
    assert beyond.count('class="head"') == 1
    assert "dot" not in beyond


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.08, 0.011), (66, 79), (1e-9, 3e-9), (-5e6, 5e6), (3, 3)])
def test_ticks_are_few_and_span_the_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 4)
    assert 1 <= len(ticks) <= 9
    assert ticks[0] <= low + 1e-15
    assert ticks[-1] >= high - 1e-15
    assert axis_over([low, high]).low < low


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_and_one_row_make_a_page(seeds: int) -> None:
    page = Page(make_comparison({"trainer-api": 0.78}, seeds=seeds).html())
    assert not page.open
    assert "trainer-api" in page.words
    assert "Differences to" not in page.words


def test_a_row_without_scores_has_dashes_and_its_reason() -> None:
    made = make_comparison({"trainer-api": 0.78, "lost": 0.7}, seeds=1, broken=["lost"], message="the device is full")
    page = Page(made.html())
    assert tells(page.words, "", "lost:0, ", "memory: ", "'the device is full'.")
    assert "0 of 1" in page.words


def test_what_is_remarked_of_a_run_is_told_on_the_page() -> None:
    made = make_comparison({"trainer-api": 0.78, "loop": 0.7}, seeds=2)
    plain = Page(made.html())
    records = [
        record.model_copy(
            update={"process_notes": ["the run's process: exit code 3 <b>"]} if record.requested.strategy == "loop" else {}
        )
        for record in made.records
    ]
    page = Page(write_html(not_judged(made.comparison, records), records, made.steps))
    assert not page.open
    assert tells(page.words, "", "loop (seeds 0, 1): ", "exit code 3 <b>")
    assert "the run's process" not in plain.words


def test_nothing_recorded_makes_a_page_that_says_so() -> None:
    record = make_record()
    comparison = make_comparison({"trainer-api": 0.78}).comparison.model_copy(
        update={"declared": make_declaration([record]), "groups": [], "warnings": [], "answer": ""}
    )
    page = Page(write_html(comparison, [], falling_loss))
    assert "Nothing is recorded yet" in page.words
    assert "0 of 1" in page.words


def test_every_run_failed_makes_a_page() -> None:
    made = make_comparison({"trainer-api": 0.78, "lost": 0.7}, seeds=1, broken=["trainer-api", "lost"])
    page = Page(made.html())
    assert not page.open
    assert "2 failed" in page.words


def test_several_groups_are_listed_with_their_answers() -> None:
    made = make_comparison(SKILL)
    group = made.comparison.groups[0]
    other = group.model_copy(update={"title": "glue/rte · minilm", "task": "glue/rte", "answer": "It is not known."})
    comparison = made.comparison.model_copy(update={"groups": [group, other]})
    page = Page(write_html(comparison, made.records, made.steps))
    assert tells(page.words, "", "glue/rte · minilm :", "not known.")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_ranks_over_tasks_have_a_section_after_the_groups_only_where_there_are_any(rich: MadeComparison, page: Page) -> None:
    assert "Across tasks" not in page.words
    source = MadeComparison(rich.comparison.model_copy(update={"across": ACROSS}), rich.records, rich.steps).html()
    shown = Page(source)
    assert not shown.open
    assert ACROSS.sentence in shown.words
    assert "bitfit † confounded 3.00 1.60" in shown.words
    assert tells(shown.words, "", "p 0.019 ", "0.022 by chi-squared, ", "0.004 by ")
    assert source.index('id="group-1-recipes"') < source.index('id="across"') < source.index('id="how"')
    assert ("a", {"href": "#across"}) in shown.elements


def cells(source: str, title: str) -> list[dict[str, str]]:
    """The table of the page whose scrolling frame has this label, row by row: column -> text."""
    table = source.partition(f'aria-label="{title}"')[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)]
    plain = [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]
    return [dict(zip(plain[0], row, strict=True)) for row in plain[1:]]


def test_every_seed_says_what_the_best_of_them_would_be(rich: MadeComparison) -> None:
    source = rich.html()
    for row in cells(source, "Every seed as a table"):
        scores = sorted(float(row[f"seed {seed}"]) for seed in range(5) if row[f"seed {seed}"] != "–")
        triples = [max(three) for three in combinations(scores, 3)]
        assert float(row["expected best of 3"]) == pytest.approx(sum(triples) / len(triples), abs=0.011)
        if len(scores) == 5:
            assert row["expected best of 5"] == f"{scores[-1]:.2f}"
        else:
            assert row["expected best of 5"] == "–", "one of its runs failed"
    added = [
        standing.expected_best[4] - standing.expected_best[0]
        for standing in rich.comparison.groups[0].rows
        if len(standing.expected_best) == 5
    ]
    assert len(added) == 3
    amount = f"{100 * min(added):.2f} to {100 * max(added):.2f} points"
    assert tells(Page(source).words, "", "best of 5 seeds ", f"{amount}, ")


def test_the_best_of_two_seeds_is_not_told() -> None:
    assert "best of" not in Page(make_comparison(SKILL, seeds=2).html()).words


def test_a_metric_of_which_less_is_better_is_flattered_downwards() -> None:
    made = make_comparison(SKILL, seeds=3, higher_is_better=False)
    rows = [row.model_copy(update={"expected_best": [0.5, 0.45, 0.4]}) for row in made.comparison.groups[0].rows]
    groups = [made.comparison.groups[0].model_copy(update={"rows": rows})]
    page = Page(MadeComparison(made.comparison.model_copy(update={"groups": groups}), made.records, made.steps).html())
    assert tells(page.words, "", "best of 3 seeds ", "10.00 points")


def test_other_tests_show_the_probability_of_improvement(rich: MadeComparison) -> None:
    shown = {row["strategy"]: row["probability of improvement"] for row in cells(rich.html(), "Other tests")}
    told = {pair.first: pair.checks.probability_of_improvement for pair in rich.comparison.groups[0].to_baseline}
    assert shown == {name: f"{chance:.2f}" for name, chance in told.items()}
    assert len(shown) == 3


def test_times_that_are_not_comparable_stand_in_parentheses_with_the_reason() -> None:
    made = make_comparison(SKILL)
    group = made.comparison.groups[0]
    unlike = {"unlike_times": {"lora": "another machine"}}
    comparison = made.comparison.model_copy(update={"groups": [group.model_copy(update=unlike)]})
    source = write_html(comparison, made.records, made.steps)
    assert re.search(r'title="another machine">\(\d', source)
    assert source.count('title="another machine">(') == 1


@pytest.mark.parametrize(
    ("strategies", "seeds"),
    [(10, 100), pytest.param(200, 5, marks=pytest.mark.long), pytest.param(1000, 1, marks=pytest.mark.slow)],
)
def test_a_thousand_records_stay_under_two_megabytes(strategies: int, seeds: int) -> None:
    skill = {f"strategy-number-{number}": 0.7 + 0.0003 * number for number in range(strategies)}
    made = make_comparison(skill, seeds=seeds, all_pairs=strategies <= 20, slices=drawn_slice_scores(list(skill)[:40]))
    assert len(made.records) == 1000
    source = made.html()
    assert len(source.encode()) < 2_000_000
    assert made.records[-1].id in source


def test_more_than_a_thousand_records_leave_rows_only_and_the_page_says_so() -> None:
    made = make_comparison(SKILL, seeds=251)
    page = Page(made.html())
    assert tells(page.words, "", "1,004 records: ", "rows only")
    assert made.records[-1].id not in page.words
    assert "Learning curves" not in page.words
    assert "manual-loop" in page.words


def test_beyond_so_many_rows_only_the_table_of_all_figures_has_all_and_the_page_says_so() -> None:
    made = make_comparison({f"row-{number:03}": 0.6 + 0.002 * number for number in range(155)}, seeds=1, all_pairs=False)
    page = Page(made.html())
    assert tells(page.words, "", "first 51 ", "155 rows"), "50 and the baseline, which is the last"
    leaderboard = made.html().partition('aria-label="Leaderboard of ')[2].split("</table>")[0]
    assert all(f"row-{number:03}" in leaderboard for number in range(155))


def test_more_strategies_than_curves_are_counted() -> None:
    made = make_comparison({f"row-{number}": 0.7 for number in range(14)}, seeds=1, all_pairs=False)
    assert "2 more rows" in Page(made.html()).words


def test_losses_that_are_not_finite_or_missing_draw_nothing() -> None:
    made = make_comparison(SKILL, seeds=2)
    gone = MadeComparison(made.comparison, made.records, lambda _: None)
    assert "Learning curves" not in Page(gone.html()).words

    def diverged(name: str) -> object:
        steps, losses = falling_loss(name)
        losses[:] = float("nan")
        return steps, losses

    broken = MadeComparison(made.comparison, made.records, diverged)  # type: ignore[arg-type]
    assert "Learning curves" not in Page(broken.html()).words


def test_a_metric_that_is_no_share_is_shown_as_it_is() -> None:
    made = make_comparison(SKILL, figures=Figures(unit=Unit(low=0.0), decimals=4))
    source = made.html()
    assert "in points" not in Page(source).words
    assert re.search(r">0\.78\d\d<", source)


def test_a_failed_record_stands_in_the_list_with_its_reason(rich: MadeComparison) -> None:
    lost: Record = next(record for record in rich.records if record.status == "failed")
    row = re.search(rf"<tr><td><code>{lost.id}</code></td>.*?</tr>", rich.html(), re.DOTALL)
    assert row is not None
    assert "out of memory" in row[0]
    assert "it is gone" in row[0]
    assert failed(lost).id == lost.id
