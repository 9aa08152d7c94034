"""The live page, opened in a real browser by a test."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from compose.local.stack import Stack
from tasks.ledger import LedgerKeys

#: As long as a browser may take that shares one core with the whole pipeline.
PATIENCE_MS = 40_000
expect.set_options(timeout=PATIENCE_MS)


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
        assert said == [], said
        assert [url for url in asked if not url.startswith(address)] == []


def is_fault(message: ConsoleMessage) -> bool:
    """Whether something is wrong; that ingest is unavailable for a while, or refuses something, is not."""
    url = message.location.get("url", "")
    return message.type in {"error", "warning"} and not any(
        path in url for path in ("/events", "/api/v1/", "/signals/")
    )


def title(page: Page) -> str:
    return page.locator("#chart-title").inner_text()


def add_signal(stack: Stack, name: str, **more: Any) -> None:
    """Commit a signal as a worker would."""
    now_ms = time.time_ns() // 10**6
    fields = {"id": name, "strategy": "iceberg", "symbol": "BTCUSDT", "action": "hold", "price": 60_000.0}
    fields |= {"confidence": 0.5, "event_time_ms": now_ms, "rationale": name}
    fields |= {"trigger": {"venue": "spot", "symbol": "BTCUSDT"}} | more
    with redis.Redis.from_url(stack.redis_url) as client:
        client.xadd(LedgerKeys(stack.settings.namespace).signals, {"signal": json.dumps(fields)})
