"""Small strategies, each with one habit, and the engine run on a ledger in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import msgspec
from hypothesis import strategies as st

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger, RunOptions
from tasks.events import AnyEvent, Trade
from tasks.protocol.outcome import Outcome
from tasks.strategy import AnyStrategy, Params, Signal, State, Strategy
from tests.support.events import TIME_MS, trade

#: A trade of this quantity is what the strategies below stumble over.
BAD = 13.0


class Calm(Params):
    min_signal_interval_s: float = 0.0


class TradeTotals(State):
    """What a strategy has seen."""

    total: float = 0.0
    ids: list[int] = msgspec.field(default_factory=list)


def say(event: Trade, state: TradeTotals, **other: Any) -> Signal:
    """Return what the state holds, so that a wrong state shows in the signals."""
    fields: dict[str, Any] = {
        "action": "buy",
        "confidence": 0.5,
        "price": event.price,
        "current_price": event.price,
    } | other
    return Signal(**fields, rationale=f"{len(state.ids)} trades", indicators={"total": state.total})


class Echo(Strategy[Calm, TradeTotals]):
    """Signals on every trade."""

    name = "echo"

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        state.total += trade.quantity
        state.ids.append(trade.id)
        yield say(trade, state)


class Interrupted(Echo):
    """An Echo during whose run something happens, before the event of this id."""

    def during(self, id_: int, action: Callable[[], Any]) -> "Interrupted":
        self.id, self.action = id_, action
        return self

    def on_trade(self, trade, state):
        if trade.id == self.id:
            self.action()
        return super().on_trade(trade, state)


class Grumpy(Echo):
    """Raises on bad trades, after it has changed its state and said something."""

    name = "grumpy"

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        yield from super().on_trade(trade, state)
        if trade.quantity == BAD:
            raise ValueError("a bad trade")


class Warming(Echo):
    name = "warming"
    warmup = 3


class Together(Echo):
    name = "together"
    key = "all"


class Chatty(Echo):
    """Signals the same twice, then something else, then the same for another symbol."""

    name = "chatty"

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        for other in ({}, {"confidence": 0.9}, {"action": "sell"}, {"symbol": "OTHER"}):
            yield say(trade, state, **other)


class Wrong(Echo):
    """Makes a signal that the contract does not allow, on bad trades."""

    name = "wrong"
    said: dict[str, Any] = {"price": float("nan")}  # noqa: RUF012 a test replaces it whole

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        state.ids.append(trade.id)
        yield say(trade, state, **(self.said if trade.quantity == BAD else {}))


class Version2(Echo):
    """A release later than Echo's: it counts totals in thousandths."""

    version = 2

    def migrate(self, version: int, state: Any) -> TradeTotals | None:
        return TradeTotals(total=state["total"] * 1000, ids=state["ids"]) if version == 1 else None


class Clueless(Echo):
    version = 2

    def migrate(self, version: int, state: Any) -> TradeTotals | None:
        raise KeyError(f"what is {state} of version {version}?")


class Moody(Echo):
    """Raises when it sees a trade again, which it must not notice: so a rebuild fails too."""

    name = "moody"

    def __init__(self, params: Calm) -> None:
        super().__init__(params)
        self.met: set[int] = set()

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        if trade.quantity == BAD or trade.id in self.met:
            raise RuntimeError("not in the mood")
        self.met.add(trade.id)
        return super().on_trade(trade, state)


class Raising(Echo):
    """Raises `error` on bad trades, and again when it is rebuilt after it; counts its calls."""

    name = "raising"

    def __init__(self, params: Calm) -> None:
        super().__init__(params)
        self.error: BaseException = ValueError()
        self.error_when_rebuilt: BaseException | None = None
        self.calls = 0
        self._stumbled = False

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        self.calls += 1
        if self._stumbled and self.error_when_rebuilt:
            raise self.error_when_rebuilt
        if trade.quantity == BAD:
            self._stumbled = True
            raise self.error
        return super().on_trade(trade, state)


