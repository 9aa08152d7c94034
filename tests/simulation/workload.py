"""What is simulated: a few symbols' trades, two pools, strategies whose signals show every event they ever had."""

from collections.abc import Iterable, Sequence
from functools import cache
from zlib import crc32

import msgspec

from tasks.configuration import Configuration
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.events import AnyEvent, Trade
from tasks.frames.plausibility import FrameReader
from tasks.protocol.routing import Pool
from tasks.strategy import Params, Signal, State, Strategy
from tests.simulation.virtual_time import BEGIN_S


class _Always(Params):
    min_signal_interval_s: float = 0.0
    #: Every how many trades there is a signal.
    every: int = 2


class TradeCount(State):
    """What a strategy has seen: how many trades, and a checksum of their symbols and ids in their order."""

    count: int = 0
    checksum: int = 0


class BySymbol(Strategy[_Always, TradeCount]):
    """Signals on every second trade of a symbol, or as often as is set."""

    name = "by_symbol"

    def on_trade(self, trade: Trade, state: TradeCount) -> Iterable[Signal]:
        state.count += 1
        state.checksum = crc32(f"{trade.symbol}{trade.id}".encode(), state.checksum)
        if state.count % self.params.every == 0:
            yield Signal(
                action="buy",
                confidence=0.5,
                price=trade.price,
                current_price=trade.price,
                rationale=f"trade {state.count}",
                indicators={"checksum": float(state.checksum)},
            )


class OfAll(BySymbol):
    """The same over all symbols, in one lane."""

    name = "of_all"
    key = "all"


STRATEGIES = {
    "trade": (BoundStrategy.of(BySymbol(_Always())),),
    "all": (BoundStrategy.of(OfAll(_Always())),),
}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")


@cache
def configuration() -> Configuration:
    """Return the configuration of the strategies file."""
    trade = {"kinds": ["trade"], "strategies": {f"{__name__}:BySymbol": {}}}
    of_all = {"kinds": ["trade"], "key": "all", "strategies": {f"{__name__}:OfAll": {}}}
    return Configuration.model_validate({"pools": {"trade": trade, "all": of_all}})


def pools(partitions: int) -> Sequence[Pool]:
    """Return the two pools."""
    return (
        Pool("trade", ("trade",), partitions=partitions),
        Pool("all", ("trade",), "all", symbols=frozenset(SYMBOLS)),
    )


def frame(symbol: str, id_: int, at_s: float) -> tuple[str, bytes]:
    """Return the subject and the bytes of a trade's frame."""
    time_ms = int((BEGIN_S + at_s) * 1_000)
    stream = f"{symbol.lower()}@trade"
    data = {
        "e": "trade", "E": time_ms, "s": symbol, "t": id_, "p": "100.0", "q": "1.0", "T": time_ms, "m": False, "M": True,
    }  # fmt: skip
    received_at = int((BEGIN_S + at_s) * 1e9)
    return f"binance.{stream}", msgspec.json.encode({"stream": stream, "data": data, "received_at": received_at})


def events(frames: Iterable[tuple[str, bytes]], at_s: float = 0.0) -> list[AnyEvent]:
    """Return the events of frames, numbered from 1, as one process reads them at that moment."""
    reader, received_ns = FrameReader(), int((BEGIN_S + at_s) * 1e9)
    read = [reader.read(raw, subject, seq, received_ns) for seq, (subject, raw) in enumerate(frames, start=1)]
    return [event for event in read if isinstance(event, Trade)]
