"""The prices of a run, kept while it goes by: by venue, symbol and kind of event. Pure."""

from array import array

from tasks.events import AnyEvent, Depth, Kind, Venue
from tasks.report import Prices

#: Venue and symbol.
Name = tuple[Venue, str]


class Market:
    """The mid price of every book and the price of every trade; 16 bytes each."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        #: By venue, symbol and kind: times in unix milliseconds, rising, and prices.
        self.series: dict[tuple[Venue, str, Kind], tuple[array[int], array[float]]] = {}

    def see(self, event: AnyEvent) -> None:
        """Keep the price of an event; of several at one time the last."""
        key = (event.venue, event.symbol, event.kind)
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = (array("q"), array("d"))
        times_ms, prices = series
        price = event.mid if isinstance(event, Depth) else event.price
        # A step back in time counts as none, so that the times can be searched.
        if times_ms and event.time_ms <= times_ms[-1]:
            prices[-1] = price
        else:
            times_ms.append(event.time_ms)
            prices.append(price)

    def add(self, other: "Market") -> None:
        """Add what another process saw of other symbols."""
        self.series |= other.series

    @property
    def names(self) -> list[Name]:
        """Every venue and symbol, sorted."""
        return sorted({(venue, symbol) for venue, symbol, _ in self.series})

    def kind(self, name: Name) -> Kind:
        """Say whose prices `prices` gives."""
        return "depth" if (*name, "depth") in self.series else "trade"

    def prices(self, name: Name) -> Prices:
        """Give the mid prices, or the trades where there are no books. Raises KeyError."""
        times_ms, prices = self.series[*name, self.kind(name)]
        return Prices(times_ms.tolist(), prices.tolist())
