"""What petrosa's operators call answers as they read it, but failures have a status of 400 and above.

The models say what their services send and read, by the facts that are known of them.
"""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from tasks.ledger.configurations import ConfigurationStore
from tests.support.servers.api import ApiCaller


class Envelope(BaseModel):
    success: bool
    data: Any = None
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class Config(BaseModel):
    strategy_id: str
    symbol: str | None
    parameters: dict[str, Any]
    version: int
    source: str
    is_override: bool
    created_at: str | None
    updated_at: str | None


class Listed(BaseModel):
    strategy_id: str
    #: Beside their fields: by which the paths take it too.
    alias: str
    name: str
    description: str
    has_global_config: bool
    symbol_overrides: list[str]
    parameter_count: int


class Parameter(BaseModel):
    name: str
    type: str
    description: str
    default: Any
    min: float | None
    max: float | None
    allowed_values: list[Any] | None
    example: Any


class Audited(BaseModel):
    id: str
    strategy_id: str
    symbol: str | None
    action: str
    old_parameters: dict[str, Any] | None
    new_parameters: dict[str, Any] | None
    changed_by: str
    changed_at: str
    reason: str | None


class Update(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, Any]
    changed_by: str
    reason: str | None = None
    validate_only: bool = False


@pytest.fixture
def cio(port: int, configured: ConfigurationStore) -> "Cio":
    return Cio(port)


class Cio:
    """Calls as the CIO does: with a header of its own for the token, and the status alone says whether it failed."""

    def __init__(self, port: int) -> None:
        self._call = ApiCaller(port, "")

    def __call__(self, method: str, path: str, body: BaseModel | dict[str, Any] | None = None) -> Envelope:
        sent = body.model_dump() if isinstance(body, BaseModel) else body
        headers = {"X_Petrosa_Issuer": "CIO", "X_Petrosa_Internal_Token": "the-cios-own-token"}
        answer = self._call(method, f"/strategies{path}", sent, **headers)
        return Envelope.model_validate(answer.json if answer.status < 400 else {"success": False, "error": answer.json})

    def update(self, path: str, *, validate_only: bool = False, **parameters: Any) -> Envelope:
        body = Update(parameters=parameters, changed_by="cio", reason="try", validate_only=validate_only)
        return self("POST", path, body)


def test_strategies_schema_and_defaults_are_read(cio: Cio):
    listed = {each["strategy_id"]: Listed.model_validate(each) for each in cio("GET", "").data}
    assert listed["price_velocity"].parameter_count > 2
    assert {name: each.alias for name, each in listed.items() if each.alias} == {
        "iceberg": "iceberg_detector",
        "price_velocity": "ticker_velocity",
    }
    schema = [Parameter.model_validate(each) for each in cio("GET", "/ticker_velocity/schema").data]
    assert cio("GET", "/ticker_velocity/defaults").data == {each.name: each.default for each in schema}


def test_a_parameter_is_checked_set_read_and_deleted(cio: Cio):
    before = Config.model_validate(cio("GET", "/iceberg_detector/config").data)
    checked = cio.update("/iceberg_detector/config", validate_only=True, notional=7.0)
    assert (checked.success, checked.data) == (True, None)
    done = Config.model_validate(cio.update("/iceberg_detector/config", notional=7.0).data)
    assert (done.strategy_id, done.parameters["notional"]) == ("iceberg_detector", 7)
    assert done == Config.model_validate(cio("GET", "/iceberg_detector/config").data)
    assert (before.parameters["notional"], done.version) == (100, before.version + 1)
    assert cio("DELETE", "/iceberg_detector/config?changed_by=cio&reason=done").success
    assert Config.model_validate(cio("GET", "/iceberg_detector/config").data).parameters == before.parameters


def test_a_symbol_is_set_and_deleted(cio: Cio):
    done = Config.model_validate(cio.update("/orderbook_skew/config/btcusdt", levels=9).data)
    assert (done.symbol, done.is_override, done.parameters["levels"]) == ("BTCUSDT", True, 9)
    assert cio("DELETE", "/orderbook_skew/config/btcusdt?changed_by=cio").success
    assert not Config.model_validate(cio("GET", "/orderbook_skew/config/BTCUSDT").data).is_override


