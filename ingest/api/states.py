"""States of strategies: removed, and what was done to them."""

from collections import deque
from typing import Annotated

from pydantic import BaseModel, Field

from ingest.api.call import Call, Reply
from ingest.api.models import ChangeBody, Word
from ingest.api.route import NoQuery
from ingest.api.strategies import carried_names
from tasks.ops.state_reset import found_states, removed_states
from tasks.ops.states import ResetResult, StateFilter
from tasks.protocol.utc_time import utc_iso


class StatesReset(ChangeBody):
    """Which states of a strategy; an empty word stands for all."""

    pool: Word = ""
    venue: Word = ""
    symbol: Annotated[Word, Field(description="`all` is the state that symbols share")] = ""


class ResetItem(BaseModel):
    """How many states were removed, or would be, by pool."""

    states: dict[str, int]
    validate_only: bool


class ResetsQuery(NoQuery):
    """How many of the newest."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 50


class DoneItem(BaseModel):
    """A reset, seeding or pruning."""

    at: str
    pool: str
    strategy: str
    venue: str
    symbol: str
    states: int
    records: int
    symbols: int
    changed_by: str
    reason: str


def reset_states(call: Call) -> Reply:
    """Remove states of a strategy: it starts from an empty one with the next event, and warms up again."""
    body: StatesReset = call.body
    [strategy] = carried_names(call, [call.path["strategy"]])
    chosen = StateFilter(body.pool, body.venue, body.symbol, strategy)
    names = found_states(call.ledger.states, chosen)
    if body.validate_only:
        counts = {pool: sum(name.pool == pool for name in names) for pool in {name.pool for name in names}}
    else:
        counts = removed_states(call.ledger.states, names, chosen, call.author, call.reason)
    change = None if body.validate_only else {"states": counts}
    return Reply(ResetItem(states=counts, validate_only=body.validate_only), change=change)


def list_resets(call: Call) -> Reply:
    """Return what was done to states, newest first."""
    newest: deque[ResetResult] = deque(call.ledger.states.history(), maxlen=call.query.limit)
    items = [_done(each) for each in reversed(newest)]
    return Reply(items, {"count": len(items)})


def _done(of: ResetResult) -> DoneItem:
    reset = of.reset
    return DoneItem(
        at=utc_iso(of.at_ms),
        pool=reset.pool,
        strategy=reset.strategy,
        venue=reset.venue,
        symbol=reset.symbol,
        states=of.states,
        records=reset.records,
        symbols=of.symbols,
        changed_by=reset.author,
        reason=reset.reason,
    )
