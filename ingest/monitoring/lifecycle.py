"""The phase of ingest: starting, on standby, running or stopping."""

from collections.abc import Iterator

import structlog

from tasks.protocol.findings import Finding

log = structlog.get_logger()


class Lifecycle:
    """The phase of the service: starting, on standby, running or stopping."""

    def __init__(self) -> None:
        self.started = False
        #: Whether another process leads this shard and this one would take over.
        self.standing_by = False
        self.stopping = False

    def start(self) -> None:
        """Note that frames are taken in."""
        self.started = True

    def stand_by(self) -> None:
        """Note that another process leads."""
        self.standing_by = True

    def lead(self) -> None:
        """Note that this process leads."""
        self.standing_by = False

    def stop(self) -> None:
        """Note that no more frames are taken in."""
        self.stopping = True
        if not self.started:
            log.info("stopped before it took any frame")

    def findings(self) -> Iterator[Finding]:
        """Yield whether it is starting, stands by or stops."""
        if self.stopping:
            do = "start it again with `./run ingest`, if no other one takes over"
            yield Finding("fault", "ingest", "is stopping: it takes no more frames", do, "stopping")
        elif self.standing_by:
            says = "stands by: another ingest leads, and this one takes over when that falls silent"
            yield Finding("ok", "ingest", says, name="standing_by")
        elif not self.started:
            do = "start them, or fix NATS_URL or REDIS_URL: `./run tasks doctor` says what they answer"
            yield Finding("fault", "ingest", "is starting: it waits for NATS and Redis", do, "starting")
