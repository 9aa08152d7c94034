"""The subjects of frames that are published by partition."""

import pytest

from tasks.frames.subjects import FrameSubjects, in_partition, insert, partition_of


@pytest.mark.parametrize(
    ("pattern", "inserted"),
    [
        ("binance.>", "binance.3.>"),
        ("binance.btcusdt@trade", "binance.3.btcusdt@trade"),
        ("market.kraken.trade.BTC%2FUSD", "market.3.kraken.trade.BTC%2FUSD"),
        ("binance.websocket.data", "binance.3.websocket.data"),
        ("a.*.b", "a.3.*.b"),
        ("frames", "frames.3"),
        (">", "*.3.>"),
    ],
)
def test_the_partition_is_the_second_token(pattern: str, inserted: str):
    assert insert(pattern, 3) == inserted
    assert partition_of(inserted) == 3


@pytest.mark.parametrize("subject", ["binance.btcusdt@trade", "frames", "a.-1.b", "a.٣.b", ""])
def test_what_is_no_number_is_no_partition(subject: str):
    assert partition_of(subject) is None


def test_a_subject_gets_another_partition_instead_of_the_one_that_it_has():
    assert in_partition("binance.btcusdt@trade", 5) == "binance.5.btcusdt@trade"
    assert in_partition("binance.70.btcusdt@trade", 5) == "binance.5.btcusdt@trade"


def test_without_partitions_subjects_are_those_of_the_setting():
    assert FrameSubjects.read(" binance.>, market.>").all == ("binance.>", "market.>")


def test_all_subjects_are_those_with_a_partition_and_those_without():
    subjects = FrameSubjects.read("binance.>,binance.websocket.data", 8)
    assert subjects.all == ("binance.>", "binance.websocket.data", "binance.*.websocket.data")


def test_a_partition_has_a_subject_for_each_pattern():
    assert FrameSubjects.read("binance.>,market.>", 8).of([1, 5]) == (
        "binance.1.>", "market.1.>", "binance.5.>", "market.5.>",
    )  # fmt: skip


def test_frames_without_a_partition_are_told_by_the_number_of_their_tokens():
    subjects = FrameSubjects.read("binance.>,a.b.c,>", 8)
    assert subjects.unpartitioned == ("binance.*", "binance.*.*.*", "a.b.c", "*.*", "*.*.*.*")


def test_only_a_partition_that_there_is_counts_as_one():
    subjects = FrameSubjects.read("binance.>", 8)
    assert [subjects.names(f"binance.{second}.x") for second in ("0", "7", "8", "btc")] == [True, True, False, False]
