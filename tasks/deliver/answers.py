"""What a receiver's answer means for a signal: it has it, it may take it later, or never. Pure."""

import math
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import msgspec

from tasks.errors import RealtimeStrategiesError

#: The longest time that a receiver can have us wait at once.
MAX_WAIT_S = 3_600.0
#: After an answer that a person has to change something about.
BLOCKED_WAIT_S = 30.0
#: They are about this one message; others may pass.
_ABOUT_THE_MESSAGE = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_MAX_WORDS = 200


class HeldUpError(RealtimeStrategiesError):
    """The receiver did not take a signal, and may take it later: all signals wait."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        """Take the time to wait; None: the usual back-off."""
        super().__init__(why)
        self.wait_s = wait_s


class RefusedError(RealtimeStrategiesError):
    """The receiver will never take this signal; others may pass."""


class _RetryAfter(msgspec.Struct):
    retry_after: float


class _Told(msgspec.Struct):
    """What Telegram and Discord say of how long to wait, in seconds, each in a place of its own."""

    retry_after: float | None = None
    parameters: _RetryAfter | None = None


def check(status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
    """Return for an answer that means that the receiver has the signal; else raise HeldUpError or RefusedError."""
    if 200 <= status < 300:
        return
    why = f"the receiver answers {status}{_words(body)}"
    if status in _ABOUT_THE_MESSAGE:
        raise RefusedError(why)
    if status in _PASSING or status >= 500:
        raise HeldUpError(why, _wait_s(headers.get("retry-after", ""), body, now_s))
    raise HeldUpError(why, BLOCKED_WAIT_S)


def _words(body: bytes) -> str:
    words = " ".join(body.decode(errors="replace").split())[:_MAX_WORDS]
    return f": {words}" if words else ""


def _wait_s(header: str, body: bytes, now_s: float) -> float | None:
    """Return how long the receiver asks to wait; None: it does not."""
    wait_s: float | None = None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = msgspec.json.decode(body, type=_Told)
        wait_s = told.parameters.retry_after if told.parameters else told.retry_after
    if wait_s is None and header:
        with suppress(ValueError):
            wait_s = float(header) if header[0].isdigit() else parsedate_to_datetime(header).timestamp() - now_s
    return None if wait_s is None or not math.isfinite(wait_s) else min(max(wait_s, 0.0), MAX_WAIT_S)
