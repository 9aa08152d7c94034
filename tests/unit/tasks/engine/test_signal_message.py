"""The signal contract: what consumers read, and how a signal's id and bytes come about."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.engine.signal_message import SignalMessage, message, strength
from tasks.events import AnyEvent
from tasks.protocol.digest import canonical
from tasks.strategy import Signal
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import Echo, Together

PINNED = "a454b227-eb04-54c7-8a14-575a9bc265ae"
SIGNAL = Signal(action="buy", confidence=0.7, price=50.0, current_price=51.0)


def packed(signal: Signal = SIGNAL, event: AnyEvent | None = None, config_version: str = "c1") -> bytes:
    return message(signal, Echo.create({"notional": 200}), event or trade(id=7), config_version)


def fields(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(packed(msgspec.structs.replace(SIGNAL, **changes)))
    return made


def test_a_signal_has_these_fields_and_no_others():
    identity = fields()["id"]
    assert fields(stop_loss=49.0, take_profit=54.0, rationale="because", indicators={"x": 1}) == {
        "id": identity,
        "signal_id": identity,
        "strategy_id": "echo",
        "strategy": "echo",
        "strategy_mode": "deterministic",
        "signal_type": "buy",
        "symbol": "BTCUSDT",
        "action": "buy",
        "confidence": 0.7,
        "strength": "strong",
        "price": 50.0,
        "quantity": 4.0,  # 200 / 50
        "current_price": 51.0,
        "stop_loss": 49.0,
        "take_profit": 54.0,
        "stop_loss_pct": 0.02,  # 1 / 50
        "take_profit_pct": 0.08,  # 4 / 50
        "timeframe": "tick",
        "order_type": "market",
        "time_in_force": "GTC",
        "source": "realtime-strategies",
        "indicators": {"x": 1.0},
        "metadata": {"venue": "spot"},
        "rationale": "because",
        "timestamp": "2024-08-09T00:00:00.000+00:00",
        "event_time_ms": TIME_MS,
        "trigger": {"venue": "spot", "symbol": "BTCUSDT", "kind": "trade", "id": 7},
        "config_version": "c1",
        "schema_version": "1.0",
    }


def test_what_a_strategy_does_not_say_is_left_out():
    assert fields().keys().isdisjoint({"stop_loss", "take_profit", "stop_loss_pct", "take_profit_pct"})


@pytest.mark.parametrize(
    ("stop_loss", "distance"),
    [
        (100.0, 1.0),
        (100.1, None),  # consumers take fractions up to 1
        (1e308, None),
    ],
)
def test_a_target_further_than_the_price_itself_has_no_distance(stop_loss, distance):
    said = fields(stop_loss=stop_loss)
    assert (said["stop_loss"], said.get("stop_loss_pct")) == (stop_loss, distance)


def test_a_distance_that_is_infinite_is_left_out():
    said = fields(price=1e-10, take_profit=1e308)
    assert said["take_profit"] == 1e308
    assert "take_profit_pct" not in said


@given(st.integers(0, 4_102_444_800_000))
def test_the_timestamp_is_the_events_time_to_the_millisecond(time_ms):
    stamp = datetime.fromisoformat(msgspec.json.decode(packed(event=trade(time_ms=time_ms)))["timestamp"])
    assert stamp.tzinfo == UTC
    assert round(stamp.timestamp() * 1000) == time_ms


_TYPES = {str: "string", int: "integer", float: "number", dict: "object"}


def complaints(schema: dict[str, Any], value: Any, definitions: dict[str, Any]) -> Iterator[str]:
    """Check what the contract's schema uses of JSON Schema; return a line for each fault."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if all(list(complaints(choice, value, definitions)) for choice in schema["anyOf"]):
            yield f"{value!r} is none of {schema['anyOf']}"
        return
    wanted = schema.get("type", _TYPES[type(value)])
    if wanted != _TYPES[type(value)]:
        yield f"{value!r} is no {wanted}"
    elif value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{value!r} is not allowed"
    elif isinstance(value, float) and not _within(schema, value):
        yield f"{value!r} is out of bounds"
    elif isinstance(value, dict):
        yield from _complaints_of_object(schema, value, definitions)


