"""Silence among the streams that the bridge watches: logged, and reported to ingest."""

import asyncio
import os
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

import structlog

from ingest.feeds.publisher import Publisher
from ingest.feeds.stream_watch import SilenceTimeouts, SilentSubscription, StreamWatch
from tasks.protocol import feed_report
from tasks.protocol.feed_report import FeedReport, SilentStream

log = structlog.get_logger()


class SilenceLimits(NamedTuple):
    """Seconds for which books and trades may be silent at least, and between two looks."""

    books_s: float = 60.0
    #: Nobody has to trade, and most markets of most exchanges are quiet.
    trades_s: float = 600.0
    look_s: float = 5.0


LIMITS = SilenceLimits()


class SilenceReports:
    """Detects silent streams and reports them, so that the page, `/ready`, the doctor and an alert name them."""

    def __init__(
        self, publisher: Publisher, exchange: str, books: Iterable[str], trades: Iterable[str], limits: SilenceLimits
    ) -> None:
        """Watch these streams, by their subjects."""
        self._publisher, self._limits = publisher, limits
        self._feed = f"ccxt {exchange} {socket.gethostname()}/{os.getpid()}"
        self._watches = [
            StreamWatch(SilenceTimeouts(least_s, least_s), streams)
            for least_s, streams in ((limits.books_s, books), (limits.trades_s, trades))
        ]
        self._silent: set[str] = set()

    def record(self, subject: str) -> None:
        """Note that a stream has sent something."""
        for watch in self._watches:
            watch.record(subject, time.monotonic())

    async def run(self) -> None:
        """Look for silence endlessly."""
        for watch in self._watches:
            watch.begin(time.monotonic())
        while True:
            await asyncio.sleep(self._limits.look_s)
            silent = [each for watch in self._watches for each in watch.silent(time.monotonic())]
            self._log(silent)
            asked = sum(watch.subscribed for watch in self._watches)
            named = tuple(SilentStream(*each) for each in silent[: feed_report.MAX_NAMED])
            report = FeedReport(self._feed, asked, len(silent), named, self._publisher.unstored)
            await self._publisher.report(feed_report.encode(report))

    def _log(self, silent: list[SilentSubscription]) -> None:
        now = {each.stream for each in silent}
        if fresh := sorted(now - self._silent):
            log.warning("streams fell silent", streams=fresh)
        if back := sorted(self._silent - now):
            log.info("streams deliver again", streams=back)
        self._silent = now
