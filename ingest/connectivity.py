"""Availability of the servers that ingest needs. Logs once when one goes, and once when it is back."""

from collections.abc import Iterator

import structlog

from tasks.protocol.findings import Finding

log = structlog.get_logger()


_ASK = "`./run tasks doctor` says what it answers"
#: What it means that a part is unavailable, and what to do.
_UNAVAILABLE = {
    "nats": ("NATS", "no frames come in, no signals go out", f"start it, or fix NATS_URL: {_ASK}"),
    "redis": ("Redis", "nothing can be committed, events wait in ingest", f"start it, or fix REDIS_URL: {_ASK}"),
}


class Connectivity:
    """Connection state of NATS and Redis: up or unavailable."""

    def __init__(self, where: dict[str, str]) -> None:
        """Take the parts' names and where each is looked for."""
        self._where = where
        self.up = dict.fromkeys(where, False)
        self._warned: set[str] = set()

    def lost(self, part: str, why: str) -> None:
        """Note that a part is unavailable."""
        self.up[part] = False
        if part not in self._warned:
            self._warned.add(part)
            log.warning("connection lost, retrying", part=part, url=self._where[part], why=why)

    def back(self, part: str) -> None:
        """Note that a part is there."""
        if self.up[part]:
            return
        self.up[part] = True
        log.info("connected", part=part, url=self._where[part])
        self._warned.discard(part)

    @property
    def all_up(self) -> bool:
        """Whether nothing is missing."""
        return all(self.up.values())

    def findings(self) -> Iterator[Finding]:
        """Yield a fault for each part that is unavailable."""
        for part, up in self.up.items():
            if not up:
                what, means, do = _UNAVAILABLE[part]
                yield Finding("fault", what, f"ingest has no connection to it: {means}", do, f"{part}_away")
