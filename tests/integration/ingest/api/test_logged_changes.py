"""What the log says of changes that the API makes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from tasks.ledger import LedgerKeys
from tasks.ledger.dead_letters import DeadLetterStore
from tasks.protocol import dead_letters, records
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.records import Record
from tests.support.events import trade
from tests.support.servers.api import ApiCaller

CONFIG = "/strategies/orderbook_skew/config"


def changes_in(logs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in logs if each["event"] == "the API changed something"]


def test_a_change_is_logged_with_its_caller(api: ApiCaller):
    with capture_logs() as logs:
        api.post("/strategies/iceberg/kill", {"reason": "odd prices"})
    [line] = changes_in(logs)
    assert (line["caller"], line["operation"], line["of_strategy"]) == ("dashboard", "kill_strategy", "iceberg")
    assert (line["version"], line["reason"]) == (api.get(CONFIG).data["config_version"], "odd prices")


def test_what_changed_nothing_is_not_logged_as_a_change(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    client.hset(keys.pool("depth"), "state:spot:BTCUSDT:iceberg", b"x")
    packed = dead_letters.pack(DeadLetter("unpublishable", "why", raw=b"{}"))
    name: bytes = client.xadd(keys.deadletters, {"letter": packed})  # type: ignore[assignment]
    api.post("/strategies/iceberg/kill")
    with capture_logs() as logs:
        answers = [
            api.post("/strategies/iceberg/kill"),
            api.post("/strategies/iceberg/revive", {"validate_only": True}),
            api.post(CONFIG, {"parameters": {"levels": 7}, "validate_only": True}),
            api.post("/configuration", {"strategy": "iceberg", "values": {"notional": 7}, "validate_only": True}),
            api.post("/strategies/iceberg/states/reset", {"validate_only": True}),
            api("POST", "/strategies/cache/refresh", None),
            api.post("/dead-letters/drop", {"reason": ["condemned"]}),
            api.post("/dead-letters/retry", {"ids": [name.decode()]}),
        ]
    assert [each.status for each in answers] == [200] * len(answers)
    assert changes_in(logs) == []


def test_dropped_and_retried_letters_are_logged_by_their_ids(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    packed = [dead_letters.pack(DeadLetter("condemned", "", pool="trade", event=trade(id=id_))) for id_ in (1, 2)]
    names: list[bytes] = [client.xadd(keys.deadletters, {"letter": each}) for each in packed]  # type: ignore[misc]
    first, second = (each.decode() for each in names)
    with capture_logs() as logs:
        api.post("/dead-letters/retry", {"ids": [first], "wait_s": 0.1})
        api.delete(f"/dead-letters/{first}?reason=tested&changed_by=ann")
        api.post("/dead-letters/drop", {"ids": [second]})
    retried, one, several = changes_in(logs)
    assert (retried["sent"], retried["applied"], retried["ids"], retried["applied_ids"]) == (1, 0, [first], [])
    assert (one["dropped"], one["ids"], one["reason"], one["caller"]) == (1, [first], "tested", "ann via dashboard")
    assert (several["dropped"], several["ids"]) == (1, [second])


def test_a_retry_that_fails_midway_logs_what_it_had_applied(
    api: ApiCaller, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch
):
    events = [trade(id=1, symbol=symbol) for symbol in ("ADAUSDT", "BTCUSDT", "ETHUSDT")]
    packed = [dead_letters.pack(DeadLetter("condemned", "", pool="trade", event=each)) for each in events]
    first, second, third = (client.xadd(keys.deadletters, {"letter": each}).decode() for each in packed)  # type: ignore[union-attr]
    newest_ids, drop = DeadLetterStore.newest_ids, DeadLetterStore.drop

    def applied_meanwhile(store: DeadLetterStore) -> list[str]:
        for each in events[:2]:
            record = Record(id=each.id, time_ms=each.time_ms, count=1)
            client.hset(keys.pool("trade"), records.field(each), records.pack(record))
        return newest_ids(store)

    def dropped_once(store: DeadLetterStore, ids: Sequence[str]) -> int:
        if list(ids) == [second]:
            raise redis.ConnectionError("gone")
        return drop(store, ids)

    monkeypatch.setattr(DeadLetterStore, "newest_ids", applied_meanwhile)
    monkeypatch.setattr(DeadLetterStore, "drop", dropped_once)
    with capture_logs() as logs:
        answer = api.post("/dead-letters/retry", {"ids": [first, second, third], "wait_s": 0.1, "changed_by": "ann"})
    assert answer.status == 503
    [line] = changes_in(logs)
    assert (line["sent"], line["ids"], line["caller"]) == (3, [first, second, third], "ann via dashboard")
    assert (line["applied"], line["applied_ids"]) == (1, [first])
    assert "gone" in line["failed"]


def test_a_retry_that_fails_before_it_has_sent_anything_is_not_logged(
    api: ApiCaller, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch
):
    packed = dead_letters.pack(DeadLetter("condemned", "", pool="trade", event=trade()))
    name: bytes = client.xadd(keys.deadletters, {"letter": packed})  # type: ignore[assignment]

    def gone(_: DeadLetterStore) -> list[str]:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(DeadLetterStore, "newest_ids", gone)
    with capture_logs() as logs:
        assert api.post("/dead-letters/retry", {"ids": [name.decode()]}).status == 503
    assert changes_in(logs) == []
