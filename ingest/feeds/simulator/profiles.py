"""Profiles of simulated markets: quantiles measured on recordings of BTC and ETH, spot and USD-M futures. Pure."""

import math
from itertools import pairwise
from random import Random

import msgspec

from tasks.events import Venue

#: The probabilities of the quantiles below.
_PROBABILITIES = (0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1)
_CELLS = 2048


class QuantileTable:
    """A distribution of positive numbers, given by its quantiles and read by a standard normal number."""

    def __init__(self, *quantiles: float) -> None:
        """Interpolate between `quantiles`, on a logarithmic scale; they stand at `_PROBABILITIES`."""
        self._values = [self._interpolate(quantiles, (cell + 0.5) / _CELLS) for cell in range(_CELLS)]
        self.mean = sum(self._values) / _CELLS
        #: The mean of the whole part.
        self.floor_mean = sum(map(int, self._values)) / _CELLS

    @staticmethod
    def _interpolate(quantiles: tuple[float, ...], probability: float) -> float:
        for (low, x), (high, y) in pairwise(zip(_PROBABILITIES, quantiles, strict=True)):
            if probability <= high:
                share = (probability - low) / (high - low)
                return math.exp((1 - share) * math.log(x) + share * math.log(y))
        return quantiles[-1]

    def draw(self, rng: Random) -> float:
        """Draw independently of everything."""
        return self._values[int(rng.random() * _CELLS)]

    def at(self, normal: float) -> float:
        """Return the value whose rank `normal` has among standard normal numbers: correlated in, correlated out."""
        return self._values[min(_CELLS - 1, int(0.5 * (1 + math.erf(normal / math.sqrt(2))) * _CELLS))]


class Profile(msgspec.Struct, frozen=True):
    """Statistical properties of a simulated market."""

    #: Value of one trade, in quote currency.
    trade_usd: QuantileTable
    #: Trades that one taker order makes.
    fills: QuantileTable
    #: From one taker order to the next, in milliseconds.
    gap_ms: QuantileTable
    #: Value at the best price, in quote currency.
    top_usd: QuantileTable
    #: Value at each of the other 19 prices, in quote currency.
    deep_usd: QuantileTable
    #: From one price level to the next, in ticks.
    level_gap: QuantileTable
    #: Levels that the price runs on when an order has eaten the best one, on average.
    run_levels: float


class Instrument(msgspec.Struct, frozen=True):
    """One simulated symbol."""

    symbol: str
    #: Where its price starts, in quote currency.
    price: float
    #: Decimals of its tick: 2 makes ticks of 0.01.
    price_digits: int
    #: Decimals of its smallest quantity.
    quantity_digits: int
    profile: Profile
    #: Taker orders a second, as a multiple of its profile's.
    pace: float = 1.0
    #: Values of trades and levels, as a multiple of its profile's.
    size: float = 1.0
    #: The ordinary spread, in ticks.
    spread_ticks: int = 1
    #: Whether its market makers leave now and then.
    thin: bool = False
    #: Decimals of a printed price; None: the tick's.
    printed_digits: int | None = None


