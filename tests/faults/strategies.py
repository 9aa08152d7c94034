"""Strategies that bear witness: each says so of every event, so that what was applied, and when, can be read later."""

import os
from collections.abc import Iterable

from tasks.events import Depth, Trade
from tasks.strategy import Params, Signal, State, Strategy


class Talkative(Params):
    min_signal_interval_s: float = 0.0


class EventCount(State):
    """How many events came before."""

    count: int = 0


class DepthWitness(Strategy[Talkative, EventCount]):
    """Signals on every book."""

    name = "depth_witness"

    def on_depth(self, book: Depth, state: EventCount) -> Iterable[Signal]:
        state.count += 1
        yield Signal(action="hold", confidence=0.5, price=book.mid, current_price=book.mid, rationale=f"{state.count}")


class TradeWitness(Strategy[Talkative, EventCount]):
    """Signals on every trade."""

    name = "trade_witness"

    def on_trade(self, trade: Trade, state: EventCount) -> Iterable[Signal]:
        state.count += 1
        price = trade.price
        yield Signal(action="hold", confidence=0.5, price=price, current_price=price, rationale=f"{state.count}")


class Released(Strategy[Params, EventCount]):
    """Remembers how much it has seen; which release it is of is said by the environment."""

    name = "released"
    version = int(os.environ.get("TEST_RELEASE", "1"))

    def on_trade(self, trade: Trade, state: EventCount) -> Iterable[Signal]:  # noqa: ARG002 any trade is one
        state.count += 1
        return ()

    def migrate(self, version: int, state: dict[str, int]) -> EventCount:  # noqa: ARG002 every release holds the same
        return EventCount(**state)
