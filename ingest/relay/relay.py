"""The relay: signals from the ledger's stream to NATS, with an id to drop repeats by.

It reads as a consumer group: first what an earlier relay had taken and not acknowledged, then what is new. A signal
is acknowledged in the ledger when NATS has it: a stream has stored it, where one takes its subject, else the server has
dealt with it. So a stream gets each at least once, and who subscribes without one at most once after that.

Where NATS does not let us publish a subject, its signals wait unacknowledged, in their order, and are tried again every
TRIM_INTERVAL_S; those that a stream does not take, every RETRY_S. Others go on.
"""

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from operator import methodcaller
from typing import Any, NamedTuple

import structlog
from nats.errors import ConnectionReconnectingError
from nats.errors import TimeoutError as NatsTimeoutError
from redis.exceptions import ResponseError

from ingest.counters import Counters
from ingest.ledger.relayed_ledger import RelayedLedger
from ingest.relay.outgoing_signal import Fate, OutgoingSignal, decide
from ingest.relay.signal_streams import SignalStreams
from ingest.relay.stream_publishing import ANSWER_S, StreamPublishing
from ingest.transport.flush import confirming_publishes
from tasks.ledger import LedgerKeys, script
from tasks.ledger.lease import NotLeadingError
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

GROUP = "relay"
CONSUMER = "relay"
CHUNK = 256
BLOCK_MS = 500
TRIM_INTERVAL_S = 10.0
#: How often what a stream did not take is tried again.
RETRY_S = 1.0
#: What was read so long ago and is not acknowledged is read again.
ABANDONED_MS = 10_000
#: So many subjects that NATS refuses are remembered; signals of others are tried, and refused, each for itself.
MAX_REFUSED = 10_000
log = structlog.get_logger()

Entry = tuple[bytes, dict[bytes, bytes]]
#: By the name of their entry, in their order.
_Signals = dict[bytes, OutgoingSignal]


class _StoreOutcome(NamedTuple):
    """Result of publishing signals into a stream: what it will never take, and what waits. It has the others."""

    buried: Mapping[bytes, Fate]
    waiting: set[bytes]


