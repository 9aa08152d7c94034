"""Puts recordings on NATS again: their bytes unchanged, at their own pace, faster, or as fast as ingest takes them."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from nats.errors import Error, NoRespondersError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.feeds.publisher import Publisher
from ingest.feeds.publishing import publishing
from tasks import frames
from tasks.cli import command_line
from tasks.cli.command_line import Console
from tasks.clients.redis_client import FAILED
from tasks.errors import LedgerError, RecordingError
from tasks.events import KINDS, AnyEvent, Event
from tasks.frames import model
from tasks.history import recordings
from tasks.history.input_options import ALL, InputOptions
from tasks.history.input_report import InputReport, SalvageReport
from tasks.history.recordings import RecordingLine
from tasks.protocol.ingest_status import STATUS_SUBJECT, IngestStatus, decode
from tasks.settings import Settings, mask
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: Lines between two looks at how full ingest is.
CHUNK_LINES = 256
#: Ingest is given no more while it holds this many frames, or half its bound of bytes.
FULL_FRAMES = 20_000
_ASK_S = 1.0
_POLL_S = 0.02
_POLL_MAX_S = 0.25
#: A longer wait for the next line is logged.
_LONG_S = 30.0
#: How many lines of a file are searched for its first event.
_HEAD_LINES = 1000
#: Instead of a stream's name: to a subject that ends in a dot nobody can subscribe.
_NAMELESS = "nameless"

AlreadyPast = Callable[[AnyEvent], bool]


class RecordingOverview(NamedTuple):
    """Overview of recordings: number of lines and the time of the first one."""

    lines: int
    first_ns: int


def survey(
    paths: list[Path], report: InputReport = recordings.STRICT, options: InputOptions = ALL
) -> RecordingOverview:
    """Read all files once, so that a damaged one is refused before anything is published. Raises RecordingError."""
    recordings.refuse_pipes(paths, "a replay looks it through before it begins")
    lines, first_ns = 0, 0
    for line in recordings.merge(paths, report, options):
        first_ns = first_ns or line.received_at_ns
        lines += 1
    if not lines:
        raise RecordingError(f"nothing to replay: {options.nothing(paths)}")
    return RecordingOverview(lines, first_ns)


def first_event(path: Path, report: InputReport = recordings.STRICT, options: InputOptions = ALL) -> AnyEvent | None:
    """Return the first event at the head of a recording; None when there is none."""
    for seq, line in enumerate(itertools.islice(recordings.read(path, report, options), _HEAD_LINES), start=1):
        metadata = model.FrameMetadata(f"binance.{line.stream}", seq, line.received_at_ns, kinds=frozenset(KINDS))
        event = frames.parse(line.raw, metadata)
        if isinstance(event, Event):
            return event
    return None


def refuse_if_past(
    settings: Settings,
    paths: list[Path],
    already_past: AlreadyPast,
    report: InputReport = recordings.STRICT,
    options: InputOptions = ALL,
) -> None:
    """Raise LedgerError when the ledger has seen the beginning of a file; warn when there is no ledger to ask."""
    for path in paths:
        event = first_event(path, report, options)
        try:
            is_past = event is not None and already_past(event)
        except FAILED as error:
            log.warning("can't ask the ledger: Redis is unavailable", where=mask(settings.ledger), why=str(error))
            return
        if is_past:
            raise LedgerError(
                f"NAMESPACE {settings.namespace!r} is already past {path}: its events would be dropped as repeats. "
                f"Set NAMESPACE to a new name, for ingest, workers and replay, to play it once more."
            )


class Replay:
    """One replay in progress."""

    def __init__(self, publisher: Publisher, overview: RecordingOverview, speed: float | None) -> None:
        """Play `speed` times as fast as it was recorded; None: as fast as ingest takes it."""
        self._publisher = publisher
        self._overview = overview
        self._speed = speed
        self._started_s = time.monotonic()
        self._asks = True
        self._answered = False
        self._throttle = LogThrottle()

    async def run(self, lines: Iterator[RecordingLine], advance: Callable[[int], None]) -> None:
        """Publish all lines; `advance` is called with the size of each chunk that is published."""
        while chunk := list(itertools.islice(lines, CHUNK_LINES)):
            await self._until_there_is_room()
            for line in chunk:
                await self._until_due(line)
                await self._publisher.put(line.stream or _NAMELESS, line.raw)
            advance(len(chunk))
        await self._publisher.settle()

    async def _until_due(self, line: RecordingLine) -> None:
        if self._speed is None:
            return
        due_s = self._started_s + (line.received_at_ns - self._overview.first_ns) / 1e9 / self._speed
        ahead_s = due_s - time.monotonic()
        if ahead_s > _LONG_S:
            why = "a gap in the recording, or a clock that was ahead; --speed max does not wait"
            log.warning("the next frame is not due for long", wait_s=round(ahead_s), why=why)
        if ahead_s > 0.001:
            await asyncio.sleep(ahead_s)

    async def _until_there_is_room(self) -> None:
        pause_s = _POLL_S
        while self._asks and not await self._has_room():
            await asyncio.sleep(pause_s)
            pause_s = min(_POLL_MAX_S, pause_s * 1.5)

    async def _has_room(self) -> bool:
        """Return whether ingest has room.

        One that never answered is not waited for; one that did is, until it is back.
        """
        await self._publisher.wait()
        try:
            answer = await self._publisher.client.request(STATUS_SUBJECT, b"", timeout=_ASK_S)
            status = decode(answer.data)
        except (Error, msgspec.DecodeError) as error:
            if isinstance(error, NoRespondersError) and not self._answered:
                self._asks = False
                log.warning("no ingest answers on NATS: publishing without waiting for one", subject=STATUS_SUBJECT)
                return True
            if self._throttle.allow():
                log.warning("waiting until ingest says how full it is", why=str(error) or type(error).__name__)
            return False
        self._answered = True
        return not _is_full(status)


def _is_full(status: IngestStatus) -> bool:
    return status.held_bytes > status.bound_bytes / 2 or status.held_frames > FULL_FRAMES


async def replay(
    settings: Settings,
    paths: list[Path],
    speed: float | None,
    already_past: AlreadyPast,
    options: InputOptions = ALL,
    *,
    salvage: bool = False,
) -> None:
    """Publish `paths`, merged by the time they were received; with `salvage` the readable part of damaged ones.

    Raises RecordingError and LedgerError before it begins.
    """
    overview = survey(paths, SalvageReport(log.warning) if salvage else InputReport(log.warning), options)
    # The survey has told what there is to tell.
    report = SalvageReport() if salvage else recordings.STRICT
    refuse_if_past(settings, paths, already_past, report, options)
    console = command_line.Console(stderr=True)
    with _progress(console) as progress:
        advance = partial(progress.advance, progress.add_task("replay", total=overview.lines))
        async with publishing(settings) as publisher:
            lines = recordings.merge(paths, report, options)
            await Replay(publisher, overview, speed).run(lines, advance)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.speed:,.0f}/s"))
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