def test_the_cio_pauses_and_resumes_by_enabled(cio: Cio, configured: ConfigurationStore):
    cio.update("/ticker_velocity/config", enabled=False)
    assert configured.in_force().configuration.gate_of("trade", "price_velocity").paused
    cio.update("/ticker_velocity/config", enabled=True)
    assert not configured.in_force().configuration.gate_of("trade", "price_velocity").paused


def test_the_audit_tells_old_and_new(cio: Cio):
    cio.update("/orderbook_skew/config", levels=7)
    cio.update("/iceberg/config", notional=7.0)
    cio.update("/orderbook_skew/config/BTCUSDT", levels=9)
    newest, oldest = (Audited.model_validate(each) for each in cio("GET", "/orderbook_skew/audit?limit=50").data[:2])
    assert (oldest.action, oldest.old_parameters, oldest.new_parameters) == ("update", {"levels": 5}, {"levels": 7})
    assert (newest.changed_by, newest.reason, newest.new_parameters) == ("cio", "try", {"symbols.BTCUSDT.levels": 9})
    [of_symbol] = cio("GET", "/orderbook_skew/audit?symbol=BTCUSDT&limit=50").data
    assert of_symbol["symbol"] == "BTCUSDT"
    assert len(cio("GET", "/orderbook_skew/audit?limit=1").data) == 1


def test_a_strategy_goes_back_without_the_others(cio: Cio):
    versions = [Config.model_validate(cio.update("/orderbook_skew/config", levels=n).data).version for n in (6, 7, 8)]
    cio.update("/iceberg/config", notional=7.0)

    def back(query: str = "", **target: Any) -> int:
        done = cio("POST", f"/orderbook_skew/rollback{query}", {"changed_by": "cio", "reason": "worse", **target})
        return int(Config.model_validate(done.data).parameters["levels"])

    assert back() == 7
    assert back(target_version=versions[0]) == 6
    entry = cio("GET", "/orderbook_skew/audit").data[2]["id"]
    assert back(rollback_id=entry) == 8
    assert cio("GET", "/iceberg/config").data["parameters"]["notional"] == 7


def test_a_symbol_goes_back_without_the_rest_and_its_own_is_told(cio: Cio):
    versions = [cio.update("/orderbook_skew/config/BTCUSDT", levels=n).data["version"] for n in (9, 10)]
    cio.update("/orderbook_skew/config", levels=7)
    for body, levels in (({"target_version": versions[0]}, 9), ({}, 10), ({"target_version": versions[0] - 1}, 7)):
        back = cio("POST", "/orderbook_skew/rollback?symbol=btcusdt", {"changed_by": "cio", **body}).data
        assert back == cio("GET", "/orderbook_skew/config/BTCUSDT").data
        assert (back["symbol"], back["parameters"]["levels"], back["is_override"]) == ("BTCUSDT", levels, levels != 7)


def test_the_cache_is_refreshed_by_doing_nothing(cio: Cio):
    assert cio("POST", "/cache/refresh").data["message"] == "cache refreshed successfully"


def test_a_strategy_answers_by_alias_and_by_name_alike(cio: Cio):
    cio.update("/iceberg_detector/config", notional=7.0)
    for path in ("schema", "defaults", "config", "config/BTCUSDT", "audit"):
        by_alias, by_name = (cio("GET", f"/{name}/{path}").data for name in ("iceberg_detector", "iceberg"))
        for named in (each for each in (by_alias, by_name) if path != "audit"):
            isinstance(named, dict) and named.pop("strategy_id", None)
        assert by_alias
        assert len(by_alias) == len(by_name)
        assert path == "audit" or by_alias == by_name


def test_failures_are_failures(cio: Cio):
    failed = [
        cio.update("/orderbook_skew/config", levels=0),
        cio.update("/onchain_metrics/config", levels=1),
        cio("POST", "/orderbook_skew/rollback", {"changed_by": "cio", "target_version": 1000}),
        cio("GET", "/onchain_metrics/schema"),
    ]
    assert [(each.error or {})["status"] for each in failed] == [422, 404, 404, 404]
