"""Holds new batches back before Redis is full. No I/O but two lines of the log.

At its limit Redis takes no more writes: commits fail, a worker that starts can't declare its queue. So it must not get
that far: above a share of the limit no new batch goes out, and what comes in waits within ingest's bounds. Queue,
results and ledger may be on servers of their own: each of them is looked at, and one that is full is enough.
"""

from collections.abc import Iterator

import structlog

from tasks.protocol.findings import Finding

#: So far below the share, as a part of the limit, batches go out again.
SLACK = 0.05
log = structlog.get_logger()


class MemoryGuard:
    """Whether any Redis server is above its memory threshold."""

    def __init__(self, share: float) -> None:
        """Hold back above this share of the limit; 0: never."""
        self._share = share
        self._full: set[str] = set()

    @property
    def full(self) -> bool:
        """Whether any server is."""
        return bool(self._full)

    def poll(self, server: str, used_bytes: int | None, limit_bytes: int | None) -> None:
        """Take how full a server is, in bytes. What it does not report (None) changes nothing; limit 0: no limit."""
        if used_bytes is None or limit_bytes is None:
            return
        was_full = server in self._full
        full = bool(self._share) and used_bytes > (self._share - SLACK * was_full) * limit_bytes > 0
        if full == was_full:
            return
        self._full ^= {server}
        say = log.error if full else log.info
        what = "Redis is almost full: no new batches" if full else "Redis has room again"
        say(what, server=server, used_bytes=used_bytes, maxmemory=limit_bytes, share=self._share)

    def findings(self) -> Iterator[Finding]:
        """Yield a fault while any Redis is too full."""
        if self._full:
            says = f"{', '.join(sorted(self._full))} is almost full: no new batches go out, events wait in ingest"
            yield Finding(
                "fault", "Redis", says, "raise it with `CONFIG SET maxmemory BYTES`, or make room", "redis_full"
            )
