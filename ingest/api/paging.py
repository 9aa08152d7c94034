"""Pages of a stream of the ledger, newest first."""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ingest.api.ledger import ApiLedger
from ingest.api.problem import ApiError, Fault
from tasks.errors import SettingsError
from tasks.ledger import entry_id, pager
from tasks.ops.time_arguments import since_ms

#: Entries that one request looks through at most; what comes after them, the next page has.
MAX_SCANNED = 5_000
T = TypeVar("T")
Names = Annotated[list[str], Field(max_length=100)]
Time = Annotated[str, Field(max_length=40, description="90s, 10m, 2h or 1d ago, or a time in UTC")]


class PageQuery(BaseModel):
    """Which part of a stream."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=500, description="entries at most")] = 50
    cursor: Annotated[
        str, Field(pattern=rf"^({entry_id.PATTERN})?$", description="`next_cursor` of the page before")
    ] = ""
    since: Time = ""
    until: Time = ""


def at_ms(ledger: ApiLedger, text: str, parameter: str) -> int | None:
    """Return the time that a parameter of a query says; None where it is empty. Raises ApiError."""
    try:
        return since_ms(text, ledger.now_ms(), parameter) if text else None
    except SettingsError as error:
        raise ApiError(422, str(error), "invalid-request", [Fault(parameter, str(error))]) from None


def page_of(
    ledger: ApiLedger,
    stream: str,
    query: PageQuery,
    read: Callable[[str, Mapping[bytes, bytes]], T | None],
    batch: int = 500,
) -> tuple[list[T], str | None]:
    """Return what `read` makes of entries, newest first, leaving out None; and the cursor of the next page, if any.

    `batch` entries are asked for at a time.
    """
    start, until = at_ms(ledger, query.since, "since") or 0, at_ms(ledger, query.until, "until")
    end = f"({query.cursor}" if query.cursor else "+" if until is None else str(until)
    found: list[T] = []
    entries = pager.entries(ledger.reader.clients, stream, f"{start}-0", end, page=batch, backwards=True)
    for scanned, (name, fields) in enumerate(entries, start=1):
        taken = read(name, fields)
        if taken is not None:
            found.append(taken)
        if len(found) == query.limit or scanned == MAX_SCANNED:
            return found, name
    return found, None
