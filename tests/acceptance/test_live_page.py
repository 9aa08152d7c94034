"""The live page in a real browser, on a pipeline that runs."""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Page, expect

from compose.local.servers import free_port, start_nats
from compose.local.stack import Plan, Stack
from tasks.ledger import Keys
from tests.acceptance.pipeline import running
from tests.browsing import chromium, grave_findings
from tests.integration.service import get
from tests.waiting import wait_for

#: As long as a browser may take that shares one core with the whole pipeline.
PATIENCE_MS = 40_000
expect.set_options(timeout=PATIENCE_MS)
NATS_AWAY = re.compile("NATS ?ingest has no connection")
REDIS_AWAY = re.compile("Redis ?ingest has no connection")
HOSTILE = "<img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    environment = {"FLOWER_URL": "http://127.0.0.1:1/flower", "FEED_QUIET_WARN_S": "2", "FEED_QUIET_S": "6"}
    with running(Plan(1, "solo", environment=environment)) as stack:
        stack.start_feed(["simulate", "--symbols", "3", "--rate", "300"])
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def opened(browser: Browser, stack: Stack, query: str = "", **options: Any) -> Iterator[Page]:
    """Open the page in a profile of its own; at the end nothing was logged, and nobody else was asked for anything."""
    address = f"http://127.0.0.1:{stack.http_port}/"
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text) if is_fault(message) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + query)
        expect(page.locator("#symbols tr").first).to_be_visible()
        yield page
        assert said == []
        assert [url for url in asked if not url.startswith(address)] == []


def is_fault(message: ConsoleMessage) -> bool:
    """Whether something is wrong; that the stream breaks off while ingest is away is not."""
    return message.type in {"error", "warning"} and "/events" not in message.location.get("url", "")


def title(page: Page) -> str:
    return page.locator("#chart-title").inner_text()


def add_signal(stack: Stack, name: str, **more: Any) -> None:
    """Commit a signal as a worker would."""
    now_ms = time.time_ns() // 10**6
    fields = {"id": name, "strategy": "iceberg", "symbol": "BTCUSDT", "action": "hold", "price": 60_000.0}
    fields |= {"confidence": 0.5, "event_time_ms": now_ms, "rationale": name}
    fields |= {"trigger": {"venue": "spot", "symbol": "BTCUSDT"}} | more
    with redis.Redis.from_url(stack.redis_url) as client:
        client.xadd(Keys(stack.settings.namespace).signals, {"signal": json.dumps(fields)})


def inked(page: Page) -> int:
    """How many points of the chart's first canvas are drawn on."""
    count: int = page.evaluate(
        """() => {
            const canvas = document.querySelector("#chart canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.filter((value, index) => index % 4 === 3 && value > 0).length;
        }"""
    )
    return count


