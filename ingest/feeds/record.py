"""Writes what comes over NATS into a recording: the payloads' bytes unchanged, one frame a line."""

import asyncio
import errno
import gzip
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import structlog

from ingest.feeds.link import with_time
from ingest.feeds.publisher import FeedConnection
from ingest.feeds.stream_reader import StreamReader
from ingest.transport.subscribe import listen
from tasks import frames
from tasks.errors import UNREADABLE, RecordingError, ServerUnavailableError
from tasks.event_loop import end
from tasks.events import KINDS
from tasks.frames import timestamps
from tasks.frames.model import MAX_LEAD_NS, FrameMetadata, RefusedFrame, parse_stream
from tasks.settings import Settings, mask
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: How much a crash can take with it, in seconds.
_WRITE_EVERY_S = 1.0
#: While so many frames wait to be written, no more are asked of a stream.
_MAX_HELD = 50_000
_NEWLINE = re.compile(rb"[\r\n]+")


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    received_at: Any = None
    timestamp: Any = None
    venue: Any = None
    schema: Any = None


class _Payload(msgspec.Struct):
    schema: Any = None


_decoder = msgspec.json.Decoder(_Envelope)
_payload_decoder = msgspec.json.Decoder(_Payload)


def line(subject: str, raw: bytes, came_ns: int, max_lead_ns: int = MAX_LEAD_NS) -> bytes | None:
    """Return the line of a recording for a frame, without the newline.

    `came_ns` is when the stream stored it, or else when it was received, unix nanoseconds: the time of a frame that
    has none of its own.
    None: it is no JSON object of a known stream nor a venue-neutral frame, or its time is none that ingest takes.
    """
    try:
        envelope = _decoder.decode(raw)
        is_neutral = b'"schema"' in raw and _is_neutral(envelope)
    except UNREADABLE:
        return None
    metadata = FrameMetadata(subject, 1, came_ns, None, max_lead_ns, frozenset(KINDS))
    if is_neutral:
        return _neutral_line(envelope, raw, metadata)
    stream = envelope.stream or subject.rpartition(".")[2]
    if parse_stream(stream) is None:
        return None
    data = bytes(envelope.data) or raw.strip()
    # Outside of a JSON string, where it cannot stand, a newline is as good as a space.
    data = _NEWLINE.sub(b" ", data)
    received_at_ns = _said_ns(envelope)
    if received_at_ns is None or (max_lead_ns and received_at_ns > came_ns + max_lead_ns):
        # With the time of its arrival ingest would take from the recording what it refused as it came.
        if _is_refused_for_its_time(raw, metadata):
            return None
        received_at_ns = came_ns
    venue = b',"venue":%b' % msgspec.json.encode(envelope.venue) if isinstance(envelope.venue, str) else b""
    return b'{"stream":"%b","data":%b%b,"received_at":%d}' % (stream.encode(), data, venue, received_at_ns)


def _is_neutral(envelope: _Envelope) -> bool:
    """Whether a frame is a venue-neutral one, bare or in an envelope. Raises what is in UNREADABLE: no object."""
    schema = _payload_decoder.decode(envelope.data).schema if envelope.data else envelope.schema
    return isinstance(schema, str)


def _neutral_line(envelope: _Envelope, raw: bytes, metadata: FrameMetadata) -> bytes | None:
    """Return a venue-neutral frame as it is, with the time of its receipt where it says none."""
    if _is_refused_for_its_time(raw, metadata):
        return None
    unbroken = _NEWLINE.sub(b" ", raw.strip())
    return unbroken if envelope.received_at is not None else with_time(unbroken, metadata.ingested_at_ns)


def _said_ns(envelope: _Envelope) -> int | None:
    return timestamps.unix_ns(envelope.timestamp if envelope.received_at is None else envelope.received_at)


def _is_refused_for_its_time(raw: bytes, metadata: FrameMetadata) -> bool:
    outcome = frames.parse(raw, metadata)
    return isinstance(outcome, RefusedFrame) and outcome.reason in {"bad_time", "time_ahead"}


def check_file(path: Path, *, force: bool) -> None:
    """Raise RecordingError where `open_file` would, as far as that can be seen without making the file."""
    if path.exists() and not force:
        raise RecordingError(f"{path} is there already; --force replaces it")
    target = path if path.exists() else path.parent
    if not target.exists():
        raise RecordingError(f"can't write {path}: {os.strerror(errno.ENOENT)}")
    if path.is_dir() or not os.access(target, os.W_OK):
        raise RecordingError(f"can't write {path}: {os.strerror(errno.EISDIR if path.is_dir() else errno.EACCES)}")


