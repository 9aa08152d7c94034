"""Plausibility across frames: whether a symbol is one of ours, and a book its symbol's. Pure.

Every frame of a source goes through one `FrameReader`, in the order in which they came, before events are sent to their
lanes: in ingest and in the backtest alike. What it remembers is gone with the process. That changes nothing for a
symbol whose books stay within the bound of what it traded at or was quoted at in the minute before: each of them is
accepted, whatever is remembered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tasks.events import ALWAYS_READ, AnyEvent, Depth, Event, Kind, Trade, Venue
from tasks.frames import parse
from tasks.frames.model import MAX_LEAD_NS, MAX_SYMBOLS, FrameMetadata, RefusedFrame, SkippedFrame

#: For how long the price of a trade or a book is taken as current, in event time, milliseconds.
HOLDS_MS = 60_000
#: So many books in a row that only the book before supports, against a newer trade each: then it was wrong as well. A
#: large order may trade far away for a moment, and the book is back where it was.
CONTRADICTIONS = 5


class PlausibilityLimits(NamedTuple):
    """Limits of how far a frame may deviate from its receipt and its symbol's prices; 0: no limit."""

    #: How far an event's time may run ahead of its receipt.
    max_clock_lead_s: float = MAX_LEAD_NS / 1e9
    #: By which share a book may lie above or below the last trade and book of its symbol.
    max_book_jump: float = 0.2
    #: Whose frames are read, sorted; none: those of every symbol.
    symbols: tuple[str, ...] = ()


DEFAULT_LIMITS = PlausibilityLimits()
#: Given an event and the subject of its frame, returns why it is refused for that; None: it is where it belongs.
Misplaced = Callable[[AnyEvent, str], RefusedFrame | None]


class _SymbolPrices:
    """Last trade and book of one symbol; prices and times are 0 before there is one."""

    __slots__ = ("book", "contradictions", "trade", "trade_ms", "weighed_ms")

    def __init__(self) -> None:
        #: Price and time of the last trade, and the time of the last one that counted as a contradiction.
        self.trade = 0.0
        self.trade_ms = self.weighed_ms = 0
        #: The last book that was accepted.
        self.book: Depth | None = None
        #: How often in a row a trade contradicted a book that only the one before supported.
        self.contradictions = 0


class BookGuard:
    """Refuses books that are far from the trades and books of their symbol within the last minute."""

    def __init__(self, max_jump: float) -> None:
        """Refuse beyond a share of `max_jump`, above zero."""
        self._most = 1 + max_jump
        self._prices: dict[Venue, dict[str, _SymbolPrices]] = defaultdict(dict)

    def observe(self, trade: Trade) -> None:
        """Record a trade. It is never refused: nothing is more reliable."""
        prices = self._prices[trade.venue].get(trade.symbol) or self._new(trade)
        prices.trade, prices.trade_ms = trade.price, trade.time_ms

    def check(self, book: Depth) -> RefusedFrame | None:
        """Return why a book is refused; None: it is accepted."""
        prices = self._prices[book.venue].get(book.symbol) or self._new(book)
        bid, ask = book.bids[0][0], book.asks[0][0]
        if bid <= prices.trade * self._most and prices.trade <= ask * self._most:
            prices.contradictions = 0
        elif self._is_far(book, prices):
            return RefusedFrame("implausible_price", self._describe(book, prices))
        prices.book = book
        return None

    def _is_far(self, book: Depth, prices: _SymbolPrices) -> bool:
        """Whether a book that is far from the last trade, if there is one, is to be refused."""
        last = prices.book
        near_last_book = last is not None and self._are_near(book, last)
        if not (prices.trade_ms and abs(book.time_ms - prices.trade_ms) <= HOLDS_MS):
            return last is not None and not near_last_book and abs(book.time_ms - last.time_ms) <= HOLDS_MS
        if near_last_book and prices.trade_ms != prices.weighed_ms:
            prices.contradictions, prices.weighed_ms = prices.contradictions + 1, prices.trade_ms
        return not near_last_book or prices.contradictions >= CONTRADICTIONS

    def _are_near(self, book: Depth, last: Depth) -> bool:
        bid, ask = book.bids[0][0], book.asks[0][0]
        return bid <= last.asks[0][0] * self._most and last.bids[0][0] <= ask * self._most

    def _describe(self, book: Depth, prices: _SymbolPrices) -> str:
        last = [f"a trade at {prices.trade:.8g}"] if prices.trade_ms else []
        last += [f"a book at {prices.book.mid:.8g}"] if prices.book else []
        return (
            f"a book at {book.mid:.8g} after {' and '.join(last)}, more than {self._most - 1:.0%} away (MAX_BOOK_JUMP): "
            f"is it another symbol's, under the name of {book.symbol}?"
        )

    def _new(self, event: AnyEvent) -> _SymbolPrices:
        symbols = self._prices[event.venue]
        if len(symbols) >= MAX_SYMBOLS:
            symbols.clear()
        prices = symbols[event.symbol] = _SymbolPrices()
        return prices


class FrameReader:
    """Parses the frames of a source, in their order, into events."""

    def __init__(
        self,
        limits: PlausibilityLimits = DEFAULT_LIMITS,
        kinds: Iterable[Kind] = ALWAYS_READ,
        misplaced: Misplaced | None = None,
    ) -> None:
        """Skip frames of other kinds than `kinds`; depth and trade are always read.

        `misplaced` returns why an event is refused for the subject it came on, if it is.
        """
        self._misplaced = misplaced
        self._kinds = ALWAYS_READ.union(kinds)
        self._max_lead_ns = int(limits.max_clock_lead_s * 1e9)
        self._symbols = frozenset(limits.symbols)
        self._guard = BookGuard(limits.max_book_jump) if limits.max_book_jump else None

    def read(
        self, raw: bytes, subject: str, seq: int, ingested_at_ns: int, stored_at_ns: int | None = None
    ) -> AnyEvent | SkippedFrame | RefusedFrame:
        """Return the event of a frame, or why it is none. Never raises. The arguments are those of `FrameMetadata`."""
        outcome = parse(raw, FrameMetadata(subject, seq, ingested_at_ns, stored_at_ns, self._max_lead_ns, self._kinds))
        if self._misplaced and isinstance(outcome, Event) and (refused := self._misplaced(outcome, subject)):
            return refused
        if self._symbols and isinstance(outcome, Event) and outcome.symbol not in self._symbols:
            return RefusedFrame("symbol_not_allowed", f"{outcome.venue} {outcome.symbol} is not in ALLOWED_SYMBOLS")
        guard = self._guard
        if guard is None:
            return outcome
        if isinstance(outcome, Trade):
            guard.observe(outcome)
        elif isinstance(outcome, Depth):
            return guard.check(outcome) or outcome
        return outcome
