from typing import NamedTuple

import pytest

from tasks.protocol.routing import Pool
from tasks.protocol.worker_kinds import old_workers, unreadable_pools

POOLS = (Pool("candles", ("kline",)), Pool("trade", ("trade",)))


class FakeWorker(NamedTuple):
    name: str
    queues: tuple[str, ...] = ("candles", "trade")
    kinds: tuple[str, ...] = ("depth", "trade")


NEW = FakeWorker("new", kinds=("depth", "trade", "kline"))


@pytest.mark.parametrize(
    ("workers", "held"),
    [
        ([], {"candles": []}),
        ([NEW], {}),
        ([FakeWorker("old")], {"candles": ["old"]}),
        ([NEW, FakeWorker("old")], {"candles": ["old"]}),
        ([NEW, FakeWorker("old", queues=("trade",))], {}),
        ([FakeWorker("old", queues=("trade",))], {"candles": []}),
    ],
)
def test_a_pool_waits_until_every_worker_of_its_queue_reads_its_kinds(workers, held):
    assert unreadable_pools(workers, POOLS) == held


def test_only_a_pool_that_old_workers_hold_up_is_a_finding():
    assert list(old_workers([], POOLS)) == []
    [finding] = old_workers([NEW, FakeWorker("old")], POOLS)
    assert (finding.name, finding.what) == ("workers_too_old", "queue candles")
