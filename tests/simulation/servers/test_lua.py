"""Lua as Redis runs it: what is packed for a script, and what one returns."""

import msgspec
import pytest

from tests.simulation.servers.lua import Scripts, decode_msgpack

#: Beyond 52 bits a number of Lua is not exact, but the nearest.
NUMBERS = [
    sign * (2**bits + by) for bits in (0, 5, 7, 8, 15, 16, 31, 32, 52, 60, 61) for by in (-1, 0, 1) for sign in (1, -1)
]
TEXTS = ["", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 70_000, "\xe9"]


def test_a_script_unpacks_numbers():
    assert _unpacked(msgspec.msgpack.encode(NUMBERS)) == [int(float(number)) for number in NUMBERS]


@pytest.mark.parametrize("value", [TEXTS, [b"\xff\x00" * size for size in (0, 1, 200, 40_000)]], ids=["text", "bytes"])
def test_a_script_unpacks_what_was_packed(value: list[object]):
    assert _unpacked(msgspec.msgpack.encode(value)) == decode_msgpack(msgspec.msgpack.encode(value))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 199, 200, 201, 70_000])
def test_a_script_unpacks_and_returns_a_list_of_any_size(size: int):
    value = [[number, [b"%d" % number]] for number in range(size)]
    assert _unpacked(msgspec.msgpack.encode([value, size])) == [value, size]


def test_nothing_ends_a_reply_and_is_nothing_alone():
    assert _unpacked(msgspec.msgpack.encode([1, None, 2])) == [1]
    assert _unpacked(msgspec.msgpack.encode(None)) is None


def _unpacked(packed: bytes) -> object:
    scripts = Scripts({})
    return scripts.run(scripts.load(b"return cmsgpack.unpack(ARGV[1])"), 0, [packed])
