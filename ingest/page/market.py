"""The market data of the page: per symbol the last prices, and one point a second for the chart. Pure.

The chart of a symbol runs on the clock of its events: live that is now, while old events are replayed it is then.

Everything is bounded: the history is at most MAX_SYMBOLS times (HISTORY_POINTS + PAST_POINTS) times three numbers of 8 bytes.
"""

from array import array
from collections.abc import Iterable
from math import inf, nan

import msgspec
from msgspec import UNSET, UnsetType

from ingest.monitoring.feed_watch import StreamActivity
from tasks.events import AnyEvent, BookTicker, Depth, Kline, Liquidation, MarkPrice, Trade, Venue
from tasks.protocol.records import NEW_GENERATION_MS

#: The most active ones are kept.
MAX_SYMBOLS = 100
#: One a second.
HISTORY_POINTS = 600
#: Of what is older, one in so long is kept, for six hours.
PAST_STEP_MS = 10_000
PAST_POINTS = 2_160
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
    # Left out until an event of their kind has come.
    mark_price: float | UnsetType = UNSET
    #: A fraction of the position's value.
    funding_rate: float | UnsetType = UNSET
    #: The last candle's close, and its interval as the exchange writes it.
    candle: float | UnsetType = UNSET
    candle_interval: str | UnsetType = UNSET
    #: Best quotes, while no book comes: mid price and spread are theirs then.
    bid: float | UnsetType = UNSET
    ask: float | UnsetType = UNSET
    #: How many came since the start.
    liquidations: int | UnsetType = UNSET
    #: When the last event that is neither book, quote nor trade came in, unix milliseconds.
    other_ms: int | UnsetType = UNSET


class _SymbolEntry:
    """Row, activity and chart of one symbol."""

    def __init__(self, row: SymbolRow) -> None:
        self.row = row
        self.activity = 0.0
        #: When the last book or quote came in, and the last book.
        self.book_s, self.depth_s = 0.0, -inf
        self.recent, self.past = _Points(HISTORY_POINTS), _Points(PAST_POINTS)


class _Points:
    """Points of a chart, `most` at most."""

    def __init__(self, most: int) -> None:
        self.times_ms, self.mids, self.spreads_bps = array("q"), array("d"), array("d")
        self._most = most

    def add(self, time_ms: int, mid: float, spread_bps: float) -> tuple[int, float, float] | None:
        """Add a point; return the oldest one if it had to go."""
        self.times_ms.append(time_ms)
        self.mids.append(mid)
        self.spreads_bps.append(spread_bps)
        if len(self.times_ms) <= self._most:
            return None
        return self.times_ms.pop(0), self.mids.pop(0), self.spreads_bps.pop(0)

    def clear(self) -> None:
        """Begin again."""
        del self.times_ms[:], self.mids[:], self.spreads_bps[:]


class SymbolHistory(msgspec.Struct):
    """Chart points of one symbol by event time: one for each of the last ticks, or one for each step before them."""

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
            _update(entry, event, count, now_s)
        return changed

    @property
    def rows(self) -> list[SymbolRow]:
        """Every symbol that is kept."""
        return [entry.row for entry in self._entries.values()]

    @property
    def history(self) -> list[SymbolHistory]:
        """Every symbol's points."""
        return [_history(key, entry.recent) for key, entry in sorted(self._entries.items())]

    def past(self, venue: Venue, symbol: str) -> SymbolHistory:
        """Return a symbol's points before those of `history`, in steps; none where it is not kept."""
        entry = self._entries.get((venue, symbol))
        return _history((venue, symbol), entry.past if entry else _Points(0))


def _history(key: tuple[Venue, str], points: _Points) -> SymbolHistory:
    return SymbolHistory(*key, points.times_ms.tolist(), points.mids.tolist(), points.spreads_bps.tolist())


def _update(entry: _SymbolEntry, event: AnyEvent, count: int, now_s: float) -> None:
    row, at_ms = entry.row, event.ingested_at_ns // 1_000_000
    match event:
        case Depth():
            entry.depth_s = now_s
            row.bid = row.ask = UNSET
            _take_book(entry, event, at_ms, now_s)
        case BookTicker():
            # Books are more, and a symbol's quotes are not of the same moments.
            if now_s - entry.depth_s >= STALE_S:
                row.bid, row.ask = event.bid, event.ask
                _take_book(entry, event, at_ms, now_s)
        case Trade():
            row.trade, row.trade_ms = event.price, at_ms
        case _:
            row.other_ms = at_ms
            _take_other(row, event, count)


def _take_book(entry: _SymbolEntry, book: Depth | BookTicker, at_ms: int, now_s: float) -> None:
    row, entry.book_s = entry.row, now_s
    row.mid, row.spread_bps = book.mid, round(book.spread_bps, 4)
    row.book_ms, row.time_ms = at_ms, book.time_ms


def _take_other(row: SymbolRow, event: AnyEvent, count: int) -> None:
    match event:
        case MarkPrice():
            row.mark_price = event.price
            row.funding_rate = UNSET if event.funding_rate is None else event.funding_rate
        case Kline():
            row.candle, row.candle_interval = event.close, event.interval
        case Liquidation():
            row.liquidations = count + (row.liquidations or 0)


def _draw(entry: _SymbolEntry, now_s: float, step_ms: int) -> None:
    """Add a point: at the time of the newest book, or where none came, as much later as our clock went on.

    A time that steps back by little stands still; one that is far from the last is another feed's: the chart restarts.
    """
    time_ms = entry.row.time_ms
    if not time_ms:
        return
    recent, past = entry.recent, entry.past
    if recent.times_ms:
        last_ms = recent.times_ms[-1]
        if entry.book_s != now_s:
            time_ms = last_ms + step_ms
        elif last_ms - time_ms > NEW_GENERATION_MS or time_ms - last_ms > LEAP_MS:
            recent.clear()
            past.clear()
        else:
            time_ms = max(time_ms, last_ms)
    is_fresh = now_s - entry.book_s < STALE_S
    gone = recent.add(time_ms, entry.row.mid if is_fresh else nan, entry.row.spread_bps if is_fresh else nan)
    if gone and (not past.times_ms or gone[0] - past.times_ms[-1] >= PAST_STEP_MS):
        past.add(*gone)
