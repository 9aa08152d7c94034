"""The prices at which an order is filled: a walk through a book's levels, or a trade's price and slippage. Pure."""

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from tasks.events import AggTrade, AnyEvent, BookTicker, Depth, Kind, Kline, Level, Trade

#: Best bid and ask before slippage, by kinds that tell a price, the one that tells most first: an account takes the first
#: that its pool has.
BEST_PRICES: dict[Kind, Callable[[Any], tuple[float, float]]] = {
    "depth": lambda book: (book.bids[0][0], book.asks[0][0]),
    "book_ticker": lambda best: (best.bid, best.ask),
    "trade": lambda trade: (trade.price, trade.price),
    "agg_trade": lambda trade: (trade.price, trade.price),
    "kline": lambda candle: (candle.close, candle.close),
}


class MarketQuote(NamedTuple):
    """The prices of a symbol at one event."""

    #: What one can sell to and buy from, best first.
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    #: Best prices before slippage: a stop or a target is reached when these are.
    bid: float
    ask: float

    @property
    def mid(self) -> float:
        """The price half-way between them."""
        return (self.bid + self.ask) / 2


class OrderFill(NamedTuple):
    """What an order got: base currency, and quote currency paid or received."""

    quantity: float
    value: float


def price_kind(kinds: Collection[Kind]) -> Kind | None:
    """Return the kind of events that fills orders in a pool of these kinds; None: none of them tells a price."""
    return next((kind for kind in BEST_PRICES if kind in kinds), None)


def quote(event: AnyEvent, slippage_bps: float) -> MarketQuote:
    """Return the prices that an event tells. Raises ValueError: it is of a kind that tells none."""
    if isinstance(event, Depth):
        return MarketQuote(event.bids, event.asks, event.bids[0][0], event.asks[0][0])
    if isinstance(event, BookTicker):
        bids, asks = ((event.bid, event.bid_quantity),), ((event.ask, event.ask_quantity),)
        return MarketQuote(bids, asks, event.bid, event.ask)
    if isinstance(event, Trade | AggTrade):
        return _around(event.price, slippage_bps)
    if isinstance(event, Kline):
        return _around(event.close, slippage_bps)
    raise ValueError(f"a {event.kind} tells no price")


def _around(price: float, slippage_bps: float) -> MarketQuote:
    """Return prices that are the worse by the slippage, for any quantity."""
    slippage = price * slippage_bps / 1e4
    return MarketQuote(((price - slippage, math.inf),), ((price + slippage, math.inf),), price, price)


def spend(levels: Iterable[Level], notional: float) -> OrderFill:
    """Return what an order of `notional` in quote currency gets from levels, best first; less where they end."""
    quantity, value = 0.0, 0.0
    for price, offered in levels:
        left = notional - value
        if left <= 0:
            break
        if price * offered >= left:
            return OrderFill(quantity + left / price, notional)
        quantity += offered
        value += price * offered
    return OrderFill(quantity, value)


def trade(levels: Iterable[Level], quantity: float) -> OrderFill:
    """Return what an order of `quantity` in base currency gets from levels, best first; less where they end."""
    done, value = 0.0, 0.0
    for price, offered in levels:
        left = quantity - done
        if left <= 0:
            break
        if offered >= left:
            return OrderFill(quantity, value + left * price)
        done += offered
        value += price * offered
    return OrderFill(done, value)
