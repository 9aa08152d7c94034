"""A recording with every kind of events in it, made of one of books and trades."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tasks.events import NO_ID, AggTrade, AnyEvent, BookTicker, Depth, Kline, Liquidation, MarkPrice, Trade
from tasks.frames import neutral, parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings

#: Of so many trades of all symbols one is followed by a mark price, a candle and a liquidation.
_EVERY = 10


def mixed(recording: Path, lines: int, to: Path) -> Path:
    """Write the first lines of a recording, and after each what the other kinds would have said then."""
    with to.open("wb") as file:
        for seq, line in enumerate(islice(recordings.read(recording), lines), start=1):
            event = parse(line.raw, FrameMetadata(f"binance.{line.stream}", seq, line.received_at_ns))
            others = _others(event, seq) if isinstance(event, Depth | Trade) else iter(())
            file.writelines(raw + b"\n" for raw in (line.raw, *map(neutral.encode, others)))
    return to


def _others(event: Depth | Trade, seq: int) -> Iterator[AnyEvent]:
    head = event.venue, event.symbol, event.id, event.time_ms, 0, 0
    if isinstance(event, Depth):
        yield BookTicker(*head, *event.bids[0], *event.asks[0])
        return
    price, quantity = event.price, event.quantity
    yield AggTrade(*head, price, quantity, event.buyer_is_maker, event.id, event.id)
    if seq % _EVERY == 0:
        at_ms = event.time_ms
        unnumbered = event.venue, event.symbol, NO_ID + at_ms * 1_000_000, at_ms, 0, 0
        yield MarkPrice(*unnumbered, price, price, 0.0001, at_ms + 3_600_000)
        yield Liquidation(*unnumbered, "sell", price, price, quantity, quantity)
        volumes = quantity, price * quantity, 1, 0.0
        yield Kline(*unnumbered, "1s", at_ms - 999, at_ms, price, price, price, price, *volumes)
