"""The frames of the JetStream stream that a lane needs, from the first that it holds; read without acknowledgements.

Ingest's own reader goes on for ever and survives everything; this one reads once what is there, and says where it can't.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError, ServiceUnavailableError

from tasks.clients.nats_client import NatsClient, connect_once
from tasks.clients.nats_message import read_metadata
from tasks.errors import RecordingError, ServerUnavailableError
from tasks.frames.model import parse_stream
from tasks.settings import Settings
from tasks.why.lane import SourceFrame
from tasks.why.recording_frames import Needs

#: How long nothing may come while there is more.
SILENCE_S = 5.0
#: How many messages are asked for at once; more when half of them have come.
BATCH = 1_000
#: The server forgets a consumer that nobody has asked for so long.
FORGET_S = 30.0
#: With more subjects to name, all are read.
MAX_FILTERS = 100
#: Of a reply without a message: there is none (any more).
_NOTHING_MORE = {"404", "408"}

#: Takes a frame; returns whether no other is needed.
Take = Callable[[SourceFrame], bool]


class StreamRead(NamedTuple):
    """What the stream held when it was read."""

    #: Of its first message, from 1; above 1, what came before is gone.
    first_seq: int
    last_seq: int


class _Request(msgspec.Struct):
    batch: int
    expires: int


async def read(settings: Settings, needs: Needs, take: Take) -> StreamRead:
    """Have `take` called with each frame that is needed, until it has enough or the stream ends.

    Raises ServerUnavailableError, RecordingError: there is no such stream; and what `take` raises.
    """
    nats = await connect_once(settings, "why")
    try:
        return await _read(nats, settings, needs, take)
    except NotFoundError:
        raise RecordingError(f"there is no stream {settings.ingest_stream} (INGEST_STREAM) to read from") from None
    except ServiceUnavailableError:
        raise RecordingError("this NATS server has no JetStream, so there is no stream to read from") from None
    except (NatsError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise ServerUnavailableError(f"the stream {settings.ingest_stream} can't be read: {why}") from None
    finally:
        await nats.close()


async def _read(nats: NatsClient, settings: Settings, needs: Needs, take: Take) -> StreamRead:
    jetstream, listened = nats.jetstream(), settings.frame_subjects.all
    held: dict[str, int] = {}
    for pattern in listened:
        info = await jetstream.stream_info(settings.ingest_stream, subjects_filter=pattern)
        held |= info.state.subjects or {}
    needed = [subject for subject in held if needs(parse_stream(subject.rpartition(".")[2]))]
    if needed:
        await _read_subjects(nats, settings.ingest_stream, _filters(needed, listened), info.state.last_seq, take)
    return StreamRead(info.state.first_seq, info.state.last_seq)


def _filters(needed: Sequence[str], listened: Sequence[str]) -> list[str]:
    return list(needed if len(needed) <= MAX_FILTERS else listened)


async def _read_subjects(nats: NatsClient, stream: str, subjects: list[str], last_seq: int, take: Take) -> None:
    jetstream, name = nats.jetstream(), f"why-{nats.new_inbox().rpartition('.')[2]}"
    await jetstream.add_consumer(
        stream,
        api.ConsumerConfig(
            name=name,
            deliver_policy=api.DeliverPolicy.ALL,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=subjects[0] if len(subjects) == 1 else None,
            filter_subjects=subjects if len(subjects) > 1 else None,
            inactive_threshold=FORGET_S,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    pull = StreamPull(nats, f"{stream}.{name}", last_seq, take)
    try:
        await pull.run()
    finally:
        await _discard(jetstream, stream, name)


async def _discard(jetstream: JetStreamContext, stream: str, name: str) -> None:
    with suppress(NatsError, TimeoutError):  # the server forgets it by itself
        await jetstream.delete_consumer(stream, name)


class StreamPull:
    """The requests to one consumer, and its messages. A lane may have a million, so they are taken as they are read."""

    def __init__(self, nats: NatsClient, consumer: str, last_seq: int, take: Take) -> None:
        self._nats, self._consumer, self._last_seq, self._take = nats, consumer, last_seq, take
        self._inbox = nats.new_inbox()
        self._asked = self._received = 0
        self._needs_more = asyncio.Event()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Take messages until the last one that is needed. Raises ServerUnavailableError, and what `take` raises."""
        await self._nats.subscribe_directly(self._inbox, self._on_message)
        asking: asyncio.Future[None] = asyncio.create_task(self._ask())
        try:
            while not self._end.done():
                before = self._received
                await asyncio.wait([self._end, asking], timeout=SILENCE_S, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    asking.result()
                if not self._end.done() and self._received == before:
                    raise ServerUnavailableError(f"the stream fell silent after {before:,} of its messages: try again")
        finally:
            asking.cancel()
        self._end.result()

    async def _ask(self) -> None:
        """Request more, whenever half of what was asked for has come."""
        while True:
            count = BATCH - (self._asked - self._received)
            self._asked += count
            request = msgspec.json.encode(_Request(count, int(SILENCE_S / 2 * 1e9)))
            self._needs_more.clear()
            await self._nats.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer}", request, self._inbox)
            await self._needs_more.wait()

    def _on_message(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        if self._end.done():
            return
        try:
            is_last = self._on_frame(subject, reply, data) if reply else self._on_status(headers or b"")
        except Exception as error:  # noqa: BLE001 nats-py would take it for a fault of the connection; `run` raises it
            self._end.set_exception(error)
            return
        if is_last:
            self._end.set_result(None)
        elif self._asked - self._received <= BATCH // 2:
            self._needs_more.set()

    def _on_frame(self, subject: bytes, reply: bytes, data: bytes) -> bool:
        """Take a frame; return whether it was the last one."""
        try:
            stream_seq, consumer_seq, stored_at_ns, pending = read_metadata(reply)
        except ValueError as error:
            raise ServerUnavailableError(f"{error} came: try again") from None
        self._received += 1
        if consumer_seq != self._received:
            raise ServerUnavailableError(
                f"messages of the stream were lost on the way after {self._received - 1:,}: try again"
            )
        frame = SourceFrame(data, subject.decode(), stream_seq, stored_at_ns, stored_at_ns)
        return self._take(frame) or stream_seq >= self._last_seq or not pending

    @staticmethod
    def _on_status(headers: bytes) -> bool:
        """Take a reply without a message; return whether nothing more comes. Raises ServerUnavailableError."""
        _, status, *description = [*headers.partition(b"\r\n")[0].decode(errors="replace").split(maxsplit=2), "", ""]
        if status in _NOTHING_MORE:
            return True
        if status == "100":
            return False
        raise ServerUnavailableError(f"the stream can't be read on: {description[0] or status}")
