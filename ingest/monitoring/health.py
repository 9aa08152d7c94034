"""What /healthz and /ready say of ingest."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest.connectivity import Connectivity
from ingest.lanes import Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.server_stats import ServerProbe
from tasks.protocol.findings import Finding, named_some
from tasks.protocol.routing import LaneId

#: /healthz says no when the event loop has not come round for so long.
HEARTBEAT_S = 10.0
#: /ready says no when an event has waited for its commit for so long.
STUCK_S = 30.0
#: A lane whose oldest event has waited for so long waits for something.
SLOW_S = 5.0
_DO = "see whether workers live and what their logs say; start more"


class Health:
    """Whether the process makes progress, and whether it can do its work."""

    def __init__(
        self, parts: Connectivity, lanes: Lanes, surroundings: ServerProbe, feed: FeedWatch, findings: Findings
    ) -> None:
        self._parts, self._lanes, self._surroundings = parts, lanes, surroundings
        self._feed, self._findings = feed, findings
        self._beat_s = time.monotonic()
        self.started = False
        #: Whether another process leads this shard and this one would take over.
        self.standing_by = False
        #: Where the endpoints listen.
        self.port = 0
        self.stopping = False

    async def beat(self) -> None:
        """Note that the event loop has run. Apart from all that asks Redis: whether it answers is no matter of life."""
        self._beat_s = time.monotonic()

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the process is alive; no server is needed for that."""
        age_s = time.monotonic() - self._beat_s
        return age_s < HEARTBEAT_S or not self.started, {"heartbeat_age_s": round(age_s, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether frames are taken in and worked off, or would be if the leader died; and the details.

        Ready is an ingest of which nothing is found that is a fault.
        """
        found = self._findings.current()
        stuck = {str(lane): round(age_s, 3) for lane, age_s in self._ages_s().items() if age_s > STUCK_S}
        seen = self._surroundings.seen
        return all(finding.sign != "fault" for finding in found), {
            **self._parts.up,
            "lanes": not stuck,
            "started": self.started,
            "stopping": self.stopping,
            "standing_by": self.standing_by,
            "redis_full": any(finding.name == "redis_full" for finding in found),
            "held_up_by": [str(lane) for lane in self._lanes.full],
            "stuck": stuck,
            "held_events": self._lanes.held,
            "feed": self._feed.told(time.monotonic()),
            "strategy_errors": self._surroundings.errors.last_minute(time.monotonic()),
            "workers": seen.workers if seen else None,
            "port": self.port,
            "findings": msgspec.to_builtins(found),
        }

    def phase(self) -> Iterator[Finding]:
        """Yield whether it is starting, stands by or stops."""
        if self.stopping:
            do = "start it again, if no other one takes over"
            yield Finding("fault", "ingest", "is stopping: it takes no more frames", do, "stopping")
        elif self.standing_by:
            says = "stands by: another ingest leads, and this one takes over when that falls silent"
            yield Finding("ok", "ingest", says, name="standing_by")
        elif not self.started:
            do = "start them, or fix NATS_URL or REDIS_URL"
            yield Finding("fault", "ingest", "is starting: it waits for NATS and Redis", do, "starting")

    def waiting(self) -> Iterator[Finding]:
        """Yield whether events wait too long for their commit."""
        late = {
            limit_s: [lane for lane, age_s in self._ages_s().items() if age_s > limit_s]
            for limit_s in (STUCK_S, SLOW_S)
        }
        if lanes := late[STUCK_S]:
            yield Finding("fault", "lanes", _late(lanes, STUCK_S), _DO, "lanes_stuck")
        elif lanes := late[SLOW_S]:
            yield Finding("warning", "lanes", _late(lanes, SLOW_S), _DO, "lanes_slow")

    def _ages_s(self) -> dict[LaneId, float]:
        return self._lanes.ages_s(time.time_ns())


def _late(lanes: Sequence[LaneId], limit_s: float) -> str:
    return f"{named_some([*map(str, lanes)])}: an event has waited for its commit for more than {limit_s:g} s"
