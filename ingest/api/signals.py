"""Signals and positions of the paper accounts, as the live pipeline has committed them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, Field

from ingest.api import why_process
from ingest.api.call import Call, Reply
from ingest.api.paging import Names, PageQuery, Time, at_ms, page_of
from ingest.api.problem import ApiError
from ingest.api.route import NoQuery
from ingest.api.strategies import carried_names
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops.entry_filters import PositionFilter, SignalFilter, decoded, symbol_spellings
from tasks.protocol.utc_time import utc_iso
from tasks.why import stored_signals
from tasks.why.question import Question
from tasks.why.stored_signals import SearchBounds

#: Entries of each stream that are looked at for one signal.
MAX_SEARCHED = 100_000
_decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode


class SignalsQuery(PageQuery):
    """Which signals."""

    strategy: Names = Field(default_factory=list)
    symbol: Names = Field(default_factory=list)
    action: Annotated[list[Literal["buy", "sell", "hold", "close"]], Field(max_length=4)] = Field(default_factory=list)


class PositionsQuery(PageQuery):
    """Which positions."""

    strategy: Names = Field(default_factory=list)
    symbol: Names = Field(default_factory=list)


class OpenQuery(NoQuery):
    """Which open positions."""

    strategy: Names = Field(default_factory=list)
    symbol: Names = Field(default_factory=list)
    limit: Annotated[int, Field(ge=1, le=1_000)] = 200
    cursor: Annotated[str, Field(pattern=r"^\d{0,9}$", description="`next_cursor` of the page before")] = ""


class SignalItem(BaseModel):
    """A signal."""

    entry: str
    committed_at: str
    #: By the signal's contract: `./run tasks schema` prints its JSON Schema.
    signal: dict[str, Any]


class SignalQuery(NoQuery):
    """Where to look for a signal."""

    until: Annotated[
        Time, Field(description="look at what was committed until then: 90s, 10m, 2h or 1d ago, or a time in UTC")
    ] = ""


class WholeSignalItem(BaseModel):
    """A signal that went out, or that the gate held back."""

    id: str
    status: Literal["sent", "held"]
    held: Annotated[str, Field(description="why the gate held it back; empty: it did not")]
    committed_at: str
    #: By the signal's contract.
    signal: dict[str, Any]


def get_signal(call: Call) -> Reply:
    """Return a signal by its id, also one that the gate held back, among the newest 100,000 of each, or those before `until`."""
    found = _stored(call)
    item = WholeSignalItem(
        id=found.head.id,
        status="held" if found.held else "sent",
        held=found.held,
        committed_at=utc_iso(found.committed_ms),
        signal=_decode(found.packed),
    )
    return Reply(item)


def get_why(call: Call) -> Reply:
    """Run again what led to a signal, as `./run tasks why` does, in a process of its own that has 55 s.

    Events come from the stream that ingest reads; where it reads none, the verdict is `no_source`, and what is stored is told.
    """
    return Reply(why_process.ask(_stored(call).head.id))


def _stored(call: Call) -> Question:
    """Return a stored signal. Raises ApiError: it is not where it was looked for."""
    identity, until = call.path["id"], at_ms(call.ledger, call.query.until, "until")
    bounds = SearchBounds("+" if until is None else str(until), MAX_SEARCHED)
    found = stored_signals.in_ledger(call.ledger.reader, identity, bounds)
    if found is None:
        why = f"no signal {identity[:100]} is among the newest {MAX_SEARCHED:,} that were committed, or held back"
        raise ApiError(404, f"{why}; `until` has older ones looked at")
    return found


def list_signals(call: Call) -> Reply:
    """Return signals, newest first, each with the event that it answers and the version of its configuration."""
    query: SignalsQuery = call.query
    chosen = SignalFilter(carried_names(call, query.strategy), symbol_spellings(query.symbol), frozenset(query.action))

    def read(name: str, fields: Mapping[bytes, bytes]) -> SignalItem | None:
        packed = fields.get(b"signal", b"")
        if not chosen.takes(packed):
            return None
        at = utc_iso(StoredLetter.at_ms_of(name))
        return SignalItem(entry=name, committed_at=at, signal=decoded(_decode, packed, "signal"))

    found, cursor = page_of(call.ledger, call.ledger.reader.keys.signals, query, read)
    return Reply(found, {"count": len(found), "next_cursor": cursor})


def list_positions(call: Call) -> Reply:
    """Return the positions that paper accounts have closed, newest first."""
    query: PositionsQuery = call.query
    chosen = PositionFilter(carried_names(call, query.strategy), symbol_spellings(query.symbol))

    def read(_: str, fields: Mapping[bytes, bytes]) -> dict[str, Any] | None:
        packed = fields.get(b"position", b"")
        return decoded(_decode, packed, "position") if chosen.takes(packed) else None

    found, cursor = page_of(call.ledger, call.ledger.reader.keys.positions, query, read)
    return Reply(found, {"count": len(found), "next_cursor": cursor})


def list_open_positions(call: Call) -> Reply:
    """Return the positions that paper accounts hold, with what closing them now would leave."""
    query: OpenQuery = call.query
    chosen = PositionFilter(carried_names(call, query.strategy), symbol_spellings(query.symbol))
    rows, begin = chosen.open_rows(call.ledger.reader), int(query.cursor or 0)
    end = begin + query.limit
    found = rows[begin:end]
    return Reply(found, {"count": len(found), "next_cursor": str(end) if len(rows) > end else None})
