"""What comes with a message of NATS, from the bytes of its protocol: headers, and what JetStream says of it. Pure."""

from math import modf
from typing import NamedTuple

import msgspec

_TOKENS_WITHOUT_DOMAIN = 9


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as it is read."""

    subject: bytes
    #: Where an answer goes; of a message from a stream, what `read_metadata` reads.
    reply: bytes
    data: bytes
    headers: bytes | None


class MessageMetadata(NamedTuple):
    """Metadata of a message from the stream, without its content."""

    stream_seq: int
    consumer_seq: int
    #: In unix nanoseconds, to the microsecond.
    stored_at_ns: int
    #: How many more the consumer had to send when it was sent.
    pending: int


def read_headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a message by name, of several with one name the last; of a status, `Status` and `Description`."""
    first, *lines = raw.decode(errors="replace").split("\r\n")
    _, status, description = [*first.split(maxsplit=2), "", "", ""][:3]
    headers = {"Status": status, "Description": description} if status else {}
    pairs = (line.partition(":") for line in lines)
    return headers | {name.strip(): value.strip() for name, separator, value in pairs if separator}


def read_metadata(reply: bytes) -> MessageMetadata:
    """Return what the server says of a message from a stream. Raises ValueError: it is none.

    `$JS.ACK.STREAM.CONSUMER.DELIVERED.`, or `$JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERED.`, stands before the
    numbers.
    """
    tokens = reply.split(b".")
    first = 5 if len(tokens) == _TOKENS_WITHOUT_DOMAIN else 7
    numbers = tokens[first : first + 4]
    if len(numbers) < 4 or not all(map(bytes.isdigit, numbers)) or not reply.startswith(b"$JS.ACK."):
        raise ValueError("a message that is none of a stream")
    stream_seq, consumer_seq, stored_ns, pending = map(int, numbers)
    return MessageMetadata(stream_seq, consumer_seq, _to_the_microsecond(stored_ns), pending)


def _to_the_microsecond(time_ns: int) -> int:
    """Return a unix time as nats-py's `datetime` has it: the ledger holds times from when they were read there."""
    fraction, seconds = modf(time_ns / 1e9)
    return int((int(seconds) * 1_000_000 + round(fraction * 1e6)) / 1e6 * 1e6) * 1_000
