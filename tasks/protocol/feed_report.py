"""A live feed's report to ingest: the bytes of its request on `STATUS_SUBJECT`, every few seconds."""

import msgspec

from tasks.errors import UNREADABLE

#: More silent streams are counted, not named.
MAX_NAMED = 20


class SilentStream(msgspec.Struct, frozen=True):
    """A subscribed stream from which a feed receives nothing."""

    stream: str
    #: Since its last message, or since it was asked for; seconds.
    for_s: float
    #: Whether a message has ever come.
    spoke: bool


class FeedReport(msgspec.Struct, frozen=True):
    """Status of a live feed."""

    #: Which feed: unique for each process.
    feed: str
    #: How many streams it asked for, and how many of them are silent.
    asked: int
    silent: int
    #: The first of the silent ones, by name.
    named: tuple[SilentStream, ...] = ()
    #: Why its frames are not stored; empty: they are, or no stream is to take them.
    unstored: str = ""


_decoder = msgspec.json.Decoder(FeedReport)


def encode(report: FeedReport) -> bytes:
    """Return the request's bytes: a JSON object."""
    return msgspec.json.encode(report)


def decode(request: bytes) -> FeedReport | None:
    """Read a request; None: it is another one, which asks for the status only."""
    try:
        return _decoder.decode(request)
    except UNREADABLE:
        return None
