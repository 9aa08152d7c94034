"""Ingest's answer on `STATUS_SUBJECT`: how full it is, so that a replay can wait for it, and what is wrong."""

import msgspec

from tasks.protocol.findings import Finding

#: NATS subject of the request. Shard 0 answers every request, the others only `EACH_SHARD`.
STATUS_SUBJECT = "ingest.status"
EACH_SHARD = b"each shard"


class IngestStatus(msgspec.Struct, frozen=True):
    """Status of an ingest process: the frames and events held in memory, and what is wrong."""

    #: Bytes of the events that wait for a batch or for its commit.
    held_bytes: int
    #: The bound of `held_bytes`; above it ingest drops.
    bound_bytes: int
    #: Frames that have arrived and were not looked at yet, and the events of the fullest lane.
    held_frames: int
    #: What is wrong; None: an ingest of an earlier release does not report it.
    findings: list[Finding] | None = None
    #: The number of the shard that answers.
    shard: int = 0
    #: Of its pipeline: several can share a NATS. None: an ingest of an earlier release does not tell it.
    namespace: str | None = None


_decoder = msgspec.json.Decoder(IngestStatus)


def encode(status: IngestStatus) -> bytes:
    """Return the answer's bytes: a JSON object."""
    return msgspec.json.encode(status)


def decode(answer: bytes) -> IngestStatus:
    """Read an answer. Raises msgspec.DecodeError on anything else."""
    try:
        return _decoder.decode(answer)
    except (UnicodeDecodeError, RecursionError):
        raise msgspec.DecodeError("not text, or nested too deeply") from None
