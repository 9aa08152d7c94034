"""A checksum behind what the ledger stores packed: a byte that changed is noticed where it is read, and never taken as data.

What is stored is an array in msgpack, and the checksum its last element. Releases before read an array with an element
more as before, and write it without, so that both may run side by side. Pure.
"""

from zlib import crc32

import msgspec

#: The first byte of an array of less than 16 elements, but for how many.
_ARRAY = 0x90
#: In msgpack, the beginning of four bytes; with those it is the last element.
_FOUR_BYTES = b"\xc4\x04"
_ELEMENT_BYTES = 6


class ChecksumError(msgspec.DecodeError):
    """Bytes that are not those that were stored."""


def seal(packed: bytes) -> bytes:
    """Return a packed array of less than 15 elements with one more: the checksum of all before it."""
    first, rest = bytes((packed[0] + 1,)), memoryview(packed)[1:]
    return b"".join((first, rest, _FOUR_BYTES, crc32(rest, crc32(first)).to_bytes(4)))


def is_sealed(packed: bytes, elements: int) -> bool:
    """Return whether this is an array of so many elements and a checksum; raise ChecksumError where it does not match.

    One of a release without checksums has fewer elements, one of a later release may have more: nothing is known of it.
    """
    if not packed or packed[0] != _ARRAY + elements + 1:
        return False
    if crc32(memoryview(packed)[:-_ELEMENT_BYTES]) != int.from_bytes(packed[-4:]):
        raise ChecksumError("its checksum does not match: bytes of it have changed since they were written")
    return True