def test_arrow_keys_choose_the_symbol_and_the_first_tab_skips_to_the_content(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
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


def test_hostile_texts_of_a_signal_stay_text(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        add_signal(stack, "hostile", rationale=HOSTILE, strategy=HOSTILE)
        expect(page.locator("#signals .rationale", has_text=HOSTILE).first).to_be_visible()
        assert page.locator("main img").count() == 0
        assert "taken over" not in page.title()


def test_a_mark_in_the_chart_tells_its_signal_under_the_pointer(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        page.locator("#symbols button", has_text="BTCUSDT").click()
        mid = float(page.locator("#chart-price").inner_text().replace(",", ""))
        add_signal(stack, "marked", price=mid)

        def points_at_a_signal() -> bool:
            area = page.locator("#chart .u-over").first.bounding_box()
            newest = page.locator("#chart").get_attribute("data-newest")
            if area and newest:
                x, y = map(float, newest.split(","))
                page.mouse.move(area["x"] + x, area["y"] + y)
            return page.locator("#tip").is_visible()

        wait_for(points_at_a_signal, 15, "the signal under the pointer")
        _, confidence, rationale, _ = page.locator("#tip > *").all_inner_texts()
        assert re.search(r"confidence [01]\.\d\d$", confidence)
        expect(page.locator("#signals .rationale", has_text=rationale).first).to_be_visible()


def times_shown(page: Page) -> tuple[float, float]:
    """Return the first and the last second that the chart shows."""
    shown = page.locator("#chart").get_attribute("data-shown")
    assert shown
    first, last = shown.split(",")
    return float(first), float(last)


def shown_s(page: Page) -> float:
    first, last = times_shown(page)
    return last - first


def zoom(page: Page) -> FloatRect:
    """Drag over the right half of the chart; return where it is."""
    area = page.locator("#chart .u-over").first.bounding_box()
    assert area
    y = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 0.5 * area["width"], y)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.7 * area["width"], y, steps=3)
    # Whoever drags takes longer than a tick.
    points = page.locator("#chart").get_attribute("data-points")
    expect(page.locator("#chart")).not_to_have_attribute("data-points", str(points))
    page.mouse.move(area["x"] + 0.99 * area["width"], y, steps=3)
    page.mouse.up()
    return area


def test_dragging_over_the_chart_zooms_in_and_stays_there(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        chart, show_all = page.locator("#chart"), page.get_by_role("button", name="Show all")
        expect(chart).to_have_attribute("data-points", re.compile(r"^([3-9]|\d\d+)$"))
        whole_s = shown_s(page)
        zoom(page)
        wait_for(lambda: shown_s(page) < 0.6 * whole_s, 15, "the zoom")
        chosen, points = times_shown(page), chart.get_attribute("data-points")
        expect(chart).not_to_have_attribute("data-points", str(points))
        assert times_shown(page) == chosen
        expect(page.locator("#chart .u-select").first).to_have_css("width", "0px")
        show_all.click()
        wait_for(lambda: shown_s(page) >= whole_s, 15, "all of it")
        area = zoom(page)
        expect(show_all).to_be_visible()
        page.mouse.dblclick(area["x"] + 100, area["y"] + 50)
        expect(show_all).to_be_hidden()


def test_symbol_and_filters_stand_in_the_address_and_are_there_after_a_reload(browser: Browser, stack: Stack):
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


def test_numbers_in_names_are_sorted_as_people_count(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        names = page.evaluate("import('/web/format.js').then(({ natural }) => ['SIM10', 'SIM2', 'BTC'].sort(natural))")
        assert names == ["BTC", "SIM2", "SIM10"]


def test_marks_stand_at_the_time_of_the_event(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        page.locator("#symbols button", has_text="BTCUSDT").click()
        first, last = times_shown(page)
        mid = float(page.locator("#chart-price").inner_text().replace(",", ""))
        middle_ms = 1000 * round((first + last) / 2)
        add_signal(stack, "late", price=mid, event_time_ms=middle_ms, strategy="late_one")
        expect(page.locator("#signals .strategy", has_text="late_one")).to_be_visible()
        at_ms = page.evaluate("""async () => {
            const found = [...document.querySelectorAll("#signals tr")].find((line) => line.textContent.includes("late_one"));
            return Date.parse(found.querySelector("time").dateTime);
        }""")
        assert at_ms == middle_ms
        expect(page.locator("#chart")).to_have_attribute("data-marked", re.compile(rf"\blate@{middle_ms // 1000}\b"))


def test_every_strategy_is_listed_by_the_name_that_commands_take(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        listed = page.locator("#strategies th")
        expect(listed.filter(has_text="market_dominance")).to_have_count(1)
        assert {"orderbook_skew", "trade_momentum", "price_velocity"} <= set(listed.all_inner_texts())
        expect(page.locator("#signals tr").first).to_be_visible()
        for table in page.locator("table").all():
            columns = sum(int(head.get_attribute("colspan") or 1) for head in table.locator("thead th").all())
            assert columns == table.locator("tbody tr").first.locator("th, td").count()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_nothing_grave(browser: Browser, stack: Stack, scheme: Any, width: int):
    with opened(browser, stack, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True) as page:
        expect(page.locator("#signals tr").first).to_be_visible()
        assert grave_findings(page) == []


def test_it_fits_360_pixels_and_is_dark_or_light_as_the_system_says_or_as_was_chosen(browser: Browser, stack: Stack):
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with opened(browser, stack, viewport={"width": 360, "height": 740}, color_scheme="light") as page:
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


def test_the_browser_runs_no_inline_script_and_asks_no_other_origin(browser: Browser, stack: Stack):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{stack.http_port}/")
        page.evaluate("""() => {
            window.refused = [];
            document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.head.append(script);
            fetch("http://localhost:1/").catch(() => {});
        }""")
        page.wait_for_function("refused.length === 2")
        assert page.evaluate("refused.sort()") == ["connect-src", "script-src-elem"]
        assert page.evaluate("window.ran ?? false") is False


def test_prices_signals_and_counts_appear_and_the_chart_is_drawn(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        expect(page.locator("#symbols tr")).to_have_count(3)
        expect(page.locator("#parts")).to_have_text(
            re.compile("Feed.*live.*NATS.*up.*Redis.*up.*Workers.*1.*Lanes.*moving")
        )
        expect(page.locator("#chart")).to_have_attribute("data-points", re.compile(r"^([3-9]|\d\d+)$"))
        assert inked(page) > 1_000
        expect(page.locator("#signals tr").first).to_be_visible()
        expect(page.locator("#strategies tr").first).to_have_text(re.compile(r"[a-z_]+\d"))
        expect(page.locator("#lanes tbody tr")).to_have_count(17)
        expect(page.locator("#problems")).to_be_hidden()
        expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", "http://127.0.0.1:1/flower")
        expect(page.get_by_role("link", name="Grafana")).to_have_count(0)


def test_an_ingest_that_stands_by_says_calmly_what_it_is(browser: Browser, stack: Stack):
    port = free_port()
    standby = stack.instance.start(
        "standby", [sys.executable, "-m", "ingest"], {**stack.environment, "HTTP_PORT": str(port)}
    )
    try:
        wait_for(lambda: '"standing_by": true' in get(port, "/ready")[1], 15, "it to stand by")
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("#standby")).to_contain_text("stands by")
            expect(page.locator("#parts")).to_have_text(re.compile("NATS ?up ?Redis ?up"))
            expect(page.locator("#main")).to_be_hidden()
            expect(page.locator("#problems")).to_be_hidden()
            expect(page.locator(".bad, .warn, .slow").locator("visible=true")).to_have_count(0)
            assert page.title() == "Realtime Strategies"
            add_signal(stack, "of the time before")
            stack.instance.kill(stack.ingest)
            expect(page.locator("#main")).to_be_visible()
            expect(page.locator("#standby")).to_be_hidden()
            expect(page.locator("#signals .rationale", has_text="of the time before")).to_have_count(1)
            expect(page.locator("#symbols tr").first).to_be_visible()
    finally:
        stack.instance.kill(standby)
        if stack.ingest.returncode is not None:
            stack.instance.start_again(stack.ingest)
        wait_for(lambda: '"ok": true' in get(stack.http_port, "/ready")[1], 30, "the first one to lead again")


def test_when_ingest_is_killed_the_page_says_so_and_goes_on_without_a_reload(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        add_signal(stack, "of before")
        of_before = page.locator("#signals .rationale", has_text="of before")
        expect(of_before).to_have_count(1)
        page.evaluate("window.never_reloaded = true")
        stack.instance.kill(stack.ingest)
        expect(page.locator("#problems")).to_contain_text(re.compile(r"not connected since \d\d:\d\d:\d\d"))
        expect(page.locator("body")).to_have_class(re.compile("stale"))
        stack.instance.start_again(stack.ingest)
        expect(page.locator("body")).not_to_have_class(re.compile("stale"))
        expect(of_before).to_have_count(1)
        expect(page.locator("#chart")).to_have_attribute("data-points", re.compile(r"^([2-9]|1\d)$"))
        assert page.evaluate("window.never_reloaded") is True


def test_workers_nats_and_redis_that_are_away_are_named_until_they_are_back(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        problems, parts = page.locator("#problems"), page.locator("#parts")
        stack.instance.stop(*stack.workers)
        stack.instance.kill(stack.nats)
        expect(problems).to_contain_text(NATS_AWAY)
        expect(problems).to_contain_text(re.compile("workers ?none lives"))
        expect(parts).to_have_text(re.compile("Workers.*0"))
        start_nats(stack.instance, "nats-again", int(stack.nats_url.rpartition(":")[2]))
        stack.instance.start_again(stack.workers[0])
        expect(problems).not_to_contain_text(NATS_AWAY)
        stack.instance.kill(stack.redis)
        expect(problems).to_contain_text(REDIS_AWAY)
        stack.instance.start_again(stack.redis)
        expect(problems).not_to_contain_text(REDIS_AWAY)


def test_a_strategy_that_raises_is_named_with_what_to_do(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        with redis.Redis.from_url(stack.redis_url) as client:
            client.hincrby(Keys(stack.settings.namespace).counters, "errors:boom", 120)
        problem = page.locator("#problems .warning", has_text="strategy boom")
        expect(problem).to_contain_text("raised on 100 events or more")
        expect(problem.locator("code").first).to_have_text("deadletters list")
        expect(page.get_by_role("alert")).to_contain_text("strategy boom: raised on 100 events or more")


def test_an_age_is_amber_and_then_red(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        moods = page.evaluate(
            """async () => {
                const { quietness } = await import("/web/format.js");
                return [5, 6, 30, 31].map((age_s) => quietness(age_s, [5, 30]));
            }"""
        )
        assert moods == ["", "slow", "slow", "bad"]


def test_a_silent_feed_turns_its_chip_and_the_age_of_each_symbol(browser: Browser, stack: Stack):
    [feed] = [process for process in stack.instance.processes if process.name == "feed"]
    with opened(browser, stack) as page:
        chip, last = page.locator("#parts li").first, page.locator("#symbols td:last-child").first
        expect(chip).to_have_text(re.compile("Feed ?live"))
        expect(last).to_have_text("live")
        stack.instance.stop(feed)
        expect(chip).to_have_class("bad")
        expect(chip).to_have_text(re.compile(r"Feed ?\d+ s ago"))
        expect(last).to_have_class("bad")
        expect(page.locator("#problems")).to_contain_text("no event for more than 6 s")
        stack.instance.start_again(feed)
        expect(chip).to_have_class("good")
        expect(page.locator("#problems")).not_to_contain_text("no event")
