"""The chart of the live page in a real browser: its marks, and which part of the time it shows."""

import itertools
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

from compose.local.stack import Stack
from ingest.page.page_state import SIGNALS_KEPT
from tasks.invocation import VARIABLE
from tests.support.servers.api import TOKEN
from tests.support.stacks.live_page import add_signal, opened
from tests.support.stacks.operators import signed_in
from tests.support.stacks.pipeline import in_simulated_market
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

#: How the project's program is called that runs the pipeline: commands are told so.
PROGRAM = "/opt/realtime-strategies"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(3, environment={"API_TOKEN": f"desk:{TOKEN}", VARIABLE: PROGRAM}) as stack:
        yield stack


def price_shown(page: Page) -> float:
    """Return the price of the chosen symbol, once the page has one."""
    price = page.locator("#chart-price")
    expect(price).to_have_text(re.compile(r"\d"))
    return float(price.inner_text().replace(",", ""))


def test_a_mark_in_the_chart_tells_its_signal_under_the_pointer(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        page.locator("#symbols button", has_text="BTCUSDT").click()
        mid = price_shown(page)
        add_signal(stack, "marked", price=mid)

        def points_at_a_signal() -> bool:
            area = page.locator("#chart .u-over").first.bounding_box()
            newest = page.locator("#chart").get_attribute("data-newest")
            if area and newest:
                x, y = map(float, newest.split(","))
                page.mouse.move(area["x"] + x, area["y"] + y)
            return page.locator("#tip").is_visible()

        wait_for(points_at_a_signal, "the signal under the pointer")
        _, confidence, rationale, _ = page.locator("#tip > *").all_inner_texts()
        assert re.search(r"confidence [01]\.\d\d$", confidence)
        expect(page.locator("#signals .rationale", has_text=rationale).first).to_be_visible()
        expect(page.locator("#legend li", has_text="iceberg")).to_have_class(re.compile(r"^mark-\d$"))
        page.mouse.down()
        page.mouse.up()
        expect(page.locator("#signal")).to_contain_text(rationale)


def test_a_mark_outlasts_its_signal_and_says_which_command_knows_it(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        page.locator("#symbols button", has_text="BTCUSDT").click()
        add_signal(stack, "outlasts", price=price_shown(page), strategy="late_one")
        expect(page.locator("#signals tr", has_text="outlasts")).to_be_visible()
        for number in range(SIGNALS_KEPT):
            add_signal(stack, f"other-{number}", symbol="ETHUSDT", trigger={"venue": "spot", "symbol": "ETHUSDT"})
        is_marked = re.compile(r"\boutlasts@")
        expect(page.locator("#signals tr", has_text=f"other-{SIGNALS_KEPT - 1}")).to_be_visible()
        expect(page.locator("#chart")).to_have_attribute("data-marked", is_marked)
        page.reload()
        expect(page.locator("#chart")).to_have_attribute("data-marked", is_marked)
        hold_still(page)

        def points_at_it() -> bool:
            area = page.locator("#chart .u-over").first.bounding_box()
            found = re.search(r"\boutlasts@(\d+)", page.locator("#chart").get_attribute("data-marked") or "")
            if not (area and found):
                return False
            first, last = times_shown(page)
            x = area["x"] + area["width"] * (int(found[1]) - first) / (last - first)
            # A newer mark beside it may cover it from one side, and its time is cut to a second.
            for aside, y in itertools.product((0, 8, -8, 16), range(0, int(area["height"]), 8)):
                page.mouse.move(x + aside, area["y"] + y)
                if "late_one" in (page.locator("#tip").text_content() or "") and page.locator("#tip").is_visible():
                    return True
            return False

        wait_for(points_at_it, "the mark under the pointer")
        page.mouse.down()
        page.mouse.up()
        expect(page.locator("#signal-told")).to_contain_text("not among the last 500 signals")
        expect(page.locator("#signal")).to_contain_text(f"{PROGRAM} tasks why outlasts")


def test_without_a_stream_a_signal_says_what_running_it_again_needs(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        add_signal(stack, "not-run-again")
        page.locator("#signals tr", has_text="not-run-again").locator(".explained").first.press("Enter")
        drawer = page.locator("#signal")
        expect(drawer).to_contain_text(f"INGEST_SOURCE=jetstream, for example {PROGRAM} demo --source jetstream")
        expect(drawer.get_by_role("region", name="Command")).to_have_text(
            f"{PROGRAM} tasks why not-run-again --from RECORDING"
        )
        expect(drawer.get_by_role("button", name="Run it again")).to_have_count(0)


def times_shown(page: Page) -> tuple[float, float]:
    """Return the first and the last second that the chart shows."""
    shown = page.locator("#chart").get_attribute("data-shown")
    assert shown
    first, last = shown.split(",")
    return float(first), float(last)


def hold_still(page: Page) -> None:
    """Have the chart stay at what it shows, which else moves on while one looks for something in it."""
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Newest")).to_be_visible()


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
        chart, newest = page.locator("#chart"), page.get_by_role("button", name="Newest")
        expect(chart).to_have_attribute("data-points", re.compile(r"^([3-9]|\d\d+)$"))
        whole_s = shown_s(page)
        zoom(page)
        wait_for(lambda: shown_s(page) < 0.6 * whole_s, "the zoom")
        chosen, points = times_shown(page), chart.get_attribute("data-points")
        expect(chart).not_to_have_attribute("data-points", str(points))
        assert times_shown(page) == chosen
        expect(page.locator("#chart .u-select").first).to_have_css("width", "0px")
        newest.click()
        wait_for(lambda: shown_s(page) >= whole_s, "all of it")
        area = zoom(page)
        expect(newest).to_be_visible()
        page.mouse.dblclick(area["x"] + 100, area["y"] + 50)
        expect(newest).to_be_hidden()


#: Dispatches what fingers do at parts of the chart's width, which Playwright's touchscreen can't.
FINGERS = """(steps) => {
    const over = document.querySelector("#chart .u-over");
    const { left, width, top } = over.getBoundingClientRect();
    for (const [type, pointerId, part] of steps) {
        const at = { clientX: left + part * width, clientY: top + 20 };
        over.dispatchEvent(new PointerEvent(type, { pointerId, pointerType: "touch", bubbles: true, ...at }));
    }
}"""


def test_the_chart_is_zoomed_and_moved_by_keys_wheel_fingers_and_buttons(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        chart = page.locator("#chart")
        # There is as much before what is shown as it goes back.
        wait_for(lambda: int(chart.get_attribute("data-points") or 0) > 60, "a minute of it")
        hold_still(page)
        whole_s = shown_s(page)
        page.keyboard.press("+")
        page.keyboard.press("+")
        quarter_s = whole_s / 4
        wait_for(lambda: shown_s(page) == pytest.approx(quarter_s), "a quarter of it")
        first, _ = times_shown(page)
        page.keyboard.press("ArrowLeft")
        wait_for(lambda: times_shown(page)[0] == pytest.approx(first - 0.25 * quarter_s), "a quarter of that back")
        page.evaluate(FINGERS, [("pointerdown", 1, 0.2), ("pointermove", 1, 0.4), ("pointerup", 1, 0.4)])
        wait_for(
            lambda: times_shown(page)[0] == pytest.approx(first - 0.45 * quarter_s),
            "what was under the finger to follow it",
        )
        page.evaluate(
            FINGERS,
            [("pointerdown", 1, 0.4), ("pointerdown", 2, 0.6), ("pointermove", 1, 0.2), ("pointermove", 2, 0.8)],
        )
        wait_for(
            lambda: shown_s(page) == pytest.approx(quarter_s / 3), "a third, as fingers went three times as far apart"
        )
        page.evaluate(FINGERS, [("pointerup", 1, 0.2), ("pointerup", 2, 0.8)])
        page.get_by_role("button", name="Zoom out").click()
        wait_for(lambda: shown_s(page) == pytest.approx(quarter_s / 1.5), "the double")
        page.locator("#chart .u-over").first.hover()
        page.keyboard.down("Control")
        page.mouse.wheel(0, 100)
        page.keyboard.up("Control")
        wait_for(lambda: shown_s(page) == pytest.approx(quarter_s / 1.2), "the wheel")
        page.get_by_role("button", name="6 h").click()
        expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("button", name="Newest")).to_be_hidden()


def test_what_leaves_the_last_minutes_is_kept_in_steps(browser: Browser, stack: Stack):
    """As ingest keeps it; both know the same then."""
    with opened(browser, stack) as page:
        past, times, is_rising, bounded = page.evaluate(
            """async () => {
                const { State, POINTS } = await import("/web/state.js");
                const state = new State();
                const row = (ms) => ({ venue: "spot", symbol: "A", mid: 1, spread_bps: 1, events: 1, book_ms: ms, trade_ms: 0, time_ms: ms });
                const told = (ms, symbols) => ({ at_ms: ms, totals: {}, symbols, latency: [null, null] });
                state.hello({ ...told(0, [row(0)]), latencies: [], signals: [], history: [] });
                state.past = { name: "spot:A", points: { times_ms: [], mid: [], spread_bps: [] }, marks: [] };
                for (let second = 1; second <= POINTS + 35; second++) state.tick(told(1000 * second, [row(1000 * second)]));
                const { times_ms } = state.whole("spot:A");
                const is_rising = times_ms.every((ms, at) => at === 0 || ms > times_ms[at - 1]);
                const { points } = state.past;
                const found = points.times_ms.slice();
                for (let second = 1000; second < 3000 * 10; second += 10) state.tick(told(1000 * second, [row(1000 * second)]));
                return [found, times_ms.length, is_rising, points.times_ms.length];
            }"""
        )
        assert past == [1_000, 11_000, 21_000, 31_000]
        assert (times, is_rising, bounded) == (600 + 4, True, 2_160)


def test_marks_stand_at_the_time_of_the_event(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        page.locator("#symbols button", has_text="BTCUSDT").click()
        first, last = times_shown(page)
        mid = price_shown(page)
        middle_ms = 1000 * round((first + last) / 2)
        add_signal(stack, "late", price=mid, event_time_ms=middle_ms, strategy="late_one")
        expect(page.locator("#signals .strategy", has_text="late_one")).to_be_visible()
        at_ms = page.evaluate("""async () => {
            const found = [...document.querySelectorAll("#signals tr")].find((line) => line.textContent.includes("late_one"));
            return Date.parse(found.querySelector("time").dateTime);
        }""")
        assert at_ms == middle_ms
        expect(page.locator("#chart")).to_have_attribute("data-marked", re.compile(rf"\blate@{middle_ms // 1000}\b"))
