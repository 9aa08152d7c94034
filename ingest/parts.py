"""Which parts that ingest needs are there. Says once when one goes, and once when it is back."""

import structlog

log = structlog.get_logger()


class Parts:
    """NATS and Redis, up or away."""

    def __init__(self, where: dict[str, str]) -> None:
        """Take the parts' names and where each is looked for."""
        self._where = where
        self.up = dict.fromkeys(where, False)
        self._warned: set[str] = set()

    def lost(self, part: str, why: str) -> None:
        """Note that a part is away."""
        self.up[part] = False
        if part not in self._warned:
            self._warned.add(part)
            log.warning("away: trying for ever", part=part, url=self._where[part], why=why)

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
