"""Recently refused frames of ours: the publisher or a clock is wrong, and a person must see to it."""

import time
from collections.abc import Callable, Iterator

import msgspec

from tasks.protocol.dead_letters import IMPLAUSIBLE_ID
from tasks.protocol.findings import Finding

#: A finding lasts until nothing was refused for its reason for so long.
LASTS_S = 60.0
_SHOWN = "`./run tasks deadletters list --reason refused` shows them"
#: By the reason of a refusal, which is the finding's name: what is wrong, and what to do.
_WRONG = {
    "implausible_price": (
        "books",
        f"see which publisher names them, {_SHOWN}: docs/feeds.md, Wrong books; a market that moves so fast: MAX_BOOK_JUMP",
    ),
    IMPLAUSIBLE_ID: (
        "ids",
        f"see which publisher sends them, {_SHOWN}: docs/feeds.md, Ids that jump",
    ),
    "time_ahead": (
        "clocks",
        f"set the clocks of the feed's machine and of this one by NTP, {_SHOWN}: docs/feeds.md, Clocks",
    ),
    "symbol_not_allowed": (
        "symbols",
        f"see which publisher sends them, {_SHOWN}, or add them to ALLOWED_SYMBOLS: docs/feeds.md, Symbols",
    ),
    "too_many_symbols": (
        "symbols",
        "see which publisher sends them, and remove what is idle, `./run tasks state prune`: docs/feeds.md, Symbols",
    ),
    "wrong_partition": (
        "partitions",
        f"see which publisher sends them, {_SHOWN}; feeds and ingest need the same NATS_PARTITIONS: docs/growth.md, Partitions",
    ),
    "bad_time": ("times", f"fix what the publisher writes, {_SHOWN}: docs/feeds.md, Times and their units"),
}


class _RecentCount(msgspec.Struct):
    count: int
    last_s: float
    detail: str


class ImplausibleFrames:
    """Counts refused frames by reason, and reports the reasons that still recur."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._recent: dict[str, _RecentCount] = {}

    def note(self, reason: str, detail: str) -> None:
        """Take in a refusal; other reasons than those above are no matter of this."""
        if reason not in _WRONG:
            return
        now_s = self._now()
        recent = self._recent.get(reason)
        if recent is None or now_s - recent.last_s > LASTS_S:
            recent = self._recent[reason] = _RecentCount(0, now_s, detail)
        recent.count, recent.last_s, recent.detail = recent.count + 1, now_s, detail

    def findings(self) -> Iterator[Finding]:
        """Yield what went on within the last minute."""
        now_s = self._now()
        for reason, recent in self._recent.items():
            if now_s - recent.last_s <= LASTS_S:
                what, do = _WRONG[reason]
                frames = "1 frame" if recent.count == 1 else f"{recent.count:,} frames"
                yield Finding("warning", what, f"{frames} refused as {reason}; the last: {recent.detail}", do, reason)
