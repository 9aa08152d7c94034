"""What an operation is given, what it returns, and the version of the configuration as an ETag."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ingest.api.callers import Caller
from ingest.api.ledger import ApiLedger
from ingest.api.problem import ApiError
from tasks.configuration.stored import StoredConfiguration, pack_overlay
from tasks.ledger.configurations import ConfigurationInForce, EditResult


def etag(stored: StoredConfiguration) -> str:
    """Return the ETag of what is in force: its version, and a hash of what was set at run time."""
    return f'"{stored.version}.{sha256(stored.overlay).hexdigest()[:8]}"'


def change_of(edit: EditResult) -> Mapping[str, Any] | None:
    """Return what the log says of an edit; None: it changed nothing."""
    return {"version": edit.change.version} if edit.change else None


def etag_after(edit: EditResult) -> str:
    """Return the ETag of what is in force after an edit."""
    if edit.change is None:
        return etag(edit.old.stored)
    version = edit.change.version
    return etag(StoredConfiguration(version, edit.old.stored.file, pack_overlay(version, edit.overlay)))


@dataclass(frozen=True)
class Call:
    """A request that was understood: who calls, and with what."""

    ledger: ApiLedger
    caller: Caller
    path: Mapping[str, str]
    #: Of the route's models.
    query: Any
    body: Any
    #: Who the caller says that it acts for, in a header.
    changed_by: str = ""
    #: The ETags of If-Match; None: it was not sent. `*` is any.
    if_match: frozenset[str] | None = None
    #: What was changed so far, for the log if the request fails before it has a reply.
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def author(self) -> str:
        """Who makes a change, for the history."""
        claims = (getattr(source, "changed_by", "") for source in (self.body, self.query))
        return self.caller.author(next(filter(None, claims), self.changed_by))

    @property
    def reason(self) -> str:
        """Why, for the history and the log. Of dead letters chosen by their reasons nobody says it."""
        reason = getattr(self.body or self.query, "reason", "")
        return reason if isinstance(reason, str) else ""

    def check(self, found: ConfigurationInForce) -> None:
        """Refuse a change of something else than the caller has seen. Raises ApiError."""
        if self.if_match is not None and not self.if_match & {"*", etag(found.stored)}:
            raise ApiError(
                412, f"version {found.configuration.version} is in force by now; read it again", "configuration-changed"
            )


@dataclass(frozen=True)
class Reply:
    """What an operation returns: data of the route's model, and what there is to say about it."""

    data: Any
    metadata: dict[str, Any] = field(default_factory=dict)
    #: Of what is in force; empty where the answer does not depend on it.
    etag: str = ""
    #: What the log says of a change beside who made it; None: nothing was changed.
    change: Mapping[str, Any] | None = field(default_factory=dict)
