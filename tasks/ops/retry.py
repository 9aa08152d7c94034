"""Puts dead letters through the whole path again: as frames, on NATS, and reads the results in the ledger.

An event counts only while its record has not moved past it: any later event of the same (pool, venue, symbol, kind)
makes it a repeat. So the record is asked first. A letter goes only when its event was seen to be applied.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from tasks.clients.nats_client import connect_once
from tasks.configuration import read
from tasks.events import KINDS, AnyEvent, Event
from tasks.frames import encoder, parse
from tasks.frames.model import FrameMetadata
from tasks.frames.subjects import FrameSubjects, in_partition
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.dead_letters import DeadLetterStore, StoredLetter
from tasks.ledger.reader import LedgerReader
from tasks.protocol import records
from tasks.protocol.dead_letters import QUEUE_ENTRY, DeadLetter
from tasks.protocol.records import Record
from tasks.protocol.routing import Router, partition, shard_of
from tasks.protocol.utc_time import utc_iso_ms
from tasks.settings import Settings

#: How many letters are looked at together.
CHUNK = 100
POLL_S = 0.02

Word = Literal["applied", "late", "again", "unclear", "not yet", "can't", "not tried"]


class RetryResult(NamedTuple):
    """Result of retrying a dead letter."""

    letter: StoredLetter
    word: Word
    why: str = ""


class RetryAttempt(NamedTuple):
    """A dead letter that can be retried."""

    letter: StoredLetter
    subject: str
    raw: bytes
    #: The frame's event; None: this release refuses it too.
    event: AnyEvent | None
    #: The pools that are to apply it.
    pools: tuple[str, ...] = ()

    @property
    def frame(self) -> tuple[str, bytes]:
        """The message on NATS: letters that have it in common are retried as one."""
        return self.subject, self.raw

    def recurs_in(self, other: DeadLetter) -> bool:
        """Whether a letter that was written since is about the same frame, or about its event in a pool of it."""
        if other.event is None or self.event is None:
            return (other.subject, other.raw) == self.frame
        same = records.field(other.event) == records.field(self.event) and other.event.id == self.event.id
        return same and (not self.pools or other.pool in self.pools)


def prepare(letter: StoredLetter, subjects: FrameSubjects) -> RetryAttempt | RetryResult:
    """Make a letter a frame again, or say why it can't be one; `subjects` are those that ingest listens to."""
    about = letter.letter
    if about.event is not None:
        subject = _placed(encoder.subject(subjects.patterns[0], encoder.stream(about.event)), subjects, about.event)
        return RetryAttempt(letter, subject, encoder.frame(about.event), about.event)
    if about.reason != "refused" or about.refusal == QUEUE_ENTRY:
        return RetryResult(letter, "can't", "it holds no frame and no event")
    if about.is_cut:
        return RetryResult(letter, "can't", f"only the first {len(about.raw)} bytes of the frame were kept")
    event = parse(about.raw, FrameMetadata(about.subject, 0, letter.at_ms * 1_000_000, kinds=frozenset(KINDS)))
    known = event if isinstance(event, Event) else None
    return RetryAttempt(letter, _placed(about.subject, subjects, known), about.raw, known)


def _placed(subject: str, subjects: FrameSubjects, event: AnyEvent | None) -> str:
    """Return a subject with the partition of an event, where frames are published by partition."""
    if not subjects.partitions:
        return subject
    if event is None:
        return subject if subjects.names(subject) else in_partition(subject, 0)
    return in_partition(subject, partition(event.venue, event.symbol, subjects.partitions))


def rounds(tries: Sequence[RetryAttempt]) -> Iterator[list[RetryAttempt]]:
    """Yield the tries in rounds: in each at most one event of a record, the events of a record by their ids."""
    left = sorted(tries, key=lambda each: each.event.id if each.event else 0)
    while left:
        frames: dict[str, tuple[str, bytes]] = {}
        now: list[RetryAttempt] = []
        later: list[RetryAttempt] = []
        for each in left:
            first = frames.setdefault(records.field(each.event), each.frame) if each.event else each.frame
            (now if first == each.frame else later).append(each)
        yield now
        left = later


async def retried(
    settings: Settings,
    reader: LedgerReader,
    letters: Iterable[StoredLetter],
    wait_s: float,
    on_sent: Callable[[StoredLetter], object] = lambda _: None,
) -> AsyncIterator[RetryResult]:
    """Retry letters over a connection of its own; yield a result for each. What is applied is removed.

    `on_sent` is called with each letter that is sent, before its result is known. Raises ServerUnavailableError: NATS
    does not answer.
    """
    nats, store = await connect_once(settings, "deadletters"), DeadLetterStore(reader)
    try:
        async for result in Retry(settings, reader, nats, wait_s, on_sent).run(letters):
            if result.word == "applied":
                store.drop([result.letter.id])
            yield result
    finally:
        with suppress(NatsError):
            await nats.close()


