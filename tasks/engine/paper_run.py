"""The paper accounts of a pool's strategies, while a batch runs: restored, moved on, saved. Pure.

Every event passes here for every strategy, so that most of them cost a look at a watch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tasks.configuration.bound_strategy import NO_ACCOUNT, BoundStrategy
from tasks.events import AnyEvent, MarkPrice, Venue
from tasks.frames.symbols import token
from tasks.paper import PaperContext, PaperOrder, PaperState, SymbolAccount, account, fills, state
from tasks.paper.account import Unfilled
from tasks.paper.closed_position import ClosedPosition
from tasks.paper.watch import AccountWatch
from tasks.protocol.outcome import Outcome
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


#: Name of the account's field, why it is no use, the event, the strategy.
NoteUnusable = Callable[[str, str, AnyEvent, str], None]

_read_signal = msgspec.json.Decoder(_SignalFields).decode


def field(venue: Venue, symbol: str, strategy: AnyStrategy | BoundStrategy) -> str:
    """Return the name of the account's field in the hash of its pool."""
    return f"paper:{venue}:{token(symbol) if strategy.key == 'symbol' else 'all'}:{strategy.name}"


class PaperRun:
    """A strategy's account, from a batch's start to its end."""

    def __init__(self, bound: BoundStrategy, packed: bytes | None, config_version: str) -> None:
        self._bound, self._paper, self._config_version = bound, bound.paper or NO_ACCOUNT, config_version
        #: Why the stored account can't be gone on with; empty: it can, or there was none.
        self.unusable = ""
        self._state = self._restored(packed)
        #: Of the symbols in whose accounts something can happen.
        self.watches: dict[str, AccountWatch] = {}
        #: Whether anything is to be saved: the empty account too, or each batch would tell of the unusable one again.
        self._changed = bool(self.unusable)
        self.closed: list[ClosedPosition] = []
        self.unfilled: list[Unfilled] = []
        for symbol in self._state.symbols:
            self._watch(symbol)

    def _restored(self, packed: bytes | None) -> PaperState:
        if packed is None:
            return PaperState()
        try:
            return state.unpack(packed)
        except state.UnusableStateError as error:
            self.unusable = str(error)
            return PaperState()

    def _context(self, symbol: str) -> PaperContext | None:
        """Return what the account of a symbol goes by; None: there is no account now, so that it stands still."""
        terms, kind = self._paper.for_symbol(symbol), self._paper.price_kind
        if terms is None or kind is None:
            return None
        return PaperContext(terms, self._bound.name, self._config_version)

    def _watch(self, symbol: str) -> None:
        """Watch a symbol's account for what it waits for now; call it after each change."""
        of_symbol, context = self._state.symbols[symbol], self._context(symbol)
        if context is not None and (of_symbol.position is not None or of_symbol.orders):
            self.watches[symbol] = AccountWatch(of_symbol, context)
        else:
            self.watches.pop(symbol, None)

    def advance(self, watch: AccountWatch, event: AnyEvent) -> None:
        """Move a watched account on, by an event that does not pass its watch."""
        self._changed = True
        watch.store()
        done = account.advance(watch.account, event, watch.context)
        self.closed += done.closed
        self.unfilled += done.unfilled
        self._watch(event.symbol)

    def fund(self, event: MarkPrice) -> None:
        """Pay or receive funding."""
        of_symbol = self._state.symbols.get(event.symbol)
        if of_symbol is not None and self._context(event.symbol) is not None:
            self._changed = True
            if (watch := self.watches.get(event.symbol)) is not None:
                watch.store()
            account.fund(of_symbol, event)
            self._watch(event.symbol)

    def submit(self, signals: Iterable[bytes], event: AnyEvent) -> None:
        """Make orders of the signals, the contract's JSON, that the strategy gave for an event."""
        for packed in signals:
            refusal = self._submit(_read_signal(packed), event)
            if refusal is not None:
                self.unfilled.append(refusal)

    def _submit(self, signal: _SignalFields, event: AnyEvent) -> Unfilled | None:
        strategy, symbol = self._bound.for_symbol(signal.symbol), signal.symbol
        if self._paper.for_symbol(symbol) is None:
            return None
        if event.venue in INVERSE_VENUES:
            return "inverse"
        if self._paper.price_kind is None:
            return "no_price"
        if strategy.key == "symbol" and symbol != event.symbol:
            return "other_symbol"
        self._changed = True
        of_symbol = self._state.symbols.setdefault(symbol, SymbolAccount())
        if (watch := self.watches.get(symbol)) is not None:
            watch.store()
        order = PaperOrder(
            signal.id, signal.action, event.time_ms, strategy.params.notional, signal.stop_loss, signal.take_profit
        )
        refusal = account.submit(of_symbol, order)
        self._watch(symbol)
        return refusal

    def pack(self) -> bytes | None:
        """Save the account for the ledger; None: nothing changed."""
        for watch in self.watches.values():
            watch.store()
        return state.pack(self._state) if self._changed or self.watches else None


