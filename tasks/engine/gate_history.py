"""The gate's memory, of one state: what went through it, and so what it holds back now. Pure.

It uses event time and is part of the saved state, so a replay holds back the same signals.
"""

from typing import Literal

import msgspec

from tasks.configuration.gate import Gate
from tasks.events import STEP_BACK_MS

HOUR_MS = 3_600_000

HeldReason = Literal["killed", "paused", "confidence", "cool_down", "per_hour"]


class GateHistory(msgspec.Struct, array_like=True):
    """The signals that passed the gate, of one state; saved with it."""

    #: Event time of the last signal, by symbol and action ("BTCUSDT buy").
    last_ms: dict[str, int] = {}
    #: By symbol: the clock hour (event time in hours since 1970) and how many signals went through in it.
    hourly: dict[str, tuple[int, int]] = {}

    def held(
        self, gate: Gate, symbol: str, key: str, confidence: float, time_ms: int, interval_s: float
    ) -> HeldReason | None:
        """Return why a signal is held back; None lets it through. Call `note` when it goes.

        `key` is the cool-down's, "SYMBOL ACTION"; `confidence` lies between 0 and 1; `time_ms` is the
        event's time, unix milliseconds; `interval_s` the cool-down in seconds. The first reason counts, in the order of
        `HeldReason`. It changes `last_ms` where the clock of the last signal was ahead.
        """
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
        """Whether the last signal was less than an interval ago; after a clock that was ahead, possibly long ago."""
        last_ms = self.last_ms.get(key)
        if last_ms is None or max(0, time_ms - last_ms) >= interval_ms:
            return False
        ahead_ms = last_ms - time_ms
        if ahead_ms > STEP_BACK_MS:
            if ahead_ms >= interval_ms:
                # Or it would count again when the time has come near it.
                del self.last_ms[key]
                return False
            # It counts as given now, or the cool-down would last for up to two intervals.
            self.last_ms[key] = time_ms
        return True

    def note(self, symbol: str, key: str, time_ms: int) -> None:
        """Count a signal that goes through, for the cool-down of `key` ("SYMBOL ACTION") and the symbol's clock hour.

        `time_ms` is the event's time, unix milliseconds.
        """
        self.last_ms[key] = time_ms
        hour, count = self.hourly.get(symbol, (0, 0))
        now = time_ms // HOUR_MS
        self.hourly[symbol] = (now, count + 1 if hour == now else 1)
