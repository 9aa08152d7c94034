"""A seeded market in which every habit of a strategy gets its chance: the events of the contract suite. Pure.

Prices trend, turn and tremble on a grid; the book leans to one side for seconds; spreads widen and depth goes for some
seconds; the best levels are eaten and refilled. It is built to provoke, not to resemble a market.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Literal, NamedTuple

import msgspec

from tasks.bars import BarSpec
from tasks.events import (
    NO_ID,
    AggTrade,
    AnyEvent,
    BookTicker,
    Depth,
    Kind,
    Kline,
    Level,
    Liquidation,
    MarkPrice,
    Trade,
)

#: 2024-01-01 00:00:00 UTC.
START_MS = 1_704_067_200_000
BASKET = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
_LEVELS = 10
_TICK = 0.01
_FIRST_PRICE = 20.0
#: Of trades, from which one is drawn.
_QUANTITIES = (0.1, 0.5, 2.0)
_MEAN_QUANTITY = sum(_QUANTITIES) / len(_QUANTITIES)


def symbols(how_many: int) -> tuple[str, ...]:
    """Return `how_many` symbols; the first three are those that baskets are made of."""
    return (*BASKET, *(f"S{number:02d}USDT" for number in range(how_many)))[:how_many]


class MarketPace(NamedTuple):
    """How far apart events are, and how large trades."""

    step_ms: int = 100
    #: By how much trades are larger than those of the plain market.
    scale: float = 1.0

    @classmethod
    def filling(cls, specs: Iterable[BarSpec]) -> "MarketPace":
        """Return the pace at which some ten trades of a symbol make a bar, of those that are longer at the plain one."""
        of_a_trade = {"volume": _MEAN_QUANTITY, "dollar": _MEAN_QUANTITY * _FIRST_PRICE}
        steps_ms, scales = [100.0], [1.0]
        for each in specs:
            if each.measure == "time":
                steps_ms.append(each.size / 10)
            elif each.measure in of_a_trade:
                scales.append(each.size / 10 / of_a_trade[each.measure])
        return cls(int(max(steps_ms)), max(scales))


def market(
    names: Sequence[str], kinds: Sequence[Kind], step_ms: int, seed: int = 1, scale: float = 1.0
) -> Iterator[AnyEvent]:
    """Yield events endlessly: every `step_ms`, one of each of `kinds` for each symbol; equal for equal arguments.

    `scale` multiplies the quantities of trades.
    """
    chance = random.Random(seed)  # noqa: S311 a seeded market is what is wanted
    prices = dict.fromkeys(names, _FIRST_PRICE)
    seq = 0
    for tick in count():
        time_ms = START_MS + tick * step_ms
        for number, name in enumerate(names):
            # Trends of 60 s that differ by symbol, so that baskets drift apart; within them the price stands still
            # often.
            trend = 1 if (tick // 600 + number) % 2 else -1
            if chance.random() < 0.3:
                prices[name] = max(
                    1.0, prices[name] + _TICK * (trend * chance.choice((0, 1, 3)) - chance.choice((0, 1)))
                )
            for kind in kinds:
                seq += 1
                event = _MAKERS[kind](name, tick, time_ms, seq, prices[name], chance)
                if scale != 1 and isinstance(event, Trade):
                    event = msgspec.structs.replace(event, quantity=event.quantity * scale)
                yield event


def _book(name: str, tick: int, time_ms: int, seq: int, price: float, chance: random.Random) -> Depth:
    # Every 200 books the spread is wide and the book thin for 60; the sides take turns in being heavy for 150.
    wide = tick % 200 >= 140
    half = 8 if wide else 1
    bid_size, ask_size = (6.0, 1.0) if tick // 150 % 2 else (1.0, 6.0)
    if wide:
        bid_size, ask_size = bid_size / 5, ask_size / 5
    middle = round(price / _TICK)
    bids = _side(middle - half, -1, bid_size, chance)
    return Depth("spot", name, tick + 1, time_ms, seq, 0, bids, _side(middle + half, 1, ask_size, chance))


def _side(best: int, step: int, size: float, chance: random.Random) -> tuple[Level, ...]:
    return tuple(
        (round((best + step * level) * _TICK, 2), round(size * chance.uniform(0.1, 1.0), 5) + 0.001)
        for level in range(_LEVELS)
    )


def _trade(name: str, tick: int, time_ms: int, seq: int, price: float, chance: random.Random) -> Trade:
    selling = chance.random() < (0.9 if tick // 150 % 2 else 0.1)
    return Trade("spot", name, tick + 1, time_ms, seq, 0, round(price, 2), chance.choice(_QUANTITIES), selling)


def _agg_trade(name: str, tick: int, time_ms: int, seq: int, price: float, chance: random.Random) -> AggTrade:
    trade = _trade(name, tick, time_ms, seq, price, chance)
    ids = (tick + 1, tick + 1)
    return AggTrade("spot", name, trade.id, time_ms, seq, 0, trade.price, trade.quantity, trade.buyer_is_maker, *ids)


def _book_ticker(name: str, tick: int, time_ms: int, seq: int, price: float, chance: random.Random) -> BookTicker:
    book = _book(name, tick, time_ms, seq, price, chance)
    return BookTicker("spot", name, book.id, time_ms, seq, 0, *book.bids[0], *book.asks[0])


def _kline(name: str, _: int, time_ms: int, seq: int, price: float, chance: random.Random) -> Kline:
    first, last = round(price + _TICK * chance.choice((-2, 0, 2)), 2), round(price, 2)
    prices = (first, round(max(first, last) + _TICK, 2), round(min(first, last) - _TICK, 2), last)
    id_ = NO_ID + (time_ms - 1) * 1_000_000
    return Kline("spot", name, id_, time_ms, seq, 0, "1s", time_ms - 1000, time_ms - 1, *prices, 2.0, 2 * last, 3, 1.0)


def _mark_price(name: str, _: int, time_ms: int, seq: int, price: float, chance: random.Random) -> MarkPrice:
    rate = chance.choice((-1e-4, 0.0, 1e-4))
    return MarkPrice(
        "usdm", name, NO_ID + time_ms * 1_000_000, time_ms, seq, 0, price, price, rate, time_ms + 3_600_000
    )


def _liquidation(name: str, tick: int, time_ms: int, seq: int, price: float, chance: random.Random) -> Liquidation:
    quantity = chance.choice((0.1, 0.5, 2.0))
    side: Literal["buy", "sell"] = "sell" if tick // 150 % 2 else "buy"
    id_ = NO_ID + time_ms * 1_000_000
    return Liquidation("usdm", name, id_, time_ms, seq, 0, side, price, price, quantity, quantity)


_MAKERS: dict[Kind, Callable[[str, int, int, int, float, random.Random], AnyEvent]] = {
    "depth": _book,
    "trade": _trade,
    "agg_trade": _agg_trade,
    "book_ticker": _book_ticker,
    "kline": _kline,
    "mark_price": _mark_price,
    "liquidation": _liquidation,
}
