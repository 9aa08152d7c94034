"""A strategy of candles, for pools whose kinds old workers can't read; light to import."""

from collections.abc import Iterable

from tasks.events import Kline
from tasks.strategy import Params, Signal, State, Strategy


class Candles(Strategy[Params, State]):
    """Buys when a candle rises."""

    name = "candles"

    def on_kline(self, kline: Kline, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if kline.close > kline.open:
            yield Signal(action="buy", confidence=0.9, price=kline.close, current_price=kline.close)
