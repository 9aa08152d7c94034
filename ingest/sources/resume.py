"""The start of reading a stream, and the names of positions in it. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Literal, NamedTuple

import msgspec

from tasks.events import Position

#: nats-py gives a message's time as float seconds or as a date: the same moment to the microsecond at best.
SAME_NS = 1_000_000

Start = Literal["new", "first"]


def is_stream(source: str) -> bool:
    """Whether positions of this source are those of a stream."""
    return source.startswith("js-")


class StreamSnapshot(msgspec.Struct, frozen=True):
    """State of a JetStream stream at one moment."""

    name: str
    #: A stream of the same name that was created again is another source.
    created: datetime
    #: Of the messages that it holds; 1 and 0 in one that never had any.
    first_seq: int
    last_seq: int
    #: Whether it holds messages on subjects that are not ours, too.
    shared: bool = False

    @property
    def source(self) -> str:
        """The source of its positions, as long as it has not lost any."""
        return f"js-{self.name}-{int(self.created.timestamp() * 1e6)}"

    def source_after(self, losses: int) -> str:
        """Return the source of its positions after so many losses: its numbers may stand for other frames each time."""
        return f"{self.source}.{losses}" if losses else self.source

    def losses(self, source: str) -> int | None:
        """Return how many losses a source of this stream stands for; None for another stream's source."""
        fits = re.fullmatch(rf"{re.escape(self.source)}(?:\.(\d{{1,9}}))?", source, re.ASCII)
        return int(fits[1] or 0) if fits else None


class LastFrame(NamedTuple):
    """A frame that was read. Its time identifies it: the number may be another frame's by now."""

    source: str
    seq: int
    stored_at_ns: int

    def __str__(self) -> str:
        """Return the form in which the ledger stores it."""
        return f"{self.source}@{self.seq}@{self.stored_at_ns}"

    @classmethod
    def parse(cls, text: str) -> "LastFrame":
        """Read what `str` wrote. Raises ValueError on anything else."""
        source, seq, stored_at_ns = text.rsplit("@", 2)
        return cls(source, int(seq), int(stored_at_ns))


def last_stored(frames: Iterable[LastFrame]) -> LastFrame | None:
    """Return the frame that a stream stored last; None: there is none."""
    return max(frames, key=lambda each: each.stored_at_ns, default=None)


class StreamTail(NamedTuple):
    """The end of what was read of a stream: its number, and a frame to identify it by, if there is one."""

    seq: int
    frame: LastFrame | None

    def is_held(self, stream: StreamSnapshot, stored_at_ns: int | None) -> bool:
        """Whether the stream still holds it, or has forgotten it as planned.

        `stored_at_ns` is when the message was stored that has the frame's number now; None: there is no such message.
        """
        if stream.last_seq < max(self.seq, self.frame.seq if self.frame else 0):
            return False
        return self.frame is None or stored_at_ns is None or abs(stored_at_ns - self.frame.stored_at_ns) < SAME_NS


class StoredOffsets(NamedTuple):
    """The read position as stored in the ledger."""

    frontiers: Sequence[Position] = ()
    #: Up to where something is counted or committed: a frontier may lie before that.
    reached: Sequence[Position] = ()
    #: Frames that were read: of each shard one, not long before the last one, and the last of each lane.
    frames: Sequence[LastFrame] = ()
    #: Whether one of the shards has never begun, so that nobody has read what is its.
    has_unstarted: bool = False

    @property
    def read(self) -> LastFrame | None:
        """The frame that the stream stored last."""
        return last_stored(self.frames)


def furthest(stream: StreamSnapshot, positions: Iterable[Position]) -> Position | None:
    """Return the last of the stream's positions, by its latest numbers; None if all are another's."""
    here = [(number, each.seq, each) for each in positions if (number := stream.losses(each.source)) is not None]
    return max(here, key=itemgetter(0, 1))[2] if here else None


def tail_of(stream: StreamSnapshot, known: Iterable[Position], read: LastFrame | None) -> StreamTail | None:
    """Return the tail of what was read; None: nothing of this stream was.

    `known` are positions that were read, `read` is the last frame of which more is known.
    """
    last = furthest(stream, known)
    if last is None:
        return None
    return StreamTail(last.seq, read if read and read.source == last.source else None)


def tails_before_losses(stream: StreamSnapshot, stored: StoredOffsets, mine: Position | None) -> list[StreamTail]:
    """Return the tails under which frontiers stand that are older than a loss which somebody has noticed.

    Their numbers stand for lost frames. Redis went back to before the loss, and knows nothing of what was read since; or
    one shard has noticed it, and another one has not.
    """
    frontiers = [*stored.frontiers, *([mine] if mine else ())]
    known = [*frontiers, *stored.reached]
    last = furthest(stream, known)
    newest = stream.losses(last.source) if last else None
    older = {each.source for each in frontiers if stream.losses(each.source) not in {None, newest}}
    tails = (
        tail_of(
            stream,
            [each for each in known if each.source == source],
            last_stored(each for each in stored.frames if each.source == source),
        )
        for source in sorted(older)
    )
    return [tail for tail in tails if tail]


def begin(
    stream: StreamSnapshot,
    known: Sequence[Position],
    start: Start,
    kept_seq: int | None = None,
    *,
    has_unstarted: bool = False,
) -> Position:
    """Return the position after which to read.

    `known` are the frontiers that the ledger holds, and this process's own, if it has read already. The lowest
    of those in this stream counts: after Redis went back in time that is the stored one, after it lost everything it
    is ours. A stream created again is read whole. Where there is nothing to go on from, `start` decides.

    `kept_seq`: the stream has lost what had been read after that, and gives the numbers to other frames. These are
    another source's, and so is what is read once more before them: exchange ids tell what is known of it.

    `has_unstarted`: before a change of the layout, one of the shards had never begun. Its frames are read as at its
    first start.
    """
    here = {position: number for position in known if (number := stream.losses(position.source)) is not None}
    if here:
        lowest, number = min(position.seq for position in here), max(here.values())
        if has_unstarted and start == "first":
            lowest = min(lowest, max(0, stream.first_seq - 1))
        if kept_seq is None:
            return Position(stream.source_after(number), lowest)
        return Position(stream.source_after(number + 1), min(lowest, kept_seq))
    is_another = any(position.source.rpartition("-")[0] == f"js-{stream.name}" for position in known)
    whole = is_another or start == "first"
    return Position(stream.source, max(0, stream.first_seq - 1) if whole else stream.last_seq)
