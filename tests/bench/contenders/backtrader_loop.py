"""A strategy on backtrader, which calls it with each trade of a file: no orders, no broker, no plots."""

from pathlib import Path
from typing import Any

import backtrader

from tasks.events import Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.strategy import AnyStrategy

#: backtrader counts days, from the year 1 on; this is 1970-01-01.
_EPOCH_DAYS = 719_163
_DAY_MS = 86_400_000


class _Trades(backtrader.feed.DataBase):  # type: ignore[misc]  # it has no types
    """Reads a file of frames as our backtest does, one trade after the other."""

    params = (("file", None),)
    trade: Trade

    def start(self) -> None:
        super().start()
        self._frames = self.p.file.open("rb")

    def stop(self) -> None:
        self._frames.close()

    def _load(self) -> bool:
        raw = self._frames.readline().rstrip()
        if not raw:
            return False
        trade = parse(raw, FrameMetadata("binance.frames", 1, 1))
        assert isinstance(trade, Trade)
        self.trade, lines = trade, self.lines
        lines.datetime[0] = _EPOCH_DAYS + trade.time_ms / _DAY_MS
        lines.open[0] = lines.high[0] = lines.low[0] = lines.close[0] = trade.price
        lines.volume[0], lines.openinterest[0] = trade.quantity, 0.0
        return True


class _Runner(backtrader.Strategy):  # type: ignore[misc]  # as above
    """Gives each trade to the strategy, and counts its signals."""

    params = (("hooks", None),)

    def __init__(self) -> None:
        self._state = self.p.hooks.state_type()
        self.signals = 0

    def next(self) -> None:
        self.signals += sum(1 for _ in self.p.hooks.on_trade(self.data.trade, self._state))


def signals(file: Path, strategy: AnyStrategy) -> int:
    """Run the strategy over a file of one symbol's trades; return how many signals it gave."""
    cerebro: Any = backtrader.Cerebro(stdstats=False, preload=False, runonce=False)
    cerebro.adddata(_Trades(file=file, timeframe=backtrader.TimeFrame.Ticks))
    cerebro.addstrategy(_Runner, hooks=strategy)
    (runner,) = cerebro.run()
    return int(runner.signals)
