"""What /healthz and /ready say of ingest."""

import time
from typing import Any

from ingest.lanes import Lanes
from ingest.parts import Parts
from ingest.surroundings import Surroundings

#: /healthz says no when the event loop has not come round for so long.
HEARTBEAT_S = 10.0
#: /ready says no when an event has waited for its commit for so long.
STUCK_S = 30.0


class Health:
    """Whether the process makes progress, and whether it can do its work."""

    def __init__(self, parts: Parts, lanes: Lanes, surroundings: Surroundings) -> None:
        self._parts, self._lanes, self._surroundings = parts, lanes, surroundings
        self._beat_s = time.monotonic()
        self.started = False
        #: Whether another process leads this shard and this one would take over.
        self.standing_by = False
        #: Where the endpoints listen.
        self.port = 0
        self.stopping = False

    async def beat(self) -> None:
        """Say that the event loop came round. Apart from all that asks Redis: whether it answers is no matter of life."""
        self._beat_s = time.monotonic()

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Say whether the process is alive; no server is needed for that."""
        age_s = time.monotonic() - self._beat_s
        return age_s < HEARTBEAT_S or not self.started, {"heartbeat_age_s": round(age_s, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Say whether frames are taken in and worked off, or would be if the leader died, part by part."""
        ages_s = self._lanes.ages_s(time.time_ns())
        stuck = {str(lane): round(age_s, 3) for lane, age_s in ages_s.items() if age_s > STUCK_S}
        parts = dict(self._parts.up) | {"lanes": not stuck, "started": self.started, "stopping": self.stopping}
        parts["standing_by"] = self.standing_by
        seen = self._surroundings.seen
        parts["redis_full"] = full = bool(seen and seen.redis_full)
        well = (self.started or self.standing_by) and self._parts.all_up and not (stuck or full or self.stopping)
        workers = seen.workers if seen else None
        held_up_by = [str(lane) for lane in self._lanes.full]
        return well, {
            **parts,
            "held_up_by": held_up_by,
            "stuck": stuck,
            "held_events": self._lanes.held,
            "workers": workers,
            "port": self.port,
        }