class Hoarder(Echo):
    """Puts into its state what can't be saved, on bad trades."""

    name = "hoarder"

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        yield from super().on_trade(trade, state)
        if trade.quantity == BAD:
            state.ids.append(2**70)


def bound(*strategies: AnyStrategy | BoundStrategy) -> tuple[BoundStrategy, ...]:
    """Return the strategies behind an open gate, as the registry makes them; those that are bound stay as they are."""
    return tuple(each if isinstance(each, BoundStrategy) else BoundStrategy.of(each) for each in strategies)


class Unbearable(BoundStrategy, frozen=True, eq=False):
    """Raises `error` where the engine does not expect it, for one symbol."""

    symbol: ClassVar[str] = "BADUSDT"

    error: Exception = OverflowError()

    def for_symbol(self, symbol: str) -> AnyStrategy:
        if symbol == self.symbol:
            raise self.error
        return super().for_symbol(symbol)


class Worker:
    """Runs batches of the pool "trade" under one configuration; `held` are its records and states."""

    def __init__(
        self,
        *strategies: AnyStrategy | BoundStrategy,
        source: str = "s",
        configuration: str = "c1",
        options: RunOptions = RunOptions(),  # noqa: B008 a constant
    ) -> None:
        self.strategies, self.configuration = bound(*strategies), configuration
        self.ledger = MemoryLedger(source, options)
        self.held = self.ledger.fields["trade"]
        self.signals, self.letters, self.audit = self.ledger.signals, self.ledger.letters, self.ledger.audit

    def run(self, events: Sequence[AnyEvent]) -> Outcome:
        return self.ledger.run("trade", events, self.strategies, self.configuration)

    def state(self, strategy: AnyStrategy, symbol: str = "BTCUSDT") -> Any:
        """Return the state that is held, as `read_state` does."""
        return read_state(self.held[f"state:spot:{symbol}:{strategy.name}"])

    def spoken(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(packed) for packed in self.signals]


def read_state(packed: bytes) -> list[Any]:
    """Return [version, seen, signalled, state], and the open bars behind them if there are any."""
    *saved, bars, _ = msgspec.msgpack.decode(packed)
    return [*saved, bars] if bars else saved


def trades(*quantities: float, start: int = 1, symbol: str = "BTCUSDT", step_ms: int = 1000) -> list[Trade]:
    """Make trades a second apart, with rising ids and positions."""
    numbered = enumerate(quantities, start=start)
    return [
        trade(quantity=quantity, id=n, seq=n, time_ms=TIME_MS + n * step_ms, symbol=symbol) for n, quantity in numbered
    ]


#: More than any exchange counts in 70 s.
IMPOSSIBLE = 2**50


@st.composite
def feeds(draw: st.DrawFn, max_size: int = 40) -> list[Trade]:
    """Draw a feed of two symbols: repeats, impossible ids, feeds that restart, steps back in time, bad trades."""
    step = st.tuples(
        st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        st.sampled_from([-2, 0, 1, 1, 1, 3, IMPOSSIBLE, -IMPOSSIBLE]),
        st.sampled_from([-900, 0, 0, 400, 1_500, 70_000]),
        st.sampled_from([1.0, 2.5, BAD]),
    )
    ids, time_ms, made = {"BTCUSDT": 10, "ETHUSDT": 10}, TIME_MS, []
    for seq, (symbol, rise, step_ms, quantity) in enumerate(draw(st.lists(step, max_size=max_size)), start=1):
        time_ms += step_ms
        ids[symbol] += rise
        made.append(trade(quantity=quantity, id=ids[symbol], seq=seq, time_ms=time_ms, symbol=symbol))
    return made


def cut(events: Sequence[AnyEvent], places: Iterable[int]) -> Iterator[Sequence[AnyEvent]]:
    """Cut events into batches before each of `places`."""
    edges = [0, *sorted({progress for progress in places if 0 < progress < len(events)}), len(events)]
    for first, last in pairwise(edges):
        yield events[first:last]
