"""A strategy that answers every event of every kind, with what it saw before."""

from collections.abc import Iterable

from tasks.events import (
    AggTrade,
    AnyEvent,
    BookTicker,
    Depth,
    Kline,
    Liquidation,
    MarkPrice,
    Trade,
)
from tasks.strategy import Params, Signal, State, Strategy

#: A pool with all kinds; named as one of the project's own, because workers listen to those.
POOLS = """
[pools.trade]
kinds = ["depth", "trade", "agg_trade", "book_ticker", "kline", "mark_price", "liquidation"]
partitions = 4
[pools.trade.strategies."tests.support.kinds.strategies:EveryKind"]
"""


class Talkative(Params):
    min_signal_interval_s: float = 0.0


class KindHistory(State):
    """The kinds of all events before, in their order, folded into a number."""

    count: int = 0
    mixed: int = 0


class EveryKind(Strategy[Talkative, KindHistory]):
    """Signals on every event."""

    name = "every_kind"

    def on_depth(self, book: Depth, state: KindHistory) -> Iterable[Signal]:
        return self._answer(book, book.mid, state)

    def on_trade(self, trade: Trade, state: KindHistory) -> Iterable[Signal]:
        return self._answer(trade, trade.price, state)

    def on_agg_trade(self, trade: AggTrade, state: KindHistory) -> Iterable[Signal]:
        return self._answer(trade, trade.price, state)

    def on_book_ticker(self, quote: BookTicker, state: KindHistory) -> Iterable[Signal]:
        return self._answer(quote, quote.mid, state)

    def on_kline(self, kline: Kline, state: KindHistory) -> Iterable[Signal]:
        return self._answer(kline, kline.close, state)

    def on_mark_price(self, mark: MarkPrice, state: KindHistory) -> Iterable[Signal]:
        return self._answer(mark, mark.price, state)

    def on_liquidation(self, order: Liquidation, state: KindHistory) -> Iterable[Signal]:
        return self._answer(order, order.average_price, state)

    def _answer(self, event: AnyEvent, price: float, state: KindHistory) -> Iterable[Signal]:
        state.count += 1
        state.mixed = (31 * state.mixed + sum(event.kind.encode())) % 1_000_003
        said = f"{event.kind}, {state.count} events, {state.mixed}"
        yield Signal(action="hold", confidence=0.5, price=price, current_price=price, rationale=said)
