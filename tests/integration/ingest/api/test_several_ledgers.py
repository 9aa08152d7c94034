"""The API reads the ledgers of two shards as one, and changes what it names in the right one."""

from collections.abc import Iterator

import pytest

from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.stacks.two_ledgers import HOMES, SplitLedger, split_ledger
from tests.support.strategies import trades
from tests.unit.ingest.page.test_page_state import signal

ENTRIES = ("3-0", "3-0.1", "3-1.1", "4-0", "5-0.1", "6-0")


@pytest.fixture
def split(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    with split_ledger(redis_url, namespace) as split:
        yield split


@pytest.fixture
def settings(split: SplitLedger, nats_url: str, namespace: str) -> Settings:
    own = {"nats_url": nats_url, "nats_subjects": f"{namespace}.>", "api_token": f"dashboard:{TOKEN}"}
    return split.settings.model_copy(update=own)


def fill(split: SplitLedger, stream: str, field: str, packed: bytes) -> None:
    for entry in ENTRIES:
        stored, _, number = entry.partition(".")
        split.clients[int(number or 0)].xadd(stream, {field: packed}, id=stored)


@pytest.mark.parametrize("limit", [1, 2, 4, 50])
@pytest.mark.parametrize("path", ["/signals", "/dead-letters"])
def test_pages_hold_each_entry_of_all_ledgers_once(api: ApiCaller, split: SplitLedger, path: str, limit: int):
    fill(split, split.keys.signals, "signal", signal("s"))
    fill(split, split.keys.deadletters, "letter", dead_letters.pack(DeadLetter("refused", "")))
    found, cursor = list[str](), ""
    while len(found) <= len(ENTRIES):
        answer = api.get(f"{path}?limit={limit}&cursor={cursor}")
        found += [each.get("entry") or each["id"] for each in answer.data]
        if not (cursor := answer.json["metadata"]["next_cursor"]):
            break
    assert found == list(ENTRIES[::-1])


def test_a_letter_is_shown_and_dropped_by_its_id(api: ApiCaller, split: SplitLedger):
    fill(split, split.keys.deadletters, "letter", dead_letters.pack(DeadLetter("refused", "")))
    assert api.get("/dead-letters/3-0.1").data["id"] == "3-0.1"
    assert api.delete("/dead-letters/3-0.1").data == {"dropped": 1}
    assert [api.get(f"/dead-letters/{each}").status for each in ("3-0.1", "3-0", "4-0.1")] == [404, 200, 404]
    assert api.post("/dead-letters/drop", {"ids": ["3-0", "3-1.1", "6-0"]}).data == {"dropped": 3}
    assert [each["id"] for each in api.get("/dead-letters").data] == ["5-0.1", "4-0"]


def test_a_signal_is_found_in_whichever_ledger_has_it(api: ApiCaller, split: SplitLedger):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    listed = [each["signal"] for each in api.get("/signals").data]
    assert sorted(each["symbol"] for each in listed) == sorted(HOMES)
    assert [api.get(f"/signals/{each['id']}").data["signal"] for each in listed] == listed


def test_letters_of_all_ledgers_are_late_where_their_records_are_past_them(api: ApiCaller, split: SplitLedger):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
        letter = DeadLetter("condemned", "", pool="trade", event=trades(1.0, symbol=symbol)[0])
        split.clients[split.home(symbol)].xadd(split.keys.deadletters, {"letter": dead_letters.pack(letter)})
    answer = api.post("/dead-letters/retry", {"reason": ["condemned"], "wait_s": 0.1})
    assert [each["verdict"] for each in answer.data] == ["late", "late"]
