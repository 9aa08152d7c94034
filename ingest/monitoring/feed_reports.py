"""Reports of live feeds to this ingest. Pure: time is an argument."""

from collections.abc import Iterator

from tasks.protocol.feed_report import FeedReport
from tasks.protocol.findings import Finding

#: A feed without a report for so long has ended; that its events are missing is found elsewhere.
FORGET_S = 30.0
#: At most; a process of which there are more is somebody's mistake.
MAX_FEEDS = 100


class FeedReports:
    """The latest report of each live feed."""

    def __init__(self) -> None:
        """Know of no feed."""
        self._reports: dict[str, tuple[float, FeedReport]] = {}

    def take(self, report: FeedReport, now_s: float) -> None:
        """Keep a feed's report instead of its last one."""
        if report.feed in self._reports or len(self._recent(now_s)) < MAX_FEEDS:
            self._reports[report.feed] = now_s, report

    def silent(self, now_s: float) -> int:
        """Return how many streams are silent, of all feeds."""
        return sum(report.silent for report in self._recent(now_s))

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield warnings of feeds whose frames are not stored, or that receive nothing from what they subscribed to."""
        for report in self._recent(now_s):
            if report.unstored:
                says = f"its frames are not stored: {report.unstored}"
                yield Finding("warning", f"feed {report.feed}", says, _STORE, "frames_unstored")
            if report.silent:
                yield Finding("warning", f"feed {report.feed}", _says(report), _DO, "streams_silent")

    def _recent(self, now_s: float) -> list[FeedReport]:
        self._reports = {feed: kept for feed, kept in self._reports.items() if now_s - kept[0] < FORGET_S}
        return [report for _, report in self._reports.values()]


_STORE = (
    "see the finding stream_unwell, `nats stream info`, and the log and the disk of NATS: one that had no room takes frames "
    "only after a restart; the feed sends again what is not stored"
)
_DO = (
    "see whether the exchange lists and trades these symbols, BINANCE_*_URL (`./run tasks config show`), and whether the feed's log says that it gets no "
    "snapshots; the feed retries by itself"
)


def _says(report: FeedReport) -> str:
    names = ", ".join(
        f"{each.stream} ({'for' if each.spoke else 'never, in'} {each.for_s:.0f} s)" for each in report.named
    )
    more = f" and {report.silent - len(report.named)} more" if report.silent > len(report.named) else ""
    return f"nothing comes of {report.silent} of {report.asked} streams: {names}{more}"