class PaperAccounts:
    """The accounts of a pool's strategies, during one batch."""

    def __init__(
        self,
        strategies: Sequence[BoundStrategy],
        config_version: str,
        held: Mapping[str, bytes | None],
    ) -> None:
        """Start from what the ledger holds."""
        self._strategies, self._config_version, self._held = strategies, config_version, held
        kinds = [each.paper.price_kind for each in strategies if each.paper is not None]
        #: Of all of them: it follows from the pool.
        self._price_kind = kinds[0] if kinds else None
        self._best_prices = fills.BEST_PRICES[self._price_kind or "depth"]
        self._by_name: dict[str, PaperRun] = {}
        self._by_names: dict[tuple[str, ...], list[PaperRun]] = {}

    def of(self, event: AnyEvent, names: tuple[str, ...], note: NoteUnusable) -> list[PaperRun]:
        """Return those of the strategies' accounts of these names that there are; `submit` adds to the list.

        `note` is called for an account that can't be gone on with. It is not kept, because it belongs to who keeps this:
        in a cycle of references a batch's events would stay in memory until the garbage collector finds it.
        """
        runs = self._by_names.get(names)
        if runs is None:
            runs = self._by_names[names] = self._restored(event, names, note)
        return runs

    def advance(self, event: AnyEvent, runs: list[PaperRun]) -> None:
        """Move accounts on by an event, which is the market's, whatever strategies make of it; `runs` is what `of` gave."""
        if event.kind == self._price_kind:
            symbol, time_ms = event.symbol, event.time_ms
            bid, ask = self._best_prices(event)
            for run in runs:
                watch = run.watches.get(symbol)
                if watch is not None and not watch.passes(bid, ask, time_ms):
                    run.advance(watch, event)
        elif isinstance(event, MarkPrice):
            for run in runs:
                run.fund(event)

    def _restored(self, event: AnyEvent, names: tuple[str, ...], note: NoteUnusable) -> list[PaperRun]:
        for bound, name in zip(self._strategies, names, strict=True):
            # An account that was never stored begins with the first signal.
            if name and name not in self._by_name and self._held.get(name) is not None:
                run = self._by_name[name] = PaperRun(bound, self._held[name], self._config_version)
                if run.unusable:
                    note(name, run.unusable, event, bound.name)
        return [self._by_name[name] for name in names if name in self._by_name]

    def submit(self, bound: BoundStrategy, signals: Iterable[bytes], event: AnyEvent) -> None:
        """Make orders of the signals, the contract's JSON, that a strategy gave for an event."""
        name = field(event.venue, event.symbol, bound)
        run = self._by_name.get(name)
        if run is None:
            run = self._by_name[name] = PaperRun(bound, None, self._config_version)
            for names, runs in self._by_names.items():
                if name in names:
                    runs.append(run)
        run.submit(signals, event)

    def save(self, outcome: Outcome) -> None:
        """Put what changed into the outcome of the batch."""
        for name, run in self._by_name.items():
            packed = run.pack()
            if packed is not None:
                outcome.fields[name] = packed
            for closed in run.closed:
                outcome.positions.append(closed.pack())
                outcome.counts.add("positions", closed.strategy)
            for reason in run.unfilled:
                outcome.counts.add("unfilled", reason)
