"""What a task carries, and the names that come from it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tasks.events import Position
from tasks.protocol import batches
from tasks.protocol.batches import Batch, Epoch
from tasks.protocol.routing import LaneId
from tests.support.events import book, trade
from tests.support.strategies import feeds

EPOCH = Epoch(7, "3f9a02c1")


def sent(*events, prev: int | None = 4, to: int = 9, partition: int = 3) -> Batch[msgspec.Raw]:
    before = None if prev is None else Position("s", prev)
    packed = tuple(batches.pack_event(event) for event in events)
    return Batch("depth", partition, 0, EPOCH, before, Position("s", to), "c1", packed)


@given(feeds())
def test_a_batch_arrives_as_it_was_sent(events):
    batch = sent(*events, book())
    (received,) = batches.unpack(batches.pack([batch]))
    assert received.events == (*events, book())
    assert (received.pool, received.partition, received.shard, received.epoch) == ("depth", 3, 0, EPOCH)
    assert (received.prev, received.to, received.configuration) == (Position("s", 4), Position("s", 9), "c1")


def test_an_event_is_packed_once_and_reads_back():
    assert batches.unpack_event(batches.pack_event(trade(id=7))) == trade(id=7)


@pytest.mark.parametrize("payload", [b"", b"not msgpack at all", b"\x80", batches.pack([sent(book())])[:-1]])
def test_bytes_that_are_no_batch_are_refused(payload):
    with pytest.raises(msgspec.MsgspecError):
        batches.unpack(payload)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64 - 1])
@pytest.mark.parametrize("field", ["id", "time_ms"])
def test_an_event_whose_numbers_no_record_can_hold_is_refused(field, number):
    forged = structs.replace(trade(), **{field: number})
    # 2^64 and its like are no msgpack at all; what is, is refused where it is read.
    with pytest.raises((msgspec.MsgspecError, OverflowError)):
        batches.unpack(batches.pack([sent(forged)]))


def test_a_task_that_carries_nothing_is_refused():
    with pytest.raises(msgspec.ValidationError, match="length >= 1"):
        batches.unpack(batches.pack([]))


@pytest.mark.parametrize(
    "carried",
    [
        [sent(book()), structs.replace(sent(book()), shard=1)],
        [sent(book()), sent()],
    ],
)
def test_a_task_of_two_shards_or_with_a_batch_without_events_is_refused(carried):
    with pytest.raises(msgspec.ValidationError, match="several shards, or one without events"):
        batches.unpack(batches.pack(carried))


def test_batches_that_share_a_task_arrive_in_the_order_of_packing():
    received = batches.unpack(batches.pack([sent(trade(id=each), partition=each) for each in (3, 1, 2)]))
    assert [(batch.lane.partition, batch.events) for batch in received] == [(n, (trade(id=n),)) for n in (3, 1, 2)]


def test_a_lane_without_commits_has_no_position_before_its_first_batch():
    (received,) = batches.unpack(batches.pack([sent(book(), prev=None)]))
    assert received.prev is None
    assert received.identity == "7.3f9a02c1||s@9"


def test_a_copy_has_the_same_identity_and_a_half_has_not():
    whole = sent(book())
    assert sent(book()).identity == whole.identity == "7.3f9a02c1|s@4|s@9"
    assert len({whole.identity, sent(book(), to=6).identity, sent(book(), prev=3).identity}) == 3


def test_the_task_id_says_lane_epoch_and_last_position():
    assert sent(book()).lane == LaneId("depth", 3)
    assert sent(book()).task_id == batches.task_id([sent(book())]) == "depth-3-7.3f9a02c1-9"


def test_a_task_that_is_sent_again_has_an_id_of_its_own():
    assert batches.task_id([sent(book())], 2) == "depth-3-7.3f9a02c1-9~2"
    assert batches.task_id([sent(book()), sent(book(), partition=1)], 3) == "depth-3-7.3f9a02c1-9~3+1"


def test_a_shared_tasks_id_is_that_of_the_first_lane_and_counts_the_rest():
    assert batches.task_id([sent(book()), sent(book(), partition=1)]) == "depth-3-7.3f9a02c1-9+1"
    assert batches.task_id([sent(book(), partition=each) for each in (1, 3, 4)]) == "depth-1-7.3f9a02c1-9+2"


@given(st.integers(0, 2**62), st.text(alphabet="0123456789abcdef", max_size=8))
def test_an_epoch_survives_its_written_form(number, nonce):
    assert Epoch.parse(str(Epoch(number, nonce))) == Epoch(number, nonce)


@pytest.mark.parametrize("text", ["", "7", ".", "x.3f9a02c1"])
def test_what_is_no_epoch_is_refused(text):
    with pytest.raises(ValueError, match=r"not an epoch|invalid literal"):
        Epoch.parse(text)


def test_an_epoch_of_the_same_number_by_another_process_is_another_one():
    assert Epoch(7, "a") != Epoch(7, "b")


@pytest.mark.parametrize(
    ("symbols", "said"),
    [
        (["BTCUSDT"], "1 event BTCUSDT"),
        (["BTCUSDT", "ETHUSDT", "BTCUSDT"], "3 events BTCUSDT,ETHUSDT"),
        (list("ABCDE"), "5 events A,B,C,D,E"),
        (list("ABCDEFG"), "7 events A,B,C,D,E and 2 more"),
    ],
)
def test_a_person_reads_how_many_events_of_which_symbols(symbols, said):
    assert batches.describe(symbols) == said
