"""Puts the exchange's live public market data on NATS; no account needed.

The streams are spread over links; each stream is watched, and silent ones are reported to ingest.
"""

import asyncio
import os
import socket
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

import structlog

from ingest.feeds import proxy, snapshots, stream_watch
from ingest.feeds.diff_books import DiffBooks
from ingest.feeds.link import TIMEOUTS, Link, LinkTimeouts
from ingest.feeds.publisher import Publisher
from ingest.feeds.publishing import publishing
from ingest.feeds.snapshots import TIMINGS, SnapshotClient, SnapshotTimings
from ingest.feeds.stream_plan import DEFAULT, Market, StreamPlan
from tasks.errors import RealtimeStrategiesError, ServerUnavailableError
from tasks.protocol import feed_report
from tasks.protocol.feed_report import FeedReport, SilentStream
from tasks.settings import Settings

log = structlog.get_logger()

#: The exchange allows 1,024, but the address of a link with so many would be longer than web servers like.
STREAMS_A_LINK = 200


class Endpoint(NamedTuple):
    """The URL of one link and the streams that it subscribes to."""

    url: str
    streams: list[str]


def endpoints(settings: Settings, symbols: list[str], plan: StreamPlan = DEFAULT) -> list[Endpoint]:
    """Return where each link goes, with the streams that its URL names."""
    by_url: dict[str, list[str]] = defaultdict(list)
    for setting, stream in plan.subscribed(symbols):
        by_url[getattr(settings, setting)].append(stream)
    chunks = [
        (url, names[start : start + STREAMS_A_LINK])
        for url, names in by_url.items()
        for start in range(0, len(names), STREAMS_A_LINK)
    ]
    return [Endpoint(f"{url}?streams={'/'.join(quote(name, safe='@') for name in some)}", some) for url, some in chunks]


class SilenceMonitor:
    """Detects silent streams: logs them, reports them to ingest, and reopens their links."""

    def __init__(
        self,
        publisher: Publisher,
        market: Market,
        timeouts: LinkTimeouts,
        streams: Iterable[str],
        books: DiffBooks | None = None,
    ) -> None:
        """Watch these streams; `books` are made from them, where the feed keeps its own."""
        self._publisher, self._timeouts, self._books = publisher, timeouts, books
        self._publish = books.deliver if books else publisher.publish
        #: The end of a candle's envelope: those of spot and of futures look alike.
        self._venue = b',"venue":"%b"}' % market.encode()
        self._feed = f"binance {market} {socket.gethostname()}/{os.getpid()}"
        self._streams = stream_watch.StreamWatch(timeouts.streams, streams)
        self._silent: set[str] = set()
        #: By link, when it may be renewed again and how long it waits then.
        self._renewals: dict[Link, tuple[float, float]] = {}

    async def deliver(self, stream: str, raw: bytes) -> None:
        """Publish a frame, or the book to which it leads, and note its stream."""
        self._streams.record(stream, time.monotonic())
        await self._publish(stream, raw[:-1] + self._venue if "@kline_" in stream else raw)

    async def run(self, links: Mapping[Link, Endpoint]) -> None:
        """Check for silence every few seconds, once all links stand.

        Raises ServerUnavailableError: no stream has ever sent a message.
        """
        for link in links:
            await link.up.wait()
        self._streams.begin(time.monotonic())
        while True:
            await asyncio.sleep(self._timeouts.look_s)
            now_s = time.monotonic()
            silent = self._streams.silent(now_s)
            self._log_silent(silent)
            self._renew(links, silent, now_s)
            unpublished = self._books.unpublished(now_s, self._timeouts.streams.books_s) if self._books else []
            await self._publisher.report(feed_report.encode(self._report(silent + unpublished)))

    def _log_silent(self, silent: list[stream_watch.SilentSubscription]) -> None:
        fresh = [each for each in silent if each.stream not in self._silent]
        if never := [each.stream for each in fresh if not each.received]:
            said = f"nothing from the exchange about {', '.join(_named(never))}: is there such a symbol on this venue?"
            if not self._streams.received:
                raise ServerUnavailableError(said)
            log.warning(said)
        if stopped := [each.stream for each in fresh if each.received]:
            log.warning("streams fell silent", streams=stopped)
        now = {each.stream for each in silent}
        if back := sorted(self._silent - now):
            log.info("streams deliver again", streams=back)
        self._silent = now

    def _renew(
        self, links: Mapping[Link, Endpoint], silent: list[stream_watch.SilentSubscription], now_s: float
    ) -> None:
        since_s = {each.stream: each.for_s for each in silent}
        for link, endpoint in links.items():
            longest_s = max((since_s.get(name, 0.0) for name in endpoint.streams), default=0.0)
            due_s, wait_s = self._renewals.get(link, (0.0, self._timeouts.renew_s))
            if not longest_s:
                self._renewals.pop(link, None)
            elif longest_s > self._timeouts.renew_s and now_s > due_s:
                log.warning("reopening the link: streams on it are silent", where=link.where, for_s=round(longest_s))
                self._renewals[link] = now_s + wait_s, min(2 * wait_s, self._timeouts.renew_max_s)
                link.renew()

    def _report(self, silent: list[stream_watch.SilentSubscription]) -> FeedReport:
        named = tuple(SilentStream(*each) for each in silent[: feed_report.MAX_NAMED])
        return FeedReport(self._feed, self._streams.subscribed, len(silent), named, self._publisher.unstored)


