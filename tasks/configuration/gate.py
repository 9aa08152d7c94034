"""The gate between strategies and the world: what it holds back is kept and counted, never silently gone. Pure.

It goes by event time and its counters are part of the saved state, so a replay holds back the same signals.
"""

from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from tasks.frames.timestamps import STEP_BACK_MS

HOUR_MS = 3_600_000

HeldReason = Literal["killed", "paused", "confidence", "cool_down", "per_hour"]


class Gate(BaseModel):
    """What may pass. A strategy's gate and the one for all both apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    killed: Annotated[bool, Field(description="hold every signal back; states go on")] = False
    paused: Annotated[bool, Field(description="the same, for a while")] = False
    off: Annotated[bool, Field(description="do not run it: events pass it by, its states stand still")] = False
    min_confidence: Annotated[float, Field(ge=0, le=1, description="hold back what is less sure")] = 0.0
    max_signals_per_hour: Annotated[
        int | None, Field(ge=0, description="per strategy, venue and symbol, in each clock hour of event time")
    ] = None
    max_errors_per_minute: Annotated[
        int | None, Field(ge=0, description="switch the strategy off when it raises on more events in a minute")
    ] = None

    def and_also(self, other: "Gate") -> "Gate":
        """Give the gate that lets through only what both let through."""
        signals = [gate.max_signals_per_hour for gate in (self, other) if gate.max_signals_per_hour is not None]
        errors = [gate.max_errors_per_minute for gate in (self, other) if gate.max_errors_per_minute is not None]
        return Gate(
            killed=self.killed or other.killed,
            paused=self.paused or other.paused,
            off=self.off or other.off,
            min_confidence=max(self.min_confidence, other.min_confidence),
            max_signals_per_hour=min(signals, default=None),
            max_errors_per_minute=min(errors, default=None),
        )


OPEN = Gate()


class GateHistory(msgspec.Struct, array_like=True):
    """What went through the gate, of one state; saved with it."""

    #: Event time of the last signal, by what the cool-down goes by ("BTCUSDT buy").
    last_ms: dict[str, int] = {}
    #: By symbol: the clock hour (event time in hours since 1970) and how many signals went through in it.
    hourly: dict[str, tuple[int, int]] = {}

    def held(
        self, gate: Gate, symbol: str, key: str, confidence: float, time_ms: int, interval_s: float
    ) -> HeldReason | None:
        """Return why a signal is held back; None lets it through. Call `note` when it goes."""
        if gate.killed:
            return "killed"
        if gate.paused:
            return "paused"
        if confidence < gate.min_confidence:
            return "confidence"
        if self._is_cooling(key, time_ms, interval_s * 1000):
            return "cool_down"
        hour, count = self.hourly.get(symbol, (0, 0))
        limit = gate.max_signals_per_hour
        if limit is not None and (count if hour == time_ms // HOUR_MS else 0) >= limit:
            return "per_hour"
        return None

    def _is_cooling(self, key: str, time_ms: int, interval_ms: float) -> bool:
        """Whether the last signal was less than an interval ago; by a clock that was ahead, it may have been ages ago."""
        last_ms = self.last_ms.get(key)
        if last_ms is None or max(0, time_ms - last_ms) >= interval_ms:
            return False
        ahead_ms = last_ms - time_ms
        if ahead_ms > STEP_BACK_MS:
            if ahead_ms >= interval_ms:
                return False
            # It counts as given now, or the cool-down would last for up to two intervals.
            self.last_ms[key] = time_ms
        return True

    def note(self, symbol: str, key: str, time_ms: int) -> None:
        """Count a signal that goes through."""
        self.last_ms[key] = time_ms
        hour, count = self.hourly.get(symbol, (0, 0))
        now = time_ms // HOUR_MS
        self.hourly[symbol] = (now, count + 1 if hour == now else 1)
