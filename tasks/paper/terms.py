"""The terms of the paper account: latency, slippage, fees. Pure.

    [paper]                                            # this table opens the account, for all strategies
    latency_ms = 50
    [paper.fees_bps.usdm]
    taker = 5.0
    [pools.depth.strategies.iceberg.paper]             # for this strategy; the same within its `symbols.BTCUSDT`
    max_holding_s = 600.0

A table holds what is written down; what several tables say together is resolved into terms.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

#: A rebate is at most a part of what the other side pays.
MakerBps = Annotated[float, Field(ge=-10, le=500, allow_inf_nan=False)]
TakerBps = Annotated[float, Field(ge=0, le=500, allow_inf_nan=False)]
VenueName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class FeesTable(BaseModel):
    """Fees of a venue, as written in the strategies file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    maker: Annotated[MakerBps | None, Field(description="of a take-profit's fill, basis points; below 0: a rebate")] = (
        None
    )
    taker: Annotated[TakerBps | None, Field(description="of any other fill, basis points")] = None


class PaperTable(BaseModel):
    """One `paper` table of the strategies file; None: it does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    enabled: Annotated[bool | None, Field(description="whether signals become orders of the account; true")] = None
    latency_ms: Annotated[
        float | None, Field(ge=0, le=60_000, description="from a signal's event to its order's fill, at least; 50")
    ] = None
    slippage_bps: Annotated[
        float | None, Field(ge=0, le=1_000, description="added to the price of a fill where there is no book; 1")
    ] = None
    max_holding_s: Annotated[
        float | None, Field(ge=1, le=31_536_000, description="after which a position is closed; no limit")
    ] = None
    fees_bps: Annotated[
        dict[VenueName, FeesTable] | None, Field(description="by venue; 10 for spot, 2 and 5 for usdm")
    ] = None


class VenueFees(msgspec.Struct, frozen=True):
    """Fees of a venue, in basis points of what is traded."""

    maker: float
    taker: float


#: What Binance asks of somebody without a discount; of a venue that nobody named, the dearer.
DEFAULT_FEES = {"spot": VenueFees(10.0, 10.0), "usdm": VenueFees(2.0, 5.0)}
OTHER_FEES = VenueFees(10.0, 10.0)


class PaperTerms(msgspec.Struct, frozen=True):
    """The terms of one strategy and symbol."""

    latency_ms: float = 50.0
    slippage_bps: float = 1.0
    #: None: no limit.
    max_holding_s: float | None = None
    #: By venue.
    fees_bps: dict[str, VenueFees] = {}

    def fees(self, venue: str) -> VenueFees:
        """Return the fees at a venue."""
        return self.fees_bps.get(venue, OTHER_FEES)


def resolve(tables: Iterable[PaperTable | None]) -> PaperTerms | None:
    """Return the terms that tables give together, a later one before an earlier one; None: there is no account."""
    said: dict[str, Any] = {}
    fees = {venue: msgspec.structs.asdict(each) for venue, each in DEFAULT_FEES.items()}
    present = [table for table in tables if table is not None]
    for table in present:
        own = table.model_dump(exclude_none=True)
        for venue, of_venue in own.pop("fees_bps", {}).items():
            fees[venue] = fees.get(venue, msgspec.structs.asdict(OTHER_FEES)) | of_venue
        said |= own
    if not present or not said.pop("enabled", True):
        return None
    return PaperTerms(**said, fees_bps={venue: VenueFees(**of_venue) for venue, of_venue in fees.items()})
