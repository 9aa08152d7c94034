"""Which layouts a ledger takes."""

import pytest

from ingest.lanes.layout import Layout
from tasks.errors import SettingsError
from tasks.protocol.routing import Pool, Router, Shard

POOLS = (Pool("trade", ("trade",), partitions=8), Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT"})))


def layout(number: int, total: int, *pools: Pool, own: bool = True, frames: int = 64) -> Layout:
    return Layout(Router(pools or POOLS, Shard(number, total), frames), has_own_ledger=own)


def test_a_ledger_of_its_own_names_its_shard_and_a_shared_one_none():
    assert layout(1, 2).encode() != layout(0, 2).encode()
    assert layout(1, 2, own=False).encode() == layout(0, 2, own=False).encode()
    assert layout(0, 1, own=False, frames=0).encode() == b'{"partitions":{"basket":1,"trade":8},"shards":1}'


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (layout(0, 2), layout(1, 2), "the ledger of shard 0 of 2 where the ledger of shard 1 of 2 should be"),
        (layout(0, 2), layout(0, 4), "the ledger of shard 0 of 2 where the ledger of shard 0 of 4 should be"),
        (layout(0, 1, own=False), layout(0, 2), "the one ledger of all shards where the ledger of shard 0 of 2"),
        (layout(0, 2), layout(0, 1, own=False), "the ledger of shard 0 of 2 where the one ledger of all shards"),
    ],
)
def test_the_ledger_of_another_shard_or_of_other_shards_is_refused(before: Layout, now: Layout, said: str):
    with pytest.raises(SettingsError, match=f"LEDGER_URLS: it holds {said}"):
        now.check_ledger(before.encode())


def test_an_empty_ledger_is_refused_while_the_first_is_of_another_split():
    with pytest.raises(SettingsError, match="the first of them is the one ledger of all shards"):
        layout(1, 2).check_first(layout(0, 1, own=False).encode())
    with pytest.raises(SettingsError, match="the ledger is being moved"):
        layout(1, 2).check_first(b"moving")
    layout(1, 2).check_first(layout(0, 2).encode())
    layout(1, 2).check_first(b"")


def test_an_empty_ledger_and_other_partitions_are_taken():
    more = [Pool("trade", ("trade",), partitions=16), Pool("depth", ("depth",), partitions=4)]
    layout(1, 2).check_ledger(b"")
    layout(1, 2, *more, frames=128).check_ledger(layout(1, 2).encode())
    layout(0, 4, own=False).check_ledger(layout(0, 2, own=False).encode())


def test_a_pool_keyed_otherwise_is_refused_where_records_would_move():
    keyed_by_all = Pool("trade", ("trade",), key="all", symbols=frozenset({"BTCUSDT"}))
    with pytest.raises(SettingsError, match="pool trade is keyed in another way"):
        layout(0, 2, keyed_by_all).check_ledger(layout(0, 2).encode())
    layout(0, 2, keyed_by_all, own=False).check_ledger(layout(0, 2, own=False).encode())


def test_shards_with_ledgers_of_their_own_need_nothing_of_one_another():
    more = Pool("trade", ("trade",), partitions=16)
    before, now = layout(1, 2).encode(), layout(1, 2, more)
    assert (now.other_shards(before), list(now.shards_before(before))) == ([], [1])
    shared = layout(1, 2, more, own=False)
    assert (shared.other_shards(before), list(shared.shards_before(before))) == ([0], [0, 1])
