"""What is stored is told from what has changed since, and releases without checksums read it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import UNREADABLE
from tasks.events import Position
from tasks.paper import state as paper
from tasks.protocol import checksum, dead_letters, outcome, records
from tasks.protocol.records import Record
from tests.support.events import trade

RECORD = Record(Position("js-FRAMES-1", 7), 12, 1_700_000_000_000, count=3, configuration="c0ffee")


class OldRecord(msgspec.Struct, array_like=True):
    """What release 1.0.0 reads of a record."""

    applied: Position | None = None
    id: int = -1
    time_ms: int = 0
    generation: int = 0
    count: int = 0
    gaps: int = 0
    hash: bytes = bytes(32)
    configuration: str = ""


def flipped(packed: bytes, where: int, bit: int) -> bytes:
    at = where % len(packed)
    return packed[:at] + bytes((packed[at] ^ (1 << bit),)) + packed[at + 1 :]


@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_bit_of_a_record_that_changed_makes_it_unreadable(where, bit):
    with pytest.raises(UNREADABLE):
        records.unpack(flipped(records.pack(RECORD), where, bit))


@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_bit_of_an_account_that_changed_makes_it_unusable(where, bit):
    with pytest.raises(paper.UnusableStateError):
        paper.unpack(flipped(paper.pack(paper.PaperState()), where, bit))


def test_a_record_of_a_release_without_checksums_is_read():
    old = msgspec.msgpack.encode(OldRecord(RECORD.applied, 12, 1_700_000_000_000, 0, 3, 0, bytes(32), "c0ffee"))
    assert records.unpack(old) == RECORD
    assert records.unpack(msgspec.msgpack.encode(RECORD)) == RECORD


def test_a_release_without_checksums_reads_a_record_that_has_one():
    read = msgspec.msgpack.decode(records.pack(RECORD), type=OldRecord)
    assert (read.applied, read.id, read.count, read.configuration) == (RECORD.applied, 12, 3, "c0ffee")


def test_an_array_with_more_elements_is_of_a_later_release_and_not_checked():
    assert not checksum.is_sealed(msgspec.msgpack.encode([1, 2, 3]), 1)
    assert checksum.is_sealed(checksum.seal(msgspec.msgpack.encode([1])), 1)
    assert not checksum.is_sealed(b"", 1)


def test_a_damaged_record_does_not_end_who_passes_over_its_event():
    event = trade(id=13, seq=8)
    done = outcome.quarantine("trade", "js-FRAMES-1", event, flipped(records.pack(RECORD), 9, 2), starts=5)
    assert [dead_letters.unpack(letter).reason for letter in done.letters] == ["condemned", "unreadable"]
    assert records.unpack(done.fields[records.field(event)]).applied == Position("js-FRAMES-1", 8)
    assert done.counts.of("condemned") == 1
