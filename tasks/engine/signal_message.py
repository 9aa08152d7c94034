"""The signal contract: what consumers of signals read. Pure; the JSON Schema comes from the model below.

The fields are those that the petrosa trade engine reads, so that it can consume our signals unchanged, and a few of
ours: `schema_version`, `config_version`, `trigger`, `event_time_ms`.
"""

import math
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from tasks.events import AnyEvent, Kind, Venue
from tasks.frames.symbols import token
from tasks.protocol.digest import canonical
from tasks.protocol.utc_time import utc_iso_ms
from tasks.strategy import Action, AnyStrategy, Signal

SCHEMA_VERSION = "1.0"
#: Namespace of the signals' UUIDv5; never change it.
ID_NAMESPACE = UUID("5f0c7a0e-3c0b-5b7e-9a55-2f6f3f3f7c11")

Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Strength = Literal["weak", "medium", "strong", "extreme"]


class Trigger(BaseModel):
    """The event that a signal answers."""

    venue: Venue
    symbol: str
    kind: Kind
    id: int


class SignalMessage(BaseModel):
    """One trading signal."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Signal")

    id: Annotated[str, Field(description="UUIDv5 of what makes the signal unique: drop repeats by it")]
    signal_id: str
    strategy_id: str
    strategy: str
    strategy_mode: Literal["deterministic"] = "deterministic"
    signal_type: Action
    symbol: Annotated[str, Field(min_length=1)]
    action: Action
    confidence: Fraction
    strength: Strength
    price: Price
    quantity: Price
    current_price: Price
    stop_loss: Price | None = None
    take_profit: Price | None = None
    stop_loss_pct: Fraction | None = None
    take_profit_pct: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    timeframe: Literal["tick"] = "tick"
    order_type: Literal["market"] = "market"
    time_in_force: Literal["GTC"] = "GTC"
    source: Literal["realtime-strategies"] = "realtime-strategies"
    indicators: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    metadata: dict[str, str]
    rationale: str
    timestamp: Annotated[str, Field(description="event time, ISO 8601, UTC")]
    event_time_ms: Annotated[int, Field(description="event time, unix milliseconds")]
    trigger: Trigger
    config_version: Annotated[str, Field(description="content hash of the configuration")]
    schema_version: Literal["1.0"] = "1.0"


def strength(confidence: float) -> Strength:
    """Return the word for a confidence: weak below 0.5, medium below 0.7, strong below 0.9, else extreme."""
    return "weak" if confidence < 0.5 else "medium" if confidence < 0.7 else "strong" if confidence < 0.9 else "extreme"


def signal_name(strategy: str, action: Action, symbol: str, event: AnyEvent) -> str:
    """Return what makes a signal unique: its id is the UUIDv5 of this name."""
    return (
        f"{strategy}|{action}|{token(symbol)}|"
        f"{event.venue}|{token(event.symbol)}|{event.kind}|{event.id}|{event.time_ms}"
    )


def signal_id(strategy: str, action: Action, symbol: str, event: AnyEvent) -> str:
    """Return the id of a strategy's signal for a symbol, in answer to an event."""
    return str(uuid5(ID_NAMESPACE, signal_name(strategy, action, symbol, event)))


def message(signal: Signal, strategy: AnyStrategy, event: AnyEvent, config_version: str) -> bytes:
    """Return a strategy's signal in the form of the contract, as canonical JSON. Raises pydantic.ValidationError."""
    symbol = signal.symbol or event.symbol
    identity = signal_id(strategy.name, signal.action, symbol, event)
    contract = SignalMessage(
        id=identity,
        signal_id=identity,
        strategy_id=strategy.name,
        strategy=strategy.name,
        signal_type=signal.action,
        symbol=symbol,
        action=signal.action,
        confidence=signal.confidence,
        strength=strength(signal.confidence),
        price=signal.price,
        quantity=strategy.params.notional / signal.price if signal.price else math.nan,
        current_price=signal.current_price,
        stop_loss=signal.stop_loss,
        take_profit=signal.take_profit,
        stop_loss_pct=_distance(signal.stop_loss, signal.price),
        take_profit_pct=_distance(signal.take_profit, signal.price),
        indicators=signal.indicators,
        metadata={"venue": event.venue},
        rationale=signal.rationale,
        timestamp=f"{utc_iso_ms(event.time_ms)}+00:00",
        event_time_ms=event.time_ms,
        trigger=Trigger(venue=event.venue, symbol=event.symbol, kind=event.kind, id=event.id),
        config_version=config_version,
    )
    return canonical(contract.model_dump(exclude_none=True))


def _distance(target: float | None, price: float) -> float | None:
    """Return how far a target is from the price, as a fraction; None where there is none, or none up to 1."""
    distance = abs(target - price) / price if target is not None and price else 2.0
    return distance if distance <= 1 else None
