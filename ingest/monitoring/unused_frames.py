"""Finds that frames come in of which no strategy takes any. Pure: time is an argument, in monotonic seconds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ingest.monitoring.feed_watch import StreamActivity
from tasks.events import KINDS
from tasks.frames.optional_kinds import kind_of_skipped
from tasks.protocol.findings import Finding, named_some

#: Reported after so long, unless some were used before: then as late as a feed that falls silent.
UNUSED_S = 10.0


class UnusedFrames:
    """Detects that frames come in of which no strategy uses any."""

    def __init__(self, quiet_s: float) -> None:
        """Take after how long without an event a feed counts as quiet, in seconds."""
        self._limit_s, self._quiet_s = min(UNUSED_S, quiet_s), quiet_s
        #: Since when frames come and none is used, and how many of each kind.
        self._since_s: float | None = None
        self._kinds: Counter[str] = Counter()
        #: When some came last.
        self._last_s = 0.0
        self._left_out: Counter[str] = Counter()

    def tick(self, now_s: float, active: Iterable[StreamActivity], left_out: Mapping[str, int]) -> None:
        """Take what came within a second, and the counts since the start of frames that are no events, by kind."""
        came = Counter(left_out) - self._left_out
        # A candle is used once it is closed.
        del came["open_kline"]
        self._left_out = Counter(left_out)
        for stream in active:
            if stream.wanted:
                self._limit_s, self._since_s = self._quiet_s, None
                self._kinds.clear()
                return
            came[stream.event.kind] += stream.events
        if came:
            self._since_s = now_s if self._since_s is None else self._since_s
            self._last_s = now_s
            self._kinds += came

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield a warning while frames come and none is used."""
        if self._since_s is None or now_s - self._last_s > self._quiet_s or now_s - self._since_s < self._limit_s:
            return
        kinds = named_some([kind for kind, _ in self._kinds.most_common()])
        untaken = {kind_of_skipped(name) or name for name in self._kinds}
        named = ", ".join(kind for kind in KINDS if kind in untaken)
        kinds_to_name = f", or name {named} in a pool's kinds in the strategies file" if named else ""
        do = f"have the feed publish depth20 and trade streams{kinds_to_name}: `./run tasks strategies list` says who takes what"
        yield Finding("warning", "frames", f"frames come, none is used: kinds {kinds}", do, "frames_unused")
