"""Strategies for workers under test; light to import, because each of their processes does it."""

import os
from collections.abc import Iterable

from tasks.events import Trade
from tasks.strategy import Params, Signal, State, Strategy


class Calm(Params):
    min_signal_interval_s: float = 0.0


class Sided(Strategy[Calm, State]):
    """Buys on even ids and sells on odd ones, in doubt on every 7th; raises on every 11th."""

    name = "sided"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id % 11 == 0:
            raise ValueError("eleven")
        yield Signal(
            action="sell" if trade.id % 2 else "buy",
            confidence=0.3 if trade.id % 7 == 0 else 0.9,
            price=trade.price,
            current_price=trade.price,
            rationale="by its id",
        )


class Plain(Sided):
    """Buys on every trade."""

    name = "plain"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 as above
        yield Signal(action="buy", confidence=0.5, price=trade.price, current_price=trade.price, rationale="always")


class Curious(Sided):
    """Says what its process was given to log in with."""

    name = "curious"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 as above
        rationale = os.environ["REDIS_URL"]
        yield Signal(action="buy", confidence=0.9, price=trade.price, current_price=trade.price, rationale=rationale)
