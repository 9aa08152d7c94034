"""What a live feed tells ingest is seen where people look."""

import asyncio
import json

from ingest.feeds.publishing import publishing
from tasks.protocol import feed_report
from tasks.protocol.feed_report import FeedReport, SilentStream
from tasks.settings import Settings
from tests.support.service import ingest
from tests.support.waiting import wait_for

REPORT = FeedReport("binance spot here/1", 2, 1, (SilentStream("btcusdt@trade", 75.0, spoke=True),))


def test_ready_and_metric_name_silent_streams_until_they_speak_again(nats_url, redis_url, namespace):
    """They speak again once the feed says so."""

    async def publish(report: FeedReport) -> None:
        async with publishing(Settings(nats_url=nats_url)) as publisher:
            await publisher.report(feed_report.encode(report))

    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()

        def found() -> list[str]:
            findings = json.loads(service.get("/ready")[1])["findings"]
            return [finding["says"] for finding in findings if finding["name"] == "streams_silent"]

        def metric() -> str:
            return next(line for line in service.get("/metrics")[1].splitlines() if 'name="streams_silent"' in line)[
                -3:
            ]

        asyncio.run(publish(REPORT))
        assert wait_for(found) == ["nothing comes of 1 of 2 streams: btcusdt@trade (for 75 s)"]
        assert service.get("/ready")[0] == 200
        assert metric() == "1.0"
        asyncio.run(publish(FeedReport(REPORT.feed, 2, 0)))
        wait_for(lambda: not found())
        assert metric() == "0.0"


async def test_a_login_that_may_not_report_to_ingest_still_publishes_frames(nats_url, namespace):
    async with publishing(Settings(nats_url=nats_url)) as publisher:
        publisher.refused = {"ingest.status"}
        await publisher.report(feed_report.encode(REPORT))
        await publisher.put("btcusdt@trade", b"{}")
        await publisher.settle()
        assert publisher.published == 1
