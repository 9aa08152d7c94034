"""The return of the price after a signal: one definition, for the page of the strategies and that of a backtest. Pure.

Trades carry the exchange's clock and spot books only the receiver's, which may differ by seconds: times of the one say
nothing about times of the other. So the order of arrival decides which price was there when the signal's event came,
and the time until a later price is measured on the clock of the prices alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from tasks.events import Kind, Venue

HORIZONS_S = (1, 10, 60)
#: A price that is older is no longer the market's.
MAX_AGE_MS = 10_000


#: Of several kinds of a symbol, the first one's prices are used.
PRICE_KINDS: tuple[Kind, ...] = ("depth", "book_ticker", "trade", "agg_trade", "kline", "mark_price")


class Prices(NamedTuple):
    """The prices of one venue, symbol and kind of event, in the order of arrival."""

    #: Unix milliseconds; a step back counts as none, so they never fall.
    times_ms: Sequence[int]
    prices: Sequence[float]
    #: Where each stood among all events; they rise.
    positions: Sequence[int]


class SignalTrigger(msgspec.Struct):
    """The fields of a signal's trigger that identify its stream of prices."""

    venue: Venue
    symbol: str
    kind: Kind


class SignalRow(msgspec.Struct, kw_only=True):
    """The fields of a signal that are shown and that its return is computed from."""

    strategy: str
    symbol: str
    action: str
    confidence: float
    current_price: float
    rationale: str
    event_time_ms: int
    trigger: SignalTrigger


def read_signals(packed: Iterable[bytes]) -> list[SignalRow]:
    """Return signals, given as the contract's JSON. Raises msgspec.MsgspecError."""
    return [_decoder.decode(each) for each in packed]


_decoder = msgspec.json.Decoder(SignalRow)

#: Returns what is known of a venue, symbol and kind; None where there is nothing.
Series = Callable[[Venue, str, Kind], Prices | None]


def forward_bps(series: Series, signals: Iterable[SignalRow], horizon_s: float) -> list[float]:
    """Return the return after each buy and sell, in basis points, positive where the action was right.

    It is measured `horizon_s` (above 0) after the signal. The price is the mid, or that of the last trade where there
    are no books. Left out are signals without a price of the last 10 s at either end.
    """
    found = []
    for each in signals:
        sign = direction(each)
        point = starting_point(series, each) if sign else None
        change = change_after(point, round(horizon_s * 1000)) if point else None
        if change is not None:
            found.append(sign * change * 1e4)
    return found


def direction(signal: SignalRow) -> int:
    """Return +1 for a buy and -1 for a sell; 0: neither."""
    return {"buy": 1, "sell": -1}.get(signal.action, 0)


class StartingPoint(NamedTuple):
    """The price before a signal's event."""

    #: The kind of event that the prices are of.
    kind: Kind
    prices: Prices
    #: The last price before.
    start: int
    #: When the event came, on the clock of the prices.
    now_ms: int


def starting_point(series: Series, signal: SignalRow) -> StartingPoint | None:
    """Return where the price stood when a signal's event came; None: it is not known."""
    trigger = signal.trigger
    found = ((kind, series(trigger.venue, signal.symbol, kind)) for kind in PRICE_KINDS)
    kind, prices = next(((kind, prices) for kind, prices in found if prices), (trigger.kind, None))
    events = series(trigger.venue, trigger.symbol, trigger.kind)
    if prices is None or events is None:
        return None
    arrived = bisect_left(events.times_ms, signal.event_time_ms)
    if arrived == len(events.times_ms):
        return None
    start = bisect_right(prices.positions, events.positions[arrived]) - 1
    if start < 0:
        return None
    return StartingPoint(kind, prices, start, _moment_ms(prices, start, events, signal.event_time_ms))


def change_after(point: StartingPoint, horizon_ms: int) -> float | None:
    """Return the relative change of the price from a point on; None: there was no fresh price at either end."""
    _, prices, start, now_ms = point
    end = bisect_right(prices.times_ms, now_ms + horizon_ms) - 1
    is_old = any(
        at_ms - prices.times_ms[at] > MAX_AGE_MS for at, at_ms in ((start, now_ms), (end, now_ms + horizon_ms))
    )
    if is_old or now_ms + horizon_ms > prices.times_ms[-1]:
        return None
    return prices.prices[end] / prices.prices[start] - 1


def _moment_ms(prices: Prices, start: int, events: Prices, event_ms: int) -> int:
    """Return when an event came, on the clock of the prices: after price `start`, and not after the next.

    It came as long after the price as it is later than the last event of its own kind before the price; where there was
    none, than the first after it.
    """
    before = max(0, bisect_right(events.positions, prices.positions[start]) - 1)
    moment_ms = prices.times_ms[start] + max(0, event_ms - events.times_ms[before])
    return min(moment_ms, prices.times_ms[start + 1]) if start + 1 < len(prices.times_ms) else moment_ms