_SPOT_BTC = Profile(
    trade_usd=QuantileTable(0.6, 5.54, 5.55, 6.17, 41.3, 866, 3550, 6170, 20e3, 44.6e3, 427e3),
    fills=QuantileTable(1, 1, 1, 1, 1, 2.5, 6, 10, 21.7, 80.4, 735),
    gap_ms=QuantileTable(0.5, 1, 1, 4, 23, 108, 262, 410, 761, 1210, 2010),
    top_usd=QuantileTable(0.6, 4720, 9560, 34.8e3, 126e3, 221e3, 290e3, 340e3, 419e3, 511e3, 632e3),
    deep_usd=QuantileTable(5.55, 6.17, 10.5, 64.9, 4000, 10.1e3, 20e3, 24.9e3, 64.5e3, 458e3, 596e3),
    level_gap=QuantileTable(1, 1, 1, 3, 20, 54, 98, 130, 197, 295, 1940),
    run_levels=4,
)
_SPOT_ETH = Profile(
    trade_usd=QuantileTable(0.27, 2.95, 5.36, 5.36, 20.9, 467, 2140, 4290, 9960, 30.7e3, 140e3),
    fills=QuantileTable(1, 1, 1, 1, 1, 3.5, 7, 11, 20, 37.4, 219),
    gap_ms=QuantileTable(0.5, 1, 1, 3, 17, 136, 404, 660, 1230, 2400, 3790),
    top_usd=QuantileTable(1.07, 1790, 5190, 9550, 25.7e3, 48.7e3, 74.1e3, 93.9e3, 163e3, 252e3, 498e3),
    deep_usd=QuantileTable(0.27, 7.5, 10.4, 268, 4500, 11.3e3, 19e3, 24.3e3, 55.8e3, 143e3, 469e3),
    level_gap=QuantileTable(1, 1, 1, 1, 2, 4, 6, 8, 11.2, 18, 41),
    run_levels=4,
)
_USDM_BTC = Profile(
    trade_usd=QuantileTable(61.7, 123, 124, 185, 680, 4010, 13.5e3, 23.4e3, 54e3, 193e3, 946e3),
    fills=QuantileTable(1, 1, 1, 1, 1, 2.5, 6, 10, 35, 79.1, 128),
    gap_ms=QuantileTable(0.5, 1, 1, 10.8, 46.5, 119, 223, 301, 503, 810, 1200),
    top_usd=QuantileTable(123, 9140, 27.8e3, 104e3, 211e3, 325e3, 507e3, 646e3, 1.06e6, 1.28e6, 1.29e6),
    deep_usd=QuantileTable(123, 123, 124, 185, 3340, 9750, 36e3, 71e3, 382e3, 1.04e6, 1.52e6),
    level_gap=QuantileTable(1, 1, 1, 1, 2, 5, 9, 12, 18, 22, 24),
    run_levels=4,
)
_USDM_ETH = Profile(
    trade_usd=QuantileTable(2.68, 18.8, 21.5, 32.2, 212, 1310, 4260, 7940, 22.7e3, 51.4e3, 60e3),
    fills=QuantileTable(1, 1, 1, 1, 1, 4.5, 7, 11, 34.2, 103, 228),
    gap_ms=QuantileTable(0.5, 1, 1, 7, 48, 146, 290, 446, 794, 1160, 1360),
    top_usd=QuantileTable(21.4, 1070, 3480, 17.9e3, 45.6e3, 80.2e3, 125e3, 151e3, 211e3, 240e3, 296e3),
    deep_usd=QuantileTable(2.68, 21.5, 32.2, 69.7, 1520, 8400, 17.7e3, 25e3, 45.8e3, 85.9e3, 233e3),
    level_gap=QuantileTable(1, 1, 1, 1, 1, 3, 4, 6, 12, 22, 37),
    run_levels=4,
)
#: Not measured: a coarse tick, so hardly a gap between the levels.
_COARSE_GAPS = QuantileTable(1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 9)
_OTHERS = {
    venue: msgspec.structs.replace(profile, level_gap=_COARSE_GAPS, run_levels=0.5)
    for venue, profile in {"spot": _SPOT_ETH, "usdm": _USDM_ETH}.items()
}

#: What is simulated unless other symbols are asked for: four busy markets and two that are wide and sometimes thin.
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "CHRUSDT", "ALICEUSDT")


def _measured(venue: Venue) -> list[Instrument]:
    if venue == "spot":
        return [
            Instrument("BTCUSDT", 61_800, 2, 5, _SPOT_BTC),
            Instrument("ETHUSDT", 2_680, 2, 4, _SPOT_ETH),
        ]
    return [
        Instrument("BTCUSDT", 61_800, 1, 3, _USDM_BTC, printed_digits=2),
        Instrument("ETHUSDT", 2_680, 2, 3, _USDM_ETH),
    ]


def _invented(venue: Venue) -> list[Instrument]:
    profile = _OTHERS[venue]
    return [
        Instrument("BNBUSDT", 510, 1, 2, profile, pace=0.4, size=0.5),
        Instrument("SOLUSDT", 152, 2, 2, profile, pace=0.6, size=0.7),
        Instrument("CHRUSDT", 0.2030, 4, 0, profile, pace=0.05, size=0.05, spread_ticks=1, thin=True),
        Instrument("ALICEUSDT", 1.034, 3, 1, profile, pace=0.08, size=0.05, spread_ticks=1, thin=True),
    ]


def instrument(symbol: str, venue: Venue) -> Instrument:
    """Return a symbol's market. One that is not known here gets an invented one, always the same."""
    for known in (*_measured(venue), *_invented(venue)):
        if known.symbol == symbol:
            return known
    rng = Random(symbol)  # noqa: S311 a market needs no secrets
    price = 10 ** rng.uniform(-1, 2.5)
    digits = 4 - math.floor(math.log10(price))  # ticks of 0.1 to 1 basis point
    thin = rng.random() < 0.5
    if thin:
        digits -= 1
    pace = 10 ** rng.uniform(-1.5, -0.3)
    return Instrument(symbol, round(price, digits), digits, max(0, 5 - digits), _OTHERS[venue], pace, 0.2, 1, thin)


def symbols(count: int) -> list[str]:
    """Return `count` names: the default ones first, then SIM7USDT, SIM8USDT and so on."""
    return [*DEFAULT_SYMBOLS[:count], *(f"SIM{number}USDT" for number in range(len(DEFAULT_SYMBOLS) + 1, count + 1))]
