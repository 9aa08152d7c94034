"""The trades and aggregate trades of Binance's public data (data.binance.vision), spot and futures, of a day or a month.

Which of the four tables a file holds is told by its columns. A block of rows that are all as they should be, which is
what the archives hold, is turned into lines column by column: that takes a third of the time. In any other block each
row is looked at by itself.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Literal, NamedTuple

from tasks.errors import RecordingError
from tasks.frames.model import foreign
from tasks.history import row_frames
from tasks.history.id_ranges import Series
from tasks.history.input_options import InputOptions
from tasks.history.input_report import InputReport
from tasks.history.line_source import LineSource
from tasks.history.recording_line import RecordingLine

_ID = rb"[0-9]{1,18}"
#: Above zero, without an exponent.
_PRICE = rb"(?=[0.]*[1-9])(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?"
_QUOTE = rb"[0-9]{1,20}(?:\.[0-9]{1,20})?"
#: From 2001 to 2262.
_TIME_MS, _TIME_US = rb"[1-8][0-9]{12}", rb"[1-8][0-9]{15}"
_FLAG = rb"(?:[Tt]rue|TRUE|[Ff]alse|FALSE)"
_FLAGS = {text: text.lower() for text in (b"true", b"True", b"TRUE", b"false", b"False", b"FALSE")}
_NAME = re.compile(r"([A-Za-z0-9_]{1,40})-(trades|aggTrades)-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?![0-9])")

Kind = Literal["trade", "agg_trade"]
#: Of which kind a table is, by the first name in its header.
_HEADS: dict[bytes, Kind] = {b"id": "trade", b"agg_trade_id": "agg_trade"}


class Table(NamedTuple):
    """One of the four tables."""

    kind: Kind
    is_spot: bool

    @property
    def columns(self) -> tuple[tuple[str, bytes], ...]:
        """Name and form of each column; that of the time is its number of digits."""
        head = (("id", _ID), ("price", _PRICE), ("quantity", _PRICE))
        middle = (("quote", _QUOTE),) if self.kind == "trade" else (("first id", _ID), ("last id", _ID))
        flags = (("flag", _FLAG),) * (2 if self.is_spot else 1)
        return (*head, *middle, ("time", b"%b"), *flags)

    def row(self, time: bytes) -> bytes:
        """Return the form of a row whose time has a form."""
        return b",".join(time if name == "time" else form for name, form in self.columns)

    @property
    def time_column(self) -> int:
        """Where the time stands."""
        return 4 if self.kind == "trade" else 5


TABLES = tuple(Table(kind, spot) for kind in ("trade", "agg_trade") for spot in (True, False))
_TIMES = rb"(?:" + _TIME_MS + rb"|" + _TIME_US + rb")"
_ROWS = {table: re.compile(table.row(_TIMES)) for table in TABLES}
#: Of whole blocks, by the number of digits of the time.
_BLOCKS = {
    (table, digits): re.compile(rb"(?:" + table.row(time) + rb"\n)*+")
    for table in TABLES
    for digits, time in ((13, _TIME_MS), (16, _TIME_US))
}


def table_of(first: bytes, names: str) -> Table | None:
    """Return the table that a file holds, by its first line, or else by its names; None: it is none of these."""
    columns = first.count(b",") + 1
    if kind := _HEADS.get(first.split(b",")[0].strip().lower()):
        return next((each for each in TABLES if each.kind == kind and len(each.columns) == columns), None)
    for table, row in _ROWS.items():
        if row.fullmatch(first):
            return table
    said = _NAME.search(names)
    named: Kind | None = None if said is None else "trade" if said[2] == "trades" else "agg_trade"
    return next((each for each in TABLES if each.kind == named and len(each.columns) == columns), None)


def read(
    source: LineSource, names: str, table: Table, options: InputOptions, report: InputReport
) -> Iterator[list[RecordingLine]]:
    """Yield the lines of a file in blocks; `names` are its own and that of what is packed in it.

    Raises RecordingError: it names no symbol, or `--venue` is none of Binance's.
    """
    if options.venue and options.venue not in row_frames.EXCHANGE_VENUES:
        raise RecordingError(f"{source.path} is of Binance: --venue {options.venue} is none of spot, usdm and coinm")
    said = _NAME.search(names)
    symbol = said[1].upper() if said else options.symbol
    if not symbol:
        raise RecordingError(f"{source.path} does not say which symbol it is of: --symbol names it")
    if not options.wants(symbol):
        return
    futures = "coinm" if foreign(symbol) == "coinm" else "usdm"
    rows = _Rows(source, table, options.venue or ("spot" if table.is_spot else futures), symbol, report)
    for block in source.blocks():
        yield rows.lines(block)


class _Rows:
    """Turns the rows of one file into lines."""

    def __init__(self, source: LineSource, table: Table, venue: str, symbol: str, report: InputReport) -> None:
        self._source, self._table, self._report = source, table, report
        self._series = Series(venue, symbol, table.kind)
        is_trade = table.kind == "trade"
        make = row_frames.trade_template if is_trade else row_frames.agg_trade_template
        self._template = make(venue, symbol)
        self._stream = row_frames.stream(symbol, "trade" if is_trade else "aggTrade")

    def lines(self, block: bytes) -> list[RecordingLine]:
        """Return the lines of a block."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        first = block[: block.find(b"\n")].split(b",")
        heads = 0
        if first[0].lower() in _HEADS:
            # With the names of the columns the first block of a file would not be as it should.
            block, heads = block[block.find(b"\n") + 1 :], 1
            first = block[: block.find(b"\n")].split(b",")
        at = self._table.time_column
        digits = len(first[at]) if len(first) > at else 0
        form = _BLOCKS.get((self._table, digits))
        if form is None or not form.fullmatch(block):
            return [
                line for row in self._usable(block, heads) for line in self._made(row + b"\n", len(row.split(b",")[at]))
            ]
        return self._made(block, digits)

    def _made(self, block: bytes, digits: int) -> list[RecordingLine]:
        width, at = len(self._table.columns), self._table.time_column
        cells = block[:-1].replace(b"\n", b",").split(b",")
        ids, times = cells[0::width], cells[at::width]
        makers = map(_FLAGS.__getitem__, cells[at + 1 :: width])
        zeros = b"000000" if digits == 13 else b"000"
        received = list(map(b"%b%b".__mod__, zip(times, repeat(zeros), strict=False)))
        between: Iterable[list[bytes]] = () if self._table.kind == "trade" else (cells[3::width], cells[4::width])
        rows = zip(times, ids, cells[1::width], cells[2::width], *between, times, makers, received, strict=True)
        self._report.saw(self._source.path, self._series, int(ids[0]), int(ids[-1]))
        return list(map(RecordingLine, map(self._template.__mod__, rows), repeat(self._stream), map(int, received)))

    def _usable(self, block: bytes, heads: int) -> Iterator[bytes]:
        """Yield the rows of a block, before which there were `heads` lines, that can be used; refuse the others. Raises EOFError: the file ends in a row."""
        for number, line in enumerate(block.split(b"\n"), start=self._source.number + heads + 1):
            row = line.strip()
            if _ROWS[self._table].fullmatch(row):
                yield row
            elif row and row.split(b",")[0].strip().lower() not in _HEADS:
                if not block.endswith(b"\n"):
                    raise EOFError("the next row ends in its middle")
                self._report.refuse(self._source.path, number, *_wrong(self._table, row))


def _wrong(table: Table, row: bytes) -> tuple[str, str]:
    """Return why a row can't be used."""
    cells = row.split(b",")
    shown = row[:80].decode("utf-8", "replace")
    if len(cells) != len(table.columns):
        return "bad_row", f"has {len(cells)} columns, not {len(table.columns)}: {shown!r}"
    for cell, (name, form) in zip(cells, table.columns, strict=True):
        if not re.fullmatch(_TIMES if name == "time" else form, cell):
            return f"bad_{name.replace(' ', '_')}", f"has no {name} in {cell[:40].decode('utf-8', 'replace')!r}"
    return "bad_row", f"is no row: {shown!r}"
