"""Which pools wait because a worker of an older version can't read the configuration or the kinds of events. Pure.

Any worker of a queue may take any of its tasks. One that does not know a kind can't read the events of a pool that takes
it, nor any configuration in which a pool names it, and so fails all tasks. So where pools take other kinds than depth and
trade, a pool is served only while every live worker of its queue can read them all: during an update, its events wait in
ingest until the old workers are gone. So they do while a live worker can't read a table of the configuration, such as
`[paper]`.
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
    @property
    def tables(self) -> Sequence[str]: ...


def unreadable_pools(workers: Iterable[_Worker], pools: Iterable[Pool]) -> Mapping[str, Sequence[str]]:
    """Return the pools that have to wait, each with the workers that can't read it; none: nobody serves it."""
    living, all_pools = list(workers), list(pools)
    named = _named(all_pools)
    held: dict[str, Sequence[str]] = {}
    for pool in all_pools:
        serving = [worker for worker in living if pool.name in worker.queues]
        old = [worker.name for worker in serving if named - _read_by(worker)]
        if old or not (serving or ALWAYS_READ.issuperset(pool.kinds)):
            held[pool.name] = old
    return held


def is_always_readable(pool: Pool) -> bool:
    """Return whether workers of any version can read what the pool names."""
    return ALWAYS_READ.issuperset(_named([pool]))


def _named(pools: Iterable[Pool]) -> set[str]:
    return {word for pool in pools for word in (*pool.kinds, *pool.tables)}


def _read_by(worker: _Worker) -> set[str]:
    return {*ALWAYS_READ, *worker.kinds, *worker.tables}


def old_workers(workers: Iterable[_Worker], pools: Iterable[Pool]) -> Iterator[Finding]:
    """Yield a warning for each pool that waits because of the version of its workers."""
    living, all_pools = {worker.name: worker for worker in workers}, list(pools)
    for pool, old in unreadable_pools(living.values(), all_pools).items():
        if old:
            unread = sorted(set().union(*(_named(all_pools) - _read_by(living[name]) for name in old)))
            says = f"its events wait in ingest: the configuration has {', '.join(unread)}, which {named_some(old)} can't read"
            do = (
                "update these workers (`./run tasks doctor` names versions), have them leave its queue, or take that out of the "
                "strategies file"
            )
            yield Finding("warning", f"queue {pool}", says, do, "workers_too_old")
