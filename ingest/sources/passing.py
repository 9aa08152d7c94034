"""Passing messages of a stream that others read: a position that stays behind them would be read from again. Pure."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class SequenceGaps:
    """Sequence numbers of a shared stream that were skipped since its first message was last compared."""

    count: int = 0
    after_seq: int = 0
    compared_s: float = 0.0
    #: Of them, those that were skipped when the stream was last asked, and up to where it was read then.
    asked: int = 0
    asked_seq: int = 0

    def clear(self) -> None:
        """Forget them."""
        self.count = self.asked = self.asked_seq = 0

    def ask(self, seq: int, now_s: float) -> None:
        """Note that the stream is asked for its first message, when it is read up to `seq`."""
        self.asked, self.asked_seq, self.compared_s = self.count, seq, now_s

    def forgotten(self, first_seq: int) -> int:
        """Return how many the stream has forgotten, at most; the answer knows nothing of what was skipped since it was asked."""
        forgotten = min(self.asked, first_seq - 1 - self.after_seq)
        self.count, self.asked, self.after_seq = self.count - self.asked, 0, max(self.after_seq, self.asked_seq)
        return max(0, forgotten)


class StreamEndpoint(NamedTuple):
    """The last message of a stream, whoever reads it, and when it was stored."""

    seq: int
    stored_at_ns: int


class Passing:
    """Where the stream ended at a check at which the server had nothing more for us.

    That is believed at the second check in a row between which nothing has come: the first one's end is passed then.
    """

    def __init__(self) -> None:
        self._end: StreamEndpoint | None = None

    def clear(self) -> None:
        """Begin again: something has come, or reading goes on elsewhere."""
        self._end = None

    def check(self, waiting: int | None, end: StreamEndpoint | None) -> StreamEndpoint | None:
        """Return the end that can be passed; None: there is none.

        `waiting` is how many messages the server has still to send; `end` is where the stream ended before that was asked.
        """
        before, self._end = self._end, end if waiting == 0 else None
        return before if self._end else None
