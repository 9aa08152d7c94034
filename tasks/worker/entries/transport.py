"""Kombu's connection to the broker, which hands Celery only what a worker may take.

Celery and kombu trust the broker: an entry of a queue, or a message of the remote control, that is not of the form that
they expect raises in the worker's main loop and ends the worker. So entries are checked before kombu decodes them, and
what a message of the remote control raises ends with that message.
"""

import logging
from collections.abc import Callable
from functools import partial
from queue import Empty
from typing import Any, ClassVar

import kombu.transport.redis as theirs
import msgspec
from kombu.exceptions import OperationalError
from kombu.transport.virtual.base import Base64
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.clients.redis_client import FAILED
from tasks.protocol import queue_entry
from tasks.protocol.queue_entry import MAX_RESEARCH_ENTRY_BYTES, RefusedEntry

#: Told of what was refused; of a message of the remote control the queue is empty. Must not raise.
OnRefused = Callable[[RefusedEntry], None]
#: The largest entry of any queue, with the names around it.
MAX_REPLY_BYTES = MAX_RESEARCH_ENTRY_BYTES + 64 * 1024
#: Their annotations know nothing of what a transport overrides.
_Channel: Any = theirs.Channel
_Codec: Any = Base64
_Client: Any = theirs.PrefixedStrictRedis
_Parser: Any = DefaultParser


class TooLargeError(RedisConnectionError):
    """A reply is larger than any that is asked for; the connection is of no use afterwards."""


class BoundedParser(_Parser):  # type: ignore[misc]  # on purpose
    """Reads replies of Redis up to a size: what is larger ends the connection, not the process."""

    def read_from_socket(self, *arguments: Any, **options: Any) -> Any:
        """Read what has come. Raises TooLargeError."""
        if self._reader is not None and self._reader.len() > MAX_REPLY_BYTES:
            raise TooLargeError(f"larger than {MAX_REPLY_BYTES} bytes")
        return super().read_from_socket(*arguments, **options)


class CheckedClient(_Client):  # type: ignore[misc]  # on purpose
    """A client whose BRPOP takes what is refused out of the queue, and answers as if there had been nothing."""

    def __init__(self, *arguments: Any, on_refused: OnRefused, **options: Any) -> None:
        self._on_refused = on_refused
        super().__init__(*arguments, **options)

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the reply to a command."""
        try:
            reply = super().parse_response(connection, command_name, **options)
        except TooLargeError as error:
            self._on_refused(RefusedEntry("", str(error), b""))
            raise
        if command_name != "BRPOP" or not reply:
            return reply
        queue, raw = reply[0].decode(errors="replace"), bytes(reply[1])
        entry = queue_entry.admitted(queue, raw)
        if isinstance(entry, RefusedEntry):
            self._on_refused(entry)
            return None
        return reply[0], entry


class _Base64(_Codec):  # type: ignore[misc]  # on purpose
    """Kombu's coding of the bodies of messages."""

    def decode(self, s: str) -> bytes:
        """Return what was encoded. Python's own takes three times as long, for 100 KB a third of a millisecond."""
        return msgspec.convert(s, bytes)


class _CheckedChannel(_Channel):  # type: ignore[misc]  # on purpose
    """A channel that refuses what is no message of ours."""

    codecs: ClassVar[dict[str, Any]] = _Channel.codecs | {"base64": _Base64()}

    def _get_client(self) -> Any:
        with_prefix = super()._get_client()
        return partial(CheckedClient, on_refused=self.connection.on_refused, **with_prefix.keywords)

    def _connparams(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(*arguments, **options)
        return parameters | {"parser_class": BoundedParser}

    def _receive_one(self, *arguments: Any) -> bool:
        """Read and deliver a message of the remote control, or an event of another worker; return whether it was one.

        Where one can't be read, kombu would leave those behind it until yet another one comes.
        """
        try:
            return bool(super()._receive_one(*arguments))
        except Empty:
            return self._refuse(ValueError("no JSON"))
        except RecursionError as error:
            return self._refuse(error)

    def _deliver_fanout_message(self, message: Any, exchange: Any) -> bool:
        try:
            _refuse_compressed(message)
            return bool(super()._deliver_fanout_message(message, exchange))
        except (OperationalError, *FAILED):
            raise
        except Exception as error:  # noqa: BLE001 a message may raise anything in Celery
            return self._refuse(error)

    def _refuse(self, error: Exception) -> bool:
        why = f"remote control: {type(error).__name__}: {error}"[:300]
        self.connection.on_refused(RefusedEntry("", why, b""))
        return False


def _refuse_compressed(message: Any) -> None:
    """Raise ValueError: kombu would decompress it while it makes its own message, however large that gets."""
    if message["headers"].get("compression"):
        raise ValueError("it is compressed")


def _is_not_told_by_us(record: logging.LogRecord) -> bool:
    """Return whether a line of kombu's is to be logged: not for each message without JSON, with a traceback."""
    return not str(record.msg).startswith("Cannot process event on channel")


def _checked(transport: Any, on_refused: OnRefused) -> type[Any]:
    channel = type("CheckedChannel", (_CheckedChannel, transport.Channel), {})
    return type("CheckedTransport", (transport,), {"Channel": channel, "on_refused": staticmethod(on_refused)})


def check(connection: Any, on_refused: OnRefused) -> None:
    """Have a connection of kombu, which is not open yet, hand out only what a worker may take."""
    logging.getLogger(theirs.__name__).addFilter(_is_not_told_by_us)
    transport = _checked(connection.get_transport_cls(), on_refused)
    connection.get_transport_cls = lambda: transport
