"""Verdicts and alerts on a real server, against models of what petrosa's CIO reads, written from how it behaves."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import AwareDatetime, BaseModel, Field

from ingest.monitoring.findings import Findings
from ingest.monitoring.lifecycle import Lifecycle
from ingest.monitoring.verdict_publisher import VerdictPublisher
from ingest.transport.flush import confirm_published
from tasks.protocol.findings import Finding
from tasks.settings import Settings
from tests.support.service import ingest
from tests.support.waiting import HANGS_S

AWAY = Finding("fault", "Redis", "ingest has no connection to it", "start it", "redis_away")
QUIET = Finding("warning", "feed", "is silent", name="feed_quiet")
SLOW = Finding("warning", "lanes", "an event has waited", name="lanes_slow")


class VerdictMessage(BaseModel):
    verdict: Literal["healthy", "unhealthy", "unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    subsystem: Literal["realtime-strategies"]
    timestamp: AwareDatetime


class AlertMessage(BaseModel):
    severity: Literal["critical", "warning"]
    category: str
    message: str
    timestamp: AwareDatetime


class Listener:
    """Hears what is published below a namespace, as the CIO does; and publishes what is found."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.found: list[Finding] = []
        self.lifecycle, self._client, self.namespace = Lifecycle(), client, namespace
        settings = Settings(
            verdict_subject=f"{namespace}.realtime-strategies.verdict", alert_subject=f"{namespace}-alerts.rs.{{name}}"
        )
        self.publisher = VerdictPublisher(settings, client, Findings(lambda: self.found), self.lifecycle)
        self._heard: list[tuple[str, bytes]] = []

    async def hear(self, message: Msg) -> None:
        self._heard.append((message.subject, message.data))

    async def sample(self, *found: Finding) -> tuple[list[VerdictMessage], dict[str, AlertMessage]]:
        """Return the verdicts and, by the last token of their subjects, the alerts that a sample leads to."""
        self.found[:] = found
        await self.publisher.publish()
        await confirm_published(self._client)
        heard, self._heard = self._heard, []
        verdicts = [VerdictMessage.model_validate_json(data) for subject, data in heard if subject.endswith(".verdict")]
        alerts = {subject: AlertMessage.model_validate_json(data) for subject, data in heard if "-alerts." in subject}
        assert len(verdicts) + len(alerts) == len(heard)
        return verdicts, {
            subject.removeprefix(f"{self.namespace}-alerts.rs."): each for subject, each in alerts.items()
        }


@pytest.fixture
async def listener(nats_url: str, namespace: str) -> AsyncIterator[Listener]:
    client = await nats.connect(nats_url)
    made = Listener(client, namespace)
    for subject in (f"{namespace}.>", f"{namespace}-alerts.>"):
        await client.subscribe(subject, cb=made.hear)
    yield made
    await client.close()


async def test_a_verdict_is_published_with_each_sample(listener: Listener):
    heard = [await listener.sample(*found) for found in ([], [], [SLOW], [AWAY], [AWAY], [AWAY])]
    said = [(each.verdict, each.reason) for verdicts, _ in heard for each in verdicts]
    unknown, healthy = ("unknown", "it leads since a moment ago"), ("healthy", "no fault is found")
    assert said == [unknown, unknown, healthy, healthy, healthy, ("unhealthy", "Redis: ingest has no connection to it")]


async def test_what_pages_is_published_once_under_its_name(listener: Listener):
    heard = [(await listener.sample(AWAY, QUIET, SLOW))[1] for _ in range(4)]
    assert [each.keys() for each in heard] == [set(), set(), {"redis_away", "feed_quiet"}, set()]
    fault, warning = heard[2]["redis_away"], heard[2]["feed_quiet"]
    assert (fault.severity, fault.category) == ("critical", "redis_away")
    assert fault.message == "Redis: ingest has no connection to it; start it"
    assert (warning.severity, warning.message) == ("warning", "feed: is silent")


async def test_an_ingest_that_stops_says_no_more(listener: Listener):
    listener.lifecycle.stop()
    assert await listener.sample(AWAY) == ([], {})


async def test_a_leading_ingest_publishes_at_once_where_it_is_told_to(nats_url: str, redis_url: str, namespace: str):
    client = await nats.connect(nats_url)
    subject = f"{namespace}-evaluator.realtime-strategies.verdict"
    heard = await client.subscribe(subject)
    await confirm_published(client)
    with ingest(nats_url, redis_url, namespace, VERDICT_SUBJECT=subject):
        first = json.loads((await heard.next_msg(timeout=HANGS_S)).data)
    assert (first["verdict"], first["subsystem"]) == ("unknown", "realtime-strategies")
    await client.close()