class Retry:
    """Retries dead letters, round by round."""

    def __init__(
        self,
        settings: Settings,
        reader: LedgerReader,
        nats: Client,
        wait_s: float,
        on_sent: Callable[[StoredLetter], object],
    ) -> None:
        """Wait so long at most for what becomes of the letters of a round."""
        self._settings, self._nats, self._wait_s, self._on_sent = settings, nats, wait_s, on_sent
        self._clients: tuple[Any, ...] = reader.clients
        self._keys, self._store = reader.keys, DeadLetterStore(reader)
        #: Up to which letter of each ledger those were read that come meanwhile.
        self._read_until = list[str]()
        store = ConfigurationStore(settings)
        version = store.version()
        self._router = Router((store.read(version) if version else read(settings.strategies_file)).routes())

    async def run(self, letters: Iterable[StoredLetter]) -> AsyncIterator[RetryResult]:
        """Yield a result for each letter. When nothing answers for a whole round, the rest is not tried."""
        letters, answers = iter(letters), True
        while chunk := list(islice(letters, CHUNK)):
            prepared = [prepare(each, self._settings.frame_subjects) for each in chunk]
            for each in prepared:
                if isinstance(each, RetryResult):
                    yield each
            for tries in rounds([each for each in prepared if isinstance(each, RetryAttempt)]):
                results = [result async for result in self._round(tries)] if answers else _untried(tries)
                answers = answers and any(result.word != "not yet" for result in results)
                for result in results:
                    yield result

    async def _round(self, tries: Sequence[RetryAttempt]) -> AsyncIterator[RetryResult]:
        open_: list[RetryAttempt] = []
        for each in tries:
            outcome = self._classify(each)
            if isinstance(outcome, RetryResult):
                yield outcome
            else:
                open_.append(outcome)
        self._read_until = self._store.newest_ids()
        for subject, raw in dict.fromkeys(each.frame for each in open_):
            await self._nats.publish(subject, raw)
            for each in open_:
                if each.frame == (subject, raw):
                    self._on_sent(each.letter)
        deadline_s = time.monotonic() + self._wait_s
        while open_ and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)
            for each, result in self._poll(open_):
                open_.remove(each)
                yield result
        for each in open_:
            yield RetryResult(each.letter, "not yet", f"nothing was seen of it within {self._wait_s:g} s")

    def _classify(self, tried: RetryAttempt) -> RetryAttempt | RetryResult:
        """Name the pools that have not moved past the event; late where there is none."""
        if tried.event is None:
            return tried
        event, pool = tried.event, tried.letter.letter.pool
        wanted = [lane.pool for lane in self._router.lanes_of(event.venue, event.symbol, event.kind)]
        if pool:
            wanted = [name for name in wanted if name == pool]
        if not wanted:
            return RetryResult(tried.letter, "can't", f"no pool takes it any more{f': {pool}' if pool else ''}")
        # A retry never begins a new generation of ids, however old the record is.
        stands = self._records(event, wanted)
        new = tuple(name for name, record in stands.items() if not record.has_passed(event))
        if new:
            return tried._replace(pools=new)
        last = min(stands.values(), key=lambda record: record.id)
        if event.exchange_id is None:
            at, last_at = utc_iso_ms(event.time_ms), utc_iso_ms(last.time_ms)
            return RetryResult(tried.letter, "late", f"its time is {at}, its record is at {last_at} already")
        return RetryResult(tried.letter, "late", f"its id is {event.id}, its record is at {last.id} already")

    def _records(self, event: AnyEvent, pools: Iterable[str]) -> dict[str, Record]:
        field = records.field(event)
        lanes = {lane.pool: lane for lane in self._router.lanes_of(event.venue, event.symbol, event.kind)}
        held = {name: self._clients[shard_of(lanes[name], len(self._clients))] for name in pools}
        return {name: records.unpack(client.hget(self._keys.pool(name), field)) for name, client in held.items()}

    def _poll(self, open_: Sequence[RetryAttempt]) -> list[tuple[RetryAttempt, RetryResult]]:
        # Records before letters: a commit writes both, so a record that has moved has its letter there.
        moved = [self._moved(each) for each in open_]
        new = [letter.letter for letter in self._store.after(self._read_until)]
        found: list[tuple[RetryAttempt, RetryResult]] = []
        for each, word in zip(open_, moved, strict=True):
            other = next((other for other in new if each.recurs_in(other)), None)
            if other is not None:
                found.append((each, RetryResult(each.letter, "again", other.refusal or other.reason)))
            elif word == "applied":
                found.append((each, RetryResult(each.letter, "applied", ", ".join(each.pools))))
            elif word == "unclear":
                why = "its record moved past it meanwhile: it was applied just before, or came too late"
                found.append((each, RetryResult(each.letter, "unclear", why)))
        return found

    def _moved(self, tried: RetryAttempt) -> Word | None:
        if tried.event is None:
            return None
        return moved(tried.event, self._records(tried.event, tried.pools).values())


def moved(event: AnyEvent, stands: Collection[Record]) -> Literal["applied", "unclear"] | None:
    """Return what the records of its pools tell of an event that was sent again; None: nothing yet."""
    passed = [record for record in stands if record.has_passed(event)]
    if any(record.id > event.id for record in passed):
        return "unclear"
    return "applied" if len(passed) == len(stands) else None


def _untried(tries: Iterable[RetryAttempt]) -> list[RetryResult]:
    return [RetryResult(each.letter, "not tried", "nothing answered to those before it") for each in tries]
