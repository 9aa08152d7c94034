"""Which pools wait because a worker of an older version can't read the kinds of events. Pure.

Any worker of a queue may take any of its tasks. One that does not know a kind can't read the events of a pool that takes
it, nor any configuration in which a pool names it, and so fails all tasks. So where pools take other kinds than depth and
trade, a pool is served only while every live worker of its queue can read them all: during an update, its events wait in
ingest until the old workers are gone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from tasks.events import ALWAYS_READ
from tasks.protocol.findings import Finding, named_some
from tasks.protocol.routing import Pool


class _Worker(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def queues(self) -> Sequence[str]: ...
    @property
    def kinds(self) -> Sequence[str]: ...


def unreadable_pools(workers: Iterable[_Worker], pools: Iterable[Pool]) -> Mapping[str, Sequence[str]]:
    """Return the pools that have to wait, each with the workers that can't read the kinds; none: nobody serves it."""
    living, all_pools = list(workers), list(pools)
    named = {kind for pool in all_pools for kind in pool.kinds}
    held: dict[str, Sequence[str]] = {}
    for pool in all_pools:
        serving = [worker for worker in living if pool.name in worker.queues]
        old = [worker.name for worker in serving if not named <= {*ALWAYS_READ, *worker.kinds}]
        if old or not (serving or ALWAYS_READ.issuperset(pool.kinds)):
            held[pool.name] = old
    return held


def old_workers(workers: Iterable[_Worker], pools: Iterable[Pool]) -> Iterator[Finding]:
    """Yield a warning for each pool that waits because of the version of its workers."""
    for pool, old in unreadable_pools(workers, pools).items():
        if old:
            says = f"its events wait in ingest: pools take kinds that {named_some(old)} can't read"
            do = "update these workers, or have them leave its queue"
            yield Finding("warning", f"queue {pool}", says, do, "workers_too_old")
