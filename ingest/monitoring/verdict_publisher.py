"""Publishes the verdict on this ingest process, and what somebody has to see to now, on NATS."""

import time
from collections.abc import Callable

import msgspec
from nats.aio.client import Client

from ingest.monitoring.findings import Findings
from ingest.monitoring.lifecycle import Lifecycle
from ingest.monitoring.verdicts import Alerts, HealthVerdict, Verdicts
from tasks.protocol.findings import Finding
from tasks.protocol.utc_time import utc_iso
from tasks.settings import Settings

#: How often it is published.
VERDICT_S = 15.0
#: So long the server may take to have read it.
FLUSH_S = 5


class VerdictPublisher:
    """Publishes on VERDICT_SUBJECT and ALERT_SUBJECT, while this process leads."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        findings: Findings,
        lifecycle: Lifecycle,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._subjects = settings.verdict_subject, settings.alert_subject
        self._client, self._findings, self._lifecycle, self._now = client, findings, lifecycle, now
        self._verdicts, self._alerts = Verdicts(), Alerts()

    @property
    def is_wanted(self) -> bool:
        """Whether a subject is set."""
        return any(self._subjects)

    async def publish(self) -> None:
        """Take a sample and publish it. Raises nats.errors.Error: NATS does not take it; what is due stays due."""
        if self._lifecycle.stopping:
            return  # The verdict of whoever takes over counts.
        found = self._findings.current()
        verdict, due = self._verdicts.take(found), self._alerts.take(found)
        if not self._client.is_connected:
            return
        verdict_subject, alert_subject = self._subjects
        if verdict_subject:
            await self._client.publish(verdict_subject, self._packed_verdict(verdict, verdict_subject))
        for each in due if alert_subject else ():
            await self._client.publish(alert_subject.format(name=each.name), self._packed_alert(each))
        await self._client.flush(FLUSH_S)
        for each in due:
            self._alerts.told(each)

    def _packed_verdict(self, verdict: HealthVerdict, subject: str) -> bytes:
        subsystem = ".".join(subject.split(".")[1:-1])
        said = {"verdict": verdict.health, "reason": verdict.reason, "subsystem": subsystem}
        return msgspec.json.encode(said | {"timestamp": self._timestamp()})

    def _packed_alert(self, finding: Finding) -> bytes:
        message = f"{finding.what}: {finding.says}" + (f"; {finding.do}" if finding.do else "")
        severity = "critical" if finding.sign == "fault" else "warning"
        said = {"severity": severity, "category": finding.name, "message": message}
        return msgspec.json.encode(said | {"timestamp": self._timestamp()})

    def _timestamp(self) -> str:
        return utc_iso(int(self._now() * 1_000))
