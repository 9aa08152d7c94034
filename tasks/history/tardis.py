"""The CSV files of tardis.dev: trades, book_snapshot_5 and _25, and incremental_book_L2, of any exchange.

Trades of Binance are written as Binance sends them, with their ids: there they rise. All else becomes venue-neutral
frames without ids, books of Binance too, because Tardis leaves out theirs. Level updates become books of 20 levels
(`tasks.books`).
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tasks.books import BookSampler
from tasks.errors import RecordingError
from tasks.frames.model import ONE_SIDED, RefusedError
from tasks.frames.timestamps import unix_ns
from tasks.history import neutral_rows, row_frames
from tasks.history.id_ranges import Series
from tasks.history.input_options import InputOptions
from tasks.history.input_report import InputReport
from tasks.history.line_source import LineSource
from tasks.history.neutral_rows import NeutralRows, Side, positive
from tasks.history.recording_line import LineError, RecordingLine

#: Each table begins with these columns.
HEAD = b"exchange,symbol,timestamp,local_timestamp,"
#: Tardis' names of the exchanges whose trades have Binance's form.
_VENUES = {"binance": "spot", "binance-futures": "usdm", "binance-delivery": "coinm"}
_ID = re.compile(r"[0-9]{1,18}")


class _Row(NamedTuple):
    """What all tables have, and the other cells by their column."""

    symbol: str
    time_ns: int
    received_ns: int
    cells: dict[str, str]


class _Market(NamedTuple):
    """One symbol of one exchange."""

    venue: str
    symbol: str
    frames: NeutralRows
    sampler: BookSampler
    #: The template of its trades, where the exchange's form is known; else empty.
    template: bytes
    stream: str


def read(source: LineSource, options: InputOptions, report: InputReport) -> Iterator[list[RecordingLine]]:
    """Yield the lines of a file in blocks. Raises RecordingError: it is of another table; EOFError: it is cut."""
    columns = source.first().decode("utf-8", "replace").split(",")
    return _Table(source, columns, options, report).blocks()


class _Table:
    """One file."""

    def __init__(self, source: LineSource, columns: list[str], options: InputOptions, report: InputReport) -> None:
        self._source, self._columns, self._options, self._report = source, columns, options, report
        self._markets: dict[tuple[str, str], _Market] = {}
        names = set(columns)
        self._make: Callable[[_Market, _Row], RecordingLine | None]
        if {"id", "side", "price", "amount"} <= names:
            self._make = self._trade
        elif {"is_snapshot", "side", "price", "amount"} <= names:
            self._make = self._update
        elif {"asks[0].price", "bids[0].price"} <= names:
            self._make = self._snapshot
            self._sides = [_level_columns(columns, side) for side in ("bids", "asks")]
        else:
            raise RecordingError(
                f"{source.path} is of a table of Tardis that is not read: {', '.join(columns[4:8])}, ..."
            )

    def blocks(self) -> Iterator[list[RecordingLine]]:
        """Yield the lines, and at last what the samplers hold back."""
        try:
            for block in self._source.blocks():
                *whole, last = block.split(b"\n")
                yield list(self._lines(whole))
                if last.strip():
                    # Nothing tells whether the last number is whole.
                    raise EOFError("the last line has no end")
            for market in self._markets.values():
                if line := market.frames.book(market.sampler.finish()):
                    yield [line]
        finally:
            for market in self._markets.values():
                neutral_rows.tell_withheld(self._report, self._source.path, market.symbol, market.sampler)

    def _lines(self, rows: list[bytes]) -> Iterator[RecordingLine]:
        """Yield the lines that the next rows of the file complete; refuse what can't be used."""
        for number, row in enumerate(rows, start=self._source.number + 1):
            text = row.strip()
            if not text or text.startswith(HEAD):
                continue
            try:
                if line := self._line(text):
                    yield line
            except LineError as error:
                self._report.refuse(self._source.path, number, error.reason, error.detail)
            except RefusedError as error:
                self._report.refuse(
                    self._source.path, number, error.refused.reason, f"is refused: {error.refused.detail}"
                )

    def _line(self, text: bytes) -> RecordingLine | None:
        cells = text.decode("utf-8", "replace").split(",")
        if len(cells) != len(self._columns):
            raise LineError("bad_row", f"has {len(cells)} columns, not {len(self._columns)}")
        if not self._options.wants(cells[1]):
            return None
        times = [unix_ns(int(cell)) if cell.isascii() and cell.isdigit() else None for cell in cells[2:4]]
        # A snapshot may come without the exchange's time.
        received_ns = times[1]
        if received_ns is None:
            raise LineError("bad_time", f"has no time in {cells[3][:40]!r}")
        row = _Row(cells[1], times[0] or received_ns, received_ns, dict(zip(self._columns, cells, strict=True)))
        return self._make(self._market(cells[0], cells[1]), row)

    def _market(self, exchange: str, symbol: str) -> _Market:
        market = self._markets.get((exchange, symbol))
        if market is None:
            venue = self._options.venue or _VENUES.get(exchange, exchange)
            known = _VENUES.get(exchange) == venue
            try:
                frames = NeutralRows(venue, symbol)
                template = row_frames.trade_template(venue, symbol) if known else b""
                stream = row_frames.stream(symbol, "trade") if known else ""
            except RecordingError as error:
                raise LineError("bad_market", f"can't be used: {error}") from None
            kind = "trade" if self._make == self._trade else "depth"
            self._report.saw(self._source.path, Series(venue, symbol, kind), None, None)
            sampler = BookSampler(neutral_rows.LEVELS, self._options.book_interval_ms)
            market = self._markets[exchange, symbol] = _Market(venue, symbol, frames, sampler, template, stream)
        return market

    def _trade(self, market: _Market, row: _Row) -> RecordingLine:
        cells = row.cells
        line = market.frames.trade(row.time_ns, row.received_ns, cells["price"], cells["amount"], cells["side"])
        if not market.template:
            return line
        number = cells["id"]
        if not _ID.fullmatch(number):
            raise LineError("bad_id", f"has no id in {number[:40]!r}")
        self._report.saw(self._source.path, Series(market.venue, market.symbol, "trade"), int(number), int(number))
        price, quantity = positive(cells["price"], "price"), positive(cells["amount"], "quantity")
        maker, time = "true" if cells["side"] == "sell" else "false", str(row.time_ns // 1000)
        values = (time, number, price, quantity, time, maker, str(row.received_ns))
        return RecordingLine(market.template % tuple(map(str.encode, values)), market.stream, row.received_ns)

    def _snapshot(self, market: _Market, row: _Row) -> RecordingLine | None:
        bids, asks = ([(row.cells[p], row.cells[q]) for p, q in side if row.cells[p]] for side in self._sides)
        if not (bids and asks):
            self._report.skip(ONE_SIDED)
            return None
        return market.frames.depth(row.time_ns, row.received_ns, bids, asks)

    def _update(self, market: _Market, row: _Row) -> RecordingLine | None:
        cells = row.cells
        if cells["side"] not in {"bid", "ask"}:
            raise LineError("no_side", f"has no side of the book in {cells['side'][:40]!r}")
        side: Side = "bid" if cells["side"] == "bid" else "ask"
        level, times_ns = (cells["price"], cells["amount"]), (row.time_ns, row.received_ns)
        is_snapshot = cells["is_snapshot"].lower() == "true"
        book = neutral_rows.update(market.sampler, times_ns, side, level, snapshot=is_snapshot)
        return market.frames.book(book)


def _level_columns(columns: list[str], side: str) -> list[tuple[str, str]]:
    """Return the columns of price and amount of a side, best first."""
    return [
        (f"{side}[{n}].price", f"{side}[{n}].amount") for n in range(len(columns)) if f"{side}[{n}].price" in columns
    ]
