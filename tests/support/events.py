"""Builders of events with defaults that do not matter, and the hypothesis strategies made of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tasks.events import NO_ID, AnyEvent, BookTicker, Depth, Kline, Level, Liquidation, MarkPrice, Trade, Venue
from tasks.strategy import HOOKS, AnyStrategy, Signal

#: 2024-08-09 00:00:00 UTC, a whole second.
TIME_MS = 1_723_161_600_000


def book(
    bids: Sequence[Level] = ((1999.0, 1.0),),
    asks: Sequence[Level] = ((2001.0, 1.0),),
    *,
    time_ms: int = TIME_MS,
    id: int = 1,  # noqa: A002 the event's own name
    symbol: str = "BTCUSDT",
    venue: Venue = "spot",
    seq: int = 1,
) -> Depth:
    return Depth(venue, symbol, id, time_ms, seq, 0, tuple(bids), tuple(asks))


def trade(
    price: float = 100.0,
    quantity: float = 1.0,
    *,
    taker: str = "buy",
    time_ms: int = TIME_MS,
    id: int = 1,  # noqa: A002 as above
    symbol: str = "BTCUSDT",
    venue: Venue = "spot",
    seq: int = 1,
    ingested_at_ns: int = 0,
) -> Trade:
    return Trade(venue, symbol, id, time_ms, seq, ingested_at_ns, price, quantity, taker == "sell")


def kline(
    close: float = 100.0,
    *,
    close_ms: int = TIME_MS - 1,
    lasts_ms: int = 60_000,
    interval: str = "1m",
    symbol: str = "BTCUSDT",
    venue: Venue = "usdm",
    seq: int = 1,
) -> Kline:
    head = venue, symbol, NO_ID + close_ms * 1_000_000, close_ms + 1, seq, 0
    prices = close, close + 1, close - 1, close
    return Kline(*head, interval, close_ms + 1 - lasts_ms, close_ms, *prices, 1.0, 100.0, 1, 0.5)


def quote(
    bid: float = 99.0,
    ask: float = 101.0,
    *,
    time_ms: int = TIME_MS,
    id: int = 1,  # noqa: A002 as above
    symbol: str = "BTCUSDT",
    seq: int = 1,
) -> BookTicker:
    return BookTicker("usdm", symbol, id, time_ms, seq, 0, bid, 1.0, ask, 1.0)


def mark_price(price: float = 100.0, *, time_ms: int = TIME_MS, symbol: str = "BTCUSDT", seq: int = 1) -> MarkPrice:
    head = "usdm", symbol, NO_ID + time_ms * 1_000_000, time_ms, seq, 0
    return MarkPrice(*head, price, price, 0.0001, time_ms + 3_600_000)


def liquidation(price: float = 100.0, *, time_ms: int = TIME_MS, symbol: str = "BTCUSDT", seq: int = 1) -> Liquidation:
    head = "usdm", symbol, NO_ID + time_ms * 1_000_000, time_ms, seq, 0
    return Liquidation(*head, "sell", price, price, 1.0, 1.0)


def feed(strategy: AnyStrategy, event: AnyEvent, state: Any) -> list[Signal]:
    """Run a strategy on one event, without the runner's warm-up and cool-down; return its signals."""
    return list(getattr(strategy, HOOKS[event.kind])(event, state))


def play(strategy: AnyStrategy, events: Iterable[AnyEvent], state: Any = None) -> Iterator[list[Signal]]:
    """Run a strategy over events; yield the signals of each."""
    state = strategy.state_type() if state is None else state
    for event in events:
        yield feed(strategy, event, state)


def actions(strategy: AnyStrategy, events: Iterable[AnyEvent]) -> list[str]:
    """Return for each event its action, or "" for none."""
    return [",".join(signal.action for signal in signals) for signals in play(strategy, events)]


_quantities = st.floats(1e-5, 1e5)
#: Steps of the clock that markets show: equal times, a bit backwards, short and long pauses; milliseconds.
_steps_ms = st.one_of(st.integers(0, 400), st.integers(-1_500, 0), st.integers(20_000, 70_000))


@st.composite
def books(draw: st.DrawFn, max_size: int = 60) -> list[Depth]:
    """Draw books of one symbol whose spread, depth and pace vary wildly."""
    steps = draw(st.lists(st.tuples(_steps_ms, st.integers(1, 400), _quantities, _quantities), max_size=max_size))
    time_ms, made = TIME_MS, []
    for number, (step_ms, half_ticks, bid, ask) in enumerate(steps, start=1):
        time_ms += step_ms
        half = half_ticks / 8
        sides = [(2000 - half, bid), (1999 - half, ask)], [(2000 + half, ask), (2001 + half, bid)]
        made.append(book(*sides, time_ms=time_ms, id=number, seq=number))
    return made


@st.composite
def trades(draw: st.DrawFn, max_size: int = 60) -> list[Trade]:
    """Draw trades of one symbol whose price, size, side and pace vary wildly."""
    step = st.tuples(_steps_ms, st.floats(90, 110), _quantities, st.sampled_from(["buy", "sell"]))
    time_ms, made = TIME_MS, []
    for number, (step_ms, price, quantity, taker) in enumerate(draw(st.lists(step, max_size=max_size)), start=1):
        time_ms += step_ms
        made.append(trade(price, quantity, taker=taker, time_ms=time_ms, id=number, seq=number))
    return made
