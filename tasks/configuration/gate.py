"""The gate between strategies and the world: the rule of what may pass. Pure.

What the gate holds back is kept and counted, never silently gone. Its memory is `engine.gate_history`.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Gate(BaseModel):
    """Limits on which signals may pass. A strategy's gate and the one for all both apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    killed: Annotated[bool, Field(description="hold every signal back; states go on")] = False
    paused: Annotated[bool, Field(description="hold every signal back until resumed")] = False
    off: Annotated[bool, Field(description="do not run it: it gets no events, and its states stand still")] = False
    min_confidence: Annotated[float, Field(ge=0, le=1, description="hold back what is less sure")] = 0.0
    max_signals_per_hour: Annotated[
        int | None, Field(ge=0, description="per strategy, venue and symbol, in each clock hour of event time")
    ] = None
    max_errors_per_minute: Annotated[
        int | None, Field(ge=0, description="switch the strategy off when it raises on more events in a minute")
    ] = None

    def and_also(self, other: "Gate") -> "Gate":
        """Return the gate that lets through only what both let through."""
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
