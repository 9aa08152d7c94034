"""The way back: an event becomes a frame again, so that it can go through the whole path once more. Pure.

`frames.parse` of the frame is the event. What an event does not know of the exchange's payload is left out; the parser
does not read it.
"""

from decimal import Decimal
from typing import Any

import msgspec

from tasks.events import ALWAYS_READ, AnyEvent, Depth, Level, Trade
from tasks.frames import neutral
from tasks.frames.symbols import token


def is_binance(event: AnyEvent) -> bool:
    """Return whether an event becomes a frame of Binance's form; all others become venue-neutral ones."""
    if event.kind not in ALWAYS_READ or event.venue not in {"spot", "usdm"}:
        return False
    return event.id >= 0 and token(event.symbol) == event.symbol


def stream(event: AnyEvent) -> str:
    """Return the name of the stream that would carry the event: btcusdt@depth20; of a neutral frame, its symbol."""
    if not is_binance(event):
        return token(event.symbol)
    return f"{lower(event.symbol)}@{'trade' if isinstance(event, Trade) else 'depth20'}"


def lower(symbol: str) -> str:
    """Return a symbol in lower case, as streams name it, unless that is another symbol's name then."""
    lowered = symbol.lower()
    return lowered if lowered.upper() == symbol.upper() else symbol


def frame(event: AnyEvent) -> bytes:
    """Return a combined-stream envelope with Binance's payload and, for what has no time of its own, `received_at`.

    Other venues and kinds give a venue-neutral frame.
    """
    if not (is_binance(event) and isinstance(event, Depth | Trade)):
        return neutral.encode(event)
    document = {"stream": stream(event), "data": _payload(event), "received_at": event.time_ms * 1_000_000}
    return msgspec.json.encode(document)


def _payload(event: Depth | Trade) -> dict[str, Any]:
    if isinstance(event, Trade):
        trade = {"e": "trade", "E": event.time_ms, "s": event.symbol, "t": event.id}
        trade |= {"p": _digits(event.price), "q": _digits(event.quantity), "m": event.buyer_is_maker}
        return trade | ({"X": "MARKET"} if event.venue == "usdm" else {})
    if event.venue == "usdm":
        head = {"e": "depthUpdate", "E": event.time_ms, "s": event.symbol, "u": event.id}
        return head | {"b": _side(event.bids), "a": _side(event.asks)}
    return {"lastUpdateId": event.id, "bids": _side(event.bids), "asks": _side(event.asks)}


def _side(levels: tuple[Level, ...]) -> list[list[str]]:
    return [[_digits(price), _digits(quantity)] for price, quantity in levels]


def _digits(number: float) -> str:
    """Return the shortest decimal that reads back as the number, as the exchange writes one: without an exponent."""
    return f"{Decimal(repr(number)):f}"


def subject(subjects: str, stream_name: str) -> str:
    """Return a NATS subject that ingest listens to: the first of NATS_SUBJECTS, its wildcards filled in."""
    pattern = subjects.partition(",")[0].strip()
    return ".".join(stream_name if token in {"*", ">"} else token for token in pattern.split("."))
