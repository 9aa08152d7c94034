"""The configuration in force as stored in the ledger: its version, the strategies file under it, the overlay. Pure."""

from contextlib import suppress
from typing import NamedTuple

import msgspec

from tasks.configuration.overlay import Overlay
from tasks.errors import UNREADABLE


class _StoredOverlay(msgspec.Struct):
    """The overlay as stored in the ledger."""

    #: The version in force with it. An earlier release that changes something leaves this one behind.
    version: str
    values: Overlay


class StoredConfiguration(NamedTuple):
    """The configuration in force as stored in the ledger; empty where there is none."""

    version: str
    #: The version of the strategies file under it.
    file: str
    #: As it stands there, for compare-and-set.
    overlay: bytes

    @classmethod
    def of(cls, version: bytes | None, file: bytes | None, overlay: bytes | None) -> "StoredConfiguration":
        """Return it from the ledger's fields, as Redis has them (None: no such field)."""
        return cls((version or b"").decode(errors="replace"), (file or b"").decode(errors="replace"), overlay or b"")


_decode = msgspec.json.Decoder(_StoredOverlay).decode


def pack_overlay(version: str, values: Overlay) -> bytes:
    """Return what the ledger keeps of an overlay; `version` is the one in force with it."""
    return msgspec.json.encode(_StoredOverlay(version, values))


def kept_overlay(stored: StoredConfiguration) -> Overlay | None:
    """Return the overlay that the ledger keeps; None: it keeps none of this version, or nothing that can be read."""
    with suppress(*UNREADABLE):
        kept = _decode(stored.overlay)
        if kept.version == stored.version:
            return kept.values
    return None
