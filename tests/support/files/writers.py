"""Writes trades as those who publish history do: the tests' own, so that a reader's mistake is not made twice."""

import io
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks import frames
from tasks.events import AnyEvent, Trade
from tasks.frames.model import FrameMetadata
from tasks.history import recordings

HEADS = {
    "spot": "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
    "usdm": "id,price,qty,quote_qty,time,is_buyer_maker",
}


def events(path: Path, **options: object) -> list[AnyEvent]:
    """Return the events of a file, as the backtest reads them."""
    lines = recordings.read(path, **options)  # type: ignore[arg-type]
    read = [
        frames.parse(line.raw, FrameMetadata(f"binance.{line.stream}", seq, line.received_at_ns))
        for seq, line in enumerate(lines, start=1)
    ]
    wrong = [each for each in read if not hasattr(each, "venue")]
    assert not wrong, wrong[:3]
    return read  # type: ignore[return-value]


def trades(path: Path) -> list[Trade]:
    """Return the trades of a recording, leaving out all else; it is read once, however many tests ask."""
    return list(_trades(path, path.stat().st_mtime_ns))


@cache
def _trades(path: Path, _changed_ns: int) -> list[Trade]:
    read = (
        frames.parse(line.raw, FrameMetadata(f"binance.{line.stream}", seq, line.received_at_ns))
        for seq, line in enumerate(recordings.read(path), start=1)
    )
    return [each for each in read if type(each) is Trade]


def by_market(every: Iterable[Trade]) -> dict[tuple[str, str], list[Trade]]:
    """Return the trades of each venue and symbol."""
    found: dict[tuple[str, str], list[Trade]] = {}
    for trade in every:
        found.setdefault((trade.venue, trade.symbol), []).append(trade)
    return found


def content(trade: AnyEvent) -> tuple[object, ...]:
    """Return what a trade is, without where it stands in a source."""
    assert isinstance(trade, Trade)
    return trade.venue, trade.symbol, trade.id, trade.time_ms, trade.price, trade.quantity, trade.buyer_is_maker


def digits(number: float) -> str:
    return f"{number:.12f}".rstrip("0").rstrip(".")


def vision_csv(every: Iterable[Trade], *, header: bool, unit: int, flags: tuple[str, str] = ("true", "false")) -> bytes:
    """Return Binance Vision's table of trades of one market; `unit` is that of its times in a millisecond."""
    rows, head = [], ""
    for trade in every:
        head = HEADS[trade.venue]
        cells = [
            str(trade.id), digits(trade.price), digits(trade.quantity), digits(trade.price * trade.quantity),
            str(trade.time_ms * unit), flags[0] if trade.buyer_is_maker else flags[1],
        ]  # fmt: skip
        rows.append(",".join([*cells, flags[0]] if trade.venue == "spot" else cells))
    return "".join(f"{row}\n" for row in ([head] if header else []) + rows).encode()


def tardis_trades(every: Iterable[Trade], exchange: str) -> bytes:
    """Return Tardis' table of trades, received 1 ms after they happened."""
    rows = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"]
    for trade in every:
        side = "sell" if trade.buyer_is_maker else "buy"
        at_us = trade.time_ms * 1000
        rows.append(
            f"{exchange},{trade.symbol},{at_us},{at_us + 1000},{trade.id},{side},{digits(trade.price)},{digits(trade.quantity)}"
        )
    return "".join(f"{row}\n" for row in rows).encode()


#: hftbacktest's type of an event, and its constants, as its documentation has them.
EVENT = [
    ("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"), ("order_id", "u8"), ("ival", "i8"),
    ("fval", "f8"),
]  # fmt: skip
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28


def npz(path: Path, rows: list[tuple[Any, ...]], *, pack: bool = True) -> Path:
    """Write events, `ev` to `qty` of each, as hftbacktest's converters do."""
    array = np.array([(*row, 0, 0, 0.0) for row in rows], np.dtype(EVENT, align=True))
    (np.savez_compressed if pack else np.savez)(path, data=array)
    return path


def npz_trades(every: Iterable[Trade]) -> list[tuple[Any, ...]]:
    """Return the events of trades, received 1 ms after they happened."""
    return [
        (
            TRADE | EXCH | LOCAL | (SELL if trade.buyer_is_maker else BUY), trade.time_ms * 10**6,
            trade.time_ms * 10**6 + 10**6, trade.price, trade.quantity,
        )
        for trade in every
    ]  # fmt: skip


def zipped(name: str, data: bytes) -> bytes:
    """Return an archive of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()
