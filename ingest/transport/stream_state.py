"""What JetStream says of streams: which subjects they take, and why one takes nothing at the moment. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from tasks.errors import UNREADABLE

#: JetStream's numbers of errors that say that there is none: not for this account, or not enabled at all.
_NO_JETSTREAM = frozenset({10039, 10076})
_NO_STREAM = 10059


class StreamState(NamedTuple):
    """A stream."""

    name: str
    subjects: Sequence[str]
    #: Why it takes nothing; empty while it does.
    trouble: str = ""
    #: The number of its last message; None: not asked for.
    last_seq: int | None = None
    #: How many messages between its first and its last are not there any more.
    deleted: int = 0
    #: The servers that should have a replica of it, and do not answer the one that leads.
    offline: Sequence[str] = ()
    #: When its last message was stored, unix nanoseconds, to the microsecond; 0: not told.
    last_ns: int = 0


class _Config(msgspec.Struct):
    name: str
    subjects: list[str] | None = None
    sealed: bool = False
    discard: str = "old"
    max_msgs: int = -1
    max_bytes: int = -1


class _Counts(msgspec.Struct):
    messages: int = 0
    bytes: int = 0
    last_seq: int | None = None
    last_ts: datetime | None = None
    num_deleted: int = 0


class _Replica(msgspec.Struct):
    name: str = ""
    offline: bool = False


class _Cluster(msgspec.Struct):
    leader: str = ""
    replicas: list[_Replica] | None = None


class _Stream(msgspec.Struct):
    config: _Config
    state: _Counts = msgspec.field(default_factory=_Counts)
    cluster: _Cluster | None = None


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _List(msgspec.Struct):
    streams: list[_Stream] | None = None
    #: Names of those of whose servers none answered.
    missing: list[str] | None = None
    error: _Error | None = None


class _Info(msgspec.Struct):
    config: _Config | None = None
    state: _Counts = msgspec.field(default_factory=_Counts)
    cluster: _Cluster | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_List).decode
_decode_info = msgspec.json.Decoder(_Info).decode


def read_list(answer: bytes) -> list[StreamState] | str | None:
    """Return the streams of an answer to `STREAM.LIST`, or why there is no telling; None: there is no JetStream."""
    try:
        told = _decode(answer)
    except UNREADABLE as error:
        return f"its answer can't be read: {error}"
    if told.error:
        return None if told.error.err_code in _NO_JETSTREAM else told.error.description or "an error"
    if told.missing:
        return f"no server answers for {', '.join(told.missing)}"
    return [StreamState(each.config.name, each.config.subjects or (), _trouble(each)) for each in told.streams or ()]


def read_info(answer: bytes) -> StreamState | str:
    """Return the stream of an answer to `STREAM.INFO`, or why there is no telling. One that is gone has that trouble."""
    try:
        told = _decode_info(answer)
    except UNREADABLE as error:
        return f"its answer can't be read: {error}"
    if told.error and told.error.err_code == _NO_STREAM:
        return StreamState("", (), "is gone")
    if told.error or told.config is None:
        return told.error.description if told.error else "an answer without a stream"
    stream = _Stream(told.config, told.state, told.cluster)
    return StreamState(
        told.config.name,
        told.config.subjects or (),
        _trouble(stream),
        *_end(told.state),
        _offline(stream),
        _last_ns(told),
    )


def _end(state: _Counts) -> tuple[int | None, int]:
    return state.last_seq, state.num_deleted


def _last_ns(told: _Info) -> int:
    last = told.state.last_ts
    return int(last.timestamp() * 1e6) * 1_000 if last else 0


def _offline(stream: _Stream) -> tuple[str, ...]:
    replicas = stream.cluster.replicas if stream.cluster else None
    return tuple(sorted(each.name for each in replicas or () if each.offline))


def _trouble(stream: _Stream) -> str:
    config, state = stream.config, stream.state
    if stream.cluster and not stream.cluster.leader:
        return "has no leader: too few of its servers run"
    if config.sealed:
        return "is sealed"
    is_full = 0 < config.max_msgs <= state.messages or 0 < config.max_bytes <= state.bytes
    if config.discard == "new" and is_full:
        return "is full and refuses what is new (discard new)"
    return ""
