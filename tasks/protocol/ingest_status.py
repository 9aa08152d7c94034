"""What ingest answers on `STATUS_SUBJECT`: how full it is, so that a replay can wait for it, and what is wrong."""

import msgspec

from tasks.protocol.findings import Finding

#: NATS subject of the request. Shard 0 answers whatever is asked, the others only if `EACH_SHARD` is.
STATUS_SUBJECT = "ingest.status"
EACH_SHARD = b"each shard"


class Status(msgspec.Struct, frozen=True):
    """What ingest holds in memory at this moment, and how it is."""

    #: Bytes of the events that wait for a batch or for its commit.
    held_bytes: int
    #: The bound of `held_bytes`; above it ingest drops.
    bound_bytes: int
    #: Frames that have arrived and were not looked at yet, and the events of the fullest lane.
    held_frames: int
    #: What is wrong; None: an ingest of before says nothing about it.
    findings: list[Finding] | None = None
    #: The number of the shard that answers.
    shard: int = 0


_decoder = msgspec.json.Decoder(Status)


def encode(status: Status) -> bytes:
    """Return the answer's bytes: a JSON object."""
    return msgspec.json.encode(status)


def decode(answer: bytes) -> Status:
    """Read an answer. Raises msgspec.DecodeError on anything else."""
    try:
        return _decoder.decode(answer)
    except (UnicodeDecodeError, RecursionError):
        raise msgspec.DecodeError("not text, or nested too deeply") from None
