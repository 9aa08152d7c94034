"""Books of the diff depth in a file, once a snapshot of the REST interface in the same file gives a start. Pure.

A collector writes that snapshot as it came, without a symbol: it is that of the only symbol whose diffs are in the file.
"""

from tasks.books import Diff, LocalOrderBook, Snapshot
from tasks.books.book_frames import book_frame
from tasks.books.diffs import read_diff, read_snapshot
from tasks.frames.model import parse_stream
from tasks.history.recording_line import RecordingLine

LEVELS = 20


class _Book:
    def __init__(self) -> None:
        self.local = LocalOrderBook()
        #: Exchange's time of the last book that was made, unix milliseconds.
        self.made_ms = 0


class DiffBooks:
    """Makes books of the diffs of a file. Every other line goes through."""

    def __init__(self, interval_ms: int) -> None:
        """Make a book of a symbol at most every `interval_ms`, by the exchange's clock."""
        self._interval_ms = interval_ms
        self._books: dict[str, _Book] = {}
        self._snapshot: Snapshot | None = None
        #: How often a book was lost, by a gap between diffs for example: it is known again with the next snapshot.
        self.lost = 0

    def line(self, line: RecordingLine) -> RecordingLine | None:
        """Return the line, or the book that a diff leads to, if one is due.

        A diff without a known book goes through.
        """
        if not line.stream:
            return self._seed(line)
        stream = parse_stream(line.stream)
        if stream is None or stream.kind is not None or not line.stream.partition("@")[2].startswith("depth"):
            return line
        diff = read_diff(line.raw)
        return line if diff is None else self._follow(line, stream.symbol, diff)

    def _seed(self, line: RecordingLine) -> RecordingLine | None:
        snapshot = read_snapshot(line.raw, 1) if b'"lastUpdateId"' in line.raw else None
        if snapshot is None or len(self._books) > 1:
            return line
        self._snapshot = snapshot
        for book in self._books.values():
            self._put_on_snapshot(book)
        return None

    def _put_on_snapshot(self, book: _Book) -> None:
        if self._snapshot is not None:
            book.local.refresh()
            book.local.seed(self._snapshot)
            self._snapshot = None

    def _follow(self, line: RecordingLine, symbol: str, diff: Diff) -> RecordingLine | None:
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = _Book()
            self._put_on_snapshot(book)
        if book.local.apply(diff).lost:
            self.lost += 1
        if not book.local.synced:
            return line
        last = book.local.last
        if last is None or last.E - book.made_ms < self._interval_ms:
            return None
        top = book.local.top(LEVELS)
        if top is None or not (top.bids and top.asks):
            return None
        book.made_ms = last.E
        name = f"{line.stream.partition('@')[0]}@depth{LEVELS}"
        return RecordingLine(book_frame(name, last, top), name, last.received_at_ns)
