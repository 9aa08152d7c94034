"""Answers on NATS how full ingest is, and what is found: feeds and `doctor` ask.

Whoever may ask chooses where the answer goes, and ingest may publish where the asker may not: signals, or requests to
JetStream. So it answers inboxes only.
"""

import re
import time

from nats.aio.msg import Msg

from ingest.lanes import Lanes
from ingest.monitoring.feed_reports import FeedReports
from ingest.monitoring.findings import Findings
from ingest.sources.base import Source
from tasks.protocol import feed_report
from tasks.protocol.ingest_status import EACH_SHARD, IngestStatus, encode
from tasks.telemetry.rate_limit import RateLimit

#: What clients of NATS make to be answered at.
_INBOX = re.compile(r"_INBOX(\.[A-Za-z0-9_-]{1,64}){1,4}", re.ASCII)
#: A replay at full speed asks a hundred times a second. Who gets no answer asks again.
MAX_A_SECOND = 500.0
#: A report names 20 streams at most.
MAX_REQUEST_BYTES = 16 * 1024
#: Requests that wait to be looked at; more are lost, and asked again.
MAX_WAITING, MAX_WAITING_BYTES = 1_000, 2**20


class StatusResponder:
    """Answers status requests on NATS: shard 0 answers all of them, the others only those to every shard.

    What can't be answered is dropped without a word: a log would be the asker's to fill.
    """

    def __init__(
        self,
        shard: int,
        lanes: Lanes,
        source: Source,
        findings: Findings,
        feed_reports: FeedReports,
        rate_limit: RateLimit | None = None,
        namespace: str = "",
    ) -> None:
        self._namespace = namespace
        self._shard, self._lanes, self._source = shard, lanes, source
        self._findings, self._feed_reports = findings, feed_reports
        self._rate_limit = rate_limit or RateLimit(MAX_A_SECOND)

    async def answer(self, message: Msg) -> None:
        """Answer, and note what a feed reports of itself."""
        if self._shard and message.data != EACH_SHARD:
            return
        if len(message.data) > MAX_REQUEST_BYTES or not _INBOX.fullmatch(message.reply) or not self._rate_limit.allow():
            return
        # A publisher to a stream need not wait for its readers.
        held = 0 if self._source.keeps else max(lane.held for lane in self._lanes)
        held_bytes = 0 if self._source.keeps else self._lanes.held_bytes
        if message.data and (report := feed_report.decode(message.data)):
            self._feed_reports.take(report, time.monotonic())
        found, bound_bytes = self._findings.current(), self._lanes.limits.total_bytes
        # nats-py would send the asker's own headers along, which can make any answer too large for the server.
        message.headers = None
        await message.respond(encode(IngestStatus(held_bytes, bound_bytes, held, found, self._shard, self._namespace)))
