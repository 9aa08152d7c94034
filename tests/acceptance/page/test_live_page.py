"""The live page in a real browser, on a pipeline that runs: what it shows, and what becomes of it when parts are unavailable."""

import json
import re
import sys
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from compose.local.servers import free_port, start_nats
from compose.local.stack import Stack
from tasks.invocation import VARIABLE
from tasks.ledger import LedgerKeys
from tests.support.browsing import grave_findings
from tests.support.service import get
from tests.support.stacks.live_page import add_signal, opened
from tests.support.stacks.pipeline import in_simulated_market
from tests.support.waiting import wait_for

NATS_AWAY = re.compile("NATS ?ingest has no connection")
REDIS_AWAY = re.compile("Redis ?ingest has no connection")
HOSTILE = "<img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    environment = {"FLOWER_URL": "http://127.0.0.1:1/flower", "FEED_QUIET_WARN_S": "2", "FEED_QUIET_S": "6"}
    environment |= {"INGEST_SOURCE": "jetstream", VARIABLE: "realtime-strategies"}
    with in_simulated_market(3, 300, environment) as stack:
        yield stack


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


def test_hostile_texts_of_a_signal_stay_text(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        add_signal(stack, "hostile", rationale=HOSTILE, strategy=HOSTILE)
        expect(page.locator("#signals .rationale", has_text=HOSTILE).first).to_be_visible()
        assert page.locator("main img").count() == 0
        assert "taken over" not in page.title()


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
        expect(page.locator("#strategies tr").first).to_have_text(re.compile(r"[a-z_]+live\d"))
        expect(page.locator("#strategies td", has_text=re.compile(r"^\d+(\.\d)? (µs|ms)$")).first).to_be_visible()
        expect(page.locator("#strategies td", has_text=re.compile(r"^[1-9]\d* .*cool_down")).first).to_be_visible()
        expect(page.locator("#lanes tbody tr")).to_have_count(17)
        expect(page.locator("#problems")).to_be_hidden()
        expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", "http://127.0.0.1:1/flower")
        expect(page.get_by_role("link", name="Grafana")).to_have_count(0)


def test_a_signal_opens_with_what_it_was_made_of_and_has_a_link(browser: Browser, stack: Stack):
    with opened(browser, stack, permissions=["clipboard-read", "clipboard-write"]) as page:
        of_a_strategy = page.locator("#signals tr").filter(has_not_text=HOSTILE)
        of_a_strategy.locator(".explained").first.press("Enter")
        drawer = page.locator("#signal")
        command = drawer.get_by_role("region", name="Command")
        expect(command).to_have_text(re.compile(r"^realtime-strategies tasks why [0-9a-f-]{36} --stream$"))
        signal = json.loads(drawer.get_by_role("region", name="JSON").inner_text())
        for name, value in signal["indicators"].items():
            expect(drawer.locator("dt", has_text=re.compile(f"^{name}$"))).to_be_visible()
            assert isinstance(value, float | int)
        expect(drawer).to_contain_text(f"{signal['trigger']['kind']} {signal['trigger']['id']} of spot")
        # The event itself, which ingest keeps beside the last signals, whatever its source.
        expect(drawer.locator("dt", has_text=re.compile("^kind$"))).to_be_visible()
        assert page.url.endswith(f"#signal={signal['id']}")
        drawer.get_by_role("button", name="Copy JSON").click()
        expect(page.locator("#signal-told")).to_contain_text("JSON copied at")
        expect(drawer.get_by_role("button", name="Copied JSON")).to_have_text("Copied")
        assert json.loads(page.evaluate("navigator.clipboard.readText()")) == signal
        assert grave_findings(page) == []
        page.reload()
        expect(command).to_contain_text(signal["id"])
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        page.wait_for_url(lambda url: "#" not in url)


def test_a_link_to_a_signal_of_long_ago_tells_the_command_that_knows_it(browser: Browser, stack: Stack):
    with opened(browser, stack, "#signal=of-long-ago") as page:
        expect(page.locator("#signal-told")).to_contain_text("not among the last 500 signals")
        expect(page.locator("#signal")).to_contain_text("realtime-strategies tasks why of-long-ago --stream")


def test_what_signals_were_worth_is_shown(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        expect(page.locator("#earned tr").first).to_have_text(re.compile(r"^[a-z_]+([+\u2212]\d|0)"))
        expect(page.locator("#positions tr").first).to_have_text(re.compile("USDT spot(long|short)"))
        expect(page.locator("#strategies td", has_text=re.compile(r"^[+\u2212]?\d+\.\d\d \d+$")).first).to_be_visible()
        told = page.evaluate(
            """async () => {
                const { drawPaper } = await import("/web/paper.js");
                const drawn = (paper) => {
                    drawPaper({ paper });
                    return document.getElementById("paper").checkVisibility();
                };
                return [drawn(null), drawn({ strategies: [], positions: [], open: 0 })];
            }"""
        )
        assert told == [False, False]


def test_orders_that_were_not_filled_are_counted_with_their_reason(browser: Browser, stack: Stack):
    with opened(browser, stack) as page, redis.Redis.from_url(stack.redis_url) as client:
        client.hincrby(LedgerKeys(stack.settings.namespace).counters, "unfilled:no_price", 3)
        expect(page.locator("#losses")).to_contain_text("Paper orders not filled3 no_price")


@pytest.mark.ci
def test_an_ingest_that_stands_by_says_calmly_what_it_is(browser: Browser, stack: Stack):
    port = free_port()
    standby = stack.instance.start(
        "standby", [sys.executable, "-m", "ingest"], {**stack.environment, "HTTP_PORT": str(port)}
    )
    try:
        wait_for(lambda: '"standing_by": true' in get(port, "/ready")[1], "it to stand by")
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("#standby")).to_contain_text("stands by")
            expect(page.locator("#parts")).to_have_text(re.compile("NATS ?up ?Redis ?up"))
            expect(page.locator("#main")).to_be_hidden()
            expect(page.locator("#problems")).to_be_hidden()
            expect(page.locator(".bad, .warn, .slow").locator("visible=true")).to_have_count(0)
            assert page.title() == "Realtime Strategies"
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect(page.locator("#standby")).to_be_focused()
            add_signal(stack, "of the time before")
            stack.instance.kill(stack.ingest)
            expect(page.locator("#main")).to_be_visible()
            expect(page.locator("#standby")).to_be_hidden()
            expect(page.get_by_role("link", name="Skip to the content")).to_have_attribute("href", "#main")
            expect(page.locator("#signals .rationale", has_text="of the time before")).to_have_count(1)
            expect(page.locator("#symbols tr").first).to_be_visible()
    finally:
        stack.instance.kill(standby)
        if stack.ingest.returncode is not None:
            stack.instance.start_again(stack.ingest)
        wait_for(lambda: '"ok": true' in get(stack.http_port, "/ready")[1], "the first one to lead again")


def test_the_page_reports_a_killed_ingest_and_goes_on_without_a_reload(browser: Browser, stack: Stack):
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


@pytest.mark.ci
def test_unavailable_workers_nats_and_redis_are_named_until_they_are_back(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        problems, parts = page.locator("#problems"), page.locator("#parts")
        stack.instance.stop(*stack.workers)
        stack.instance.kill(stack.nats)
        expect(problems).to_contain_text(NATS_AWAY)
        expect(parts).to_have_text(re.compile("NATS ?unavailable ?Redis ?up"))
        expect(problems).to_contain_text(re.compile("workers ?none lives"))
        expect(parts).to_have_text(re.compile("Workers.*0"))
        start_nats(stack.instance, "nats-again", int(stack.nats_url.rpartition(":")[2]))
        stack.instance.start_again(stack.workers[0])
        expect(problems).not_to_contain_text(NATS_AWAY)
        stack.instance.kill(stack.redis)
        expect(problems).to_contain_text(REDIS_AWAY)
        expect(parts).to_have_text(re.compile("NATS ?up ?Redis ?unavailable"))
        stack.instance.start_again(stack.redis)
        expect(problems).not_to_contain_text(REDIS_AWAY)


def test_a_strategy_that_raises_is_named_with_what_to_do(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        with redis.Redis.from_url(stack.redis_url) as client:
            client.hincrby(LedgerKeys(stack.settings.namespace).counters, "errors:boom", 120)
        problem = page.locator("#problems .warning", has_text="strategy boom")
        expect(problem).to_contain_text("raised on 100 events or more")
        expect(problem.locator("code").first).to_contain_text("tasks deadletters list")
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


@pytest.mark.ci
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
