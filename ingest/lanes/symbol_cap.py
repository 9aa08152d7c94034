"""Bounds for how many symbols there are records: whoever may publish frames can invent symbols. Pure.

A symbol counts from its first event that a pool takes. It is a protection, and no part of what signals mean: what is
below the cap is as without it, and a backtest has none.
"""

from collections.abc import Callable, Collection, Iterable

from tasks.events import AnyEvent, Event, Kind, Venue
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import FrameReader, Misplaced, PlausibilityLimits

#: A market's symbol: the same name elsewhere has records of its own.
MarketSymbol = tuple[Venue, str]


class SymbolCap:
    """Admits new symbols until there are so many; those that it knows go on."""

    def __init__(self, most: int, wants: Callable[[str, Kind], bool]) -> None:
        """Admit `most` symbols, 0: any number; `wants` tells whether a pool takes a symbol's events of a kind."""
        self._most, self._wants = most, wants
        self._known: set[MarketSymbol] = set()
        self._stored: frozenset[MarketSymbol] = frozenset()
        #: Whether a symbol was refused since the ledger was read last.
        self.is_reached = False

    def load(self, stored: Collection[MarketSymbol]) -> None:
        """Take which symbols the ledger has records of: those that it had before and has no more do not count."""
        gone = self._stored.difference(stored)
        self._stored = frozenset(stored)
        self._known -= gone
        self._known |= self._stored
        self.is_reached = False

    def check(self, event: AnyEvent) -> RefusedFrame | None:
        """Return why an event is refused; None: its symbol is known, or there is room for it, or no pool takes it."""
        symbol = event.venue, event.symbol
        if symbol in self._known or not self._most or not self._wants(event.symbol, event.kind):
            return None
        if len(self._known) >= self._most:
            self.is_reached = True
            detail = f"{event.venue} {event.symbol} is new, and there are {self._most:,} symbols (INGEST_MAX_SYMBOLS)"
            return RefusedFrame("too_many_symbols", detail)
        self._known.add(symbol)
        return None


class CappedReader(FrameReader):
    """Parses the frames of a source, and refuses those of symbols above the cap."""

    def __init__(
        self,
        cap: SymbolCap,
        limits: PlausibilityLimits,
        kinds: Iterable[Kind],
        misplaced: Misplaced | None = None,
    ) -> None:
        super().__init__(limits, kinds, misplaced)
        self._cap = cap

    def read(
        self, raw: bytes, subject: str, seq: int, ingested_at_ns: int, stored_at_ns: int | None = None
    ) -> AnyEvent | SkippedFrame | RefusedFrame:
        """Return the event of a frame, or why it is none. Never raises."""
        outcome = super().read(raw, subject, seq, ingested_at_ns, stored_at_ns)
        return self._cap.check(outcome) or outcome if isinstance(outcome, Event) else outcome
