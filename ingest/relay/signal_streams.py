"""Which JetStream streams keep the signals, as far as is known: asked every few seconds, and when one is in doubt."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from ingest.relay.outgoing_signal import every_subject
from ingest.sources.stream_setup import take
from ingest.transport import stream_state
from ingest.transport.stream_state import StreamState
from tasks.clients.nats_client import NatsClient
from tasks.protocol.findings import Finding
from tasks.settings import Settings

LIST = "$JS.API.STREAM.LIST"
#: How long an answer may take.
ANSWER_S = 2.0
#: A stream that the answers have left out for so long is gone: a server that shuts down may leave it out before.
GONE_S = 2.0
#: After so long, a login that may not ask tries again.
FORBIDDEN_S = 600.0
#: One answer may be late.
SILENCES = 2
log = structlog.get_logger()


class SignalStreams:
    """The streams that take signals, and what stands against their taking them."""

    def __init__(self, settings: Settings, client: NatsClient, now: Callable[[], float] = time.monotonic) -> None:
        self.client, self._now = client, now
        self._subjects = every_subject(settings)
        self._streams: Sequence[StreamState] = ()
        #: Whether the last answer still counts.
        self.known = False
        #: Why there is no answer, and how often in succession.
        self._silence, self._silences = "", 0
        #: Since when the answers leave out a stream that was there.
        self._left_out_s: float | None = None
        #: Until when this login, which may not ask, is not asked for again: each time the server logs it.
        self._forbidden_until_s, self._connection = 0.0, 0
        #: Streams that took signals and are gone.
        self._gone: tuple[str, ...] = ()
        #: By stream: why it did not take the last signal.
        self.refusals: dict[str, str] = {}
        #: One at a time asks.
        self._asking = asyncio.Lock()

    def of(self, subject: str) -> str:
        """Return the name of the stream that takes a subject; empty: none does."""
        return next((each.name for each in self._streams if take(each.subjects, subject)), "")

    def doubt(self) -> None:
        """Note that what is known may be outdated."""
        self.known = False

    async def ask(self) -> None:
        """Ask for the streams. Without an answer those that are known stay so. Never raises what NATS raises."""
        async with self._asking:
            if self._is_forbidden():
                self.known = True
            elif self.client.is_connected:
                await self._ask()

    async def _ask(self) -> None:
        payload = msgspec.json.encode({"subject": self._subjects})
        try:
            answer = await self.client.ask(LIST, payload, ANSWER_S)
        except NoRespondersError:
            self._take("nobody answers to its requests" if self.client.has_jetstream or self._streams else [])
            return
        except NatsError as error:
            self._take(str(error) or type(error).__name__)
            return
        if answer is None:
            self._forbidden_until_s, self._connection = self._now() + FORBIDDEN_S, self.client.stats["reconnects"]
            self.known, self._silences = True, 0
            return
        found = stream_state.read_list(answer)
        # A server that starts or shuts down says so too: it counts only where no stream was known.
        self._take(("it is not enabled" if self._streams else []) if found is None else found)

    def _take(self, found: list[StreamState] | str) -> None:
        if isinstance(found, str):
            self._silence, self._silences = found, self._silences + 1
            return
        self._silences = 0
        names = {stream.name for stream in found}
        missing = [stream for stream in self._streams if stream.name not in names]
        if missing and not self._has_gone():
            found = [*found, *missing]
        elif missing:
            self._gone = tuple(stream.name for stream in missing)
            log.warning("a stream of signals is gone", streams=self._gone)
        if not missing:
            self._left_out_s = None
        if new := names - {stream.name for stream in self._streams}:
            self._gone = ()
            log.info("a stream takes signals: the relay waits for its answers", streams=sorted(new))
        self._streams, self.known = found, True
        self.refusals = {name: why for name, why in self.refusals.items() if name in {each.name for each in found}}

    def _has_gone(self) -> bool:
        if self._left_out_s is None:
            self._left_out_s = self._now()
        if self._now() - self._left_out_s < GONE_S:
            return False
        self._left_out_s = None
        return True

    # What is found

    def findings(self) -> Iterator[Finding]:
        """Yield why signals wait, and why what is published may be lost."""
        if self._silences >= SILENCES and (self._streams or not self.known):
            yield _waiting(
                "JetStream",
                f"does not say which streams take signals ({self._silence})",
                "see to NATS: `./run tasks doctor` says what it answers",
            )
        troubles = {each.name: each.trouble for each in self._streams if each.trouble}
        for name, why in {**{name: f"refuses them: {why}" for name, why in self.refusals.items()}, **troubles}.items():
            do = f"make room, or mend it: `nats stream info {name}`; the signals go out by themselves then"
            yield _waiting(f"stream {name}", why, do)
        yield from self._unkept()

    def _unkept(self) -> Iterator[Finding]:
        if self._is_forbidden() and self.client.has_jetstream:
            says = f"this login may not ask which streams keep signals ({LIST}): they are published at most once"
            yield _lossy(
                "NATS",
                says,
                "give it the right (docs/security.md), or ignore this if no stream keeps signals (`nats stream ls`)",
            )
        if self._gone:
            says = f"{_named(self._gone)} no longer takes signals: they are published at most once"
            yield _lossy(
                "signals", says, "make the stream again (`nats stream add`); if it is not wanted, restart ingest"
            )
        elif partial := [each.name for each in self._streams if not self._takes_all(each)]:
            says = f"{_named(partial)} takes only some of {self._subjects}: the others are published at most once"
            yield _lossy("signals", says, f"`nats stream edit {partial[0]} --subjects`, if it should take all")

    def _is_forbidden(self) -> bool:
        # Another login, or other rights, come with another connection at the latest.
        return self._now() < self._forbidden_until_s and self.client.stats["reconnects"] == self._connection

    def _takes_all(self, stream: StreamState) -> bool:
        return take(stream.subjects, self._subjects)


def _waiting(what: str, says: str, do: str) -> Finding:
    return Finding("fault", what, f"{says}; signals wait in the ledger", do, "signals_wait")


def _lossy(what: str, says: str, do: str) -> Finding:
    return Finding("warning", what, says, do, "signals_unkept")


def _named(streams: Iterable[str]) -> str:
    return f"stream {', '.join(streams)}"
