"""The price after the signals of each strategy, as a backtest writes it down and as the live pipeline tells it. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from tasks.scoring.forward_returns import Series, SignalRow, direction
from tasks.scoring.signal_statistics import ForwardReturns, summarize


class StrategyReturns(msgspec.Struct, frozen=True):
    """The returns after buys and sells of a strategy."""

    strategy: str
    #: Buys and sells.
    signals: int
    #: Of those that have one, by horizon, as HORIZONS_S; None: none has.
    returns: tuple[ForwardReturns | None, ForwardReturns | None, ForwardReturns | None]


def score(signals: Iterable[SignalRow], series: Series) -> list[StrategyReturns]:
    """Return the returns after signals, by the strategy's name, on the prices of their run."""
    by_strategy = defaultdict[str, list[SignalRow]](list)
    for each in signals:
        if direction(each):
            by_strategy[each.strategy].append(each)
    found = {name: summarize(each, series) for name, each in sorted(by_strategy.items())}
    return [StrategyReturns(name, each.buys + each.sells, each.returns) for name, each in found.items()]


def pack(found: Sequence[StrategyReturns]) -> bytes:
    """Return JSON: by strategy, `returns` holds signals, mean, median and the share that was right, by horizon."""
    return msgspec.json.encode(found)


#: Undoes `pack`. Raises msgspec.MsgspecError.
unpack = msgspec.json.Decoder(list[StrategyReturns]).decode
