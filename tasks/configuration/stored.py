"""The configuration in force as stored in the ledger: its version, the strategies file under it, the overlay. Pure."""

import zlib
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
    #: Of the values; an earlier release writes none.
    checksum: str = ""


class StoredConfiguration(NamedTuple):
    """The configuration in force as stored in the ledger; empty where there is none."""

    version: str
    #: The version of the strategies file under it.
    file: str
    #: As it stands there, for compare-and-set.
    overlay: bytes
    #: As `aliases.pack` gave them.
    aliases: bytes = b""

    @classmethod
    def of(
        cls, version: bytes | None, file: bytes | None, overlay: bytes | None, aliases: bytes | None = None
    ) -> "StoredConfiguration":
        """Return it from the ledger's fields, as Redis has them (None: no such field)."""
        names = [(each or b"").decode(errors="replace") for each in (version, file)]
        return cls(names[0], names[1], overlay or b"", aliases or b"")


_decode = msgspec.json.Decoder(_StoredOverlay).decode


def pack_overlay(version: str, values: Overlay) -> bytes:
    """Return what the ledger keeps of an overlay; `version` is the one in force with it."""
    return msgspec.json.encode(_StoredOverlay(version, values, _checksum(values)))


def _checksum(values: Overlay) -> str:
    return f"{zlib.crc32(msgspec.json.encode(values)):08x}"


def overlay_version(stored: StoredConfiguration) -> str:
    """Return the version that the overlay names; empty: it can't be read."""
    with suppress(*UNREADABLE):
        return _decode(stored.overlay).version
    return ""


def kept_overlay(stored: StoredConfiguration) -> Overlay | None:
    """Return the overlay that the ledger keeps; None: it keeps none of this version, or nothing that can be read."""
    with suppress(*UNREADABLE):
        kept = _decode(stored.overlay)
        if kept.version == stored.version and kept.checksum in {"", _checksum(kept.values)}:
            return kept.values
    return None
