"""Answers on NATS how full ingest is, and what is found: feeds and `doctor` ask."""

import time

from nats.aio.msg import Msg

from ingest.lanes import Lanes
from ingest.monitoring.feed_reports import FeedReports
from ingest.monitoring.findings import Findings
from ingest.sources.base import Source
from tasks.protocol import feed_report
from tasks.protocol.ingest_status import EACH_SHARD, IngestStatus, encode


class StatusResponder:
    """Answers status requests on NATS: shard 0 answers all of them, the others only those to every shard."""

    def __init__(self, shard: int, lanes: Lanes, source: Source, findings: Findings, feed_reports: FeedReports) -> None:
        self._shard, self._lanes, self._source = shard, lanes, source
        self._findings, self._feed_reports = findings, feed_reports

    async def answer(self, message: Msg) -> None:
        """Answer, and note what a feed reports of itself."""
        if self._shard and message.data != EACH_SHARD:
            return
        # A publisher to a stream need not wait for its readers.
        held = 0 if self._source.keeps else self._source.pending + max(lane.held for lane in self._lanes)
        held_bytes = 0 if self._source.keeps else self._lanes.held_bytes
        if message.data and (report := feed_report.decode(message.data)):
            self._feed_reports.take(report, time.monotonic())
        found, bound_bytes = self._findings.current(), self._lanes.limits.total_bytes
        await message.respond(encode(IngestStatus(held_bytes, bound_bytes, held, found, self._shard)))
