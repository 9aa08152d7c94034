"""What the account tells of a position that is closed, as JSON: an entry of the stream `positions`. Pure."""

from typing import Literal
from uuid import UUID, uuid5

import msgspec

from tasks.protocol.digest import canonical

#: Namespace of the positions' UUIDv5; never change it.
_NAMESPACE = UUID("0d3a8f4e-58c1-5d0b-8f0e-6a1f0b7c9d42")

Side = Literal["long", "short"]
ExitReason = Literal["signal", "stop_loss", "take_profit", "max_holding"]


class ClosedPosition(msgspec.Struct, frozen=True):
    """One position from its first fill to its last. Values, fees, funding and profit are in quote currency."""

    #: UUIDv5 of the strategy and the signal that opened it: drop repeats by it.
    id: str
    strategy: str
    venue: str
    symbol: str
    side: Side
    #: In base currency.
    quantity: float
    entry_price: float
    exit_price: float
    #: Event times of the first and the last fill, unix milliseconds.
    opened_ms: int
    closed_ms: int
    exit_reason: ExitReason
    fees: float
    #: Paid; below 0: received.
    funding: float
    #: What is left after fees and funding.
    pnl: float
    #: `pnl` in basis points of what the entry cost.
    return_bps: float
    #: The signal that opened it, and the one that closed it; empty: none did.
    signal_id: str
    exit_signal_id: str
    config_version: str
    schema_version: Literal["1.0"] = "1.0"

    def pack(self) -> bytes:
        """Return canonical JSON."""
        return canonical(msgspec.structs.asdict(self))


unpack = msgspec.json.Decoder(ClosedPosition).decode


def position_id(strategy: str, signal_id: str) -> str:
    """Return the id of the position that a signal opens; it opens one at most.

    A strategy and its shadow give signals of equal ids, and have positions of their own.
    """
    return str(uuid5(_NAMESPACE, f"{strategy}:{signal_id}"))
