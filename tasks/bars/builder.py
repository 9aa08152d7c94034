"""Builds bars from trades, one after the other. Pure.

    time bars   lie on the grid of their interval from midnight, UTC. The first trade at or after a bar's end closes it,
                and begins the bar of its own time: where nothing was traded there is no bar
    other bars  are closed by the trade that fills them, which belongs to them whole: trades are never split

Time is the trades' own. A trade that is up to STEP_BACK_MS before the open time bar counts in it, because time did not
pass backwards. After one that is further back, a clock was ahead: the open bar is closed there, and one of the trade's own
time begins; both are partial. So each trade is in one bar, whatever the clocks do.
"""

from collections.abc import Iterable, Iterator

from tasks.bars.bar import Bar, OpenBar
from tasks.bars.spec import BarSpec
from tasks.events import STEP_BACK_MS, Trade, Venue

#: Ten trades of 0.1 fill a bar of 1, though their floating-point sum is a little less.
_FULL = 1 - 1e-9


class BarBuilder:
    """Builds the bars of one spec from the trades of one symbol."""

    def __init__(self, spec: BarSpec, open_bar: OpenBar | None = None) -> None:
        """Go on with the bar that was open, if one was."""
        self.spec, self.open_bar = spec, open_bar
        self._interval_ms = int(spec.size)
        self._full = spec.size if spec.measure == "tick" else spec.size * _FULL

    def add(self, trade: Trade) -> Bar | None:
        """Count a trade; return the bar that it closes."""
        return self._add_timed(trade) if self.spec.measure == "time" else self._add_measured(trade)

    def _add_timed(self, trade: Trade) -> Bar | None:
        at_ms, current = trade.time_ms, self.open_bar
        if current is not None and current.open_ms - STEP_BACK_MS <= at_ms <= current.close_ms:
            current.add(trade)
            return None
        start_ms = at_ms - at_ms % self._interval_ms
        was_ahead = current is not None and at_ms < current.open_ms
        self.open_bar = OpenBar.of(
            trade, start_ms, start_ms + self._interval_ms - 1, is_partial=current is None or was_ahead
        )
        if current is None:
            return None
        current.is_partial |= was_ahead
        return current.closed(trade, self.spec.text)

    def _add_measured(self, trade: Trade) -> Bar | None:
        current = self.open_bar
        if current is None:
            current = self.open_bar = OpenBar.of(trade, trade.time_ms, trade.time_ms, is_partial=False)
        else:
            current.add(trade)
            current.close_ms = trade.time_ms
        if self._measured(current) < self._full:
            return None
        self.open_bar = None
        return current.closed(trade, self.spec.text)

    def _measured(self, current: OpenBar) -> float:
        if self.spec.measure == "tick":
            return current.trades
        return current.volume if self.spec.measure == "volume" else current.quote_volume


def bars(trades: Iterable[Trade], spec: BarSpec | str) -> Iterator[Bar]:
    """Yield the bars that trades close, in the order in which they do; of several venues and symbols, those of each.

    What is open at the end is no bar. Raises ValueError: there is no such bar.
    """
    wanted = BarSpec.parse(spec) if isinstance(spec, str) else spec
    builders: dict[tuple[Venue, str], BarBuilder] = {}
    for trade in trades:
        key = trade.venue, trade.symbol
        builder = builders.get(key)
        if builder is None:
            builder = builders[key] = BarBuilder(wanted)
        closed = builder.add(trade)
        if closed is not None:
            yield closed
