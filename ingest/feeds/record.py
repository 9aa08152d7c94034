"""Writes what comes over NATS into a recording: the payloads' bytes unchanged, one envelope a line."""

import asyncio
import gzip
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import structlog
from nats.aio.msg import Msg

from ingest.feeds.publisher import Connection
from ingest.listening import listen
from tasks.errors import UNREADABLE, RecordingError, SettingsError
from tasks.frame_parts import parse_stream
from tasks.rarely import Rarely
from tasks.settings import Settings

log = structlog.get_logger()

#: How much a crash can take with it, in seconds.
_WRITE_EVERY_S = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEWLINE = re.compile(rb"[\r\n]+")


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    received_at: int | None = None
    timestamp: str | None = None


_decoder = msgspec.json.Decoder(_Envelope)


def line(subject: str, raw: bytes, now_ns: int) -> bytes | None:
    """Give the line of a recording for a frame, without the newline; None: it is no JSON object of a known stream."""
    try:
        envelope = _decoder.decode(raw)
    except UNREADABLE:
        return None
    stream = envelope.stream or subject.rpartition(".")[2]
    if parse_stream(stream) is None:
        return None
    data = bytes(envelope.data) or raw.strip()
    # Outside of a JSON string, where it cannot stand, a newline is as good as a space.
    data = _NEWLINE.sub(b" ", data)
    return b'{"stream":"%b","data":%b,"received_at":%d}' % (stream.encode(), data, _received_at_ns(envelope, now_ns))


def _received_at_ns(envelope: _Envelope, now_ns: int) -> int:
    said_ns = _said_ns(envelope)
    # Nothing else can be read back.
    return said_ns if said_ns is not None and 0 < said_ns < 2**63 else now_ns


def _said_ns(envelope: _Envelope) -> int | None:
    if envelope.received_at is not None and envelope.received_at > 0:
        return envelope.received_at
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(envelope.timestamp or "")
        # A time without a zone is UTC. Whole microseconds: a float would lose some.
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
        return since // timedelta(microseconds=1) * 1000
    return None


def open_file(path: Path, *, force: bool) -> BinaryIO:
    """Open a new recording, gzipped when its name ends in .gz. Raises RecordingError: it is there, or can't be written."""
    try:
        if path.suffix == ".gz":
            return cast("BinaryIO", gzip.open(path, "wb" if force else "xb"))
        return path.open("wb" if force else "xb")
    except FileExistsError:
        raise RecordingError(f"{path} is there already; --force replaces it") from None
    except OSError as error:
        raise RecordingError(f"can't write {path}: {error.strerror or error}") from None


class Recorder:
    """Takes frames and writes them to the disk once in a while."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: list[bytes] = []
        self._rarely = Rarely()
        self.counts: Counter[str] = Counter()

    async def on_message(self, message: Msg) -> None:
        """Hold one frame, or count it as left out."""
        recorded = line(message.subject, message.data, time.time_ns())
        if recorded is not None:
            self._held.append(recorded)
            self.counts["recorded"] += 1
            return
        self.counts["left_out"] += 1
        if self._rarely:
            log.warning(
                "left out: no JSON object of a known stream", subject=message.subject, so_far=self.counts["left_out"]
            )

    def write(self, file: BinaryIO) -> None:
        """Put what is held on the disk. Raises OSError: it is full."""
        file.writelines(held + b"\n" for held in self._held)
        self._held.clear()
        file.flush()

    async def keep_writing(self, file: BinaryIO) -> None:
        """Write for ever. Raises OSError: the disk is full."""
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
    """Record all of NATS_SUBJECTS for `seconds`, or until it is cancelled; from `on_listening` on no frame is missed.

    Raises RecordingError and SettingsError.
    """
    recorder, opened = Recorder(), open_file(path, force=force)
    try:
        with opened as file:
            await _listen(settings, recorder, file, seconds, on_listening)
    except OSError as error:
        raise RecordingError(f"can't write {path}: {error.strerror or error}") from None
    except SettingsError:
        # Nothing was recorded, and the next try is not to find it in its way.
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise
    finally:
        log.info("the recording has ended", file=str(path), **recorder.counts)


async def _listen(
    settings: Settings, recorder: Recorder, file: BinaryIO, seconds: float | None, on_listening: Callable[[], None]
) -> None:
    connection = Connection(settings)
    try:
        await connection.open()
        await listen(connection.client, settings.nats_subjects, recorder.on_message)
        log.info("recording", subjects=settings.nats_subjects)
        on_listening()
        with suppress(TimeoutError):
            await asyncio.wait_for(recorder.keep_writing(file), seconds)
    finally:
        await connection.close()
        recorder.write(file)
