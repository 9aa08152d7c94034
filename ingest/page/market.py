"""The market data of the page: per symbol the last prices, and one point a second for the chart. Pure.

The chart of a symbol runs on the clock of its events: live that is now, while old events are replayed it is then.

Everything is bounded: the history is at most MAX_SYMBOLS times HISTORY_POINTS times three numbers of 8 bytes.
"""

from array import array
from collections.abc import Iterable
from math import nan
from typing import Any

import msgspec

from ingest.monitoring.feed_watch import StreamActivity
from tasks.events import AnyEvent, Depth, Trade, Venue
from tasks.protocol.records import NEW_GENERATION_MS

#: The most active ones are kept.
MAX_SYMBOLS = 100
#: One a second.
HISTORY_POINTS = 600
#: What an earlier second counts in `SymbolRow.activity`, against the one after it.
FADING = 0.98
#: A book older than this leaves a gap in the chart.
STALE_S = 10.0
#: An event's time that is so far ahead of the last one's is that of another feed.
LEAP_MS = 86_400_000


class SymbolRow(msgspec.Struct):
    """One row of the market table: prices, and the number of events since the last tick."""

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


class _SymbolEntry:
    """Row, activity and chart of one symbol."""

    def __init__(self, row: SymbolRow) -> None:
        self.row = row
        self.activity = 0.0
        self.book_s = 0.0
        self.times_ms = array("q")
        self.mids = array("d")
        self.spreads_bps = array("d")


class SymbolHistory(msgspec.Struct):
    """Chart points of one symbol, one for each of the last ticks, by event time."""

    venue: Venue
    symbol: str
    times_ms: list[int]
    mid: list[float]
    spread_bps: list[float]


class PageMarket:
    """The market part of the page, updated from the streams that had events."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Venue, str], _SymbolEntry] = {}
        self._ticked_s: float | None = None

    def tick(self, activity: Iterable[StreamActivity], now_s: float) -> list[SymbolRow]:
        """Add a point to every symbol's history; return the rows of those that had events since the last tick."""
        changed = self._take(activity, now_s)
        if len(self._entries) > MAX_SYMBOLS:
            busiest = sorted(self._entries.items(), key=lambda item: item[1].activity, reverse=True)
            self._entries = dict(busiest[:MAX_SYMBOLS])
        step_ms = 0 if self._ticked_s is None else round(1000 * (now_s - self._ticked_s))
        self._ticked_s = now_s
        for entry in self._entries.values():
            _draw(entry, now_s, step_ms)
        return [entry.row for key, entry in self._entries.items() if key in changed]

    def _take(self, activity: Iterable[StreamActivity], now_s: float) -> set[tuple[Venue, str]]:
        for entry in self._entries.values():
            entry.activity *= FADING
            entry.row.events = 0
        changed = set()
        for (venue, symbol, _), event, count, _ in activity:
            stream = (venue, symbol)
            changed.add(stream)
            entry = self._entries.setdefault(stream, _SymbolEntry(SymbolRow(*stream)))
            entry.activity += count
            entry.row.events += count
            _update(entry, event, now_s)
        return changed

    @property
    def rows(self) -> list[SymbolRow]:
        """Every symbol that is kept."""
        return [entry.row for entry in self._entries.values()]

    @property
    def history(self) -> list[SymbolHistory]:
        """Every symbol's points."""
        return [
            SymbolHistory(*key, entry.times_ms.tolist(), entry.mids.tolist(), entry.spreads_bps.tolist())
            for key, entry in sorted(self._entries.items())
        ]


def _update(entry: _SymbolEntry, event: AnyEvent, now_s: float) -> None:
    at_ms = event.ingested_at_ns // 1_000_000
    if isinstance(event, Depth):
        entry.row.mid, entry.row.spread_bps, entry.book_s = event.mid, round(event.spread_bps, 4), now_s
        entry.row.book_ms, entry.row.time_ms = at_ms, event.time_ms
    elif isinstance(event, Trade):
        entry.row.trade, entry.row.trade_ms = event.price, at_ms


def _draw(entry: _SymbolEntry, now_s: float, step_ms: int) -> None:
    """Add a point: at the time of the newest book, or where none came, as much later as our clock went on.

    A time that steps back by little stands still; one that is far from the last is another feed's: the chart restarts.
    """
    time_ms = entry.row.time_ms
    if not time_ms:
        return
    if entry.times_ms:
        last_ms = entry.times_ms[-1]
        if entry.book_s != now_s:
            time_ms = last_ms + step_ms
        elif last_ms - time_ms > NEW_GENERATION_MS or time_ms - last_ms > LEAP_MS:
            for points in (entry.times_ms, entry.mids, entry.spreads_bps):
                del points[:]
        else:
            time_ms = max(time_ms, last_ms)
    is_fresh = now_s - entry.book_s < STALE_S
    _add(entry.times_ms, time_ms)
    _add(entry.mids, entry.row.mid if is_fresh else nan)
    _add(entry.spreads_bps, entry.row.spread_bps if is_fresh else nan)


def _add(points: "array[Any]", value: float) -> None:
    points.append(value)
    if len(points) > HISTORY_POINTS:
        del points[0]
