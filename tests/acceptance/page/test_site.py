"""The site of the documentation, opened from files in a browser without a network."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from compose.local.processes import ROOT
from tests.support.browsing import chromium, grave_findings
from tests.support.needs import site_generator

pytestmark = [pytest.mark.ci, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site_generator()
    to = tmp_path_factory.mktemp("built") / "site"
    subprocess.run([sys.executable, "-m", "website", "--to", str(to)], cwd=ROOT, check=True, timeout=600)
    return to


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, site: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    with browser.new_context(offline=True, color_scheme=request.param) as context:
        opened = context.new_page()
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto((site / "index.html").as_uri())
        yield opened
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_search_works_from_files_without_a_network(page: Page):
    page.keyboard.press("Control+k")
    page.locator("input[aria-label=Search]").fill("walk-forward")
    page.get_by_role("option").filter(has_text="Walk-forward").first.click()
    expect(page).to_have_url(re.compile(r"research/sweeps\.html.*#walk-forward$"))


def test_a_reader_with_a_keyboard_or_weak_eyes_can_use_the_site(page: Page, site: Path):
    for name in ("index.html", "reference/settings.html", "tutorials/first-signal.html", "architecture.html"):
        page.goto((site / name).as_uri())
        assert grave_findings(page) == [], name
