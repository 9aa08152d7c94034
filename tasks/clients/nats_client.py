"""The NATS client of all processes: its login, and what it accepts of the server."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nats.aio.client import Client, Srv
from nats.aio.subscription import Subscription
from nats.errors import AuthorizationError, ConnectionReconnectingError, Error, SecureConnWantedError

from tasks.clients.nats_options import address, login, tls
from tasks.errors import ServerUnavailableError, SettingsError
from tasks.settings import Settings, mask

#: What servers say, in lower case, of a login that they don't take.
_REFUSALS = ("authorization violation", "authentication expired", "authentication revoked")

#: What they say of a subject that the login may not read, or not publish to, as nats-py gives it: in lower case.
_UNREADABLE = re.compile(r'permissions violation for subscription to "([^"]+)"')
_UNWRITABLE = re.compile(r'permissions violation for publish to "(.+)"')
#: They write these with a backslash before.
_ESCAPED = re.compile(r'\\(["\\])')

#: How long what is in flight may take, and how long the end of a connection that never stood.
_CLOSE_S = 5.0
_GIVE_UP_S = 0.2
#: After how long a task that still runs is cancelled again.
_CANCEL_S = 0.1
#: How long a command waits for the server.
CONNECT_S = 3.0

OnError = Callable[[Exception], Awaitable[None]]
#: Takes the subject, the subject for a reply, the bytes and the raw headers of a message.
Take = Callable[[bytes, bytes, bytes, bytes | None], None]


class NatsClient(Client):
    """nats-py's client, which keeps retrying a withdrawn login, and sends none in the clear where TLS is required."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet. Raises SettingsError: what the settings say of NATS can't be used."""
        super().__init__()
        self._settings = settings
        self._address = address(settings)
        self._how = self._address.login | login(settings) | tls(settings)
        self._was_connected = False
        #: Subjects that this login was found not to be allowed to read, in lower case.
        self.unreadable: set[str] = set()
        self._refused: set[str] | None = None
        self._on_refused: Callable[[], None] | None = None
        #: Who waits for the answer to a request, by its subject in lower case; done where this login may not ask.
        self._asking: dict[str, asyncio.Future[None]] = {}
        #: Who takes the messages of a subscription without a queue, by its number.
        self._takers: dict[int, Take] = {}

    async def open(self, name: str, on_error: OnError, **options: Any) -> None:
        """Connect under a name, one token, with more options of nats-py's `connect`, for as long as it takes.

        All that this client is answered comes below `_INBOX.<name>`.

        Raises SettingsError: the login is refused, or the server's certificate is not to be trusted. Later, both are
        errors like any other. What else the options let nats-py raise comes through.
        """

        async def report(error: Exception) -> None:
            # Raised here, it ends nats-py's `connect`, which would retry endlessly.
            if not self._was_connected and (why := _refusal(error)):
                raise SettingsError(f"NATS at {mask(self._settings.nats_url)} {why}")
            self.unreadable.update(_UNREADABLE.findall(str(error)))
            if not self._note_refusal(str(error)):
                await on_error(error)

        await self.connect(
            list(self._address.servers),
            name=f"realtime-strategies {name}",
            # Logins that may use the inboxes of their own kind only can't read, or forge, what others are answered.
            inbox_prefix=f"_INBOX.{name}",
            error_cb=report,
            **self._how,
            **options,
        )
        self._was_connected = True

    async def subscribe_directly(self, subject: str, take: Take) -> Subscription:
        """Have `take` called with each message as soon as it is read, in the order of all subscriptions' messages.

        It must be quick. What it raises is reported as an error. nats-py's queue and task for each subscription take
        three times as long, and lose the order between them.
        """
        # Before the server knows of it: its first message may come at once.
        self._takers[self._sid + 1] = take
        return await self.subscribe(subject)

    def _process_msg(self, sid: int, *message: bytes) -> Coroutine[Any, Any, None]:
        """Called by nats-py with each message."""
        if take := self._takers.get(sid):
            return self._hand_over(take, *message)
        return super()._process_msg(sid, *message)

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        """Called by nats-py at the end of a subscription."""
        self._takers.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    async def _hand_over(self, take: Take, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            take(subject, reply, data, headers)
        except Exception as error:  # noqa: BLE001 raised here, it would end the reading
            await self._error_cb(error)

    async def write(self, messages: bytes) -> None:
        """Take messages in the bytes of NATS's protocol; they are written soon. The connection must stand."""
        self._pending.append(messages)
        self._pending_data_size += len(messages)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _flush_pending(self, force_flush: bool = False) -> Any:  # noqa: FBT001, FBT002 nats-py's
        """Called by nats-py to have written what is pending.

        Raises ConnectionReconnectingError: the connection has just ended, and nats-py does not know it yet.
        """
        try:
            return await super()._flush_pending(force_flush)
        except (RuntimeError, OSError) as error:  # RuntimeError is uvloop's; an OSError would be taken for Redis's.
            raise ConnectionReconnectingError from error

    def forget_unwritten(self) -> None:
        """Drop what a lost connection left unwritten: nats-py would write it to the next one, before all else."""
        self._pending.clear()
        self._pending_data_size = 0

    @contextmanager
    def refusals(self, on_refused: Callable[[], None] | None = None) -> Iterator[set[str]]:
        """Gather the subjects, in lower case, that this login is found not to be allowed to publish to meanwhile.

        They are no errors then: who gathers them tells. One at a time may. `on_refused` is called with each one found.
        """
        refused: set[str] = set()
        self._refused, self._on_refused = refused, on_refused
        try:
            yield refused
        finally:
            self._refused, self._on_refused = None, None

    @property
    def has_jetstream(self) -> bool:
        """Whether the server said at the connection that it has JetStream."""
        return bool(self._server_info.get("jetstream"))

    async def ask(self, subject: str, payload: bytes, timeout_s: float) -> bytes | None:
        """Return the answer to a request; None: this login may not ask. One at a time may ask about a subject.

        Raises nats.errors.Error: nobody listens, or nobody answers in time.
        """
        refused = self._asking[subject.lower()] = asyncio.get_running_loop().create_future()
        asked = asyncio.ensure_future(self.request(subject, payload, timeout=timeout_s))
        try:
            await asyncio.wait([refused, asked], return_when=asyncio.FIRST_COMPLETED)
            return None if refused.done() else (await asked).data
        finally:
            del self._asking[subject.lower()]
            asked.cancel()
            with suppress(Error, asyncio.CancelledError):
                await asked

    def _note_refusal(self, said: str) -> bool:
        found = _UNWRITABLE.search(said)
        if found is None:
            return False
        subject = _ESCAPED.sub(r"\1", found[1])
        if asking := self._asking.get(subject):
            if not asking.done():
                asking.set_result(None)
            return True
        if self._refused is None:
            return False
        self._refused.add(subject)
        if self._on_refused:
            self._on_refused()
        return True

    async def answers(self, within_s: float) -> bool:
        """Return whether the server answers a ping in time, or sends messages still in the second half of the time.

        True while there is no connection: others tell of that. Under load the answer waits behind messages, and what
        a server had sent before it stopped is read within the first half. nats-py's `flush` forgets a ping that was not
        answered in time, and fails at the answer when it comes.
        """
        if not self.is_connected:
            return True
        answered = asyncio.get_running_loop().create_future()
        with suppress(Error, OSError, TimeoutError):
            async with asyncio.timeout(within_s / 2):
                await self._send_ping(answered)
            await asyncio.wait([answered], timeout=within_s / 2)
        heard = self.stats["in_msgs"]
        if not answered.done():
            await asyncio.wait([answered], timeout=within_s / 2)
        return answered.done() or self.stats["in_msgs"] > heard or not self.is_connected

    async def close(self) -> None:
        """Let go of the server."""
        # Without a connection nats-py's own ends its tasks, and then fails, or waits endlessly for TLS that never was.
        with suppress(AssertionError, RuntimeError, OSError, TimeoutError, Error):
            async with asyncio.timeout(_CLOSE_S if self._was_connected else _GIVE_UP_S):
                await self._close_own()
        await self._end_attempt()

    async def _close_own(self) -> None:
        try:
            await super().close()
        except asyncio.CancelledError:
            # nats-py cancels its attempt to reconnect, and with it the wait for the end of the lost socket; for the
            # same end it then waits itself. Nobody has cancelled us.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def _end_attempt(self) -> None:
        """End an attempt to reconnect that goes on: one that has just got its connection can miss its cancellation."""
        task = self._reconnection_task
        if task is None or task.done() or task is asyncio.current_task():
            return
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_CANCEL_S)
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py's gap
            await asyncio.sleep(0)

    async def _connect_to_server(self, s: Srv) -> None:
        """Called by nats-py at each attempt. After one that failed at the login, it leaves the connection open."""
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py's gap
        await super()._connect_to_server(s)

    async def _process_err(self, err_msg: str) -> None:
        """Called by nats-py when the server reports an error. For a login that it withdraws, theirs closes for good."""
        if _is_refused(err_msg):
            await self._process_op_err(AuthorizationError())
        else:
            await super()._process_err(err_msg)

    def _connect_command(self) -> bytes:
        """Called by nats-py to log in. It encrypts only if the server requires it, whatever the scheme of the URL."""
        scheme = self._current_server.uri.scheme if self._current_server else ""
        wanted = scheme == "tls" or self._settings.nats_tls
        if wanted and scheme != "wss" and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()


