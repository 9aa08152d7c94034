"""Frames made of the rows of files, as text, in the form in which the exchange sends them. Pure.

A template is a bytes format; what it takes, in this order, is in the names of its function.
"""

from typing import Literal

import msgspec

from tasks.errors import RecordingError
from tasks.frames import encoder
from tasks.frames.model import parse_stream

#: The venues whose frames are written as the exchange writes them.
EXCHANGE_VENUES = ("spot", "usdm", "coinm")


def stream(symbol: str, kind: Literal["trade", "aggTrade"]) -> str:
    """Return the name of a symbol's stream. Raises RecordingError: it is no symbol of the exchange."""
    name = f"{encoder.lower(symbol)}@{kind}"
    if parse_stream(name) is None:
        raise RecordingError(f"{symbol!r} is no symbol of Binance; --venue names another market")
    return name


def trade_template(venue: str, symbol: str) -> bytes:
    """Return the template of trades: time, id, price, quantity, time, whether the buyer is the maker, receipt in ns.

    Raises RecordingError.
    """
    market = b'"X":"MARKET",' if venue != "spot" else b""
    best = b',"M":true' if venue == "spot" else b""
    return _envelope(
        stream(symbol, "trade"),
        b'{"e":"trade","E":%b,"s":SYMBOL,"t":%b,"p":"%b","q":"%b","T":%b,' + market + b'"m":%b' + best + b"}",
        symbol,
    )


def agg_trade_template(venue: str, symbol: str) -> bytes:
    """Return the template of aggregate trades: time, id, price, quantity, first and last id, time, maker, receipt in ns.

    Raises RecordingError.
    """
    best = b',"M":true' if venue == "spot" else b""
    return _envelope(
        stream(symbol, "aggTrade"),
        b'{"e":"aggTrade","E":%b,"s":SYMBOL,"a":%b,"p":"%b","q":"%b","f":%b,"l":%b,"T":%b,"m":%b' + best + b"}",
        symbol,
    )


def _envelope(name: str, data: bytes, symbol: str) -> bytes:
    data = data.replace(b"SYMBOL", _literal(symbol))
    return b'{"stream":' + _literal(name) + b',"data":' + data + b',"received_at":%b}'


def _literal(text: str) -> bytes:
    return msgspec.json.encode(text).replace(b"%", b"%%")
