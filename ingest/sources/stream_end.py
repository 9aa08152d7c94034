"""Where a stream ends, against what is read of it. Pure.

A server whose files are damaged may notice that only when it reads them. It then forgets messages, which it may have
sent already, and gives their numbers to others; and a consumer may send nothing more, without an error: nats-server 2.15 also stores what it can't send, until it is restarted.
"""

from collections.abc import Mapping
from typing import Literal

#: `lost`: the stream ends before what was read; `still`: messages that the consumer does not send; `stuck`: nor does
#: another one.
EndState = Literal["", "lost", "still", "stuck"]
#: Why a consumer is given up.
USELESS: Mapping[EndState, str] = {
    "lost": "the stream ends before what was read",
    "still": "messages that the consumer does not send",
}


class StreamEnd:
    """The last comparison of a stream's end with the last frame that was taken."""

    def __init__(self) -> None:
        self._read_seq = self._end_seq = 0
        #: Where reading stood when a consumer was found still; -1: never.
        self._still_at = -1

    def compare(self, read_seq: int, end_seq: int, *, may_be_still: bool) -> EndState:
        """Return what is wrong with the consumer that is read; empty: nothing.

        `read_seq` is the last frame that was taken before the stream was asked for its last message, `end_seq`.
        `may_be_still`: nothing needs to come, because nothing is asked for, or others put messages into the stream.
        """
        has_stood_still = read_seq == self._read_seq < self._end_seq
        self._read_seq, self._end_seq = read_seq, end_seq
        if end_seq < read_seq:
            return "lost"
        if may_be_still or not has_stood_still:
            return ""
        if self._still_at == read_seq:
            return "stuck"
        self._still_at = read_seq
        return "still"
