"""Texts that others choose are shown as text, whatever stands in them, in a real browser on a pipeline that runs."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import nats
import pytest
import redis
from playwright.sync_api import Browser, Locator, Page, expect

from compose.local.stack import Stack
from tasks.events import Trade
from tasks.frames import neutral
from tasks.ledger import LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.stacks.live_page import add_signal
from tests.support.stacks.operators import open_strategy, signed_in
from tests.support.stacks.pipeline import in_simulated_market

#: Markup, what an entity stands for, and what a terminal would obey: its title, and all that it shows.
HOSTILE = "<img src=x onerror=\"document.title='taken over'\"><b>&lt;script&gt;</b>\x1b]0;taken over\x07\x1b[2J"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(2, 50, {"API_TOKEN": f"desk:{TOKEN}", "INGEST_SOURCE": "jetstream"}) as stack:
        yield stack


def publish_trade(stack: Stack, symbol: str) -> None:
    async def publish() -> None:
        client = await nats.connect(stack.nats_url)
        event = Trade("kraken", symbol, 1, time.time_ns() // 10**6, 1, 1, 60_000.0, 1.0, buyer_is_maker=False)
        await client.jetstream().publish(neutral.subject(event.venue, "trade", symbol), neutral.encode(event))
        await client.close()

    # This thread has an event loop, the browser's.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, publish()).result()


def check_text(page: Page, where: Locator, text: str) -> None:
    """Wait for the text somewhere there, and see that nothing was made of it."""
    # A browser shows no control characters, but they are in the text.
    expect(where).to_contain_text(text)
    assert page.locator("img, main b, dialog b").count() == 0
    assert "taken over" not in page.title()


@pytest.mark.ci
def test_hostile_texts_are_text_wherever_they_are_shown(browser: Browser, stack: Stack):
    """Of a subject, a symbol, a strategy, an indicator, a reason and a person."""
    # What has a subject of its own has neither blanks nor control characters.
    name = HOSTILE.partition("\x1b")[0].replace(" ", "/")
    symbol = name[:64]
    publish_trade(stack, symbol)
    letter = DeadLetter("refused", HOSTILE, raw=HOSTILE.encode(), subject=HOSTILE, strategy=HOSTILE, refusal="not_json")
    with redis.Redis.from_url(stack.redis_url) as client:
        client.xadd(LedgerKeys(stack.settings.namespace).deadletters, {"letter": dead_letters.pack(letter)})
    change = {"parameters": {"notional": 91}, "reason": HOSTILE, "changed_by": HOSTILE}
    ApiCaller(stack.http_port).post("/strategies/price_velocity/config", change)
    with signed_in(browser, stack) as page:
        check_text(page, page.locator("#symbols"), symbol)
        page.locator("#symbols button", has_text="onerror").click()
        check_text(page, page.locator("#chart-title"), symbol)
        add_signal(stack, "hostile", symbol=symbol, strategy=name, rationale=HOSTILE, indicators={HOSTILE: HOSTILE})
        line = page.locator("#signals tr", has_text="onerror")
        for column in (symbol, f"{name} {HOSTILE}"):
            check_text(page, line.first, column)
        line.locator(".explained").first.press("Enter")
        drawer = page.locator("#signal")
        for selector, text in (("#signal-title", symbol), ("strong", name), ("dl dt", HOSTILE), ("dl dd", HOSTILE)):
            check_text(page, drawer.locator(selector).filter(has_text="onerror").first, text)
        page.keyboard.press("Escape")
        letters = page.locator("#letters tr", has_text="onerror")
        check_text(page, letters.first, HOSTILE)
        letters.first.get_by_role("button", name="Open").click()
        drawer = page.locator("#letter")
        for place in ("#letter-facts", "#letter-texts"):
            check_text(page, drawer.locator(place), HOSTILE)
        page.keyboard.press("Escape")
        changes = open_strategy(page, "price_velocity").locator("#operate-changes")
        for text in (f" · {HOSTILE[:40]}", f"via desk · {HOSTILE}"):
            check_text(page, changes, text)
