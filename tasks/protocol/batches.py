"""The payload of Celery tasks: batches, each the ordered events of one lane, and where they belong.

Pure, with the codec.

A task carries one batch or several, of different lanes of one shard. Each is begun, committed and sent again for
itself; they only travel together.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from tasks.events import AnyEvent, Position
from tasks.protocol.routing import LaneId

MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 1024 * 1024
#: A batch whose run was started this often and never completed is not run again, but halved; a single event a bit
#: later.
MAX_STARTS_OF_A_BATCH = 3
MAX_STARTS_OF_AN_EVENT = 5

E = TypeVar("E", AnyEvent, msgspec.Raw)


class Epoch(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One start of a shard. Compared whole, never issued twice."""

    number: int
    #: Random, so that two processes that choose the same number differ.
    nonce: str

    def __str__(self) -> str:
        """Return the form in which the ledger stores it: 7.3f9a02c1."""
        return f"{self.number}.{self.nonce}"

    @classmethod
    def parse(cls, text: str) -> "Epoch":
        """Read what `str` wrote. Raises ValueError on anything else."""
        number, separator, nonce = text.partition(".")
        if not separator:
            raise ValueError(f"not an epoch: {text!r}")
        return cls(int(number), nonce)


class Batch(msgspec.Struct, Generic[E], frozen=True, array_like=True):
    """The events of one lane after `prev`, up to and with `to`.

    The sender holds events already packed (`Batch[Raw]`), so that each is packed once, however often it is sent.
    """

    pool: str
    partition: int
    shard: int
    epoch: Epoch
    #: The lane's committed position before this batch; None before the first.
    prev: Position | None
    #: The position of the last event.
    to: Position
    #: Content hash of the configuration under which it runs.
    configuration: str
    events: tuple[E, ...]
    #: When the stream stored the frame at `to`, unix nanoseconds; 0: it came from no stream.
    stored_at_ns: int = 0

    @property
    def lane(self) -> LaneId:
        """The lane it belongs to."""
        return LaneId(self.pool, self.partition)

    @property
    def identity(self) -> str:
        """The identity of a run: a copy has the same, a half has another."""
        return f"{self.epoch}|{self.prev or ''}|{self.to}"

    @property
    def task_id(self) -> str:
        """The Celery task id of its first try, where it travels alone: pool, partition, epoch, last position."""
        return f"{self.lane}-{self.epoch}-{self.to.seq}"


_packer = msgspec.msgpack.Encoder()
_event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_Carried = Annotated[tuple[Batch[AnyEvent], ...], msgspec.Meta(min_length=1)]
_decoder: msgspec.msgpack.Decoder[tuple[Batch[AnyEvent], ...]] = msgspec.msgpack.Decoder(_Carried)


def split(events: Iterable[AnyEvent], most: int = MAX_BATCH_EVENTS) -> Iterator[tuple[AnyEvent, ...]]:
    """Yield events in their order, at most so many at once."""
    remaining = iter(events)
    while some := tuple(islice(remaining, most)):
        yield some


def pack_event(event: AnyEvent) -> msgspec.Raw:
    """Pack one event for `Batch.events`."""
    return msgspec.Raw(_packer.encode(event))


def unpack_event(packed: msgspec.Raw) -> AnyEvent:
    """Undo `pack_event`. Raises msgspec.MsgspecError."""
    return _event_decoder.decode(packed)


def pack(carried: Sequence[Batch[msgspec.Raw]]) -> bytes:
    """Pack what a task carries."""
    return _packer.encode(carried)


def unpack(payload: bytes) -> tuple[Batch[AnyEvent], ...]:
    """Undo `pack`. Raises msgspec.MsgspecError: it is something else, or larger than anything that `pack` makes."""
    if len(payload) > 2 * MAX_BATCH_BYTES:
        raise msgspec.ValidationError(f"larger than {2 * MAX_BATCH_BYTES} bytes")
    try:
        carried = _decoder.decode(payload)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.ValidationError(str(error)) from None
    if len({batch.shard for batch in carried}) > 1 or not all(batch.events for batch in carried):
        raise msgspec.ValidationError("batches of several shards, or one without events")
    return carried


def task_id(carried: Sequence[Batch[Any]], tries: int = 1) -> str:
    """Return the Celery task id: that of the first batch, the try from the second on, and the number of other batches.

    Workers always discard a revoked id, so a batch that is sent again has another one: a revoke never stops a lane.
    """
    again = f"~{tries}" if tries > 1 else ""
    more = f"+{len(carried) - 1}" if len(carried) > 1 else ""
    return f"{carried[0].task_id}{again}{more}"


def max_starts(events: int) -> int:
    """Return how often a batch of so many events (1 or more) may be started without completing: 3 times, a single event 5."""
    return MAX_STARTS_OF_A_BATCH if events > 1 else MAX_STARTS_OF_AN_EVENT


def describe(symbols: Sequence[str]) -> str:
    """Return for a person what a task carries, by the symbol of each event: `42 events BTCUSDT,ETHUSDT`."""
    named = list(dict.fromkeys(symbols))
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    return f"{len(symbols)} event{'s' if len(symbols) != 1 else ''} {','.join(named[:5])}{more}"
