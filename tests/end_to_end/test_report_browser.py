"""The page in a real browser: it is silent, asks for nothing, and sorts, filters, changes its theme and prints."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import COURSE, MARKDOWN, MARKUP, Renamer, drawn_slice_scores, hostile_folder, make_comparison
from end_to_end.chromium import needs_chromium, opened, page_of_200_rows

from bakeoff.analysis.comparison import compare
from bakeoff.records.load import load_experiment
from bakeoff.report.page.html import write_html
from bakeoff.text.words import one_line

pytestmark = needs_chromium

CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
const behind = (element) => { for (let e = element; e; e = e.parentElement) {
  const found = rgb(getComputedStyle(e).backgroundColor); if (found[3] === 255) return found; } return [255, 255, 255, 255]; };
const weak = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.getClientRects().length || element.closest("script, style, .self")) continue;
  const style = getComputedStyle(element);
  const ink = rgb(element instanceof SVGElement ? style.fill : style.color);
  const [one, other] = [light(ink), light(behind(element))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < 4.5) weak.push([element.tagName, String(element.className), element.textContent.trim(), ratio]);
}
return weak;
"""
"""Every text that is seen and has less than 4.5 : 1 to what lies behind it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pages: a rich one, and one of 200 rows."""
    folder = tmp_path_factory.mktemp("pages")
    skill = {"trainer-api": 0.784, "manual-loop": 0.782, "lora": 0.771, "bitfit": 0.752, "head-only": 0.701}
    rich = make_comparison(
        skill,
        broken=["bitfit"],
        confounded=["lora"],
        recipes={"lora": {"gradient clipping": "none"}},
        slices=drawn_slice_scores(list(skill)),
        imported=[COURSE],
        seconds={"lora": 210.0, "head-only": 90.0},
        notes=["A note."],
    )
    (folder / "rich.html").write_text(rich.html(), encoding="utf-8")
    (folder / "many.html").write_text(page_of_200_rows(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def rich(browser: Any, folder: Path) -> Any:
    browser.get((folder / "rich.html").as_uri())
    return browser


def column(browser: Any, place: int) -> list[str]:
    """The texts of a column of the leaderboard's rows that are seen."""
    script = """return [...document.querySelectorAll("#group-1-rows tbody:first-of-type tr")]
        .filter((row) => row.getClientRects().length).map((row) => row.cells[arguments[0]].innerText.split("\\n")[0].trim())"""
    found: list[str] = browser.execute_script(script, place)
    return found


def head(browser: Any, words: str) -> Any:
    return browser.find_element("xpath", f"//table[@id='group-1-rows']/thead//th[button[contains(., '{words}')]]")


def fold(browser: Any, place: str) -> Any:
    """The summary of the fold whose heading has this id."""
    return browser.find_element("css selector", f"details.fold > summary:has(#{place})")


def is_open(summary: Any) -> bool:
    return summary.find_element("xpath", "..").get_attribute("open") is not None


def unfold(browser: Any, place: str) -> None:
    """Open a closed fold with the mouse, as a reader does."""
    summary = fold(browser, place)
    assert not is_open(summary)
    summary.click()
    assert is_open(summary)


def test_opening_the_page_asks_for_nothing_and_says_nothing(rich: Any, folder: Path) -> None:
    rich.get_log("performance")
    rich.get_log("browser")
    page = (folder / "rich.html").as_uri()
    rich.get(page)
    rich.find_element("css selector", ".theme").click()
    rich.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    messages = [json.loads(entry["message"])["message"] for entry in rich.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in messages if event["method"] == "Network.requestWillBeSent"]
    assert set(asked) == {page}
    assert rich.get_log("browser") == []


def test_names_that_strangers_gave_run_nothing_and_ask_for_nothing(browser: Any, tmp_path: Path) -> None:
    dangerous = ("<script>alert(1)</script>", "\"'><svg onload=alert(1)>")
    names = [name for other in (*MARKUP, *MARKDOWN) for name in (*dangerous, other)]
    experiment = load_experiment([hostile_folder(tmp_path / "made", Renamer(names))])
    page = tmp_path / "report.html"
    page.write_text(write_html(compare(experiment), experiment.records, lambda _: None), encoding="utf-8")
    browser.get("about:blank")
    for kind in ("performance", "browser"):
        browser.get_log(kind)
    browser.get(page.as_uri())
    for part in browser.find_elements("css selector", "details:not([open]) > summary"):
        browser.execute_script("arguments[0].click()", part)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in messages if event["method"] == "Network.requestWillBeSent"]
    assert set(asked) == {page.as_uri()}
    assert browser.get_log("browser") == [], "no alert, nothing refused by the policy either"
    counted = browser.execute_script(
        "return ['script', 'img, image, iframe, object, form', 'a:not([href^=\"#\"])'].map((kind) => "
        "document.querySelectorAll(kind).length)"
    )
    assert counted == [1, 0, 0]
    shown = " ".join(browser.execute_script("return document.body.textContent").split())
    assert all(name in shown for name in dangerous)
    assert all(one_line(run.strategy) in shown for run in experiment.declared.runs)


def test_the_policy_stops_what_a_hostile_text_would_add(rich: Any) -> None:
    rich.execute_script(
        """const script = document.createElement("script"); script.textContent = "window.taken = true";
        document.body.append(script);
        const image = document.createElement("img"); image.src = "https://example.org/x.png"; document.body.append(image);"""
    )
    assert rich.execute_script("return window.taken") is None
    refused = [entry["message"] for entry in rich.get_log("browser")]
    assert len([message for message in refused if "Content Security Policy" in message]) == 2


def test_the_mouse_sorts_a_column_both_ways(rich: Any) -> None:
    unfold(rich, "group-1-leaderboard")
    first = head(rich, "test accuracy")
    assert first.get_attribute("aria-sort") is None
    first.find_element("tag name", "button").click()
    assert first.get_attribute("aria-sort") == "descending"
    scores = [float(text) for text in column(rich, 2)]
    assert scores == sorted(scores, reverse=True)
    first.find_element("tag name", "button").click()
    assert first.get_attribute("aria-sort") == "ascending"
    assert column(rich, 0)[0].startswith("majority baseline")
    other = head(rich, "train s")
    other.find_element("tag name", "button").click()
    assert first.get_attribute("aria-sort") is None
    assert column(rich, 0)[0].startswith("head-only")
    assert column(rich, 0)[-1].startswith("majority baseline"), "what has no number comes last"


def test_the_keyboard_sorts_a_column(rich: Any) -> None:
    """No mouse: Enter opens the fold, Tab leads over filter and table to the first heading, Enter and Space sort.

    A key reaches the page some time after the driver has sent it.
    """
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    summary = fold(rich, "group-1-leaderboard")
    summary.send_keys(Keys.ENTER)
    WebDriverWait(rich, 20).until(lambda _: is_open(summary))
    names = sorted(column(rich, 0))
    assert len(names) == 6
    button = head(rich, "strategy").find_element("tag name", "button")
    ActionChains(rich).send_keys(Keys.TAB, Keys.TAB, Keys.TAB).perform()
    WebDriverWait(rich, 20).until(lambda page: page.switch_to.active_element == button)
    for key, order in ((Keys.ENTER, names), (Keys.SPACE, names[::-1])):
        assert column(rich, 0) != order
        button.send_keys(key)
        WebDriverWait(rich, 20).until(lambda page, order=order: column(page, 0) == order)
    outline = rich.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is to be seen"


def test_published_rows_stay_in_their_own_body(rich: Any) -> None:
    unfold(rich, "group-1-leaderboard")
    head(rich, "dev accuracy").find_element("tag name", "button").click()
    last = rich.execute_script("return [...document.querySelectorAll('#group-1-rows tbody')].at(-1).innerText")
    assert last.index("Published elsewhere") < last.index("course Trainer")


def test_the_filter_keeps_rows_that_hold_every_word(rich: Any) -> None:
    unfold(rich, "records")
    box = rich.find_element("id", "record-table-filter")
    box.send_keys("bitfit memory")
    shown = "return [...document.querySelectorAll('#record-table tbody tr')].filter((row) => row.offsetHeight).length"
    assert rich.execute_script(shown) == 1
    assert rich.find_element("css selector", "output[for=record-table-filter]").text == "1 of 25"
    box.clear()
    box.send_keys("x")
    box.send_keys("\b")
    assert rich.execute_script(shown) == 25


@pytest.mark.parametrize(
    ("place", "control"), [("group-1-leaderboard", "group-1-rows-filter"), ("records", "record-table-filter")]
)
def test_a_link_opens_the_fold_that_it_leads_to(rich: Any, place: str, control: str) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    rich.get(rich.current_url.partition("#")[0])
    link = rich.find_element("css selector", f"nav a[href='#{place}']")
    for _ in ("first", "again, after the reader has closed it"):
        assert not rich.find_element("id", control).is_displayed()
        link.click()
        WebDriverWait(rich, 20).until(lambda page: page.find_element("id", control).is_displayed())
        rich.execute_script("arguments[0].open = false", fold(rich, place).find_element("xpath", ".."))


def test_the_theme_changes_and_is_not_remembered(rich: Any) -> None:
    def paper() -> str:
        colour: str = rich.execute_script("return getComputedStyle(document.body).backgroundColor")
        return colour

    before, button = paper(), rich.find_element("css selector", ".theme")
    assert button.text == "Dark theme"
    button.click()
    assert button.text == "Light theme"
    assert paper() != before
    rich.refresh()
    assert paper() == before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_contrast(rich: Any, theme: str) -> None:
    rich.execute_script(
        "document.documentElement.dataset.theme = arguments[0];"
        "for (const details of document.querySelectorAll('details')) details.open = true;",
        theme,
    )
    assert rich.execute_script(CONTRAST) == []


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_the_page_is_never_wider_than_the_window(rich: Any, width: int) -> None:
    rich.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        assert rich.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        rich.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_two_hundred_rows_are_sorted_and_filtered_whole(browser: Any, folder: Path) -> None:
    browser.get((folder / "many.html").as_uri())
    unfold(browser, "group-1-leaderboard")
    button = head(browser, "test accuracy").find_element("tag name", "button")
    for falling in (True, False):
        button.click()
        scores = [float(text) for text in column(browser, 2)]
        assert len(set(scores)) > 10
        assert scores == sorted(scores, reverse=falling)
    assert len({name.split()[0] for name in column(browser, 0)}) == 201  # and the floor
    box = browser.find_element("id", "group-1-rows-filter")
    box.send_keys("row-11")
    assert sorted(column(browser, 0)) == [f"row-{number}" for number in range(110, 120)]


def test_printing_makes_sheets_of_a4_with_details_open(rich: Any, tmp_path: Path) -> None:
    printed = rich.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    pdf = base64.b64decode(printed["data"])
    boxes = {tuple(map(float, found)) for found in re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", pdf)}
    assert boxes
    for width, height in boxes:
        assert abs(width - 595.3) < 1
        assert abs(height - 841.9) < 1
    rich.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        seen = rich.execute_script("return document.querySelector('details td').offsetHeight")
        controls = rich.execute_script("return document.querySelector('.controls').offsetHeight")
    finally:
        rich.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert seen > 0
    assert controls == 0


def test_without_script_the_keyboard_opens_a_fold_after_its_link(browser: Any, folder: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((folder / "rich.html").as_uri())
        summary = fold(browser, "records")
        browser.find_element("css selector", "nav a[href='#records']").send_keys(Keys.ENTER)
        WebDriverWait(browser, 20).until(lambda page: page.current_url.endswith("#records"))
        ActionChains(browser).send_keys(Keys.TAB).perform()
        WebDriverWait(browser, 20).until(lambda page: page.switch_to.active_element == summary)
        ActionChains(browser).send_keys(Keys.ENTER).perform()
        WebDriverWait(browser, 20).until(lambda _: is_open(summary))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_without_script_the_page_is_complete_and_has_no_dead_controls(browser: Any, folder: Path) -> None:
    """Folds open by themselves then, for the browser does that; what they hold is all there."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((folder / "rich.html").as_uri())
        first = browser.find_element("tag name", "body").text
        for place in ("group-1-leaderboard", "records"):
            unfold(browser, place)
        tables = [browser.find_element("id", name).text for name in ("group-1-rows", "record-table")]
        controls = browser.find_elements("css selector", ".controls, .theme")
        assert controls
        assert not [control for control in controls if control.is_displayed()]
        assert not browser.find_elements("css selector", "th button")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for text in ("against trainer-api", "manual-loop", "course Trainer", "All figures", "Every record"):
        assert text in first
    for text in ("peak MiB", "dev accuracy", "head-only", "course Trainer"):
        assert text in tables[0]
    assert tables[1].count("bitfit") >= 5
