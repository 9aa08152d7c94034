"""The columns of signals. Pure."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from tasks.export.columns import Column, ColumnType, TableSchema
from tasks.protocol.digest import canonical


def _field(name: str, of_type: ColumnType, what: str, field: str = "") -> Column:
    return Column(name, of_type, what, itemgetter(field or name))


def _optional(name: str, what: str, field: str = "") -> Column:
    return Column(name, "float64", what, lambda signal: signal.get(field or name))


def _trigger(name: str, of_type: ColumnType, what: str, field: str) -> Column:
    return Column(name, of_type, what, lambda signal: signal["trigger"][field])


def _indicators(signal: Mapping[str, Any]) -> str:
    return canonical(signal["indicators"]).decode()


#: Each row's object is a signal's contract, decoded; see `tasks.engine.signal_message`.
TABLE = TableSchema(
    "signals",
    (
        Column(
            "time", "time_us", "time of the event that it answers, UTC", lambda signal: signal["event_time_ms"] * 1_000
        ),
        _field("id", "string", "the signal's id, as live"),
        _field("strategy", "string", "name of the strategy"),
        _trigger("venue", "string", "venue of the event", "venue"),
        _field("symbol", "string", "what to trade"),
        _field("action", "string", "buy, sell, ..."),
        _field("confidence", "float64", "from 0 to 1"),
        _field("strength", "string", "the confidence in a word: weak, medium, strong, extreme"),
        _field("price", "float64", "price to trade at, in quote currency"),
        _field("quantity", "float64", "quantity to trade, in base currency"),
        _field("current_price", "float64", "price at the event, in quote currency"),
        _optional("stop_loss", "price, in quote currency; empty: none"),
        _optional("take_profit", "price, in quote currency; empty: none"),
        _optional("stop_loss_fraction", "distance of the stop loss, as a fraction of the price", "stop_loss_pct"),
        _optional("take_profit_fraction", "distance of the take profit, the same way", "take_profit_pct"),
        _field("rationale", "string", "why, in a sentence"),
        Column("indicators_json", "string", "the strategy's own numbers by name, a JSON object", _indicators),
        _trigger("trigger_kind", "string", "kind of the event", "kind"),
        _trigger("trigger_symbol", "string", "symbol of the event", "symbol"),
        _trigger("trigger_id", "int64", "id of the event, as in the table of events", "id"),
        _field("config_version", "string", "content hash of the configuration"),
    ),
)
