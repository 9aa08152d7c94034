"""The live feed of a test that keeps its own books, and the check of what it publishes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from ingest.feeds import binance as feed
from ingest.feeds.link import LinkTimeouts
from ingest.feeds.snapshots import SnapshotTimings
from ingest.feeds.stream_plan import choose
from tasks import frames
from tasks.events import Depth
from tasks.frames.model import FrameMetadata
from tasks.settings import Settings
from tests.support.feeds import Listener, listening, until
from tests.support.live_feed import BOTH
from tests.support.servers.diff_exchange import DiffExchange
from tests.support.waiting import cancelled

#: So that a request waits for nothing but what the exchange says.
TIMINGS = SnapshotTimings(request_s=10.0, pause_s=0.01, window_s=0.01, retry_after_s=0.1)

#: A machine with much else to do may send nothing for a while: a link that is opened again asks for snapshots again.
PATIENT = LinkTimeouts(backoff_s=0.01, backoff_max_s=0.05)


@asynccontextmanager
async def live_books(
    nats_url: str, server: DiffExchange, venue="spot", levels=5, timeouts: LinkTimeouts = PATIENT
) -> AsyncIterator[tuple[Listener, "asyncio.Task[None]"]]:
    async with server.open(), listening(nats_url, "binance.*") as listener:
        settings = Settings(
            nats_url=nats_url,
            binance_spot_url=server.url,
            binance_spot_rest_url=server.rest_url,
            binance_usdm_depth_url=server.route("public"),
            binance_usdm_trade_url=server.route("public"),
            binance_usdm_rest_url=server.rest_url,
        )
        plan = choose(venue, None, "diff", levels)
        task = asyncio.create_task(feed.binance(settings, BOTH, plan, timeouts, TIMINGS))
        try:
            yield listener, task
        finally:
            await cancelled(task)


def books_of(listener: Listener, symbol: str = "BTCUSDT") -> list[Depth]:
    """Return a symbol's published books, read by the parser."""
    events = [frames.parse(raw, FrameMetadata(subject, 1, 2**62)) for subject, raw in listener.messages]
    assert all(isinstance(event, Depth) for event in events)
    return [event for event in events if isinstance(event, Depth) and event.symbol == symbol]


def _last_id(listener: Listener, symbol: str) -> int:
    newest = next((each for each in reversed(listener.messages) if f".{symbol.lower()}@" in each[0]), None)
    event = frames.parse(newest[1], FrameMetadata(newest[0], 1, 2**62)) if newest else None
    return event.id if isinstance(event, Depth) else 0


async def newer_books(listener: Listener, server: DiffExchange) -> None:
    """Wait until books of all symbols are published that are as new as the exchange's are now."""
    now = {symbol: market.id for symbol, market in server.markets.items()}
    await until(lambda: all(_last_id(listener, symbol) >= now[symbol] for symbol in now), "newer books of all symbols")


def assert_books_are_true(listener: Listener, server: DiffExchange, levels: int = 5) -> None:
    """Assert that ids rise and each book is the exchange's at its id."""
    for symbol, market in server.markets.items():
        books = books_of(listener, symbol)
        assert books
        assert all(earlier.id < later.id for earlier, later in pairwise(books))
        for book in books:
            true = market.history[book.id].top(levels)
            assert [book.bids, book.asks] == [tuple((float(p), float(q)) for p, q in side) for side in true]
