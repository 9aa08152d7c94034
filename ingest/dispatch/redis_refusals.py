"""Commands that Redis refuses while it is up: workers' commits, according to notices, and ingest's own. No I/O."""

import time
from collections.abc import Callable, Iterable, Iterator

from tasks.protocol.findings import Finding
from tasks.protocol.notice import Refusal
from tasks.protocol.routing import LaneId

#: A refusal to ingest is reported for so long: ingest tries again every 3 s at the latest.
TOLD_S = 10.0
#: More reasons are counted, not listed.
_REASONS = 3
_DO = (
    "give the user the right (`ACL LOG` says which; docs/security.md), or fix the key that is named; nothing is lost, what "
    "waits is done then"
)


class RedisRefusals:
    """The reasons for which Redis currently refuses commands."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: By lane: why its batch in flight was not committed.
        self._commits: dict[LaneId, str] = {}
        #: By reason: until when it is reported.
        self._own: dict[str, float] = {}

    def refused(self, refusal: Refusal) -> None:
        """Note that Redis refused the commit of a lane's batch in flight."""
        self._commits[refusal.lane] = refusal.why

    def committed(self, lane: LaneId) -> None:
        """Note that the lane goes on."""
        self._commits.pop(lane, None)

    def begin(self) -> None:
        """Forget the lanes: a new epoch begins."""
        self._commits.clear()

    def record_own(self, why: str) -> None:
        """Note that Redis refused what this process asked for."""
        self._own = {reason: until_s for reason, until_s in self._own.items() if until_s > self._now()}
        self._own[why] = self._now() + TOLD_S

    def findings(self) -> Iterator[Finding]:
        """Yield a fault for each kind of what is refused, with Redis's own words."""
        if self._commits:
            lanes = len(self._commits)
            says = f"Redis refuses those of {lanes} lane{'s' if lanes > 1 else ''}: {_few(self._commits.values())}"
            yield Finding("fault", "commits", says, _DO, "commits_refused")
        if own := [why for why, until_s in self._own.items() if until_s > self._now()]:
            yield Finding("fault", "Redis", f"refuses what ingest asks for: {_few(own)}", _DO, "redis_refuses")


def _few(reasons: Iterable[str]) -> str:
    distinct = sorted(set(reasons))
    more = f" and {len(distinct) - _REASONS} more" if len(distinct) > _REASONS else ""
    return "; ".join(distinct[:_REASONS]) + more
