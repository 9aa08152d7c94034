"""The prices of a run, recorded as it proceeds: by venue, symbol and kind of event. Pure."""

from array import array
from collections.abc import Container
from typing import NamedTuple

from tasks.events import STEP_BACK_MS, AnyEvent, BookTicker, Depth, Kind, Kline, Liquidation, Trade, Venue
from tasks.scoring.forward_returns import PRICE_KINDS, Prices

#: Venue and symbol.
Name = tuple[Venue, str]


class _PriceSeries(NamedTuple):
    """Prices of one symbol in the order of events."""

    times_ms: "array[int]"
    prices: "array[float]"
    positions: "array[int]"


def _risen(times_ms: "array[int]", time_ms: int) -> int:
    """Return the time to keep after these, of which the last is later, so that they never fall and can be searched."""
    if time_ms >= times_ms[-1] - STEP_BACK_MS:
        return times_ms[-1]
    # What a clock that was ahead said is taken back, or time would stand still until the others have caught up.
    at = len(times_ms) - 1
    while at >= 0 and times_ms[at] > time_ms:
        times_ms[at] = time_ms
        at -= 1
    return time_ms


def price_of(event: AnyEvent) -> float | None:
    """Return the price of the market that an event shows: a mid price, a trade's or a candle's last one."""
    match event:
        # What comes most often is looked for first.
        case Depth() | BookTicker():
            return event.mid
        case Trade():
            return event.price
        case Kline():
            return event.close
        case Liquidation():
            return None
        case _:
            return event.price


class PriceHistory:
    """The price of every event that has one; 24 bytes each."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        #: By venue, symbol and kind.
        self.kept: dict[tuple[Venue, str, Kind], _PriceSeries] = {}

    def observe(self, event: AnyEvent) -> None:
        """Keep the price of an event; `seq` is its number among all events."""
        price = price_of(event)
        if price is None:
            return
        key = (event.venue, event.symbol, event.kind)
        try:
            times_ms, prices, positions = self.kept[key]
        except KeyError:
            times_ms, prices, positions = self.kept[key] = _PriceSeries(array("q"), array("d"), array("q"))
        time_ms = event.time_ms
        times_ms.append(_risen(times_ms, time_ms) if times_ms and time_ms < times_ms[-1] else time_ms)
        prices.append(price)
        positions.append(event.seq)

    def add(self, other: "PriceHistory") -> None:
        """Add what another process saw of other symbols."""
        self.kept |= other.kept

    def retain(self, names: Container[Name]) -> None:
        """Forget all symbols but these."""
        self.kept = {key: series for key, series in self.kept.items() if key[:2] in names}

    @property
    def names(self) -> list[Name]:
        """Every venue and symbol, sorted."""
        return sorted({(venue, symbol) for venue, symbol, _ in self.kept})

    def kind(self, name: Name) -> Kind:
        """Return the kind of event that `prices` has the prices of."""
        return next(kind for kind in PRICE_KINDS if (*name, kind) in self.kept)

    def series(self, venue: Venue, symbol: str, kind: Kind) -> Prices | None:
        """Return what was seen of a kind of event; None if nothing was."""
        series = self.kept.get((venue, symbol, kind))
        return series and Prices(*series)

    def prices(self, name: Name) -> Prices:
        """Return the prices of the first of `PRICE_KINDS` that the symbol has. Raises StopIteration: it has none."""
        return Prices(*self.kept[*name, self.kind(name)])
