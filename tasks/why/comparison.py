"""Whether a signal that came out again is the one that was stored, byte for byte; and where not, in what. Pure."""

from typing import Any, NamedTuple

import msgspec

from tasks.protocol.outcome import Outcome


class Difference(msgspec.Struct, frozen=True):
    """A field in which two signals differ; None: the signal lacks it."""

    field: str
    stored: Any
    derived: Any


class DerivedSignal(NamedTuple):
    """A signal as the replay gives it."""

    packed: bytes
    #: Why the gate holds it back; empty: it passes.
    held: str = ""


class _HeldSignal(msgspec.Struct):
    reason: str
    signal: msgspec.Raw


_held = msgspec.json.Decoder(_HeldSignal).decode


def unpack_held(packed: bytes) -> DerivedSignal:
    """Return a signal that a gate held back, and its reason. Raises msgspec.MsgspecError."""
    said = _held(packed)
    return DerivedSignal(bytes(said.signal), said.reason)


def find(outcome: Outcome, identity: str) -> DerivedSignal | None:
    """Return the signal of an id among those that a batch gave or the gate held back; None: there is none."""
    every = [DerivedSignal(packed) for packed in outcome.signals] + [unpack_held(packed) for packed in outcome.held]
    return next((each for each in every if msgspec.json.decode(each.packed)["id"] == identity), None)


def differences(stored: bytes, derived: bytes) -> list[Difference]:
    """Return the fields in which two signals differ, `indicators.ratio` for one within another; none: equal bytes."""
    if stored == derived:
        return []
    old, new = _flat(msgspec.json.decode(stored)), _flat(msgspec.json.decode(derived))
    found = [
        Difference(name, old.get(name), new.get(name))
        for name in dict.fromkeys((*old, *new))
        if (name in old, old.get(name)) != (name in new, new.get(name))
    ]
    # Equal values in other bytes: another order or spelling, which no release of ours writes.
    return found or [Difference("bytes", stored.decode(errors="replace"), derived.decode(errors="replace"))]


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
