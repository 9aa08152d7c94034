"""What ingest answers on NATS to who asks how full it is."""

from types import SimpleNamespace
from typing import Any

import pytest

from ingest.lanes import LaneLimits, Lanes
from ingest.monitoring.feed_reports import FeedReports
from ingest.monitoring.findings import Findings
from ingest.monitoring.status_responder import MAX_REQUEST_BYTES, StatusResponder
from tasks.protocol import feed_report, ingest_status
from tasks.protocol.feed_report import FeedReport
from tasks.protocol.findings import Finding
from tasks.protocol.ingest_status import EACH_SHARD, IngestStatus
from tasks.protocol.routing import Pool, Router
from tasks.telemetry.rate_limit import RateLimit
from tests.support.events import trade

FOUND = Finding("warning", "lanes", "late", "wait", "lanes_slow")


class Asked:
    """A responder of a shard that holds one event, with three frames waiting in its source."""

    def __init__(self, shard: int = 0, *, keeps: bool = False, rate_limit: RateLimit | None = None) -> None:
        self.lanes = Lanes(Router([Pool("trade", ("trade",))]), LaneLimits(10_000, 50_000))
        self.lanes.offer(trade(), "")
        self.reports, source = FeedReports(), SimpleNamespace(keeps=keeps)
        given: Any = source
        findings = Findings(lambda: [FOUND])
        self._responder = StatusResponder(shard, self.lanes, given, findings, self.reports, rate_limit, "desk")
        self._answers: list[bytes] = []

    async def ask(self, request: bytes = b"", reply: str = "_INBOX.Ab1.2-c_") -> IngestStatus | None:
        async def respond(answer: bytes) -> None:
            assert message.headers is None
            self._answers.append(answer)

        message: Any = SimpleNamespace(data=request, reply=reply, respond=respond, headers={"a": "b"})
        await self._responder.answer(message)
        return ingest_status.decode(self._answers.pop()) if self._answers else None


async def test_the_answer_says_what_is_held_its_bound_and_what_is_found():
    asked = Asked()
    answer = await asked.ask()
    assert answer == IngestStatus(asked.lanes.held_bytes, 50_000, 1, [FOUND], 0, "desk")
    assert answer.held_bytes > 0


async def test_who_publishes_to_a_stream_need_not_wait():
    answer = await Asked(keeps=True).ask()
    assert answer is not None
    assert (answer.held_bytes, answer.held_frames) == (0, 0)


async def test_other_shards_than_the_first_answer_only_who_asks_each_of_them():
    asked = Asked(shard=1)
    assert await asked.ask() is None
    answer = await asked.ask(EACH_SHARD)
    assert answer is not None
    assert answer.shard == 1


async def test_a_feeds_report_is_kept_and_anything_else_is_no_report():
    asked = Asked()
    await asked.ask(feed_report.encode(FeedReport("binance-1", 5, 2)))
    await asked.ask(b"nonsense")
    assert asked.reports.silent(now_s=0.0) == 2


@pytest.mark.parametrize(
    "reply",
    [
        "", "signals.depth.BTCUSDT", "$JS.API.STREAM.PURGE.SIGNALS", "ingest.status", "_INBOX", "_INBOX.", "_INBOX.>",
        "_INBOX.*", "_INBOX.a.>", "_INBOX.a..b", "x_INBOX.a", "_INBOX.a.b.c.d.e", "_INBOX." + "a" * 65, "_INBOX.a\n",
        "_INBOX.\u0660",
    ],
)  # fmt: skip
async def test_an_answer_goes_to_an_inbox_or_nowhere(reply: str):
    assert await Asked().ask(reply=reply) is None


async def test_too_many_requests_are_not_answered_until_time_has_passed():
    now_s = 0.0
    asked = Asked(rate_limit=RateLimit(2, lambda: now_s))
    assert [bool(await asked.ask()) for _ in range(4)] == [True, True, False, False]
    now_s = 0.5
    assert [bool(await asked.ask()) for _ in range(2)] == [True, False]
    now_s = 100.0
    assert [bool(await asked.ask()) for _ in range(3)] == [True, True, False]


async def test_a_request_too_large_for_a_report_is_not_even_read():
    asked = Asked()
    report = feed_report.encode(FeedReport("x" * MAX_REQUEST_BYTES, 5, 2))
    assert await asked.ask(report) is None
    assert asked.reports.silent(now_s=0.0) == 0
