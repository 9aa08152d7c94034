"""Closed positions for tests."""

from typing import Any

import msgspec

from tasks.paper import ClosedPosition
from tests.support.events import TIME_MS


def closed(**changes: Any) -> ClosedPosition:
    """Return a long position of 1 BTCUSDT, bought for 100 and sold for 101 a second later, with changes."""
    position = ClosedPosition(
        id="id", strategy="skew", venue="spot", symbol="BTCUSDT", side="long", quantity=1.0, entry_price=100.0,
        exit_price=101.0, opened_ms=TIME_MS, closed_ms=TIME_MS + 1_000, exit_reason="signal", fees=0.2, funding=0.0,
        pnl=0.8, return_bps=80.0, signal_id="entry", exit_signal_id="exit", config_version="v1",
    )  # fmt: skip
    return msgspec.structs.replace(position, **changes)
