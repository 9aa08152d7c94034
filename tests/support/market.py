"""A small recording with a signal or two, as a file."""

import json
from pathlib import Path
from typing import Any

from tasks.configuration import Configuration
from tests.support.events import TIME_MS

#: Speaks whenever a book leans to one side.
SKEW = {"hold_s": 0, "min_signal_interval_s": 0}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
#: Signals of `write_market`: one for each symbol and change of side.
SIGNALS = 6


def configuration(**more: Any) -> Configuration:
    """Return the strategies that the market below makes speak; `more` are tables beside `pools`."""
    momentum = {"momentum": {"kinds": ["trade"], "key": "all", "strategies": {"market_dominance": {}}}}
    depth = {"depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": SKEW}}}
    return Configuration.model_validate({"pools": depth | momentum, **more})


def write_market(path: Path, seconds: int = 30) -> Path:
    """Three symbols, a book and a trade a second each; the books lean to the bids, from the middle on to the asks."""
    lines = [line for second in range(seconds) for symbol in SYMBOLS for line in _second(symbol, second, seconds)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def _second(symbol: str, second: int, seconds: int) -> list[dict[str, Any]]:
    time_ms = TIME_MS + second * 1000
    bids, asks = (9, 1) if second < seconds // 2 else (1, 9)
    mid = 100 + second / 100
    book = {"lastUpdateId": second, "bids": [[f"{mid - 0.01}", f"{bids}"]], "asks": [[f"{mid + 0.01}", f"{asks}"]]}
    sold = {"e": "trade", "E": time_ms, "s": symbol, "t": second, "p": f"{mid}", "q": "1", "T": time_ms, "m": True}
    return [
        {"stream": f"{symbol.lower()}@depth20@100ms", "data": book, "received_at": time_ms * 1_000_000},
        {"stream": f"{symbol.lower()}@trade", "data": sold, "received_at": time_ms * 1_000_000},
    ]