def _within(schema: dict[str, Any], value: float) -> bool:
    above = "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
    return bool(above and schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _complaints_of_object(schema: dict[str, Any], value: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in set(schema.get("required", ())) - value.keys():
        yield f"{name} is missing"
    for name, part in value.items():
        described = properties.get(name, more)
        if described is False:
            yield f"{name} is unknown"
        else:
            yield from complaints(described, part, definitions)


def complaints_of_schema(value: dict[str, Any]) -> list[str]:
    schema = SignalMessage.model_json_schema()
    return list(complaints(schema, value, schema["$defs"]))


prices = st.floats(1e-3, 1e6)
signals = st.builds(
    Signal,
    action=st.sampled_from(["buy", "sell", "hold", "close"]),
    confidence=st.floats(0, 1),
    price=prices,
    current_price=prices,
    symbol=st.sampled_from([None, "ETHUSDT"]),
    take_profit=st.none() | prices,
    rationale=st.text(),
    indicators=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=4),
)
events = st.builds(trade, id=st.integers(0, 2**62), venue=st.sampled_from(["spot", "usdm"])) | st.builds(book)


@given(signals, events)
def test_the_json_schema_and_the_model_accept_every_signal_that_is_made(signal, event):
    made = packed(signal, event)
    assert complaints_of_schema(msgspec.json.decode(made)) == []
    assert canonical(SignalMessage.model_validate_json(made).model_dump(exclude_none=True)) == made


@pytest.mark.parametrize(
    "change",
    [{"confidence": 1.5}, {"price": 0.0}, {"action": "panic"}, {"unheard_of": 1}, {"trigger": {"venue": "spot"}}],
    ids=str,
)
def test_the_json_schema_refuses_what_the_model_refuses(change):
    wrong = fields() | change
    assert complaints_of_schema(wrong)
    with pytest.raises(ValidationError):
        SignalMessage.model_validate(wrong)


def test_the_json_schema_tells_a_consumer_what_is_required():
    required = set(SignalMessage.model_json_schema()["required"])
    assert required >= {
        "strategy_id",
        "symbol",
        "action",
        "confidence",
        "price",
        "quantity",
        "current_price",
        "strategy",
    }


@given(signals, events)
def test_canonical_json_is_sorted_dense_and_survives_reading(signal, event):
    made = packed(signal, event)
    read = msgspec.json.decode(made)
    assert canonical(read) == made
    assert list(read) == sorted(read)
    assert list(read["trigger"]) == ["id", "kind", "symbol", "venue"]
    assert list(read["indicators"]) == sorted(read["indicators"])


def test_canonical_json_is_utf_8_without_spaces_and_with_shortest_floats():
    assert canonical({"b": 0.1, "a": {"ü": 1e22}}) == '{"a":{"ü":1e22},"b":0.1}'.encode()


# Pinned: consumers drop repeats by the id, across releases.
def test_the_id_is_this_uuid_for_ever():
    assert fields()["id"] == PINNED
    assert UUID(PINNED).version == 5


@pytest.mark.parametrize(
    "other",
    [
        message(SIGNAL, Together.create({}), trade(id=7), "c1"),
        packed(msgspec.structs.replace(SIGNAL, action="sell")),
        packed(msgspec.structs.replace(SIGNAL, symbol="ETHUSDT")),
        packed(event=trade(id=8)),
        packed(event=trade(id=7, symbol="ETHUSDT")),
        packed(event=trade(id=7, venue="usdm")),
        packed(event=trade(id=7, time_ms=TIME_MS + 1)),
        packed(event=book(id=7)),
    ],
    ids=["strategy", "action", "symbol", "event's id", "event's symbol", "venue", "time", "kind"],
)
def test_another_strategy_action_symbol_or_event_gives_another_id(other):
    assert msgspec.json.decode(other)["id"] != fields()["id"]


def test_prices_parameters_configuration_and_position_do_not_touch_the_id():
    others = [
        packed(msgspec.structs.replace(SIGNAL, price=60.0, confidence=0.1, rationale="x")),
        packed(config_version="c2"),
        packed(event=trade(id=7, price=3.0, seq=99)),
    ]
    assert {msgspec.json.decode(other)["id"] for other in others} == {fields()["id"]}


@pytest.mark.parametrize(
    ("confidence", "word"),
    [
        (0.0, "weak"),
        (0.499, "weak"),
        (0.5, "medium"),
        (0.699, "medium"),
        (0.7, "strong"),
        (0.899, "strong"),
        (0.9, "extreme"),
        (1.0, "extreme"),
    ],
)
def test_strength_is_the_word_for_a_confidence(confidence, word):
    assert strength(confidence) == word


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"confidence": 1.01}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"price": 0.0}, "price"),
        ({"price": float("inf")}, "price"),
        ({"current_price": -1.0}, "current_price"),
        ({"stop_loss": -1.0}, "stop_loss"),
        ({"take_profit": float("inf")}, "take_profit"),
        ({"indicators": {"x": float("nan")}}, "indicators"),
    ],
    ids=str,
)
def test_a_number_that_makes_no_sense_is_refused(change, field):
    with pytest.raises(ValidationError, match=re.compile(rf"^{field}", re.MULTILINE)):
        fields(**change)


def test_symbols_with_bars_in_them_give_no_two_signals_the_same_id():
    one = packed(msgspec.structs.replace(SIGNAL, symbol="a|spot|b"), trade(id=7, symbol="c"))
    other = packed(msgspec.structs.replace(SIGNAL, symbol="a"), trade(id=7, symbol="b|spot|c"))
    assert msgspec.json.decode(one)["id"] != msgspec.json.decode(other)["id"]