def _named(streams: Iterable[str]) -> list[str]:
    """Name streams for a person: a symbol whose book and trades are both among them by the symbol alone."""
    by_symbol: dict[str, list[str]] = {}
    for stream in streams:
        by_symbol.setdefault(stream.partition("@")[0].upper(), []).append(stream)
    return [name for symbol, some in by_symbol.items() for name in ([symbol] if len(some) > 1 else some)]


def _patient(timeouts: LinkTimeouts, endpoint: Endpoint) -> LinkTimeouts:
    """Return the timeouts of a link: it may be silent for as long as each of its streams may."""
    expected_s = min(stream_watch.allowed_s(timeouts.streams, name, received=True) for name in endpoint.streams)
    return timeouts._replace(stall_s=max(timeouts.stall_s, expected_s))


async def binance(
    settings: Settings,
    symbols: list[str],
    plan: StreamPlan = DEFAULT,
    timeouts: LinkTimeouts = TIMEOUTS,
    timings: SnapshotTimings = TIMINGS,
) -> None:
    """Publish live frames endlessly. Raises SettingsError and ServerUnavailableError."""
    known = plan.check(symbols)
    asked = endpoints(settings, known, plan)
    for endpoint in asked:
        proxy.before(endpoint.url)  # what is wrong with it is said before NATS is waited for
    async with publishing(settings, venue=plan.market) as publisher:
        books = None
        if plan.books.source == "diff":
            client = SnapshotClient(snapshots.plan(settings, plan.market), timings, timeouts)
            books = DiffBooks(plan.books, known, client, publisher.publish)
        streams = (name for each in asked for name in each.streams)
        monitor = SilenceMonitor(publisher, plan.market, timeouts, streams, books)
        links = {Link(each.url, monitor.deliver, _patient(timeouts, each)): each for each in asked}
        log.info(
            "going live",
            symbols=len(known),
            venue=plan.market,
            streams=plan.names,
            books=plan.books.source,
            connections=len(links),
        )
        faults: tuple[BaseException, ...] = ()
        try:
            async with asyncio.TaskGroup() as group:
                for link in links:
                    group.create_task(link.run())
                group.create_task(monitor.run(links))
                if books:
                    group.create_task(books.run())
        except* RealtimeStrategiesError as refused:
            faults = refused.exceptions
        if faults:
            raise faults[0]
