from typing import NamedTuple

import pytest

from tasks.protocol.routing import Pool
from tasks.protocol.worker_kinds import old_workers, unreadable_pools

POOLS = (Pool("candles", ("kline",)), Pool("trade", ("trade",)))


class FakeWorker(NamedTuple):
    name: str
    queues: tuple[str, ...] = ("candles", "trade")
    kinds: tuple[str, ...] = ("depth", "trade")
    tables: tuple[str, ...] = ()


NEW = FakeWorker("new", kinds=("depth", "trade", "kline"))


@pytest.mark.parametrize(
    ("workers", "held"),
    [
        ([], {"candles": []}),
        ([NEW], {}),
        ([FakeWorker("old")], {"candles": ["old"], "trade": ["old"]}),
        ([NEW, FakeWorker("old")], {"candles": ["old"], "trade": ["old"]}),
        # It can read trades, but not the configuration, in which another pool takes candles.
        ([NEW, FakeWorker("old", queues=("trade",))], {"trade": ["old"]}),
        ([NEW, FakeWorker("old", queues=("candles",))], {"candles": ["old"]}),
        ([FakeWorker("old", queues=("trade",))], {"candles": [], "trade": ["old"]}),
    ],
)
def test_a_pool_waits_until_every_worker_of_its_queue_reads_all_kinds(workers, held):
    assert unreadable_pools(workers, POOLS) == held


def test_old_workers_serve_all_pools_while_none_takes_another_kind():
    assert unreadable_pools([FakeWorker("old")], [Pool("depth", ("depth",)), Pool("trade", ("trade",))]) == {}


def test_old_workers_serve_no_pool_while_the_configuration_opens_accounts():
    trade = Pool("trade", ("trade",), tables=("paper",))
    assert unreadable_pools([FakeWorker("old"), FakeWorker("new", tables=("paper", "shadow"))], [trade]) == {
        "trade": ["old"]
    }
    assert unreadable_pools([], [trade]) == {}
    [found] = old_workers([FakeWorker("old")], [trade])
    assert found.says == "its events wait in ingest: the configuration has paper, which old can't read"


def test_only_a_pool_that_old_workers_hold_up_is_a_finding():
    assert list(old_workers([], POOLS)) == []
    found = [(each.name, each.what) for each in old_workers([NEW, FakeWorker("old")], POOLS)]
    assert found == [("workers_too_old", "queue candles"), ("workers_too_old", "queue trade")]
