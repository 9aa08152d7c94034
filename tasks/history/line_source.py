"""The lines of one file, as blocks of whole ones: without a byte order mark, with any end of line."""

from collections.abc import Iterator
from pathlib import Path

from tasks.history.input_report import InputReport
from tasks.history.packed import CHUNK_BYTES, Readable

#: A frame has 1 MiB at most; the rest is for its envelope. So a bomb of zeros takes no memory.
MAX_LINE_BYTES = 2 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class LineSource:
    """The text of one file."""

    def __init__(self, path: Path, content: Readable, report: InputReport) -> None:
        """Read nothing yet; `path` is what messages call it."""
        self.path = path
        self._content = content
        self._report = report
        self._held = b""
        self._began = False
        #: How many lines were in the blocks that were yielded, and in those that were left out.
        self.number = 0

    def first(self) -> bytes:
        """Return the first line with something in it, without taking it; empty: there is none, or it is very long."""
        while True:
            line, end, _ = self._held.lstrip().partition(b"\n")
            if end or len(self._held) > MAX_LINE_BYTES:
                return line.rstrip()
            chunk = self._read()
            if not chunk:
                return line.rstrip()
            self._held += chunk

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of whole lines; only the last may lack the end of its line. Raises what unpacking raises."""
        held, self._held = self._held, b""
        while True:
            whole, newline, rest = held.rpartition(b"\n")
            if newline:
                yield whole + newline
                self.number += whole.count(b"\n") + 1
            held = rest
            if len(held) >= MAX_LINE_BYTES:
                held = self._leave_out()
            chunk = self._read()
            if not chunk:
                break
            held += chunk
        if held:
            yield held
            self.number += 1

    def _leave_out(self) -> bytes:
        """Skip the rest of a line that is too long; return what comes after it."""
        self._report.refuse(self.path, self.number + 1, "too_long", f"is longer than {MAX_LINE_BYTES >> 20} MiB")
        self.number += 1
        while chunk := self._read():
            _, newline, rest = chunk.partition(b"\n")
            if newline:
                return rest
        return b""

    def _read(self) -> bytes:
        chunk = self._content.read1(CHUNK_BYTES)
        if not self._began and chunk:
            self._began = True
            while len(chunk) < len(_BOM) and _BOM.startswith(chunk) and (more := self._content.read1(CHUNK_BYTES)):
                chunk += more
            chunk = chunk.removeprefix(_BOM)
            return chunk or self._read()
        return chunk
