"""The fields of a signal that deliveries use. Pure."""

import msgspec

from tasks.events import DateMs


class SignalFields(msgspec.Struct):
    """The fields of a signal that deliveries use."""

    id: str
    strategy: str
    symbol: str
    action: str
    confidence: float
    price: float
    event_time_ms: DateMs
    strength: str = ""
    quantity: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    rationale: str = ""
    metadata: dict[str, str] = {}
    #: What stands beside it in the stream: the trace that it belongs to, and the revision of its strategy.
    trace: str = ""
    revision: str = ""


decode = msgspec.json.Decoder(SignalFields).decode


def read(packed: bytes, trace: str, revision: str) -> SignalFields:
    """Return the fields of a signal, the contract's JSON, and what stands beside it. Raises one of UNREADABLE."""
    return msgspec.structs.replace(decode(packed), trace=trace, revision=revision)
