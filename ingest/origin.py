"""Where reading a stream begins, and what a position in it is called. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from tasks.events import Position

Start = Literal["new", "first"]


class Stream(msgspec.Struct, frozen=True):
    """A JetStream stream as it is at one moment."""

    name: str
    #: A stream of the same name that was created anew is another source.
    created: datetime
    #: Of the messages that it holds; 1 and 0 in one that never had any.
    first_seq: int
    last_seq: int

    @property
    def source(self) -> str:
        """The source of its positions."""
        return f"js-{self.name}-{int(self.created.timestamp() * 1e6)}"


def begin(stream: Stream, stored: Sequence[Position], mine: Position | None, start: Start) -> Position:
    """Give the position after which to read.

    `stored` are the frontiers that the ledger holds, `mine` is this process's own, if it has read already. The lowest
    of those in this stream counts: after Redis went back in time that is the stored one, after it lost everything it
    is mine. A stream created anew is read whole. Where there is nothing to go on from, `start` decides.
    """
    known = [*stored, mine] if mine else [*stored]
    here = [position for position in known if position.source == stream.source]
    if here:
        return min(here, key=lambda position: position.seq)
    anew = any(position.source.rpartition("-")[0] == f"js-{stream.name}" for position in known)
    whole = anew or start == "first"
    return Position(stream.source, max(0, stream.first_seq - 1) if whole else stream.last_seq)
