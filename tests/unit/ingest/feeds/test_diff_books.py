"""The books of a live feed, without an exchange: snapshots come from a market in memory."""

import asyncio
import json
from typing import Any

from ingest.feeds.book_plan import BookPlan
from ingest.feeds.diff_books import DiffBooks
from ingest.feeds.snapshots import SnapshotClient, SnapshotPlan
from tasks.books.diffs import Snapshot
from tests.support.books.market import Market, frame
from tests.support.waiting import cancelled


class MarketSnapshots(SnapshotClient):
    """Gives the market's book, at most so many levels of it."""

    def __init__(self, market: Market, levels: int) -> None:
        super().__init__(SnapshotPlan("http://127.0.0.1/", levels, 10))
        self._market, self._levels = market, levels

    async def fetch(self, symbol: str) -> Snapshot | None:  # noqa: ARG002 there is one market
        self.received += 1
        return self._market.snapshot(self._levels)


async def test_a_book_whose_known_range_runs_out_gets_a_newer_snapshot():
    """A moving market soon leaves few of the snapshot's levels; the book goes on without a pause."""
    market = Market(1, fewest=8)
    snapshots = MarketSnapshots(market, 8)
    published: list[dict[str, Any]] = []

    async def publish(stream: str, raw: bytes) -> None:
        published.append(json.loads(raw)["data"])

    books = DiffBooks(BookPlan("diff", 1), ["BTCUSDT"], snapshots, publish)
    running = asyncio.create_task(books.run())
    diffs = [market.diff()]
    for _ in range(300):
        await books.deliver("btcusdt@depth@100ms", json.dumps(frame(diffs[-1])).encode())
        for _ in range(5):
            await asyncio.sleep(0)
        diffs.append(market.diff())
    await cancelled(running)
    assert 1 < snapshots.received < 300
    # All but the first diff, which came before the first snapshot.
    assert [data["lastUpdateId"] for data in published] == [diff.u for diff in diffs[1:-1]]
    for data in published:
        true = market.history[data["lastUpdateId"]].top(1)
        assert [float(data["bids"][0][0]), float(data["asks"][0][0])] == [float(side[0][0]) for side in true]
    assert not books.resyncs


async def test_frames_of_other_streams_pass_unchanged():
    market = Market(1)
    published: list[tuple[str, bytes]] = []

    async def publish(stream: str, raw: bytes) -> None:
        published.append((stream, raw))

    books = DiffBooks(BookPlan("diff", 5), ["BTCUSDT"], MarketSnapshots(market, 8), publish)
    await books.deliver("btcusdt@trade", b"{}")
    await books.deliver("ethusdt@depth@100ms", b"{}")
    assert published == [("btcusdt@trade", b"{}"), ("ethusdt@depth@100ms", b"{}")]
