"""What the page shows of the market: per symbol the last prices, and one point a second for the chart. Pure.

The chart of a symbol runs on the clock of its events: live that is now, while old events are replayed it is then.

Everything is bounded: the history is at most MAX_SYMBOLS times HISTORY_POINTS times three numbers of 8 bytes.
"""

from array import array
from collections.abc import Iterable
from math import nan
from typing import Any

import msgspec

from ingest.monitoring.feed_watch import Fresh
from tasks.events import AnyEvent, Depth, Trade, Venue
from tasks.protocol.records import NEW_GENERATION_MS

#: The most active ones are kept.
MAX_SYMBOLS = 100
#: One a second.
HISTORY_POINTS = 600
#: What an earlier second counts in `Row.activity`, against the one after it.
FADING = 0.98
#: A book older than this leaves a gap in the chart.
STALE_S = 10.0
#: An event's time that is so far ahead of the last one's is that of another feed.
LEAP_MS = 86_400_000


class Row(msgspec.Struct):
    """One symbol."""

    venue: Venue
    symbol: str
    mid: float = nan
    spread_bps: float = nan
    #: Price of the last trade.
    trade: float = nan
    #: Events since the last tick.
    events: int = 0
    #: When the last book and the last trade came in, unix milliseconds; 0: none did.
    book_ms: int = 0
    trade_ms: int = 0
    #: The event's own time of the last book, unix milliseconds; 0: there was none.
    time_ms: int = 0


class _Kept:
    def __init__(self, row: Row) -> None:
        self.row = row
        self.activity = 0.0
        self.book_s = 0.0
        self.times_ms = array("q")
        self.mids = array("d")
        self.spreads_bps = array("d")


class History(msgspec.Struct):
    """The points of one symbol, one for each of the last ticks, by the time of its events."""

    venue: Venue
    symbol: str
    times_ms: list[int]
    mid: list[float]
    spread_bps: list[float]


class PageMarket:
    """Makes of the streams that had events what is shown."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Venue, str], _Kept] = {}
        self._ticked_s: float | None = None

    def tick(self, fresh: Iterable[Fresh], now_s: float) -> list[Row]:
        """Add a point to every symbol's history; return the rows of those that had events since the last tick."""
        changed = self._take(fresh, now_s)
        if len(self._kept) > MAX_SYMBOLS:
            busiest = sorted(self._kept.items(), key=lambda item: item[1].activity, reverse=True)
            self._kept = dict(busiest[:MAX_SYMBOLS])
        step_ms = 0 if self._ticked_s is None else round(1000 * (now_s - self._ticked_s))
        self._ticked_s = now_s
        for kept in self._kept.values():
            _draw(kept, now_s, step_ms)
        return [kept.row for key, kept in self._kept.items() if key in changed]

    def _take(self, fresh: Iterable[Fresh], now_s: float) -> set[tuple[Venue, str]]:
        for kept in self._kept.values():
            kept.activity *= FADING
            kept.row.events = 0
        changed = set()
        for (venue, symbol, _), event, count, _ in fresh:
            stream = (venue, symbol)
            changed.add(stream)
            kept = self._kept.setdefault(stream, _Kept(Row(*stream)))
            kept.activity += count
            kept.row.events += count
            _update(kept, event, now_s)
        return changed

    @property
    def rows(self) -> list[Row]:
        """Every symbol that is kept."""
        return [kept.row for kept in self._kept.values()]

    @property
    def history(self) -> list[History]:
        """Every symbol's points."""
        return [
            History(*key, kept.times_ms.tolist(), kept.mids.tolist(), kept.spreads_bps.tolist())
            for key, kept in sorted(self._kept.items())
        ]


def _update(kept: _Kept, event: AnyEvent, now_s: float) -> None:
    at_ms = event.ingested_at_ns // 1_000_000
    if isinstance(event, Depth):
        kept.row.mid, kept.row.spread_bps, kept.book_s = event.mid, round(event.spread_bps, 4), now_s
        kept.row.book_ms, kept.row.time_ms = at_ms, event.time_ms
    elif isinstance(event, Trade):
        kept.row.trade, kept.row.trade_ms = event.price, at_ms


def _draw(kept: _Kept, now_s: float, step_ms: int) -> None:
    """Add a point: at the time of the newest book, or where none came, as much later as our clock went on.

    A time that steps back by little stands still; one that is far from the last is another feed's: the chart restarts.
    """
    time_ms = kept.row.time_ms
    if not time_ms:
        return
    if kept.times_ms:
        last_ms = kept.times_ms[-1]
        if kept.book_s != now_s:
            time_ms = last_ms + step_ms
        elif last_ms - time_ms > NEW_GENERATION_MS or time_ms - last_ms > LEAP_MS:
            for points in (kept.times_ms, kept.mids, kept.spreads_bps):
                del points[:]
        else:
            time_ms = max(time_ms, last_ms)
    is_fresh = now_s - kept.book_s < STALE_S
    _add(kept.times_ms, time_ms)
    _add(kept.mids, kept.row.mid if is_fresh else nan)
    _add(kept.spreads_bps, kept.row.spread_bps if is_fresh else nan)


def _add(points: "array[Any]", value: float) -> None:
    points.append(value)
    if len(points) > HISTORY_POINTS:
        del points[0]
