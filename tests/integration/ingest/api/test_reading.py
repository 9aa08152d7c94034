"""What the API reads, over HTTP and from Redis."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import book, trade
from tests.support.servers.api import ApiCaller
from tests.unit.ingest.page.test_page_state import signal


def test_strategies_are_listed_with_where_they_run(api: ApiCaller):
    found = {each["strategy_id"]: each for each in api.get("/strategies").data}
    assert (found["orderbook_skew"]["pools"], found["orderbook_skew"]["shadow_pools"]) == (["depth"], ["depth"])
    assert found["orderbook_skew"]["has_global_config"]
    assert found["spread_liquidity"]["pools"] == []


def test_what_was_counted_of_a_strategy_is_told_by_reason(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    counted: Any = {"signals:iceberg": 2, "strategy_held:iceberg:cool_down": 5, "errors:iceberg": 1}
    client.hset(keys.counters, mapping=counted | {"strategy_ns:iceberg": 9_000, "strategy_events:iceberg": 4})
    found = {each.pop("strategy_id"): each for each in api.get("/strategies/counts").data}
    told = {"signals": 2, "held": {"cool_down": 5}, "errors": 1, "events": 4, "event_us": 2.25, "warm_up": None}
    assert found["iceberg"] == told
    none = {"signals": 0, "held": {}, "errors": 0, "events": 0, "event_us": None, "warm_up": None}
    assert found["spread_liquidity"] == none


def test_a_schema_names_type_bounds_and_default(api: ApiCaller):
    [levels] = [each for each in api.get("/strategies/orderbook_skew/schema").data if each["name"] == "levels"]
    assert (levels["type"], levels["min"], levels["default"], levels["example"]) == ("int", 1, 5, 5)
    assert levels["max"] >= 5
    assert levels["description"]


def test_schema_and_defaults_are_there_for_what_does_not_run(api: ApiCaller):
    assert api.get("/strategies/spread_liquidity/schema").status == 200
    assert api.get("/strategies/market_dominance/defaults").data["notional"] == 100


def test_config_holds_all_parameters_and_what_was_set(api: ApiCaller, configured: ConfigurationStore):
    answer = api.get("/strategies/orderbook_skew/config")
    assert answer.data["parameters"]["levels"] == 5
    assert (answer.data["source"], answer.data["enabled"], answer.data["version"]) == ("file", True, 1)
    assert answer.data["config_version"] == configured.version()
    api.post("/strategies/orderbook_skew/config", {"parameters": {"levels": 7}})
    now = api.get("/strategies/orderbook_skew/config").data
    assert (now["parameters"]["levels"], now["source"], now["version"]) == (7, "run_time", 2)
    assert now["set_at_run_time"] == [{"key": "orderbook_skew.levels", "value": 7}]


def test_gates_and_paper_accounts_have_a_schema_too(api: ApiCaller):
    found = {each["name"]: each for each in api.get("/configuration/schema?venues=kraken").data}
    confidence, latency = found["gate.min_confidence"], found["paper.latency_ms"]
    assert (confidence["type"], confidence["min"], confidence["max"], confidence["default"]) == ("float", 0, 1, 0)
    assert (latency["max"], latency["default"], latency["description"][-13:]) == (60_000, None, "unless set 50")
    assert found["gate.max_signals_per_hour"]["type"] == "int"
    assert found["paper.enabled"]["type"] == "bool"
    fees = {name: each["description"] for name, each in found.items() if "fees" in name}
    assert fees.keys() == {
        f"paper.fees_bps.{venue}.{of}" for venue in ("kraken", "spot", "usdm") for of in ("maker", "taker")
    }
    assert (fees["paper.fees_bps.usdm.taker"][-2:], fees["paper.fees_bps.kraken.taker"][-2:]) == (" 5", "10")
    assert api.get("/configuration/schema?venues=../etc").status == 422


def test_what_is_unchanged_is_not_sent_again(api: ApiCaller):
    first = api.get("/configuration")
    again = api.get("/configuration", If_None_Match=first.etag)
    assert (again.status, again.json, again.etag) == (304, None, first.etag)
    api.post("/strategies/orderbook_skew/kill")
    assert api.get("/configuration", If_None_Match=first.etag).status == 200


def test_a_version_tells_the_parameters_that_a_signal_had(api: ApiCaller):
    before = api.get("/configuration").data["config_version"]
    api.post("/strategies/orderbook_skew/config", {"parameters": {"levels": 7}})
    tables = api.get(f"/configuration/versions/{before}").data["tables"]
    assert tables["pools"]["depth"]["strategies"]["orderbook_skew"] == {"levels": 5}
    assert api.get("/configuration/versions/0123456789abcdef").status == 404


def test_the_history_is_paged_newest_first(api: ApiCaller):
    for levels in (6, 7, 8):
        api.post("/strategies/orderbook_skew/config", {"parameters": {"levels": levels}, "reason": f"try {levels}"})
    first = api.get("/configuration/history?limit=2")
    assert [each["reason"] for each in first.data] == ["try 8", "try 7"]
    assert first.data[0]["differences"] == [{"key": "pools.depth.strategies.orderbook_skew.levels", "old": 7, "new": 8}]
    rest = api.get(f"/configuration/history?limit=2&cursor={first.json['metadata']['next_cursor']}")
    assert [each["reason"] for each in rest.data] == ["try 6", "first start"]


def test_shadows_are_listed_with_who_emits(api: ApiCaller):
    [shadow] = api.get("/shadows").data
    assert shadow == {"name": "shadow~orderbook_skew", "shadows": "orderbook_skew", "pool": "depth", "emits": False}


def test_signals_are_filtered_and_paged(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    for number in range(5):
        client.xadd(keys.signals, {"signal": signal(str(number))})
    client.xadd(keys.signals, {"signal": signal("other", symbol="ETHUSDT")})
    first = api.get("/signals?symbol=btcusdt&strategy=iceberg&limit=3")
    assert [each["signal"]["id"] for each in first.data] == ["4", "3", "2"]
    rest = api.get(f"/signals?symbol=BTCUSDT&limit=3&cursor={first.json['metadata']['next_cursor']}")
    assert ([each["signal"]["id"] for each in rest.data], rest.json["metadata"]["next_cursor"]) == (["1", "0"], None)
    assert len(api.get("/signals?since=1h").data) == 6
    assert api.get("/signals?until=1h").data == []
    assert api.get("/signals?action=sell&since=2h").status == 200


def test_dead_letters_are_listed_short_and_shown_whole(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    refused = dead_letters.refused("not_json", "what was wrong " * 100, "a.b", b"\xff{")
    raised = DeadLetter("strategy_error", "Traceback", pool="trade", strategy="boom", event=trade())
    names: list[Any] = [
        client.xadd(keys.deadletters, {"letter": dead_letters.pack(each)}) for each in (refused, raised)
    ]
    listed = api.get("/dead-letters").data
    assert [each["reason"] for each in listed] == ["strategy_error", "refused"]
    assert len(listed[1]["detail"]) == 500
    assert "raw" not in listed[1]
    assert [each["strategy"] for each in api.get("/dead-letters?reason=strategy_error&strategy=boom").data] == ["boom"]
    whole = api.get(f"/dead-letters/{names[0].decode()}").data
    assert (whole["raw"], whole["raw_encoding"], len(whole["detail"])) == ("/3s=", "base64", 1500)
    assert api.get("/dead-letters/1-1").status == 404
    assert api.get("/dead-letters/odd").status == 404


def test_positions_are_there_closed_and_open(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    position = {
        "id": "1", "strategy": "iceberg", "venue": "spot", "symbol": "BTCUSDT", "side": "long", "quantity": 1.0,
        "entry_price": 1.0, "exit_price": 2.0, "opened_ms": 1, "closed_ms": 2, "exit_reason": "signal", "fees": 0.0,
        "funding": 0.0, "pnl": 1.0, "return_bps": 1.0, "signal_id": "a", "exit_signal_id": "b", "config_version": "c",
        "schema_version": "1.0",
    }  # fmt: skip
    client.xadd(keys.positions, {"position": msgspec.json.encode(position)})
    assert api.get("/positions?symbol=BTCUSDT").data == [position]
    assert api.get("/positions?symbol=ETHUSDT").data == []
    assert api.get("/positions/open").data == []


def test_a_signal_is_found_by_its_id_also_one_that_was_held_back(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    trigger = {"trigger": {"venue": "spot", "symbol": "BTCUSDT", "kind": "trade", "id": 1}, "config_version": "c1"}
    client.xadd(keys.signals, {"signal": signal("sent", **trigger)}, id="1000-1")
    client.xadd(keys.held, {"held": b'{"reason":"paused","signal":%s}' % signal("held", **trigger)}, id="2000-1")
    found = api.get("/signals/sent").data
    assert (found["status"], found["held"], found["signal"]["strategy"]) == ("sent", "", "iceberg")
    assert found["committed_at"] == "1970-01-01T00:00:01Z"
    found = api.get("/signals/held").data
    assert (found["status"], found["held"], found["signal"]["id"]) == ("held", "paused", "held")
    assert api.get("/signals/held?until=1970-01-01T00:00:03Z").status == 200
    answer = api.get("/signals/held?until=1970-01-01T00:00:01Z")
    assert (answer.status, "`until` has older ones looked at" in answer.json["detail"]) == (404, True)
    for path in ("/signals/hel", "/signals/nobody/why", "/signals/--json/why"):
        assert api.get(path).status == 404


def test_resets_of_states_are_listed(api: ApiCaller):
    assert api.get("/states/resets").data == []


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/signals?limit=0", "limit"), ("/signals?limit=x", "limit"), ("/signals?cursor=x", "cursor"),
        ("/signals?since=yesterday", "since"), ("/signals?until=x", "until"), ("/signals?odd=1", "odd"),
        ("/signals?limit=1&limit=2", "limit"), ("/signals?action=shout", "action.0"),
        ("/configuration/history?cursor=1", "cursor"), ("/strategies/iceberg/audit?limit=1001", "limit"),
    ],
)  # fmt: skip
def test_an_odd_query_is_refused_by_its_parameter(api: ApiCaller, path: str, parameter: str):
    answer = api.get(path)
    assert (answer.status, [each["parameter"] for each in answer.json["errors"]]) == (422, [parameter])


@pytest.mark.parametrize("path", ["/strategies/nobody/config", "/strategies/nobody/schema", "/strategies/nobody/audit"])
def test_a_strategy_that_is_not_there_is_not_found(api: ApiCaller, path: str):
    answer = api.get(path)
    assert (answer.status, answer.json["status"], answer.json["title"]) == (404, 404, "Not Found")
    assert "nobody" in answer.json["detail"]


def test_before_the_first_start_nothing_is_in_force(port: int):
    answer = ApiCaller(port).get("/configuration")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert "no configuration is in force yet" in answer.json["detail"]


def test_an_entry_that_can_t_be_read_is_named(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    client.xadd(keys.signals, {"signal": "{"})
    answer = api.get("/signals")
    assert (answer.status, "can't be read" in answer.json["detail"]) == (500, True)


def test_a_book_s_event_is_shown(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    letter = DeadLetter("condemned", "5 runs", pool="depth", event=book())
    name: bytes = client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)})  # type: ignore[assignment]
    assert api.get(f"/dead-letters/{name.decode()}").data["event"]["kind"] == "depth"


def test_no_module_is_imported_because_a_caller_names_it(
    api: ApiCaller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "named_by_a_caller.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    name = "named_by_a_caller:X"
    for path in (f"/signals?strategy={name}", f"/positions?strategy={name}", f"/dead-letters?strategy={name}"):
        assert api.get(path).data == []
    for path in ("config", "schema", "audit"):
        assert api.get(f"/strategies/{name}/{path}").status == 404
    for path in ("config", "kill", "promote", "rollback", "states/reset"):
        assert (
            api.post(f"/strategies/{name}/{path}", {"parameters": {"a": 1}} if path == "config" else {}).status == 404
        )
    assert api.post("/configuration", {"strategy": name, "values": {"a": 1}}).status == 404
    assert "named_by_a_caller" not in sys.modules
