"""Intents, against models of what petrosa's services read, written from how those behave."""

import json
import re
from typing import Annotated, Literal, get_args

import msgspec
import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from compose.local.processes import ROOT
from tasks.configuration import aliases, read, registry, revisions
from tasks.protocol import petrosa, signal_subject
from tasks.settings import Settings
from tasks.telemetry import trace_context
from tests.unit.tasks.engine.test_signal_message import fields


class Trace(BaseModel):
    """W3C's headers, as OpenTelemetry injects them into a carrier."""

    model_config = ConfigDict(extra="forbid")

    traceparent: Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
    tracestate: str | None = None


class Intent(BaseModel):
    """What the CIO, the trade engine and the audit of the data manager read; other fields are left alone."""

    intent_id: Annotated[str, Field(min_length=1)]
    #: The names by which the CIO asks us, and nobody else, for a configuration.
    strategy_id: Literal[
        "orderbook_skew", "trade_momentum", "ticker_velocity", "btc_dominance", "onchain_metrics", "iceberg_detector"
    ]
    strategy: str
    symbol: str
    action: Literal["buy", "sell", "hold", "close"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    price: Annotated[float, Field(gt=0)]
    quantity: Annotated[float, Field(gt=0)]
    current_price: Annotated[float, Field(gt=0)]
    source: str
    timestamp: AwareDatetime
    signal_id: str | None = None
    strategy_mode: Literal["deterministic"] | None = None
    strength: Literal["weak", "medium", "strong", "extreme"] | None = None
    strategy_revision_id: Annotated[str, Field(pattern=r"^srev_[0-9a-f]{12}_[0-9a-f]{12}$")] | None = None
    trace: Annotated[Trace | None, Field(alias="_otel_trace_context")] = None


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def made(**own: object) -> bytes:
    """Return a signal."""
    return msgspec.json.encode(fields() | own)


def test_an_intent_is_what_petrosas_services_read():
    signal = msgspec.json.decode(made())
    intent = Intent.model_validate_json(petrosa.intent(made(), "ticker_velocity"))
    assert (intent.strategy_id, intent.strategy) == ("ticker_velocity", "ticker_velocity")
    assert (intent.intent_id, intent.signal_id) == (signal["id"], signal["id"])
    assert (intent.strategy_revision_id, intent.trace) == (None, None)


@pytest.mark.parametrize(
    ("trace", "headers"),
    [(PARENT, {"traceparent": PARENT}), (f"{PARENT} a=b", {"traceparent": PARENT, "tracestate": "a=b"})],
)
def test_an_intent_names_revision_and_trace_where_they_are_known(trace, headers):
    revision = revisions.revision(registry.create("price_velocity", {}))
    packed = petrosa.intent(made(), "ticker_velocity", trace_context.headers(trace), revision)
    intent = Intent.model_validate_json(packed)
    assert intent.strategy_revision_id == revision
    assert intent.trace
    assert intent.trace.model_dump(exclude_none=True) == headers
    assert json.loads(packed)["_otel_trace_context"] == headers


def test_a_signal_without_a_trace_names_none():
    absent = {"_otel_trace_context", "strategy_revision_id"}
    assert not absent & json.loads(petrosa.intent(made(), "x", trace_context.headers(""))).keys()


def test_an_intent_has_all_of_its_signal_but_the_name():
    signal, intent = (msgspec.json.decode(packed) for packed in (made(), petrosa.intent(made(), "theirs")))
    changed = {name for name in intent if intent[name] != signal.get(name)}
    assert changed == {"intent_id", "strategy", "strategy_id"}
    assert signal.keys() <= intent.keys()


def test_the_aliases_of_our_strategies_are_names_that_the_cio_routes_to_us():
    named = aliases.by_strategy(read(ROOT / "tasks" / "strategies.toml"))
    assert named == {
        "iceberg": "iceberg_detector",
        "market_dominance": "btc_dominance",
        "price_velocity": "ticker_velocity",
    }
    theirs = set(get_args(Intent.model_fields["strategy_id"].annotation))
    assert set(named.values()) <= theirs


def test_the_environment_file_delivers_what_the_cio_knows():
    strategies = read(ROOT / "tasks" / "strategies.toml")
    [line] = re.findall(r'^DELIVER="(.+)"$', (ROOT / "compose" / "petrosa.env").read_text(), re.MULTILINE)
    command, *options = line.split(" --strategy ")
    assert command == "nats --dialect petrosa"
    names, theirs = aliases.by_strategy(strategies), get_args(Intent.model_fields["strategy_id"].annotation)
    ours = {name for pool in strategies.pools.values() for name in pool.strategies}
    assert {*options} == {name for name in ours if names.get(name, name) in theirs}
    for name in options:
        Intent.model_validate_json(petrosa.intent(made(strategy=name), names.get(name, name)))


def test_the_environment_file_leads_intents_to_where_the_cio_listens():
    lines = (ROOT / "compose" / "petrosa.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    given.pop("DELIVER")
    settings = Settings.model_validate({name.lower(): value for name, value in given.items()})
    assert settings.verdict_subject == "evaluator.realtime-strategies.verdict"
    assert settings.alert_subject == "alerts.realtime-strategies.{name}"
    assert {"binance.websocket.data", "binance.futures.websocket.data"} == set(settings.nats_subjects.split(","))
    subject = signal_subject.fill(
        settings.deliver_nats_subject, strategy="ticker_velocity", symbol="BTCUSDT", action="buy", venue=""
    )
    assert subject == "cio.intent.trading.ticker_velocity"
