"""Dead letters: listed, shown, retried and dropped."""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ingest.api.call import Call, Reply
from ingest.api.models import Body, Text, Word
from ingest.api.paging import Names, PageQuery, Time, at_ms, page_of
from ingest.api.problem import RETRY, ApiError
from ingest.api.route import NoQuery
from ingest.api.strategies import carried_names
from tasks.ledger.dead_letters import DeadLetterFilter, StoredLetter
from tasks.ops.dead_letter_facts import facts
from tasks.ops.entry_filters import symbol_spellings
from tasks.ops.retry import retried
from tasks.protocol import dead_letters

#: Letters that one request retries or drops at most.
MAX_LETTERS = 100
#: How long a retry may take as a whole; what was not tried by then is told.
RETRY_S = 20.0
#: A letter has up to 64 KiB.
_BATCH = 25
_SHOWN_DETAIL = 500
#: One retry at a time: each waits for what becomes of its letters.
_retrying = threading.Lock()


class LettersQuery(PageQuery):
    """Which letters."""

    reason: Names = Field(default_factory=list)
    strategy: Names = Field(default_factory=list)
    symbol: Names = Field(default_factory=list)


class LetterItem(BaseModel):
    """A dead letter."""

    model_config = ConfigDict(extra="allow")

    id: str
    at: str
    reason: str
    detail: str
    refusal: str | None = None
    subject: str | None = None
    pool: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    event: dict[str, Any] | None = None


class WholeLetterItem(LetterItem):
    """A dead letter with the frame, if it holds one."""

    raw: str | None = None
    raw_encoding: str | None = None
    raw_is_cut: bool | None = None


class ChosenBody(Body):
    """Which letters: ids, or filters, of which the newest `limit` are taken."""

    ids: Annotated[list[Word], Field(max_length=MAX_LETTERS)] = Field(default_factory=list)
    reason: Names = Field(default_factory=list)
    strategy: Names = Field(default_factory=list)
    symbol: Names = Field(default_factory=list)
    since: Time = ""
    until: Time = ""
    limit: Annotated[int, Field(ge=1, le=MAX_LETTERS)] = MAX_LETTERS
    changed_by: Word = ""


class RetryBody(ChosenBody):
    """The same, and how long to wait."""

    wait_s: Annotated[float, Field(ge=0.1, le=10, description="seconds to wait for the results of letters")] = 5.0


class DropQuery(NoQuery):
    """Who drops a letter, and why: the log says both."""

    changed_by: Word = ""
    reason: Text = ""


class RetryItem(BaseModel):
    """The result of retrying a letter; `verdict` as `deadletters retry` explains it."""

    id: str
    verdict: str
    why: str


class DroppedItem(BaseModel):
    """How many letters were dropped."""

    dropped: int


def list_dead_letters(call: Call) -> Reply:
    """Return dead letters, newest first, without their frames."""
    query: LettersQuery = call.query
    chosen = _filter(call, query)

    def read(name: str, fields: Mapping[bytes, bytes]) -> LetterItem | None:
        letter = StoredLetter(name, dead_letters.read(fields.get(b"letter", b"")))
        return _short(letter) if chosen.takes(letter.letter) else None

    stream = call.ledger.reader.keys.deadletters
    found, cursor = page_of(call.ledger, stream, query, read, _BATCH)
    return Reply(found, {"count": len(found), "next_cursor": cursor})


def _short(letter: StoredLetter) -> LetterItem:
    told = {name: value for name, value in facts(letter).items() if not name.startswith("raw")}
    return LetterItem(**told | {"detail": letter.letter.detail[-_SHOWN_DETAIL:]})


def _filter(call: Call, of: LettersQuery | ChosenBody) -> DeadLetterFilter:
    return DeadLetterFilter(frozenset(of.reason), carried_names(call, of.strategy), symbol_spellings(of.symbol))


def get_dead_letter(call: Call) -> Reply:
    """Return all of a dead letter."""
    [letter] = call.ledger.letters.get([call.path["id"]])
    return Reply(WholeLetterItem(**facts(letter)))


def drop_dead_letter(call: Call) -> Reply:
    """Remove a dead letter for good."""
    return _dropped(call, call.ledger.letters.get([call.path["id"]]))


def drop_dead_letters(call: Call) -> Reply:
    """Remove dead letters for good; records and states stay."""
    return _dropped(call, _chosen(call))


def _dropped(call: Call, letters: Iterable[StoredLetter]) -> Reply:
    ids = [each.id for each in letters]
    dropped = call.ledger.letters.drop(ids)
    return Reply(DroppedItem(dropped=dropped), change={"dropped": dropped, "ids": ids} if dropped else None)


def _chosen(call: Call) -> list[StoredLetter]:
    body: ChosenBody = call.body
    since, until = at_ms(call.ledger, body.since, "since") or 0, at_ms(call.ledger, body.until, "until")
    chosen = _filter(call, body)._replace(since_ms=since, until_ms=until)
    if bool(body.ids) == (chosen != DeadLetterFilter()):
        raise ApiError(422, "say which: either ids, or filters such as reason and until", "invalid-request")
    if body.ids:
        return list(call.ledger.letters.get(body.ids))
    return list(call.ledger.letters.choose(chosen._replace(last=body.limit)))


def retry_dead_letters(call: Call) -> Reply:
    """Send frames and events through the whole path again; what is applied is removed, all else stays."""
    if not _retrying.acquire(blocking=False):
        raise ApiError(409, "another retry is going on; wait for it", "retry-going-on", headers=RETRY)
    try:
        items = asyncio.run(_retry(call, _chosen(call)))
    finally:
        _retrying.release()
    return Reply(items, {"count": len(items)}, change=call.changed or None)


async def _retry(call: Call, letters: list[StoredLetter]) -> list[RetryItem]:
    deadline_s, items = time.monotonic() + RETRY_S - call.body.wait_s, dict[str, RetryItem]()
    sent, applied = list[str](), list[str]()

    def on_sent(letter: StoredLetter) -> None:
        sent.append(letter.id)
        call.changed.update(sent=len(sent), applied=len(applied), ids=sent, applied_ids=applied)

    async for result in retried(call.ledger.settings, call.ledger.reader, letters, call.body.wait_s, on_sent):
        items[result.letter.id] = RetryItem(id=result.letter.id, verdict=result.word, why=result.why)
        if result.word == "applied":
            applied.append(result.letter.id)
            call.changed["applied"] = len(applied)
        # Of what was sent, the results are there already.
        if time.monotonic() > deadline_s and items.keys() >= {*sent}:
            break
    late = f"the request had its {RETRY_S:g} s"
    return [items.get(each.id) or RetryItem(id=each.id, verdict="not tried", why=late) for each in letters]
