"""The npz files of hftbacktest: structured events, of which trades and the changes of the book are read.

An array is read piece by piece, not as a whole. It names neither venue nor symbol, and has no ids, so its events become
venue-neutral frames. What only the exchange's side of a simulation uses, rows with EXCH_EVENT and without LOCAL_EVENT, is
left out: the same events are there a second time, in the order in which they were received.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from tasks.books import BookSampler
from tasks.errors import RecordingError
from tasks.frames.model import RefusedError
from tasks.frames.timestamps import unix_ns
from tasks.history import neutral_rows
from tasks.history.id_ranges import Series
from tasks.history.input_options import InputOptions
from tasks.history.input_report import InputReport
from tasks.history.neutral_rows import NeutralRows, Side
from tasks.history.packed import Readable
from tasks.history.recording_line import LineError, RecordingLine
from tasks.optional import install_command

#: Rows that are handed on at once.
_BLOCK_ROWS = 4096
#: numpy reads no longer header.
_MAX_HEAD_BYTES = 10_000
_FIELDS = ("ev", "exch_ts", "local_ts", "px", "qty")
_NEEDS_NUMPY = f"an .npz file needs numpy: {install_command('extras')}"
# hftbacktest's constants: what an event is, for whom, and its side.
_DEPTH, _TRADE, _CLEAR, _SNAPSHOT = 1, 2, 3, 4
_EXCH, _LOCAL, _BUY, _SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
_NAME = re.compile(r"([A-Za-z0-9]{2,40})[_-][0-9]{6,8}(?:[_.-].*)?\.npz")

_Row = tuple[int, int, int, float, float]


def numpy() -> Any:
    """Return numpy; None: it is not installed."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


class NpzFile:
    """The array of one file."""

    def __init__(self, path: Path, content: Readable, report: InputReport, module: Any) -> None:
        """Read nothing yet; `module` is numpy. Raises RecordingError: there is none."""
        if module is None:
            raise RecordingError(_NEEDS_NUMPY)
        self._path, self._content, self._report, self._numpy = path, content, report, module
        self._held = b""
        #: How many rows were yielded.
        self.number = 0

    def blocks(self, name: str, options: InputOptions) -> Iterator[list[RecordingLine]]:
        """Yield the lines in blocks; `name` is that of the file. Raises RecordingError, and EOFError: it is cut."""
        said = _NAME.fullmatch(name)
        symbol = options.symbol or (said[1].upper() if said else "")
        for given, option in (symbol, "--symbol"), (options.venue, "--venue"):
            if not given:
                raise RecordingError(f"{self._path} does not say of which {option[2:]} it is: {option} names it")
        if not options.wants(symbol):
            return
        self._report.saw(self._path, Series(options.venue, symbol, "trade"), None, None)
        market = _Market(self._path, NeutralRows(options.venue, symbol), options.book_interval_ms, self._report)
        try:
            for rows in self._rows():
                lines: list[RecordingLine] = []
                for number, row in enumerate(rows, start=self.number + 1):
                    lines += market.lines(number, row)
                yield lines
                self.number += len(rows)
            yield market.rest()
        finally:
            neutral_rows.tell_withheld(self._report, self._path, symbol, market.sampler)

    def _rows(self) -> Iterator[list[_Row]]:
        dtype, left = self._head()
        while left:
            rows = min(left, _BLOCK_ROWS)
            data = self._exactly(rows * dtype.itemsize)
            array = self._numpy.frombuffer(data, dtype, len(data) // dtype.itemsize)
            yield list(zip(*(array[name].tolist() for name in _FIELDS), strict=True))
            if len(array) < rows:
                raise EOFError("the array ends before its last row")
            left -= rows

    def _head(self) -> tuple[Any, int]:
        """Return type and number of the rows. Raises RecordingError: these are no events of hftbacktest."""
        start = self._exactly(8)
        length = self._exactly(2 if start[6:7] == b"\x01" else 4)
        size = int.from_bytes(length, "little")
        head = BytesIO(length + self._exactly(min(size, _MAX_HEAD_BYTES)))
        form = self._numpy.lib.format
        read = form.read_array_header_1_0 if start[6:7] == b"\x01" else form.read_array_header_2_0
        with suppress(Exception):  # It is read with Python's own parser, which raises whatever is wrong.
            shape, _, dtype = read(head)
            if len(shape) == 1 and "".join(dtype[name].kind for name in _FIELDS) == "uiiff":
                return dtype, shape[0]
        raise RecordingError(f"{self._path} holds no events of hftbacktest: {', '.join(_FIELDS)}")

    def _exactly(self, size: int) -> bytes:
        """Return so many bytes, or fewer at the end of what is whole. Raises EOFError: it is the end."""
        while len(self._held) < size:
            try:
                chunk = self._content.read1(size)
            except EOFError:
                chunk = b""
            if not chunk:
                break
            self._held += chunk
        found, self._held = self._held[:size], self._held[size:]
        if not found:
            raise EOFError("the array ends before its last row")
        return found


class _Market:
    """The symbol that a file is of."""

    def __init__(self, path: Path, frames: NeutralRows, book_interval_ms: int, report: InputReport) -> None:
        self._path, self._frames, self._report = path, frames, report
        self.sampler = BookSampler(neutral_rows.LEVELS, book_interval_ms)
        self._cleared = False

    def lines(self, number: int, row: _Row) -> list[RecordingLine]:
        """Return the lines that a row completes, mostly none or one; the report is told of a row that can't be used."""
        try:
            line = self._line(row)
        except LineError as error:
            self._report.refuse(self._path, number, error.reason, error.detail)
            return []
        except RefusedError as error:
            self._report.refuse(self._path, number, error.refused.reason, f"is refused: {error.refused.detail}")
            return []
        return [line] if line else []

    def rest(self) -> list[RecordingLine]:
        """Return the last book."""
        line = self._frames.book(self.sampler.finish())
        return [line] if line else []

    def _line(self, row: _Row) -> RecordingLine | None:
        flags, exchange, local, price, quantity = row
        if flags & _EXCH and not flags & _LOCAL:
            return None
        time_ns, received_ns = unix_ns(exchange), unix_ns(local)
        if time_ns is None or received_ns is None:
            raise LineError("bad_time", f"has no time in {exchange}, {local}")
        kind = flags & 0xFF
        if kind == _TRADE:
            side = "buy" if flags & _BUY else "sell" if flags & _SELL else ""
            return self._frames.trade(time_ns, received_ns, price, quantity, side)
        if kind not in {_DEPTH, _CLEAR, _SNAPSHOT}:
            self._report.skip(f"hftbacktest_{kind}")
            return None
        return self._level(kind, flags, time_ns, received_ns, price, quantity)

    def _level(
        self, kind: int, flags: int, time_ns: int, received_ns: int, price: float, quantity: float
    ) -> RecordingLine | None:
        if kind == _CLEAR:
            # A snapshot, which mostly follows, replaces the book by itself.
            self._cleared = True
            return None
        before = None
        if self._cleared and kind == _DEPTH:
            before = self.sampler.finish()
            self.sampler.clear()
        self._cleared = False
        side: Side = "bid" if flags & _BUY else "ask"
        times_ns, is_snapshot = (time_ns, received_ns), kind == _SNAPSHOT
        book = neutral_rows.update(self.sampler, times_ns, side, (price, quantity), snapshot=is_snapshot)
        return self._frames.book(before or book)
