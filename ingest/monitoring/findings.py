"""Findings about this ingest process, its feed and its servers, for /ready, the page, the NATS status and metrics."""

import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from tasks import invocation
from tasks.protocol.findings import Finding
from tasks.telemetry.log_throttle import LogThrottle

#: What has been gone for so long is over: what comes and goes is logged once.
OVER_S = 5.0

Check = Callable[[], Iterable[Finding]]
log = structlog.get_logger()


class _LoggedFinding(msgspec.Struct):
    """A finding that has been logged."""

    finding: Finding
    since_s: float
    seen_s: float


class Findings:
    """Runs all checks, and logs each finding once when it appears and once when it is gone."""

    def __init__(
        self, *checks: Check, logged_elsewhere: Iterable[Check] = (), now: Callable[[], float] = time.monotonic
    ) -> None:
        """Those of `logged_elsewhere` tell the log by themselves. What has no name is not logged."""
        self._now = now
        self._checks = [*((check, False) for check in logged_elsewhere), *((check, True) for check in checks)]
        self._logged: dict[tuple[str, str], _LoggedFinding] = {}
        self._throttle = LogThrottle()

    def current(self) -> list[Finding]:
        """Return all that is found now, faults first. Never raises."""
        found: list[Finding] = []
        now_s = self._now()
        for check, logs in self._checks:
            try:
                its = [finding.with_hint(invocation.as_called) for finding in check()]
            except Exception:
                # A check that fails must end neither the work nor /ready.
                if self._throttle.allow():
                    log.exception("unexpected error: a check failed")
                continue
            found += its
            for finding in its if logs else ():
                if finding.name:
                    self._appeared(finding, now_s)
        self._end(now_s)
        return sorted(found, key=lambda finding: finding.sign != "fault")

    async def watch(self) -> None:
        """Collect the findings, so that they are logged even if nobody reads /ready."""
        self.current()

    def _appeared(self, finding: Finding, now_s: float) -> None:
        key = finding.name, finding.what
        if key in self._logged:
            self._logged[key].finding, self._logged[key].seen_s = finding, now_s
            return
        self._logged[key] = _LoggedFinding(finding, now_s, now_s)
        say = {"fault": log.error, "warning": log.warning, "ok": log.info}[finding.sign]
        say("finding", name=finding.name, what=finding.what, says=finding.says, do=finding.do)

    def _end(self, now_s: float) -> None:
        for key, logged in list(self._logged.items()):
            if now_s - logged.seen_s >= OVER_S:
                del self._logged[key]
                name, what = key
                log.info("finding is over", name=name, what=what, lasted_s=round(logged.seen_s - logged.since_s, 1))
