"""Whether the stream that ingest reads takes frames: full, sealed, without a leader or our subjects, it takes none.

Where it ends is passed on to the source that reads it.
"""

from collections.abc import Iterator

from nats.errors import Error as NatsError

from ingest.sources.base import Source
from ingest.sources.stream_setup import take, wanted_subjects
from ingest.transport import stream_state
from ingest.transport.stream_state import StreamState
from tasks.clients.nats_client import NatsClient
from tasks.protocol.findings import Finding
from tasks.settings import Settings

#: How long an answer may take; one may be late.
ANSWER_S = 2.0
SILENCES = 2


class FrameStream:
    """The state of INGEST_STREAM; nothing is asked where the source is another one."""

    def __init__(self, settings: Settings, client: NatsClient, source: Source | None = None) -> None:
        self._source = source
        self._client, self._name = client, settings.ingest_stream
        self._is_read = settings.ingest_source == "jetstream"
        self._subjects = wanted_subjects(settings)
        self._state: StreamState | None = None
        #: Why there was no answer, and how often in succession.
        self._silence, self._silences = "", 0
        #: What its server holds and does not send.
        self._unsent = ""

    async def ask(self) -> None:
        """Ask for its state. Never raises what NATS raises."""
        if not (self._is_read and self._client.is_connected):
            return
        read_seq = self._source.read_seq if self._source else 0
        try:
            answer = await self._client.ask(f"$JS.API.STREAM.INFO.{self._name}", b"", ANSWER_S)
        except NatsError as error:
            self._take(str(error) or type(error).__name__)
        else:
            self._take(stream_state.read_info(answer) if answer is not None else "this login may not ask for it")
            self._pass_on_end(read_seq)

    def _pass_on_end(self, read_seq: int) -> None:
        state, self._unsent = self._state if not self._silences else None, ""
        if not (self._source and state and state.last_seq is not None):
            return
        # Where its last messages were deleted, nothing has to come.
        if self._source.compare_end(read_seq, state.last_seq) and not state.deleted:
            self._unsent = f"holds {state.last_seq - read_seq:,} messages after {read_seq:,}, and its server sends none"

    def _take(self, found: StreamState | str) -> None:
        if isinstance(found, str):
            self._silence, self._silences = found, self._silences + 1
        else:
            self._state, self._silences = found, 0

    def findings(self) -> Iterator[Finding]:
        """Yield a fault while no frames can be stored, and a warning while not all of its servers have it."""
        if self._state and self._state.offline and not self._silences:
            says = f"has no replica on {', '.join(self._state.offline)}: the others go on, one more would stop it"
            do = (
                f"`nats stream info {self._name}` names its servers: start that one; where it hangs as it restores the stream, its files are damaged: stop "
                f"it, remove jetstream/ACCOUNT/streams/{self._name} there, and start it: the others give it all again"
            )
            yield Finding("warning", f"stream {self._name}", says, do, "stream_replica_away")
        if trouble := self._trouble():
            do = f"see `nats stream info {self._name}`; feeds send again what is not stored, and ingest reads on by itself"
            yield Finding("fault", f"stream {self._name}", f"{trouble}: no frames come in", do, "stream_unwell")
        elif self._unsent:
            do = (
                f"restart its NATS server (`nats stream info {self._name}` names it), which then looks through its files, and "
                "check its disk"
            )
            yield Finding("fault", f"stream {self._name}", self._unsent, do, "stream_unwell")

    def _trouble(self) -> str:
        if self._silences >= SILENCES:
            return f"JetStream does not tell of it ({self._silence})"
        if self._state is None:
            return ""
        if self._state.trouble:
            return self._state.trouble
        missing = [each for each in self._subjects if not take(self._state.subjects, each)]
        return f"does not take {', '.join(missing)} (NATS_SUBJECTS)" if missing else ""
