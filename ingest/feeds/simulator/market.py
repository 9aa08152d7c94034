"""A seeded market in the exchange's exact bytes. Pure: randomness from the seed, time from the caller.

Market ──heap of what happens next──► SimulatedSymbol ──► taker order: trades │ tenth of a second: book
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from ingest.feeds.simulator.book import SimulatedBook, SimulatedSide, change_share
from ingest.feeds.simulator.profiles import Instrument
from tasks.events import Venue

_BOOK_US = 100_000
#: From one liquidity withdrawal of a thin market to the next, and how long it lasts, in seconds on average.
_THIN_EVERY_S = 90
_THIN_FOR_S = 40
#: A taker order goes on to the next price with this probability after each of its trades.
_NEXT_PRICE = 0.5
#: A taker order has the same side as the one before with this probability; recorded: 0.60 to 0.77.
_SAME_SIDE = 0.5
#: How much of the time to the next order comes from how busy the market has been; recorded gaps correlate by 0.32 to
#: 0.45.
_BUSY_SHARE = 0.45


class SimulatedFrame(NamedTuple):
    """One message of the simulated exchange."""

    #: When it happens, unix nanoseconds.
    at_ns: int
    stream: str
    raw: bytes


class SimulatedSymbol:
    """The simulated market of one symbol.

    It has two clocks: `at_us` is market time since the start, in microseconds; `at_ns` the unix time of the frame.
    """

    def __init__(self, instrument: Instrument, venue: Venue, rng: Random, first_id: int | None, start_ns: int) -> None:
        """Open the market; without `first_id` ids come from the clock, in microseconds, so that they rise across restarts."""
        self._instrument = instrument
        self._venue = venue
        self._rng = rng
        self._name = instrument.symbol.lower()
        self._book = SimulatedBook(instrument, venue, rng)
        self._busy = 0.0
        self._buys = True
        self._thin_until_us = 0.0
        self._thin_from_us = rng.expovariate(1 / (_THIN_EVERY_S * 1e6)) if instrument.thin else math.inf
        self._trade_id = start_ns // 1000 if first_id is None else first_id
        self._update_id = self._trade_id
        self._id_from_clock = first_id is None

    def order_gap_us(self) -> float:
        """Draw the market time to the next taker order."""
        self._busy = 0.9 * self._busy + self._rng.gauss(0, math.sqrt(1 - 0.9**2))
        normal = math.sqrt(_BUSY_SHARE) * self._busy + math.sqrt(1 - _BUSY_SHARE) * self._rng.gauss(0, 1)
        return self._instrument.profile.gap_ms.at(normal) * 1000 / self._instrument.pace

    def order(self, at_us: float, at_ns: int) -> Iterator[SimulatedFrame]:  # noqa: ARG002 every occasion is given both clocks
        """Yield the trades of one taker order, all in the same millisecond; it eats the levels that it reaches."""
        rng, profile = self._rng, self._instrument.profile
        if rng.random() > _SAME_SIDE:
            self._buys = rng.random() < 0.5 + 0.1 * max(-3.0, min(3.0, self._book.tide))
        side = self._book.asks if self._buys else self._book.bids
        eaten = 0
        for fill in range(int(profile.fills.draw(rng))):
            if fill and eaten < len(side.ticks) - 1 and rng.random() < _NEXT_PRICE:
                eaten += 1
            usd = profile.trade_usd.draw(rng)
            yield self._trade(at_ns, side, side.ticks[eaten], usd)
        if eaten:
            side.eat(eaten + int(rng.expovariate(1 / profile.run_levels)))

    def _trade(self, at_ns: int, side: SimulatedSide, ticks: int, usd: float) -> SimulatedFrame:
        self._trade_id += 1
        at_ms = at_ns // 1_000_000
        stream = f"{self._name}@trade"
        price, quantity = side.price(ticks), side.amount_text(side.amount(usd, ticks))
        maker = "false" if self._buys else "true"
        symbol, number = self._instrument.symbol, self._trade_id
        if self._venue == "spot":
            data = (
                f'{{"e":"trade","E":{at_ms},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}",'
                f'"T":{at_ms - 1},"m":{maker},"M":true}}'
            )
        else:
            data = (
                f'{{"e":"trade","E":{at_ms},"T":{at_ms},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}",'
                f'"X":"MARKET","m":{maker}}}'
            )
        return _frame(at_ns, stream, data)

    def book(self, at_us: float, at_ns: int) -> Iterator[SimulatedFrame]:
        """Let a tenth of a second of market time pass; yield the book if it changed."""
        moved = self._change_liquidity(at_us)
        if self._book.step() or moved:
            yield self._depth(at_us, at_ns)

    def _change_liquidity(self, at_us: float) -> bool:
        if at_us >= self._thin_from_us:
            self._thin_until_us = at_us + self._rng.uniform(0.8, 1.2) * _THIN_FOR_S * 1e6
            self._thin_from_us = self._thin_until_us + self._rng.expovariate(1 / (_THIN_EVERY_S * 1e6))
            self._book.set_liquidity(self._instrument.spread_ticks * self._rng.randint(6, 12), 0.15)
        elif self._thin_until_us and at_us >= self._thin_until_us:
            self._thin_until_us = 0.0
            self._book.set_liquidity(self._instrument.spread_ticks, 1.0)
        else:
            return False
        return True

    def _depth(self, at_us: float, at_ns: int) -> SimulatedFrame:
        before = self._update_id
        self._update_id = max(before + 1, at_ns // 1000 if self._id_from_clock else before + 1 + int(at_us) % 40)
        stream = f"{self._name}@depth20@100ms"
        bids, asks = ",".join(self._book.bids.texts), ",".join(self._book.asks.texts)
        if self._venue == "spot":
            data = f'{{"lastUpdateId":{self._update_id},"bids":[{bids}],"asks":[{asks}]}}'
        else:
            at_ms = at_ns // 1_000_000
            data = (
                f'{{"e":"depthUpdate","E":{at_ms},"T":{at_ms - 2},"s":"{self._instrument.symbol}",'
                f'"U":{before + 1},"u":{self._update_id},"pu":{before},"b":[{bids}],"a":[{asks}]}}'
            )
        return _frame(at_ns, stream, data)


def _frame(at_ns: int, stream: str, data: str) -> SimulatedFrame:
    return SimulatedFrame(at_ns, stream, f'{{"stream":"{stream}","data":{data},"received_at":{at_ns}}}'.encode())


class SimulatedMarket:
    """All symbols on one clock."""

    def __init__(
        self,
        instruments: list[Instrument],
        venue: Venue,
        *,
        seed: int,
        first_id: int | None,
        start_ns: int,
        rate: float | None,
    ) -> None:
        """Open at `start_ns`, unix nanoseconds.

        `rate` is in events a second: market time runs faster or slower to give about that many; None: at its natural
        pace, one to one.
        """
        rng = Random(seed)  # noqa: S311 a market needs no secrets
        self._start_ns = start_ns
        self.natural_rate = sum(_natural_rate(instrument) for instrument in instruments)
        self._speed = rate / self.natural_rate if rate else 1.0
        self._agenda: list[tuple[float, int, SimulatedSymbol, bool]] = []
        self._turn = itertools.count()
        for instrument in instruments:
            symbol = SimulatedSymbol(instrument, venue, Random(rng.random()), first_id, start_ns)  # noqa: S311 the same
            self._plan(rng.uniform(0, _BOOK_US), symbol, is_book=True)
            self._plan(rng.uniform(0, _BOOK_US), symbol, is_book=False)

    def _plan(self, at_us: float, symbol: SimulatedSymbol, *, is_book: bool) -> None:
        heapq.heappush(self._agenda, (at_us, next(self._turn), symbol, is_book))

    def frames(self) -> Iterator[SimulatedFrame]:
        """Yield frames in the order of their time, endlessly."""
        while True:
            at_us, _, symbol, is_book = heapq.heappop(self._agenda)
            happen: Callable[[float, int], Iterator[SimulatedFrame]] = symbol.book if is_book else symbol.order
            yield from happen(at_us, self._start_ns + int(at_us * 1000 / self._speed))
            self._plan(at_us + (_BOOK_US if is_book else symbol.order_gap_us()), symbol, is_book=is_book)


def _natural_rate(instrument: Instrument) -> float:
    """Return the events a second that an instrument makes at the exchange's own pace: its trades and its books."""
    profile = instrument.profile
    trades = profile.fills.floor_mean * instrument.pace * 1000 / profile.gap_ms.mean
    return trades + change_share(instrument) * 1e6 / _BOOK_US