def open_file(path: Path, *, force: bool) -> BinaryIO:
    """Open a new recording, gzipped when its name ends in .gz.

    Raises RecordingError: it is there, or can't be written.
    """
    try:
        if path.suffix == ".gz":
            return cast("BinaryIO", gzip.open(path, "wb" if force else "xb"))
        return path.open("wb" if force else "xb")
    except FileExistsError:
        raise RecordingError(f"{path} is there already; --force replaces it") from None
    except OSError as error:
        raise RecordingError(f"can't write {path}: {error.strerror or error}") from None


class Recorder:
    """Buffers frames and writes them to disk periodically."""

    def __init__(self, max_lead_ns: int = MAX_LEAD_NS) -> None:
        """Hold nothing yet; leave out what is further ahead of its receipt than `max_lead_ns`, as ingest does."""
        self._max_lead_ns = max_lead_ns
        self._held: list[bytes] = []
        self._throttle = LogThrottle()
        self.counts: Counter[str] = Counter()

    @property
    def has_room(self) -> bool:
        """Whether more frames may come."""
        return len(self._held) < _MAX_HELD

    def lose(self, count: int) -> None:
        """Count frames that a stream no longer had."""
        self.counts["lost"] += count

    def take(
        self,
        subject: str,
        raw: bytes,
        _headers: Mapping[str, str] | None = None,
        _seq: int = 0,
        stored_at_ns: int | None = None,
        /,
    ) -> None:
        """Hold one frame, or count it as left out."""
        recorded = line(subject, raw, stored_at_ns or time.time_ns(), self._max_lead_ns)
        if recorded is not None:
            self._held.append(recorded)
            self.counts["recorded"] += 1
            return
        self.counts["left_out"] += 1
        if self._throttle.allow():
            log.warning(
                "left out: no JSON object of a known stream, no venue-neutral frame, or no plausible time",
                subject=subject,
                so_far=self.counts["left_out"],
            )

    def write(self, file: BinaryIO) -> None:
        """Put what is held on the disk. Raises OSError: it is full."""
        file.writelines(held + b"\n" for held in self._held)
        self._held.clear()
        file.flush()

    async def keep_writing(self, file: BinaryIO) -> None:
        """Write endlessly. Raises OSError: the disk is full."""
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            self.write(file)


async def record(
    settings: Settings,
    path: Path,
    *,
    seconds: float | None,
    force: bool,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Record all of NATS_SUBJECTS, from the stream with INGEST_SOURCE=jetstream.

    It ends when it is cancelled, or `seconds` after the call, also while NATS is unavailable.
    No file is made before frames can come; from `on_listening` on none is missed. Raises RecordingError, SettingsError,
    and ServerUnavailableError: NATS was not there in all that time.
    """
    check_file(path, force=force)
    recorder, connection = Recorder(int(settings.max_clock_lead_s * 1e9)), FeedConnection(settings, "record")
    until_s = None if seconds is None else asyncio.get_running_loop().time() + seconds
    reader = StreamReader(connection, settings, lambda: recorder.has_room, recorder.lose)
    try:
        await _listen(settings, connection, recorder, reader, until_s)
        with open_file(path, force=force) as file:
            log.info("recording", subjects=settings.nats_subjects)
            on_listening()
            await _write(recorder, reader, connection, file, until_s)
    except OSError as error:
        raise RecordingError(f"can't write {path}: {error.strerror or error}") from None
    finally:
        await reader.close()
        await connection.close()
        log.info("the recording has ended", file=str(path), **recorder.counts)


async def _write(
    recorder: Recorder, reader: StreamReader, connection: FeedConnection, file: BinaryIO, until_s: float | None
) -> None:
    """Write until it is time, or this is cancelled, and then what has come by then.

    Raises OSError: the disk is full.
    """
    writing = asyncio.create_task(recorder.keep_writing(file))
    try:
        await asyncio.wait({writing}, timeout=until_s and max(0.0, until_s - asyncio.get_running_loop().time()))
    finally:
        await reader.close()
        await connection.close()
        await end(writing)
        if not writing.cancelled():
            writing.result()
        recorder.write(file)


async def _listen(
    settings: Settings, connection: FeedConnection, recorder: Recorder, reader: StreamReader, until_s: float | None
) -> None:
    try:
        async with asyncio.timeout_at(until_s):
            await connection.open()
            if settings.ingest_source == "jetstream":
                await reader.open(recorder.take)
            else:
                await listen(connection.client, ",".join(settings.frame_subjects.all), recorder.take)
    except TimeoutError:
        raise ServerUnavailableError(f"NATS at {mask(settings.nats_url)} was not there: nothing was recorded") from None
