"""The paper account's closed positions, reckoned again from a recording by a few lines that share no code with it.

A signal is sent at its event and arrives at the first event of its symbol and kind that is 50 ms later or more. It buys
or sells for 100 USDT where nothing is held, and closes what is held of the other side. Books are walked level by level;
trades fill at their price and one basis point. A taker pays 5 basis points on USD-M.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks.backtest.backtest import Backtest
from tasks.configuration import read
from tasks.history import recordings
from tasks.settings import Settings
from tests.data import USDM

NOTIONAL, LATENCY_MS, SLIPPAGE = 100.0, 50, 1e-4
TAKER = 5e-4
COMPARED = ("quantity", "entry_price", "exit_price", "fees", "pnl")


def frames(path: Path) -> Iterator[tuple[str, str, int, Any, int]]:
    """Yield symbol, kind ("book" or "trade"), time, prices and the exchange's id of each frame of the futures market."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            envelope = json.loads(line)
            symbol, kind = envelope["stream"].split("@")[:2]
            data = envelope["data"]
            if kind == "trade" and "X" in data:
                yield symbol.upper(), "trade", data["E"], float(data["p"]), data["t"]
            elif kind == "depth20" and "u" in data:
                sides = [[tuple(map(float, level)) for level in data[name]] for name in "ba"]
                yield symbol.upper(), "book", data["E"], sides, data["u"]


def buy_value(prices: Any, side: int, value: float) -> float:
    """Return the quantity that a value buys (side 1) or sells (-1)."""
    if isinstance(prices, float):
        return value / (prices * (1 + side * SLIPPAGE))
    quantity = 0.0
    for price, offered in prices[1 if side > 0 else 0]:
        part = min(value / price, offered)
        quantity, value = quantity + part, value - part * price
        if value <= 1e-12:
            break
    return quantity


def value_of(prices: Any, side: int, quantity: float) -> float:
    """Return what a quantity costs (side 1) or brings (-1)."""
    if isinstance(prices, float):
        return quantity * prices * (1 + side * SLIPPAGE)
    value = 0.0
    for price, offered in prices[1 if side > 0 else 0]:
        part = min(quantity, offered)
        value, quantity = value + part * price, quantity - part
        if quantity <= 0:
            break
    return value


def reckoned(path: Path, signals: list[dict[str, Any]], strategy: str, kind: str) -> list[dict[str, Any]]:
    sent = {(each["symbol"], each["trigger"]["id"]): each for each in signals if each["strategy"] == strategy}
    pending: dict[str, list[dict[str, Any]]] = defaultdict(list)
    held: dict[str, tuple[int, float, int]] = {}
    found = []
    for symbol, of_kind, time_ms, prices, exchange_id in frames(path):
        if of_kind != kind:
            continue
        while pending[symbol] and time_ms - pending[symbol][0]["event_time_ms"] >= LATENCY_MS:
            signal = pending[symbol].pop(0)
            side = 1 if signal["action"] == "buy" else -1
            if symbol not in held:
                held[symbol] = side, buy_value(prices, side, NOTIONAL), time_ms
            elif held[symbol][0] != side:
                was, quantity, opened_ms = held.pop(symbol)
                value = value_of(prices, -was, quantity)
                fees = (NOTIONAL + value) * TAKER
                found.append(
                    {
                        "symbol": symbol, "side": "long" if was > 0 else "short", "quantity": quantity,
                        "entry_price": NOTIONAL / quantity, "exit_price": value / quantity,
                        "opened_ms": opened_ms, "closed_ms": time_ms, "fees": fees,
                        "pnl": was * (value - NOTIONAL) - fees,
                    }
                )  # fmt: skip
        if (symbol, exchange_id) in sent:
            pending[symbol].append(sent[symbol, exchange_id])
    return found


class RunRecording(NamedTuple):
    """A recording that has futures, and what a backtest makes of it."""

    path: Path
    signals: list[dict[str, Any]]
    positions: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["shipped", USDM])
def futures(request: pytest.FixtureRequest, recording: Path) -> RunRecording:
    path = recording
    if request.param != "shipped":
        folder: Path = request.getfixturevalue("recordings")
        path = folder / str(request.param)
    test = Backtest(read(Settings().strategies_file))
    test.run(recordings.read(path))
    signals = [each for each in map(json.loads, test.ledger.signals) if each["trigger"]["venue"] == "usdm"]
    positions = [each for each in map(json.loads, test.ledger.positions) if each["venue"] == "usdm"]
    return RunRecording(path, signals, positions)


@pytest.mark.parametrize(("strategy", "kind"), [("orderbook_skew", "book"), ("trade_momentum", "trade")])
def test_an_independent_reckoning_gives_every_closed_position(futures: RunRecording, strategy: str, kind: str):
    ours = [each for each in futures.positions if each["strategy"] == strategy]
    theirs = reckoned(futures.path, futures.signals, strategy, kind)
    assert len(theirs) == len(ours) > 0
    for mine, other in zip(sorted(ours, key=_when), sorted(theirs, key=_when), strict=True):
        for name in ("symbol", "side", "opened_ms", "closed_ms"):
            assert mine[name] == other[name]
        for name in COMPARED:
            assert mine[name] == pytest.approx(other[name], abs=1e-9, rel=1e-12)


def _when(closed: dict[str, Any]) -> tuple[int, str]:
    return closed["closed_ms"], closed["symbol"]
