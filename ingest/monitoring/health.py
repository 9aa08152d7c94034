"""/healthz and /ready of ingest."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest.connectivity import Connectivity
from ingest.lanes import Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.lifecycle import Lifecycle
from ingest.monitoring.server_stats import ServerProbe
from tasks.protocol.findings import Finding, faults, named_some
from tasks.protocol.routing import LaneId

#: /healthz fails when the event loop has not come round for so long.
HEARTBEAT_S = 10.0
#: /ready fails when an event has waited for its commit for so long.
STUCK_S = 30.0
#: A lane whose oldest event has waited for so long waits for something.
SLOW_S = 5.0
_DO = "see whether workers live (`./run tasks doctor`) and what their logs say; start more"


class Health:
    """Liveness and readiness of the process."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        connectivity: Connectivity,
        lanes: Lanes,
        probe: ServerProbe,
        feed: FeedWatch,
        findings: Findings,
    ) -> None:
        self._lifecycle, self._connectivity, self._lanes, self._probe = lifecycle, connectivity, lanes, probe
        self._feed, self._findings = feed, findings
        self._beat_s = time.monotonic()

    async def beat(self) -> None:
        """Note that the event loop has run. Apart from all that asks Redis: whether it answers is no matter of life."""
        self._beat_s = time.monotonic()

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the event loop makes progress, and its last sign of life. No server is needed for that."""
        age_s = time.monotonic() - self._beat_s
        return age_s < HEARTBEAT_S or not self._lifecycle.started, {"heartbeat_age_s": round(age_s, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether frames are taken in and worked off, or would be if the leader died; and the details.

        Ready is an ingest of which nothing is found that is a fault.
        """
        found = self._findings.current()
        stuck = {
            str(lane): round(age_s, 3) for lane, age_s in self._lanes.ages_s(time.time_ns()).items() if age_s > STUCK_S
        }
        seen = self._probe.seen
        return not faults(found), {
            **self._connectivity.up,
            "lanes": not stuck,
            "started": self._lifecycle.started,
            "stopping": self._lifecycle.stopping,
            "standing_by": self._lifecycle.standing_by,
            "redis_full": any(finding.name == "redis_full" for finding in faults(found)),
            "held_up_by": [str(lane) for lane in self._lanes.full],
            "stuck": stuck,
            "held_events": self._lanes.held,
            "feed": self._feed.summary(time.monotonic()),
            "strategy_errors": self._probe.errors.last_minute(time.monotonic()),
            "workers": seen.workers if seen else None,
            "findings": msgspec.to_builtins(found),
        }


def late_lanes(lanes: Lanes) -> Iterator[Finding]:
    """Yield whether events wait too long for their commit."""
    ages_s = lanes.ages_s(time.time_ns())
    late = {limit_s: [lane for lane, age_s in ages_s.items() if age_s > limit_s] for limit_s in (STUCK_S, SLOW_S)}
    if stuck := late[STUCK_S]:
        yield Finding("fault", "lanes", _late(stuck, STUCK_S), _DO, "lanes_stuck")
    elif slow := late[SLOW_S]:
        yield Finding("warning", "lanes", _late(slow, SLOW_S), _DO, "lanes_slow")


def _late(lanes: Sequence[LaneId], limit_s: float) -> str:
    return f"{named_some([*map(str, lanes)])}: an event has waited for its commit for more than {limit_s:g} s"
