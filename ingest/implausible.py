"""What was refused lately although it is a frame of ours: the publisher or a clock is wrong, and a person must see to it."""

import time
from collections.abc import Callable, Iterator

import msgspec

from tasks.protocol.findings import Finding

#: A finding lasts until nothing was refused for its reason for so long.
LASTS_S = 60.0
#: By the reason of a refusal, which is the finding's name: what is wrong, and what to do.
_WRONG = {
    "implausible_price": (
        "books",
        "see which publisher names them: docs/feeds.md, Wrong books; a market that moves so fast: MAX_BOOK_JUMP",
    ),
    "time_ahead": ("clocks", "set the clocks of the feed's machine and of this one by NTP: docs/feeds.md, Clocks"),
    "bad_time": ("times", "fix what the publisher writes: docs/feeds.md, Times and their units"),
    "coinm": ("COIN-M futures", "take the USD-M futures instead, or leave them out of NATS_SUBJECTS"),
}


class _Lately(msgspec.Struct):
    count: int
    last_s: float
    detail: str


class ImplausibleFrames:
    """Remembers by reason what was refused, and finds what still goes on."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lately: dict[str, _Lately] = {}

    def note(self, reason: str, detail: str) -> None:
        """Take in a refusal; other reasons than those above are no matter of this."""
        if reason not in _WRONG:
            return
        now_s = self._now()
        lately = self._lately.get(reason)
        if lately is None or now_s - lately.last_s > LASTS_S:
            lately = self._lately[reason] = _Lately(0, now_s, detail)
        lately.count, lately.last_s, lately.detail = lately.count + 1, now_s, detail

    def findings(self) -> Iterator[Finding]:
        """Yield what went on within the last minute."""
        now_s = self._now()
        for reason, lately in self._lately.items():
            if now_s - lately.last_s <= LASTS_S:
                what, do = _WRONG[reason]
                frames = "1 frame" if lately.count == 1 else f"{lately.count:,} frames"
                yield Finding("warning", what, f"{frames} refused as {reason}; the last: {lately.detail}", do, reason)
