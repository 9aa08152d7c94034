"""What one can choose on the live page: symbols, filters, a part of the chart, colours; by pointer, keyboard and address."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from compose.local.stack import Stack
from tests.support.browsing import grave_findings
from tests.support.stacks.live_page import opened, title
from tests.support.stacks.pipeline import in_simulated_market

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(3) as stack:
        yield stack


def test_arrow_keys_choose_the_symbol_and_the_first_tab_skips_to_content(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        expect(page.locator("#symbols tr")).to_have_count(3)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("searchbox", name="Search symbols")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        seen = [title(page)]
        for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
            page.keyboard.press(key)
            seen.append(title(page))
        assert len(set(seen)) == 3
        assert seen[1] == seen[3]
        expect(page.locator("#symbols [aria-pressed=true]")).to_be_focused()


def test_symbol_and_filters_are_in_the_address_and_survive_a_reload(browser: Browser, stack: Stack):
    with opened(browser, stack, "?symbol=spot:ETHUSDT&strategy=iceberg&search=t") as page:
        assert title(page) == "ETHUSDT spot"
        expect(page.locator("#by-strategy")).to_have_value("iceberg")
        page.locator("#symbols button", has_text="BTCUSDT").click()
        page.locator("#search").fill("btc")
        expect(page.locator("#symbols tr")).to_have_count(1)
        page.locator("#by-strategy").select_option("trade_momentum")
        page.locator("#by-symbol").select_option("BTCUSDT")
        page.reload()
        expect(page.locator("#chart-title")).to_have_text(re.compile("BTCUSDT ?spot"))
        expect(page.locator("#search")).to_have_value("btc")
        expect(page.locator("#symbols tr")).to_have_count(1)
        expect(page.locator("#by-strategy")).to_have_value("trade_momentum")
        expect(page.locator("#by-symbol")).to_have_value("BTCUSDT")
        page.locator("#search").fill("nothing like it")
        expect(page.locator("#symbols-empty")).to_have_text("No symbol has this in its name.")


def test_a_symbol_of_the_address_that_is_not_there_is_waited_for(browser: Browser, stack: Stack):
    with opened(browser, stack, "?symbol=spot:NEWUSDT") as page:
        expect(page.locator("#chart-empty")).to_contain_text("No event of spot:NEWUSDT")
        assert "symbol=spot:NEWUSDT" in page.url


@pytest.mark.parametrize("asked", ["ETHUSDT", "ethusdt", "spot:ethusdt", "SPOT:ETHUSDT"])
def test_a_symbol_of_the_address_is_found_without_venue_and_in_any_case(browser: Browser, stack: Stack, asked: str):
    with opened(browser, stack, f"?symbol={asked}") as page:
        expect(page.locator("#chart-title")).to_have_text(re.compile("^ETHUSDT ?spot$"))
        expect(page.locator("#symbols [aria-pressed=true]")).to_have_text(re.compile("^ETHUSDT"))


def test_a_fragment_survives_every_choice(browser: Browser, stack: Stack):
    with opened(browser, stack, "#note") as page:
        page.locator("#symbols button", has_text="ETHUSDT").click()
        expect(page).to_have_url(re.compile(r"/\?symbol=spot:ETHUSDT#note$"))
        page.locator("#search").fill("eth")
        expect(page).to_have_url(re.compile(r"/\?symbol=spot:ETHUSDT&search=eth#note$"))


def test_without_a_choice_the_first_by_name_is_shown_whichever_came_first(browser: Browser, stack: Stack):
    """As in the seconds after a start: symbols come one after the other, some of them without a price at first."""
    rows = [("usdm", "BBB", 1.0), ("spot", "CCC", 1.0), ("spot", "AAA", None), ("spot", "BBB", None)]
    with opened(browser, stack) as page:
        chosen = page.evaluate(
            """async (rows) => {
                const { Symbols } = await import("/web/symbols.js");
                const state = { rows: new Map(), signals: [], now: { at_ms: 0 }, about: { quiet_s: [1, 2] }, change: () => null };
                const chosen = [];
                const symbols = new Symbols(state, (name) => chosen.push(name));
                const put = ([venue, symbol, mid]) => {
                    state.rows.set(`${venue}:${symbol}`, { venue, symbol, mid, spread_bps: 1, rate: 0, seen_ms: 0 });
                    symbols.draw();
                };
                rows.forEach(put);
                put(["spot", "AAA", 1.0]);
                symbols.choose("usdm:BBB");
                put(["spot", "A", 1.0]);
                return chosen;
            }""",
            rows,
        )
        assert chosen == ["usdm:BBB", "spot:AAA", "usdm:BBB"]
        page.reload()
        expect(page.locator("#symbols tr").first).to_be_visible()


def test_numbers_in_names_are_sorted_as_people_count(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        names = page.evaluate("import('/web/format.js').then(({ natural }) => ['SIM10', 'SIM2', 'BTC'].sort(natural))")
        assert names == ["BTC", "SIM2", "SIM10"]


def test_what_rounds_to_zero_has_neither_sign_nor_colour(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        texts = page.evaluate(
            """() => import("/web/format.js").then((format) => {
                const { age, basisPoints, direction, funding, microseconds, milliseconds, percent, profit, share } = format;
                const signed = (value) => [percent(value), profit(value), format.signed(value, 2)];
                const plain = [age, basisPoints, funding, microseconds, milliseconds, share].map((each) => each(-1e-9));
                return [signed(-1e-9), signed(0), signed(-0.5), plain, [profit(-1e-9), "+1", "\\u22121"].map(direction)];
            })"""
        )
        nothing = ["0.00 %", "0", "0.00"]
        assert texts == [
            nothing, nothing, ["\N{MINUS SIGN}50.00 %", "\N{MINUS SIGN}0.5000", "\N{MINUS SIGN}0.50"],
            ["0.0 s", "0.000", "0.0000 %", "0.0 µs", "0.0 ms", "0 %"],
            ["quiet", "up", "down"],
        ]  # fmt: skip


def test_every_strategy_is_listed_by_the_name_that_commands_take(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        listed = page.locator("#strategies th")
        expect(page.get_by_role("button", name="Sign in")).to_be_hidden()
        expect(page.get_by_role("button", name="Change iceberg")).to_be_hidden()
        expect(listed.filter(has_text="market_dominance")).to_have_count(1)
        assert {"orderbook_skew", "trade_momentum", "price_velocity"} <= set(listed.all_inner_texts())
        expect(page.locator("#signals tr").first).to_be_visible()
        expect(page.locator("#earned tr").first).to_be_visible()
        for table in page.locator("table:has(tbody tr)").all():
            columns = sum(int(head.get_attribute("colspan") or 1) for head in table.locator("thead th").all())
            assert columns == table.locator("tbody tr").first.locator("th, td").count()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_nothing_grave(browser: Browser, stack: Stack, scheme: Any, width: int):
    with opened(browser, stack, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        expect(page.locator("#signals tr").first).to_be_visible()
        expect(page.locator("#earned tr").first).to_be_visible()
        assert grave_findings(page) == []


def test_the_page_fits_360_pixels_and_follows_the_system_or_chosen_theme(browser: Browser, stack: Stack):
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with opened(browser, stack, viewport={"width": 360, "height": 740}, color_scheme="light") as page:
        expect(page.locator("#positions tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        light = background()
        page.emulate_media(color_scheme="dark")
        dark = background()
        assert light != dark
        page.locator("#theme").click()
        assert background() == light
        page.reload()
        expect(page.locator("#theme")).to_have_text("Theme: light")
        assert background() == light
