"""The paper account of one strategy, while a batch runs: restored, moved on, saved. Pure."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from tasks.configuration.bound_strategy import NO_ACCOUNT, BoundStrategy
from tasks.events import AnyEvent, Venue
from tasks.frames.symbols import token
from tasks.paper import PaperContext, PaperOrder, PaperState, SymbolAccount, advance, state, submit
from tasks.paper.account import Unfilled
from tasks.paper.closed_position import ClosedPosition
from tasks.strategy import Action, AnyStrategy

#: Its quantities are contracts, of a size that frames don't tell, and what it earns are coins.
INVERSE_VENUES = frozenset({"coinm"})


class _SignalFields(msgspec.Struct):
    """What an order takes from a signal."""

    id: str
    symbol: str
    action: Action
    stop_loss: float | None = None
    take_profit: float | None = None


_read_signal = msgspec.json.Decoder(_SignalFields).decode


def field(venue: Venue, symbol: str, strategy: AnyStrategy | BoundStrategy) -> str:
    """Return the name of the account's field in the hash of its pool."""
    return f"paper:{venue}:{token(symbol) if strategy.key == 'symbol' else 'all'}:{strategy.name}"


@lru_cache(maxsize=8_192)
def _context(bound: BoundStrategy, symbol: str, config_version: str) -> PaperContext | None:
    paper = bound.paper or NO_ACCOUNT
    terms = paper.for_symbol(symbol)
    if terms is None or paper.price_kind is None:
        return None
    return PaperContext(terms, paper.price_kind, bound.name, config_version)


class PaperRun:
    """A strategy's account, from a batch's start to its end."""

    def __init__(self, bound: BoundStrategy, packed: bytes | None, config_version: str) -> None:
        self._bound, self._config_version = bound, config_version
        #: Why the stored account can't be gone on with; empty: it can, or there was none.
        self.unusable = ""
        self._state = self._restored(packed)
        self.symbols = self._state.symbols
        #: Whether anything is to be saved.
        self.changed = False
        self.closed: list[ClosedPosition] = []
        self.unfilled: list[Unfilled] = []

    def _restored(self, packed: bytes | None) -> PaperState:
        if packed is None:
            return PaperState()
        try:
            return state.unpack(packed)
        except state.UnusableStateError as error:
            self.unusable = str(error)
            return PaperState()

    def advance(self, event: AnyEvent) -> None:
        """Move the account of the event's symbol on; call it for symbols in `symbols`, before the strategy has the event."""
        context = _context(self._bound, event.symbol, self._config_version)
        if context is None:
            return
        self.changed = True
        done = advance(self.symbols[event.symbol], event, context)
        if done is not None:
            self.closed += done.closed
            self.unfilled += done.unfilled

    def submit(self, signals: Iterable[bytes], event: AnyEvent) -> None:
        """Make orders of the signals, the contract's JSON, that the strategy gave for an event."""
        for packed in signals:
            refusal = self._submit(_read_signal(packed), event)
            if refusal is not None:
                self.unfilled.append(refusal)

    def _submit(self, signal: _SignalFields, event: AnyEvent) -> Unfilled | None:
        strategy, paper = self._bound.for_symbol(signal.symbol), self._bound.paper or NO_ACCOUNT
        if paper.for_symbol(signal.symbol) is None:
            return None
        if event.venue in INVERSE_VENUES:
            return "inverse"
        if paper.price_kind is None:
            return "no_price"
        if strategy.key == "symbol" and signal.symbol != event.symbol:
            return "other_symbol"
        self.changed = True
        account = self.symbols.get(signal.symbol)
        if account is None:
            account = self.symbols[signal.symbol] = SymbolAccount()
        order = PaperOrder(
            signal.id, signal.action, event.time_ms, strategy.params.notional, signal.stop_loss, signal.take_profit
        )
        return submit(account, order)

    def pack(self) -> bytes:
        """Save the account for the ledger."""
        return state.pack(self._state)
