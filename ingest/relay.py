"""The relay: signals from the ledger's stream to NATS, at least once, with an id to drop repeats by.

It reads as a consumer group: first what an earlier relay had taken and not acknowledged, then what is new. A signal
is acknowledged when NATS has it. Where NATS does not let us publish a subject, its signals wait unacknowledged, in
their order, and are tried again every TRIM_INTERVAL_S; others go on.
"""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import structlog
from nats.errors import ConnectionReconnectingError
from redis.exceptions import ResponseError

from ingest.counters import Counters
from ingest.ledger import IngestLedger
from ingest.ledger.lease import NotLeadingError
from ingest.transport.flush import confirming_publishes
from tasks.clients.nats_client import NatsClient
from tasks.errors import UNREADABLE
from tasks.frames import symbols
from tasks.ledger import LedgerKeys, script
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tasks.telemetry import trace_context
from tasks.telemetry.log_throttle import LogThrottle

GROUP = "relay"
CONSUMER = "relay"
CHUNK = 256
BLOCK_MS = 500
TRIM_INTERVAL_S = 10.0
#: What was read so long ago and is not acknowledged is read again.
ABANDONED_MS = 10_000
#: NATS counts the headers to the payload: their frame, beside the id.
HEADERS_BYTES = len(b"NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")
#: NATS ends a connection whose line is longer than 4,096 bytes.
MAX_SUBJECT_BYTES = 1_024
#: So many subjects that NATS refuses are remembered; signals of others are tried, and refused, each for itself.
MAX_REFUSED = 10_000
log = structlog.get_logger()

Entry = tuple[bytes, dict[bytes, bytes]]


class _Head(msgspec.Struct):
    """The fields of a signal that the relay reads."""

    id: str
    strategy: str
    symbol: str
    action: str
    event_time_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    metadata: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Head).decode


class _OutgoingSignal(NamedTuple):
    """A signal that is ready to be published."""

    subject: str
    packed: bytes
    headers: dict[str, str]


#: What is to become of an entry: it is published, buried, or held back for a reason.
_Fate = _OutgoingSignal | DeadLetter | Literal["stale"]


