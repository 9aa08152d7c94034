"""The pages that the backtest and the benchmark write, in a real browser."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from compose.local.processes import ROOT
from tasks.backtest import html_report, parallel
from tests.bench.reporting import plots
from tests.bench.results import Report
from tests.support.browsing import all_findings
from tests.support.market import configuration, write_market


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a backtest's page and that of the benchmark that the documentation shows."""
    folder = tmp_path_factory.mktemp("pages")
    written = {name: folder / f"{name}.html" for name in ("backtest", "bench")}
    recording = write_market(folder / "market.jsonl")
    chosen = configuration(paper={})
    ran = parallel.run(parallel.BacktestJob([recording], chosen, watch=True))
    assert ran.market is not None
    # Of alike positions, so that there is an order.
    rows = [msgspec.structs.replace(row, pnl=row.pnl * (9 - at)) for at, row in enumerate(ran.result.paper)]
    result = msgspec.structs.replace(ran.result, paper=rows)
    html_report.write(
        written["backtest"],
        html_report.ReportContent([recording], chosen, result, ran.signals, ran.market, ran.ledger.positions),
    )
    report = msgspec.json.decode((ROOT / "docs" / "benchmark.json").read_bytes(), type=Report)
    plots.write(written["bench"], report)
    return written


def background(shown: Page) -> str:
    return str(shown.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_table_is_sorted_by_mouse_and_keyboard(browser: Browser, files: dict[str, Path]):
    with browser.new_context() as context:
        shown = context.new_page()
        shown.goto(files["backtest"].as_uri(), timeout=60_000)
        table = shown.get_by_role("region", name="Earned, by symbol").get_by_role("table")

        def column(at: int) -> list[str]:
            return [row.split("\t")[at] for row in table.locator("tbody").inner_text().splitlines()]

        symbols = column(2)
        table.get_by_role("button", name="symbol").click()
        assert column(2) == sorted(symbols)
        shown.keyboard.press("Enter")
        assert column(2) == sorted(symbols, reverse=True)
        table.get_by_role("button", name="pnl").press("Enter")
        profits = [float(text) for text in column(6)]
        assert len(set(profits)) == 3
        assert profits == sorted(profits, reverse=True)
        heads = table.locator("th[aria-sort]")
        assert (heads.count(), heads.first.get_attribute("aria-sort")) == (1, "descending")


@pytest.mark.parametrize("name", ["backtest", pytest.param("bench", marks=pytest.mark.ci)])
def test_a_page_is_for_everybody_dark_or_light_wide_or_narrow(name: str, browser: Browser, files: dict[str, Path]):
    schemes: tuple[Any, ...] = ("light", "dark")
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        shown = context.new_page()
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(files[name].as_uri(), timeout=60_000)
        backgrounds = set()
        for scheme in schemes:
            shown.emulate_media(color_scheme=scheme)
            backgrounds.add(background(shown))
            assert all_findings(shown) == []
        assert len(backgrounds) == 2
        assert shown.locator("html").get_attribute("lang") == "en"
        assert shown.evaluate("document.documentElement.scrollWidth") <= 360
        assert shown.locator(".js-plotly-plot svg").count() > 0
        assert faults == []
