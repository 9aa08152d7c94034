"""Frames of every kind as the exchange or another publisher sends them."""

import json
from typing import Any

import msgspec

from tasks.events import KINDS, AnyEvent, Kind, Venue
from tasks.frames import neutral, parse
from tasks.frames.model import FrameMetadata
from tests.support.kinds.rows import OTHER, ROWS, SYMBOLS, Row

#: On which they are published.
SUBJECTS = "binance.>,market.>"
#: Frames of each row.
EACH = 3
_AT_MS = 1_723_161_256_000
_LEVELS = {"b": [["99.5", "2"], ["99.0", "1"]], "a": [["100.5", "1"], ["101.0", "3"]]}


def _payload(row: Row, number: int) -> dict[str, Any]:
    at_ms, is_spot = _AT_MS + 1_000 * number, row.venue == "spot"
    head = {"E": at_ms, "T": at_ms, "s": row.symbol}
    price = {"p": f"100.{number}", "q": "2", "m": number % 2 == 0} | ({"M": True} if is_spot else {})
    quote = {"u": number, "s": row.symbol, "b": "99.5", "B": "1", "a": "100.5", "A": f"{number}"}
    candle = {"t": at_ms - 60_000, "T": at_ms - 1, "s": row.symbol, "i": "1m", "x": True, "n": 7}
    candle |= {"o": "100", "h": "102", "l": "99", "c": f"101.{number}", "v": "5", "q": "500", "V": "2", "Q": "200"}
    order = {"s": row.symbol, "S": "SELL", "q": "3", "p": f"98.{number}", "ap": "98.5", "z": "3", "T": at_ms}
    of_spot: dict[Kind, dict[str, Any]] = {
        "depth": {"lastUpdateId": number, "bids": _LEVELS["b"], "asks": _LEVELS["a"]},
        "trade": head | {"e": "trade", "t": number} | price,
        "book_ticker": quote,
    }
    of_all: dict[Kind, dict[str, Any]] = {
        "depth": head | {"e": "depthUpdate", "U": number, "u": number, "pu": number - 1} | _LEVELS,
        "trade": head | {"e": "trade", "t": number, "X": "MARKET"} | price,
        "agg_trade": head | {"e": "aggTrade", "a": number, "f": 2 * number, "l": 2 * number + 1} | price,
        "book_ticker": head | {"e": "bookTicker"} | quote,
        "kline": {"e": "kline", "E": at_ms, "s": row.symbol, "k": candle},
        "mark_price": head
        | {"e": "markPriceUpdate", "p": f"100.{number}", "i": "100.1", "r": "0.0001", "T": _AT_MS + 3_600_000},
        "liquidation": {"e": "forceOrder", "E": at_ms, "o": order},
    }
    return (of_all | of_spot if is_spot else of_all)[row.kind]


def exchange_frames(venue: Venue) -> list[str]:
    """Return the combined-stream frames of one of Binance's markets, `EACH` of each kind by turns."""
    return [
        json.dumps({"stream": stream_name(row), "data": _payload(row, number)}, separators=(",", ":"))
        for number in range(1, EACH + 1)
        for row in ROWS
        if row.venue == venue
    ]


def stream_name(row: Row) -> str:
    """Return the name of the stream that the feed subscribes to."""
    return f"{row.symbol.lower()}@{row.stream}{'@100ms' if row.kind == 'depth' else ''}"


def neutral_frames() -> list[tuple[str, bytes]]:
    """Return subject and bytes of what another venue's publisher sends: the events of USD-M futures, under its names."""
    names = dict(zip(SYMBOLS["usdm"], SYMBOLS[OTHER], strict=True))
    sent = []
    for number, frame in enumerate(exchange_frames("usdm"), start=1):
        raw = frame[:-1].encode() + b',"venue":"usdm"}'
        event = parse(raw, FrameMetadata("", number, (_AT_MS + 60_000) * 1_000_000, kinds=frozenset(KINDS)))
        assert isinstance(event, AnyEvent)
        event = msgspec.structs.replace(event, venue=OTHER, symbol=names[event.symbol])
        sent.append((neutral.subject(OTHER, event.kind, event.symbol), neutral.encode(event)))
    return sent
