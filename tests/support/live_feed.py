"""The live feed of a test: with little patience, from an exchange on this machine to NATS."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingest.feeds import binance as feed
from ingest.feeds import stream_watch
from ingest.feeds.link import LinkTimeouts
from ingest.feeds.stream_plan import Market, choose
from tasks.settings import Settings
from tests.support.feeds import Listener, listening
from tests.support.servers.exchange import Exchange
from tests.support.waiting import cancelled

#: Short enough for a test, and still in the proportions of the real ones.
IMPATIENT = LinkTimeouts(
    stall_s=0.5,
    streams=stream_watch.SilenceTimeouts(books_s=0.5, trades_s=0.5),
    look_s=0.1,
    renew_s=math.inf,
    backoff_s=0.01,
    backoff_max_s=0.05,
)
BOTH = ["BTCUSDT", "ETHUSDT"]


def feed_settings(nats_url: str, server: Exchange, trades: str = "public") -> Settings:
    return Settings(
        nats_url=nats_url,
        binance_spot_url=server.url,
        binance_usdm_depth_url=server.route("public"),
        binance_usdm_trade_url=server.route(trades),
        binance_usdm_market_url=server.route("market"),
        binance_coinm_url=server.url,
    )


@asynccontextmanager
async def live(
    nats_url: str,
    server: Exchange,
    symbols=BOTH,
    venue: Market = "spot",
    timeouts=IMPATIENT,
    trades="public",
    streams: str | None = None,
) -> AsyncIterator[tuple[Listener, "asyncio.Task[None]"]]:
    async with server.open(), listening(nats_url) as listener:
        task = asyncio.create_task(
            feed.binance(feed_settings(nats_url, server, trades), list(symbols), choose(venue, streams), timeouts)
        )
        try:
            yield listener, task
        finally:
            await cancelled(task)


def original(frame: bytes) -> str:
    """A published frame without the time that the feed added."""
    text = frame.decode()
    return text[: text.rindex(',"received_at":')] + "}"