class Relay:
    """Publishes the committed signals on NATS."""

    def __init__(
        self,
        settings: Settings,
        ledger: RelayedLedger,
        streams: SignalStreams,
        counters: Counters,
        show: Callable[[bytes, bytes], None],
        trim_interval_s: float = TRIM_INTERVAL_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        """`show` takes the stream's entry and the signal, once it went out; a stream may take `answer_s` to answer."""
        self._settings, self._streams, self._counters, self._show = settings, streams, counters, show
        self._nats, self._publishing = streams.client, StreamPublishing(streams.client, answer_s)
        self._redis, self._lease, self._confirmation = ledger.client, ledger.lease, ledger.confirmation
        self._keys = LedgerKeys(settings.namespace)
        self._trim = self._redis.register_script(script("trim"))
        self._ack = self._redis.register_script(script("acknowledge"))
        self._trimmed_s, self._trim_interval_s = 0.0, trim_interval_s
        #: Subjects that NATS was found to refuse since what is pending was last tried, in lower case.
        self._refused: set[str] = set()
        #: Streams that did not take a signal since then.
        self._stuck: set[str] = set()
        self._tried_s = 0.0
        self._throttle = LogThrottle()

    async def run(self) -> None:
        """Relay endlessly. Raises what Redis and NATS raise; what was not acknowledged comes again in the next run."""
        try:
            await self._redis.xgroup_create(self._keys.signals, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        await self._relay_pending()
        while True:
            await self.relay_new(BLOCK_MS)
            if self._stuck and time.monotonic() - self._tried_s >= RETRY_S:
                # Of what a stream does not take, which may be very much, the first ones tell enough.
                await self._relay_pending(until_stuck=True)
            if time.monotonic() - self._trimmed_s >= self._trim_interval_s:
                # A leader that was replaced in the middle of a read leaves what it was given behind.
                # What NATS refused is all ours, the latest too: the older ones go first when it takes them.
                await self._relay_pending(0 if self._refused or self._stuck else ABANDONED_MS)
                await self._trim(keys=[self._keys.signals], args=[GROUP, self._settings.signals_keep])
                self._trimmed_s = time.monotonic()

    async def relay_new(self, block_ms: int | None) -> int:
        """Relay what is new; return how many signals that were."""
        self._check_lease()
        new = {self._keys.signals: ">"}
        asked = methodcaller(
            "xreadgroup", groupname=GROUP, consumername=CONSUMER, streams=new, count=CHUNK, block=block_ms
        )
        entries = _entries(await self._confirmation.answer(asked))
        if refused := await self._publish(entries):
            self._counters.add("held", "refused", by=refused)
        return len(entries)

    async def _relay_pending(self, idle_ms: int = 0, *, until_stuck: bool = False) -> None:
        self._refused.clear()
        self._stuck.clear()
        self._tried_s = time.monotonic()
        start: Any = "0-0"
        while True:
            options = {"min_idle_time": idle_ms, "start_id": start, "count": CHUNK}
            asked = methodcaller(
                "xautoclaim", name=self._keys.signals, groupname=GROUP, consumername=CONSUMER, **options
            )
            start, entries, *_ = await self._confirmation.answer(asked)
            await self._publish(entries)
            if start in (b"0-0", "0-0") or (self._stuck and until_stuck):
                return

    @property
    def waits_for_streams(self) -> bool:
        """Whether signals wait that a stream did not take: it may be full, or without a leader for a moment."""
        return bool(self._stuck)

    async def drain(self) -> bool:
        """Relay until nothing is left but what NATS does not take; return whether nothing is."""
        await self._relay_pending()
        while await self.relay_new(None):
            pass
        return not (self._refused or self._stuck)

    async def _publish(self, entries: list[Entry]) -> int:
        """Publish, bury or drop entries, and acknowledge them; return how many NATS does not take, which are not."""
        if not entries:
            return 0
        self._check()
        if not self._streams.known:
            await self._streams.ask()
            if not self._streams.known:
                raise NatsTimeoutError
        fates = {name: decide(fields, self._settings, self._nats.max_payload) for name, fields in entries}
        by_stream: dict[str, _Signals] = {}
        for name, fate in fates.items():
            if isinstance(fate, OutgoingSignal):
                by_stream.setdefault(self._streams.of(fate.subject), {})[name] = fate
        waiting = await self._publish_plainly(by_stream.pop("", {}))
        for stream, signals in by_stream.items():
            stored = await self._store(stream, signals)
            fates |= stored.buried
            waiting |= stored.waiting
        self._check()
        await self._finish({name: fate for name, fate in fates.items() if name not in waiting})
        return len(waiting)

    async def _publish_plainly(self, signals: _Signals) -> set[bytes]:
        """Publish signals that no stream takes; return those that this login may not publish."""
        if not signals:
            return set()
        async with confirming_publishes(self._nats) as refused:
            for fate in signals.values():
                if fate.subject.lower() not in self._refused:
                    await self._nats.publish(fate.subject, fate.packed, headers=fate.headers)
        self._remember(refused)
        return self._refused_of(signals, refused)

    async def _store(self, stream: str, signals: _Signals) -> _StoreOutcome:
        """Publish signals into a stream, in their order."""
        buried: dict[bytes, Fate] = {}
        refused = self._refused_of(signals, set())
        left = [name for name in signals if name not in refused]
        while left and stream not in self._stuck:
            result = await self._publishing.publish([signals[name] for name in left])
            left = left[result.stored :]
            if result.is_too_large:
                packed = signals[left[0]].packed
                buried[left.pop(0)] = dead_letters.signal_refused(packed, stream, result.why)
            elif result.why:
                self._stick(stream, result.why)
            else:
                self._remember(result.refused)
                refused |= self._refused_of({name: signals[name] for name in left}, result.refused)
                left = [name for name in left if name not in refused]
        if stream not in self._stuck:
            self._streams.refusals.pop(stream, None)
        return _StoreOutcome(buried, {*left, *refused})

    def _stick(self, stream: str, why: str) -> None:
        self._check()
        self._stuck.add(stream)
        self._streams.refusals[stream] = why
        self._streams.doubt()

    async def _finish(self, done: Mapping[bytes, Fate]) -> None:
        await self._acknowledge(done)
        for name, fate in done.items():
            if isinstance(fate, OutgoingSignal):
                self._counters.add("relayed")
                self._show(name, fate.packed)
            elif isinstance(fate, DeadLetter):
                self._counters.add("unpublishable")
            else:
                self._counters.add("held", fate)

    async def _acknowledge(self, done: Mapping[bytes, Fate]) -> None:
        if not done:
            return
        letters = [dead_letters.pack(letter) for letter in done.values() if isinstance(letter, DeadLetter)]
        arguments: list[Any] = [GROUP, dead_letters.KEEP, len(letters), *letters, *done]
        await self._ack(keys=[self._keys.signals, self._keys.deadletters], args=arguments)

    def _refused_of(self, signals: _Signals, lately: AbstractSet[str]) -> set[bytes]:
        """Return those of some signals that this login may not publish; `lately` are subjects found just now."""
        return {name for name, fate in signals.items() if fate.subject.lower() in self._refused | lately}

    def _remember(self, refused: AbstractSet[str]) -> None:
        room = MAX_REFUSED - len(self._refused)
        self._refused.update(list(refused)[:room])
        if refused and self._throttle.allow():
            log.error(
                "NATS does not let this login publish signals: they wait (SIGNAL_SUBJECT, or its rights)",
                subjects=sorted(refused)[:5],
            )

    def _check_lease(self) -> None:
        # One that was stopped and wakes up must not publish what its successor publishes too.
        if not self._lease.held:
            raise NotLeadingError

    def _check(self) -> None:
        self._check_lease()
        if not self._nats.is_connected:
            raise ConnectionReconnectingError


def _entries(answer: Any) -> list[Entry]:
    """Take the entries of the one stream out of an XREADGROUP reply: [[stream, entries]], or nothing."""
    return [entry for _, entries in answer or () for entry in entries]
