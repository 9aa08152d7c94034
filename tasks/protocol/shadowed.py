"""A signal that did not go out, because another version of its strategy emits: an entry of a stream of its own. Pure."""

import msgspec


class ShadowedSignal(msgspec.Struct, frozen=True):
    """A signal of a version that does not emit."""

    #: The version, as states carry it: `shadow~orderbook_skew`, or the original where a shadow was promoted.
    version: str
    #: The contract's JSON.
    signal: msgspec.Raw


def pack(version: str, signal: bytes) -> bytes:
    """Return the entry, JSON, of a signal (the contract's JSON)."""
    return b'{"version":%s,"signal":%s}' % (msgspec.json.encode(version), signal)


unpack = msgspec.json.Decoder(ShadowedSignal).decode
