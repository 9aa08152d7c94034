"""What the pipeline has committed, collected before its streams are trimmed, and compared with what is expected."""

import msgspec

from tasks.ledger.reader import LedgerReader
from tasks.paper import positions_digest
from tasks.protocol.digest import digest
from tests.faults.verdict import dead_letters
from tests.soak.reference import Expected


class Violation(Exception):  # noqa: N818 it is what the command says
    """Something that is promised does not hold."""


class Check(msgspec.Struct):
    """A comparison that found no difference."""

    minutes: float
    frames: int
    applied: int
    signals: int
    positions: int
    #: From the end of the feed until everything was committed.
    drained_s: float
    digest: str


class _Collected:
    """The entries of one stream that were read so far."""

    def __init__(self, reader: LedgerReader, stream: str, field: bytes) -> None:
        self._reader, self._stream, self._field = reader, stream, field
        self._last = "-"
        self.entries: list[bytes] = []

    def collect(self) -> None:
        """Read what came since the last call. Raises Violation: some of it was trimmed before.

        What was read then must not have been taken back since.
        """
        found = self._reader.entries(self._stream, self._field, self._last)
        is_first = self._last == "-"
        if self._reader.is_trimmed(self._stream) if is_first else next(found, ("", b""))[0] != self._last:
            raise Violation(f"the stream {self._stream} was trimmed before it was read: check more often")
        for self._last, value in found:
            self.entries.append(value)


class Committed:
    """All that the pipeline committed since its start."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._signals = _Collected(reader, reader.keys.signals, b"signal")
        self._positions = _Collected(reader, reader.keys.positions, b"position")

    def compare(self, expected: Expected, minutes: float, drained_s: float) -> Check:
        """Return the comparison with what is expected, while nothing is being committed. Raises Violation."""
        self._signals.collect()
        self._positions.collect()
        signals, positions = self._signals.entries, self._positions.entries
        if len(signals) != expected.signals:
            raise Violation(f"{len(signals):,} signals instead of {expected.signals:,}")
        if (found := digest(signals, self._reader.records())) != expected.digest:
            raise Violation(f"the digest is {found} instead of {expected.digest}")
        if positions_digest(positions, self._reader.accounts()) != expected.positions_digest:
            raise Violation("the digest of the paper accounts differs")
        return Check(
            round(minutes, 1),
            expected.frames,
            expected.applied,
            len(signals),
            len(positions),
            round(drained_s, 1),
            expected.digest,
        )

    def verify_nothing_lost(self) -> None:
        """Raise Violation for dead letters and dropped events."""
        if letters := dead_letters(self._reader):
            raise Violation(f"{len(letters)} dead letters, the first {letters[0].reason}: {letters[0].detail}")
        if dropped := self._reader.counters().by_label("dropped"):
            raise Violation(f"dropped events: {dropped}")
