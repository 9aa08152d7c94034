"""Local books of a live feed: diff depth comes in, partial books as the exchange's own go out.

A book without a snapshot asks for one, after its first diff has come; so does one that has lost a diff. Books whose known
range runs out ask for a newer snapshot and go on meanwhile. A new websocket needs no special care: if a diff was lost
between two of them, the ids tell, and if none was, the book goes on.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import structlog

from ingest.feeds.book_plan import BookPlan
from ingest.feeds.link import Deliver
from ingest.feeds.snapshots import SnapshotClient
from ingest.feeds.stream_watch import SilentSubscription
from tasks.books.book_frames import book_frame
from tasks.books.diffs import read_diff
from tasks.books.local_book import LocalOrderBook, Outcome
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: A newer snapshot is asked for when fewer levels than this many times the published ones are known.
_RESERVE = 5


class _FollowedBook:
    """One symbol's book and what is published of it."""

    __slots__ = ("asked", "book", "published", "stream", "symbol", "unpublished_since_s")

    def __init__(self, symbol: str, stream: str) -> None:
        self.symbol, self.stream = symbol, stream
        self.book = LocalOrderBook()
        #: Whether a snapshot is asked for.
        self.asked = False
        self.published = False
        #: Since when diffs come and nothing can be published, in monotonic seconds.
        self.unpublished_since_s: float | None = None


class DiffBooks:
    """Keeps the books of all symbols of a feed and publishes their best levels with every diff."""

    def __init__(self, plan: BookPlan, symbols: Iterable[str], snapshots: SnapshotClient, publish: Deliver) -> None:
        """Begin without books; `publish` gets them, and every frame of another stream unchanged."""
        self._levels = plan.levels
        self._snapshots, self._publish = snapshots, publish
        self._books = {plan.subscribed(symbol): _FollowedBook(symbol, plan.published(symbol)) for symbol in symbols}
        self._wanting: asyncio.Queue[_FollowedBook] = asyncio.Queue()
        self._throttle, self._unused_throttle = LogThrottle(), LogThrottle()
        #: Books that were lost and took a new snapshot, by reason.
        self.resyncs: Counter[str] = Counter()

    async def deliver(self, stream: str, raw: bytes) -> None:
        """Publish the book to which a diff leads, if it is complete; a frame of another stream as it is."""
        followed = self._books.get(stream)
        frame = raw if followed is None else self._follow(followed, raw)
        if frame is not None:
            await self._publish(stream if followed is None else followed.stream, frame)

    async def run(self) -> None:
        """Give books the snapshots that they want, one after the other, endlessly.

        Raises ServerUnavailableError: there are none to be had from this address.
        """
        try:
            while True:
                followed = await self._wanting.get()
                if followed.book.synced:
                    followed.book.refresh()
                snapshot = await self._snapshots.fetch(followed.symbol)
                followed.asked = False
                outcome = followed.book.seed(snapshot) if snapshot else None
                if outcome is Outcome.APPLIED:
                    self._log_synced(followed)
                    continue
                if outcome and self._unused_throttle.allow():
                    log.warning("a snapshot can't be used, asking again", symbol=followed.symbol, why=outcome.value)
                self._ask(followed)
        finally:
            self._snapshots.close()
            log.info("the local books have ended", snapshots=self._snapshots.received, resyncs=dict(self.resyncs))

    def unpublished(self, now_s: float, longer_than_s: float) -> list[SilentSubscription]:
        """Return the books that can't be published although diffs come, for longer than this, by name."""
        return sorted(
            SilentSubscription(each.stream, now_s - each.unpublished_since_s, each.published)
            for each in self._books.values()
            if each.unpublished_since_s is not None and now_s - each.unpublished_since_s > longer_than_s
        )

    def _follow(self, followed: _FollowedBook, raw: bytes) -> bytes | None:
        """Apply a diff; return the book's frame, if it is complete and the diff has changed it."""
        diff, book = read_diff(raw), followed.book
        # What can't be read is missing then, and the next diff leaves a gap.
        outcome = book.apply(diff) if diff else Outcome.REPEAT
        if outcome.lost:
            self._log_lost(followed, outcome)
        if not book.proves(_RESERVE * self._levels):
            self._ask(followed)
        top = book.top(self._levels)
        if top is None or diff is None:
            followed.unpublished_since_s = followed.unpublished_since_s or time.monotonic()
            return None
        followed.unpublished_since_s = None
        if outcome is not Outcome.APPLIED:
            return None
        followed.published = True
        return book_frame(followed.stream, diff, top)

    def _ask(self, followed: _FollowedBook) -> None:
        if not followed.asked:
            followed.asked = True
            self._wanting.put_nowait(followed)

    def _log_lost(self, followed: _FollowedBook, outcome: Outcome) -> None:
        self.resyncs[outcome.value] += 1
        if self._throttle.allow():
            so_far = self.resyncs.total()
            log.warning(
                "a local book is lost, waiting for a snapshot", symbol=followed.symbol, why=outcome, so_far=so_far
            )

    def _log_synced(self, followed: _FollowedBook) -> None:
        if followed.unpublished_since_s is not None and self._wanting.empty():
            log.info("local books follow the exchange", books=sum(each.book.synced for each in self._books.values()))