async def connect_once(settings: Settings, name: str) -> NatsClient:
    """Return a client for a command, which does not reconnect. Raises ServerUnavailableError, SettingsError."""
    heard: list[str] = []

    async def on_error(error: Exception) -> None:
        heard.append(str(error) or type(error).__name__)

    client = NatsClient(settings)
    try:
        # Without a bound of ours, nats-py tries for minutes.
        async with asyncio.timeout(CONNECT_S):
            await client.open(name, on_error, allow_reconnect=False)
    except (Error, OSError, TimeoutError) as error:
        why = heard[-1] if heard else str(error) or type(error).__name__
        raise ServerUnavailableError(f"NATS does not answer at {mask(settings.nats_url)} (NATS_URL): {why}") from None
    return client


def _is_refused(said: str) -> bool:
    return any(refusal in said.lower() for refusal in _REFUSALS)


def _refusal(error: Exception) -> str:
    """Return what a person must fix; nothing where trying again may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not to be trusted: {error.verify_message} (NATS_TLS_CA, NATS_TLS_NAME)"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return f"does not take our certificate, or the lack of one: {error.reason} (NATS_TLS_CERT)"
    if isinstance(error, SecureConnWantedError):
        return "offers no TLS (NATS_URL or NATS_TLS_CA asks for it)"
    return "refuses the login (NATS_URL, or the NATS_ settings of the login)" if _is_refused(str(error)) else ""
