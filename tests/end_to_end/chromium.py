"""A headless Chromium, for the tests and the benchmark of the report's page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import make_comparison

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver (apt-get install chromium chromium-driver)"
)

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,900"),
    "--force-prefers-reduced-motion",  # the driver does not wait for a smooth scroll, and would click where nothing is yet
)


@contextmanager
def opened(profile: Path) -> Iterator[Any]:
    """A browser that starts with this empty folder as its profile and logs what it asks for and says."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def page_of_200_rows() -> str:
    rows = {f"row-{number:03}": 0.7 + 0.0004 * number for number in range(200)}
    return make_comparison(rows, seeds=2, all_pairs=False).html()
