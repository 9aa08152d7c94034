"""Recordings, in blocks of lines: newline-delimited JSON, one frame a line, in arrival order.

{"stream": "btcusdt@trade", "data": {...}, "received_at": 1723161254087896568}

The exchange's own frames, `{"stream", "data"}` or a bare payload, are accepted where their time of receipt is known:
the envelope's `timestamp`, or the payload's `E`. Spot books have neither. A collector writes the time before the frame:

    1723161254087896568 {"stream": "btcusdt@trade", "data": {...}}
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tasks import frames
from tasks.errors import UNREADABLE
from tasks.events import KINDS, Event
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame, parse_stream
from tasks.frames.timestamps import unix_ns
from tasks.history.diff_books import DiffBooks
from tasks.history.id_ranges import Series
from tasks.history.input_options import InputOptions
from tasks.history.input_report import InputReport
from tasks.history.line_source import LineSource
from tasks.history.recording_line import LineError, LinePlace, RecordingLine, parse_line

#: A line of a collector begins so.
COLLECTED = re.compile(rb"[0-9]{10,19} +(?=[{\[])")


class _Named(msgspec.Struct):
    """Where a payload may say its symbol."""

    symbol: Any = None
    s: Any = None
    data: "_Named | Any" = None


_EVERY_KIND = frozenset(KINDS)
_named = msgspec.json.Decoder(_Named)


def read(source: LineSource, options: InputOptions, report: InputReport) -> Iterator[list[RecordingLine]]:
    """Yield the lines of a recording in blocks. Raises EOFError: the file ends within a line."""
    return _read(source, parse_line, options, report)


def read_collected(source: LineSource, options: InputOptions, report: InputReport) -> Iterator[list[RecordingLine]]:
    """Yield the lines of a collector in blocks, with the time in the envelope. Raises EOFError."""
    return _read(source, _collected, options, report)


def _read(
    source: LineSource, parse: Callable[[bytes], RecordingLine], options: InputOptions, report: InputReport
) -> Iterator[list[RecordingLine]]:
    books = DiffBooks(options.book_interval_ms)
    known = set[str]()
    for block in source.blocks():
        lines: list[RecordingLine] = []
        for number, text in enumerate(block.split(b"\n"), start=source.number + 1):
            raw = text.rstrip()
            if not raw:
                continue
            try:
                line = books.line(parse(raw))
            except LineError as error:
                if error.reason == "cut" and not block.endswith(b"\n"):
                    raise EOFError("the next one ends in its middle") from None
                report.refuse(source.path, number, error.reason, error.detail)
                continue
            if line is None or (options.symbols and not options.wants(_symbol(line))):
                continue
            if not report.checks_frames or _is_usable(source, number, line, report):
                msgspec.structs.force_setattr(line, "place", LinePlace(source.path, number))
                lines.append(line)
        if report.compares_files and not report.checks_frames:
            _tell_ids(source.path, lines, known, report)
        yield lines
    if books.lost:
        report.note(f"{source.path}: diff depth lost the book {books.lost:,} times, until the next snapshot")


def _is_usable(source: LineSource, number: int, line: RecordingLine, report: InputReport) -> bool:
    """Whether a line's frame is not refused; the report is told what it is."""
    metadata = FrameMetadata(f"binance.{line.stream}", number, line.received_at_ns, kinds=_EVERY_KIND)
    outcome = frames.parse(line.raw, metadata)
    if isinstance(outcome, RefusedFrame):
        report.refuse(source.path, number, outcome.reason, f"is refused: {outcome.detail}")
        return False
    if isinstance(outcome, SkippedFrame):
        report.skip(outcome.kind)
    else:
        _tell_id(source.path, outcome, report)
    return True


def _tell_ids(path: Path, lines: list[RecordingLine], known: set[str], report: InputReport) -> None:
    """Tell the report of the ids in a block: of each stream the first line of the file, and the last one of the block.

    Between these ids rise, so the others need not be parsed. `known` are the streams of the blocks before.
    """
    first = {line.stream: line for line in reversed(lines) if line.stream not in known}
    last = {line.stream: line for line in lines}
    known.update(last)
    for line in (*first.values(), *last.values()):
        event = frames.parse(
            line.raw, FrameMetadata(f"binance.{line.stream}", 0, line.received_at_ns, kinds=_EVERY_KIND)
        )
        if isinstance(event, Event):
            _tell_id(path, event, report)


def _tell_id(path: Path, event: Event, report: InputReport) -> None:
    series = Series(event.venue, event.symbol, event.kind)
    report.saw(path, series, event.exchange_id, event.exchange_id)


def _symbol(line: RecordingLine) -> str:
    """Return the symbol that a line says it is of; empty: none."""
    if stream := parse_stream(line.stream):
        return stream.symbol
    try:
        said = _named.decode(line.raw)
    except UNREADABLE:
        return ""
    data = said.data if isinstance(said.data, dict) else {}
    return next(
        (each for each in (said.symbol, said.s, data.get("symbol"), data.get("s")) if isinstance(each, str)), ""
    )


def _collected(raw: bytes) -> RecordingLine:
    said = COLLECTED.match(raw)
    if said is None:
        raise LineError("not_collected", f"is not a time and a frame: {raw[:60].decode('utf-8', 'replace')!r}")
    at_ns = unix_ns(int(said[0]))
    if at_ns is None:
        raise LineError("no_time", f"begins with no time: {said[0].decode()!r}")
    frame = raw[said.end() :]
    if not frame.startswith(b"{") or not frame.endswith(b"}"):
        return parse_line(frame)  # It says what is wrong.
    between = b"" if frame[1:-1].strip() == b"" else b","
    return parse_line(b'%b%b"received_at":%d}' % (frame[:-1], between, at_ns))
