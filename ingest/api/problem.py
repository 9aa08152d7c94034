"""Errors as problem details (RFC 9457), with the status that each one has."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from nats.errors import Error as NatsError
from pydantic import ValidationError

from tasks import invocation
from tasks.clients.redis_client import FAILED, UNAVAILABLE, reason
from tasks.errors import (
    LedgerError,
    NotFoundError,
    NothingInForceError,
    NothingToUndoError,
    RealtimeStrategiesError,
    ServerUnavailableError,
    SettingsError,
    UnknownNameError,
)
from tasks.ledger.configurations import ConflictError
from tasks.settings import validation

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:realtime-strategies:problem:"
#: Whom it fails for a while is to try again after so many seconds.
RETRY = {"Retry-After": "2"}


class Fault(NamedTuple):
    """One fault of a request: which parameter, and what is wrong with it."""

    parameter: str
    message: str


class ApiError(Exception):
    """What a request is answered when it fails."""

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str = "",
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the status, a sentence for a person, and a word that tells it from others of this status."""
        super().__init__(detail)
        self.status, self.detail, self.kind, self.errors = status, detail, kind, errors
        self.headers = dict(headers or {})

    def facts(self) -> dict[str, Any]:
        """Return the members of the problem."""
        title = self.kind.replace("-", " ").capitalize() if self.kind else HTTPStatus(self.status).phrase
        facts: dict[str, Any] = {"type": f"{_TYPE}{self.kind}" if self.kind else "about:blank", "title": title}
        # Whoever reads it may have no checkout, and so no ./run.
        facts |= {"status": self.status, "detail": invocation.as_called(self.detail)}
        return facts | ({"errors": [each._asdict() for each in self.errors]} if self.errors else {})


#: Errors of servers, and what is said of them. A timeout of NATS is an OSError too.
_SERVERS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((NatsError,), "NATS is unavailable", "server-unavailable"),
    (UNAVAILABLE, "Redis is unavailable", "server-unavailable"),
    (FAILED, "Redis refused", "server-refused"),
)
#: The first that an error is an instance of counts.
_KINDS: tuple[tuple[tuple[type[Exception], ...], int, str], ...] = (
    ((UnknownNameError, NotFoundError), 404, ""),
    ((ConflictError,), 409, "configuration-changed"),
    ((NothingToUndoError,), 409, "nothing-to-undo"),
    ((NothingInForceError,), 503, "nothing-in-force"),
    ((ServerUnavailableError,), 503, "server-unavailable"),
    ((SettingsError,), 422, "invalid-values"),
    ((LedgerError, RealtimeStrategiesError), 500, "unreadable-ledger"),
)


def problem_of(error: Exception, assigned: Iterable[str] = ()) -> ApiError | None:
    """Return the problem that an error is, or None for one that nobody foresaw; `assigned` are a request's parameters."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ValidationError):
        found = [Fault(validation.place(fault), validation.say(fault)) for fault in validation.faults(error)]
        return ApiError(422, "; ".join(f"{name}: {message}" for name, message in found), "invalid-request", found)
    for servers, said, kind in _SERVERS:
        if isinstance(error, servers):
            return ApiError(503, f"{said}: {reason(error)}", kind, headers=RETRY)
    for kinds, status, kind in _KINDS:
        if isinstance(error, kinds):
            errors = faults(error, assigned) if isinstance(error, SettingsError) else []
            return ApiError(status, str(error), kind, errors, RETRY if status == 503 else None)
    return None


def faults(error: SettingsError, assigned: Iterable[str]) -> list[Fault]:
    """Return the faults of a configuration, each with the assigned parameter that it names."""
    names = [*assigned]
    return [_fault(each, names) for each in error.faults or [str(error)]]


def _fault(said: str, names: Iterable[str]) -> Fault:
    segments = said.split(": ")
    for name in names:
        for place, segment in enumerate(segments[:-1], start=1):
            if segment == name or segment.endswith(f".{name}"):
                return Fault(name, ": ".join(segments[place:]))
        if said.startswith(f"{name} "):
            return Fault(name, said)
    for place, segment in enumerate(segments):
        for name in names:
            if repr(name) in segment:
                return Fault(name, ": ".join(segments[place:]))
    return Fault("", said)
