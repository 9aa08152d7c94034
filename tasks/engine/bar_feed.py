"""Gives a strategy its bars: it is called as the strategy is, and calls `on_bar` first for what a trade closes. Pure.

The open bars are part of the saved state, so that bars are the same wherever a batch ends and whatever dies.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tasks.bars.bar import Bar, OpenBars
from tasks.bars.builder import BarBuilder
from tasks.bars.spec import BarSpec
from tasks.events import AggTrade, AnyEvent, Trade
from tasks.strategy import AnyStrategy, Signal

#: By symbol: a state keyed by `all` has the bars of each.
StoredBars = dict[str, OpenBars]


class BarFeed:
    """A strategy and the builders of its bars, from a batch's start to its end."""

    def __init__(self, strategy: AnyStrategy, specs: tuple[BarSpec, ...], stored: StoredBars) -> None:
        """Go on with the bars that were open; those that `specs` no longer asks for are dropped."""
        self._strategy, self._specs, self._stored = strategy, specs, stored
        #: Of the symbols that traded since.
        self._builders: dict[str, tuple[BarBuilder, ...]] = {}

    def __getattr__(self, hook: str) -> Any:
        """Return the strategy's own method for what is no trade."""
        return getattr(self._strategy, hook)

    def on_trade(self, trade: Trade, state: Any) -> Iterable[Signal]:
        """Return the signals of the bars that the trade closes, and then the trade's."""
        closed = self._add(trade)
        own = self._strategy.on_trade
        return self._of_bars(closed, own, trade, state) if closed else own(trade, state)

    def on_agg_trade(self, trade: AggTrade, state: Any) -> Iterable[Signal]:
        """Do the same for an aggregate trade."""
        closed = self._add(trade)
        own = self._strategy.on_agg_trade
        return self._of_bars(closed, own, trade, state) if closed else own(trade, state)

    def _of_bars(
        self, closed: list[Bar], own: Callable[..., Iterable[Signal]], trade: Trade, state: Any
    ) -> Iterator[Signal]:
        for bar in closed:
            yield from self._strategy.on_bar(bar, state)
        # Called only now: what it reads in the state, the bars may have changed.
        yield from own(trade, state)

    def _add(self, trade: Trade) -> list[Bar]:
        closed = []
        for builder in self._of(trade.symbol):
            bar = builder.add(trade)
            if bar is not None:
                closed.append(bar)
        return closed

    def pass_over(self, event: AnyEvent) -> None:
        """Count an event that the strategy is not given: bars are those of the market, whatever a strategy does."""
        if isinstance(event, Trade):
            self._add(event)

    def _of(self, symbol: str) -> tuple[BarBuilder, ...]:
        found = self._builders.get(symbol)
        if found is None:
            was_open = self._stored.get(symbol, {})
            found = tuple(BarBuilder(spec, was_open.get(spec.text)) for spec in self._specs)
            self._builders[symbol] = found
        return found

    def stored(self) -> StoredBars:
        """Return the open bars, as they are saved."""
        now = {name: {each.spec.text: each.open_bar for each in found} for name, found in self._builders.items()}
        return self._stored | now
