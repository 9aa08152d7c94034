"""Which pools wait because a worker of an older version can't read their kinds of events. Pure.

Any worker of a queue may take any of its tasks. So a pool with other kinds than depth and trade is served only while
every live worker of its queue can read them: during an update, its events wait in ingest until the old workers are gone.
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
    """Return the pools that have to wait, each with the workers that can't read its kinds; none: nobody serves it."""
    living = list(workers)
    held: dict[str, Sequence[str]] = {}
    for pool in pools:
        if ALWAYS_READ.issuperset(pool.kinds):
            continue
        serving = [worker for worker in living if pool.name in worker.queues]
        old = [worker.name for worker in serving if not set(pool.kinds).issubset(worker.kinds)]
        if old or not serving:
            held[pool.name] = old
    return held


def old_workers(workers: Iterable[_Worker], pools: Iterable[Pool]) -> Iterator[Finding]:
    """Yield a warning for each pool that waits because of the version of its workers."""
    for pool, old in unreadable_pools(workers, pools).items():
        if old:
            says = f"its events wait in ingest: they are of kinds that {named_some(old)} can't read"
            do = "update these workers, or have them leave its queue"
            yield Finding("warning", f"queue {pool}", says, do, "workers_too_old")
