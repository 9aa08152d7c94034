"""Holds new batches back before Redis is full. No I/O but two lines of the log.

At its limit Redis takes no more writes: commits fail, a worker that starts can't declare its queue. So it must not get
that far: above a share of the limit no new batch goes out, and what comes in waits within ingest's bounds. Queue,
results and ledger may be on servers of their own: each of them is looked at, and one that is full is enough. The first
shard's ledger, which another shard only reads, is told of and holds nothing back there.
"""

from collections.abc import Iterable, Iterator

import structlog

from tasks.protocol.findings import Finding, Sign

#: So far below the share, as a part of the limit, batches go out again.
SLACK = 0.05
log = structlog.get_logger()


class MemoryGuard:
    """Whether any Redis server is above its memory threshold."""

    def __init__(self, share: float) -> None:
        """Hold back above this share of the limit; 0: never."""
        self._share = share
        #: By server: whether what this shard's batches write goes there.
        self._full: dict[str, bool] = {}

    @property
    def full(self) -> bool:
        """Whether any server is to which this shard's batches write."""
        return any(self._full.values())

    def poll(self, server: str, used_bytes: int | None, limit_bytes: int | None, *, is_written: bool = True) -> None:
        """Take how full a server is, in bytes. What it does not report (None) changes nothing; limit 0: no limit.

        `is_written`: batches of this shard write there, so they are held back.
        """
        if used_bytes is None or limit_bytes is None:
            return
        was_full = server in self._full
        full = bool(self._share) and used_bytes > (self._share - SLACK * was_full) * limit_bytes > 0
        if full == was_full:
            return
        if full:
            self._full[server] = is_written
        else:
            del self._full[server]
        say = (log.error if is_written else log.warning) if full else log.info
        held_back = "no new batches" if is_written else "the first shard sends no new batches"
        what = f"Redis is almost full: {held_back}" if full else "Redis has room again"
        say(what, server=server, used_bytes=used_bytes, maxmemory=limit_bytes, share=self._share)

    def findings(self) -> Iterator[Finding]:
        """Yield a fault while any Redis is too full, and a warning for the first shard's ledger."""
        of_batches = sorted(server for server, is_written in self._full.items() if is_written)
        of_first = sorted(self._full.keys() - set(of_batches))
        if of_batches:
            yield _finding("fault", of_batches, "no new batches go out, events wait in ingest")
        if of_first:
            yield _finding("warning", of_first, "the first shard sends no new batches, this one goes on")


def _finding(sign: Sign, servers: Iterable[str], what_waits: str) -> Finding:
    says = f"{', '.join(servers)} is almost full: {what_waits}"
    return Finding(sign, "Redis", says, "raise it with `CONFIG SET maxmemory BYTES`, or make room", "redis_full")
