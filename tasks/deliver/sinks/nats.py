"""Signals to subjects of NATS: acknowledged by the stream that takes a subject, else by the server."""

import time
from typing import Literal

import msgspec
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.js.errors import APIError
from nats.js.errors import Error as JetStreamError

from tasks.clients.nats_client import NatsClient, connect_once
from tasks.deliver.answers import BLOCKED_WAIT_S, HeldUpError, RefusedError
from tasks.deliver.petrosa_dialect import PetrosaDialect
from tasks.deliver.signal_fields import SignalFields
from tasks.errors import ServerUnavailableError, SettingsError
from tasks.protocol import signal_subject
from tasks.settings import Settings

#: How signals are written: as the contract has them, or as petrosa's services take them.
Dialect = Literal["ours", "petrosa"]
#: For so long it is believed which subjects a stream takes.
KNOWN_S = 10.0
#: JetStream's number of: the message is larger than the stream takes.
_TOO_LARGE = 10_054


class _Streams(msgspec.Struct):
    """The answer to which streams take a subject."""

    streams: list[str] | None = None


class NatsSink:
    """Publishes each signal."""

    def __init__(
        self, settings: Settings, timeout_s: float, dialect: Dialect = "ours", *, revisions: bool = False
    ) -> None:
        """`revisions` has intents name their strategy's. Raises SettingsError: a setting is missing, or does not fit."""
        if revisions and dialect != "petrosa":
            raise SettingsError("--revisions goes with --dialect petrosa: signals of ours name none")
        if not settings.deliver_nats_subject:
            raise SettingsError("deliver nats needs DELIVER_NATS_SUBJECT, such as alerts.{strategy}.{symbol}")
        self._settings, self._timeout_s = settings, timeout_s
        self._petrosa = PetrosaDialect(settings, revisions=revisions) if dialect == "petrosa" else None
        self._client: NatsClient | None = None
        #: By subject: whether a stream takes it, and until when that is believed.
        self._known: dict[str, tuple[bool, float]] = {}

    async def open(self) -> None:
        """Nothing is opened before the first signal."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:
        """Publish a signal. Raises HeldUpError, RefusedError."""
        venue, strategy = signal.metadata.get("venue", ""), signal.strategy
        if self._petrosa:
            strategy, packed = await self._petrosa.intent(signal, packed)
        subject = signal_subject.fill(
            self._settings.deliver_nats_subject,
            strategy=strategy,
            symbol=signal.symbol,
            action=signal.action,
            venue=venue,
        )
        if not signal_subject.is_subject(subject):
            raise RefusedError(f"not a NATS subject: {subject[:100]!r}")
        try:
            await self._publish(await self._connected(), subject, packed, {"Nats-Msg-Id": signal.id})
        except MaxPayloadError:
            raise RefusedError(f"{len(packed)} bytes, and NATS takes less") from None
        except APIError as error:
            if error.err_code == _TOO_LARGE:
                raise RefusedError(f"the stream refuses it: {error.description}") from None
            raise HeldUpError(f"the stream does not take it: {error.description}") from None
        except (ServerUnavailableError, SettingsError) as error:
            raise HeldUpError(str(error)) from None
        except (NatsError, JetStreamError, OSError, TimeoutError) as error:
            raise HeldUpError(f"NATS does not confirm it: {error or type(error).__name__}") from None

    async def _connected(self) -> NatsClient:
        if self._client and not self._client.is_connected:
            await self._disconnect()
        if self._client is None:
            self._known.clear()
            self._client = await connect_once(self._settings, "deliver")
        return self._client

    async def _publish(self, client: NatsClient, subject: str, packed: bytes, headers: dict[str, str]) -> None:
        with client.refusals() as refused:
            if await self._is_kept(client, subject):
                await client.jetstream().publish(subject, packed, timeout=self._timeout_s, headers=headers)
            else:
                await client.publish(subject, packed, headers=headers)
                await client.flush(timeout=max(1, round(self._timeout_s)))
        if subject.lower() in refused:
            raise HeldUpError(f"NATS does not let this login publish {subject}", BLOCKED_WAIT_S)

    async def _is_kept(self, client: NatsClient, subject: str) -> bool:
        known, until_s = self._known.get(subject, (False, 0.0))
        if time.monotonic() < until_s:
            return known
        asked = msgspec.json.encode({"subject": subject})
        try:
            answer = await client.ask("$JS.API.STREAM.NAMES", asked, self._timeout_s)
        except NoRespondersError:  # no JetStream
            answer = None
        kept = bool(answer and msgspec.json.decode(answer, type=_Streams).streams)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[subject] = kept, time.monotonic() + KNOWN_S
        return kept

    async def close(self) -> None:
        """Let go of the server."""
        if self._petrosa:
            self._petrosa.close()
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._client:
            await self._client.close()
            self._client = None