class Relay:
    """Publishes the committed signals on NATS."""

    def __init__(
        self,
        settings: Settings,
        ledger: IngestLedger,
        nats: NatsClient,
        counters: Counters,
        show: Callable[[bytes, bytes], None],
        trim_interval_s: float = TRIM_INTERVAL_S,
    ) -> None:
        """`show` takes the stream's entry and the signal, once it went out."""
        self._settings, self._nats, self._counters, self._show = settings, nats, counters, show
        self._redis, self._lease = ledger.client, ledger.lease
        self._keys = LedgerKeys(settings.namespace)
        self._trim = self._redis.register_script(script("trim"))
        self._ack = self._redis.register_script(script("acknowledge"))
        self._trimmed_s, self._trim_interval_s = 0.0, trim_interval_s
        #: Subjects that NATS was found to refuse since what is pending was last tried, in lower case.
        self._refused: set[str] = set()
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
            if time.monotonic() - self._trimmed_s >= self._trim_interval_s:
                # A leader that was replaced in the middle of a read leaves what it was given behind.
                # What NATS refused is all ours, the latest too: the older ones go first when it takes them.
                await self._relay_pending(0 if self._refused else ABANDONED_MS)
                await self._trim(keys=[self._keys.signals], args=[GROUP, self._settings.signals_keep])
                self._trimmed_s = time.monotonic()

    async def relay_new(self, block_ms: int | None) -> int:
        """Relay what is new; return how many signals that were."""
        self._check_lease()
        answer: Any = await self._redis.xreadgroup(
            GROUP, CONSUMER, {self._keys.signals: ">"}, count=CHUNK, block=block_ms
        )
        entries = _entries(answer)
        if refused := await self._publish(entries):
            self._counters.add("held", "refused", by=refused)
        return len(entries)

    async def _relay_pending(self, idle_ms: int = 0) -> None:
        self._refused.clear()
        start: Any = "0-0"
        while True:
            start, entries, *_ = await self._redis.xautoclaim(
                self._keys.signals, GROUP, CONSUMER, min_idle_time=idle_ms, start_id=start, count=CHUNK
            )
            await self._publish(entries)
            if start in (b"0-0", "0-0"):
                return

    async def drain(self) -> bool:
        """Relay until nothing is left but what NATS refuses; return whether nothing is."""
        await self._relay_pending()
        while await self.relay_new(None):
            pass
        return not self._refused

    async def _publish(self, entries: list[Entry]) -> int:
        """Publish, bury or drop entries, and acknowledge them; return how many NATS refuses, which are not."""
        if not entries:
            return 0
        self._check()
        fates = [(name, self._decide(fields)) for name, fields in entries]
        async with confirming_publishes(self._nats) as refused:
            for _, fate in fates:
                if isinstance(fate, _OutgoingSignal) and not _is_in(self._refused, fate):
                    await self._nats.publish(fate.subject, fate.packed, headers=fate.headers)
        self._check()
        self._remember(refused)
        done = [(name, fate) for name, fate in fates if not _is_in(self._refused | refused, fate)]
        await self._acknowledge(done)
        for name, fate in done:
            if isinstance(fate, _OutgoingSignal):
                self._counters.add("relayed")
                self._show(name, fate.packed)
            elif isinstance(fate, DeadLetter):
                self._counters.add("unpublishable")
            else:
                self._counters.add("held", fate)
        return len(fates) - len(done)

    async def _acknowledge(self, done: list[tuple[bytes, _Fate]]) -> None:
        if not done:
            return
        letters = [dead_letters.pack(letter) for _, letter in done if isinstance(letter, DeadLetter)]
        arguments: list[Any] = [GROUP, dead_letters.KEEP, len(letters), *letters, *(name for name, _ in done)]
        await self._ack(keys=[self._keys.signals, self._keys.deadletters], args=arguments)

    def _remember(self, refused: set[str]) -> None:
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

    def _decide(self, fields: dict[bytes, bytes]) -> _Fate:
        packed = fields.get(b"signal", b"")
        try:
            head = _decode(packed)
        except UNREADABLE as error:
            return dead_letters.no_signal(packed, error)
        age_s = time.time() - head.event_time_ms / 1000
        if 0 < self._settings.signal_max_age_s < age_s:
            return "stale"
        subject = self._settings.signal_subject.format(
            strategy=_token(head.strategy),
            symbol=symbols.token(head.symbol),
            action=head.action,
            venue=symbols.token(head.metadata.get("venue", "")),
        )
        size = len(packed) + HEADERS_BYTES + len(head.id.encode())
        if size > self._nats.max_payload:
            return dead_letters.signal_too_large(packed, size, self._nats.max_payload)
        if not _is_subject(subject):
            return dead_letters.no_subject(packed, subject)
        headers = {"Nats-Msg-Id": head.id}
        trace = trace_context.headers(fields.get(b"trace", b"").decode(errors="replace"))
        # A signal that is almost too large goes without.
        if size + sum(len(f"{name}: {value}\r\n") for name, value in trace.items()) <= self._nats.max_payload:
            headers |= trace
        return _OutgoingSignal(subject, packed, headers)


def _is_in(refused: AbstractSet[str], fate: _Fate) -> bool:
    return isinstance(fate, _OutgoingSignal) and fate.subject.lower() in refused


def _is_subject(subject: str) -> bool:
    """Return whether NATS takes a message under `subject`: it ends the connection over some that it does not take."""
    tokens = subject.split(".")
    return len(subject.encode()) <= MAX_SUBJECT_BYTES and all(
        token and token.isprintable() and not set(token) & set("*> ") for token in tokens
    )


def _token(name: str) -> str:
    """Return the name as one NATS token: `_` for each sign that a token can't have."""
    return "".join("_" if sign in ".*> \t:" else sign for sign in name)


def _entries(answer: Any) -> list[Entry]:
    """Take the entries of the one stream out of an XREADGROUP reply: [[stream, entries]], or nothing."""
    return [entry for _, entries in answer or () for entry in entries]
