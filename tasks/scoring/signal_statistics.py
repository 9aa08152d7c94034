"""Statistics of a strategy's signals: one definition, for the strategies' page and that of a backtest. Pure."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from tasks.protocol.signed_number import signed
from tasks.scoring.forward_returns import HORIZONS_S, Series, SignalRow, forward_bps


class ForwardReturns(NamedTuple):
    """The returns after the signals that have one, over one horizon."""

    #: Of how many signals.
    signals: int
    #: In basis points, above zero where the action was right.
    mean_bps: float
    median_bps: float
    #: The share of those above zero: a price that did not move is not right.
    right: float


class Quartiles(NamedTuple):
    """Minimum, quartiles and maximum."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


class SignalStatistics(NamedTuple):
    """Statistics of some signals; None where there is no value."""

    signals: int
    buys: int
    sells: int
    confidence: Quartiles | None
    #: By horizon, as HORIZONS_S.
    returns: tuple[ForwardReturns | None, ForwardReturns | None, ForwardReturns | None]


def summarize(signals: Sequence[SignalRow], series: Series) -> SignalStatistics:
    """Return the statistics of signals on the prices of their run; their order does not matter."""
    actions = [each.action for each in signals]
    first, second, third = (describe(forward_bps(series, signals, horizon_s)) for horizon_s in HORIZONS_S)
    return SignalStatistics(
        len(signals),
        actions.count("buy"),
        actions.count("sell"),
        quartiles([each.confidence for each in signals]),
        (first, second, third),
    )


def quartiles(values: Sequence[float]) -> Quartiles | None:
    """Return minimum, quartiles and maximum; None of none."""
    if not values:
        return None
    # One value has no quantiles; the same one twice has its own.
    lower, median, upper = statistics.quantiles(
        [*values, *values] if len(values) == 1 else values, n=4, method="inclusive"
    )
    return Quartiles(min(values), lower, median, upper, max(values))


def format_bps(value: float) -> str:
    """Return basis points in two decimals with their sign; what rounds to zero has none."""
    return signed(value, 2)


def describe(values: Sequence[float]) -> ForwardReturns | None:
    """Return the statistics of returns over one horizon, in basis points; None of none."""
    if not values:
        return None
    right = sum(value > 0 for value in values) / len(values)
    return ForwardReturns(len(values), statistics.fmean(values), statistics.median(values), right)
