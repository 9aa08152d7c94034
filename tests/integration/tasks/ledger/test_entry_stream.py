"""A stream as somebody reads it who watches."""

from collections.abc import Iterator

import pytest

from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings


@pytest.fixture
def reader(settings: Settings) -> Iterator[LedgerReader]:
    reader = LedgerReader(settings)
    yield reader
    reader.client.close()


def add(reader: LedgerReader, *signals: str, at_ms: int = 1_000) -> None:
    for signal in signals:
        reader.client.xadd(reader.keys.signals, {"signal": signal}, id=f"{at_ms}-*")


def watched(reader: LedgerReader) -> EntryStream:
    return EntryStream(reader, reader.keys.signals, b"signal", is_no_b)


def is_no_b(packed: bytes) -> bool:
    return packed != b"b"


def test_what_is_stored_comes_oldest_first_as_far_as_it_is_selected(reader: LedgerReader):
    add(reader, "a", "b")
    add(reader, "c", at_ms=2_000)
    stream = watched(reader)
    assert list(stream.stored()) == [b"a", b"c"]
    assert list(stream.stored(since_ms=1_001)) == [b"c"]


def test_the_newest_are_the_last_that_are_selected(reader: LedgerReader):
    add(reader, "a", "b", "c", "b", "b")
    assert watched(reader).newest(2) == [b"a", b"c"]
    assert watched(reader).newest(1) == [b"c"]
    assert watched(reader).newest(0) == []
    assert watched(reader).newest(2, since_ms=1_001) == []


@pytest.mark.parametrize("begin", ["stored", "newest"])
def test_following_goes_on_where_reading_left_off_and_misses_nothing(reader: LedgerReader, begin: str):
    add(reader, "a", "b")
    stream, said = watched(reader), list[str]()
    seen = list(stream.stored()) if begin == "stored" else stream.newest(1)
    add(reader, "c", "b", "d")
    following = stream.follow(said.append)
    assert [*seen, next(following), next(following)] == [b"a", b"c", b"d"]
    assert said == []
