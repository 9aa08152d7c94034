"""What the API changes: each change once, by whom, and never over what the caller has not seen."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import dead_letters, records
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import trade
from tests.support.servers.api import ApiCaller

CONFIG = "/strategies/orderbook_skew/config"


def levels(api: ApiCaller) -> int:
    return int(api.get(CONFIG).data["parameters"]["levels"])


@pytest.mark.parametrize(
    ("there", "gate", "back"), [("kill", "killed", "revive"), ("pause", "paused", "resume")]
)  # fmt: skip
@pytest.mark.parametrize("strategy", ["orderbook_skew", "all"])
def test_a_strategy_is_switched_there_and_back(api: ApiCaller, there: str, gate: str, back: str, strategy: str):
    done = api.post(f"/strategies/{strategy}/{there}", {"reason": "odd prices"})
    assert (done.data["changed"], [each["new"] for each in done.data["differences"]]) == (True, [True])
    now = api.get(CONFIG).data
    assert (now["gate"][gate], now["enabled"]) == (True, False)
    assert not api.post(f"/strategies/{strategy}/{there}").data["changed"]
    assert api.post(f"/strategies/{strategy}/{back}").data["changed"]
    assert api.get(CONFIG).data["enabled"]


def test_a_pool_is_paused_and_resumed(api: ApiCaller):
    assert api.post("/pools/depth/pause").data["differences"] == [
        {"key": "pools.depth.paused", "old": None, "new": True}
    ]
    assert not api.get(CONFIG).data["enabled"]
    assert api.post("/pools/depth/resume").data["changed"]
    assert api.post("/pools/nothing/pause").status == 404


def test_a_check_changes_nothing(api: ApiCaller, configured: ConfigurationStore):
    checked = api.post("/strategies/orderbook_skew/kill", {"validate_only": True})
    assert (checked.data["changed"], checked.data["validate_only"], len(checked.data["differences"])) == (
        False,
        True,
        1,
    )
    body = {"strategy": "iceberg", "values": {"notional": 7}, "validate_only": True}
    assert api.post("/configuration", body).data["differences"][0]["new"] == 7
    assert len(configured.history()) == 1


def test_a_change_tells_who_made_it_and_for_whom(api: ApiCaller, configured: ConfigurationStore, port: int):
    cio = ApiCaller(port, "the-cios-own-token")
    api.post("/strategies/iceberg/kill", {"reason": "why"})
    cio.post("/strategies/iceberg/revive", {"changed_by": "petrosa-cio:iceberg"})
    cio.post("/strategies/iceberg/kill", X_Changed_By="ann")
    cio.post("/strategies/iceberg/revive", {"changed_by": "cio"})
    told = [(change.author, change.reason) for change in configured.history()[1:]]
    assert told == [("dashboard", "why"), ("petrosa-cio:iceberg via cio", ""), ("ann via cio", ""), ("cio", "")]


def test_a_lost_update_is_refused(api: ApiCaller, configured: ConfigurationStore):
    seen = api.get(CONFIG).etag
    first = api.post(CONFIG, {"parameters": {"levels": 7}}, If_Match=seen)
    assert (first.status, first.etag) == (200, api.get(CONFIG).etag)
    for method, path, body in (
        ("POST", CONFIG, {"parameters": {"levels": 9}}), ("DELETE", CONFIG, None),
        ("POST", "/configuration", {"strategy": "iceberg", "values": {"notional": 7}}),
        ("POST", "/configuration/rollback", {}), ("POST", "/configuration/reset", {"everything": True}),
        ("POST", "/strategies/orderbook_skew/rollback", {}), ("POST", "/strategies/orderbook_skew/kill", {}),
    ):  # fmt: skip
        answer = api(method, path, body, If_Match=seen)
        assert (answer.status, answer.json["title"]) == (412, "Configuration changed"), path
    assert (levels(api), len(configured.history())) == (7, 2)
    assert api.post(CONFIG, {"parameters": {"levels": 8}}, If_Match=f'"old", {first.etag}').status == 200
    assert api.post(CONFIG, {"parameters": {"levels": 9}}, If_Match="*").status == 200


def test_of_changes_at_once_that_saw_the_same_one_wins(api: ApiCaller):
    seen = api.get(CONFIG).etag
    with ThreadPoolExecutor(4) as threads:
        tried = threads.map(
            lambda n: api.post(CONFIG, {"parameters": {"levels": n}}, If_Match=seen).status, range(6, 10)
        )
    assert sorted(tried) == [200, 412, 412, 412]


def test_where_there_is_no_etag_if_match_is_refused(api: ApiCaller):
    assert api.post("/dead-letters/drop", {"ids": ["1-1"]}, If_Match='"x"').status == 412


@pytest.mark.parametrize(
    ("parameters", "errors"),
    [
        ({"levels": 0}, {"levels": "must be at least 1"}),
        ({"levels": "many"}, {"levels": "must be a whole number"}),
        ({"levels": 0, "notional": -1}, {"levels": "must be at least 1", "notional": "must be above 0"}),
        ({"gate.min_confidence": 2}, {"gate.min_confidence": "must be at most 1"}),
        ({"level": 3}, {"level": "did you mean 'levels'"}),
        ({"nope": 3}, {"nope": "unknown parameter 'nope'; known: "}),
        ({"gate": {}}, {"gate": "is a table"}),
    ],
)
def test_what_does_not_fit_is_told_by_parameter(api: ApiCaller, parameters: dict[str, object], errors: dict[str, str]):
    for validate_only in (False, True):
        answer = api.post(CONFIG, {"parameters": parameters, "validate_only": validate_only})
        assert (answer.status, answer.json["title"]) == (422, "Invalid values")
        told = {each["parameter"]: each["message"] for each in answer.json["errors"]}
        assert told.keys() == errors.keys()
        assert all(words in told[name] for name, words in errors.items())


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        (CONFIG, {}, "parameters"), (CONFIG, {"parameters": {}}, "parameters"), (CONFIG, [], ""),
        (CONFIG, {"parameters": {"levels": 7}, "validate_only": "yes"}, "validate_only"),
        (CONFIG, {"parameters": {"levels": 7}, "decision": 1}, "decision"),
        ("/strategies/iceberg/kill", {"reason": "x" * 1001}, "reason"),
        ("/dead-letters/retry", {"ids": ["1-1"], "wait_s": 11}, "wait_s"),
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(api: ApiCaller, path: str, body: object, parameter: str):
    answer = api.post(path, body)
    assert (answer.status, [each["parameter"] for each in answer.json["errors"]]) == (422, [parameter])


def test_a_symbol_has_values_of_its_own(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    client.hset(keys.pool("depth"), "record:spot:BTCUSDT:depth", records.pack(records.Record()))
    refused = api.post(f"{CONFIG}/NOSUCHUSDT", {"parameters": {"levels": 9}})
    assert (refused.status, '"force": true' in refused.json["detail"]) == (422, True)
    assert api.post(f"{CONFIG}/NOSUCHUSDT", {"parameters": {"levels": 9}, "force": True}).status == 200
    assert api.post(f"{CONFIG}/btcusdt", {"parameters": {"levels": 8}}).data["symbol"] == "BTCUSDT"
    of_symbol = api.get(f"{CONFIG}/BTCUSDT").data
    assert (of_symbol["parameters"]["levels"], of_symbol["is_override"], levels(api)) == (8, True, 5)
    assert api.delete(f"{CONFIG}/BTCUSDT").status == 200
    assert api.get(f"{CONFIG}/BTCUSDT").data["parameters"]["levels"] == 5
    assert api.delete(f"{CONFIG}/BTCUSDT").status == 404


@pytest.mark.parametrize("parameters", [{"gate.killed": True}, {"enabled": False}])
def test_a_gate_is_not_set_for_one_symbol(api: ApiCaller, parameters: dict[str, object]):
    answer = api.post(f"{CONFIG}/BTCUSDT", {"parameters": parameters})
    assert (answer.status, "holds for all symbols" in answer.json["detail"]) == (422, True)
    body = {"strategy": "orderbook_skew", "values": {"gate.killed": True}, "symbol": "BTCUSDT"}
    assert api.post("/configuration", body).status == 422
    assert api.get(CONFIG).data["enabled"]


@pytest.mark.parametrize("name", ["orderbook_skew", "all"])
def test_values_of_gate_and_paper_account_are_set_and_read(api: ApiCaller, name: str):
    path = f"/strategies/{name}"
    wanted = {"gate.min_confidence": 0.7, "paper.latency_ms": 80, "paper.fees_bps.usdm.taker": 4}
    assert api.get(f"{path}/config").data["values"] == {}
    checked = api.post(f"{path}/config", {"parameters": wanted, "validate_only": True}).json["metadata"]
    assert [each["new"] for each in checked["differences"]] == [0.7, 4, 80]
    assert api.post(f"{path}/config", {"parameters": wanted}).data["values"] == wanted
    assert api.get("/strategies/iceberg/config").data["values"] == {}
    [change] = api.get(f"{path}/audit").data[:1]
    assert change["new_parameters"] == wanted
    assert api.post(f"{path}/config", {"parameters": {"gate.min_confidence": None}}).status == 200
    assert api.get(f"{path}/config").data["gate"]["min_confidence"] == 0
    assert api.post(f"{path}/rollback", {}).data["values"] == wanted
    assert api.delete(f"{path}/config").status == 200
    assert api.get(f"{path}/config").data["values"] == {}


def test_a_symbol_has_terms_of_its_own(api: ApiCaller):
    body = {"parameters": {"paper.latency_ms": 80}, "force": True}
    assert api.post(f"{CONFIG}/BTCUSDT", body).data["values"] == {"paper.latency_ms": 80}
    assert api.get(CONFIG).data["values"] == {}


def test_for_all_strategies_there_are_no_parameters(api: ApiCaller):
    assert (api.get("/strategies/all/schema").data, api.get("/strategies/all/config").data["parameters"]) == ([], {})
    assert api.post("/strategies/all/config", {"parameters": {"levels": 7}}).status == 422
    assert api.post("/strategies/all/config", {"parameters": {"enabled": False}}).data["gate"]["paused"]


def test_all_that_was_set_is_dropped(api: ApiCaller):
    api.post(CONFIG, {"parameters": {"levels": 7}})
    api.post("/configuration", {"strategy": "all", "values": {"gate.min_confidence": 0.2}})
    assert api.post("/configuration/reset", {"key": "orderbook_skew.levels"}).data["changed"]
    assert (levels(api), len(api.get("/configuration").data["set_at_run_time"])) == (5, 1)
    assert api.post("/configuration/reset", {"everything": True}).data["changed"]
    assert api.get("/configuration").data["set_at_run_time"] == []
    assert [api.post("/configuration/reset", each).status for each in ({}, {"key": "nothing"})] == [422, 422]


def test_changes_are_undone_one_by_one_or_to_a_version(api: ApiCaller):
    versions = [api.post(CONFIG, {"parameters": {"levels": n}}).data["config_version"] for n in (6, 7, 8)]
    assert (api.post("/configuration/rollback").status, levels(api)) == (200, 7)
    assert (api.post("/configuration/rollback").status, levels(api)) == (200, 6)
    assert (api.post("/configuration/rollback", {"to": versions[2]}).status, levels(api)) == (200, 8)
    entry = api.get("/configuration/history").data[-1]["id"]
    assert (api.post("/configuration/rollback", {"to": entry}).status, levels(api)) == (200, 5)
    assert api.post("/configuration/rollback", {"to": "nothing"}).status == 404


def test_nothing_to_undo_is_a_conflict(api: ApiCaller):
    assert api.post("/configuration/rollback").json["title"] == "Nothing to undo"
    assert api.post("/strategies/orderbook_skew/rollback", {}).status == 409


def test_a_shadow_is_promoted_and_taken_back(api: ApiCaller):
    assert api.post("/strategies/shadow~orderbook_skew/promote").data["changed"]
    assert [each["emits"] for each in api.get("/shadows").data] == [True]
    assert api.post("/strategies/orderbook_skew/promote").data["changed"]
    assert [api.post(f"/strategies/{name}/promote").status for name in ("iceberg", "nobody")] == [422, 404]


def test_states_are_removed_and_it_is_told(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        client.hset(keys.pool("depth"), f"state:spot:{symbol}:iceberg", b"x")
    path = "/strategies/iceberg/states/reset"
    assert api.post(path, {"validate_only": True}).data == {"states": {"depth": 2}, "validate_only": True}
    assert api.post(path, {"symbol": "BTCUSDT", "reason": "bad prices"}).data["states"] == {"depth": 1}
    [done] = api.get("/states/resets").data
    assert (done["states"], done["symbol"], done["changed_by"], done["reason"]) == (
        1,
        "BTCUSDT",
        "dashboard",
        "bad prices",
    )
    assert api.post(path, {"symbol": "BTCUSDT"}).status == 404


def test_dead_letters_are_dropped_by_id_or_filter(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    def add(reason: str) -> str:
        letter = DeadLetter(reason, "", pool="trade", event=trade())  # type: ignore[arg-type]  # one of them
        name: bytes = client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)})  # type: ignore[assignment]
        return name.decode()

    first, second, *_ = (add("condemned"), add("condemned"), add("strategy_error"), add("condemned"))
    assert api.delete(f"/dead-letters/{first}").data == {"dropped": 1}
    assert api.delete(f"/dead-letters/{first}").status == 404
    assert api.post("/dead-letters/drop", {"ids": [second]}).data == {"dropped": 1}
    assert api.post("/dead-letters/drop", {"reason": ["condemned"], "since": "1h"}).data == {"dropped": 1}
    assert [each["reason"] for each in api.get("/dead-letters").data] == ["strategy_error"]
    odd: tuple[dict[str, object], ...] = ({}, {"ids": ["1-1"], "reason": ["condemned"]}, {"since": "x"})
    assert [api.post("/dead-letters/drop", each).status for each in odd] == [422] * 3


def test_a_letter_that_can_t_be_retried_stays_and_says_why(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    letter = DeadLetter("unpublishable", "why", raw=b"{}")
    name: bytes = client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)})  # type: ignore[assignment]
    [result] = api.post("/dead-letters/retry", {"ids": [name.decode()]}).data
    assert (result["verdict"], result["why"]) == ("can't", "it holds no frame and no event")
    assert client.xlen(keys.deadletters) == 1
    assert api.post("/dead-letters/retry", {"ids": ["1-1"]}).status == 404


def test_a_frame_that_nobody_takes_is_not_applied_yet(api: ApiCaller, client: redis.Redis, keys: LedgerKeys):
    letters = [DeadLetter("condemned", "", pool="trade", event=trade(id=number)) for number in (1, 2)]
    for each in letters:
        client.xadd(keys.deadletters, {"letter": dead_letters.pack(each)})
    answer = api.post("/dead-letters/retry", {"reason": ["condemned"], "wait_s": 0.1})
    assert [each["verdict"] for each in answer.data] == ["not yet", "not tried"]
