"""A bar, as strategies get it when it is closed, and as states store it while it is open. Pure."""

import msgspec

from tasks.events import AggTrade, Trade, Venue


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A closed bar of trades: at least one, there are no bars of nothing."""

    venue: Venue
    symbol: str
    #: Which bar it is, as asked for: 1m, 1000tick.
    spec: str
    #: First and last millisecond, unix: of a time bar's interval; of other bars, the times of first and last trade.
    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    #: In base currency (contracts on COIN-M futures), and in quote currency.
    volume: float
    quote_volume: float
    #: How many; an aggregate counts as the trades in it, where their ids are known.
    trades: int
    #: What takers bought of `volume`.
    taker_buy_volume: float
    #: Whether trades may lack that belong to it: a time bar that had begun before the first trade that was seen, and
    #: both bars at a moment at which a clock that was ahead is set right.
    is_partial: bool

    @property
    def vwap(self) -> float:
        """The average price, weighted by volume."""
        return self.quote_volume / self.volume


class OpenBar(msgspec.Struct, array_like=True, gc=False):
    """A bar that is not closed yet. States store it, so append new fields at the end, with a default."""

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int
    taker_buy_volume: float
    is_partial: bool

    @classmethod
    def of(cls, trade: Trade, open_ms: int, close_ms: int, *, is_partial: bool) -> "OpenBar":
        """Return the bar that a trade begins."""
        price = trade.price
        begun = cls(open_ms, close_ms, price, price, price, price, 0.0, 0.0, 0, 0.0, is_partial)
        begun.add(trade)
        return begun

    def add(self, trade: Trade) -> None:
        """Count a trade, all but its time."""
        price, quantity = trade.price, trade.quantity
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += quantity
        self.quote_volume += price * quantity
        self.trades += _trades_in(trade)
        if not trade.buyer_is_maker:
            self.taker_buy_volume += quantity

    def closed(self, trade: Trade, spec: str) -> Bar:
        """Return it as a bar of the trade's symbol."""
        return Bar(trade.venue, trade.symbol, spec, *msgspec.structs.astuple(self))


#: By the text of its spec; None: none is open.
OpenBars = dict[str, OpenBar | None]


def _trades_in(trade: Trade) -> int:
    """Return how many trades a trade stands for: an aggregate for those of its ids."""
    if isinstance(trade, AggTrade) and 0 <= trade.first_id <= trade.last_id:
        return trade.last_id - trade.first_id + 1
    return 1
